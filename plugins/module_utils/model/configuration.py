# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of the API in, one configuration out: what is in force, and what is wrong with the rest.

Rules of this file:

* A bad object never takes a good one down. What is wrong is about one object, or one object's relation to
  another.
* Of two objects that can not both be in force, the one that is in force already stays, then one that was in
  force in another form, then the older one, then the first by name.
* An object that was good and has become bad stays in force as it was (``previous``): the last good
  configuration stays.
* Objects may be made in any order. A name that nothing has yet is reported and means nothing until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable, TypeVar, Union

from .advertisements import BGPAdvertisement, read_bgp_advertisement
from .fields import Fields, nearest
from .peers import Peer, read_peer
from .pools import Pool, read_pool
from .problems import ObjectRef, Problem, Report, reference
from .reasons import Effect, Reason

GROUP = "metallb.io"
VERSIONS = {
    "IPAddressPool": f"{GROUP}/v1beta1",
    "BGPPeer": f"{GROUP}/v1beta2",
    "BGPAdvertisement": f"{GROUP}/v1beta1",
}
_LATER = ("L2Advertisement", "BFDProfile", "Community")

Part = Union[Pool, Peer, BGPAdvertisement]
_P = TypeVar("_P", Pool, Peer, BGPAdvertisement)


@dataclass(frozen=True)
class Configuration:
    """What is in force, in a documented order, and the problems of what is not."""

    pools: tuple[Pool, ...] = ()  # in the order in which they are tried, see `Pool.priority`
    peers: tuple[Peer, ...] = ()  # by name
    advertisements: tuple[BGPAdvertisement, ...] = ()  # by name
    problems: tuple[Problem, ...] = ()
    # Which advertisements announce a pool, by the pool's name: those that select it and are fit for it.
    announcements: Mapping[str, tuple[BGPAdvertisement, ...]] = field(default_factory=dict, hash=False)
    # Objects that are in force as they were before, because they are bad as they are now.
    stale: frozenset[ObjectRef] = frozenset()

    @property
    def refused(self) -> tuple[Problem, ...]:
        """The problems because of which an object is not in force as it is written."""
        return tuple(problem for problem in self.problems if problem.effect is Effect.REFUSED)

    def advertisements_for(self, pool: str) -> tuple[BGPAdvertisement, ...]:
        """The advertisements that announce the pool of this name."""
        return self.announcements.get(pool, ())

    def problems_of(self, kind: str, name: str) -> tuple[Problem, ...]:
        """The problems of one object."""
        return tuple(item for item in self.problems if (item.object.kind, item.object.name) == (kind, name))


@dataclass
class _Entry:
    """An object on its way into the configuration."""

    ref: ObjectRef
    report: Report
    part: Part | None
    created: str
    before: Part | None = None

    @property
    def rank(self) -> tuple[bool, bool, str, str]:
        """Who goes first where two can not both be: in force as it is, then before, older, by name."""
        return (self.part != self.before, self.before is None, self.created or "9", self.ref.name)

    def demote(self) -> None:
        """Back to how it was before, if it was and if that is something else."""
        self.part = None if self.part == self.before else self.before


def parse(
    objects: Iterable[Mapping[str, Any]],
    *,
    previous: Configuration | None = None,
    namespace: str | None = None,
) -> Configuration:
    """The configuration that these objects make; it never raises for what they say.

    ``previous`` is the configuration until now, ``namespace`` the only one whose objects count (None: any).
    """
    before = _parts_by_name(previous)
    strangers: list[Problem] = []
    entries: list[_Entry] = []
    for item in objects:
        entry = _read(item, namespace, before, strangers)
        if entry is not None:
            entries.append(entry)
    entries = sorted(entries, key=lambda entry: entry.rank)
    _refuse_duplicate_names(entries)
    for entry in entries:
        if entry.report.refused:
            # Also where both are equal: what is refused may be a field that no part has.
            entry.part = entry.before
    entries.sort(key=lambda entry: entry.rank)
    _relate(entries)
    return _configuration(entries, strangers)


def _parts_by_name(previous: Configuration | None) -> dict[tuple[str, str, str], Part]:
    if previous is None:
        return {}
    kinds: tuple[tuple[str, Sequence[Part]], ...] = (
        ("IPAddressPool", previous.pools),
        ("BGPPeer", previous.peers),
        ("BGPAdvertisement", previous.advertisements),
    )
    return {(kind, part.namespace, part.name): part for kind, parts in kinds for part in parts}


