# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of allocation in combination: services come one after the other, and show what they should."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.world import Api, Runner, pools_of

from vipcast.controller.change import CONDITION
from vipcast.ipam.fate import TABLE, Fate
from vipcast.ipam.service import ALLOCATED_FROM
from vipcast.model.reasons import RefusalReason

NEW, OLD = "metallb.io/", "metallb.universe.tf/"
FOUR, SIX = ["10.96.0.1"], ["fd00:96::1"]
DUAL = [*FOUR, *SIX]
PREFER = {"clusterIPs": DUAL, "ipFamilyPolicy": "PreferDualStack"}
PREFER_SIX = {"clusterIPs": DUAL[::-1], "ipFamilyPolicy": "PreferDualStack"}
REQUIRE = {"clusterIPs": DUAL, "ipFamilyPolicy": "RequireDualStack"}
LOCAL = {"externalTrafficPolicy": "Local"}

Json = dict[str, Any]
NOT_A = {"key": "team", "operator": "NotIn", "values": ["a"]}


class Cluster:
    """A controller that is always up to date, and services in namespace `d`."""

    def __init__(self, **pools: Any) -> None:
        self.api = Api()
        self.runner = Runner(self.api, pools_of(**pools))

    def put(
        self, name: str, spec: Json | None = None, *, namespace: str = "d", **annotations: str
    ) -> list[str]:
        """Create or change a service; what it shows then. ``address_pool="a"`` is an annotation."""
        labels = {"app": annotations.pop("app")} if "app" in annotations else {}
        found = {NEW + key.replace("_", "-"): value for key, value in annotations.items() if key != "ips"}
        if "ips" in annotations:
            found[NEW + "loadBalancerIPs"] = annotations["ips"]
        self.api.put((namespace, name), spec or {}, annotations=found, labels=labels)
        self.runner.settle()
        return self.api.shown((namespace, name))

    def pools(self, **pools: Any) -> None:
        self.runner.configure(pools_of(**pools))
        self.runner.settle()

    def delete(self, name: str) -> None:
        self.api.delete(("d", name))
        self.runner.settle()

    def restart(self) -> None:
        pools = self.runner.decider.allocator.pools
        self.runner = Runner(self.api, pools)
        self.runner.settle()

    def shown(self, name: str) -> list[str]:
        return self.api.shown(("d", name))

    def reason(self, name: str) -> str:
        conditions = self.api.objects["d", name]["status"]["conditions"]
        return str(next(each["reason"] for each in conditions if each["type"] == CONDITION))

    def message(self, name: str) -> str:
        conditions = self.api.objects["d", name]["status"]["conditions"]
        return str(next(each["message"] for each in conditions if each["type"] == CONDITION))

    def pool_of(self, name: str) -> str | None:
        return self.api.objects["d", name]["metadata"]["annotations"].get(ALLOCATED_FROM)

    def events(self, name: str) -> list[str]:
        return [reason for key, reason, _message in self.runner.notes if key == ("d", name)]


def only(*addresses: str, auto: bool = True, **allocation: Any) -> Json:
    return {"addresses": list(addresses), "autoAssign": auto, "serviceAllocation": allocation}


# -- pools ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("priorities", "order"),
    [
        ({"a": 2, "b": 1, "c": 0}, "b a c z"),
        ({"a": 0, "b": 0}, "a b z"),
        ({"b": 5, "a": 5}, "a b z"),
        ({"c": 0, "b": 100, "a": 0}, "b a c z"),
    ],
)
def test_pinned_pools_by_priority_with_0_last_then_by_name_then_the_others(
    priorities: dict[str, int], order: str
) -> None:
    pools = {
        name: only(f"10.0.{number}.1/32", priority=priority)
        for number, (name, priority) in enumerate(priorities.items())
    }
    cluster = Cluster(z=["10.0.9.1/32"], **pools)
    names = [f"s{number}" for number in range(len(pools) + 1)]
    for name in names:
        cluster.put(name)
    assert [cluster.pool_of(name) for name in names] == order.split()
    cluster.put("one-more")
    assert cluster.reason("one-more") == "PoolExhausted"


