# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings, status and counters of a BFD session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.model.addresses import IPAddress

# RFC 5881 section 5: a packet of a neighbor has made no hop.
SINGLE_HOP_TTL = 255
# Intervals travel as 32 bits of microseconds (RFC 5880 section 4.1); nobody waits longer than a minute.
MAX_INTERVAL = 60.0
MIN_INTERVAL = 0.01


class BadSettingsError(ValueError):
    """A session that cannot be, in words."""


@dataclass(frozen=True, slots=True)
class BfdSettings:
    """One session. Intervals are seconds.

    ``local`` None: the address that the kernel chooses. ``interface``: where the peer is, needed for a
    link-local address. ``multihop``: RFC 5883, otherwise RFC 5881. ``echo_interval`` None: no echo function.
    ``minimum_ttl`` is for multihop; a single hop takes 255 only. ``vrf``: the device to bind to.
    Raises BadSettingsError for what cannot work.
    """

    peer: IPAddress
    local: IPAddress | None = None
    interface: str | None = None
    multihop: bool = False
    transmit_interval: float = 0.3
    receive_interval: float = 0.3
    detect_multiplier: int = 3
    echo_interval: float | None = None
    passive: bool = False
    minimum_ttl: int = 254
    vrf: str | None = None

    def __post_init__(self) -> None:
        for name in ("transmit_interval", "receive_interval", "echo_interval"):
            value = getattr(self, name)
            if value is not None and not MIN_INTERVAL <= value <= MAX_INTERVAL:
                text = name.replace("_", " ")
                raise BadSettingsError(f"{text} {value:g} s: {MIN_INTERVAL:g} to {MAX_INTERVAL:g} s would do")
        if not 1 <= self.detect_multiplier <= 255:
            raise BadSettingsError(f"detect multiplier {self.detect_multiplier}: 1 to 255 would be right")
        if not 1 <= self.minimum_ttl <= 255:
            raise BadSettingsError(f"minimum TTL {self.minimum_ttl}: 1 to 255 would be right")
        self._check_addresses()

    def _check_addresses(self) -> None:
        if self.local is not None and self.local.version != self.peer.version:
            raise BadSettingsError(f"local address {self.local} for {self.peer}: both of one IP version")
        if isinstance(self.peer, IPv6Address) and self.peer.is_link_local and not self.interface:
            raise BadSettingsError(f"the link-local peer {self.peer} needs an interface")

    @property
    def may_echo(self) -> bool:
        """RFC 5883 section 3: never over several hops. Ours is for IPv4, as in the routers we know."""
        return self.echo_interval is not None and not self.multihop and self.peer.version == 4

    @property
    def least_ttl(self) -> int:
        """A packet with less is dropped: RFC 5881 section 5, RFC 5883 section 5."""
        return self.minimum_ttl if self.multihop else SINGLE_HOP_TTL


@dataclass(frozen=True, slots=True)
class BfdCounters:
    """Counters since the session exists. ``dropped``: packets received and not taken, by reason."""

    packets_in: int = 0
    packets_out: int = 0
    echo_in: int = 0
    echo_out: int = 0
    up_events: int = 0
    down_events: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class BfdStatus:
    """A snapshot. Times are seconds; ``since_wall`` since 1970.

    ``went_down``: times that Up was lost, but not by an administrator's will on either side, which says
    nothing of the path (RFC 5882 section 4.2): when it grows, a client ends what ran over the path.
    ``problem``: why there are no packets, in words.
    """

    state: BfdState = BfdState.DOWN
    since_wall: float = 0.0
    diagnostic: Diagnostic = Diagnostic.NONE
    remote_state: BfdState = BfdState.DOWN
    remote_diagnostic: Diagnostic = Diagnostic.NONE
    remote_transmit_interval: float | None = None
    remote_receive_interval: float | None = None
    remote_detect_multiplier: int | None = None
    remote_control_plane_independent: bool = False
    transmit_interval: float | None = None
    detection_time: float | None = None
    local_discriminator: int = 0
    remote_discriminator: int = 0
    echo_active: bool = False
    went_down: int = 0
    problem: str | None = None
    counters: BfdCounters = field(default_factory=BfdCounters)

    @property
    def up(self) -> bool:
        return self.state is BfdState.UP