# -- one object ----------------------------------------------------------------------------------------------


def _read(
    item: Mapping[str, Any],
    namespace: str | None,
    before: Mapping[tuple[str, str, str], Part],
    strangers: list[Problem],
) -> _Entry | None:
    ref = reference(item)
    report = Report(ref)
    if not _known(ref, report):
        strangers.extend(report.problems)
        return None
    if namespace is not None and ref.namespace not in ("", namespace):
        message = f"is {ref.namespace}; the configuration is read from {namespace} only"
        report.refuse("metadata.namespace", Reason.WRONG_NAMESPACE, message)
        strangers.extend(report.problems)
        return None
    created = str((item.get("metadata") or {}).get("creationTimestamp") or "")
    part = _read_part(item, ref, report)
    return _Entry(ref, report, part, created, before.get((ref.kind, ref.namespace, ref.name)))


def _known(ref: ObjectRef, report: Report) -> bool:
    wanted = VERSIONS.get(ref.kind)
    if wanted is not None and ref.api_version == wanted:
        return True
    if wanted is not None:
        report.refuse("apiVersion", Reason.UNSUPPORTED, f"is {ref.api_version!r}, should be {wanted}")
    elif ref.kind in _LATER and ref.api_version.startswith(f"{GROUP}/"):
        report.refuse(
            "kind", Reason.UNSUPPORTED, f"{ref.kind} is not supported yet; the object has no effect"
        )
    else:
        report.refuse(
            "kind", Reason.UNKNOWN_KIND, f"is not a kind of {GROUP}{nearest(ref.kind, list(VERSIONS))}"
        )
    return False


def _read_part(item: Mapping[str, Any], ref: ObjectRef, report: Report) -> Part | None:
    root = Fields(item, "", report)
    for name in ("apiVersion", "kind", "status"):
        root.has(name)
    metadata = root.mapping("metadata")
    labels = metadata.string_map("labels") if metadata is not None else {}
    if metadata is None or metadata.string("name") is None:
        report.refuse("metadata.name", Reason.MISSING_FIELD, "is required: the object's name")
    spec = root.mapping("spec") or Fields({}, "spec", report)
    root.done()
    readers: dict[str, Callable[..., Part | None]] = {
        "IPAddressPool": read_pool,
        "BGPPeer": read_peer,
        "BGPAdvertisement": read_bgp_advertisement,
    }
    return readers[ref.kind](ref.name, ref.namespace, labels, spec, report)


# -- objects among each other --------------------------------------------------------------------------------


def _refuse_duplicate_names(entries: list[_Entry]) -> None:
    seen: set[ObjectRef] = set()
    for entry in entries:
        if entry.ref in seen:
            message = "another object has this kind and name; rename or remove one of them"
            entry.report.refuse("metadata.name", Reason.DUPLICATE_NAME, message)
            entry.before = None
        seen.add(entry.ref)


def _relate(entries: list[_Entry]) -> None:
    _accept_one_by_one(entries, Pool, _refuse_overlap)
    _accept_one_by_one(entries, Peer, _refuse_clash)
    _accept_one_by_one(entries, BGPAdvertisement, _refuse_repetition)
    _name_dangling(entries)


def _accept_one_by_one(
    entries: list[_Entry], kind: type[_P], refuse: Callable[[_P, _P, Report], bool]
) -> None:
    """Each part meets those that are in force before it.

    One that is refused falls back to what it was before.
    """
    accepted: list[_P] = []
    for entry in entries:
        while isinstance(entry.part, kind):
            if not any(refuse(entry.part, other, entry.report) for other in accepted):
                accepted.append(entry.part)
                break
            entry.demote()


def _refuse_overlap(pool: Pool, other: Pool, report: Report) -> bool:
    overlap = pool.overlap(other)
    if overlap is None:
        return False
    mine, theirs = overlap
    message = f"{mine} overlaps {theirs} of IPAddressPool {other.name}; an address belongs to one pool"
    report.refuse("spec.addresses", Reason.OVERLAPPING_ADDRESSES, message)
    return True


