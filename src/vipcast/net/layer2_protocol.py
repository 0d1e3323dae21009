# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol of `vipcast layer2` and its clients: JSON lines over an abstract Unix socket.

    client -> process   {"want": WANTS}           everything, once at the beginning
                        {"change": WANTS}         what became different; an address that is null is gone
    process -> client   {"status": STATUS}        everything, after a want
                        {"change": STATUS}        what became different; what is null is gone
                        {"moves": [MOVE, ...]}    in their order, each once

    successor -> process     {"take_over": 1, ...}     see vipcast.agent.handover

A status or a change of many addresses comes in pieces: all but the last say {"more": true}. The first status
does so only to a client that says {"pieces": true} in its want; release 0.1.0 would take a piece for all.
A want and a status come with {"versions": [least, most]} of this protocol (`vipcast.net.ipc.check`). Words,
fields, settings and kinds of moves that are not known are left out: two releases are next to each other on a
node for the time of a rollout.
Nodes that may answer are the same for many addresses: WANTS has a table of them, an address a row's number.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, fields, replace
from ipaddress import ip_address
from typing import Any

from vipcast.election import AddressWant, Electorate
from vipcast.layer2.api import (
    AddressCounters,
    AddressStatus,
    Holding,
    InterfaceStatus,
    Layer2Status,
    Layer2Wants,
    LinkStatus,
    MemberStatus,
    Move,
    MoveKind,
    Settings,
    Traffic,
)
from vipcast.model.addresses import IPAddress
from vipcast.net.ipc import Json, ProtocolError

# 5,000 addresses are 1.5 MB of status; more is somebody else's mistake.
MAX_LINE = 8 << 20
MAX_ADDRESSES = 20_000
"""Of a node: a bound for memory and for what a hand-over has to carry."""
PIECE = 500
"""Addresses that are read or told at once: some milliseconds. Heartbeats go out in between."""

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError)
_Table = Mapping[str, tuple[Callable[[Any], Json], Callable[[Json], Any], Callable[[str], Any]]]


def control_name(namespace: str) -> str:
    """The abstract socket's name, as ``connect`` and ``bind`` take it."""
    return f"\0vipcast-layer2/{namespace}"


# ---- what is wanted ----


def write_wants(wants: Layer2Wants) -> Json:
    """All of it. The keys are in it: it goes over the socket and nowhere else."""
    return {
        "node": wants.node,
        "members": {name: [str(each) for each in addresses] for name, addresses in wants.members.items()},
        "settings": asdict(wants.settings),
        "keys": [key.hex() for key in wants.keys],
        **_write_addresses(dict(wants.addresses)),
    }


def write_change(before: Layer2Wants, after: Layer2Wants) -> Json:
    """Return what became different; empty where nothing did."""
    whole = write_wants(replace(after, addresses={}))
    same = write_wants(replace(before, addresses={}))
    change = {word: value for word, value in whole.items() if value != same[word]}
    different: dict[IPAddress, AddressWant | None] = {
        address: want for address, want in after.addresses.items() if before.addresses.get(address) != want
    }
    different |= dict.fromkeys(before.addresses.keys() - after.addresses.keys())
    return change | (_write_addresses(different) if different else {})


def read_wants(written: object) -> Layer2Wants:
    """Raises ProtocolError."""
    return apply_change(Layer2Wants(node=""), written)


def apply_change(wants: Layer2Wants, written: object) -> Layer2Wants:
    """Return what is wanted after a change. Raises ProtocolError."""
    return finish(change_in_pieces(wants, written, wants))


Reading = Generator[None, None, Layer2Wants]
"""Something that is read in pieces: it yields after each, and returns the wants. Raises ProtocolError."""


def finish(reading: Reading) -> Layer2Wants:
    """Read all of it. Raises ProtocolError."""
    while True:
        try:
            next(reading)
        except StopIteration as end:
            wants: Layer2Wants = end.value
            return wants


def change_in_pieces(wants: Layer2Wants, written: object, known: Layer2Wants | None = None) -> Reading:
    """Read a change. What is in ``known`` already comes as it is there: nobody has to look at it again."""
    if not isinstance(written, dict):
        raise ProtocolError("wants that are no object")
    try:
        changed = replace(wants, **{word: _WANTS[word](written[word]) for word in _WANTS if word in written})
        if "addresses" in written:
            addresses = yield from _changed_addresses(wants, written, known or wants)
            changed = replace(changed, addresses=addresses)
    except _MALFORMED as error:
        raise ProtocolError(f"wants: {error!r}") from error
    if len(changed.addresses) > MAX_ADDRESSES:
        raise ProtocolError(f"{len(changed.addresses)} addresses: at most {MAX_ADDRESSES}")
    return changed


