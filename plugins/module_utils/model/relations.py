# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects among each other: what overlaps, repeats, conflicts, or names what is not there.

Where two objects can not both be in force, the later one by `Entry.rank` falls back to what it was before. A
name that nothing has yet is reported and means nothing until then; only a community must be known, because a
route without it could reach too far.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Callable, TypeVar

from .advertisements import BGPAdvertisement
from .bfd import BfdProfile
from .communities import Community, CommunityValue
from .fields import nearest
from .layer2 import L2Advertisement
from .objects import AcceptedSpec, Entry, Part
from .peers import Peer
from .pools import Pool
from .problems import ObjectRef, Report
from .reasons import Reason
from .rivals import Rivals
from .texts import listed

_P = TypeVar("_P", Pool, Peer, BGPAdvertisement, L2Advertisement, BfdProfile, Community)


def relate(entries: list[Entry]) -> None:
    """Let every object meet the others; afterwards each entry has what is in force of it."""
    entries.sort(key=lambda entry: entry.rank)
    _accept_one_by_one(entries, Community, _refuse_alias)
    _resolve(entries)
    entries.sort(key=lambda entry: entry.rank)
    _accept_one_by_one(entries, Pool, _refuse_overlap)
    _accept_one_by_one(entries, Peer, _refuse_clash)
    _accept_one_by_one(entries, BGPAdvertisement, _refuse_repetition)
    _name_dangling(entries)
    _name_echo(entries)


def parts(entries: Iterable[Entry], kind: type[_P]) -> list[_P]:
    """Return what is in force of one kind, in the order of the entries."""
    return [entry.part for entry in entries if isinstance(entry.part, kind)]


def _accept_one_by_one(
    entries: list[Entry], kind: type[_P], refuse: Callable[[_P, _P, Report], bool]
) -> None:
    """Each part meets those that are in force before it; one that is refused falls back to what it was.

    Whose new form is accepted leaves its earlier one, and may make room: so until nothing changes. Judged
    again, the same objects then come to the same. Each round but the last puts one more in force as written.
    """
    mine = [entry for entry in entries if isinstance(entry.part, kind)]
    written = {entry.ref: entry.form for entry in mine if entry.form is not None and not entry.stale}
    for _round in mine:
        _accept_round(mine, kind, refuse)
        left = [entry for entry in mine if written.get(entry.ref, entry.form) != entry.form]
        if not left or all(entry.form == entry.before for entry in mine):
            break
        for entry in mine:
            entry.before = entry.form
        for entry in left:
            entry.form = written[entry.ref]
        mine.sort(key=lambda entry: entry.rank)
    _say_refused(mine, written, refuse)


def _accept_round(mine: list[Entry], kind: type[_P], refuse: Callable[[_P, _P, Report], bool]) -> None:
    """Keep the former form of an object whose new form would leave nothing of another in force."""
    while True:
        known = [(entry, entry.form) for entry in mine]
        newcomer = _meet(mine, kind, refuse)
        if newcomer is None:
            return
        for entry, form in known:
            entry.form = form
        newcomer.demote()


def _meet(mine: list[Entry], kind: type[_P], refuse: Callable[[_P, _P, Report], bool]) -> Entry | None:
    """Return whose new form takes down another's last good one; None where all have found their place."""
    accepted: Rivals[Entry] = Rivals()
    for entry in mine:
        quiet = Report(entry.ref)
        while isinstance(entry.part, kind):
            met = accepted.of(entry.part)
            hit = next((each for each in met if refuse(entry.part, each.part, quiet)), None)  # type: ignore[arg-type]
            if hit is None:
                accepted.add(entry.part, entry)
                break
            if entry.form == entry.before and hit.before is not None and hit.form != hit.before:
                return hit
            entry.demote()
    return None


def _say_refused(
    mine: list[Entry], written: Mapping[ObjectRef, AcceptedSpec], refuse: Callable[[_P, _P, Report], bool]
) -> None:
    """Name the oldest object that is in force in the end, so that all conflicts say the same.

    What an object was before is written nowhere any more: nobody is told what is wrong with that.
    """
    in_force: Rivals[Entry] = Rivals()
    for entry in sorted(mine, key=lambda entry: entry.age):
        if entry.part is not None:
            in_force.add(entry.part, entry)
    for entry in mine:
        form = written.get(entry.ref)
        if form is None or form == entry.form:
            continue
        others = (other.part for other in in_force.of(form.part) if other is not entry)
        next((other for other in others if refuse(form.part, other, entry.report)), None)  # type: ignore[arg-type]


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
        f"{peer.place} port {peer.port} is the address of BGPPeer {other.name} too, and a node may "
        "be selected by both; "
        "remove one, or give them node selectors that exclude each other"
    )
    field = "spec.interface" if peer.address is None else "spec.peerAddress"
    report.refuse(field, Reason.DUPLICATE_PEER, message)
    return True


