# SPDX-License-Identifier: GPL-3.0-or-later
"""A second reader of BGP, made from the RFCs alone: it shares nothing with ``vipcast.bgp``.

Strict where ours is lenient: what it does not expect is an AssertionError.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any


@dataclass
class Table:
    """Return what a peer knows after these octets: prefixes, their attributes in plain values."""

    max_length: int
    routes: dict[str, dict[str, Any]] = field(default_factory=dict)
    updates: int = 0
    marks: list[tuple[int, int, int]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def read(self, data: bytes) -> None:
        """RFC 4271 section 4.1."""
        while data:
            assert data[:16] == b"\xff" * 16
            length, kind = struct.unpack(">HB", data[16:19])
            assert 19 <= length <= self.max_length
            body, data = data[19:length], data[length:]
            assert len(body) == length - 19
            if kind == 2:
                self._update(body)
            else:
                assert kind == 5 and length == 23, "RFC 2918 section 3"
                self.marks.append(struct.unpack(">HBB", body))

    def _update(self, body: bytes) -> None:
        """RFC 4271 section 4.3; announcing and withdrawing never share one (RFC 7606 section 5.1)."""
        self.updates += 1
        (gone,) = struct.unpack(">H", body[:2])
        (size,) = struct.unpack(">H", body[2 + gone : 4 + gone])
        withdrawn = _prefixes(body[2 : 2 + gone], 1)
        announced = _prefixes(body[4 + gone + size :], 1)
        attributes, reach, unreach = _attributes(body[4 + gone : 4 + gone + size])
        assert sum(bool(part) for part in (withdrawn, announced, reach, unreach is not None)) <= 1
        if reach is not None:
            assert "next hop" not in attributes
            attributes["next hop"], announced = reach
        if unreach is not None:
            assert attributes == {}, "RFC 4760 section 4"
            withdrawn = unreach[1]
            if not withdrawn:
                self.ends.append(unreach[0])
        elif not size and not withdrawn:
            self.ends.append(1)
        for prefix in withdrawn:
            del self.routes[prefix]
        for prefix in announced:
            self.routes[prefix] = attributes


def _prefixes(data: bytes, afi: int) -> list[str]:
    found = []
    while data:
        bits, octets = data[0], (data[0] + 7) // 8
        size = {1: 4, 2: 16}[afi]
        assert bits <= size * 8 and len(data) > octets
        address = int.from_bytes(data[1 : 1 + octets].ljust(size, b"\0"), "big")
        assert address % (1 << (size * 8 - bits)) == 0, "no bit behind the prefix"
        found.append(f"{IPv4Address(address) if afi == 1 else IPv6Address(address)}/{bits}")
        data = data[1 + octets :]
    return found


def _attributes(data: bytes) -> tuple[dict[str, Any], Any, Any]:
    found: dict[str, Any] = {}
    reach = unreach = None
    codes = []
    while data:
        flags, code = data[0], data[1]
        wide = flags & 0x10
        length = struct.unpack(">H", data[2:4])[0] if wide else data[2]
        assert bool(wide) == (length > 255)
        start = 4 if wide else 3
        value, data = data[start : start + length], data[start + length :]
        assert len(value) == length
        codes.append(code)
        if code == 14:
            reach = _reach(value)
        elif code == 15:
            unreach = struct.unpack(">HB", value[:3])[0], _prefixes(value[3:], value[1])
        else:
            name, wanted, content = _plain(code, value)
            assert flags & 0xE0 == wanted
            found[name] = content
    assert len(codes) == len(set(codes)), "none of them twice"
    assert codes == sorted(codes, key=lambda code: (code not in (14, 15), code))
    return found, reach, unreach


def _reach(value: bytes) -> tuple[str, list[str]]:
    """RFC 4760 section 3, RFC 2545 section 3, RFC 8950 section 3."""
    afi, safi, size = struct.unpack(">HBB", value[:4])
    assert safi == 1 and size in (16, 32) and value[4 + size] == 0
    hops = [str(IPv6Address(value[i : i + 16])) for i in range(4, 4 + size, 16)]
    return " ".join(hops), _prefixes(value[5 + size :], afi)


def _plain(code: int, value: bytes) -> tuple[str, int, Any]:
    """Its name, its flags and what it says; RFC 4271 section 5, RFC 1997, 4360, 6793, 8092."""
    name, flags, read = _KNOWN[code]
    return name, flags, read(value)


def _path(value: bytes) -> list[int]:
    """Return the AS path: none, or one AS_SEQUENCE of four-octet numbers."""
    assert not value or (value[0] == 2 and value[1] * 4 == len(value) - 2)
    return list(struct.unpack(f">{value[1] if value else 0}I", value[2:]))


def _ascending(values: Any) -> list[Any]:
    found = list(values)
    assert found and found == sorted(set(found))
    return found


_KNOWN: dict[int, tuple[str, int, Callable[[bytes], Any]]] = {
    1: ("origin", 0x40, lambda value: value[0]),
    2: ("path", 0x40, _path),
    3: ("next hop", 0x40, lambda value: str(IPv4Address(value))),
    5: ("preference", 0x40, lambda value: struct.unpack(">I", value)[0]),
    8: ("communities", 0xC0, lambda value: _ascending(struct.iter_unpack(">I", value))),
    16: ("extended", 0xC0, lambda value: _ascending(struct.iter_unpack(">BBHf", value))),
    32: ("large", 0xC0, lambda value: _ascending(struct.iter_unpack(">III", value))),
}
