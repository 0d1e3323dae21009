# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision about every service: a snapshot of pools and services in, outcomes out. No I/O.

Rules of this file:

* A service keeps its address as long as it may, also where it asks for one that it can not have (`fate`).
* When the controller starts, and when the configuration changes, those that have an address are settled
  first, oldest first; then the others get theirs, oldest first.
* One change of one service costs the same with ten services as with ten thousand.
* What somebody else wrote into a status is nobody's address; it is repaired.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Callable

from ..model.addresses import IPAddress
from ..model.pools import Pool
from .allocator import Allocator, allows
from .pending import PendingServices
from .request import Allocation, Holder, Refusal, Request
from .service import Relation, View

__all__ = ["Decider", "Outcome"]

# Addresses for each of which it is looked who could have it, before anybody tries.
FEW = 8


@dataclass(frozen=True)
class Outcome:
    """The outcome for one service."""

    relation: Relation
    result: Allocation | Refusal | None = None  # None: nothing of ours is on it, or nothing is known yet
    refusal: Refusal | None = None  # beside an allocation: why it is not the one that is asked for


class Decider:
    """Holds the snapshot; `take_changed` says whose outcome has to be looked at again."""

    def __init__(self) -> None:
        self.allocator = Allocator()
        self.waiting = PendingServices()
        self.views: dict[Holder, View] = {}
        self._refusals: dict[Holder, Refusal] = {}
        self._changed: dict[Holder, None] = {}  # a set that keeps order
        self._opened: list[IPAddress] = []  # were leaving a service, and are held again: others may join
        self._taken: list[IPAddress] = []  # have another holder, of whom those who ask for them are told

    # -- what happens --------------------------------------------------------------------------------------

    def start(self, pools: Iterable[Pool], views: Iterable[View]) -> None:
        """The first snapshot."""
        deque(self.starting(pools, views), maxlen=0)

    def starting(self, pools: Iterable[Pool], views: Iterable[View]) -> Iterator[None]:
        """Do the same in steps, one service in each; until it is done, nothing else may be asked or told."""
        self.allocator.configure(pools)
        self.views = {view.key: view for view in views}
        oldest_first = sorted(self.views.values(), key=lambda view: view.age)
        for view in oldest_first:
            if view.shown and isinstance(view.want, Request):
                self.allocator.keep(view.want, view.shown)
            yield
        for view in oldest_first:
            if view.shown and view.key not in self.allocator.book.allocations:
                self._keep(view, view.shown)
            yield
        for view in oldest_first:
            self.allocator.observe(view.key, view.shown)
            yield
        yield from self._decide_all(oldest_first)

    def configure(self, pools: Iterable[Pool]) -> None:
        """Other pools are in force: every service is decided again."""
        deque(self.configuring(pools), maxlen=0)

    def configuring(self, pools: Iterable[Pool]) -> Iterator[None]:
        """Do the same in steps, as `starting` does."""
        self.allocator.configure(pools)
        oldest_first = sorted(self.views.values(), key=lambda view: view.age)
        for view in oldest_first:
            self._keep_or_release(view)
            yield
        yield from self._decide_all(oldest_first)

    def _decide_all(self, oldest_first: list[View]) -> Iterator[None]:
        for view in oldest_first:
            self._decide(view)
            yield
        self._feed([])
        self._changed.update(dict.fromkeys(self.views))

    def service(self, key: Holder, view: View | None) -> None:
        """A service was made, changed or deleted."""
        old = self.views.get(key)
        if old is not None and (view is None or view.uid != old.uid):
            # Those who wait come before a service that was made again under the same name.
            self._feed(self._forget(key))
            old = None
        if view is not None:
            self._take(view, old)

    def observed(self, key: Holder, shown: tuple[IPAddress, ...]) -> None:
        """The API server is known to show exactly these on the service, after what was written to it."""
        if key in self.views:
            self._feed(self.allocator.observe(key, shown))

    def take_changed(self) -> list[Holder]:
        """Return whose outcome may have changed, or may differ from what is shown; each once."""
        changed, self._changed = list(self._changed), {}
        return changed

    # -- what is true now ----------------------------------------------------------------------------------

    def outcome(self, key: Holder) -> Outcome | None:
        """Return what should be true of the service; None if there is none of that name."""
        view = self.views.get(key)
        if view is None:
            return None
        held, refusal = self.allocator.book.allocations.get(key), self._refusals.get(key)
        return Outcome(view.relation, held or refusal, refusal if held else None)

    def why_not(self, key: Holder, addresses: tuple[IPAddress, ...]) -> Refusal | None:
        """The rule by which the service may not hold these addresses."""
        view = self.views.get(key)
        if view is None or view.needs is None:
            return view.want if view is not None and isinstance(view.want, Refusal) else None
        wants = [view.want] if isinstance(view.want, Request) else []
        checked = (self.allocator.check(each, addresses) for each in (view.needs, *wants))
        return next((each for each in checked if isinstance(each, Refusal)), None)

    # -- one service ---------------------------------------------------------------------------------------

    def _take(self, view: View, old: View | None) -> None:
        self.views[view.key] = view
        self._changed[view.key] = None
        freed = self.allocator.observe(view.key, view.shown)
        changed = old is None or old.want != view.want
        opened = self._terms_changed(view, old) if changed else []
        if freed and changed:
            self._line_up(view)
        self._feed(freed)
        if changed:
            self._decide(view)
        self._feed(opened)

    def _line_up(self, view: View) -> None:
        """A service whose wish changes while something is freed is served in its turn, by age."""
        self._keep_or_release(view)
        held = self.allocator.book.held_by(view.key)
        if isinstance(view.want, Request) and not (held and self._is_right(view.want, held)):
            self.waiting.add(view.age, self._line_for(view.want), view.want.addresses)

    def _terms_changed(self, view: View, old: View | None) -> list[IPAddress]:
        """A holder that shares on other terms may let others in, as if its addresses were freed."""
        if old is None or not isinstance(old.want, Request) or not isinstance(view.want, Request):
            return []
        held = self.allocator.book.held_by(view.key)
        return list(held) if old.want.sharing != view.want.sharing else []

    def _forget(self, key: Holder) -> list[IPAddress]:
        self.allocator.release(key)
        self.waiting.remove(key)
        self._refusals.pop(key, None)
        del self.views[key]
        self._changed[key] = None
        return self.allocator.observe(key)

    def _keep_or_release(self, view: View) -> None:
        held = self.allocator.book.held_by(view.key)
        if held and not view.is_unknown and not self._keep(view, held):
            self.allocator.release(view.key)

    def _keep(self, view: View, addresses: tuple[IPAddress, ...]) -> bool:
        """Let it hold what it has, as what it asks for or as what stays in spite of that."""
        if isinstance(view.want, Request) and self.allocator.keep(view.want, addresses):
            return True
        return view.needs is not None and self.allocator.keep(view.needs, addresses) is not None

    def _is_right(self, want: Request, addresses: tuple[IPAddress, ...]) -> bool:
        return isinstance(self.allocator.check(want, addresses), Allocation)

    def _decide(self, view: View) -> None:
        """Give the service what it should have, and let it wait for what it can not have yet."""
        book = self.allocator.book
        leaving, held = book.leaving.get(view.key, ()), book.held_by(view.key)
        answer = self._answer(view)
        for address in book.held_by(view.key):
            if address not in held:
                (self._opened if address in leaving else self._taken).append(address)
        if isinstance(answer, Refusal):
            self._refusals[view.key] = answer
        else:
            self._refusals.pop(view.key, None)
        line = self._line(view.want, answer) if isinstance(view.want, Request) else None
        if isinstance(view.want, Request) and line is not None:
            self.waiting.add(view.age, line, view.want.addresses)
        else:
            self.waiting.remove(view.key)

    def _answer(self, view: View) -> Allocation | Refusal | None:
        if view.is_unknown:
            return None
        want, had = view.want, self.allocator.book.held_by(view.key) or view.shown
        if isinstance(want, Request):
            if view.shown and view.key not in self.allocator.book.allocations:
                self.allocator.keep(want, view.shown)
            answer: Allocation | Refusal | None = self.allocator.allocate(want)
        else:
            answer = want
        if isinstance(answer, Refusal) and self._stays(view, had, answer):
            return answer
        if not isinstance(want, Request):
            self.allocator.release(view.key)
        return answer

    def _stays(self, view: View, had: tuple[IPAddress, ...], refusal: Refusal) -> bool:
        held = isinstance(view.want, Request) and view.key in self.allocator.book.allocations
        return held or (view.needs is not None and self.allocator.stay(view.needs, had, refusal))

    # -- those who wait ------------------------------------------------------------------------------------

    def _feed(self, freed: list[IPAddress]) -> None:
        """Serve those who wait, with what is free now and with what others hold again and may share."""
        # After a change of the pools most of what is freed is of no pool any more, and helps nobody.
        self._opened += [address for address in freed if self.allocator.pool_of(address) is not None]
        while self._opened or self._taken:
            opened, self._opened = self._opened, []
            taken, self._taken = self._taken, []
            if opened:
                self.waiting.serve(opened, self._try, self._helped_by(opened))
            self.waiting.tell(taken, self._try)

    def _helped_by(self, opened: list[IPAddress]) -> Callable[[Holder], bool]:
        """Return a function that tells whether a service that waits could have one of these addresses.

        It is asked about services that wait for any address, just before each tries: an older one may have
        got the address by then. With more than `FEW` addresses all services may try.
        """
        if len(opened) > FEW:
            return lambda _key: True

        def may_help(key: Holder) -> bool:
            want = self.views[key].want
            return isinstance(want, Request) and any(
                address.version in want.families and self.allocator.is_open_to(want, address)
                for address in opened
            )

        return may_help

    def _try(self, key: Holder) -> bool:
        held, refusal = self.allocator.book.held_by(key), self._refusals.get(key)
        self._decide(self.views[key])
        moved = self.allocator.book.held_by(key) != held
        if moved:
            self._changed[key] = None
        elif self._refusals.get(key) != refusal:
            self._said_otherwise(key)
        return moved and key not in self._refusals

    def _said_otherwise(self, key: Holder) -> None:
        """Note that a waiting service has another reason now: so have all that wait behind it."""
        self._changed[key] = None
        for other in self.waiting.behind(key):
            self._decide(self.views[other])
            self._changed[other] = None

    def _line(self, want: Request, answer: Allocation | Refusal | None) -> tuple[object, ...] | None:
        """Return where the service waits, if it does.

        A service that has one family and would like two waits for the other one in its pool.
        """
        if isinstance(answer, Refusal):
            return self._line_for(want)
        if answer is not None and len(answer.addresses) < len(want.families):
            return ("other family", answer.pool, answer.addresses[0].version, want.sharing)
        return None

    def _line_for(self, want: Request) -> tuple[object, ...]:
        """Requests of one line are refused alike."""
        pools = tuple(pool.name for pool in self.allocator.restricted if allows(pool, want))
        return (want.families, want.require_all, want.addresses, want.pool, pools, want.sharing)
