# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks that this node is connected to, and its gateways, from the kernel's main table.

/proc/self/net/route        Iface Destination Gateway Flags RefCnt Use Metric Mask ...   (hex, host order)
/proc/self/net/ipv6_route   destination length source length gateway metric refcnt use flags device
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path

__all__ = ["on_link", "read_routes"]

_FOLDER = Path("/proc/self/net")
# linux/route.h
_UP, _GATEWAY, _REJECT = 0x1, 0x2, 0x200

_Network = IPv4Network | IPv6Network


def on_link(address: IPv4Address | IPv6Address, folder: Path = _FOLDER) -> bool:
    """Return whether the most specific route to it has no gateway."""
    if address.is_loopback or address.is_link_local:
        return True
    matching = [
        (net.prefixlen, direct) for net, direct in read_routes(address.version, folder) if address in net
    ]
    return max(matching, default=(0, False))[1]


def gateways(folder: Path = _FOLDER) -> dict[str, tuple[IPv4Address, ...]]:
    """Return the IPv4 gateways of each interface."""
    found: dict[str, list[IPv4Address]] = {}
    try:
        lines = (folder / "route").read_text().splitlines()[1:]
    except OSError:
        return {}
    for fields in (line.split() for line in lines):
        if len(fields) >= 8 and int(fields[3], 16) & (_UP | _GATEWAY | _REJECT) == _UP | _GATEWAY:
            order = -1 if sys.byteorder == "little" else 1
            found.setdefault(fields[0], []).append(IPv4Address(bytes.fromhex(fields[2])[::order]))
    return {name: tuple(each) for name, each in found.items()}


def read_routes(version: int, folder: Path = _FOLDER) -> Iterator[tuple[_Network, bool]]:
    """Networks, and whether they are reached without a gateway; nothing where the family is off."""
    name, read = ("route", _read_ipv4) if version == 4 else ("ipv6_route", _read_ipv6)
    try:
        lines = (folder / name).read_text().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        fields = line.split()
        if len(fields) < 8 or fields[0] == "Iface":
            continue
        network, flags = read(fields)
        if flags & _UP and not flags & _REJECT:
            yield network, not flags & _GATEWAY


def _read_ipv4(fields: list[str]) -> tuple[_Network, int]:
    address, mask = (
        IPv4Address(bytes.fromhex(fields[at])[:: -1 if sys.byteorder == "little" else 1]) for at in (1, 7)
    )
    return ip_network(f"{address}/{mask}"), int(fields[3], 16)


def _read_ipv6(fields: list[str]) -> tuple[_Network, int]:
    network = IPv6Network((bytes.fromhex(fields[0]), int(fields[1], 16)))
    return network, int(fields[8], 16)