@pytest.mark.parametrize(
    ("allocation", "namespace", "app", "allowed"),
    [
        ({"namespaces": ["d", "e"]}, "e", "x", True),
        ({"namespaces": ["d"]}, "e", "x", False),
        (
            {"namespaceSelectors": [{"matchLabels": {"team": "b"}}, {"matchLabels": {"team": "a"}}]},
            "d",
            "x",
            True,
        ),
        ({"namespaceSelectors": [{"matchLabels": {"team": "b"}}]}, "d", "x", False),
        ({"namespaceSelectors": [{"matchLabels": {"team": "b"}}], "namespaces": ["d"]}, "d", "x", True),
        (
            {"serviceSelectors": [{"matchLabels": {"app": "y"}}, {"matchLabels": {"app": "x"}}]},
            "e",
            "x",
            True,
        ),
        ({"namespaces": ["d"], "serviceSelectors": [{"matchLabels": {"app": "x"}}]}, "d", "x", True),
        ({"namespaces": ["d"], "serviceSelectors": [{"matchLabels": {"app": "x"}}]}, "e", "x", False),
        ({"namespaces": ["d"], "serviceSelectors": [{"matchLabels": {"app": "x"}}]}, "d", "y", False),
        (
            {
                "serviceSelectors": [
                    {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]}
                ]
            },
            "d",
            "y",
            True,
        ),
    ],
)
def test_namespaces_or_their_labels_and_the_services_labels(
    allocation: Json, namespace: str, app: str, allowed: bool
) -> None:
    cluster = Cluster(some=only("10.0.1.0/24", **allocation), all=["10.0.2.0/24"])
    cluster.api.label("d", {"team": "a"})
    third = {True: "1", False: "2"}[allowed]
    assert cluster.put("free", namespace=namespace, app=app) == [f"10.0.{third}.0"]
    for name, wish in (("pool", {"address_pool": "some"}), ("address", {"ips": "10.0.1.7"})):
        assert bool(cluster.put(name, namespace=namespace, app=app, **wish)) is allowed


def test_a_namespace_that_gets_another_label_gets_other_pools() -> None:
    cluster = Cluster(some=only("10.0.1.0/31", namespaceSelectors=[{"matchLabels": {"team": "a"}}]))
    assert cluster.put("x") == []
    cluster.api.label("d", {"team": "a"})
    cluster.runner.settle()
    assert cluster.shown("x") == ["10.0.1.0"]
    cluster.api.label("d", {"team": "b"})
    cluster.runner.settle()
    assert (cluster.shown("x"), cluster.reason("x")) == ([], "PoolNotAllowed")


@pytest.mark.parametrize(
    ("wish", "shown"),
    [({}, []), ({"address_pool": "p"}, ["10.0.0.0"]), ({"ips": "10.0.0.1"}, ["10.0.0.1"])],
)
@pytest.mark.parametrize("allocation", [None, {"namespaces": ["d"], "priority": 1}])
def test_a_pool_that_is_not_automatic_is_used_when_it_is_asked_for(
    wish: dict[str, str], shown: list[str], allocation: Json | None
) -> None:
    pool = {"addresses": ["10.0.0.0/31"], "autoAssign": False}
    cluster = Cluster(p=pool if allocation is None else {**pool, "serviceAllocation": allocation})
    assert cluster.put("x", **wish) == shown
    if not shown:
        assert cluster.reason("x") == "NoAutomaticPool"


def test_of_two_that_ask_for_an_address_the_one_that_may_have_it_is_not_kept_waiting_by_the_other() -> None:
    """Both wait for the same address of a pool that is never automatic, and the older one may not use it."""
    pool = only("10.0.0.1/32", auto=False, serviceSelectors=[{"matchLabels": {"app": "gold"}}])
    cluster = Cluster(p=pool)
    cluster.put("holder", app="gold", ips="10.0.0.1")
    cluster.put("older", ips="10.0.0.1")
    cluster.put("younger", app="gold", ips="10.0.0.1")
    cluster.delete("holder")
    assert cluster.shown("younger") == ["10.0.0.1"]
    assert cluster.reason("older") == "PoolNotAllowed"


