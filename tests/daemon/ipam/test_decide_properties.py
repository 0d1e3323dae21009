# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what holds for every order of events, late informers, lost writes, restarts and fail-overs.

A sequence is a walk of up to forty steps. They are tried in parts, so that several processes can share them;
daemon/sequences.py says how many and which.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import pytest
from daemon import sequences
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.oracle import Oracle, Wish, wish_of
from support.world import Api, Flight, Holder, Runner, pools_of, shown_by

from vipcast.ipam import Allocation, Refusal
from vipcast.ipam.service import Relation

PARTS = 20

Json = dict[str, Any]
ALLOCATION = {"priority": 1, "serviceSelectors": [{"matchLabels": {"app": "gold"}}]}
BY_TEAM = {"namespaces": ["other"], "namespaceSelectors": [{"matchLabels": {"team": "a"}}]}
CONFIGURATIONS: list[dict[str, Json]] = [
    {"p": {"addresses": ["10.0.0.0/30"]}},
    {"p": {"addresses": ["10.0.0.0/31"]}, "q": {"addresses": ["10.0.0.2/31"]}},
    {"q": {"addresses": ["10.0.0.1-10.0.0.2"]}},
    {"p": {"addresses": ["10.0.0.0/30"], "autoAssign": False}},
    {"p": {"addresses": ["10.0.0.2/31", "10.0.0.0/31", "10.0.1.255/32"], "avoidBuggyIPs": True}},
    {"p": {"addresses": ["10.0.0.3/32"]}, "six": {"addresses": ["fd00::1-fd00::2"]}},
    {
        "p": {"addresses": ["10.0.0.0/31", "fd00::1/128"]},
        "q": {"addresses": ["10.0.0.2/32", "fd00::2/128"]},
    },
    {"p": {"addresses": ["fd00::/126", "10.0.0.1-10.0.0.2"]}},
    {
        "p": {"addresses": ["10.0.0.0/31"]},
        "q": {"addresses": ["10.0.0.2/31", "fd00::1/128"], "serviceAllocation": ALLOCATION},
    },
    {
        "p": {"addresses": ["10.0.0.1/32"], "serviceAllocation": BY_TEAM},
        "q": {"addresses": ["10.0.0.2/32"], "serviceAllocation": {"priority": 3}},
    },
    {"p": {"addresses": ["10.0.0.1/32"], "autoAssign": False, "serviceAllocation": ALLOCATION}},
    {},
]
READY = [pools_of(**configuration) for configuration in CONFIGURATIONS]
ORACLES = [Oracle(configuration) for configuration in CONFIGURATIONS]