_FLAGS = ("local", "stays")


def _write_addresses(wanted: Mapping[IPAddress, AddressWant | None]) -> Json:
    rows: dict[Electorate, int] = {}
    for want in wanted.values():
        if want is not None:
            rows.setdefault(want.electorate, len(rows))
    return {
        "electorates": [
            [[preference, sorted(nodes)] for preference, nodes in electorate] for electorate in rows
        ],
        "addresses": {
            str(address): None if want is None else _write_want(want, rows)
            for address, want in wanted.items()
        },
        "flags": {flag: _flagged(wanted, flag) for flag in _FLAGS},
    }


def _flagged(wanted: Mapping[IPAddress, AddressWant | None], flag: str) -> list[str]:
    return [str(address) for address, want in wanted.items() if want is not None and getattr(want, flag)]


def _write_want(want: AddressWant, rows: Mapping[Electorate, int]) -> list[Any]:
    """Three things: release 0.1.0 refuses all where there are more, so that what is new is beside them."""
    only = None if want.interfaces is None else sorted(want.interfaces)
    return [rows[want.electorate], want.key, only]


def _changed_addresses(
    wants: Layer2Wants, written: Json, known: Layer2Wants
) -> Generator[None, None, dict[IPAddress, AddressWant]]:
    rows = _read_electorates(written["electorates"], known)
    flagged = {flag: frozenset(written.get("flags", {}).get(flag, ())) for flag in _FLAGS}
    addresses = dict(wants.addresses)
    for number, (text, row) in enumerate(written["addresses"].items(), 1):
        address = ip_address(text)
        if row is None:
            addresses.pop(address, None)
        else:
            flags = {flag: True for flag in _FLAGS if text in flagged[flag]}
            want, before = _read_want(row, rows, flags), known.addresses.get(address)
            addresses[address] = before if before is not None and before == want else want
        if number % PIECE == 0:
            yield
    return addresses


def _read_electorates(written: list[Any], known: Layer2Wants) -> list[Electorate]:
    """Equal ones are one object: they are compared with each address."""
    read = [
        tuple((int(preference), frozenset(map(_text, nodes))) for preference, nodes in electorate)
        for electorate in written
    ]
    there = {id(want.electorate): want.electorate for want in known.addresses.values()}
    same = {electorate: electorate for electorate in there.values()}
    return [same.get(electorate, electorate) for electorate in read]


def _read_want(written: list[Any], rows: list[Electorate], flags: Mapping[str, bool]) -> AddressWant:
    row, key, interfaces, *_later = written
    if isinstance(interfaces, str):
        raise TypeError(f"interfaces {interfaces!r}: a list would be right")
    only = None if interfaces is None else frozenset(map(_text, interfaces))
    return AddressWant(rows[row], _text(key), only, **flags)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} in the place of a name")
    return value


def _pattern(value: object) -> str:
    try:
        return re.compile(_text(value)).pattern
    except re.error as error:
        raise ValueError(f"interfaces: {value!r} is no regular expression: {error}") from error


def _read_members(written: Mapping[str, list[str]]) -> dict[str, tuple[IPAddress, ...]]:
    return {name: tuple(map(ip_address, addresses)) for name, addresses in written.items()}


# JSON has one kind of number, and Python takes truth for one.
_SETTINGS: Mapping[str, tuple[type, ...]] = {
    "profile": (str,),
    "port": (int,),
    "preempt": (bool,),
    "rebalance": (str,),
    "announce_rate": (int,),
    "refresh": (int, float),
    "detect_duplicates": (bool,),
    "excluded_interfaces": (list, tuple),
    "allowed_interfaces": (list, tuple),
}
_PATTERNS = ("excluded_interfaces", "allowed_interfaces")


def _read_settings(written: Mapping[str, Any]) -> Settings:
    """Read the settings, of a newer speaker too: what is not known here is left out."""
    known = {name: value for name, value in written.items() if name in _SETTINGS}
    for name, value in known.items():
        if type(value) not in _SETTINGS[name]:
            raise TypeError(f"setting {name} {value!r}")
    for name in known.keys() & set(_PATTERNS):
        known[name] = tuple(map(_pattern, known[name]))
    return Settings(**known)


_WANTS: Mapping[str, Callable[[Any], Any]] = {
    "node": _text,
    "members": _read_members,
    "settings": _read_settings,
    "keys": lambda written: tuple(map(bytes.fromhex, written)),
}

# ---- what is said of it ----


def write_status(status: Layer2Status) -> Json:
    """All of it."""
    written: Json = {
        word: {str(key): write(value) for key, value in getattr(status, word).items()}
        for word, (write, _read, _key) in _STATUS.items()
    }
    whole = {"traffic": asdict(status.traffic), "problems": list(status.problems), "deaf": status.deaf}
    return {**written, **whole}


