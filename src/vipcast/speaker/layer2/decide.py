# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision which nodes may answer for an address at layer 2, and why not the others. Pure.

An address has candidates when
1. the service is ours, and the address lies in a pool that an L2Advertisement is for;
2. an endpoint of the address's family can serve;
3. an L2Advertisement of the pool selects the service. Where the service shares its addresses, none of these
   may have service selectors: then another service's would decide for this one;
4. there are nodes that one of these selects, whose network is up, which are ready, and not excluded, drained
   or out of service; with externalTrafficPolicy Local also with an endpoint that can serve.
Rules and names are MetalLB's, but for the node's readiness, which it does not look at, and drains.

Services that share an address have one owner: a node that fits all of them. Where there is none, the first by
name decides and the others are refused by name.

Nothing here depends on the node that computes it: every speaker hands the same candidates to its process, and
these agree on an owner among themselves (`vipcast.election`, `vipcast.membership`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from vipcast.election import AddressWant, Electorate
from vipcast.k8s import Key
from vipcast.model.addresses import IPAddress
from vipcast.model.layer2 import L2Advertisement
from vipcast.speaker.decide import Snapshot
from vipcast.speaker.kube_types import Node, Service
from vipcast.speaker.reasons import NotAnnounced
from vipcast.speaker.rules import NO_ENDPOINTS, Refusal, able, attracting, node_reason, ours, pool_of

__all__ = ["Candidacy", "Layer2Decision", "decide_layer2", "why_not"]


@dataclass(frozen=True, slots=True)
class Candidacy:
    """The candidates for one address of a service. `refusal`: why nobody may answer for it.

    `local`: the nodes that have an endpoint, where only these may; None: any may.
    """

    address: IPAddress
    refusal: Refusal | None = None
    advertisements: tuple[L2Advertisement, ...] = ()
    selected: frozenset[str] = frozenset()  # the nodes that these select
    local: frozenset[str] | None = None
    pool: str = ""


@dataclass(frozen=True, slots=True)
class Layer2Decision:
    """`unfit`: nodes that may answer for nothing, and why."""

    nodes: frozenset[str] = frozenset()  # all that may run the program
    unfit: Mapping[str, Refusal] = field(default_factory=dict)
    candidacies: Mapping[Key, tuple[Candidacy, ...]] = field(default_factory=dict)
    addresses: Mapping[IPAddress, AddressWant] = field(default_factory=dict)


def decide_layer2(snapshot: Snapshot) -> Layer2Decision:
    """The whole decision; services are taken by namespace and name, so that luck has no part in it."""
    unfit = {name: why for name, node in snapshot.nodes.items() if (why := _unfit(snapshot, node))}
    judge = _Evaluator(snapshot, unfit)
    keys = sorted(ours(snapshot.services, snapshot.lb_class))
    every = {key: judge.service(snapshot.services[key]) for key in keys}
    found = {key: each for key, each in every.items() if each}
    candidacies, addresses = _CandidateVotes(snapshot, unfit).merge(
        {key: each for key, each in found.items() if each}
    )
    return Layer2Decision(frozenset(snapshot.nodes), unfit, candidacies, addresses)


def why_not(decision: Layer2Decision, candidacy: Candidacy, node: str) -> Refusal | None:
    """Return why a node is no candidate for an address; None where it is one."""
    if candidacy.refusal:
        return candidacy.refusal
    want = decision.addresses.get(candidacy.address)
    if want and any(node in names for _weight, names in want.electorate):
        return None
    if node not in decision.nodes:
        return NotAnnounced.NODE_NOT_FOUND, f"the cluster has no node {node} that may run the program"
    if node not in candidacy.selected:
        return NotAnnounced.NOT_OWNER, f"no L2Advertisement of pool {candidacy.pool} selects this node"
    if candidacy.local is not None and node not in candidacy.local:
        message = "externalTrafficPolicy is Local and no endpoint on this node can serve"
        return NotAnnounced.NO_LOCAL_ENDPOINTS, message
    return decision.unfit.get(node) or _SHARED


_SHARED: Refusal = (
    NotAnnounced.SHARED_ELSEWHERE,
    "the service shares its address with others, and nodes that fit all of them go before this one",
)


def _unfit(snapshot: Snapshot, node: Node) -> Refusal | None:
    """Return why a node answers for nothing. That it is not ready comes last: see `_CandidateVotes`."""
    if refusal := node_reason(node, ignore_exclude=snapshot.ignore_exclude):
        return refusal
    if node.drain is not None:
        return NotAnnounced.NODE_DRAINED, "the node is drained"
    if node.out_of_service:
        return NotAnnounced.NODE_OUT_OF_SERVICE, "the node has the taint node.kubernetes.io/out-of-service"
    if not node.ready:
        return NotAnnounced.NODE_NOT_READY, "the node's condition Ready is not True"
    return None


class _Evaluator:
    """One pass over the services, each by itself."""

    def __init__(self, snapshot: Snapshot, unfit: Mapping[str, Refusal]) -> None:
        self._snapshot, self._unfit = snapshot, unfit
        config = snapshot.configuration
        self._of_pool = {pool.name: config.layer2_advertisements_for(pool) for pool in config.pools}
        self._selected: dict[tuple[str, ...], frozenset[str]] = {}  # by the advertisements' names

    def service(self, service: Service) -> tuple[Candidacy, ...]:
        """One for each address that layer 2 is to do with."""
        found = []
        for address in service.addresses:
            pool = pool_of(self._snapshot.configuration, address)
            if pool and self._of_pool[pool.name]:
                found.append(replace(self._address(service, address, pool.name), pool=pool.name))
        return tuple(found)

    def _address(self, service: Service, address: IPAddress, pool: str) -> Candidacy:
        endpoints = self._snapshot.endpoints.get(service.key, ())
        if not able(endpoints, address.version):
            return Candidacy(address, NO_ENDPOINTS)
        chosen = tuple(each for each in self._of_pool[pool] if each.selects_service(service.labels))
        if not chosen:
            message = f"no L2Advertisement of pool {pool} selects the service"
            return Candidacy(address, (NotAnnounced.NO_MATCHING_ADVERTISEMENT, message))
        if service.shares and (choosy := [each.name for each in chosen if each.service_selectors]):
            message = (
                f"the service shares its addresses, and L2Advertisement {choosy[0]} has serviceSelectors: "
                "use advertisements without them for it"
            )
            return Candidacy(address, (NotAnnounced.SHARED_WITH_SELECTORS, message))
        local = self._local(service, address) if service.local else None
        return Candidacy(address, None, chosen, self._nodes(chosen), local)

    def _nodes(self, chosen: tuple[L2Advertisement, ...]) -> frozenset[str]:
        names = tuple(each.name for each in chosen)
        if names not in self._selected:
            nodes = self._snapshot.nodes.items()
            self._selected[names] = frozenset(
                name for name, node in nodes if any(each.selects_node(node.labels) for each in chosen)
            )
        return self._selected[names]

    def _local(self, service: Service, address: IPAddress) -> frozenset[str]:
        """Nodes with an endpoint in every family that the service has endpoints and addresses in.

        Both addresses of a service go to one node, also in the moment in which only one of its EndpointSlices
        has changed. Where no node has both, the address's own family counts.
        """
        endpoints = self._snapshot.endpoints.get(service.key, ())
        families = {each.version for each in service.addresses}
        sets = {
            family: frozenset(each.node for each in attracting(serving) if each.node)
            for family in families
            if (serving := able(endpoints, family))
        }
        return frozenset.intersection(*sets.values()) or sets[address.version]


_Choice = tuple[tuple[str, ...], "frozenset[str] | None"]  # the advertisements' names, and `local`


class _CandidateVotes:
    """Merge the candidacies of services into one electorate for each address; equal ones are one object."""

    def __init__(self, snapshot: Snapshot, unfit: Mapping[str, Refusal]) -> None:
        self._snapshot, self._unfit = snapshot, unfit
        self._scores: dict[_Choice, dict[str, int]] = {}
        self._electorates: dict[tuple[_Choice, ...], tuple[Electorate, frozenset[str]]] = {}

    def merge(
        self, found: Mapping[Key, tuple[Candidacy, ...]]
    ) -> tuple[dict[Key, tuple[Candidacy, ...]], dict[IPAddress, AddressWant]]:
        """The candidacies again, now that it is known who else has an address, and what is wanted of each."""
        users: dict[IPAddress, list[tuple[Key, Candidacy]]] = {}
        for key, candidacies in found.items():
            for each in candidacies:
                if not each.refusal:
                    users.setdefault(each.address, []).append((key, each))
        wants, shut_out = {}, set()
        for address, pairs in users.items():
            electorate, refused = self._elect([each for _key, each in pairs])
            shut_out |= {(pairs[number][0], address) for number in refused}
            served = [pair for number, pair in enumerate(pairs) if number not in refused]
            wants[address] = self._want(electorate, served)
        return {key: self._judged(key, each, shut_out, wants) for key, each in found.items()}, wants

    def _want(self, electorate: Electorate, served: list[tuple[Key, Candidacy]]) -> AddressWant:
        # MetalLB's: both families of a service follow its first address.
        first = self._snapshot.services[served[0][0]].addresses[0]
        advertisements = [adv for _key, each in served for adv in each.advertisements]
        everywhere = not all(adv.interfaces for adv in advertisements)
        named = frozenset(name for adv in advertisements for name in adv.interfaces)
        local = any(each.local is not None for _key, each in served)
        stays = any(self._snapshot.services[key].stays for key, _each in served)
        return AddressWant(electorate, str(first), None if everywhere else named, local, stays)

    def _elect(self, candidacies: list[Candidacy]) -> tuple[Electorate, set[int]]:
        """Return those that fit all; the numbers of the services whose nodes the earlier ones exclude."""
        taken: list[_Choice] = []
        refused: set[int] = set()
        for number, each in enumerate(candidacies):
            choice = tuple(adv.name for adv in each.advertisements), each.local
            if choice not in self._scores:
                self._scores[choice] = self._score(each)
            if choice in taken:
                continue
            trial = (*taken, choice)
            if taken and not self._joined(trial)[1] and self._joined(tuple(taken))[1]:
                refused.add(number)
            else:
                taken.append(choice)
        return self._joined(tuple(taken))[0], refused

    def _joined(self, choices: tuple[_Choice, ...]) -> tuple[Electorate, frozenset[str]]:
        if choices not in self._electorates:
            scores = [self._scores[each] for each in choices]
            able_ = frozenset.intersection(*(frozenset(each) for each in scores))
            nodes = self._fit(able_)
            total: Counter[str] = Counter()
            for each in scores:
                total.update({name: each[name] for name in nodes})
            groups: dict[int, set[str]] = {}
            for name in nodes:
                groups.setdefault(total[name], set()).add(name)
            electorate = tuple((weight, frozenset(groups[weight])) for weight in sorted(groups, reverse=True))
            self._electorates[choices] = electorate, nodes
        return self._electorates[choices]

    def _fit(self, nodes: frozenset[str]) -> frozenset[str]:
        """Return the nodes that are fit.

        Where no node is ready it is more likely that nobody can tell: then that does
        not count, and all stays where it is."""
        fit = nodes - self._unfit.keys()
        if fit:
            return fit
        unready = (name for name in nodes if self._unfit[name][0] is NotAnnounced.NODE_NOT_READY)
        return frozenset(unready)

    def _score(self, candidacy: Candidacy) -> dict[str, int]:
        """Every node that may by its labels and endpoints, and how much it is preferred."""
        nodes = candidacy.selected if candidacy.local is None else candidacy.selected & candidacy.local
        weighing = [adv for adv in candidacy.advertisements if adv.preferred_nodes]
        labels = {name: self._snapshot.nodes[name].labels for name in nodes}
        return {name: sum(adv.preference(labels[name]) for adv in weighing) for name in nodes}

    def _judged(
        self,
        key: Key,
        candidacies: Iterable[Candidacy],
        shut_out: set[tuple[Key, IPAddress]],
        wants: Mapping[IPAddress, AddressWant],
    ) -> tuple[Candidacy, ...]:
        found = []
        for each in candidacies:
            refusal = each.refusal
            if (key, each.address) in shut_out:
                refusal = NotAnnounced.SHARED_ELSEWHERE, _NO_COMMON_NODE
            elif not refusal and not wants[each.address].electorate:
                refusal = NotAnnounced.NO_CANDIDATE, self._nobody(each)
            found.append(replace(each, refusal=refusal))
        return tuple(found)

    def _nobody(self, candidacy: Candidacy) -> str:
        if not candidacy.selected:
            return f"no L2Advertisement of pool {candidacy.pool} selects a node of the cluster"
        nodes = candidacy.selected if candidacy.local is None else candidacy.selected & candidacy.local
        if not nodes:
            return "externalTrafficPolicy is Local and no node that may answer has an endpoint that can serve"
        counts = Counter(self._unfit[name][0].value for name in nodes)
        told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        return f"none of the nodes that may answer is fit: {told}"


_NO_COMMON_NODE = (
    "the service shares its address, and no node fits it and the services before it: their advertisements or "
    "endpoints have no node in common"
)
