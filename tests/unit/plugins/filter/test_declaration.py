# SPDX-License-Identifier: GPL-3.0-or-later
"""The declaration: what the inventory may say, what follows from it, and how each mistake is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.filter.cluster_objects import cluster_objects
from ansible_collections.vipcast.baremetal.plugins.filter.declaration import declaration
from ansible_collections.vipcast.baremetal.plugins.filter.router_intent import router_intent

from .inventory import GROUPS, OWN, SHARED, hostvars, pools, read


def advertisement(**values: Any) -> dict[str, Any]:
    return {"vipcast_advertisements": [{"name": "default", **values}]}


def test_the_least_that_can_be_said_is_enough() -> None:
    found = read()
    assert found["nodes"] == [
        {"name": "n1", "host": "n1", "address": "10.31.8.1"},
        {"name": "worker", "host": "n2", "address": "10.31.8.11"},
    ]
    assert found["timers"] == {"hold": 9, "keepalive": 3, "connect": 5}
    assert found["namespace"] == "metallb-system"
    assert found["pod_cidrs"] is None
    assert found["advertisements"] == [
        {
            "name": "default",
            "pools": ["default"],
            "named_pools": [],
            "pool_selectors": [],
            "peers": ["r1"],
            "nodes": ["n1", "worker"],
            "node_selectors": [],
            "service_selectors": [],
            "aggregation_length": 32,
            "aggregation_length_v6": 128,
            "local_pref": 0,
            "communities": [],
            "weighted_by_endpoints": False,
            "med": None,
            "as_path_prepend": 0,
            "labels": {},
        }
    ]


def test_numbers_and_truth_values_may_come_as_strings_from_the_command_line() -> None:
    found = read({"vipcast_cluster_asn": "64513", **pools("10.9.0.0/16", auto_assign="no")})
    assert found["cluster_asn"] == 64513
    assert found["pools"][0]["auto_assign"] is False


def test_a_host_without_an_address_variable_is_peered_with_by_its_name() -> None:
    own = {"10.31.8.1": {**SHARED}, "r1": {**SHARED, **OWN["r1"]}}
    found = declaration(own, {"nodes": ["10.31.8.1"], "routers": ["r1"]})
    assert found["nodes"] == [{"name": "10.31.8.1", "host": "10.31.8.1", "address": "10.31.8.1"}]


def test_the_clusters_objects_are_one_pool_one_peer_for_each_router_and_one_advertisement() -> None:
    objects = cluster_objects(read(r1={"vipcast_bgp_password": "secret"}))
    assert [(item["apiVersion"], item["kind"], item["metadata"]["name"]) for item in objects] == [
        ("metallb.io/v1beta1", "IPAddressPool", "default"),
        ("metallb.io/v1beta2", "BGPPeer", "r1"),
        ("metallb.io/v1beta1", "BGPAdvertisement", "default"),
    ]
    assert objects[1]["spec"] == {
        "myASN": 64513,
        "peerASN": 64512,
        "peerAddress": "10.31.254.251",
        "holdTime": "9s",
        "keepaliveTime": "3s",
        "connectTime": "5s",
        "passwordSecret": {"name": "r1-password"},
    }


def test_both_ends_name_the_same_peering() -> None:
    found = read()
    peer = cluster_objects(found)[1]["spec"]
    intent = router_intent(found, "r1")
    assert (peer["peerASN"], peer["myASN"]) == (intent["asn"], intent["neighbors"][0]["remote_as"])
    assert [one["address"] for one in intent["neighbors"]] == [node["address"] for node in found["nodes"]]
    assert intent["maximum_paths"] == 2


def test_a_password_is_on_the_router_only_where_there_is_one() -> None:
    assert "password" not in router_intent(read(), "r1")["neighbors"][0]
    intent = router_intent(read({"vipcast_bgp_password": "secret"}), "r1")
    assert [one["password"] for one in intent["neighbors"]] == ["secret", "secret"]


@pytest.mark.parametrize(
    ("addresses", "advertised", "expected"),
    [
        (["10.9.0.0/16"], {}, [("10.9.0.0/16", 32)]),
        (["10.9.1.2-10.9.1.5"], {}, [("10.9.1.2/31", 32), ("10.9.1.4/31", 32)]),
        (["10.9.0.0/16"], {"aggregation_length": 24}, [("10.9.0.0/16", 24)]),
        # The pieces of a range are smaller than its aggregate: each aggregate once.
        (["10.9.1.2-10.9.1.130"], {"aggregation_length": 26}, [(f"10.9.1.{n}/26", 26) for n in (0, 64, 128)]),
        (["10.9.1.7/32"], {}, [("10.9.1.7/32", 32)]),
    ],
)
def test_a_router_accepts_exactly_what_is_announced(
    addresses: list[str], advertised: dict[str, Any], expected: list[tuple[str, int]]
) -> None:
    found = read({**pools(*addresses), **(advertisement(**advertised) if advertised else {})})
    entries = router_intent(found, "r1")["prefixes"]
    assert [(one["prefix"], one["min_length"], one["max_length"]) for one in entries] == [
        (prefix, length, length) for prefix, length in expected
    ]


def test_two_advertisements_of_one_pool_open_the_filter_for_both_lengths_and_no_other() -> None:
    both = [{"name": "host"}, {"name": "net", "aggregation_length": 24, "communities": ["64513:1"]}]
    entries = router_intent(read({"vipcast_advertisements": both}), "r1")["prefixes"]
    assert [(one["prefix"], one["min_length"], one["max_length"]) for one in entries] == [
        ("10.9.0.0/16", 24, 24),
        ("10.9.0.0/16", 32, 32),
    ]


def test_a_router_that_nothing_is_advertised_to_accepts_nothing() -> None:
    own = {**hostvars(advertisement(peers=["r1"]))}
    own["r2"] = {**own["r1"], "ansible_host": "10.31.254.252"}
    found = declaration(own, {**GROUPS, "routers": ["r1", "r2"]})
    assert router_intent(found, "r2")["prefixes"] == []
    assert [item["metadata"]["name"] for item in cluster_objects(found) if item["kind"] == "BGPPeer"] == [
        "r1",
        "r2",
    ]


def test_the_prefix_limit_is_what_the_pools_hold_and_never_absurd() -> None:
    assert router_intent(read(pools("10.9.1.0/25", "10.9.2.1-10.9.2.3")), "r1")["maximum_prefix"] == 131
    assert router_intent(read(), "r1")["maximum_prefix"] == 10000
    assert router_intent(read(r1={"vipcast_maximum_prefix": 7}), "r1")["maximum_prefix"] == 7


def test_an_inventory_of_ipv6_works_throughout() -> None:
    found = read(
        pools("2001:db8:9::/112"),
        n1={"ansible_host": "2001:db8::1"},
        n2={"ansible_host": "2001:db8::2"},
        r1={"ansible_host": "2001:db8::fe", "vipcast_router_id": "10.31.254.251"},
    )
    intent = router_intent(found, "r1")
    assert intent["prefixes"] == [{"prefix": "2001:db8:9::/112", "min_length": 128, "max_length": 128}]
    assert intent["router_id"] == "10.31.254.251"


def test_a_routers_name_becomes_a_name_of_kubernetes() -> None:
    own = hostvars()
    own["Router_1"] = own.pop("r1")
    found = declaration(own, {**GROUPS, "routers": ["Router_1"]})
    assert cluster_objects(found)[1]["metadata"]["name"] == "router-1"
    assert router_intent(found, "Router_1")["asn"] == 64512


def test_a_host_that_is_no_router_has_no_intent() -> None:
    with pytest.raises(AnsibleFilterError, match=r"^n1 is not in the group routers, which has r1$"):
        router_intent(read(), "n1")


MISTAKES = [
    (
        {"shared": {"vipcast_router_as": 1}},
        "vipcast_router_as (host n1): no such variable; did you mean vipcast_router_asn? [unknown variable]",
    ),
    (
        {"shared": {"vipcast_cluster_asn": None}},
        "vipcast_cluster_asn (group all): it is required: the AS number the speakers use, such as 64513 "
        "[missing]",
    ),
    (
        {"r1": {"vipcast_router_asn": None}},
        "vipcast_router_asn (host r1): it is required: the router's AS number, such as 64512 [missing]",
    ),
    (
        {"shared": {"vipcast_cluster_asn": 0}},
        "vipcast_cluster_asn (host n1): 0 should be from 1 to 4294967295 [out of range]",
    ),
    (
        {"shared": {"vipcast_cluster_asn": "64513a"}},
        "vipcast_cluster_asn (host n1): '64513a' is a string, and should be a whole number from 1 to "
        "4294967295 "
        "[wrong type]",
    ),
    (
        {"r1": {"vipcast_router_asn": 23456}},
        "vipcast_router_asn (host r1): 23456 is AS_TRANS (RFC 6793), which nobody has; write the real "
        "number; private use is 64512 to 65534 (RFC 6996) [out of range]",
    ),
    (
        {"n2": {"vipcast_cluster_asn": 64514}},
        "vipcast_cluster_asn (host n2): it is 64514 here and it is 64513 for host n1; both ends "
        "and all hosts share it: say it once, in group all [conflict]",
    ),
    (
        {"r1": {"vipcast_hold_time": 30}},
        "vipcast_hold_time (host r1): it is 30 here and it is not said for host n1; both ends and all hosts "
        "share it: say it once, in group all [conflict]",
    ),
    (
        {"n2": {"vipcast_node_address": "10.31.8.1"}},
        "vipcast_node_address (n1 and n2): both are 10.31.8.1; each node has its own [duplicate]",
    ),
    (
        {"n2": {"vipcast_node_name": "n1"}},
        "vipcast_node_name (n1 and n2): both are n1; one name is one node of the cluster [duplicate]",
    ),
    (
        {"n1": {"ansible_host": "node.example"}},
        "vipcast_node_address (host n1): 'node.example' is not an IP address; set vipcast_node_address to "
        "the "
        "address the routers peer with [not an address]",
    ),
    (
        {"r1": {"ansible_host": "10.31.8.1"}},
        "vipcast_node_address (n1 and r1): both are 10.31.8.1; a router is not a node [duplicate]",
    ),
    (
        {"shared": pools("10.31.0.0/16")},
        "vipcast_node_address (host n1): 10.31.8.1 lies inside 10.31.0.0/16 of pool default, which has to "
        "be free "
        "of other uses [overlap]",
    ),
    (
        {"shared": pools("10.9.0.0/16", "10.9.1.1-10.9.1.2")},
        "vipcast_pools (host n1): 10.9.1.1-10.9.1.2 of pool default overlaps 10.9.0.0/16 of pool default; no "
        "address may be in two [overlap]",
    ),
    (
        {"shared": pools("10.9.1.9-10.9.1.1")},
        "vipcast_pools[0] (pool default): '10.9.1.9-10.9.1.1' ends before it begins; write 10.9.1.1-10.9.1.9 "
        "[not an address]",
    ),
    (
        {"shared": {"vipcast_pools": []}},
        "vipcast_pools (host n1): the list is empty; without a pool no service gets an address [missing]",
    ),
    (
        {"shared": {"vipcast_pools": [{"name": "a", "adresses": ["10.9.0.0/16"]}]}},
        "vipcast_pools[0] (host n1): no such key adresses; did you mean addresses? [unknown key]",
    ),
    (
        {"shared": {"vipcast_pools": [{"name": "a"}]}},
        "vipcast_pools[0] (host n1): the key addresses is required [missing]",
    ),
    (
        {"shared": {"vipcast_pools": "10.9.0.0/16"}},
        "vipcast_pools (host n1): '10.9.0.0/16' is a string, and should be a list [wrong type]",
    ),
    (
        {"shared": {"vipcast_pools": [{"name": "My Pool", "addresses": ["10.9.0.0/16"]}]}},
        "vipcast_pools[0].name (host n1): 'My Pool' is no name for an object of Kubernetes: lower-case "
        "letters, "
        "digits, '-' and '.' [wrong type]",
    ),
    (
        {"shared": {"vipcast_pod_cidrs": ["10.9.128.0/18"]}},
        "vipcast_pools (pool default): 10.9.0.0/16 overlaps 10.9.128.0/18 of vipcast_pod_cidrs; the "
        "cluster uses "
        "those addresses already [overlap]",
    ),
    (
        {"shared": pools("2001:db8::/64")},
        "vipcast_pools (pool default): 2001:db8::/64 is IPv6, but the sessions run over IPv4: no next hop "
        "for it "
        "[conflict]",
    ),
    (
        {"n1": {"ansible_host": "2001:db8::1"}},
        "vipcast_node_address (host n1): 2001:db8::1 is IPv6, and r1 is at IPv4; a session needs one "
        "family on both "
        "ends [conflict]",
    ),
    (
        {"shared": {"vipcast_hold_time": 2}},
        "vipcast_hold_time (host n1): 2 should be from 3 to 65535 [out of range]",
    ),
    (
        {"shared": {"vipcast_hold_time": 3}},
        "vipcast_keepalive_time (host n1): 3 s is more than a third of the hold time of 3 s (RFC 4271 "
        "section 4.4): one lost message would end the session; use 1 s or less [out of range]",
    ),
    (
        {"shared": {"vipcast_hold_time": 9, "vipcast_keepalive_time": 4}},
        "vipcast_keepalive_time (host n1): 4 s is more than a third of the hold time of 9 s (RFC 4271 "
        "section 4.4): one lost message would end the session; use 3 s or less [out of range]",
    ),
    (
        {"shared": advertisement(peers=["r2"])},
        "vipcast_advertisements[0].peers (host n1): there is no r2; known are r1 [unknown reference]",
    ),
    (
        {"shared": advertisement(aggregation_length=15)},
        "vipcast_advertisements[0].aggregation_length (host n1): /15 is wider than 10.9.0.0/16 of pool "
        "default; use "
        "/16 or longer [out of range]",
    ),
    (
        {"shared": advertisement(local_pref=5)},
        "vipcast_advertisements[0].local_pref (host n1): it would never be sent: no peer of this "
        "advertisement is "
        "in AS 64513, as it would have to be [conflict]",
    ),
    (
        {"shared": advertisement(communities=["64513"])},
        "vipcast_advertisements[0].communities (host n1): '64513' is no community such as '64513:100' (RFC "
        "1997), and no name out of vipcast_communities; it says none [unknown reference]",
    ),
    (
        {"r1": {"vipcast_bgp_password": "x" * 81}},
        "vipcast_bgp_password (host r1): it has to be at most 80 bytes long and without spaces [out of "
        "range]",
    ),
]


@pytest.mark.parametrize(
    ("change", "message"), MISTAKES, ids=[message.split(":")[0] for _change, message in MISTAKES]
)
def test_a_mistake_is_named_with_its_place_and_what_would_be_right(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^{re.escape(message)}$"):
        read(**change)


@pytest.mark.parametrize(("group", "who"), [("nodes", "the cluster's nodes"), ("routers", "the routers")])
def test_an_empty_group_is_refused(group: str, who: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^group {group}: it has no host; it lists {who}"):
        declaration(hostvars(), {**GROUPS, group: []})


def test_a_password_is_never_in_a_message() -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        read(r1={"vipcast_bgp_password": 12345678})
    assert "12345678" not in str(caught.value)


def test_what_only_the_load_balancer_refuses_is_refused_too() -> None:
    twice = {"vipcast_advertisements": [{"name": "a"}, {"name": "b"}]}
    with pytest.raises(AnsibleFilterError, match=r"^the load balancer would refuse this: BGPAdvertisement"):
        read(twice)


@pytest.mark.parametrize("text", ["127.0.0.0/24", "224.0.0.0/28", "255.255.255.255/32", "0.0.0.0/8"])
def test_a_pool_that_no_service_could_use_is_refused(text: str) -> None:
    with pytest.raises(AnsibleFilterError, match=r"which no service can have.*\[UnusableAddresses\]"):
        read(pools(text))


def test_a_link_local_pool_may_be_declared() -> None:
    assert read(pools("169.254.1.0/24"))["pools"][0]["addresses"] == ["169.254.1.0/24"]


def test_the_filters_say_how_they_are_used() -> None:
    with pytest.raises(AnsibleFilterError, match="use it as: hostvars"):
        declaration("hostvars", GROUPS)  # type: ignore[arg-type]
    for broken in (cluster_objects, lambda value: router_intent(value, "r1")):
        with pytest.raises(AnsibleFilterError, match="not a declaration"):
            broken({})