CLUSTERS: list[Json] = [
    *[{"clusterIPs": ["10.96.0.1"]}] * 3,
    {"clusterIPs": ["fd00:96::1"]},
    {"clusterIPs": ["10.96.0.1", "fd00:96::1"], "ipFamilyPolicy": "PreferDualStack"},
    {"clusterIPs": ["fd00:96::1", "10.96.0.1"], "ipFamilyPolicy": "PreferDualStack"},
    {"clusterIPs": ["fd00:96::1", "10.96.0.1"], "ipFamilyPolicy": "RequireDualStack"},
]
REQUESTED = [None, None, None, None, "10.0.0.1", "10.0.0.2", "fd00::1", "nonsense"]
LOCAL: list[Json] = [
    *[{}] * 3,
    {"externalTrafficPolicy": "Local", "selector": {"app": "a"}},
    {"externalTrafficPolicy": "Local", "selector": {"app": "b"}},
]
ANNOTATIONS: list[dict[str, str]] = [
    *[{}] * 4,
    *[{"metallb.io/allow-shared-ip": "key"}] * 3,
    {"metallb.universe.tf/allow-shared-ip": "other"},
    {"metallb.io/address-pool": "q"},
    {"metallb.universe.tf/address-pool": "p"},
    {"metallb.io/loadBalancerIPs": "fd00::1, 10.0.0.1"},
]
INGRESS: list[list[Json]] = [
    [],
    [{"ip": "10.0.0.1"}],
    [{"ip": "10.0.0.2"}],
    [{"ip": "192.0.2.9"}],
    [{"hostname": "x"}],
    [{"ip": "10.0.0.1"}, {"ip": "10.0.0.1"}],
    [{"ip": "fd00::1"}, {"ip": "10.0.0.1"}],
    [{"ip": "10.0.0.0"}, {"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}],
]
KEYS: list[Holder] = [("ns", "a"), ("ns", "b"), ("ns", "c"), ("other", "d"), ("other", "e")]
LABELS: list[dict[str, str]] = [{}, {"team": "a"}]


def one_of(choices: list[Any]) -> st.SearchStrategy[int]:
    """An index: cheaper to draw than the thing itself."""
    return st.integers(0, len(choices) - 1)


CHANGES = st.tuples(
    one_of(KEYS), one_of(CLUSTERS), one_of(REQUESTED), one_of(LOCAL), one_of(ANNOTATIONS), st.integers(0, 19)
)


class Cluster(RuleBasedStateMachine):
    """A leader, an API server, and everything that can happen between them."""

    def __init__(self) -> None:
        super().__init__()
        self.which = 0
        self.api = Api()
        self.scribbled: set[Holder] = set()
        self.touched: set[Holder] = set()  # since everything was at rest
        self.shaken = False  # since then something happened that concerns all
        self.at_rest: dict[Holder, tuple[str, ...]] = {}
        self.late: Flight | None = None  # of a leader that was deposed
        self._take_over()

    def _take_over(self) -> None:
        self.runner = Runner(self.api, READY[self.which])
        self.known = self.which  # the pools that the leader knows

    @initialize(which=one_of(CONFIGURATIONS), changes=st.lists(CHANGES, max_size=4), settled=st.booleans())
    def a_cluster_is_there_already(self, which: int, changes: list[tuple[int, ...]], settled: bool) -> None:
        self.which = which
        self._configure()
        for change in changes:
            self._change_service(change)
        if settled:
            self._settle()

    # -- what people do --------------------------------------------------------------------------------------

    @rule(change=CHANGES)
    def somebody_makes_or_changes_a_service(self, change: tuple[int, ...]) -> None:
        self._change_service(change)

    def _change_service(self, change: tuple[int, ...]) -> None:
        key, requested, odds = KEYS[change[0]], REQUESTED[change[2]], change[5]
        spec = {**CLUSTERS[change[1]], **LOCAL[change[3]], "ports": [{"port": (80, 443)[odds % 2]}]}
        if odds >= 18:
            spec["type"] = "ClusterIP"
        annotations = ANNOTATIONS[change[4]]
        if requested and (odds == 7 or "metallb.io/loadBalancerIPs" not in annotations):
            spec["loadBalancerIP"] = requested
        self.api.put(key, spec, annotations=annotations, labels={"app": "gold"} if odds % 3 else {})
        self.touched.add(key)

    @rule(number=one_of(KEYS))
    def somebody_deletes_a_service(self, number: int) -> None:
        key = KEYS[number]
        if key in self.api.objects:
            self.api.delete(key)
            self.scribbled.discard(key)
            self.touched.add(key)

    @rule(number=one_of(KEYS), ingress=one_of(INGRESS))
    def somebody_scribbles_into_a_status(self, number: int, ingress: int) -> None:
        key = KEYS[number]
        if key in self.api.objects and self.api.objects[key]["spec"]["type"] == "LoadBalancer":
            self.api.scribble(key, INGRESS[ingress])
            self.scribbled.add(key)
            self.touched.add(key)

    @rule(which=one_of(CONFIGURATIONS), late=st.booleans())
    def somebody_changes_the_pools(self, which: int, late: bool) -> None:
        self.which, self.shaken = which, True
        if not late:
            self._configure()

    @rule(labels=one_of(LABELS))
    def somebody_labels_a_namespace(self, labels: int) -> None:
        self.api.label("ns", LABELS[labels])
        self.shaken = True

    # -- what the leader does and what becomes of it ---------------------------------------------------------

    def _configure(self) -> None:
        if self.known != self.which:
            self._judged(lambda: self.runner.configure(READY[self.which]), pools=self.which)

    @precondition(lambda self: self.runner.pending)
    @rule(events=st.integers(1, 3))
    def the_informer_hears_of_changes(self, events: int) -> None:
        for _event in range(min(events, len(self.runner.pending))):
            self._judged(self.runner.deliver)

    @precondition(lambda self: self.runner.pending)
    @rule()
    def the_watch_expires_and_the_list_is_read_again(self) -> None:
        self.runner.relist()
        self._configure()

    @precondition(lambda self: self.runner.todo)
    @rule(numbers=st.lists(st.integers(0, 4), min_size=1, max_size=3), at_once=st.booleans())
    def services_are_written(self, numbers: list[int], at_once: bool) -> None:
        for number in numbers:
            self._write(number, at_once)

    def _write(self, number: int, at_once: bool) -> None:
        ready = [key for key in self.runner.todo if key not in self.runner.flights]
        if ready:
            key = ready[number % len(ready)]
            self._judged(lambda: self.runner.send(key))
            if at_once and key in self.runner.flights:
                self._arrive(self.runner.flights[key])
                self._judged(lambda: self.runner.hear_answer(key))

    @precondition(lambda self: self.runner.flights)
    @rule(
        number=st.integers(0, 4),
        what=st.sampled_from(["arrives", "is answered", "answer is lost", "is lost"]),
    )
    def a_patch_under_way(self, number: int, what: str) -> None:
        key = list(self.runner.flights)[number % len(self.runner.flights)]
        flight = self.runner.flights[key]
        if what != "is lost" and not flight.arrived:
            self._arrive(flight)
        if what != "arrives":
            self._judged(lambda: self.runner.hear_answer(key, lost=what != "is answered"))

    def _arrive(self, flight: Flight) -> None:
        """Let a write arrive: then, and at no other time, can an address appear on a second service."""
        before = self.api.objects.get(flight.key)
        flight.arrive(self.api)
        if flight.answer is None or before is None:
            return
        new = set(shown_by(flight.answer)) - set(shown_by(before))
        if shown_by(flight.answer) != shown_by(before):
            self.scribbled.discard(flight.key)
        for other, item in self.api.objects.items():
            if other != flight.key and other not in self.scribbled and new & set(shown_by(item)):
                assert self._may_join(flight, other, item), (flight.key, other, new)

    def _may_join(self, flight: Flight, other: Holder, item: Json) -> bool:
        """Tell whether they share, by what the sender could know."""
        mine = self._wish(self.api.objects[flight.key], wishes=False)
        known = flight.known.get(other)
        if mine is None or known is None or known["metadata"]["uid"] != item["metadata"]["uid"]:
            return False
        theirs = self._wish(known, wishes=False)
        return theirs is not None and mine.shares_with(theirs)

    @rule(
        fate=st.sampled_from(
            ["dead", "its last write arrives before the list", "its last write arrives later"]
        )
    )
    def another_leads(self, fate: str) -> None:
        """The last write of the deposed leader can come later than the list of the one that took over."""
        flights = [flight for flight in self.runner.flights.values() if not flight.arrived]
        if flights and fate == "its last write arrives before the list":
            self._arrive(flights[0])
        self.late = flights[0] if flights and fate == "its last write arrives later" else self.late
        self.shaken = self.shaken or bool(self.scribbled) or bool(self.touched)
        self._fence()
        self._take_over()

    def _fence(self) -> None:
        """Do what a new leader does before it decides: see `controller/fence.py`."""
        for key, item in list(self.api.objects.items()):
            if item["spec"]["type"] == "LoadBalancer" and not self.api.shown(key):
                self.api.touch(key)

    @precondition(lambda self: self.late is not None and not self.late.arrived)
    @rule()
    def a_late_write_of_a_deposed_leader_arrives(self) -> None:
        """It never gives a service its first address. What it changes is repaired, and nobody loses by it."""
        assert self.late is not None
        had = self.late.key in self.api.objects and self.api.shown(self.late.key)
        self.late.arrive(self.api)
        if self.late.answer is not None:
            assert had or not shown_by(self.late.answer)
            self.scribbled.add(self.late.key)
            self.touched.add(self.late.key)
        self.late = None

    # -- the order in which services are served --------------------------------------------------------------

    def _judged(self, what: Any, pools: int | None = None) -> None:
        """Does it, and sees who got an address by it."""
        decider = self.runner.decider
        before = dict(decider.allocator.book.allocations)
        leaving = dict(decider.allocator.book.leaving)
        had = set(leaving) | set(before)
        if pools is not None:
            self.known = pools
        what()
        after = decider.allocator.book.allocations
        given = [key for key in after if after[key] != before.get(key)]
        if given:
            self._nobody_was_passed_over(given, before, leaving)
        if len(given) == 1 and given[0] not in had and not decider.views[given[0]].shown:
            self._it_is_the_first_that_could_be_had(given[0])

    def _taken(self, me: Holder, *without: Holder) -> dict[str, list[Wish | None]]:
        """Return who else has which address, by the leader's book; nobody joins one that is leaving."""
        book, taken = self.runner.decider.allocator.book, defaultdict(list)
        for key, allocation in book.allocations.items():
            if key != me and key not in without:
                for address in allocation.addresses:
                    taken[str(address)].append(self._wish(self._known_item(key), wishes=False))
        for key, addresses in book.leaving.items():
            for address in addresses:
                if key != me:
                    taken[str(address)].append(None)
        return taken

    def _known_item(self, key: Holder) -> Json:
        item = self.runner.latest.get(key, self.runner.copy[key])
        assert item is not None
        return item

    def _wish(self, item: Json, *, wishes: bool = True) -> Wish | None:
        return wish_of(item, self.runner.labels.get(item["metadata"]["namespace"], {}), wishes=wishes)

    def _nobody_was_passed_over(
        self,
        given: list[Holder],
        before: Mapping[Holder, Allocation],
        leaving: Mapping[Holder, frozenset[Any]],
    ) -> None:
        decider = self.runner.decider
        youngest = max(given, key=lambda key: decider.views[key].age)
        for key, view in decider.views.items():
            outcome = decider.outcome(key)
            unmet = outcome is not None and (outcome.refusal or isinstance(outcome.result, Refusal))
            waits = unmet and view.age < decider.views[youngest].age
            wish = self._wish(self._known_item(key)) if waits else None
            if wish is None:
                continue
            younger = [each for each in given if view.age < decider.views[each].age]
            fresh = [each for each in younger if not self._had_it(each, before, leaving)]
            assert ORACLES[self.known].choose(wish, self._taken(key, *fresh)) is None, (key, fresh)

    def _had_it(
        self, key: Holder, before: Mapping[Holder, Allocation], leaving: Mapping[Holder, frozenset[Any]]
    ) -> bool:
        had = {*self.runner.decider.views[key].shown, *leaving.get(key, ())}
        had |= set(before[key].addresses) if key in before else set()
        return bool(had & set(self.runner.decider.allocator.book.held_by(key)))

    def _it_is_the_first_that_could_be_had(self, key: Holder) -> None:
        wish = self._wish(self._known_item(key))
        assert wish is not None
        held = tuple(map(str, self.runner.decider.allocator.book.held_by(key)))
        assert held == ORACLES[self.known].choose(wish, self._taken(key))

    # -- at rest ---------------------------------------------------------------------------------------------

    @rule()
    def everything_comes_to_rest(self) -> None:
        self._settle()
        self.scribbled.clear()
        self._everybody_has_what_can_be_had()
        self._who_was_left_alone_has_what_it_had()
        self._nothing_would_change_after_a_restart()

    def _settle(self) -> None:
        self._configure()
        runner = self.runner
        for _again in range(2000):
            if runner.pending:
                self._judged(runner.deliver)
            elif runner.flights:
                key = next(iter(runner.flights))
                if not runner.flights[key].arrived:
                    self._arrive(runner.flights[key])
                self._judged(lambda key=key: runner.hear_answer(key))
            elif runner.todo:
                self._judged(lambda: runner.send(next(iter(runner.todo))))
            else:
                return
        raise AssertionError("does not come to rest")

    def _everybody_has_what_can_be_had(self) -> None:
        oracle = ORACLES[self.which]
        for key, item in self.api.objects.items():
            shown, wish = tuple(self.api.shown(key)), self._wish(item)
            taken = self._taken(key)
            needs = self._wish(item, wishes=False)
            met = wish is not None and oracle.allowed(wish, shown)
            if not met:
                assert wish is None or oracle.choose(wish, taken) is None, wish
            if shown:
                assert needs is not None
                assert met or oracle.allowed(needs, shown), (wish, shown)
                assert all(oracle._usable(needs, text, taken) for text in shown), (wish, shown)
                if met and wish is not None and len(shown) == 1:
                    assert oracle.other_family(wish, shown[0], taken) is None
            self._what_is_decided_is_said(key, item, shown)
            assert bool(shown) is False or self._is_kept(key) is not met, (wish, shown)

    def _is_kept(self, key: Holder) -> bool:
        """Tell whether the service holds addresses although what it asks for is refused."""
        outcome = self.runner.decider.outcome(key)
        return outcome is not None and outcome.refusal is not None

    def _what_is_decided_is_said(self, key: Holder, item: Json, shown: tuple[str, ...]) -> None:
        outcome = self.runner.decider.outcome(key)
        assert outcome is not None
        refusal = outcome.refusal
        conditions = {each["type"]: each for each in item["status"].get("conditions", ())}
        if outcome.relation is Relation.NONE:
            assert not conditions
            return
        said = conditions["vipcast.io/AddressAllocated"]
        if isinstance(outcome.result, Allocation):
            assert shown == tuple(map(str, outcome.result.addresses)) and said["status"] == "True"
            assert said["reason"] == ("Allocated" if refusal is None else "Kept")
            assert refusal is None or refusal.message in said["message"]
        else:
            assert isinstance(outcome.result, Refusal)
            assert (said["reason"], said["message"]) == (outcome.result.reason.value, outcome.result.message)

    def _who_was_left_alone_has_what_it_had(self) -> None:
        now = {key: tuple(self.api.shown(key)) for key in self.api.objects}
        if not self.shaken:
            for key, before in self.at_rest.items():
                if key not in self.touched and before:
                    assert set(before) <= set(now[key]), (key, before, now[key])
        # Who has something in spite of its wish moves as soon as that can be met.
        self.at_rest = {key: shown for key, shown in now.items() if not self._is_kept(key)}
        self.shaken = False
        self.touched.clear()

    def _nothing_would_change_after_a_restart(self) -> None:
        versions = {key: item["metadata"]["resourceVersion"] for key, item in self.api.objects.items()}
        before = self.runner
        self._take_over()
        self.runner.settle()
        assert versions == {
            key: item["metadata"]["resourceVersion"] for key, item in self.api.objects.items()
        }, self.runner.notes
        mine, theirs = before.decider.allocator, self.runner.decider.allocator
        assert mine.book.allocations == theirs.book.allocations
        for pool in READY[self.which]:
            for family in (4, 6):
                assert mine.usage(pool.name, family) == theirs.usage(pool.name, family)

    def teardown(self) -> None:
        self.everything_comes_to_rest()

    @invariant()
    def counters_agree_with_the_book(self) -> None:
        allocator = self.runner.decider.allocator
        pools = [allocator.pool_of(address) for address in allocator.book.addresses()]
        families = [address.version for address in allocator.book.addresses()]
        found = Counter((pool.name, family) for pool, family in zip(pools, families, strict=True) if pool)
        for pool in allocator.pools:
            for family in (4, 6):
                assert allocator.usage(pool.name, family)[0] == found[pool.name, family]


SETTINGS = settings(
    max_examples=max(1, sequences.count() // PARTS),
    stateful_step_count=40,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_order_of_events(part: int) -> None:
    seeded = seed(sequences.seed() * PARTS + part)(type("Cluster", (Cluster,), {}))
    run_state_machine_as_test(seeded, settings=SETTINGS)
