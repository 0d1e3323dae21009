# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared map as this node knows it: merged, looked up from several sides, and forgotten in the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from enum import Enum, auto
from typing import TypeVar

from vipcast.members.entries import Condition, Hold, Key, Kind, Node, Ownership, Value, Votes, newer
from vipcast.members.words import Address

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


class Shared:
    """``changed`` is told of every entry that is not what it was."""

    def __init__(self, changed: Changed) -> None:
        self.entries: dict[Key, Value] = {}
        self.owned: defaultdict[str, set[Address]] = defaultdict(set)
        self.voters: defaultdict[str, set[str]] = defaultdict(set)  # by whom they do not hear
        self.names: Collection[str] = frozenset()
        self.wanted: Collection[Address] = frozenset()
        self.refused = False  # since it was last asked: somebody knows more
        self._changed = changed
        self._doomed: dict[Key, float] = {}
        self._sweep_at = 0.0

    # ---- reading ----

    def node(self, name: str) -> Node | None:
        found = self.entries.get((Kind.NODE, name))
        return found if isinstance(found, Node) else None

    def condition(self, name: str) -> Condition | None:
        found = self.node(name)
        return None if found is None else found.condition

    def there(self, name: str) -> bool:
        """Alive, or about to leave."""
        return self.condition(name) in (Condition.ALIVE, Condition.LEAVING)

    def votes(self, name: str) -> Votes | None:
        found = self.entries.get((Kind.VOTES, name))
        return found if isinstance(found, Votes) else None

    def claim(self, address: Address) -> Ownership | None:
        found = self.entries.get((Kind.CLAIM, address))
        return found if isinstance(found, Ownership) else None

    def worth_telling(self) -> list[Key]:
        """To somebody new: not what is about to be forgotten, or it would go round for ever."""
        return [key for key in self.entries if key not in self._doomed]

    # ---- writing ----

    def merge(self, key: Key, value: Value) -> Merged:
        known = self.entries.get(key)
        if known == value:
            return Merged.SAME
        if known is not None and not newer(key, known, value):
            return Merged.OLDER
        if known is None and len(self.entries) >= ROOM and not self._ours(key):
            self.refused = True
            return Merged.REFUSED
        self._put(key, known, value)
        return Merged.CHANGED

    def _ours(self, key: Key) -> bool:
        return key[1] in (self.wanted if key[0] is Kind.CLAIM else self.names)

    def _put(self, key: Key, known: Value | None, value: Value) -> None:
        self.entries[key] = value
        self._doomed.pop(key, None)
        self._index(key, known, -1)
        self._index(key, value, 1)
        self._changed(key, known, value)

    def _index(self, key: Key, value: Value | None, change: int) -> None:
        subject = key[1]
        if isinstance(value, Ownership) and not isinstance(subject, str) and value.hold is not Hold.RELEASED:
            _change(self.owned, value.owner, subject, change)
        elif isinstance(value, Votes) and isinstance(subject, str):
            for name, _number in value.silent:
                _change(self.voters, name, subject, change)

    # ---- forgetting ----

    @property
    def sweep_at(self) -> float:
        return self._sweep_at

    def sweep(self, now: float) -> list[Key]:
        """What was forgotten, to be called at ``sweep_at``."""
        self._sweep_at = now + SWEEP_INTERVAL
        useless = [key for key, value in self.entries.items() if self._useless(key, value)]
        self._doomed = {key: self._doomed.get(key, now) for key in useless}
        gone = [key for key, since in self._doomed.items() if now - since >= FORGET_AFTER]
        for key in gone:
            self._index(key, self.entries.pop(key), -1)
            del self._doomed[key]
        return gone

    def _useless(self, key: Key, value: Value) -> bool:
        if self._ours(key):
            return False
        if isinstance(value, Ownership):
            return value.hold is Hold.RELEASED or not self.there(value.owner)
        return True


def _change(index: defaultdict[str, set[_V]], key: str, value: _V, change: int) -> None:
    if change > 0:
        index[key].add(value)
        return
    index[key].discard(value)
    if not index[key]:
        del index[key]