def test_buggy_addresses_are_left_out_of_every_256_and_ipv6_has_none() -> None:
    cluster = Cluster(p={"addresses": ["10.0.0.254-10.0.2.1", "fd00::ff-fd00::100"], "avoidBuggyIPs": True})
    assert cluster.put("a") == ["10.0.0.254"]
    assert cluster.put("b") == ["10.0.1.1"], "over .255 and .0 into the next 256"
    for name, address in (("c", "10.0.0.255"), ("d", "10.0.1.0"), ("e", "10.0.1.255"), ("f", "10.0.2.0")):
        assert cluster.put(name, ips=address) == []
        assert cluster.reason(name) == "AddressAvoided"
    assert cluster.put("six", {"clusterIPs": SIX}) == ["fd00::ff"]
    assert cluster.put("six2", {"clusterIPs": SIX}) == ["fd00::100"]


def test_who_has_a_buggy_address_when_they_are_ruled_out_is_moved() -> None:
    cluster = Cluster(p=["10.0.0.0/30"])
    assert cluster.put("x") == ["10.0.0.0"]
    cluster.pools(p={"addresses": ["10.0.0.0/30"], "avoidBuggyIPs": True})
    assert cluster.shown("x") == ["10.0.0.1"]
    assert cluster.events("x") == ["IPAllocated", "ClearAssignment", "IPAllocated"]


def test_a_range_goes_over_octets_in_order() -> None:
    cluster = Cluster(p=["10.0.0.254 - 10.0.1.1"])
    assert [cluster.put(name) for name in "abcd"] == [
        ["10.0.0.254"],
        ["10.0.0.255"],
        ["10.0.1.0"],
        ["10.0.1.1"],
    ]


# -- families ---------------------------------------------------------------------------------------------

BOTH = {"p": ["10.0.0.1/32", "fd00::1/128"]}
APART = {"four": ["10.0.0.1/32"], "six": ["fd00::1/128"]}


@pytest.mark.parametrize(
    ("pools", "spec", "shown"),
    [
        (BOTH, {"clusterIPs": SIX}, ["fd00::1"]),
        (BOTH, {"clusterIPs": FOUR}, ["10.0.0.1"]),
        (BOTH, PREFER_SIX, ["10.0.0.1", "fd00::1"]),
        (BOTH, REQUIRE, ["10.0.0.1", "fd00::1"]),
        (APART, REQUIRE, []),
        (APART, PREFER, ["10.0.0.1"]),
        (APART, PREFER_SIX, ["fd00::1"]),
        ({"four": ["10.0.0.1/32"]}, PREFER_SIX, ["10.0.0.1"]),
        ({"six": ["fd00::1/128"]}, PREFER, ["fd00::1"]),
        ({"a": ["10.0.0.1/32"], "six": ["fd00::1/128"]}, PREFER_SIX, ["fd00::1"]),
        (
            {"a": only("10.0.0.1/32", priority=1), "b": ["10.0.0.2/32", "fd00::2/128"]},
            PREFER,
            ["10.0.0.2", "fd00::2"],
        ),
    ],
)
def test_families(pools: Json, spec: Json, shown: list[str]) -> None:
    assert Cluster(**pools).put("x", spec) == shown


@pytest.mark.parametrize(
    ("ips", "spec", "result"),
    [
        ("10.0.0.1", {}, ["10.0.0.1"]),
        (" fd00::1 ,10.0.0.1 ", REQUIRE, ["10.0.0.1", "fd00::1"]),
        ("FD00:0::1, 10.0.0.1", PREFER, ["10.0.0.1", "fd00::1"]),
        ("10.0.0.1", REQUIRE, "WrongFamily"),
        ("10.0.0.1", PREFER, "WrongFamily"),
        ("fd00::1", {}, "WrongFamily"),
        ("10.0.0.1,fd00::1", {}, "WrongFamily"),
        ("10.0.0.1,10.0.0.2", REQUIRE, "BadRequest"),
        ("10.0.0.1,fd00:9::9", REQUIRE, "AddressesOfTwoPools"),
    ],
)
def test_addresses_by_name_and_families(ips: str, spec: Json, result: Any) -> None:
    cluster = Cluster(**BOTH, other=["fd00:9::9/128"])
    shown = cluster.put("x", spec, ips=ips)
    assert (shown or cluster.reason("x")) == result


