# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are taken out of service: what would be lost, what is still there, what is not back."""

from __future__ import annotations

from typing import Any

from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.drain import outlook
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.report import verification

from .situation import ALL, cluster, declared, route, router, service, session

FIRST, SECOND, THIRD = ALL
LOCAL = {"external_traffic_policy": "Local"}


def look(*names: str, services: list[dict[str, Any]] | None = None, **found: Any) -> dict[str, Any]:
    seen = found.pop("seen", None) or router(route())
    return outlook(declared(), cluster(*(services or [service()]), **found), [seen], names)


def test_one_of_three_may_go() -> None:
    found = look("n1")
    assert (found["nodes"], found["unknown"], found["lost"]) == (["n1"], [], [])


def test_all_of_them_may_not() -> None:
    assert look("n1", "n2", "n3")["lost"] == [
        "r1: 10.9.1.1/32 (default/web) has no next hop but those of n1, n2, n3"
    ]


def test_the_only_node_with_an_endpoint_may_not_where_the_policy_is_local() -> None:
    only = service(on=("n2",), **LOCAL)
    seen = router(route(bgp=[SECOND]))
    assert look("n2", services=[only], seen=seen)["lost"] == [
        "r1: 10.9.1.1/32 (default/web) has no next hop but those of n2"
    ]
    assert look("n1", services=[only], seen=seen)["lost"] == []


def test_a_node_that_should_announce_and_does_not_is_no_other_way() -> None:
    assert look("n1", seen=router(route(bgp=[FIRST])))["lost"] != []


def test_a_node_that_is_out_already_is_no_other_way() -> None:
    out = {"n2": {"drained": True}, "n3": {"drained": True}}
    assert look("n1", **out)["lost"] != []


def test_the_best_node_may_go_where_the_router_knows_a_second_best_one() -> None:
    said = [
        {"name": "main", "node_selectors": [{"match_labels": {"kubernetes.io/hostname": "n1"}}]},
        {"name": "backup", "med": 9, "node_selectors": [{"match_labels": {"kubernetes.io/hostname": "n2"}}]},
    ]
    every = declared(vipcast_advertisements=said)
    for known, lost in (([FIRST, SECOND], False), ([FIRST], True)):
        found = outlook(every, cluster(service()), [router(route(bgp=[FIRST], known=known))], ("n1",))
        assert bool(found["lost"]) is lost


def test_a_router_that_does_not_answer_stands_against_it() -> None:
    seen = {"item": "r1", "msg": "ssh: no route to host"}
    assert look("n1", seen=seen)["lost"] == ["r1: nothing is known of other ways: ssh: no route to host"]


def test_it_is_done_when_no_router_has_anything_of_the_node() -> None:
    down = session(FIRST, established=False, state="Active", reason="not_established")
    others = [session(SECOND), session(THIRD)]
    assert look("n1")["present"] == [
        f"r1: the session with {FIRST} (n1) is Established",
        f"r1: 10.9.1.1/32 has the next hop {FIRST} (n1)",
    ]
    seen = router(route(bgp=[SECOND, THIRD]), sessions=[down, *others])
    assert look("n1", seen=seen)["present"] == []
    kept = router(route(bgp=[SECOND, THIRD], kernel=ALL), sessions=[down, *others])
    assert look("n1", seen=kept)["present"] == [f"r1: 10.9.1.1/32 has the next hop {FIRST} (n1)"]


def test_it_is_back_when_every_route_has_it() -> None:
    out = {"n1": {"drained": True}}
    assert look("n1", **out)["absent"] == []
    assert look("n1", seen=router(route(kernel=[SECOND, THIRD])), **out)["absent"] == [
        f"r1: 10.9.1.1/32 is without the next hop {FIRST} (n1)"
    ]


def test_a_name_that_nobody_has_is_answered_with_the_known_ones() -> None:
    found = look("n9")
    assert (found["nodes"], found["unknown"]) == ([], ["there is no node n9; the inventory has n1, n2, n3"])


def test_a_drained_node_is_expected_to_have_nothing() -> None:
    """Verification says why, too."""
    down = session(FIRST, established=False, state="Active", reason="not_established")
    seen = router(route(bgp=[SECOND, THIRD]), sessions=[down, session(SECOND), session(THIRD)])
    report = verification(declared(), cluster(service(), n1={"drained": True}), [seen], [])
    assert report["ok"], report["texts"]
    assert "none (drained: annotated vipcast.io/drain)" in "\n".join(report["lines"])


def test_routes_of_the_other_family_go_by_the_nodes_address_of_that_family() -> None:
    both = declared_dual()
    six = ["fd00:31::1", "fd00:31::2", "fd00:31::3"]
    nodes = {name: {"addresses": [four, other]} for name, four, other in zip(("n1", "n2", "n3"), ALL, six)}
    shown = service(addresses=["fd00:9::1"])
    report = verification(both, cluster(shown, **nodes), [router(route("fd00:9::1/128", bgp=six))], [])
    assert report["routes"][0]["expected"] == six
    assert report["ok"], report["texts"]


def declared_dual() -> dict[str, Any]:
    """Both families over the one session with each node."""
    pools = [{"name": "default", "addresses": ["10.9.0.0/16", "fd00:9::/64"]}]
    return declared(vipcast_pools=pools, vipcast_peer={"dual_stack_address_family": True})


def look_at_owners(*names: str, on: tuple[str, ...] = ("n1", "n2", "n3"), **values: Any) -> dict[str, Any]:
    """An address of the segment that n2 owns; nothing goes by BGP."""
    layer2 = declared(vipcast_advertisements=[], vipcast_l2_advertisements=[{"name": "all"}])
    common = {"address": None, "interfaces": [], "macs": [], "since": None, "foreign": []}
    owner = {"service": "default/web", "node": "n2", **common}
    return outlook(layer2, {**cluster(service(on=on, **values)), "owners": [owner]}, [], names)


def test_what_a_node_owns_is_named_until_another_one_does() -> None:
    assert look_at_owners("n2")["owned"] == ["10.9.1.1 (default/web) is owned by n2"]
    assert look_at_owners("n1", "n3")["owned"] == []


def test_the_only_nodes_that_may_own_an_address_may_not_go() -> None:
    assert look_at_owners("n1", "n2")["lost"] == []
    assert look_at_owners("n1", "n2", "n3")["lost"] == [
        "10.9.1.1 (default/web) may be owned by n1, n2, n3 alone"
    ]
    assert look_at_owners("n2", on=("n2",), **LOCAL)["lost"] != []
