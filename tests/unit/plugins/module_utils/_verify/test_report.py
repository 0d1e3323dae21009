# SPDX-License-Identifier: GPL-3.0-or-later
"""Expected against found: one difference for each thing that is wrong, and none where all is well."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.expectations import Scope
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.report import verification

from .situation import ALL, cluster, declared, route, router, service, session


def texts(cluster_: dict[str, Any], router_: dict[str, Any], **more: Any) -> list[str]:
    found = verification(declared(), cluster_, [router_], more.pop("probes", []), **more)
    return list(found["texts"])


def test_nothing_differs_where_every_node_is_a_next_hop_everywhere() -> None:
    found = verification(declared(), cluster(service()), [router(route())], [])
    assert found["ok"], found["texts"]
    assert found["routes"] == [
        {
            "router": "r1",
            "prefix": "10.9.1.1/32",
            "services": ["default/web"],
            "expected": ALL,
            "without": {},
            "bgp": ALL,
            "fib": ALL,
            "kernel": ALL,
            "weights": dict.fromkeys(ALL, 1),
        }
    ]
    assert found["lines"][-1] == "OK: 3 sessions Established, 1 routes, 0 of 0 requests good"


def test_the_report_is_json() -> None:
    found = verification(declared(), cluster(service()), [router(route())], [])
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("seen", "where", "reason"),
    [
        (
            route(bgp=ALL[:2]),
            "the BGP table, FRR's FIB and the kernel",
            "the speaker does not announce it, or",
        ),
        (
            route(bgp=ALL[:2], known=ALL),
            "the BGP table, FRR's FIB and the kernel",
            "BGP knows the path and does not",
        ),
        (route(fib=ALL[:2]), "FRR's FIB and the kernel", "zebra does not use it"),
        (route(kernel=ALL[:2]), "the kernel", "zebra has not put it into the kernel"),
    ],
)
def test_a_missing_next_hop_is_named_with_the_layers_that_lack_it(
    seen: dict[str, Any], where: str, reason: str
) -> None:
    (text,) = texts(cluster(service()), router(seen))
    start = f"r1: next hop 10.31.8.12 (n3) for 10.9.1.1/32 in {where}: expected there, found missing"
    assert text.startswith(f"{start}; likely reason: {reason}")


def test_a_route_that_is_missing_altogether_lacks_every_next_hop() -> None:
    assert len(texts(cluster(service()), router())) == 3


def test_busybox_hides_next_hops_of_the_kernel_and_that_is_no_difference() -> None:
    seen = route()
    seen["kernel"] = {"protocol": "bgp", "next_hops": None}
    found = verification(declared(), cluster(service()), [router(seen)], [])
    assert found["ok"]
    assert found["routes"][0]["kernel"] is None


def test_a_session_that_is_down_explains_the_next_hop_that_is_missing() -> None:
    down = session(
        ALL[2], state="Active", established=False, reason="not_established", last_reset="Peer closed"
    )
    sessions = [session(ALL[0]), session(ALL[1]), down]
    first, second = texts(cluster(service()), router(route(bgp=ALL[:2]), sessions=sessions))
    assert first.startswith(
        "r1: session with 10.31.8.12 (n3): expected Established, found Active; likely reason: "
    )
    assert first.endswith("it ended last because of: Peer closed")
    assert second.endswith("likely reason: its session is Active")


def test_a_neighbor_that_the_router_does_not_have_is_named() -> None:
    (text,) = texts(cluster(), router(sessions=[session(ALL[0]), session(ALL[1])]))
    assert text == (
        "r1: session with 10.31.8.12 (n3): expected Established, found no such neighbor; likely reason: "
        "the router has "
        "not been configured for this node (role router)"
    )


def test_established_without_a_policy_is_not_healthy() -> None:
    poor = session(ALL[0], reason="no_policy", explanation="Nothing is accepted: a policy is missing.")
    (text,) = texts(cluster(), router(sessions=[poor, session(ALL[1]), session(ALL[2])]))
    assert text.endswith(
        "expected routes to be exchanged, found Established only; likely reason: nothing is accepted: a "
        "policy is missing"
    )


def test_a_session_that_announces_nothing_is_well_while_there_is_nothing_to_announce() -> None:
    quiet = [session(address, reason="no_prefixes", explanation="It announces nothing.") for address in ALL]
    assert texts(cluster(), router(sessions=quiet)) == []
    missing = texts(cluster(service()), router(sessions=quiet))
    assert [text.rpartition("likely reason: ")[2] for text in missing] == ["it announces nothing"] * 3


def test_a_node_that_is_not_ready_is_expected_to_have_no_session_and_no_next_hop() -> None:
    lost = {"ready": False, "reason": "NodeStatusUnknown"}
    down = session(ALL[2], state="Active", established=False, reason="not_established")
    seen = router(route(bgp=ALL[:2]), sessions=[session(ALL[0]), session(ALL[1]), down])
    found = verification(declared(), cluster(service(on=("n1", "n2")), n3=lost), [seen], [])
    assert found["ok"], found["texts"]
    assert found["notes"] == [
        "node n3 is not ready: NodeStatusUnknown: no session and no next hop is expected"
    ]
    assert found["routes"][0]["without"] == {"n3": "not ready: NodeStatusUnknown"}


def test_a_node_that_is_not_ready_and_still_announces_is_a_difference() -> None:
    lost = {"ready": False, "reason": "NodeStatusUnknown"}
    first, second = texts(cluster(service(), n3=lost), router(route()))
    assert first.startswith("r1: session with 10.31.8.12 (n3): expected none, found Established")
    assert second.startswith(
        "r1: next hop 10.31.8.12 (n3) for 10.9.1.1/32 in the BGP table, FRR's FIB and the kernel: "
    )
    assert "expected none, found there" in second


def test_a_node_of_the_inventory_that_the_cluster_does_not_have_is_named() -> None:
    known = cluster()
    known["nodes"] = known["nodes"][:2]
    first = texts(known, router())[0]
    assert first == (
        "cluster: node n3: expected a node of the cluster, found none; likely reason: the cluster's nodes "
        "are n1, n2; "
        "vipcast_node_name says which one host n3 is"
    )


def test_with_the_policy_local_only_nodes_with_an_endpoint_are_next_hops() -> None:
    local = service(on=("n2",), external_traffic_policy="Local")
    assert texts(cluster(local), router(route(bgp=[ALL[1]]))) == []
    wrong = texts(cluster(local), router(route()))
    assert [text.split(":")[1] for text in wrong] == [
        f" next hop {ALL[at]} (n{at + 1}) for 10.9.1.1/32 in the BGP table, FRR's FIB and the kernel"
        for at in (0, 2)
    ]
    assert wrong[0].endswith("the node is without an endpoint that serves, and the policy is Local")


def test_an_excluded_node_has_a_session_and_is_no_next_hop() -> None:
    excluded = cluster(service(), n3={"excluded": True})
    assert texts(excluded, router(route(bgp=ALL[:2]))) == []
    scope = Scope(ignore_exclude_label=True)
    assert len(texts(excluded, router(route(bgp=ALL[:2])), scope=scope)) == 1


def test_a_route_to_an_address_that_no_service_has_is_a_difference() -> None:
    (text,) = texts(cluster(service()), router(route(), route("10.9.1.9/32", bgp=ALL[:1])))
    assert text.startswith(
        "r1: route 10.9.1.9/32: expected none, found via 10.31.8.1; likely reason: no service"
    )


def test_routes_outside_the_pools_or_of_other_lengths_are_not_ours() -> None:
    strangers = [route("10.10.1.1/32"), route("10.9.0.0/16"), route("0.0.0.0/0")]
    assert texts(cluster(service()), router(route(), *strangers)) == []


def test_a_service_without_endpoints_has_no_route_and_the_report_says_so() -> None:
    empty = service(on=())
    found = verification(declared(), cluster(empty), [router()], [])
    assert found["ok"]
    assert found["notes"] == ["service default/web has no endpoint that serves: no route is expected"]
    assert len(texts(cluster(empty), router(route()))) == 1


def test_a_pending_service_is_a_difference() -> None:
    (text,) = texts(cluster(service(addresses=[])), router())
    assert text.startswith("cluster: service default/web: expected an address, found pending")


def test_an_address_of_no_declared_pool_is_told_and_not_judged() -> None:
    found = verification(declared(), cluster(service(addresses=["172.16.0.1"])), [router()], [])
    assert found["ok"]
    assert found["notes"] == [
        "service default/web has 172.16.0.1, which is in no declared pool: not verified"
    ]


def test_services_of_one_aggregate_share_its_next_hops() -> None:
    aggregate = declared(vipcast_advertisements=[{"name": "a", "aggregation_length": 24}])
    one = service("one", on=("n1",), external_traffic_policy="Local")
    two = service("two", on=("n2",), external_traffic_policy="Local", addresses=["10.9.1.2"])
    seen = router(route("10.9.1.0/24", bgp=ALL[:2]))
    found = verification(aggregate, cluster(one, two), [seen], [])
    assert found["ok"], found["texts"]
    assert found["routes"][0]["services"] == ["default/one", "default/two"]


def test_hash_policy_matters_as_soon_as_there_are_two_next_hops() -> None:
    (text,) = texts(cluster(service()), router(route(), hash_policy_ipv4=0))
    assert text.startswith(
        "r1: net.ipv4.fib_multipath_hash_policy: expected 1, found 0; likely reason: with 0 all"
    )
    single = service(on=("n1",), external_traffic_policy="Local")
    assert texts(cluster(single), router(route(bgp=ALL[:1]), hash_policy_ipv4=0)) == []
    assert texts(cluster(service()), router(route(), hash_policy_ipv6=0)) == []


def test_a_router_that_does_not_answer_is_one_difference_and_says_why() -> None:
    silent = {"item": "r1", "unreachable": True, "msg": "Failed to connect to the host via ssh"}
    assert texts(cluster(service()), silent) == [
        "r1: its BGP tables: expected an answer, found none; likely reason: Failed to connect to the host "
        "via ssh"
    ]


def test_next_hops_of_a_router_that_does_not_answer_are_unknown_and_not_none() -> None:
    silent = {"item": "r1", "unreachable": True, "msg": "no"}
    found = verification(declared(), cluster(service()), [silent], [])
    assert [found["routes"][0][layer] for layer in ("bgp", "fib", "kernel")] == [None, None, None]
    assert any("unknown  unknown  unknown" in line for line in found["lines"])


def test_services_of_another_load_balancer_are_left_alone_and_named() -> None:
    other = service(load_balancer_class="example.com/lb", addresses=[])
    found = verification(declared(), cluster(other), [router()], [])
    assert found["ok"]
    assert found["notes"] == ["service default/web has the class example.com/lb, not ours"]
    assert not verification(
        declared(), cluster(other), [router()], [], Scope(load_balancer_class="example.com/lb")
    )["ok"]


def test_only_the_services_that_were_asked_for_are_verified() -> None:
    both = cluster(service(addresses=[]), service("db"))
    assert texts(both, router(route()), scope=Scope.of("default/db", "", False)) == []
    (text,) = texts(both, router(), scope=Scope(("default/nix",)))
    assert text.startswith("verify_services: default/nix: expected a LoadBalancer service, found none")


def test_without_clients_the_report_says_that_nobody_asked() -> None:
    found = verification({**declared(), "clients": []}, cluster(service()), [router(route())], [])
    assert found["notes"] == ["the group clients has no host: nothing was asked from outside the cluster"]


def test_the_table_for_people() -> None:
    found = verification(declared(), cluster(service()), [router(route(kernel=ALL[:1]))], [])
    assert found["lines"][:5] == [
        "BGP sessions",
        "  router  node  address     expected     found        up for  BFD  prefixes",
        "  r1      n1    10.31.8.1   Established  Established  42s       -         1",
        "  r1      n2    10.31.8.11  Established  Established  42s       -         1",
        "  r1      n3    10.31.8.12  Established  Established  42s       -         1",
    ]
    assert (
        "  r1      10.9.1.1/32  default/web         3    3    3       1  10.31.8.1, 10.31.8.11, 10.31.8.12"
        in found["lines"]
    )
    assert found["lines"][-1].startswith("NOT OK: 3 sessions")


def test_nodes_that_a_peer_or_an_advertisement_leaves_out_are_not_expected() -> None:
    only = [{"match_expressions": [{"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["n3"]}]}]
    some = declared(vipcast_advertisements=[{"name": "some", "node_selectors": only}])
    found = verification(some, cluster(service()), [router(route(bgp=ALL[:2]))], [])
    assert found["ok"], found["texts"]
    assert found["routes"][0]["expected"] == ALL[:2]
    peered = declared(vipcast_peer={"node_selectors": only})
    sessions = [session(address) for address in ALL[:2]]
    found = verification(peered, cluster(service()), [router(route(bgp=ALL[:2]), sessions=sessions)], [])
    assert found["ok"], found["texts"]
    assert len(found["sessions"]) == 2


def test_services_that_an_advertisement_leaves_out_have_no_route() -> None:
    front = [{"name": "front", "service_selectors": [{"match_labels": {"tier": "front"}}]}]
    some = declared(vipcast_advertisements=front)
    shown = cluster(
        service(labels={"tier": "front"}), service("back", addresses=["10.9.1.2"], labels={"tier": "back"})
    )
    found = verification(some, shown, [router(route())], [])
    assert [one["prefix"] for one in found["routes"]] == ["10.9.1.1/32"]
    assert "service default/back has 10.9.1.2, which no advertisement covers" in found["notes"]


def test_no_route_is_expected_for_an_address_of_the_segment() -> None:
    layer_2 = declared(vipcast_advertisements=[], vipcast_l2_advertisements=[{"name": "all"}])
    owner = {"service": "default/web", "address": None, "node": "n1", "interfaces": [], "since": None}
    owner.update(macs=[], foreign=[])
    found = verification(layer_2, {**cluster(service()), "owners": [owner]}, [router()], [])
    assert (found["ok"], found["routes"], found["notes"]) == (True, [], []), found["texts"]


def test_a_silent_cluster_is_a_difference_and_what_routers_have_is_shown() -> None:
    silent = {"failed": True, "msg": "the API server does not answer"}
    found = verification(declared(), silent, [router(route())], [])
    assert not found["ok"]
    assert found["texts"] == [
        "cluster: its services and nodes: expected an answer, found none; "
        "likely reason: the API server does not answer"
    ]
    assert {(one["expected"], one["found"]) for one in found["sessions"]} == {("unknown", "Established")}
    assert [(one["prefix"], one["expected"], one["kernel"]) for one in found["routes"]] == [
        ("10.9.1.1/32", None, ALL)
    ]
    assert found["lines"][-1] == "NOT OK: 3 sessions Established, 1 routes, 0 of 0 requests good"
    assert not [line for line in found["lines"] if "wrong" in line]
    assert json.loads(json.dumps(found)) == found


def test_a_silent_cluster_does_not_hide_a_silent_router() -> None:
    unreachable = {"item": "r1", "unreachable": True, "msg": "no route to host"}
    found = verification(declared(), {"msg": "refused"}, [unreachable], [])
    assert [one["where"] for one in found["differences"]] == ["cluster", "r1"]
    assert found["routes"] == []
