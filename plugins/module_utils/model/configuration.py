# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of the API in, one configuration out: what is in force, and what is wrong with the rest.

Rules of this file:

* A bad object never takes a good one down. What is wrong is about one object, or one object's relation to
  another.
* Of two objects that can not both be in force, the one that is in force already stays, then one that was in
  force in another form, then the older one, then the first by name.
* An object that was good and has become bad stays in force as it was: the last good configuration stays. What
  was in force is known from ``previous``, and from the objects' own statuses (`objects`).
* Objects may be made in any order. A name that nothing has yet is reported and means nothing until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .addresses import IPAddress
from .advertisements import BGPAdvertisement, Nodes
from .bfd import BfdProfile
from .communities import Community
from .intervals import Intervals
from .layer2 import L2Advertisement
from .objects import GROUP, OLD_VERSIONS, REPORTS, VERSIONS, AcceptedSpec, Entry, known_kind, read_object
from .peers import Peer
from .pools import Pool
from .problems import ObjectRef, Problem, Report, reference
from .reasons import Effect, Reason
from .relations import parts, relate


@dataclass(frozen=True)
class Configuration:
    """The configuration in force, in a documented order, and the problems of what is not."""

    pools: tuple[Pool, ...] = ()  # in the order in which they are tried, see `Pool.priority`
    peers: tuple[Peer, ...] = ()  # this and what follows: by name
    advertisements: tuple[BGPAdvertisement, ...] = ()
    layer2_advertisements: tuple[L2Advertisement, ...] = ()
    bfd_profiles: tuple[BfdProfile, ...] = ()
    communities: tuple[Community, ...] = ()
    problems: tuple[Problem, ...] = ()
    # Which advertisements announce a pool, by the pool's name: those that select it and are fit for it.
    announcements: Mapping[str, tuple[BGPAdvertisement, ...]] = field(default_factory=dict, hash=False)
    # Objects that are in force as they were before, because they are bad as they are now.
    stale: frozenset[ObjectRef] = frozenset()
    # What is in force of each object, as it was written; passwords are in it.
    forms: Mapping[ObjectRef, AcceptedSpec] = field(
        default_factory=dict, hash=False, compare=False, repr=False
    )
    # What MetalLB's old ConfigMap says (`legacy_objects.Conversion`), where there is one.
    config_map: Any = field(default=None, hash=False, compare=False, repr=False)
    # Which generation of each object was judged; None where it has none.
    judged: Mapping[ObjectRef, int | None] = field(
        default_factory=dict, hash=False, compare=False, repr=False
    )

    @property
    def refused(self) -> tuple[Problem, ...]:
        """The problems because of which an object is not in force as it is written."""
        return tuple(problem for problem in self.problems if problem.effect is Effect.REFUSED)

    def advertisements_for(self, pool: str) -> tuple[BGPAdvertisement, ...]:
        """The advertisements that announce the pool of this name."""
        return self.announcements.get(pool, ())

    def layer2_advertisements_for(self, pool: Pool) -> tuple[L2Advertisement, ...]:
        """The layer 2 advertisements that are about the pool."""
        return tuple(each for each in self.layer2_advertisements if each.selects_pool(pool))

    def problems_of(self, kind: str, name: str) -> tuple[Problem, ...]:
        """The problems of one object."""
        return tuple(self._problems_by_name.get((kind, name), ()))

    def pool_of(self, address: IPAddress) -> Pool | None:
        """The pool that has the address, or None."""
        return self._ranges.at(address)

    @cached_property
    def _problems_by_name(self) -> dict[tuple[str, str], list[Problem]]:
        found: dict[tuple[str, str], list[Problem]] = {}
        for problem in self.problems:
            found.setdefault((problem.object.kind, problem.object.name), []).append(problem)
        return found

    @cached_property
    def _ranges(self) -> Intervals[Pool]:
        return Intervals((item, pool) for pool in self.pools for item in pool.ranges)


def parse(
    objects: Iterable[Mapping[str, Any]],
    *,
    previous: Configuration | None = None,
    namespace: str | None = None,
    nodes: Nodes | None = None,
) -> Configuration:
    """The configuration that these objects make; it never raises for what they say.

    ``previous`` is the configuration until now, ``namespace`` the only one whose objects count (None: any).
    ``nodes`` are the labels of the nodes that there are (None: not known, there may be any).
    """
    forms = previous.forms if previous is not None else {}
    strangers: list[Problem] = []
    entries: list[Entry] = []
    for item in objects:
        report = Report(reference(item))
        if report.ref.kind in REPORTS:
            continue
        if not known_kind(report.ref, report) or _elsewhere(report, namespace):
            strangers.extend(report.problems)
        else:
            entries.append(read_object(item, forms, report))
    entries = _one_of_each(sorted(entries, key=lambda entry: entry.rank))
    for entry in entries:
        if entry.report.refused:
            # Also where both are equal: what is refused may be a field that no part has.
            entry.form = entry.before
    relate(entries)
    return _configuration(entries, strangers, nodes)


