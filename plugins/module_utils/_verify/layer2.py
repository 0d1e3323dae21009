# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses that must be answered for on a segment, and by whom. **PRIVATE** to the collection.

The rules (the load balancer follows them too, but is not asked):

* An address out of a declared pool with an L2Advertisement that selects the service has exactly one owner as
  long as the service has an endpoint that serves, and none otherwise.
* The owner is one of the nodes that an advertisement selects, Ready, not drained, with a network and not
  excluded from external load balancing; with externalTrafficPolicy Local it has an endpoint that serves.
* Which of them it is the ServiceL2Status says, and the answer comes from a MAC address of that node.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .expectations import (
    Data,
    Scope,
    pool_of,
    seen_by,
    selects_service,
    service_name,
    serving,
    why_no_next_hop,
)
from .others import with_cluster_pools
from .vendor import vendor


@dataclass
class Vip:
    """An address on the segment. `candidates`: who may answer, `without`: name of each other node to why not.

    The rest is what the ServiceL2Status says. `owner`: None where there is none; `since` in RFC 3339;
    `foreign`: MAC addresses that the owner heard too. `rivals`: other nodes that say that they are the owner.
    """

    address: str
    services: list[str] = field(default_factory=list)
    candidates: list[str] = field(default_factory=list)
    without: dict[str, str] = field(default_factory=dict)
    owner: str | None = None
    since: str | None = None
    interfaces: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    rivals: list[str] = field(default_factory=list)

    @property
    def wanted(self) -> bool:
        """Return whether anybody has to answer."""
        return bool(self.candidates)


def expect_owners(declared: Data, cluster: Data, scope: Scope) -> list[Vip]:
    """All addresses that are announced by layer 2, by number."""
    cluster, declared = seen_by(scope, cluster), with_cluster_pools(declared, cluster)
    found: dict[str, Vip] = {}
    for service in scope.chosen(cluster):
        for address in service["addresses"]:
            nodes = _nodes(declared, cluster, address, service)
            if nodes is not None:
                _add(found.setdefault(address, Vip(address)), nodes, cluster, service)
    for vip in found.values():
        _claim(vip, cluster)
    return sorted(found.values(), key=lambda vip: _order(vip.address))


def _order(address: str) -> tuple[int, int]:
    number = ipaddress.ip_address(address)
    return (number.version, int(number))


def about(declared: Data, address: str, service: Data) -> list[Data]:
    """The L2Advertisements that are about an address of a service."""
    pool = pool_of(declared, address)
    return [
        one
        for one in declared.get("l2_advertisements", ())
        if pool is not None and pool["name"] in one["pools"] and selects_service(one, service)
    ]


def _nodes(declared: Data, cluster: Data, address: str, service: Data) -> list[str] | None:
    """The nodes that advertisements select; None where there is no advertisement."""
    every = about(declared, address, service)
    if not every:
        return None
    # Without selectors it is about the cluster's nodes, whether the inventory has them or not.
    everyone = [node["name"] for node in cluster["nodes"]]
    named = {name for one in every for name in (one["nodes"] if one.get("node_selectors") else everyone)}
    return [name for name in everyone if name in named]


def _add(vip: Vip, nodes: Sequence[str], cluster: Data, service: Data) -> None:
    """A service's word about who may answer; of several that share the address, all have to allow it."""
    first = not vip.services
    vip.services.append(service_name(service))
    for node in (one["name"] for one in cluster["nodes"]):
        why = why_no_next_hop(node, cluster, service)
        if node not in nodes:
            why = "selected by no L2Advertisement"
        elif not serving(service):
            why = "without a service that has an endpoint"
        if why:
            vip.without.setdefault(node, why)
    allowed = [node for node in nodes if node not in vip.without]
    vip.candidates = [node for node in (allowed if first else vip.candidates) if node in allowed]


def _claim(vip: Vip, cluster: Data) -> None:
    """The load balancer's status of the address."""
    for one in cluster.get("owners") or ():
        if one["service"] not in vip.services or one["address"] not in (None, vip.address):
            continue
        if vip.owner is None:
            vip.owner, vip.since, vip.interfaces = one["node"], one["since"], tuple(one["interfaces"])
            vip.macs, vip.foreign = tuple(one["macs"]), tuple(one["foreign"])
        elif one["node"] not in (vip.owner, *vip.rivals):
            vip.rivals.append(one["node"])


# -- whose is a MAC address? ------------------------------------------------------------------------------


NO_MAC = "00:00:00:00:00:00"


@dataclass(frozen=True)
class Macs:
    """MAC address to `(node, interface)` of everyone who has it. `silent`: node to why it did not tell."""

    known: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)

    def holders(self, mac: str) -> list[str]:
        """The nodes that have a MAC address."""
        return list(dict.fromkeys(node for node, _interface in self.known.get(mac, ())))

    def interfaces(self, mac: str, node: str) -> list[str]:
        """A node's interfaces that have it: a bond's members have the bond's."""
        return [interface for holder, interface in self.known.get(mac, ()) if holder == node]

    def has_told(self, node: str) -> bool:
        return any(holder == node for pairs in self.known.values() for holder, _interface in pairs)

    def name(self, mac: str) -> str:
        """Return who has a MAC address, for people: the nodes, or the maker of a stranger's card."""
        holders = " or ".join(self.holders(mac))
        if holders:
            return f"{holders} ({mac})"
        maker = vendor(mac)
        return f"no known node ({mac}, {maker})" if maker else f"no known node ({mac})"


def read_macs(results: Iterable[Data]) -> Macs:
    """Return what the nodes said, as a loop over them registered: a line `PATH MAC` for each interface.

    The paths are those of /sys/class/net/*/address; `item` is the declared node.
    """
    known: dict[str, list[tuple[str, str]]] = {}
    silent: dict[str, str] = {}
    for result in results:
        node = result["item"]["name"]
        lines = [line.split() for line in str(result.get("stdout") or "").splitlines()]
        pairs = [(words[0].split("/")[-2], words[1].lower()) for words in lines if _is_mac(words)]
        if not pairs:
            silent[node] = str(result.get("msg") or "it did not say").strip()
        for interface, mac in pairs:
            known.setdefault(mac, []).append((node, interface))
    return Macs(known, silent)


def _is_mac(words: Sequence[str]) -> bool:
    """Not the zeros of `lo`, and not a line of ssh's."""
    return len(words) == 2 and words[0].endswith("/address") and len(words[1]) == 17 and words[1] != NO_MAC


def row(vip: Vip, found: Sequence[Data], macs: Macs) -> dict[str, Any]:
    """Return what is reported of an address.

    `found`: `{client, answers, kernel}` of everyone who could ask.
    """
    return {
        "address": vip.address,
        "services": sorted(vip.services),
        "candidates": list(vip.candidates),
        "without": dict(vip.without),
        "owner": vip.owner,
        "since": vip.since,
        "interfaces": list(vip.interfaces),
        "macs": list(vip.macs),
        "foreign": list(vip.foreign),
        "asked": [_asked(one, macs) for one in found],
    }


def _asked(one: Data, macs: Macs) -> dict[str, Any]:
    answers = [
        {
            "mac": answer["mac"],
            "nodes": macs.holders(answer["mac"]),
            "vendor": vendor(answer["mac"]),
            "times": answer["times"],
            "latency_ms": answer["latency_ms"],
        }
        for answer in one["answers"]
    ]
    return {"client": one["client"], "answers": answers, "kernel": one["kernel"]}
