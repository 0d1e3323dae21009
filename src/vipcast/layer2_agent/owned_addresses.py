# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does what the membership decides: answers for what this node holds, announces it, looks out for strangers.

held by the membership ──> not known to be somebody else's (RFC 5227, if asked for) ──> answered and announced
                       <── unable: no interface where it belongs, or none that hears

What somebody else has this node goes on holding, and asks for again: another node would find the same.
"""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Set
from ipaddress import ip_address
from typing import Any

from vipcast.daemon.log import log_for
from vipcast.layer2.announcer import Announcer
from vipcast.layer2.api import Layer2Wants, Move, MoveKind
from vipcast.layer2.conflict_detector import AddressConflict, ConflictDetector
from vipcast.layer2.dad import Clear, Duplicate, DuplicateAddressDetector
from vipcast.layer2.frames import mac_text
from vipcast.layer2_agent.segments import Segments
from vipcast.membership import ClaimChanged, MemberChanged, Membership, MemberState
from vipcast.model.addresses import IPAddress

__all__ = ["OwnedAddresses"]

Interfaces = frozenset[str]

# While nobody listens the last ones are kept.
_MOST_MOVES = 10_000
# So many names in a line of the log; a node may take thousands of addresses over.
_NAMED = 10
_log = log_for("layer2")


class OwnedAddresses:
    """``answering``: what is answered for now. ``moves``: to be told; ``touched``: what to look at again."""

    def __init__(self, segments: Segments, members: Membership) -> None:
        self.answering: dict[IPAddress, Interfaces] = {}
        self.duplicates: dict[IPAddress, str] = {}  # with the other's MAC
        self.moves: deque[Move] = deque(maxlen=_MOST_MOVES)
        self.touched: set[IPAddress] = set()
        self.foreign: Counter[IPAddress] = Counter()  # alarms
        self.announcer = Announcer()
        self.watch = ConflictDetector()
        self._detector = DuplicateAddressDetector(random=random.random)
        self._segments, self._members = segments, members
        self._wants = Layer2Wants("")
        self._first: set[IPAddress] = set()  # nobody had it before us, as far as is known
        self._from: dict[IPAddress, str] = {}  # from whom this node has it
        self._cleared: set[IPAddress] = set()
        self._announced: Counter[IPAddress] = Counter()  # in earlier times
        self._unable: frozenset[IPAddress] = frozenset()
        self._deaf: frozenset[IPAddress] = frozenset()  # of these, those that the kernel does not let us hear
        self._known: frozenset[str] = frozenset()  # interfaces
        # Those that came, or came back, and until when nothing is claimed for them: whoever was cut off has
        # to hear first who owns what now.
        self._settling: dict[str, float] = {}
        self._patience = 0.0

    # ---- what is wanted, and what there is ----

    def set_wants(self, wants: Layer2Wants, patience: float, now: float) -> None:
        """``patience``: seconds in which a node that was cut off hears from the others again."""
        self._patience = patience
        before, self._wants = self._wants, wants
        gone = before.addresses.keys() - wants.addresses.keys()
        changed = gone | {
            address for address, want in wants.addresses.items() if before.addresses.get(address) is not want
        }
        if before.node and not changed and wants.settings == before.settings:
            return  # a speaker that came back wants what there is
        self.touched |= changed
        self.announcer.set_refresh(wants.settings.refresh, now)
        self.announcer.set_rate(wants.settings.announce_rate)
        self._forget(gone)
        self.interfaces_changed(now)

    def interfaces_changed(self, now: float) -> None:
        macs = self._segments.macs
        if self._members.settled:
            settling = dict.fromkeys(macs.keys() - self._known, now + self._patience)
            self._settling = {name: at for name, at in (self._settling | settling).items() if name in macs}
        self._known = frozenset(macs)
        self.announcer.set_interfaces(macs, now)
        self._detector.set_interfaces(macs, now)
        self._say_unable(now)
        self.apply(now)

    def _forget(self, gone: Set[IPAddress]) -> None:
        for address in gone:
            self._detector.end(address)
            for known in (self.duplicates, self.foreign, self._announced):
                known.pop(address, None)
        self._cleared -= gone
        for segment in self._segments.by_name.values():
            segment.forget(gone)

    def _say_unable(self, now: float) -> None:
        """Tell the members for which of the wanted addresses this node cannot answer.

        These are the ones that belong on no interface, or only on such as came a moment ago, and the ones
        that are not heard. What is not heard is listened for all the same: when the kernel has done it, this
        node is able.
        """
        settling, deaf = self._settling.keys(), self._segments.deaf()
        nowhere = {
            address
            for interfaces, addresses in self._by_interfaces(self._wants.addresses).items()
            if not interfaces - settling
            for address in addresses
        }
        self._deaf = frozenset(
            address
            for address, names in deaf.items()
            if address in self._wants.addresses and not self._interfaces(address) - settling - names
        )
        unable = frozenset(nowhere | self._deaf)
        if unable != self._unable:
            self.touched |= unable ^ self._unable
            self._unable = unable
            self._members.set_unable(unable, now)

    @property
    def unable(self) -> frozenset[IPAddress]:
        return self._unable

    @property
    def probing(self) -> frozenset[IPAddress]:
        """Return the addresses that are asked for, or wait to be asked for again."""
        return self._detector.asked

    # ---- what the membership says ----

    def claim_changed(self, event: ClaimChanged) -> None:
        self.touched.add(event.address)
        if event.old is None:
            self._first.add(event.address)
        else:
            self._first.discard(event.address)
        before, after = (None if claim is None else claim.owner for claim in (event.old, event.new))
        self._from.pop(event.address, None)
        if before is not None and after == self._wants.node != before:
            self._from[event.address] = before

    def member_changed(self, event: MemberChanged, now: float) -> None:
        """Announce again what a member that was cut off may have answered for where it was.

        So the neighbors of that member learn who answers now. This is about what it had before it was found
        dead; `say_again` is told of what it has claimed meanwhile.
        """
        if event.old is MemberState.DEAD and event.new is MemberState.ALIVE:
            for address in [each for each, owner in self._from.items() if owner == event.name]:
                del self._from[address]
                self.say_again(address, now)

    def say_again(self, address: IPAddress, now: float) -> None:
        """Announce an address once more, on all its interfaces."""
        if address in self.answering:
            self.announcer.again(address, now)

    def apply(self, now: float) -> None:
        """Bring what is answered into line with what is held."""
        held = self._members.held
        self._ask(held, now)
        asked = self._detector.asked
        now_answered = {a: self._interfaces(a) for a in held if a not in asked and a not in self.duplicates}
        before, self.answering = self.answering, now_answered
        self._segments.want(self._by_segment(now_answered), self._by_segment(asked | self._deaf), now)
        gained = [a for a in now_answered if a not in before]
        lost = [a for a in before if a not in now_answered]
        for address in gained:
            self.watch.claimed(address, now)
            self.announcer.claim(address, now, now_answered[address])
        for address in lost:
            self._announced[address] += self.announcer.sent.get(address, 0)
            self.watch.released(address)
            self.announcer.release(address)
        for address in now_answered.keys() & before.keys():
            if now_answered[address] != before[address]:
                self.touched.add(address)
                self.announcer.place(address, now, now_answered[address])
        self._tell(MoveKind.GAINED, gained)
        self._tell(MoveKind.LOST, lost)
        if self._segments.retry_at is not None or self._deaf:
            self._say_unable(now)

    def _ask(self, held: Set[IPAddress], now: float) -> None:
        """Ask whether another host has the addresses, but only those without an owner before.

        An owner's answers are known.
        """
        detecting = self._wants.settings.detect_duplicates
        for address in self._detector.asked - (held if detecting else frozenset()):
            self._detector.end(address)
            self.duplicates.pop(address, None)
            self.touched.add(address)
        if not detecting:
            return
        for address in (held & self._first) - self.answering.keys() - self._cleared - self._detector.asked:
            self._detector.begin(address, now, self._interfaces(address))
            self.touched.add(address)
        self._cleared -= held & self.answering.keys()

    def _interfaces(self, address: IPAddress) -> Interfaces:
        """Return the interfaces of an address.

        For what is only held until another node takes it, these are the ones that were wanted last.
        """
        want = self._wants.addresses.get(address)
        if want is None:
            return self.answering.get(address, frozenset())
        return self._segments.places(address, want.interfaces)

    def _by_interfaces(self, addresses: Iterable[IPAddress]) -> dict[Interfaces, list[IPAddress]]:
        found: dict[Interfaces, list[IPAddress]] = defaultdict(list)
        for address in addresses:
            found[self._interfaces(address)].append(address)
        return found

    def _by_segment(self, addresses: Iterable[IPAddress]) -> Mapping[str, Set[IPAddress]]:
        found: dict[str, set[IPAddress]] = defaultdict(set)
        for interfaces, some in self._by_interfaces(addresses).items():
            for name in interfaces:
                found[name].update(some)
        return found

    def _tell(self, kind: MoveKind, addresses: list[IPAddress]) -> None:
        claims, wall = self._members.claims, time.time()
        for address in addresses:
            claim = claims.get(address)
            owner, why = (claim.owner, claim.why) if claim is not None else (None, "nobody owns it")
            self.moves.append(Move(address, kind, owner, None, why, wall))
        if addresses:
            self.touched.update(addresses)
            names = [str(address) for address in addresses[:_NAMED]]
            why = self.moves[-1].why
            _log.info(f"addresses_{kind.value}", count=len(addresses), addresses=names, why=why)

    # ---- time ----

    def timer(self) -> float | None:
        parts = (self.announcer.timer(), self._detector.timer(), self.watch.timer())
        times = (*parts, self._segments.retry_at, *self._settling.values())
        return min((at for at in times if at is not None), default=None)

    def look(self, now: float) -> None:
        """Look at what was heard on the segments."""
        for name, foreign in self._segments.take_foreign():
            self._detector.heard(name, foreign, now)
            self.watch.heard(foreign, now)
        self._judge(now)

    def handle_timer(self, now: float) -> None:
        # Who hears nobody at all may be the one that is cut off: it answers, and pulls nothing to itself.
        silent = self._members.deaf
        for part in (self.announcer, self._detector):
            for name, frame in part.handle_timer(now):
                if not (silent and part is self.announcer):
                    self._segments.send(name, frame)
        for alarm in self.watch.handle_timer(now):
            self._alarm(alarm, now)
        if grown := [name for name, at in self._settling.items() if now >= at]:
            for name in grown:
                del self._settling[name]
            self._say_unable(now)
        if (at := self._segments.retry_at) is not None and now >= at:
            self._segments.retry(now)
            self._say_unable(now)
            self.apply(now)
        self._judge(now)

    def _alarm(self, alarm: AddressConflict, now: float) -> None:
        address, mac = alarm.foreign.address, mac_text(alarm.foreign.mac)
        self.announcer.defend(address, now)
        self.foreign[address] += 1
        self.touched.add(address)
        if alarm.times == 1:
            how = alarm.foreign.how.value
            _log.warning("foreign_answer", address=str(address), mac=mac, how=how)
            self.moves.append(Move(address, MoveKind.FOREIGN, None, mac, how, time.time()))

    def _judge(self, now: float) -> None:
        verdicts = self._detector.verdicts()
        for verdict in verdicts:
            self.touched.add(verdict.address)
            if isinstance(verdict, Clear):
                self.duplicates.pop(verdict.address, None)
                self._cleared.add(verdict.address)
            else:
                self._found_duplicate(verdict)
        if verdicts:
            self._say_unable(now)
            self.apply(now)

    def _found_duplicate(self, verdict: Duplicate) -> None:
        mac = mac_text(verdict.mac)
        if self.duplicates.get(verdict.address) != mac:
            _log.warning("duplicate_address", address=str(verdict.address), mac=mac)
            why = "somebody else answers for it"
            self.moves.append(Move(verdict.address, MoveKind.DUPLICATE, None, mac, why, time.time()))
        self.duplicates[verdict.address] = mac

    # ---- counters, and the hand-over ----

    def announced(self) -> dict[IPAddress, int]:
        """Frames sent unasked, ever."""
        found = dict(self.announcer.sent)
        for address, count in self._announced.items():
            found[address] = found.get(address, 0) + count
        return found

    def export(self) -> dict[str, Any]:
        """JSON; what is under way with `probing` begins anew."""
        return {
            "announcer": self.announcer.export(),
            "duplicates": {str(address): mac for address, mac in self.duplicates.items()},
            "announced": {str(address): count for address, count in self.announced().items()},
            "foreign": {str(address): count for address, count in self.foreign.items()},
        }

    def restore(self, exported: Mapping[str, Any], now: float) -> None:
        """Go on with what another process answered for; nobody is told anew. Raises KeyError, ValueError."""
        self._known = frozenset(self._segments.macs)
        self.announcer.set_interfaces(self._segments.macs, now)
        self.announcer.restore(exported["announcer"], now)
        # Release 0.1.0 has None for all interfaces.
        everywhere = frozenset(self._segments.by_name)
        self.answering = {
            address: everywhere if names is None else names
            for address, names in self.announcer.claimed.items()
        }
        for address in self.answering:
            self.watch.claimed(address, now)
        self.duplicates = {ip_address(text): str(mac) for text, mac in exported["duplicates"].items()}
        for address in self.duplicates:
            self._detector.begin(address, now)
        for word, counter in (("announced", self._announced), ("foreign", self.foreign)):
            counter.update({ip_address(text): int(count) for text, count in exported[word].items()})
