# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface and source by which an address is asked for on a segment.

**PRIVATE** to the collection.

What is known of the host is what its kernel says, by `ip -json`: nothing here talks to anybody.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

from ..model.addresses import IPAddress

Interface = Union[ipaddress.IPv4Interface, ipaddress.IPv6Interface]
Data = Mapping[str, Any]

# Frames of ARP (RFC 826) and neighbor discovery over Ethernet (RFC 2464) are what is asked with.
ETHERNET = "ether"


class OffSegmentError(ValueError):
    """The host has no interface in the address's segment."""


@dataclass(frozen=True)
class Link:
    """An interface: `mac` as aa:bb:cc:dd:ee:ff, `addresses` with their prefix lengths, usable ones only."""

    name: str
    mac: str
    addresses: tuple[Interface, ...]


@dataclass(frozen=True)
class Question:
    """A question for `address` on `interface`, from `mac` and `source` (unspecified: no address is shown)."""

    address: IPAddress
    interface: str
    mac: str
    source: IPAddress
    network: str | None = None  # of the interface, that the address is in


def interface_towards(address: IPAddress, routes: Sequence[Data]) -> str:
    """The interface on whose segment the address is, by what `ip route get` says. Raises OffSegmentError."""
    route = routes[0] if routes else {}
    if not route.get("dev"):
        raise OffSegmentError(f"this host has no route to {address}; run the module on a host of its segment")
    if route.get("type") == "local":
        raise OffSegmentError(f"{address} is an address of this host itself; run the module on another host")
    gateway = route.get("gateway") or (route.get("via") or {}).get("host")
    if gateway:
        raise OffSegmentError(
            f"{address} is not on a segment of this host, which reaches it through {gateway}; run the module "
            "on a host of its segment, or name the interface"
        )
    return str(route["dev"])


def read_link(data: Sequence[Data], name: str) -> Link:
    """The interface by the answer to `ip address show dev NAME`. Raises ValueError: it cannot be asked on."""
    found = next((one for one in data if one.get("ifname") == name), None)
    if found is None:
        raise ValueError(f"interface {name} does not exist on this host")
    if found.get("link_type") != ETHERNET:
        kind = found.get("link_type", "unknown")
        raise ValueError(f"interface {name} is no Ethernet ({kind}): nobody answers ARP or NDP there")
    flags = found.get("flags") or ()
    if "UP" not in flags:
        raise ValueError(f"interface {name} is down; `ip link set {name} up` turns it on")
    if "LOWER_UP" not in flags:
        raise ValueError(f"interface {name} has no carrier: its cable or its other end is missing")
    return Link(name, str(found["address"]).lower(), tuple(_addresses(found.get("addr_info") or ())))


def _addresses(infos: Sequence[Data]) -> list[Interface]:
    """Return those that may be a source: RFC 4862, 5.4 forbids tentative ones."""
    return [
        ipaddress.ip_interface(f"{one['local']}/{one['prefixlen']}")
        for one in infos
        if "local" in one and not one.get("tentative") and not one.get("dadfailed")
    ]


def question(address: IPAddress, link: Link, source: IPAddress | None) -> Question:
    """Return how to ask on a link; without a `source` the best one of the link."""
    if source is not None and source.version != address.version:
        raise ValueError(f"source {source} is IPv{source.version}, and {address} is IPv{address.version}")
    network = next((str(one.network) for one in link.addresses if address in one.network), None)
    return Question(address, link.name, link.mac, source or _best_source(address, link), network)


def _best_source(address: IPAddress, link: Link) -> IPAddress:
    """One that the owner can answer to on the link; the unspecified address where there is none.

    IPv4: an address of the same network, or else a probe (RFC 5227, 2.1.1) that shows none. IPv6: the
    link-local address, which is on the link whatever else is configured (RFC 4861, 7.2.2).
    """
    same = [one for one in link.addresses if one.version == address.version]
    near = [one.ip for one in same if address in one.network]
    if address.version == 6:
        near = [one.ip for one in same if one.is_link_local] + near
    unspecified = ipaddress.ip_address("0.0.0.0" if address.version == 4 else "::")
    return near[0] if near else unspecified
