# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does what the membership decides: answers for what this node holds, announces it, looks out for strangers.

held by the membership ──> not known to be somebody else's (RFC 5227, if asked for) ──> answered and announced
                       <── unable: no interface

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
from vipcast.layer2.duplicates import Clear, Detector, Duplicate
from vipcast.layer2.foreign import Alarm, ForeignWatch
from vipcast.layer2.frames import mac_text
from vipcast.layer2.wants import Address, Layer2Wants, Move, MoveKind
from vipcast.layer2d.segments import Segments
from vipcast.members import ClaimChanged, MemberChanged, Members, MemberState

__all__ = ["Holdings"]

Interfaces = frozenset[str] | None

# While nobody listens the last ones are kept.
_MOST_MOVES = 10_000
# So many names in a line of the log; a node may take thousands of addresses over.
_NAMED = 10
_log = log_for("layer2")


class Holdings:
    """``answering``: what is answered for now. ``moves``: to be told; ``touched``: what to look at again."""

    def __init__(self, segments: Segments, members: Members) -> None:
        self.answering: dict[Address, Interfaces] = {}
        self.duplicates: dict[Address, str] = {}  # with the other's MAC
        self.moves: deque[Move] = deque(maxlen=_MOST_MOVES)
        self.touched: set[Address] = set()
        self.foreign: Counter[Address] = Counter()  # alarms
        self.announcer = Announcer()
        self.watch = ForeignWatch()
        self._detector = Detector(random=random.random)
        self._segments, self._members = segments, members
        self._wants = Layer2Wants("")
        self._first: set[Address] = set()  # nobody had it before us, as far as is known
        self._cleared: set[Address] = set()
        self._announced: Counter[Address] = Counter()  # in earlier times
        self._unable: frozenset[Address] = frozenset()
        self._known: frozenset[str] = frozenset()  # interfaces
        # Those that came, or came back, and until when nothing is claimed for them: whoever was cut off has
        # to hear first who owns what now.
        self._young: dict[str, float] = {}
        self._patience = 0.0

    # ---- what is wanted, and what there is ----

    def set_wants(self, wants: Layer2Wants, patience: float, now: float) -> None:
        """``patience``: seconds in which a node that was cut off hears from the others again."""
        self._patience = patience
        before, self._wants = self._wants, wants
        gone = before.addresses.keys() - wants.addresses.keys()
        self.touched |= gone | {
            address for address, want in wants.addresses.items() if before.addresses.get(address) is not want
        }
        self.announcer.set_refresh(wants.settings.refresh, now)
        self._forget(gone)
        self.interfaces_changed(now)

    def interfaces_changed(self, now: float) -> None:
        macs = self._segments.macs
        if self._members.settled:
            young = dict.fromkeys(macs.keys() - self._known, now + self._patience)
            self._young = {name: at for name, at in (self._young | young).items() if name in macs}
        self._known = frozenset(macs)
        self.announcer.set_interfaces(macs, now)
        self._detector.set_interfaces(macs, now)
        self._say_unable(now)
        self.apply(now)

    def _forget(self, gone: Set[Address]) -> None:
        for address in gone:
            self._detector.end(address)
            for known in (self.duplicates, self.foreign, self._announced):
                known.pop(address, None)
        self._cleared -= gone
        for segment in self._segments.by_name.values():
            segment.forget(gone)

    def _say_unable(self, now: float) -> None:
        nowhere = {
            address
            for interfaces, addresses in self._by_interfaces(self._wants.addresses).items()
            if not self._segments.allowed(interfaces) - self._young.keys()
            for address in addresses
        }
        unable = frozenset(nowhere)
        if unable != self._unable:
            self.touched |= unable ^ self._unable
            self._unable = unable
            self._members.set_unable(unable, now)

    @property
    def unable(self) -> frozenset[Address]:
        return self._unable

    @property
    def probing(self) -> frozenset[Address]:
        """Asked for, or waiting to be asked for again."""
        return self._detector.asked

    # ---- what the membership says ----

    def claim_changed(self, event: ClaimChanged) -> None:
        self.touched.add(event.address)
        if event.old is None:
            self._first.add(event.address)
        else:
            self._first.discard(event.address)

    def member_changed(self, event: MemberChanged, now: float) -> None:
        """Who was cut off may have answered where it was: its neighbours are told who does now."""
        if event.old is MemberState.DEAD and event.new is MemberState.ALIVE:
            for address, interfaces in self.answering.items():
                self.announcer.claim(address, now, interfaces)

    def apply(self, now: float) -> None:
        """Bring what is answered into line with what is held."""
        held = self._members.held
        self._ask(held, now)
        asked = self._detector.asked
        now_answered = {a: self._interfaces(a) for a in held if a not in asked and a not in self.duplicates}
        before, self.answering = self.answering, now_answered
        self._segments.want(self._by_segment(now_answered), self._by_segment(asked))
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
                self.announcer.claim(address, now, now_answered[address])
        self._tell(MoveKind.GAINED, gained)
        self._tell(MoveKind.LOST, lost)

    def _ask(self, held: Set[Address], now: float) -> None:
        """Does somebody else have it? Only of those that had no owner: an owner's answers are known."""
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

    def _interfaces(self, address: Address) -> Interfaces:
        """Where: as was wanted last, for what is only held until somebody else takes it."""
        want = self._wants.addresses.get(address)
        return self.answering.get(address) if want is None else want.interfaces

    def _by_interfaces(self, addresses: Iterable[Address]) -> dict[Interfaces, list[Address]]:
        found: dict[Interfaces, list[Address]] = defaultdict(list)
        for address in addresses:
            found[self._interfaces(address)].append(address)
        return found

    def _by_segment(self, addresses: Iterable[Address]) -> Mapping[str, Set[Address]]:
        found: dict[str, set[Address]] = defaultdict(set)
        for interfaces, some in self._by_interfaces(addresses).items():
            for name in self._segments.allowed(interfaces):
                found[name].update(some)
        return found

    def _tell(self, kind: MoveKind, addresses: list[Address]) -> None:
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
        times = (self.announcer.timer(), self._detector.timer(), self.watch.timer(), *self._young.values())
        return min((at for at in times if at is not None), default=None)

    def look(self, now: float) -> None:
        """At what was heard on the segments."""
        for name, foreign in self._segments.take_foreign():
            self._detector.heard(name, foreign, now)
            self.watch.heard(foreign, now)
        self._judge(now)

    def handle_timer(self, now: float) -> None:
        for part in (self.announcer, self._detector):
            for name, frame in part.handle_timer(now):
                self._segments.send(name, frame)
        for alarm in self.watch.handle_timer(now):
            self._alarm(alarm, now)
        if grown := [name for name, at in self._young.items() if now >= at]:
            for name in grown:
                del self._young[name]
            self._say_unable(now)
        self._judge(now)

    def _alarm(self, alarm: Alarm, now: float) -> None:
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

    def announced(self) -> dict[Address, int]:
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
        """What another process answered for goes on, and nobody is told anew. Raises KeyError, ValueError."""
        self._known = frozenset(self._segments.macs)
        self.announcer.set_interfaces(self._segments.macs, now)
        self.announcer.restore(exported["announcer"], now)
        self.answering = dict(self.announcer.claimed)
        for address in self.answering:
            self.watch.claimed(address, now)
        self.duplicates = {ip_address(text): str(mac) for text, mac in exported["duplicates"].items()}
        for address in self.duplicates:
            self._detector.begin(address, now)
        for word, counter in (("announced", self._announced), ("foreign", self.foreign)):
            counter.update({ip_address(text): int(count) for text, count in exported[word].items()})
