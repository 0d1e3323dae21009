# SPDX-License-Identifier: GPL-3.0-or-later
"""The requirements of a load balancer in a cluster: survey and declaration in, named problems out. Pure.

A problem stops a rollout, a warning does not. Each says what is wrong, where, and what would be right.
"""

from __future__ import annotations

import difflib
import typing as t
from dataclasses import dataclass

from ..model.addresses import AddressRange, parse_address, parse_range
from ..model.intervals import Intervals
from .detection import MOSTLY
from .distribution import HOW

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
    """The part of the declaration that a cluster can contradict."""

    pools: t.Sequence[t.Mapping[str, t.Any]] = ()
    nodes: t.Sequence[t.Mapping[str, t.Any]] = ()
    pod_cidrs: t.Sequence[str] = ()
    service_cidrs: t.Sequence[str] = ()
    # Names of load balancers that are known to be there and to stay.
    tolerated: t.Sequence[str] = ()
    # BGPPeers, each with namespace, name and whether its sessions restart gracefully.
    peers: t.Sequence[t.Mapping[str, t.Any]] = ()
    # Whether addresses are announced at layer 2.
    layer2: bool = False


def findings(cluster: t.Mapping[str, t.Any], wanted: Wanted) -> list[Finding]:
    """Everything that is wrong, in the order in which it is to be read."""
    return [
        *_version(cluster["version"]),
        *_permissions(cluster["forbidden"]),
        *_unread(cluster["unread"]),
        *_rivals(cluster["load_balancers"], wanted.tolerated),
        *_plugins(cluster["network_plugins"]),
        *(_proxies(cluster) if wanted.layer2 else ()),
        *_absent_secrets(cluster.get("absent_secrets", ())),
        *_clouds(cluster["nodes"]),
        *_nodes(cluster["nodes"], wanted.nodes),
        *_peers(cluster["peers"], wanted.peers),
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


def _proxies(cluster: t.Mapping[str, t.Any]) -> t.Iterator[Finding]:
    """kube-proxy in IPVS mode without strictARP, where the role kube_proxy cannot set it."""
    ours = cluster["kube_proxy"] or {}
    if ours.get("kept_by") and ours["mode"] == "ipvs" and not ours["strict_arp"]:
        yield _answers(f"{ours['kept_by']} keeps kube-proxy's configuration, which has", ours["kept_by"])
    proxies = [each for each in cluster["kube_proxies_elsewhere"] if not each["strict_arp"]]
    for of in dict.fromkeys(each["of"] for each in proxies if each["mode"] == "ipvs"):
        nodes = ", ".join(each["node"] for each in proxies if each["of"] == of and each["mode"] == "ipvs")
        yield _answers(f"kube-proxy is {of}'s own on {nodes}, and has", of)
    for of in dict.fromkeys(each["of"] for each in proxies if each["mode"] is None):
        text = f"kube-proxy is {of}'s own, and its mode is not to be seen; if that is ipvs, {HOW[of]}"
        yield Finding("strict-arp-unknown", text, fatal=False)


def _answers(beginning: str, of: str) -> Finding:
    text = "mode ipvs without strictARP: every node would answer ARP for every service's address"
    return Finding("no-strict-arp", f"{beginning} {text}; no playbook can set it there: {HOW[of]}")


def _absent_secrets(names: t.Iterable[str]) -> t.Iterator[Finding]:
    for name in names:
        namespace, _slash, secret = name.partition("/")
        text = (
            f"Secret {name} is not there, and load_balancer_image_pull_secrets names it: no node could pull "
            f"the image; kubectl create namespace {namespace} (where it is not there either), then kubectl "
            f"-n {namespace} create secret docker-registry {secret} --docker-server=... --docker-username=..."
        )
        yield Finding("no-pull-secret", text)


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


def _peers(
    found: t.Sequence[t.Mapping[str, t.Any]], wanted: t.Sequence[t.Mapping[str, t.Any]]
) -> t.Iterator[Finding]:
    """The API server would refuse it in the middle of a rollout, and before 1.25 the speakers would."""
    restarts = {(each["namespace"], each["name"]): each["enable_graceful_restart"] for each in found}
    for each in wanted:
        before = restarts.get((each["namespace"], each["name"]))
        if before is not None and before != each["enable_graceful_restart"]:
            yield _other_restart(each, before)


def _other_restart(each: t.Mapping[str, t.Any], before: bool) -> Finding:
    namespace, name = each["namespace"], each["name"]
    now, then = (str(value).lower() for value in (before, each["enable_graceful_restart"]))
    return Finding(
        "graceful-restart-changed",
        f"BGPPeer {namespace}/{name}: enable_graceful_restart is {now} in the cluster and {then} in the "
        "declaration, and can not be changed in place: both ends agree on it when a session begins. Delete "
        f"the peer, and a rollout makes it anew: kubectl delete bgppeers.metallb.io -n {namespace} {name}; "
        "its router has no routes in between, so of several routers change one, roll out, and then the next",
    )


# -- ranges ------------------------------------------------------------------------------------------------


def _overlaps(cluster: t.Mapping[str, t.Any], wanted: Wanted) -> t.Iterator[Finding]:
    taken = list(_taken(cluster, wanted))
    ranges = [(pool["name"], parse_range(text)) for pool in wanted.pools for text in pool["addresses"]]
    known: Intervals[str] = Intervals()
    for name, one in ranges:
        what = next(known.meeting(one), None)
        if what is not None:
            yield _overlap(name, one, what)
        else:
            known.add(one, f"{one} of pool {name}")
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
