# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the answers of hosts that are asked before a rollout: answers in, problems and warnings out. Pure.

**PRIVATE** to the collection. An *answer* is a result of the module shell_info, as a loop registers it: with
the host's part of the declaration as ``item``. A problem stops a rollout, a warning does not.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ._declaration.outputs import pool_ranges
from ._declaration.values import range_of
from ._image.archive import GO_ARCHITECTURES
from .model.addresses import AddressRange, IPNetwork

Answer = Mapping[str, Any]
Data = Mapping[str, Any]

# What is to be put right where nobody becomes root on a host.
ROUTER_ROOT = (
    "ansible_become_method and ansible_become_password say how, and a system without sudo wants ansible_user "
    "root and ansible_become false"
)
NODE_ROOT = (
    "importing the image takes root: ansible_become, ansible_become_method and "
    "ansible_become_password say how"
)
# Networks with fewer addresses have no hosts besides their two ends, which ask nobody for others.
MOST_BITS = {4: 30, 6: 126}


@dataclass
class Findings:
    """The problems that stop a rollout, and the warnings that do not."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, list[str]]:
        """Return them as data."""
        return {"problems": self.problems, "warnings": self.warnings}


def judge(declared: Data, given: Mapping[str, Any]) -> Findings:
    """Everything that `given` has answers for; the keys are those of the filter's documentation."""
    routers, nodes = given.get("routers") or (), given.get("nodes") or ()
    leave_out = bool(given.get("leave_out_routers"))
    found = [
        _tolerated(of_routers(routers, given.get("own_shell") or ()), leave_out),
        of_nodes(given.get("nodes_as_root") or ()),
        _tolerated(of_ways(nodes, declared.get("routers") or ()), leave_out),
        of_networks(declared, nodes, routers, given.get("tolerated_pools") or ()),
    ]
    if given.get("image"):
        found.append(of_image(**given["image"]))
    return Findings(
        [text for one in found for text in one.problems], [text for one in found for text in one.warnings]
    )


def _tolerated(found: Findings, tolerated: bool) -> Findings:
    """Return the problems as warnings, where that is wanted."""
    return Findings([], [*found.problems, *found.warnings]) if tolerated else found


# -- answers -----------------------------------------------------------------------------------------------


def asked(answers: Iterable[Answer]) -> list[Answer]:
    """Return the answers of hosts that were asked."""
    return [one for one in answers if not one.get("skipped")]


def user_of(answer: Answer) -> str | None:
    """Return the user id that the host says, of a line ``uid NUMBER``."""
    said = re.findall(r"^uid (\d+)\s*$", str(answer.get("stdout") or ""), re.MULTILINE)
    return said[-1] if said else None


def reason_of(answer: Answer) -> str:
    """Return in one line why there is no answer, or what the shell said instead of one."""
    said = answer.get("reason") or f"{answer.get('stdout') or ''} {answer.get('stderr') or ''}"
    return " ".join(str(said).split()) or f"exit status {answer.get('rc', '?')}"


def is_out_of_reach(answer: Answer) -> bool:
    """Return whether there is no connection at all."""
    return not answer.get("answered") and not answer.get("connected", False)


# -- root --------------------------------------------------------------------------------------------------


def of_routers(answers: Iterable[Answer], own_shell: Sequence[str]) -> Findings:
    """Check that Ansible is root on each router; those in `own_shell` have a command that brings it."""
    found = Findings()
    for answer in asked(answers):
        host = answer["item"]["host"]
        if is_out_of_reach(answer):
            how = "ansible_host and ansible_user say where and as whom"
            found.problems.append(f"router {host}: Ansible cannot reach it: {reason_of(answer)}; {how}")
        elif user_of(answer) is None:
            text = f"router {host}: Ansible cannot become root on it: {reason_of(answer)}; {ROUTER_ROOT}"
            found.problems.append(text)
        elif user_of(answer) != "0" and host not in own_shell:
            found.problems.append(
                f"router {host}: Ansible works on it as user id {user_of(answer)}; FRR's shell and the "
                "kernel's parameters take root: set ansible_become to true for the group routers, or "
                "ansible_user to root"
            )
    return found


def of_nodes(answers: Iterable[Answer]) -> Findings:
    """Check that Ansible is root on nodes that answer. One that does not answer is left out of a rollout."""
    found = Findings()
    for answer in asked(answers):
        if is_out_of_reach(answer) or user_of(answer) == "0":
            continue
        user = user_of(answer)
        reason = reason_of(answer) if user is None else f"it works there as user id {user}"
        host = answer["item"]["host"]
        found.problems.append(f"node {host}: Ansible cannot become root on it: {reason}; {NODE_ROOT}")
    return found


# -- ways --------------------------------------------------------------------------------------------------


def of_ways(answers: Iterable[Answer], routers: Sequence[Data]) -> Findings:
    """Check that nodes reach the routers, by lines ``reaches ADDRESS`` and ``misses ADDRESS``."""
    found = Findings()
    said = {one["item"]["host"]: _ways(one) for one in asked(answers)}
    for router in routers:
        tried = [host for host, ways in said.items() if router["address"] in ways]
        if tried and not any(said[host][router["address"]] for host in tried):
            found.problems.append(
                f"router {router['host']}: none of {', '.join(tried)} reaches {router['address']}; "
                "vipcast_router_address is the address that nodes peer with"
            )
    found.warnings += _silent(answers, "" if any(said.values()) or not routers else UNKNOWN_WAYS)
    return found


UNKNOWN_WAYS = "; whether nodes reach the routers is not known"