def _refuse_clash(peer: Peer, other: Peer, report: Report) -> bool:
    if not peer.clashes(other):
        return False
    message = (
        f"{peer.address} port {peer.port} is the address of BGPPeer {other.name} too, and a node may "
        "be selected by both; "
        "remove one, or give them node selectors that exclude each other"
    )
    report.refuse("spec.peerAddress", Reason.DUPLICATE_PEER, message)
    return True


def _refuse_repetition(found: BGPAdvertisement, other: BGPAdvertisement, report: Report) -> bool:
    if found.content() != other.content():
        return False
    message = f"says the same as BGPAdvertisement {other.name}; remove one of them"
    report.refuse("spec", Reason.DUPLICATE_ADVERTISEMENT, message)
    return True


def _name_dangling(entries: list[_Entry]) -> None:
    """Names are compared with all objects, those that are refused too: their own problem is said already."""
    pools = {entry.ref.name for entry in entries if entry.ref.kind == "IPAddressPool"}
    peers = {entry.ref.name for entry in entries if entry.ref.kind == "BGPPeer"}
    for entry in entries:
        if isinstance(entry.part, BGPAdvertisement):
            _dangling(entry.part.pools, pools, "spec.ipAddressPools", "IPAddressPool", entry.report)
            _dangling(entry.part.peers, peers, "spec.peers", "BGPPeer", entry.report)


def _dangling(names: tuple[str, ...], known: set[str], path: str, kind: str, report: Report) -> None:
    for index, name in enumerate(names):
        if name not in known:
            hint = nearest(name, sorted(known)) if known else f"; there is no {kind} at all"
            message = f"there is no {kind} {name}, so the name has no effect{hint}"
            report.ignore(f"{path}[{index}]", Reason.DANGLING_REFERENCE, message)


# -- the result ----------------------------------------------------------------------------------------------


def _configuration(entries: list[_Entry], strangers: list[Problem]) -> Configuration:
    pools = sorted(_parts(entries, Pool), key=lambda pool: pool.priority)
    announcements = {pool.name: _announcements(pool, entries) for pool in pools}
    problems = strangers + [problem for entry in entries for problem in entry.report.problems]
    return Configuration(
        pools=tuple(pools),
        peers=tuple(sorted(_parts(entries, Peer), key=lambda peer: peer.name)),
        advertisements=tuple(sorted(_parts(entries, BGPAdvertisement), key=lambda item: item.name)),
        problems=tuple(
            sorted(problems, key=lambda problem: (problem.object, problem.field, problem.message))
        ),
        announcements=announcements,
        stale=frozenset(entry.ref for entry in entries if entry.report.refused and entry.part is not None),
    )


def _parts(entries: Iterable[_Entry], kind: type[_P]) -> list[_P]:
    return [entry.part for entry in entries if isinstance(entry.part, kind)]


def _announcements(pool: Pool, entries: list[_Entry]) -> tuple[BGPAdvertisement, ...]:
    """Those that select the pool and are fit for it.

    For another pool an unfit one may be right, so it stays in force.
    """
    chosen: list[BGPAdvertisement] = []
    for entry in entries:
        found = entry.part
        if not isinstance(found, BGPAdvertisement) or not found.selects_pool(pool):
            continue
        if _fit(found, pool, chosen, entry.report):
            chosen.append(found)
    return tuple(sorted(chosen, key=lambda item: item.name))


def _fit(found: BGPAdvertisement, pool: Pool, chosen: list[BGPAdvertisement], report: Report) -> bool:
    wide = found.too_wide_for(pool)
    if wide is not None:
        report.ignore(
            "spec.aggregationLength", Reason.AGGREGATION_TOO_SHORT, f"{wide}; it does not announce that pool"
        )
        return False
    for other in chosen:
        if found.conflicts(other, pool):
            message = (
                f"differs from that of BGPAdvertisement {other.name} for the same prefixes of pool "
                f"{pool.name}, peers and nodes; "
                "it does not announce that pool. Use one preference, or other peers, nodes or "
                "aggregation lengths"
            )
            report.ignore("spec.localPref", Reason.CONFLICTING_ADVERTISEMENT, message)
            return False
    return True


__all__ = ["GROUP", "VERSIONS", "Configuration", "parse"]
