# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers on one interface: a frame in, the answer's frame out, and who else says that he has our address.

    responder = Responder(mac, own_macs)        # own_macs: those of all our interfaces, a set of the caller's
    responder.own(address); responder.disown(address)      # answered from now on, or not any more
    responder.watch(address); responder.unwatch(address)   # not answered, but `Foreign` is told of it
    reply = responder.answer(frame)             # None: no answer; `ignored` counts why
    responder.take_foreign()                    # what was heard since, each address, MAC and way once

Nothing depends on how many addresses there are. An ARP request that is answered passes one condition and no
table: whatever it fails has the time to be called by its name (`ARP_RULES`, in this order).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Set
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from vipcast.layer2 import arp, ndp
from vipcast.layer2.frames import FrameError, Ignored, Mac
from vipcast.model.addresses import IPAddress

# A flood with ever new MACs fills no memory; whoever reads them reads them more often than this.
MOST_FOREIGN = 1024

_REPLY = arp.CONSTANT + arp.Operation.REPLY.to_bytes(2)
_NOWHERE = ndp.UNSPECIFIED.packed
_ALL_NODES, _ALL_NODES_MAC = ndp.ALL_NODES.packed, ndp.group_mac(ndp.ALL_NODES)


class How(Enum):
    """The kind of frame by which another host shows that it has an address, or is about to take it."""

    REQUEST = "ARP request"
    REPLY = "ARP reply"
    ADVERTISEMENT = "neighbor advertisement"
    SOLICITATION = "neighbor solicitation"
    PROBE = "probe"  # told of watched addresses alone: an owned one is defended by the answer


@dataclass(frozen=True, slots=True)
class Foreign:
    address: IPAddress
    mac: Mac
    how: How


@dataclass(frozen=True, slots=True)
class _Arp:
    """A frame, and what the rules ask of the responder."""

    destination: Mac
    constant: bytes
    operation: int
    sender_mac: Mac
    mac: Mac
    is_own: bool
    is_owned: bool


def _is_for_another(destination: Mac, mac: Mac) -> bool:
    return destination != mac and not destination[0] & 1


# Why an ARP frame gets no answer: the first one that holds. A frame of which none holds is answered.
ARP_RULES: tuple[tuple[Ignored, Callable[[_Arp], bool]], ...] = (
    (Ignored.OTHER_HARDWARE, lambda frame: frame.constant != arp.CONSTANT),
    (Ignored.OTHER_OPERATION, lambda frame: frame.operation not in (1, 2)),
    (Ignored.OWN, lambda frame: frame.is_own),
    (Ignored.NOT_A_REQUEST, lambda frame: frame.operation != arp.Operation.REQUEST),
    (Ignored.NOT_OWNED, lambda frame: not frame.is_owned),
    (Ignored.OTHER_HOST, lambda frame: _is_for_another(frame.destination, frame.mac)),
    # RFC 1812 section 3.3.2, of answers; a request from there would only make us send one.
    (Ignored.GROUP_SENDER, lambda frame: bool(frame.sender_mac[0] & 1)),
)


