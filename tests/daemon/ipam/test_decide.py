# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from support.bounds import at_most
from support.world import Api, Runner, pools_of

from vipcast.controller.change import CONDITION
from vipcast.ipam.allocations import Allocations
from vipcast.ipam.allocator import Allocator
from vipcast.ipam.free_addresses import FreeAddresses
from vipcast.ipam.pending import PendingServices
from vipcast.ipam.service import ALLOCATED_FROM

SMALL = pools_of(small=["10.0.0.0/30"])
ONE = pools_of(one=["10.0.0.1/32"])


def make(pools: Any = SMALL) -> tuple[Api, Runner]:
    api = Api()
    return api, Runner(api, pools)


def condition(api: Api, name: str) -> tuple[str, str]:
    found = next(each for each in api.objects["d", name]["status"]["conditions"] if each["type"] == CONDITION)
    return found["reason"], found["message"]


def create(runner: Runner, *names: str, **spec: Any) -> None:
    for name in names:
        runner.api.put(("d", name), spec)
    runner.settle()


def shown(api: Api) -> dict[str, list[str]]:
    return {key[1]: api.shown(key) for key in sorted(api.objects)}


def test_services_get_the_first_free_addresses_in_order_of_creation() -> None:
    api, runner = make()
    create(runner, "z", "a", "m")
    assert shown(api) == {"z": ["10.0.0.0"], "a": ["10.0.0.1"], "m": ["10.0.0.2"]}
    assert api.objects["d", "z"]["metadata"]["annotations"] == {ALLOCATED_FROM: "small"}
    assert condition(api, "z") == ("Allocated", "10.0.0.0 from pool small")


def test_a_service_that_is_refused_says_why_and_who_holds_the_address() -> None:
    api, runner = make()
    create(runner, "first", loadBalancerIP="10.0.0.2")
    create(runner, "second", loadBalancerIP="10.0.0.2")
    assert api.shown(("d", "second")) == []
    reason, message = condition(api, "second")
    assert reason == "AddressInUse"
    assert "held by service d/first" in message and "allow-shared-ip" in message
    assert [(key[1], word) for key, word, _message in runner.notes] == [
        ("first", "IPAllocated"),
        ("second", "AllocationFailed"),
    ]


def test_an_exhausted_pool_says_how_full_it_is() -> None:
    api, runner = make(ONE)
    create(runner, "first", "second")
    reason, message = condition(api, "second")
    assert reason == "PoolExhausted"
    assert "no free IPv4 address in pool one (1 of 1 in use)" in message


def test_a_deleted_service_makes_room_for_the_oldest_that_waits() -> None:
    api, runner = make(ONE)
    create(runner, "first", "third", "second")
    api.delete(("d", "first"))
    runner.settle()
    assert shown(api) == {"third": ["10.0.0.1"], "second": []}
    api.delete(("d", "third"))
    runner.settle()
    assert shown(api) == {"second": ["10.0.0.1"]}


def test_an_address_that_is_asked_for_goes_to_the_oldest_who_may_have_it() -> None:
    api, runner = make(ONE)
    create(runner, "holder")
    create(runner, "by-name", loadBalancerIP="10.0.0.1")
    create(runner, "any")
    create(runner, "another", loadBalancerIP="10.0.0.9")
    api.delete(("d", "holder"))
    runner.settle()
    assert shown(api) == {"by-name": ["10.0.0.1"], "any": [], "another": []}


def test_a_service_that_is_no_load_balancer_any_more_gives_its_address_back() -> None:
    api, runner = make(ONE)
    create(runner, "first", "second")
    api.put(("d", "first"), {"type": "ClusterIP"})
    runner.settle()
    assert shown(api) == {"first": [], "second": ["10.0.0.1"]}
    assert api.objects["d", "first"]["metadata"]["annotations"] == {}
    assert api.objects["d", "first"]["status"]["conditions"] == []


