# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API of `vipcast layer2`: the state that a speaker wants, and the status that it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from vipcast.election import AddressWant
from vipcast.model.addresses import IPAddress
from vipcast.model.defaults import HEARTBEAT_PORT

__all__ = [
    "EXCLUDED_INTERFACES",
    "OFFERED",
    "AddressCounters",
    "AddressStatus",
    "Holding",
    "InterfaceStatus",
    "Layer2Status",
    "Layer2Wants",
    "LinkStatus",
    "MemberStatus",
    "Move",
    "MoveKind",
    "Settings",
    "Traffic",
]

EXCLUDED_INTERFACES = (
    *("docker", "cbr", "dummy", "virbr", "lxcbr", "veth", "lo$", "cali", "tunl", "flannel"),
    *("kube-ipvs", "cni", "nodelocaldns", "lxc"),
    *("cilium_", "antrea-gw", "ovn-k8s-mp"),
)
"""Of containers and of the cluster itself: MetalLB's list, as far as one is not an interface's whole name,
and those of network plugins whose kind others have, too.
"""


ANNOUNCE_RATE = 250
"""Frames a second that are sent unasked: less than routers let through, unless they are told otherwise."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds. ``rebalance``: gentle, sticky, or preempt (as ``preempt``); see docs/layer2.md.
    ``announce_rate``: frames a second that are sent unasked. ``refresh`` 0: never; ``detect_duplicates``: RFC
    5227 before an address is first claimed.
    """

    profile: str = "default"
    port: int = HEARTBEAT_PORT
    preempt: bool = False
    rebalance: str = "gentle"
    announce_rate: int = ANNOUNCE_RATE
    refresh: float = 60.0
    detect_duplicates: bool = False
    excluded_interfaces: tuple[str, ...] = (
        EXCLUDED_INTERFACES  # regular expressions, matched at the beginning of a name
    )
    allowed_interfaces: tuple[str, ...] = ()  # likewise: used whatever else is against it

    @property
    def preempts(self) -> bool:
        """Return whether a node that is back takes its addresses from healthy owners."""
        return self.preempt or self.rebalance == "preempt"


@dataclass(frozen=True, slots=True)
class Layer2Wants:
    """Everything. ``members``: the nodes that may run the program, with their addresses; ours too."""

    node: str
    members: Mapping[str, tuple[IPAddress, ...]] = field(default_factory=dict)
    addresses: Mapping[IPAddress, AddressWant] = field(default_factory=dict)
    settings: Settings = Settings()
    keys: tuple[bytes, ...] = ()  # the first one signs, each is believed


class Holding(Enum):
    """The role of this node for an address. The value is the name that the status shows."""

    OWNER = "owner"
    YIELDING = "yielding"  # answers until another one does
    PROBING = "probing"  # looks whether somebody else has it (RFC 5227)
    DUPLICATE = "duplicate"  # somebody else has it: does not answer
    STANDBY = "standby"  # another node owns it
    NOT_CANDIDATE = "notCandidate"
    NO_INTERFACE = "noInterface"  # none that is eligible and up
    WAITING = "waiting"  # started, listens to the others first
    NO_KEY = "noKey"
    UNKNOWN = "unknown"  # a process of a later release says what this speaker does not know


@dataclass(frozen=True, slots=True)
class InterfaceStatus:
    """An interface on which an address is answered; ``mac`` as aa:bb:cc:dd:ee:ff."""

    name: str
    mac: str


@dataclass(frozen=True, slots=True)
class AddressStatus:
    """``owner``: by the shared map, None where there is none. ``foreign``: MACs that answer besides ours."""

    holding: Holding
    owner: str | None = None
    term: int = 0
    since_wall: float = 0.0  # of this owner
    interfaces: tuple[InterfaceStatus, ...] = ()
    foreign: tuple[str, ...] = ()
    why: str = ""  # of the last move, in words


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """``state``: alive, leaving, dead, or unknown where it was never heard.

    ``one_way``: it is heard here, and does not hear this node.
    """

    state: str
    since_wall: float = 0.0
    address: str | None = None
    round_trip: float | None = None
    why: str = ""
    one_way: bool = False


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """An interface of the node. ``refused``: why nothing is answered there, the refusal's name, or empty.

    ``problem``: what the kernel would not do there, in words.
    """

    mac: str = ""
    refused: str = ""
    problem: str | None = None


OFFERED = "its owner had more than others, and offered it"
"""Why an address went to another node though its owner is well: a move's, or an address's, ``why``."""


class MoveKind(Enum):
    """An event of an address, seen from this node."""

    GAINED = "gained"  # it answers from now on
    LOST = "lost"  # it does not answer any more
    FOREIGN = "foreign"  # somebody who is no member answers for it, too
    DUPLICATE = "duplicate"  # somebody had it before we claimed it: it is left to him


@dataclass(frozen=True, slots=True)
class Move:
    """``owner``: by the shared map, after it; ``mac``: the stranger's; ``wall``: when."""

    address: IPAddress
    kind: MoveKind
    owner: str | None = None
    mac: str | None = None
    why: str = ""
    wall: float = 0.0


@dataclass(frozen=True, slots=True)
class AddressCounters:
    """Counters since the first process of this node began. ``gratuitous``: announcements sent unasked."""

    answered: int = 0
    gratuitous: int = 0
    foreign: int = 0


@dataclass(frozen=True, slots=True)
class Traffic:
    """Heartbeats and frames, counted. ``dropped``: heartbeats by the reason's name; ``ignored``: frames that
    got no answer, by the reason's name; ``send_errors``: by the interface.
    """

    sent: int = 0
    received: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    ignored: Mapping[str, int] = field(default_factory=dict)
    send_errors: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layer2Status:
    """Everything that the process says of itself. ``problems``: what is wrong as a whole, in words.

    ``deaf``: nothing is received, neither from other nodes nor else.
    """

    addresses: Mapping[IPAddress, AddressStatus] = field(default_factory=dict)
    members: Mapping[str, MemberStatus] = field(default_factory=dict)
    links: Mapping[str, LinkStatus] = field(default_factory=dict)
    counters: Mapping[IPAddress, AddressCounters] = field(default_factory=dict)
    traffic: Traffic = Traffic()
    problems: tuple[str, ...] = ()
    deaf: bool = False
