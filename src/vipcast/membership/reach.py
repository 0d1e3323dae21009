# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find who can be reached over pairs that hear each other, a pure function of what everyone says it hears.

Each member says whom it hears, and with whom that goes both ways (as routers do in OSPF, RFC 2328 section
16.1: a link counts where both ends list it). Whoever can be reached over such pairs is there, whoever cannot
is dead, and nobody has to be told so: of the same lists everyone in a group computes the same group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

BOTH_WAYS, ONE_WAY = 1, 0

Lists = Mapping[str, Mapping[str, int]]
"""By member: whom it hears, as BOTH_WAYS or ONE_WAY."""
Links = Iterable[tuple[str, int]]
"""What one of them says, in pairs."""


def group(name: str, lists: Lists, fresh: Iterable[str] = ()) -> frozenset[str]:
    """Return all that can be reached from ``name`` over pairs that hear each other; itself too.

    ``fresh``: whom it hears both ways since a moment, so that their lists may not say it yet.
    """
    found = {name, *fresh}
    todo = list(found)
    while todo:
        one = todo.pop()
        fresh = [other for other in lists.get(one, ()) if other not in found and pair(one, other, lists)]
        found.update(fresh)
        todo += fresh
    return frozenset(found)


def pair(one: str, other: str, lists: Lists) -> bool:
    """Return whether both say that they hear each other."""
    return lists.get(one, {}).get(other) == BOTH_WAYS == lists.get(other, {}).get(one)


def lost(before: Links, after: Links) -> bool:
    """Return whether somebody was heard both ways before, and is not any more."""
    kept = {name for name, both in after if both == BOTH_WAYS}
    return any(both == BOTH_WAYS and name not in kept for name, both in before)


def single(name: str, lists: Lists) -> bool:
    """Return whether ``name`` has nobody."""
    return not any(pair(name, other, lists) for other in lists.get(name, ()) if other != name)


def upstream(name: str, lists: Lists) -> frozenset[str]:
    """Return whom ``name``, which hears nobody both ways, hears all the same, by way of others too.

    Whoever has a group follows that alone, so what such a one hears one way is not followed.
    """
    found, todo = {name}, [name]
    while todo:
        one = todo.pop()
        fresh = set(_followed(one, lists)) - found
        found |= fresh
        todo += fresh
    return frozenset(found)


def _followed(name: str, lists: Lists) -> Iterable[str]:
    heard = lists.get(name, {})
    paired = [other for other in heard if other != name and pair(name, other, lists)]
    return paired or heard


def above(name: str, lists: Lists) -> frozenset[str]:
    """Return those upstream of ``name`` that do not depend on it: they do not hear it in any way."""
    return frozenset(other for other in upstream(name, lists) if name not in upstream(other, lists))