def test_a_service_of_another_class_is_left_alone() -> None:
    api, runner = make(ONE)
    api.put(("d", "theirs"), {"loadBalancerClass": "example.com/other"})
    api.scribble(("d", "theirs"), [{"ip": "192.0.2.1"}])
    before = api.objects["d", "theirs"]
    runner.settle()
    assert api.objects["d", "theirs"] == before
    create(runner, "ours")
    assert api.shown(("d", "ours")) == ["10.0.0.1"]


def test_with_a_class_only_services_of_exactly_that_class_are_served() -> None:
    api = Api()
    runner = Runner(api, SMALL, lb_class="example.com/ours")
    api.put(("d", "none"), {})
    api.put(("d", "ours"), {"loadBalancerClass": "example.com/ours"})
    runner.settle()
    assert shown(api) == {"none": [], "ours": ["10.0.0.0"]}


def test_the_pool_is_replaced_under_a_service_that_asked_for_an_address() -> None:
    """A service with a request waits with a named reason, one without is moved; nothing is restarted."""
    api, runner = make(pools_of(default=["10.31.8.100-10.31.8.200"]))
    create(runner, "asked", loadBalancerIP="10.31.8.100")
    create(runner, "any")
    assert shown(api) == {"asked": ["10.31.8.100"], "any": ["10.31.8.101"]}
    runner.configure(pools_of(default=["10.9.0.0/16"]))
    runner.settle()
    assert shown(api) == {"asked": [], "any": ["10.9.0.0"]}
    assert condition(api, "asked")[0] == "AddressNotInAnyPool"
    words = [(key[1], word) for key, word, _message in runner.notes]
    assert ("asked", "ClearAssignment") in words and ("any", "ClearAssignment") in words
    api.put(("d", "asked"), {"loadBalancerIP": "10.9.1.1"})
    runner.settle()
    assert api.shown(("d", "asked")) == ["10.9.1.1"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a": ["10.0.0.0/30"]}, {"b": ["10.0.0.0/30"]}),
        ({"a": ["10.0.0.0/30"]}, {"a": ["10.0.0.0/31"], "b": ["10.0.0.2/31"]}),
        ({"a": ["10.0.0.0/31"], "b": ["10.0.0.2/31"]}, {"a": ["10.0.0.0/30"]}),
        ({"a": ["10.0.0.0/30"]}, {"a": ["10.0.0.0/24"]}),
    ],
    ids=["renamed", "split", "merged", "grown"],
)
def test_addresses_survive_a_change_of_pools_that_still_allows_them(before: Any, after: Any) -> None:
    api, runner = make(pools_of(**before))
    create(runner, "x", "y", "z")
    addresses = shown(api)
    runner.configure(pools_of(**after))
    runner.settle()
    assert shown(api) == addresses
    for key in api.objects:
        pool = api.objects[key]["metadata"]["annotations"][ALLOCATED_FROM]
        assert pool in after


def test_a_shrunk_pool_moves_only_those_who_are_outside() -> None:
    api, runner = make()
    create(runner, "w", "x", "y", "z")
    runner.configure(pools_of(small=["10.0.0.2/31"], more=["10.0.1.0/32"]))
    runner.settle()
    assert shown(api) == {"w": ["10.0.1.0"], "x": [], "y": ["10.0.0.2"], "z": ["10.0.0.3"]}
    assert condition(api, "x")[0] == "PoolExhausted"


def test_without_any_pool_everybody_waits_and_the_addresses_come_back_with_the_pool() -> None:
    api, runner = make()
    create(runner, "x", "y")
    runner.configure(())
    runner.settle()
    assert shown(api) == {"x": [], "y": []}
    assert condition(api, "x")[0] == "NoPools"
    runner.configure(SMALL)
    runner.settle()
    assert shown(api) == {"x": ["10.0.0.0"], "y": ["10.0.0.1"]}


@pytest.mark.parametrize(
    "ingress",
    [
        [{"hostname": "example.com"}],
        [{"ip": "192.0.2.1"}],
        [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}, {"ip": "10.0.0.3"}],
        [{"ip": "10.0.0.0"}, {"hostname": "example.com"}],
        [{"ip": "10.0.0.0", "hostname": "example.com"}],
        [],
    ],
)
def test_what_somebody_else_writes_into_the_status_is_repaired(ingress: list[dict[str, str]]) -> None:
    api, runner = make()
    create(runner, "x")
    api.scribble(("d", "x"), ingress)
    runner.settle()
    assert api.objects["d", "x"]["status"]["loadBalancer"] == {"ingress": [{"ip": "10.0.0.0"}]}


