# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every order of events, late informers, lost writes and restarts."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.world import Api, Runner, pools_of

from vipcast.ipam import Allocation, Refusal, Request
from vipcast.ipam.service import Relation

NAMES = st.sampled_from(["a", "b", "c", "d", "e"]).map(lambda name: ("ns", name))
CONFIGURATIONS: list[dict[str, Any]] = [
    {"p": ["10.0.0.0/30"]},
    {"p": ["10.0.0.0/31"], "q": ["10.0.0.2/31"]},
    {"q": ["10.0.0.1-10.0.0.2"]},
    {"p": {"addresses": ["10.0.0.0/30"], "autoAssign": False}},
    {"p": {"addresses": ["10.0.0.0/30", "10.0.1.255/32"], "avoidBuggyIPs": True}},
    {"p": ["10.0.0.3/32"], "six": ["fd00::1-fd00::2"]},
    {"p": ["10.0.0.0/31", "fd00::1/128"], "q": ["10.0.0.2/32", "fd00::2/128"]},
    {},
]
CLUSTER = {
    "four": {"clusterIPs": ["10.96.0.1"]},
    "six": {"clusterIPs": ["fd00:96::1"]},
    "prefer": {"clusterIPs": ["10.96.0.1", "fd00:96::1"], "ipFamilyPolicy": "PreferDualStack"},
    "require": {"clusterIPs": ["fd00:96::1", "10.96.0.1"], "ipFamilyPolicy": "RequireDualStack"},
}
SPECS = st.builds(
    lambda cluster, requested, port, kind: {
        **CLUSTER[cluster],
        **({"loadBalancerIP": requested} if requested else {}),
        "ports": [{"port": port}],
        "type": kind,
    },
    st.sampled_from(["four", "four", "four", "six", "prefer", "require"]),
    st.sampled_from([None, None, None, "10.0.0.1", "10.0.0.2", "fd00::1", "nonsense"]),
    st.sampled_from([80, 443]),
    st.sampled_from(["LoadBalancer"] * 5 + ["ClusterIP"]),
)
ANNOTATIONS = st.sampled_from(
    [
        {},
        {},
        {},
        {"metallb.io/allow-shared-ip": "key"},
        {"metallb.io/allow-shared-ip": "other"},
        {"metallb.io/address-pool": "q"},
        {"metallb.universe.tf/address-pool": "p"},
    ]
)
SCRIBBLES = st.lists(
    st.sampled_from([{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}, {"ip": "192.0.2.9"}, {"hostname": "x"}]),
    max_size=3,
)