def _silent(answers: Iterable[Answer], more: str) -> list[str]:
    """A warning for each reason, with the nodes that could not be asked for it."""
    reasons: dict[str, list[str]] = {}
    for answer in asked(answers):
        if not answer.get("answered"):
            reasons.setdefault(reason_of(answer), []).append(answer["item"]["host"])
    return [f"{', '.join(hosts)} could not be asked: {reason}{more}" for reason, hosts in reasons.items()]


def _ways(answer: Answer) -> dict[str, bool]:
    lines = [line.split() for line in str(answer.get("stdout") or "").splitlines()]
    return {
        line[1]: line[0] == "reaches" for line in lines if len(line) == 2 and line[0] in ("reaches", "misses")
    }


# -- networks ----------------------------------------------------------------------------------------------


def of_networks(
    declared: Data, nodes: Iterable[Answer], routers: Iterable[Answer], tolerated: Sequence[str]
) -> Findings:
    """A pool that is announced by BGP alone must not be inside of a network whose hosts ask for it by ARP."""
    networks: dict[IPNetwork, str] = {}
    for host, network in _of_nodes(nodes):
        networks.setdefault(network, f"node {host}")
    for answer in asked(routers):
        for network in _networks(answer):
            networks.setdefault(network, f"router {answer['item']['host']}")
    found = Findings()
    for pool in _by_bgp_alone(declared):
        texts = found.warnings if pool["name"] in tolerated else found.problems
        texts += [
            _inside(pool["name"], one, network, whose)
            for one in pool_ranges(pool)
            for network, whose in networks.items()
            if one.overlaps(range_of(network))
        ]
    return found


def _by_bgp_alone(declared: Data) -> list[Data]:
    near = {name for one in declared.get("l2_advertisements") or () for name in one["pools"]}
    far = {name for one in declared.get("advertisements") or () for name in one["pools"]}
    return [pool for pool in declared.get("pools") or () if pool["name"] in far - near]


def _of_nodes(answers: Iterable[Answer]) -> list[tuple[str, IPNetwork]]:
    """The network in which each node has its address."""
    return [
        (answer["item"]["host"], network)
        for answer in asked(answers)
        for network in _networks(answer)
        if ipaddress.ip_address(answer["item"]["address"]) in network
    ]


def _networks(answer: Answer) -> list[IPNetwork]:
    """The networks with hosts that the host is in, as ``ip addr`` lists its addresses."""
    texts = re.findall(r"\binet6? ([0-9a-fA-F.:]+/\d+)", str(answer.get("stdout") or ""))
    found = [ipaddress.ip_interface(text).network for text in texts]
    return list(dict.fromkeys(one for one in found if one.prefixlen <= MOST_BITS[one.version]))


def _inside(pool: str, addresses: AddressRange, network: IPNetwork, whose: str) -> str:
    protocol = "ARP" if network.version == 4 else "neighbor discovery"
    return (
        f"pool {pool}: {addresses} is in {network}, which is a network of {whose}: hosts there ask for such "
        f"an address by {protocol}, and where it is announced by BGP alone nobody answers; take addresses "
        "that no network has, or announce the pool at layer 2, too (vipcast_l2_advertisements), or, where no "
        f"host there is a client, say preflight_tolerated_pools: [{pool}]"
    )


# -- the image ---------------------------------------------------------------------------------------------


def of_image(
    nodes: Sequence[Data], here: Answer, bases: Mapping[str, str], said: Mapping[str, str]
) -> Findings:
    """Check that the image can be made for the nodes' processors.

    `nodes`: name and architecture, as the cluster has them. `here`: what the control node says, in lines
    ``has PROGRAM`` and ``cached FILE``. `bases`: base trees by architecture. `said`: the architecture that
    the inventory says, by the node's name.
    """
    found = Findings()
    wanted = {node["name"]: node.get("architecture") or "" for node in nodes}
    for name, architecture in wanted.items():
        if said.get(name, architecture) != architecture and architecture:
            found.problems.append(
                f"node {name}: it is {architecture}, and load_balancer_image_architecture says {said[name]}; "
                "leave it out, and each node gets the image of its own processor"
            )
    kinds = sorted({one for one in wanted.values() if one})
    found.problems += [_unknown_kind(one, wanted) for one in kinds if one not in GO_ARCHITECTURES.values()]
    found.problems += _not_to_be_made(kinds, here, bases)
    return found


def _unknown_kind(kind: str, wanted: Mapping[str, str]) -> str:
    nodes = ", ".join(name for name, architecture in wanted.items() if architecture == kind)
    known = ", ".join(sorted(GO_ARCHITECTURES.values()))
    return (
        f"node {nodes}: no image is made for {kind} (but for {known}); "
        "load_balancer_image names one in a registry"
    )


def _not_to_be_made(kinds: Sequence[str], here: Answer, bases: Mapping[str, str]) -> list[str]:
    lines = [line.split(maxsplit=1) for line in str(here.get("stdout") or "").splitlines()]
    programs = {line[1] for line in lines if line[0:1] == ["has"] and len(line) == 2}
    cached = [line[1] for line in lines if line[0:1] == ["cached"] and len(line) == 2]
    lacking = [one for one in kinds if one not in bases and not any(f"-{one}-" in name for name in cached)]
    if not lacking or programs & {"mmdebstrap", "apt-get"} or not here.get("answered"):
        return []
    return [
        f"localhost: it has to make the image for {', '.join(lacking)}, and has neither mmdebstrap nor "
        "apt-get, which Debian and Ubuntu have: run Ansible on one of these, or say load_balancer_image, an "
        "image in a registry, or load_balancer_image_bases, base trees that were made elsewhere"
    ]