class Responder:
    """See the module. ``ignored``: by reason; ``answered``: by address (`counts`)."""

    def __init__(self, mac: Mac, own_macs: Set[Mac]) -> None:
        self.ignored: Counter[Ignored] = Counter()
        self._own_macs = own_macs
        self._answered: dict[bytes, int] = {}  # the owned ones, packed: how often
        self._noticed: dict[bytes, bool] = {}  # owned and watched ones: whether a probe is told, too
        self._foreign: dict[Foreign, None] = {}
        self.mac = mac

    @property
    def mac(self) -> Mac:
        return self._mac

    @mac.setter
    def mac(self, mac: Mac) -> None:
        self._mac = mac
        self._middle = mac + _REPLY + mac  # of an ARP reply: from the frame's source to the sender's MAC

    # ---- which addresses ----

    def own(self, address: IPAddress) -> None:
        self._answered.setdefault(address.packed, 0)
        self._noticed[address.packed] = False

    def disown(self, address: IPAddress) -> None:
        self._answered.pop(address.packed, None)
        self._noticed.pop(address.packed, None)

    def watch(self, address: IPAddress) -> None:
        self._noticed.setdefault(address.packed, True)

    def unwatch(self, address: IPAddress) -> None:
        if address.packed not in self._answered:
            self._noticed.pop(address.packed, None)

    @property
    def owned(self) -> frozenset[IPAddress]:
        return frozenset(self.counts())

    def counts(self) -> dict[IPAddress, int]:
        """Return how many answers each owned address had here."""
        return {_address(packed): count for packed, count in self._answered.items()}

    def take_foreign(self) -> list[Foreign]:
        if not self._foreign:
            return []
        taken, self._foreign = list(self._foreign), {}
        return taken

    # ---- frames ----

    def answer(self, frame: bytes) -> bytes | None:
        """Return what to send on the same interface, if anything. Never an exception, whatever the octets."""
        kind = frame[12:14]
        if kind == b"\x08\x06" and len(frame) >= 42:
            return self._answer_arp(frame)
        if kind == b"\x86\xdd":
            return self._answer_neighbor(frame)
        self._ignore_other(frame)
        return None

    def _answer_arp(self, frame: bytes) -> bytes | None:
        destination, _source, constant, operation, *pair = arp.LAYOUT.unpack_from(frame)
        sender_mac, sender, _target_mac, target = pair
        own = sender_mac in self._own_macs
        if (sender in self._noticed or sender == b"\0\0\0\0") and not own:
            self._notice_arp(constant, operation, sender_mac, sender, target)
        count = self._answered.get(target)
        if (
            count is not None
            and operation == 1
            and constant == arp.CONSTANT
            and not own
            and not sender_mac[0] & 1
            and (destination[0] & 1 or destination == self._mac)
        ):
            self._answered[target] = count + 1
            return b"".join((sender_mac, self._middle, target, sender_mac, sender))
        seen = _Arp(destination, constant, operation, sender_mac, self._mac, own, count is not None)
        self.ignored[next(reason for reason, holds in ARP_RULES if holds(seen))] += 1
        return None

    def _notice_arp(self, constant: bytes, operation: int, mac: Mac, sender: bytes, target: bytes) -> None:
        """RFC 5227 sections 2.1.1 (probing) and 2.4 (owning)."""
        if constant != arp.CONSTANT or operation not in (1, 2):
            return
        if sender in self._noticed:
            self._notice(sender, mac, How.REQUEST if operation == 1 else How.REPLY)
        elif operation == 1 and self._noticed.get(target):
            self._notice(target, mac, How.PROBE)

    def _answer_neighbor(self, frame: bytes) -> bytes | None:
        try:
            found = ndp.read(frame)
        except FrameError as error:
            self.ignored[error.reason] += 1
            return None
        mac = found.mac or found.source_mac
        own = mac in self._own_macs
        if not own:
            self._notice_neighbor(found, mac)
        if (reason := self._why_not(found, mac, own)) is not None:
            self.ignored[reason] += 1
            return None
        self._answered[found.target] += 1
        return self._advertise(found, mac)

    def _why_not(self, found: ndp.Fields, mac: Mac, own: bool) -> Ignored | None:
        if own:
            return Ignored.OWN
        if found.kind != ndp.Kind.SOLICITATION:
            return Ignored.NOT_A_REQUEST
        if found.target not in self._answered:
            return Ignored.NOT_OWNED
        if _is_for_another(found.destination_mac, self._mac):
            return Ignored.OTHER_HOST
        return Ignored.GROUP_SENDER if mac[0] & 1 else None

    def _advertise(self, found: ndp.Fields, mac: Mac) -> bytes:
        """RFC 4861 section 7.2.4. Where the asking one's MAC is missing, the frame says where it came from.

        Our own is there even where it may be left out: a cache that asks us alone may have another's.
        """
        if found.source == _NOWHERE:
            return ndp.advertisement(_ALL_NODES_MAC, self._mac, _ALL_NODES, found.target, solicited=False)
        return ndp.advertisement(mac, self._mac, found.source, found.target, solicited=True)

    def _notice_neighbor(self, found: ndp.Fields, mac: Mac) -> None:
        """RFC 4862 sections 5.4.3 and 5.4.4; a message from one of our addresses is the other's, too."""
        if found.kind == ndp.Kind.ADVERTISEMENT:
            if found.target in self._noticed:
                self._notice(found.target, mac, How.ADVERTISEMENT)
        elif found.source in self._noticed:
            self._notice(found.source, mac, How.SOLICITATION)
        elif found.source == _NOWHERE and self._noticed.get(found.target):
            self._notice(found.target, mac, How.PROBE)

    def _notice(self, packed: bytes, mac: Mac, how: How) -> None:
        if len(self._foreign) < MOST_FOREIGN:
            self._foreign[Foreign(_address(packed), mac, how)] = None

    def _ignore_other(self, frame: bytes) -> None:
        try:
            arp.decode(frame)
        except FrameError as error:
            self.ignored[error.reason] += 1


def _address(packed: bytes) -> IPAddress:
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)