def test_a_family_comes_later_and_goes_again() -> None:
    """A service keeps what it had in the family that it keeps, even where a lower address is free by then."""
    cluster = Cluster(p=["10.0.0.0/30", "fd00::/126"])
    cluster.put("first")
    assert cluster.put("x") == ["10.0.0.1"]
    assert cluster.put("x", PREFER) == ["10.0.0.1", "fd00::"]
    cluster.delete("first")
    assert cluster.put("x", {"clusterIPs": FOUR}) == ["10.0.0.1"]
    assert cluster.put("x", REQUIRE) == ["10.0.0.1", "fd00::"]


def test_a_pool_that_loses_a_family_loses_those_who_like_two_to_one_that_has_both() -> None:
    cluster = Cluster(p=["10.0.0.0/31", "fd00::/127"])
    assert cluster.put("x", PREFER) == ["10.0.0.0", "fd00::"]
    cluster.pools(p=["10.0.0.0/31"], q=["10.0.1.0/31", "fd00:1::/127"])
    assert cluster.shown("x") == ["10.0.1.0", "fd00:1::"]
    cluster.pools(p=["10.0.0.0/31"], q=["10.0.1.0/31"])
    assert cluster.shown("x") == ["10.0.1.0"], "no pool has both: what is left is kept"
    assert cluster.pool_of("x") == "q"


def test_who_needs_two_families_loses_both_with_one() -> None:
    cluster = Cluster(**BOTH)
    cluster.put("x", REQUIRE)
    cluster.pools(p=["10.0.0.1/32"])
    assert (cluster.shown("x"), cluster.reason("x")) == ([], "NoPoolOfFamily")
    cluster.pools(**BOTH)
    assert cluster.shown("x") == ["10.0.0.1", "fd00::1"]


# -- what is asked for ------------------------------------------------------------------------------------


DUAL_WISH = {"clusterIPs": DUAL, "ipFamilyPolicy": "PreferDualStack"}
API_ERRORS: list[tuple[Json, dict[str, str], str]] = [
    ({"loadBalancerIP": "10.0.0.1"}, {"ips": "10.0.0.1"}, "ConflictingRequests"),
    ({}, {"ips": "10.0.0.1", "address_pool": "q"}, "AddressNotInRequestedPool"),
    ({}, {"ips": "10.0.9.9"}, "AddressNotInAnyPool"),
    ({}, {"address_pool": "no"}, "PoolNotFound"),
    ({"loadBalancerIP": "nobody"}, {}, "BadRequest"),
    ({"clusterIPs": [], "clusterIP": "None"}, {}, "NoClusterIP"),
    ({"loadBalancerIP": "10.0.1.0"}, {}, "AddressInUse"),
    ({"loadBalancerIP": "10.0.1.0"}, {"allow_shared_ip": "k"}, "SharingNotAllowed"),
    ({"loadBalancerIP": "10.0.3.0"}, {}, "AddressAvoided"),
    ({"loadBalancerIP": "fd00:6::1"}, {}, "WrongFamily"),
    ({**DUAL_WISH}, {"ips": "10.0.1.1,fd00:6::1"}, "AddressesOfTwoPools"),
    ({}, {"address_pool": "gold"}, "PoolNotAllowed"),
    ({}, {"address_pool": "full"}, "PoolExhausted"),
    ({}, {"address_pool": "six"}, "NoPoolOfFamily"),
]