def test_an_address_that_a_stranger_wrote_elsewhere_is_not_taken_from_its_holder() -> None:
    api, runner = make()
    create(runner, "holder", "thief")
    api.scribble(("d", "thief"), [{"ip": "10.0.0.0"}])
    runner.settle()
    assert shown(api) == {"holder": ["10.0.0.0"], "thief": ["10.0.0.1"]}


def test_after_a_restart_those_with_an_address_come_first() -> None:
    api, _runner = make()
    api.put(("d", "old-and-waiting"), {})
    api.put(("d", "young-with-address"), {})
    api.scribble(("d", "young-with-address"), [{"ip": "10.0.0.1"}])
    runner = Runner(api, ONE)
    runner.settle()
    assert shown(api) == {"old-and-waiting": [], "young-with-address": ["10.0.0.1"]}


def test_after_a_restart_of_two_that_show_one_address_the_older_keeps_it() -> None:
    api, _runner = make()
    for name in ("b-older", "a-younger"):
        api.put(("d", name), {})
        api.scribble(("d", name), [{"ip": "10.0.0.1"}])
    runner = Runner(api, SMALL)
    runner.settle()
    assert shown(api) == {"b-older": ["10.0.0.1"], "a-younger": ["10.0.0.0"]}


def test_a_restart_changes_nothing_and_says_nothing() -> None:
    api, runner = make()
    create(runner, "a", "b", "c", "d", "e")
    before = {key: item["metadata"]["resourceVersion"] for key, item in api.objects.items()}
    runner = Runner(api, SMALL)
    runner.settle()
    assert {key: item["metadata"]["resourceVersion"] for key, item in api.objects.items()} == before
    assert runner.notes == []


def test_an_address_is_given_to_the_next_only_when_the_last_shows_it_no_more() -> None:
    api, runner = make(ONE)
    create(runner, "first", "second")
    api.put(("d", "first"), {"type": "ClusterIP"})
    api.scribble(("d", "first"), [{"ip": "10.0.0.1"}])
    runner.deliver()
    assert runner.decider.outcome(("d", "second")).result.reason.value == "PoolExhausted"  # type: ignore[union-attr]
    assert api.shown(("d", "first")) == ["10.0.0.1"], "nothing was written yet"
    runner.settle()
    assert shown(api) == {"first": [], "second": ["10.0.0.1"]}


def test_a_service_made_again_under_its_name_is_another_one() -> None:
    api, runner = make(ONE)
    create(runner, "x", "y")
    api.delete(("d", "x"))
    api.put(("d", "x"), {})
    runner.pending.pop(0)  # the informer missed the deletion: it listed again
    runner.settle()
    assert shown(api) == {"x": [], "y": ["10.0.0.1"]}


def test_a_service_that_would_like_a_second_family_gets_it_when_it_is_freed() -> None:
    api, runner = make(pools_of(both=["10.0.0.0/31", "fd00::1/128"]))
    create(runner, "six", clusterIPs=["fd00:96::1"])
    create(runner, "prefers", clusterIPs=["10.96.0.1", "fd00:96::2"], ipFamilyPolicy="PreferDualStack")
    assert shown(api) == {"six": ["fd00::1"], "prefers": ["10.0.0.0"]}
    api.delete(("d", "six"))
    runner.settle()
    assert shown(api) == {"prefers": ["10.0.0.0", "fd00::1"]}


def test_services_share_an_address_with_one_key_and_different_ports() -> None:
    api, runner = make(ONE)
    share = {"metallb.io/allow-shared-ip": "k"}
    api.put(("d", "web"), {"ports": [{"port": 80}]}, annotations=share)
    api.put(("d", "dns"), {"ports": [{"port": 53, "protocol": "UDP"}]}, annotations=share)
    api.put(("d", "web2"), {"ports": [{"port": 80}]}, annotations=share)
    runner.settle()
    assert shown(api) == {"web": ["10.0.0.1"], "dns": ["10.0.0.1"], "web2": []}
    api.put(("d", "web"), {"ports": [{"port": 8080}]}, annotations=share)
    runner.settle()
    assert shown(api)["web2"] == ["10.0.0.1"], "another port lets the next one in"


