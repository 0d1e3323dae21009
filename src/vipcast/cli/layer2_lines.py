# SPDX-License-Identifier: GPL-3.0-or-later
"""Layer 2 as lines of text: of a speaker's status, and of the ServiceL2Statuses of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from vipcast.cli.sessions import age
from vipcast.cli.table import table
from vipcast.net.interfaces import Refusal

__all__ = ["answers", "layer2_lines", "owned", "owners", "process_lines"]

_Json = dict[str, Any]
_NOTHING = "-"
_MEMBERS = ("MEMBER", "STATE", "SINCE", "ADDRESS", "ROUND TRIP", "WHY")
_OWNERS = ("SERVICE", "ADDRESS", "OWNER", "SINCE", "INTERFACES AND MACS", "WHY")


_HELD = ("ADDRESS", "HOLDING", "OWNER", "SINCE", "INTERFACES AND MACS", "WHY")


def process_lines(document: _Json, now: datetime) -> Iterator[str]:
    """The status of `vipcast layer2` itself."""
    status = document["status"]
    asked = "asked by a speaker" if status["clients"] else "no speaker, what was said last counts"
    yield f"layer 2 on {status['node'] or 'a node that no speaker has named'}, vipcast {document['version']},"
    yield f"{status['priority']} priority, {asked}"
    yield ""
    if status["addresses"]:
        yield from table(_HELD, [_held(name, each, now) for name, each in status["addresses"].items()])
    else:
        yield "Nothing is to be answered for."
    if status["members"]:
        members = ({"name": name, **_plain(each)} for name, each in sorted(status["members"].items()))
        yield ""
        yield from table(_MEMBERS, [_member(each, now) for each in members])
    for reason, count in sorted(status["traffic"]["dropped"].items()):
        yield f"{count} heartbeats were not believed: {reason}"
    yield from (f"\n{problem}" for problem in status["problems"])


def _held(address: str, each: _Json, now: datetime) -> tuple[str, ...]:
    where = ", ".join(" ".join(pair) for pair in each["interfaces"]) or _NOTHING
    since = age(_time(each["since_wall"]), now)
    return address, each["holding"], each["owner"] or "nobody", since, where, each["why"]


def _plain(member: _Json) -> _Json:
    """Yield the lines for a service, from a speaker's status."""
    return {**member, "since": _time(member["since_wall"]), "roundTrip": member["round_trip"]}


def _time(wall: float) -> str | None:
    return datetime.fromtimestamp(wall, UTC).isoformat() if wall else None


def answers(entry: _Json, now: datetime) -> tuple[str, str]:
    """Return whether this node answers for an address, and in words: since when, or why not and who does."""
    words = [owned(entry, now)] if entry.get("node") else []
    if entry.get("reason") == "notOwner" and words:
        words = [f"notOwner: {words[0]}"]
    elif not entry["announced"]:
        words.insert(0, f"{entry['reason']}: {entry['message']}")
    if entry.get("foreign"):
        words.append(f"{', '.join(entry['foreign'])} answers too, a stranger")
    return ("yes" if entry["announced"] else "no"), "; ".join(words)


def owned(entry: _Json, now: datetime) -> str:
    """Return who has an address, since when, and why."""
    where = f" on {_interfaces(entry)}" if entry.get("interfaces") else ""
    why = f" ({entry['why']})" if entry.get("why") else ""
    return f"{entry['node']} answers{where} since {age(entry.get('since'), now)}{why}"


def _interfaces(entry: _Json) -> str:
    return ", ".join(f"{each['name']} {each['mac']}" for each in entry.get("interfaces") or ())


def layer2_lines(
    layer2: _Json | None, services: Sequence[_Json], now: datetime, *, wide: bool
) -> Iterator[str]:
    """The members, what is wrong, and with `wide` of each address who stands by and why not the others."""
    if not layer2:
        return
    yield ""
    if layer2["members"]:
        yield from table(_MEMBERS, [_member(each, now) for each in layer2["members"]])
    elif layer2["connected"]:
        yield "Layer 2: no other node is a member."
    else:
        yield "Layer 2: the process vipcast layer2 is not there."
    yield from _interface_notes(layer2["interfaces"], wide=wide)
    yield from (f"\nlayer 2: {problem}" for problem in layer2["problems"])
    if wide:
        yield from _alternatives(services)


def _member(each: _Json, now: datetime) -> tuple[str, ...]:
    trip = each.get("roundTrip")
    return (
        each["name"],
        each["state"],
        age(each.get("since"), now),
        each.get("address") or _NOTHING,
        f"{1000 * trip:.1f} ms" if trip is not None else _NOTHING,
        each.get("why") or "",
    )


def _interface_notes(interfaces: Sequence[_Json], *, wide: bool) -> Iterator[str]:
    for each in interfaces:
        if each.get("problem"):
            yield f"  interface {each['name']}: {each['problem']}"
        elif wide:
            told = (
                f"not used: {_why(each['refused'])}" if each.get("refused") else f"answers with {each['mac']}"
            )
            yield f"  interface {each['name']}: {told}"


def _why(refusal: str) -> str:
    """Describe a reason; an agent of another version may have names that this one does not know."""
    return Refusal[refusal].value if refusal in Refusal.__members__ else refusal


def _alternatives(services: Sequence[_Json]) -> Iterator[str]:
    for service in services:
        for entry in service["addresses"]:
            if entry.get("protocol") == "layer2":
                successors = ", ".join(entry.get("standby") or ()) or _somebody(entry)
                name = f"{service['namespace']}/{service['name']}"
                yield f"\n{name} {entry['address']}: {successors} would take over"
                for reason, nodes in (entry.get("others") or {}).items():
                    yield f"  not {', '.join(nodes)}: {reason}"


def _somebody(entry: _Json) -> str:
    """Return where nobody is named: the owner is the only candidate, or there are too many."""
    count = entry.get("candidates", 0)
    return f"one of {count} nodes" if count > 1 else "nobody"


# ---- the whole cluster ----


def owners(services: Sequence[_Json], now: datetime) -> Iterator[str]:
    """A row for each address that somebody answers for. `services`: with `layer2`, entries of the objects."""
    rows = [row for service in services for row in _owner_rows(service, now)]
    if rows:
        yield ""
        yield from table(_OWNERS, rows)
    for service in services:
        yield from _rivals(service)


def _owner_rows(service: _Json, now: datetime) -> Iterator[tuple[str, ...]]:
    name = f"{service['namespace']}/{service['name']}"
    for entry in service.get("layer2") or ():
        if not entry.get("node"):
            why = f"{entry.get('reason', '')}: {entry.get('message', '')}"
            yield name, entry["address"], "nobody", _NOTHING, _NOTHING, why
            continue
        since, where = age(entry.get("since"), now), _interfaces(entry) or _NOTHING
        yield name, entry["address"], entry["node"], since, where, entry.get("why") or ""


def _rivals(service: _Json) -> Iterator[str]:
    by_address: dict[str, Mapping[str, Any]] = {}
    for entry in service.get("layer2") or ():
        for mac in entry.get("foreign") or ():
            yield f"  {entry['address']}: {mac} answers too, a stranger"
        other = by_address.setdefault(entry["address"], entry)
        if other is not entry and other.get("node") != entry.get("node"):
            both = f"{other.get('node')} and {entry.get('node')}"
            yield f"  {entry['address']}: both {both} say that they have it"