@pytest.mark.parametrize(("spec", "wish", "reason"), API_ERRORS)
def test_a_running_service_keeps_its_address_if_the_table_says_so(
    spec: Json, wish: dict[str, str], reason: str
) -> None:
    gold = only("10.0.2.0/30", serviceSelectors=[{"matchLabels": {"app": "gold"}}])
    stingy = {"addresses": ["10.0.3.0/30"], "avoidBuggyIPs": True}
    full, six = ["10.0.4.0/32"], ["fd00:6::/126"]
    cluster = Cluster(p=["10.0.0.0/30"], q=["10.0.1.0/30"], gold=gold, stingy=stingy, full=full, six=six)
    cluster.put("other", address_pool="q")
    cluster.put("filler", address_pool="full")
    assert cluster.put("x") == ["10.0.0.0"]
    keeps = TABLE[RefusalReason(reason)].fate is Fate.KEEP
    for again in (lambda: cluster.put("x", spec, **wish), lambda: (cluster.restart(), cluster.shown("x"))[1]):
        assert again() == (["10.0.0.0"] if keeps else [])
        assert cluster.reason("x") == ("Kept" if keeps else reason)
        assert reason in cluster.message("x") or not keeps
        assert cluster.pool_of("x") == ("p" if keeps else None)
    assert cluster.put("x") == ["10.0.0.0"]
    assert cluster.reason("x") == "Allocated"


def test_every_row_of_the_table_is_tried() -> None:
    tried = {parameters[-1] for parameters in API_ERRORS}
    assert tried == {reason.value for reason in TABLE}


@pytest.mark.parametrize(("spec", "wish", "reason"), [({"loadBalancerIP": "10.0.1.0"}, {}, "AddressInUse")])
def test_a_request_that_is_refused_is_told_and_met_as_soon_as_it_can_be(
    spec: Json, wish: dict[str, str], reason: str
) -> None:
    cluster = Cluster(p=["10.0.0.0/30"], q=["10.0.1.0/30"])
    cluster.put("other", address_pool="q")
    cluster.put("x")
    cluster.put("x", spec, **wish)
    assert cluster.events("x")[-1] == "AllocationFailed", "and nothing was taken back"
    assert "ClearAssignment" not in cluster.events("x")
    cluster.delete("other")
    assert cluster.shown("x") == ["10.0.1.0"]
    assert cluster.put("next") == ["10.0.0.0"], "what it had is free again"


def test_what_stays_in_spite_of_a_request_must_be_right_by_itself() -> None:
    cluster = Cluster(p=["10.0.0.0/30"], q=["10.0.1.0/30"])
    cluster.put("x")
    assert cluster.put("x", ips="nonsense") == ["10.0.0.0"]
    cluster.pools(p=["10.0.0.0/30"], q=["10.0.1.0/30"], z=["10.0.9.0/30"])
    assert cluster.shown("x") == ["10.0.0.0"]
    cluster.pools(q=["10.0.1.0/30"])
    assert (cluster.shown("x"), cluster.reason("x")) == ([], "BadRequest")


def test_a_service_that_never_had_an_address_waits_with_the_reason() -> None:
    cluster = Cluster(p=["10.0.0.0/30"])
    assert cluster.put("x", ips="nonsense") == []
    assert cluster.reason("x") == "BadRequest"


def test_another_pool_or_address_is_moved_to_and_dropping_the_wish_changes_nothing() -> None:
    cluster = Cluster(p=["10.0.0.0/30"], q=["10.0.1.0/30"])
    assert cluster.put("x") == ["10.0.0.0"]
    assert cluster.put("x", address_pool="q") == ["10.0.1.0"]
    assert cluster.put("x", {"loadBalancerIP": "10.0.0.3"}) == ["10.0.0.3"]
    assert cluster.put("x") == ["10.0.0.3"]


def test_what_is_asked_for_comes_as_soon_as_it_can_be_had() -> None:
    cluster = Cluster(p=["10.0.0.0/32"])
    cluster.put("holder")
    cluster.put("by-address", {"loadBalancerIP": "10.0.0.0"})
    cluster.put("by-pool", address_pool="later")
    cluster.put("far", {"loadBalancerIP": "10.0.1.1"})
    assert "d/holder" in cluster.message("by-address")
    cluster.pools(p=["10.0.0.0/32"], later=["10.0.1.0/31"])
    assert (cluster.shown("by-pool"), cluster.shown("far")) == (["10.0.1.0"], ["10.0.1.1"])
    cluster.delete("holder")
    assert cluster.shown("by-address") == ["10.0.0.0"]


def test_who_waits_for_an_address_is_told_when_another_holds_it() -> None:
    cluster = Cluster(p=["10.0.0.0/32"])
    cluster.put("first")
    for name in ("second", "third", "fourth"):
        cluster.put(name, {"loadBalancerIP": "10.0.0.0"})
    cluster.delete("first")
    assert cluster.shown("second") == ["10.0.0.0"]
    for name in ("third", "fourth"):
        assert "held by service d/second" in cluster.message(name)


