# SPDX-License-Identifier: GPL-3.0-or-later
"""What speaks against a load balancer in this cluster: survey and declaration in, named problems out. Pure.

A problem stops a rollout, a warning does not. Each says what is wrong, where, and what would be right.
"""

from __future__ import annotations

import difflib
import typing as t
from dataclasses import dataclass

from ..model.addresses import AddressRange, parse_address, parse_range
from .detection import MOSTLY

OLDEST = (1, 23)
# CustomResourceDefinitions have CEL rules on from 1.25 on (KEP-2876).
CEL_SINCE = (1, 25)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong; `name` is the refusal's."""

    name: str
    text: str
    fatal: bool = True


@dataclass(frozen=True)
class Wanted:
    """What the declaration says that a cluster can contradict."""

    pools: t.Sequence[t.Mapping[str, t.Any]] = ()
    nodes: t.Sequence[t.Mapping[str, t.Any]] = ()
    pod_cidrs: t.Sequence[str] = ()
    service_cidrs: t.Sequence[str] = ()
    # Names of load balancers that are known to be there and to stay.
    tolerated: t.Sequence[str] = ()


def findings(cluster: t.Mapping[str, t.Any], wanted: Wanted) -> list[Finding]:
    """Everything that is wrong, in the order in which it is to be read."""
    return [
        *_version(cluster["version"]),
        *_permissions(cluster["forbidden"]),
        *_unread(cluster["unread"]),
        *_rivals(cluster["load_balancers"], wanted.tolerated),
        *_plugins(cluster["network_plugins"]),
        *_clouds(cluster["nodes"]),
        *_nodes(cluster["nodes"], wanted.nodes),
        *_overlaps(cluster, wanted),
    ]


def _version(version: t.Mapping[str, t.Any]) -> t.Iterator[Finding]:
    number = (version["major"], version["minor"])
    if number < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        yield Finding(
            "kubernetes-too-old",
            f"Kubernetes {version['text']}: {wanted} is the oldest that works; upgrade the cluster",
        )
    elif number < CEL_SINCE:
        text = (
            f"Kubernetes {version['text']}: the API server does not check the rules in our definitions; "
            "what is wrong with an object is said by its conditions and by this check"
        )
        yield Finding("no-cel", text, fatal=False)


def _permissions(forbidden: t.Sequence[str]) -> t.Iterator[Finding]:
    if forbidden:
        text = f"the kubeconfig's user may not {', '.join(forbidden)}; use an administrator's"
        yield Finding("forbidden", text)


def _unread(paths: t.Sequence[str]) -> t.Iterator[Finding]:
    if paths:
        text = f"the kubeconfig's user may not read {', '.join(paths)}: that was not compared"
        yield Finding("not-compared", text, fatal=False)


def _rivals(found: t.Iterable[t.Mapping[str, str]], tolerated: t.Sequence[str]) -> t.Iterator[Finding]:
    for each in found:
        text = f"{each['name']} ({each['where']}) would give addresses to the same services: {each['note']}"
        yield Finding("another-load-balancer", text, fatal=each["name"] not in tolerated)


def _plugins(found: t.Sequence[t.Mapping[str, str]]) -> t.Iterator[Finding]:
    if not found:
        text = "no CNI plugin that is known here was found: try a service of each externalTrafficPolicy first"
        yield Finding("unknown-cni", text, fatal=False)
    for each in found:
        if each["verdict"] == MOSTLY:
            yield Finding(
                "cni-mostly", f"{each['name']} works for the most part: {each['note']}", fatal=False
            )


def _clouds(nodes: t.Iterable[t.Mapping[str, t.Any]]) -> t.Iterator[Finding]:
    clouds = sorted({node["cloud"] for node in nodes if node["cloud"]})
    for cloud in clouds:
        text = (
            f"the nodes are {cloud}'s: its network drops packets to addresses that it did not give out itself"
        )
        yield Finding("public-cloud", text, fatal=False)


def _nodes(
    found: t.Sequence[t.Mapping[str, t.Any]], wanted: t.Sequence[t.Mapping[str, t.Any]]
) -> t.Iterator[Finding]:
    nodes = {node["name"]: node for node in found}
    for each in wanted:
        if each["name"] not in nodes:
            yield _unknown_node(each, list(nodes))
        elif not nodes[each["name"]]["ready"]:
            text = f"node {each['name']}: is not ready, so it will not announce anything"
            yield Finding("node-not-ready", text, fatal=False)
    left = sorted(nodes.keys() - {each["name"] for each in wanted})
    if wanted and left:
        text = (
            f"the cluster has nodes that the group nodes lacks: {', '.join(left)}; no router will know them"
        )
        yield Finding("node-not-declared", text, fatal=False)


def _unknown_node(each: t.Mapping[str, t.Any], known: list[str]) -> Finding:
    nearest = difflib.get_close_matches(each["name"], known, 1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"it has {', '.join(sorted(known)) or 'none'};"
    host = each.get("host", each["name"])
    text = f"host {host}: the cluster has no node {each['name']!r}, {hint} vipcast_node_name names it"
    return Finding("unknown-node", text)


# -- ranges ------------------------------------------------------------------------------------------------


def _overlaps(cluster: t.Mapping[str, t.Any], wanted: Wanted) -> t.Iterator[Finding]:
    taken = list(_taken(cluster, wanted))
    ranges = [(pool["name"], parse_range(text)) for pool in wanted.pools for text in pool["addresses"]]
    for index, (name, one) in enumerate(ranges):
        for other_name, other in ranges[index + 1 :]:
            if one.overlaps(other):
                yield _overlap(name, one, f"{other} of pool {other_name}")
        for what, other in taken:
            if one.overlaps(other):
                yield _overlap(name, one, what)


def _overlap(name: str, one: AddressRange, what: str) -> Finding:
    return Finding(
        "overlapping-pool",
        f"pool {name}: {one} overlaps {what}; give vipcast_pools a range that nothing else uses",
    )


def _taken(cluster: t.Mapping[str, t.Any], wanted: Wanted) -> t.Iterator[tuple[str, AddressRange]]:
    """Every range that is in use, with what it is."""
    for node in cluster["nodes"]:
        for address in node["addresses"]:
            yield f"the address {address} of node {node['name']}", _single(address)
        for cidr in node["pod_cidrs"]:
            yield f"the pods' range {cidr} of node {node['name']}", parse_range(cidr)
    for cidr in {*cluster["service_cidrs"], *wanted.service_cidrs}:
        yield f"the services' range {cidr}", parse_range(cidr)
    for cidr in {*wanted.pod_cidrs}:
        yield f"the pods' range {cidr}", parse_range(cidr)
    for address in cluster["service_addresses"]:
        yield f"the address {address} of the service kubernetes", _single(address)


def _single(text: str) -> AddressRange:
    address = parse_address(text)
    return AddressRange(address, address)


__all__ = ["Finding", "Wanted", "findings"]