Rows = list[tuple[str, Any]]
"""Of a status: the word that they are under, and their key."""


def write_status_change(before: Layer2Status, after: Layer2Status) -> Json:
    """Return what became different; empty where nothing did."""
    return {**write_rows(after, changed_rows(before, after)), **write_rest(before, after)}


def changed_rows(before: Layer2Status, after: Layer2Status) -> Rows:
    """Return what is new, another, or gone. Most is the same object, and to hash an address takes time."""
    rows: Rows = []
    for word in _STATUS:
        old, new = getattr(before, word), getattr(after, word)
        if not old:
            rows += zip(itertools.repeat(word), new)
            continue
        found = 0
        for key, value in new.items():
            was = old.get(key)
            found += was is not None
            if was is not value and was != value:
                rows.append((word, key))
        if found < len(old):
            rows += [(word, key) for key in old.keys() - new.keys()]
    return rows


def write_rows(status: Layer2Status, rows: Rows) -> Json:
    """Return the change that brings these rows to what they are."""
    written: Json = {}
    for word, key in rows:
        write, value = _STATUS[word][0], getattr(status, word).get(key)
        written.setdefault(word, {})[str(key)] = None if value is None else write(value)
    return written


def write_rest(before: Layer2Status, after: Layer2Status) -> Json:
    """Return what became different besides rows."""
    change: Json = {}
    if after.traffic != before.traffic:
        change["traffic"] = asdict(after.traffic)
    if after.problems != before.problems:
        change["problems"] = list(after.problems)
    if after.deaf is not before.deaf:
        change["deaf"] = after.deaf
    return change


def read_status(written: object) -> Layer2Status:
    """Raises ProtocolError."""
    return apply_status_change(Layer2Status(), written)


def apply_status_change(status: Layer2Status, written: object) -> Layer2Status:
    """Return the status after a change, of a newer process too: what is not known here is left out.

    Raises ProtocolError.
    """
    if not isinstance(written, dict):
        raise ProtocolError("a status that is no object")
    try:
        return replace(status, **_changed_parts(status, written))
    except _MALFORMED as error:
        raise ProtocolError(f"status: {error!r}") from error


def _changed_parts(status: Layer2Status, written: Json) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for word, (_write, read, key) in _STATUS.items():
        if word in written:
            changed[word] = dict(getattr(status, word))
            for name, value in written[word].items():
                if value is None:
                    changed[word].pop(key(name), None)
                else:
                    changed[word][key(name)] = read(value)
    if "traffic" in written:
        changed["traffic"] = Traffic(**_known(Traffic, written["traffic"]))
    if "problems" in written:
        changed["problems"] = tuple(map(_text, written["problems"]))
    if "deaf" in written:
        changed["deaf"] = written["deaf"] is True
    return changed


def _known(kind: Any, written: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in written.items() if name in names}


def _write_address(status: AddressStatus) -> Json:
    written = {field.name: getattr(status, field.name) for field in fields(status)}
    interfaces = [[each.name, each.mac] for each in status.interfaces]
    return {**written, "holding": status.holding.value, "interfaces": interfaces}


def _read_address(written: Json) -> AddressStatus:
    known = _known(AddressStatus, written)
    known["holding"] = _HOLDINGS.get(_text(known["holding"]), Holding.UNKNOWN)
    known["interfaces"] = tuple(InterfaceStatus(*map(_text, each[:2])) for each in known["interfaces"])
    known["foreign"] = tuple(map(_text, known["foreign"]))
    return AddressStatus(**known)


_HOLDINGS = {holding.value: holding for holding in Holding}

_STATUS: _Table = {
    "addresses": (_write_address, _read_address, ip_address),
    "members": (asdict, lambda written: MemberStatus(**_known(MemberStatus, written)), _text),
    "links": (asdict, lambda written: LinkStatus(**_known(LinkStatus, written)), _text),
    "counters": (asdict, lambda written: AddressCounters(**_known(AddressCounters, written)), ip_address),
}


def write_move(move: Move) -> Json:
    return {**asdict(move), "address": str(move.address), "kind": move.kind.value}


def read_moves(written: object) -> list[Move]:
    """Return the moves of a kind that is known. Raises ProtocolError."""
    if not isinstance(written, list):
        raise ProtocolError("moves that are no list")
    try:
        return [_read_move(each) for each in written if _text(each["kind"]) in _MOVES]
    except _MALFORMED as error:
        raise ProtocolError(f"moves: {error!r}") from error


def _read_move(written: Json) -> Move:
    known = _known(Move, written)
    return Move(**{**known, "address": ip_address(known["address"]), "kind": _MOVES[known["kind"]]})


_MOVES = {kind.value: kind for kind in MoveKind}