def test_the_type_goes_away_and_comes_back() -> None:
    cluster = Cluster(p=["10.0.0.0/32"])
    assert cluster.put("x") == ["10.0.0.0"]
    cluster.put("y")
    assert cluster.put("x", {"type": "NodePort"}) == []
    assert cluster.shown("y") == ["10.0.0.0"]
    assert cluster.put("x") == []
    cluster.put("y", {"type": "ClusterIP"})
    assert cluster.shown("x") == ["10.0.0.0"]


def test_a_class_takes_a_service_out_and_its_absence_brings_it_back() -> None:
    cluster = Cluster(p=["10.0.0.0/32"])
    assert cluster.put("x") == ["10.0.0.0"]
    cluster.put("x", {"type": "ClusterIP"})
    assert cluster.put("x", {"loadBalancerClass": "example.com/other"}) == []
    assert cluster.put("y") == ["10.0.0.0"]
    cluster.put("y", {"type": "ClusterIP"})
    assert cluster.put("x") == ["10.0.0.0"]


# -- sharing ----------------------------------------------------------------------------------------------


def port(number: int, protocol: str = "TCP") -> Json:
    return {"ports": [{"port": number, "protocol": protocol}]}


def share(cluster: Cluster, name: str, spec: Json, key: str = "k", **wish: str) -> list[str]:
    return cluster.put(name, spec, allow_shared_ip=key, **wish)


@pytest.mark.parametrize(
    ("one", "two", "together"),
    [
        (port(80), port(443), True),
        (port(53), port(53, "UDP"), True),
        (port(80), port(80), False),
        ({**port(80), **LOCAL, "selector": {"a": "b"}}, {**port(81), **LOCAL, "selector": {"a": "b"}}, True),
        ({**port(80), **LOCAL, "selector": {"a": "b"}}, {**port(81), **LOCAL, "selector": {"a": "c"}}, False),
        ({**port(80), **LOCAL, "selector": {"a": "b"}}, {**port(81), "selector": {"a": "b"}}, False),
        ({**port(80), "selector": {"a": "b"}}, {**port(81), "selector": {"a": "c"}}, True),
    ],
)
def test_who_may_share_does_so_without_asking_for_the_address(one: Json, two: Json, together: bool) -> None:
    """The first address that is free or open to the service: an open one that comes first is joined."""
    cluster = Cluster(p=["10.0.0.0/30"])
    assert share(cluster, "one", one) == ["10.0.0.0"]
    assert share(cluster, "two", two) == (["10.0.0.0"] if together else ["10.0.0.1"])
    assert bool(share(cluster, "three", {**two, "loadBalancerIP": "10.0.0.0"})) is False


def test_a_free_address_that_comes_before_the_shared_one_is_given_first() -> None:
    cluster = Cluster(p=["10.0.0.0/30"])
    share(cluster, "one", {**port(80), "loadBalancerIP": "10.0.0.2"})
    assert share(cluster, "two", port(443)) == ["10.0.0.0"]
    assert share(cluster, "three", {**port(81), "loadBalancerIP": "10.0.0.2"}) == ["10.0.0.2"]


def test_services_of_two_namespaces_share() -> None:
    cluster = Cluster(p=["10.0.0.0/32"])
    share(cluster, "one", port(80))
    assert share(cluster, "two", port(81), namespace="e") == ["10.0.0.0"]


@pytest.mark.parametrize(("namespace", "named"), [("d", True), ("e", False)])
@pytest.mark.parametrize("key", ["", "other", "k"])
def test_nobody_is_told_the_key_of_another_nor_names_of_another_namespace(
    key: str, namespace: str, named: bool
) -> None:
    cluster = Cluster(p=["10.0.0.0/30"])
    share(cluster, "victim", port(80), key="s3cret")
    wish = {"allow_shared_ip": key} if key else {}
    assert cluster.put("x", {**port(80), "loadBalancerIP": "10.0.0.0"}, namespace=namespace, **wish) == []
    conditions = cluster.api.objects[namespace, "x"]["status"]["conditions"]
    said = str([conditions, *(note for note in cluster.runner.notes if note[0] == (namespace, "x"))])
    assert "s3cret" not in said
    assert ("victim" in said) is named and ("service d/victim" in said) is named