def test_an_event_from_before_two_patches_frees_nothing() -> None:
    """The watch is two versions behind, and tells of a time when the address had not come yet."""
    gold = {"serviceSelectors": [{"matchLabels": {"app": "gold"}}]}
    two = {"addresses": ["10.0.0.2/32"], "serviceAllocation": gold}
    api, runner = make(ONE)
    create(runner, "x")
    runner.configure(())
    runner.settle()
    api.put(("d", "gold"), {}, labels={"app": "gold"})
    runner.deliver()
    runner.write(("d", "gold"))
    for pools in (ONE, pools_of(two=["10.0.0.2/32"])):
        runner.configure(pools)
        runner.write(("d", "x"))
    assert api.shown(("d", "x")) == ["10.0.0.2"]
    runner.configure(pools_of(two=two))
    more = at_most()
    while more() and runner.pending:
        runner.deliver()
        for key in list(runner.todo):
            if key != ("d", "x"):
                runner.write(key)
        assert shown(api) == {"gold": [], "x": ["10.0.0.2"]}
    runner.settle()
    assert shown(api) == {"gold": ["10.0.0.2"], "x": []}


class Work:
    """Counts calls into the allocator and its books while it is entered; operations, not seconds."""

    PARTS: tuple[tuple[type, str], ...] = (
        (Allocator, "check"),
        (Allocator, "allocate"),
        (Allocator, "candidates"),
        (Allocations, "__contains__"),
        (Allocations, "holders"),
        (Allocations, "_put"),
        (Allocations, "_drop"),
        (FreeAddresses, "address"),
        (PendingServices, "_head"),
        (PendingServices, "add"),
    )

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.calls: Counter[str] = Counter()

    def __enter__(self) -> Work:
        for owner, name in self.PARTS:
            self._patch.setattr(owner, name, self._counted(getattr(owner, name), f"{owner.__name__}.{name}"))
        return self

    def __exit__(self, *_trouble: object) -> None:
        self._patch.undo()

    def _counted(self, function: Any, name: str) -> Any:
        def counted(*arguments: Any, **named: Any) -> Any:
            self.calls[name] += 1
            return function(*arguments, **named)

        return counted


WORK: dict[str, Any] = {
    "one more": lambda runner: create(runner, "one-more"),
    "one goes": lambda runner: (runner.api.delete(("d", "s7")), runner.settle()),
    "one changes its ports": lambda runner: create(runner, "s7", ports=[{"port": 81}]),
    "one asks for an address": lambda runner: create(runner, "s7", loadBalancerIP="10.0.255.1"),
    "one leaves": lambda runner: create(runner, "s7", type="ClusterIP"),
    "one loses its status": lambda runner: (runner.api.scribble(("d", "s7"), []), runner.settle()),
}


@pytest.mark.parametrize("what", WORK)
@pytest.mark.parametrize("waiting", [False, True], ids=["room", "full"])
def test_one_event_costs_the_same_among_many_as_among_few(
    what: str, waiting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that waits stands in line for anything, and one asks for an address that another has."""

    def cost(existing: int) -> Counter[str]:
        _api, runner = make(
            pools_of(big=[f"10.0.0.0-10.0.{existing // 256}.{existing % 256 - 1}", "10.0.255.1/32"])
        )
        create(runner, *(f"s{number}" for number in range(existing)))
        if waiting:
            create(runner, "takes-the-last", *(f"w{number}" for number in range(existing // 10)))
            create(runner, *(f"n{number}" for number in range(existing // 10)), loadBalancerIP="10.0.0.0")
        with Work(monkeypatch) as work:
            WORK[what](runner)
        return work.calls

    few, many = cost(100), cost(1000)
    assert sum(few.values()) > 0
    assert many == few