class Cluster(RuleBasedStateMachine):
    """A controller, an API server, and everything that can happen between them."""

    def __init__(self) -> None:
        super().__init__()
        self.pools = pools_of(**CONFIGURATIONS[0])
        self.api = Api()
        self.runner = Runner(self.api, self.pools)
        self.scribbled: set[tuple[str, str]] = set()

    @rule(key=NAMES, spec=SPECS, annotations=ANNOTATIONS)
    def somebody_makes_or_changes_a_service(self, key: Any, spec: Any, annotations: Any) -> None:
        self.api.put(key, spec, annotations=annotations)

    @rule(key=NAMES)
    def somebody_deletes_a_service(self, key: Any) -> None:
        if key in self.api.objects:
            self.api.delete(key)
            self.scribbled.discard(key)

    @rule(key=NAMES, ingress=SCRIBBLES)
    def somebody_scribbles_into_a_status(self, key: Any, ingress: Any) -> None:
        if key in self.api.objects and self.api.objects[key]["spec"]["type"] == "LoadBalancer":
            self.api.scribble(key, ingress)
            self.scribbled.add(key)

    @rule(which=st.sampled_from(CONFIGURATIONS))
    def somebody_changes_the_pools(self, which: Any) -> None:
        self.pools = pools_of(**which)
        self.runner.configure(self.pools)

    @precondition(lambda self: self.runner.pending)
    @rule()
    def the_informer_hears_of_one_change(self) -> None:
        self.runner.deliver()

    @precondition(lambda self: self.runner.todo)
    @rule(data=st.data())
    def one_service_is_written(self, data: Any) -> None:
        key = data.draw(st.sampled_from(list(self.runner.todo)))
        before = {other: self.api.shown(other) for other in self.api.objects}
        self.runner.write(key)
        if key in self.api.objects and self.api.shown(key) != before.get(key):
            self.scribbled.discard(key)  # it was repaired

    @rule()
    def the_controller_dies_and_starts_again(self) -> None:
        self.runner = Runner(self.api, self.pools)

    @rule()
    def everything_comes_to_rest(self) -> None:
        self.runner.settle()
        self.scribbled.clear()
        self._everybody_has_what_can_be_had()
        self._nothing_would_change_after_a_restart()

    def _everybody_has_what_can_be_had(self) -> None:
        decider = self.runner.decider
        for key, view in decider.views.items():
            outcome = decider.outcome(key)
            assert outcome is not None
            if view.relation is Relation.OURS:
                assert isinstance(outcome.result, Allocation | Refusal)
            if isinstance(outcome.result, Allocation):
                assert self.api.shown(key) == [str(address) for address in outcome.result.addresses]
            else:
                assert self.api.shown(key) == []
            if isinstance(outcome.result, Refusal) and isinstance(view.want, Request):
                self._really_nothing_is_free(view.want)

    def _really_nothing_is_free(self, want: Request) -> None:
        """Tried by hand, address by address."""
        allocator = self.runner.decider.allocator
        assert isinstance(allocator._choose(want), Refusal)
        if want.addresses or len(want.families) > 1:
            return
        for pool in allocator.candidates(want):
            for address in pool.addresses():
                if address.version == want.families[0]:
                    assert isinstance(allocator.check(want, (address,)), Refusal), (want, address)

    def _nothing_would_change_after_a_restart(self) -> None:
        versions = {key: item["metadata"]["resourceVersion"] for key, item in self.api.objects.items()}
        again = Runner(self.api, self.pools)
        again.settle()
        assert versions == {
            key: item["metadata"]["resourceVersion"] for key, item in self.api.objects.items()
        }, again.notes
        assert again.decider.allocator.book.allocations == self.runner.decider.allocator.book.allocations
        for pool in self.pools:
            for family in (4, 6):
                mine, theirs = self.runner.decider.allocator, again.decider.allocator
                assert mine.usage(pool.name, family) == theirs.usage(pool.name, family)
        self.runner = again

    @invariant()
    def no_two_services_show_one_address(self) -> None:
        """At every moment, in the API server, not only when everything is settled."""
        users: dict[str, list[Any]] = {}
        for key, item in self.api.objects.items():
            for text in self.api.shown(key):
                if key not in self.scribbled:
                    users.setdefault(text, []).append(item)
        for text, items in users.items():
            if len(items) > 1:
                self._may_share(text, items)

    def _may_share(self, text: str, items: list[Any]) -> None:
        """Only services that said so, when they were given it; they may have changed their mind since."""
        held = [
            key
            for key in self.runner.decider.allocator.book.allocations
            if text in map(str, self.runner.decider.allocator.book.held_by(key))
        ]
        assert len(items) <= 2, text  # two ports, so at most two can share
        terms = [self.runner.decider.views[key].want.sharing for key in held]  # type: ignore[union-attr]
        assert all(one.refusal(two) is None for one in terms for two in terms if one is not two)

    @invariant()
    def counters_agree_with_the_book(self) -> None:
        allocator = self.runner.decider.allocator
        found = Counter(
            (pool.name, address.version)
            for address in allocator.book.addresses()
            if (pool := allocator.pool_of(address)) is not None
        )
        for pool in allocator.pools:
            for family in (4, 6):
                assert allocator.usage(pool.name, family)[0] == found[pool.name, family]


Cluster.TestCase.settings = settings(
    max_examples=int(os.environ.get("VIPCAST_SEQUENCES", "300")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestEveryOrderOfEvents = Cluster.TestCase