def test_a_namespace_that_is_not_known_yet_is_waited_for() -> None:
    stranger = only("10.0.1.0/24", namespaceSelectors=[{"matchExpressions": [NOT_A]}])
    cluster = Cluster(p=stranger)
    view = cluster.runner._view
    cluster.runner._view = lambda item: replace(view(item), want=None, needs=None)  # type: ignore[method-assign]
    assert cluster.put("x") == []
    assert "conditions" not in cluster.api.objects["d", "x"]["status"], "nothing is said of it"
    cluster.runner._view = view  # type: ignore[method-assign]
    cluster.api.label("d", {"team": "a"})
    cluster.runner.settle()
    assert (cluster.shown("x"), cluster.reason("x")) == ([], "PoolNotAllowed")


def test_whoever_changes_into_a_clash_moves_and_the_other_keeps_the_address() -> None:
    cluster = Cluster(p=["10.0.0.0/30"])
    share(cluster, "older", port(80))
    share(cluster, "younger", port(443))
    assert share(cluster, "older", port(443)) == ["10.0.0.1"]
    assert cluster.shown("younger") == ["10.0.0.0"]
    assert share(cluster, "older", port(444), ips="10.0.0.0") == ["10.0.0.0"]
    assert share(cluster, "younger", port(443), key="other") == ["10.0.0.1"]
    assert cluster.put("older", port(444)) == ["10.0.0.0"], "it is alone by now, and needs no key"


def test_who_is_alone_changes_its_key_in_place_and_waits_for_nobody() -> None:
    cluster = Cluster(p=["10.0.0.0/32"])
    share(cluster, "one", port(80))
    assert share(cluster, "waits", port(81), key="new") == []
    assert cluster.reason("waits") == "PoolExhausted"
    assert share(cluster, "asks", port(82), key="new", ips="10.0.0.0") == []
    assert cluster.message("asks").endswith("their sharing keys differ")
    assert share(cluster, "one", port(80), key="new") == ["10.0.0.0"]
    assert cluster.shown("waits") == cluster.shown("asks") == ["10.0.0.0"]


def test_both_families_are_shared_and_one_of_them_by_a_service_of_one() -> None:
    cluster = Cluster(p=["10.0.0.0/30", "fd00::/126"])
    assert share(cluster, "both", {**REQUIRE, **port(80)}) == ["10.0.0.0", "fd00::"]
    assert share(cluster, "six", {"clusterIPs": SIX, **port(81)}) == ["fd00::"]
    assert share(cluster, "both2", {**PREFER, **port(82)}) == ["10.0.0.0", "fd00::"]
    assert share(cluster, "clash", {**REQUIRE, **port(81)}) == ["10.0.0.0", "fd00::1"]


# -- changes of pools, and what others write --------------------------------------------------------------


def test_freed_addresses_go_round_in_order_of_creation() -> None:
    cluster = Cluster(p=["10.0.0.0/31"])
    for name in ("z", "y", "x", "w", "v"):
        cluster.put(name)
    cluster.pools(p=["10.0.0.0/30"])
    assert [cluster.shown(name) for name in ("x", "w", "v")] == [["10.0.0.2"], ["10.0.0.3"], []]
    cluster.delete("z")
    assert cluster.shown("v") == ["10.0.0.0"]


def test_a_renamed_pool_renames_the_annotation_and_nothing_else() -> None:
    cluster = Cluster(a=["10.0.0.0/30"])
    cluster.put("x")
    cluster.put("asks", address_pool="a")
    cluster.pools(b=["10.0.0.0/30"])
    assert (cluster.shown("x"), cluster.pool_of("x")) == (["10.0.0.0"], "b")
    assert (cluster.shown("asks"), cluster.reason("asks")) == (["10.0.0.1"], "Kept")
    assert "PoolNotFound" in cluster.message("asks")


