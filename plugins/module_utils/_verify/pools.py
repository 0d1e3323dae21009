# SPDX-License-Identifier: GPL-3.0-or-later
"""The check that pools announced at layer 2 are free: a segment has other users.

**PRIVATE** to the collection.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Sequence

from .._declaration.outputs import pool_ranges
from ..model.addresses import is_buggy
from .expectations import Data, pool_of
from .vendor import vendor

# After so many addresses of a pool the picture is clear.
MOST_NAMED = 5


def unused_addresses(declared: Data, cluster: Data, limit: int) -> list[str]:
    """The first addresses of each range that is announced at layer 2, without those that services have.

    `limit`: so many of each range, at most; one of IPv6 has no end.
    """
    taken = {address for service in cluster["services"] for address in service["addresses"]}
    named = _at_layer2(declared)
    found: list[str] = []
    for pool in (one for one in declared["pools"] if one["name"] in named):
        for addresses in pool_ranges(pool):
            found += itertools.islice((text for text in map(str, addresses) if text not in taken), limit)
    return found


def in_use(declared: Data, results: Sequence[Data]) -> list[str]:
    """A sentence for each address of a pool that somebody answers for.

    `results`: of neighbor_probe as a loop over hosts registered, with the host as `item`.
    """
    found: dict[str, dict[str, str]] = {}
    for result in results:
        for one in result.get("neighbors") or ():
            pool = pool_of(declared, one["address"])
            if pool and one["answers"]:
                macs = " and ".join(_named(answer["mac"]) for answer in one["answers"])
                text = f"{one['address']} of pool {pool['name']} is in use by {macs} on the segment"
                found.setdefault(pool["name"], {}).setdefault(one["address"], f"{text} of {result['item']}")
    return [text for name, texts in found.items() for text in _shortened(name, list(texts.values()))]


def _named(mac: str) -> str:
    """Return a MAC address with the maker of its card, where that is known."""
    maker = vendor(mac)
    return f"{mac} ({maker})" if maker else mac


def edges(declared: Data, results: Sequence[Data]) -> list[str]:
    """A sentence for each address of a pool that is the network's or the broadcast address of a segment.

    Neighbors take packets to these for something else (RFC 1122, 3.2.1.3), so a service that gets one first
    does not work. `results`: as for `in_use`.
    """
    texts: dict[str, None] = {}
    for network, host in _networks(results).items():
        for address, what in (
            (network.network_address, "the network's address"),
            (network.broadcast_address, "the broadcast address"),
        ):
            pool = pool_of(declared, str(address))
            if pool and pool["name"] in _at_layer2(declared) and not _is_avoided(pool, address):
                texts[
                    f"{address} of pool {pool['name']} is {what} of the segment {network} of {host}: a "
                    "service that gets it does not work there; leave it out of the range"
                ] = None
    return list(texts)


def _is_avoided(pool: Data, address: ipaddress.IPv4Address) -> bool:
    return bool(pool.get("avoid_buggy_ips")) and is_buggy(address)


def _networks(results: Sequence[Data]) -> dict[ipaddress.IPv4Network, str]:
    """The IPv4 networks that hosts are in and that have such addresses, each with one of its hosts."""
    found: dict[ipaddress.IPv4Network, str] = {}
    for result in results:
        for one in result.get("neighbors") or ():
            network = ipaddress.ip_network(one["network"]) if one.get("network") else None
            if isinstance(network, ipaddress.IPv4Network) and network.prefixlen < 31:
                found.setdefault(network, str(result["item"]))
    return found


def _at_layer2(declared: Data) -> set[str]:
    return {name for one in declared.get("l2_advertisements", ()) for name in one["pools"]}


def _shortened(name: str, texts: Sequence[str]) -> list[str]:
    left = len(texts) - MOST_NAMED
    rest = [f"{left} more addresses of pool {name} are in use"] if left > 0 else []
    return [*texts[:MOST_NAMED], *rest]


def not_asked(results: Sequence[Data]) -> list[str]:
    """Return why a host could not ask; one that is not on the segment is none."""
    return [
        f"host {result['item']} could not ask the segment whether the pools are free: {_why(result)}"
        for result in results
        if "neighbors" not in result
    ]


def _why(result: Data) -> str:
    return str(result.get("msg") or "it cannot be reached").strip()
