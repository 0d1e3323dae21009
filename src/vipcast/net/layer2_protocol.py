# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `vipcast layer2` and its clients say to each other: JSON lines over an abstract Unix socket.

    client -> process   {"want": WANTS}           everything, once at the beginning
                        {"change": WANTS}         what became different; an address that is null is gone
    process -> client   {"status": STATUS}        everything, after a want
                        {"change": STATUS}        what became different; what is null is gone
                        {"moves": [MOVE, ...]}    in their order, each once

    heir -> process     {"take_over": VERSION}    see vipcast.punctual.handover

Nodes that may answer are the same for many addresses: WANTS has a table of them, an address a row's number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from ipaddress import ip_address
from typing import Any

from vipcast.layer2.wants import (
    Address,
    AddressCounters,
    AddressStatus,
    AddressWant,
    Electorate,
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
from vipcast.net.lines import Json, ProtocolError

# 5,000 addresses are 1.5 MB of status; more is somebody else's mistake.
MAX_LINE = 8 << 20
MAX_ADDRESSES = 20_000
"""Of a node: a bound for memory and for what a hand-over has to carry."""

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
    """What became different; empty where nothing did."""
    whole = write_wants(replace(after, addresses={}))
    same = write_wants(replace(before, addresses={}))
    change = {word: value for word, value in whole.items() if value != same[word]}
    different: dict[Address, AddressWant | None] = {
        address: want for address, want in after.addresses.items() if before.addresses.get(address) != want
    }
    different |= dict.fromkeys(before.addresses.keys() - after.addresses.keys())
    return change | (_write_addresses(different) if different else {})


def read_wants(written: object) -> Layer2Wants:
    """Raises ProtocolError."""
    return apply_change(Layer2Wants(node=""), written)


def apply_change(wants: Layer2Wants, written: object) -> Layer2Wants:
    """What is wanted after a change. Raises ProtocolError."""
    if not isinstance(written, dict):
        raise ProtocolError("wants that are no object")
    try:
        changed = replace(wants, **{word: _WANTS[word](written[word]) for word in _WANTS if word in written})
        if "addresses" in written:
            changed = replace(changed, addresses=_changed_addresses(wants, written))
    except _MALFORMED as error:
        raise ProtocolError(f"wants: {error!r}") from error
    if len(changed.addresses) > MAX_ADDRESSES:
        raise ProtocolError(f"{len(changed.addresses)} addresses: at most {MAX_ADDRESSES}")
    return changed


def _write_addresses(wanted: Mapping[Address, AddressWant | None]) -> Json:
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
    }


def _write_want(want: AddressWant, rows: Mapping[Electorate, int]) -> list[Any]:
    return [rows[want.electorate], want.key, None if want.interfaces is None else sorted(want.interfaces)]


def _changed_addresses(wants: Layer2Wants, written: Json) -> dict[Address, AddressWant]:
    rows = [
        tuple((int(preference), frozenset(map(_text, nodes))) for preference, nodes in electorate)
        for electorate in written["electorates"]
    ]
    addresses = dict(wants.addresses)
    for text, want in written["addresses"].items():
        if want is None:
            addresses.pop(ip_address(text), None)
        else:
            addresses[ip_address(text)] = _read_want(want, rows)
    return addresses


def _read_want(written: list[Any], rows: list[Electorate]) -> AddressWant:
    row, key, interfaces = written
    only = None if interfaces is None else frozenset(map(_text, interfaces))
    return AddressWant(rows[row], _text(key), only)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} in the place of a name")
    return value


def _pattern(value: object) -> str:
    try:
        return re.compile(_text(value)).pattern
    except re.error as error:
        raise ValueError(f"excluded interfaces: {value!r} is no regular expression: {error}") from error


def _read_members(written: Mapping[str, list[str]]) -> dict[str, tuple[Address, ...]]:
    return {name: tuple(map(ip_address, addresses)) for name, addresses in written.items()}


# JSON has one kind of number, and Python takes truth for one.
_SETTINGS: Mapping[str, tuple[type, ...]] = {
    "profile": (str,),
    "port": (int,),
    "preempt": (bool,),
    "refresh": (int, float),
    "detect_duplicates": (bool,),
    "excluded_interfaces": (list, tuple),
}


def _read_settings(written: Mapping[str, Any]) -> Settings:
    """Of a newer speaker too: what is not known here is left out."""
    known = {name: value for name, value in written.items() if name in _SETTINGS}
    for name, value in known.items():
        if type(value) not in _SETTINGS[name]:
            raise TypeError(f"setting {name} {value!r}")
    if "excluded_interfaces" in known:
        known["excluded_interfaces"] = tuple(map(_pattern, known["excluded_interfaces"]))
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
    return {**written, "traffic": asdict(status.traffic), "problems": list(status.problems)}


def write_status_change(before: Layer2Status, after: Layer2Status) -> Json:
    """What became different; empty where nothing did."""
    change: Json = {}
    for word, (write, _read, _key) in _STATUS.items():
        old, new = getattr(before, word), getattr(after, word)
        different: Json = {str(key): write(value) for key, value in new.items() if old.get(key) != value}
        different |= dict.fromkeys(map(str, old.keys() - new.keys()))
        if different:
            change[word] = different
    if after.traffic != before.traffic:
        change["traffic"] = asdict(after.traffic)
    if after.problems != before.problems:
        change["problems"] = list(after.problems)
    return change


def read_status(written: object) -> Layer2Status:
    """Raises ProtocolError."""
    return apply_status_change(Layer2Status(), written)


def apply_status_change(status: Layer2Status, written: object) -> Layer2Status:
    """Of a newer process too: what is not known here is left out. Raises ProtocolError."""
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
    known["holding"] = Holding(known["holding"])
    known["interfaces"] = tuple(InterfaceStatus(*map(_text, each)) for each in known["interfaces"])
    known["foreign"] = tuple(map(_text, known["foreign"]))
    return AddressStatus(**known)


_STATUS: _Table = {
    "addresses": (_write_address, _read_address, ip_address),
    "members": (asdict, lambda written: MemberStatus(**_known(MemberStatus, written)), _text),
    "links": (asdict, lambda written: LinkStatus(**_known(LinkStatus, written)), _text),
    "counters": (asdict, lambda written: AddressCounters(**_known(AddressCounters, written)), ip_address),
}


def write_move(move: Move) -> Json:
    return {**asdict(move), "address": str(move.address), "kind": move.kind.value}


def read_moves(written: object) -> list[Move]:
    """Raises ProtocolError."""
    if not isinstance(written, list):
        raise ProtocolError("moves that are no list")
    try:
        return [_read_move(each) for each in written]
    except _MALFORMED as error:
        raise ProtocolError(f"moves: {error!r}") from error


def _read_move(written: Json) -> Move:
    known = _known(Move, written)
    return Move(**{**known, "address": ip_address(known["address"]), "kind": MoveKind(known["kind"])})