def test_a_pool_that_becomes_one_for_others_loses_those_who_are_not() -> None:
    cluster = Cluster(a=["10.0.0.0/30"])
    cluster.put("x")
    cluster.put("gold", app="gold")
    gold = only("10.0.0.0/30", serviceSelectors=[{"matchLabels": {"app": "gold"}}])
    cluster.pools(a=gold, b=["10.0.1.0/30"])
    assert (cluster.shown("x"), cluster.shown("gold")) == (["10.0.1.0"], ["10.0.0.1"])


@pytest.mark.parametrize("running", [True, False], ids=["running", "restarted"])
@pytest.mark.parametrize(
    "ingress",
    [
        [{"hostname": "x.example"}],
        [{"ip": "192.0.2.1"}],
        [{"ip": "10.0.0.0"}, {"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}],
        [{"ip": "10.0.0.0"}, {"ip": "10.0.0.0"}],
        [{"ip": "10.0.0.0"}, {"ip": "fd00::"}],
        [{"ip": "fd00::"}],
    ],
)
def test_a_bogus_status_is_repaired_while_running_and_at_the_start(
    ingress: list[Json], running: bool
) -> None:
    cluster = Cluster(p=["10.0.0.0/30", "fd00::/126"])
    cluster.put("x")
    cluster.api.scribble(("d", "x"), ingress)
    if running:
        cluster.runner.settle()
    else:
        cluster.restart()
    assert cluster.shown("x") == ["10.0.0.0"]


@pytest.mark.parametrize("running", [True, False], ids=["running", "restarted"])
@pytest.mark.parametrize(
    ("ingress", "seen"),
    [
        ([{"ip": f"10.0.0.{number}"} for number in range(3)], "10.0.0.0, 10.0.0.1, 10.0.0.2"),
        ([{"ip": "10.0.0.0"}, {"hostname": "x.example"}], "10.0.0.0, a hostname"),
        ([], "none"),
    ],
)
def test_a_repair_is_told_with_what_was_found(ingress: list[Json], seen: str, running: bool) -> None:
    cluster = Cluster(p=["10.0.0.0/30", "fd00::/126"])
    cluster.put("x")
    cluster.api.scribble(("d", "x"), ingress)
    if running:
        cluster.runner.settle()
    else:
        cluster.restart()
    reason, message = [(reason, text) for _key, reason, text in cluster.runner.notes][-1]
    assert (reason, message) == (
        "StatusRepaired",
        f"the status showed {seen}, and the controller gave 10.0.0.0: it is put right",
    )
    assert cluster.runner.warned[-1] is True


def test_the_order_of_a_dual_stack_status_is_repaired() -> None:
    cluster = Cluster(p=["10.0.0.0/30", "fd00::/126"])
    cluster.put("x", PREFER_SIX)
    cluster.api.scribble(("d", "x"), [{"ip": "fd00::"}, {"ip": "10.0.0.0"}])
    cluster.restart()
    assert cluster.shown("x") == ["10.0.0.0", "fd00::"]


def test_what_others_add_to_an_address_is_left_alone() -> None:
    cluster = Cluster(p=["10.0.0.0/30"])
    cluster.put("x")
    entry = {"ip": "10.0.0.0", "ipMode": "Proxy", "ports": [{"port": 80, "protocol": "TCP"}]}
    cluster.api.scribble(("d", "x"), [entry])
    version = cluster.api.objects["d", "x"]["metadata"]["resourceVersion"]
    cluster.runner.settle()
    cluster.restart()
    assert cluster.api.objects["d", "x"]["metadata"]["resourceVersion"] == version


@pytest.mark.parametrize("name", ["address-pool", "loadBalancerIPs", "allow-shared-ip"])
def test_old_annotations_work_and_are_reported(name: str) -> None:
    cluster = Cluster(p=["10.0.0.0/30"])
    value = {"address-pool": "p", "loadBalancerIPs": "10.0.0.0", "allow-shared-ip": "k"}[name]
    cluster.api.put(("d", "x"), {}, annotations={OLD + name: value})
    cluster.runner.settle()
    assert cluster.shown("x") == ["10.0.0.0"]
    assert cluster.events("x") == ["IPAllocated", "deprecatedAnnotation"]