def _elsewhere(report: Report, namespace: str | None) -> bool:
    where = report.ref.namespace
    if namespace is None or where in ("", namespace):
        return False
    message = f"is {where}; the configuration is read from {namespace} only"
    report.refuse("metadata.namespace", Reason.WRONG_NAMESPACE, message)
    return True


def _one_of_each(entries: list[Entry]) -> list[Entry]:
    """Refuse the second of two with one name, unless it is the same object in another version."""
    first: dict[ObjectRef, Entry] = {}
    found: list[Entry] = []
    for entry in entries:
        other = first.setdefault(entry.ref, entry)
        if other is not entry:
            if entry.ref.api_version != other.ref.api_version and entry.form == other.form:
                continue
            message = "another object has this kind and name; rename or remove one of them"
            entry.report.refuse("metadata.name", Reason.DUPLICATE_NAME, message)
            entry.before = None
        found.append(entry)
    return found


# -- the result ----------------------------------------------------------------------------------------------


def _configuration(entries: list[Entry], strangers: list[Problem], nodes: Nodes | None) -> Configuration:
    pools = sorted(parts(entries, Pool), key=lambda pool: pool.priority)
    by_age = sorted(entries, key=lambda entry: entry.age)
    finder = _Finder(by_age)
    announcements = {pool.name: _announcements(pool, finder.entries(pool), nodes) for pool in pools}
    problems = strangers + [problem for entry in entries for problem in entry.report.problems]
    by_name = sorted(entries, key=lambda entry: entry.ref.name)
    return Configuration(
        pools=tuple(pools),
        peers=tuple(parts(by_name, Peer)),
        advertisements=tuple(parts(by_name, BGPAdvertisement)),
        layer2_advertisements=tuple(parts(by_name, L2Advertisement)),
        bfd_profiles=tuple(parts(by_name, BfdProfile)),
        communities=tuple(parts(by_name, Community)),
        problems=tuple(
            sorted(problems, key=lambda problem: (problem.object, problem.field, problem.message))
        ),
        announcements=announcements,
        stale=frozenset(entry.ref for entry in entries if entry.stale),
        judged={entry.ref: entry.generation for entry in entries},
        forms={entry.ref: entry.form for entry in entries if entry.form is not None},
    )


class _Finder:
    """The advertisements that may be about a pool: those that name it, and those that name none."""

    def __init__(self, by_age: Iterable[Entry]) -> None:
        self._named: dict[str, list[tuple[int, Entry]]] = {}
        self._others: list[tuple[int, Entry]] = []
        for number, entry in enumerate(by_age):
            found = entry.part
            if not isinstance(found, BGPAdvertisement):
                continue
            if not found.pools or found.pool_selectors:
                self._others.append((number, entry))
            else:
                for name in found.pools:
                    self._named.setdefault(name, []).append((number, entry))

    def entries(self, pool: Pool) -> list[Entry]:
        """Return them by age."""
        found = [*self._named.get(pool.name, ()), *self._others]
        return [entry for _number, entry in sorted(found, key=lambda each: each[0])]


def _announcements(pool: Pool, entries: list[Entry], nodes: Nodes | None) -> tuple[BGPAdvertisement, ...]:
    """Return those that select the pool and are fit for it; of two that conflict the older one.

    For another pool an unfit one may be right, so it stays in force. What was announced until now has no part
    in it: nobody remembers that across a restart.
    """
    chosen: list[BGPAdvertisement] = []
    for entry in entries:
        found = entry.part
        if not isinstance(found, BGPAdvertisement) or not found.selects_pool(pool):
            continue
        if _fit(found, pool, chosen, entry.report, nodes):
            chosen.append(found)
    return tuple(sorted(chosen, key=lambda item: item.name))


def _fit(
    found: BGPAdvertisement,
    pool: Pool,
    chosen: list[BGPAdvertisement],
    report: Report,
    nodes: Nodes | None,
) -> bool:
    wide = found.too_wide_for(pool)
    if wide is not None:
        report.ignore(
            "spec.aggregationLength", Reason.AGGREGATION_TOO_SHORT, f"{wide}; it does not announce that pool"
        )
        return False
    for other in chosen:
        if found.conflicts(other, pool, nodes):
            message = (
                f"differs from that of BGPAdvertisement {other.name} for the same prefixes of pool "
                f"{pool.name}, peers and nodes; "
                "it does not announce that pool. Use one value, or other peers, nodes or "
                "aggregation lengths"
            )
            field_name = found.difference(other) or "localPref"
            report.ignore(f"spec.{field_name}", Reason.CONFLICTING_ADVERTISEMENT, message)
            return False
    return True


__all__ = ["GROUP", "OLD_VERSIONS", "VERSIONS", "Configuration", "parse"]
