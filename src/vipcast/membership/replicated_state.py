# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The replicated map as this node knows it: how entries are merged, looked up and forgotten."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import Enum, auto
from typing import TypeVar

from vipcast.membership.entries import Condition, Hold, Key, Kind, Node, Ownership, Value, Votes, newer
from vipcast.model.addresses import IPAddress

# What nobody wants any more is kept for so long, that a late packet does not bring it back as news.
FORGET_AFTER = 60.0
SWEEP_INTERVAL = 5.0
# Of what this node does not want itself: a new one is told of everything before its speaker has said
# anything.
ROOM = 65536

GONE = (Condition.DEAD, Condition.LEFT)

_V = TypeVar("_V")

Changed = Callable[[Key, Value | None, Value], None]


class Merged(Enum):
    CHANGED = auto()
    SAME = auto()
    OLDER = auto()
    REFUSED = auto()


class ReplicatedState:
    """``changed`` is told of every entry that is not what it was."""

    def __init__(self, changed: Changed) -> None:
        self.entries: dict[Key, Value] = {}
        self.owned: defaultdict[str, set[IPAddress]] = defaultdict(set)
        self.lists: dict[str, Mapping[str, int]] = {}  # whom each says that it hears
        self.group: frozenset[str] = frozenset()  # whom we hear both ways, by way of others too
        self.reach: frozenset[str] = frozenset()  # the same, or whom who is alone hears one way
        self.names: frozenset[str] = frozenset()
        self.wanted: Collection[IPAddress] = frozenset()
        self._changed = changed
        self._met: set[str] = set()  # who was in reach, ever
        self._doomed: dict[Key, float] = {}
        self._sweep_at = 0.0

    # ---- reading ----

    def node(self, name: str) -> Node | None:
        found = self.entries.get((Kind.NODE, name))
        return found if isinstance(found, Node) else None

    def condition(self, name: str) -> Condition | None:
        """Return DEAD for who is out of reach, and None for who never was in it."""
        found = self.node(name)
        if found is None or found.condition in GONE or name in self.reach:
            return None if found is None else found.condition
        return Condition.DEAD if name in self._met else None

    def known_alive(self, name: str) -> bool:
        """Return whether it says so itself, in reach or not."""
        found = self.node(name)
        return found is not None and found.condition is Condition.ALIVE

    def set_names(self, names: Iterable[str]) -> None:
        """Set the members that are expected: there is always room for entries of theirs."""
        self.names = frozenset(names)

    def set_wanted(self, addresses: Collection[IPAddress]) -> None:
        """Set the addresses that this node wants: there is always room for claims to them."""
        self.wanted = addresses

    def set_reach(self, group: frozenset[str], reach: frozenset[str]) -> None:
        """Set whom we hear both ways, and whom in any way."""
        self._met |= reach
        self.group, self.reach = group, reach

    def is_present(self, name: str) -> bool:
        """Alive, or about to leave."""
        return self.condition(name) in (Condition.ALIVE, Condition.LEAVING)

    def votes(self, name: str) -> Votes | None:
        found = self.entries.get((Kind.VOTES, name))
        return found if isinstance(found, Votes) else None

    def claim(self, address: IPAddress) -> Ownership | None:
        found = self.entries.get((Kind.CLAIM, address))
        return found if isinstance(found, Ownership) else None

    def worth_telling(self) -> list[Key]:
        """Return what a new member is told.

        That is not what is about to be forgotten, or it would go round for ever.
        """
        return [key for key in self.entries if key not in self._doomed]

    # ---- writing ----

    def merge(self, key: Key, value: Value) -> Merged:
        known = self.entries.get(key)
        if known == value:
            return Merged.SAME
        if known is not None and not newer(key, known, value):
            return Merged.OLDER
        if known is None and len(self.entries) >= ROOM and not self._ours(key):
            return Merged.REFUSED
        self._put(key, known, value)
        return Merged.CHANGED

    def _ours(self, key: Key) -> bool:
        return key[1] in (self.names if isinstance(key[1], str) else self.wanted)

    def _put(self, key: Key, known: Value | None, value: Value) -> None:
        self.entries[key] = value
        self._doomed.pop(key, None)
        self._index(key, known, -1)
        self._index(key, value, 1)
        self._changed(key, known, value)

    def _index(self, key: Key, value: Value | None, change: int) -> None:
        subject = key[1]
        if isinstance(value, Ownership) and not isinstance(subject, str) and value.hold is not Hold.RELEASED:
            update_index(self.owned, value.owner, subject, present=change > 0)
        elif isinstance(value, Votes) and isinstance(subject, str):
            self._list(subject, value, change)
        elif isinstance(value, Node) and isinstance(subject, str) and change > 0:
            self.lists.setdefault(subject, _Everyone(self, ()))

    def _list(self, name: str, votes: Votes, change: int) -> None:
        if change < 0:
            self.lists.pop(name, None)
        elif votes.links:
            self.lists[name] = dict(votes.links)
        else:
            self.lists[name] = _Everyone(self, [silent for silent, _number in votes.silent])

    # ---- forgetting ----

    @property
    def sweep_at(self) -> float:
        return self._sweep_at

    def sweep(self, now: float) -> list[Key]:
        """Forget what is of no use any more and return it; to be called at ``sweep_at``."""
        self._sweep_at = now + SWEEP_INTERVAL
        useless = [key for key, value in self.entries.items() if self._useless(key, value)]
        self._doomed = {key: self._doomed.get(key, now) for key in useless}
        gone = [key for key, since in self._doomed.items() if now - since >= FORGET_AFTER]
        for key in gone:
            self._index(key, self.entries.pop(key), -1)
            del self._doomed[key]
            if key[0] == Kind.NODE and isinstance(key[1], str):
                self.lists.pop(key[1], None)
                self._met.discard(key[1])
        return gone

    def _useless(self, key: Key, value: Value) -> bool:
        if self._ours(key):
            return False
        if isinstance(value, Ownership):
            return value.hold is Hold.RELEASED or not self.is_present(value.owner)
        if not isinstance(key[1], str):  # of a kind that we do not know: it goes with the claim
            claim = self.claim(key[1])
            return claim is None or self._useless((Kind.CLAIM, key[1]), claim)
        return True


class _Everyone(Mapping[str, int]):
    """The members that one of release 0.1.0 hears: all but those that it names, which it does not hear."""

    def __init__(self, state: ReplicatedState, silent: Collection[str]) -> None:
        self._state, self._silent = state, frozenset(silent)

    def __getitem__(self, name: str) -> int:
        if name in self._silent or name not in self._state.lists:
            raise KeyError(name)
        return 1

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._state.lists if name not in self._silent)

    def __len__(self) -> int:
        return sum(1 for _name in self)


def update_index(index: defaultdict[str, set[_V]], key: str, value: _V, *, present: bool) -> None:
    """Add the value to those of the key, or take it away; a key without values is forgotten."""
    if present:
        index[key].add(value)
        return
    index[key].discard(value)
    if not index[key]:
        del index[key]