def _refuse_repetition(found: BGPAdvertisement, other: BGPAdvertisement, report: Report) -> bool:
    if found.content() != other.content():
        return False
    message = f"says the same as BGPAdvertisement {other.name}; remove one of them"
    report.refuse("spec", Reason.DUPLICATE_ADVERTISEMENT, message)
    return True


# -- communities ---------------------------------------------------------------------------------------------


def _refuse_alias(found: Community, other: Community, report: Report) -> bool:
    twice = sorted(set(found.aliases) & set(other.aliases))
    if not twice:
        return False
    message = f"{listed(twice)}: in Community {other.name} too; remove one of them"
    report.refuse("spec.communities", Reason.DUPLICATE_ALIAS, message)
    return True


def _resolve(entries: list[Entry]) -> None:
    """Put communities in place of their names."""
    known = {alias: value for each in parts(entries, Community) for alias, value in each.aliases.items()}
    for entry in entries:
        if entry.ref.kind != "BGPAdvertisement":
            continue
        missing = _unknown(entry.form, known)
        _refuse_unknown(entry, missing, sorted(known))
        entry.before = None if _unknown(entry.before, known) else _resolved(entry.before, known)
        entry.form = entry.before if missing else _resolved(entry.form, known)


def _unknown(form: AcceptedSpec | None, known: Mapping[str, CommunityValue]) -> list[str]:
    aliases = form.part.aliases if form is not None and isinstance(form.part, BGPAdvertisement) else ()
    return [alias for alias in aliases if alias not in known]


def _refuse_unknown(entry: Entry, missing: list[str], known: list[str]) -> None:
    written = list(entry.form.spec.get("communities") or []) if entry.form is not None else []
    for alias in missing:
        hint = nearest(alias, known) if known else "; there is no Community at all"
        message = f"no Community names {alias}{hint}"
        field = f"spec.communities[{written.index(alias)}]"
        entry.report.refuse(field, Reason.DANGLING_REFERENCE, message)


def _resolved(form: AcceptedSpec | None, known: Mapping[str, CommunityValue]) -> AcceptedSpec | None:
    """The ``spec`` is changed with it: its last good form must mean the same when the Community has gone."""
    if form is None or not isinstance(form.part, BGPAdvertisement) or not form.part.aliases:
        return form
    part = form.part.resolved(known)
    return replace(form, part=part, spec={**form.spec, "communities": part.community_texts()})


# -- names ---------------------------------------------------------------------------------------------------


def _name_dangling(entries: list[Entry]) -> None:
    """Names are compared with all objects, those that are refused too: their own problem is said already."""
    names: dict[str, dict[str, None]] = {}  # sets that keep order
    for entry in sorted(entries, key=lambda entry: entry.ref.name):
        names.setdefault(entry.ref.kind, {})[entry.ref.name] = None
    for entry in entries:
        for path, kind, name in _references(entry.part):
            _dangling(path, kind, name, names.get(kind, {}), entry.report)


def _references(part: Part | None) -> list[tuple[str, str, str]]:
    """Path, kind and name of everything that a part names."""
    found: list[tuple[str, str, str]] = []
    if isinstance(part, (BGPAdvertisement, L2Advertisement)):
        found += [(f"spec.ipAddressPools[{i}]", "IPAddressPool", name) for i, name in enumerate(part.pools)]
    if isinstance(part, BGPAdvertisement):
        found += [(f"spec.peers[{i}]", "BGPPeer", name) for i, name in enumerate(part.peers)]
    if isinstance(part, Peer) and part.bfd_profile is not None:
        found.append(("spec.bfdProfile", "BFDProfile", part.bfd_profile))
    return found


def _dangling(path: str, kind: str, name: str, known: Collection[str], report: Report) -> None:
    if name not in known:
        hint = nearest(name, list(known)) if known else f"; there is no {kind} at all"
        message = f"there is no {kind} {name}, so the name has no effect{hint}"
        report.ignore(path, Reason.DANGLING_REFERENCE, message)


# -- BFD -----------------------------------------------------------------------------------------------------


def _name_echo(entries: list[Entry]) -> None:
    """RFC 5883 section 1: over several hops there is none. In FRR, the other end of most, it is for IPv4."""
    echo = {profile.name for profile in parts(entries, BfdProfile) if profile.echo_mode}
    for entry in entries:
        peer = entry.part
        if not isinstance(peer, Peer) or peer.bfd_profile not in echo:
            continue
        if peer.address is None or peer.address.version == 6 or peer.several_hops:
            message = (
                f"BFDProfile {peer.bfd_profile} has echoMode, which is for IPv4 neighbors one hop away: "
                "no echo packets are sent. Use a profile without echoMode"
            )
            entry.report.ignore("spec.bfdProfile", Reason.ECHO_NOT_POSSIBLE, message)


__all__ = ["parts", "relate"]
