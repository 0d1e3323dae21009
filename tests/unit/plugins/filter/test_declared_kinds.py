# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of the configuration from the inventory: what becomes of it in the cluster and on a router."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.filter.cluster_objects import cluster_objects
from ansible_collections.vipcast.baremetal.plugins.filter.configuration_objects import configuration_objects
from ansible_collections.vipcast.baremetal.plugins.filter.configuration_options import configuration_options
from ansible_collections.vipcast.baremetal.plugins.filter.configuration_secrets import configuration_secrets
from ansible_collections.vipcast.baremetal.plugins.filter.declaration import declaration
from ansible_collections.vipcast.baremetal.plugins.filter.router_intent import router_intent

from .inventory import hostvars, pools, read

SELECTOR = {"match_expressions": [{"key": "zone", "operator": "In", "values": ["outside"]}]}
TWO_POOLS = [
    {"name": "a", "addresses": ["10.9.0.0/24"], "labels": {"zone": "outside"}},
    {"name": "b", "addresses": ["10.9.1.0/24"]},
    {"name": "c", "addresses": ["10.9.2.0/24"]},
]


def objects(kind: str, shared: dict[str, Any] | None = None, **own: Any) -> dict[str, dict[str, Any]]:
    """The objects of a kind: name to spec."""
    found = cluster_objects(read(shared, **own))
    return {one["metadata"]["name"]: one["spec"] for one in found if one["kind"] == kind}


def advertised(**values: Any) -> dict[str, Any]:
    return {"vipcast_pools": TWO_POOLS, "vipcast_advertisements": [{"name": "default", **values}]}


def prefixes(shared: dict[str, Any], router: str = "r1") -> list[str]:
    return [one["prefix"] for one in router_intent(read(shared), router)["prefixes"]]


# -- pools and advertisements ------------------------------------------------------------------------------


def test_a_pool_with_every_option() -> None:
    allocation = {
        "priority": 5,
        "namespaces": ["shop"],
        "namespace_selectors": [{"match_labels": {"a": "b"}}],
        "service_selectors": [SELECTOR],
    }
    pool = {**TWO_POOLS[0], "auto_assign": False, "avoid_buggy_ips": True, "service_allocation": allocation}
    (made,) = (
        one for one in cluster_objects(read({"vipcast_pools": [pool]})) if one["kind"] == "IPAddressPool"
    )
    assert made["metadata"]["labels"] == {"zone": "outside"}
    assert made["spec"] == {
        "addresses": ["10.9.0.0/24"],
        "autoAssign": False,
        "avoidBuggyIPs": True,
        "serviceAllocation": {
            "priority": 5,
            "namespaces": ["shop"],
            "namespaceSelectors": [{"matchLabels": {"a": "b"}}],
            "serviceSelectors": [
                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["outside"]}]}
            ],
        },
    }


def test_pools_that_are_selected_by_labels_pass_the_routers_filter_and_no_other() -> None:
    shared = advertised(pool_selectors=[SELECTOR])
    assert prefixes(shared) == ["10.9.0.0/24"]
    assert objects("BGPAdvertisement", shared)["default"] == {
        "ipAddressPoolSelectors": [
            {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["outside"]}]}
        ],
        "peers": ["r1"],
    }


def test_pools_by_name_and_by_label_are_both_announced() -> None:
    shared = advertised(pools=["c"], ip_address_pool_selectors=[SELECTOR])
    assert prefixes(shared) == ["10.9.0.0/24", "10.9.2.0/24"]
    assert objects("BGPAdvertisement", shared)["default"]["ipAddressPools"] == ["c"]


def test_an_advertisement_with_every_option() -> None:
    shared = advertised(
        pools=["a"],
        peers=["r1"],
        node_selectors=[{"match_labels": {"kubernetes.io/hostname": "worker"}}],
        aggregation_length=26,
        aggregation_length_v6=120,
        communities=["64513:100", "large:1:2:3", "no-export"],
        labels={"made": "here"},
    )
    shared["vipcast_communities"] = {"no-export": "65535:65281"}
    assert objects("BGPAdvertisement", shared)["default"] == {
        "ipAddressPools": ["a"],
        "peers": ["r1"],
        "nodeSelectors": [{"matchLabels": {"kubernetes.io/hostname": "worker"}}],
        "aggregationLength": 26,
        "aggregationLengthV6": 120,
        "communities": ["64513:100", "large:1:2:3", "no-export"],
    }
    assert objects("Community", shared) == {
        "communities": {"communities": [{"name": "no-export", "value": "65535:65281"}]}
    }
    assert read(shared)["advertisements"][0]["nodes"] == ["worker"]


def test_a_layer_2_advertisement_with_every_option() -> None:
    preferred = {"weight": 100, "preference": {"match_labels": {"kubernetes.io/hostname": "n1"}}}
    one = {
        "name": "office",
        "pools": ["b"],
        "pool_selectors": [SELECTOR],
        "node_selectors": [{"match_labels": {"rack": "1"}}],
        "interfaces": ["eth1"],
        "service_selectors": [{"match_labels": {"tier": "front"}}],
        "preferred_node_selectors": [preferred],
    }
    shared = {"vipcast_pools": TWO_POOLS, "vipcast_l2_advertisements": [one]}
    rack = {"vipcast_node_labels": {"rack": "1"}}
    assert objects("L2Advertisement", shared, n1=rack) == {
        "office": {
            "ipAddressPools": ["b"],
            "ipAddressPoolSelectors": [
                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["outside"]}]}
            ],
            "nodeSelectors": [{"matchLabels": {"rack": "1"}}],
            "interfaces": ["eth1"],
            "serviceSelectors": [{"matchLabels": {"tier": "front"}}],
            "preferredNodeSelectors": [
                {"weight": 100, "preference": {"matchLabels": {"kubernetes.io/hostname": "n1"}}}
            ],
        }
    }
    (said,) = read(shared, n1=rack)["l2_advertisements"]
    assert (said["pools"], said["nodes"]) == (["a", "b"], ["n1"])


# -- pools of others ---------------------------------------------------------------------------------------

RANGES = {"vipcast_pools": None, "vipcast_pool_ranges": ["10.9.0.0/24", "10.9.1.0-10.9.1.9"]}


def test_pools_of_others_are_no_objects_and_routers_accept_their_ranges() -> None:
    found = read(RANGES)
    kinds = [one["kind"] for one in cluster_objects(found)]
    assert kinds == ["BGPPeer", "BGPAdvertisement"]
    (advertisement,) = [one for one in cluster_objects(found) if one["kind"] == "BGPAdvertisement"]
    assert "ipAddressPools" not in advertisement["spec"], "all pools, whatever they are called"
    assert [each["prefix"] for each in router_intent(found, "r1")["prefixes"]] == [
        "10.9.0.0/24",
        "10.9.1.0/29",
        "10.9.1.8/31",
    ]


def test_pools_of_others_are_named_and_selected_as_it_is_written() -> None:
    said = [{"name": "a", "pools": ["theirs"]}, {"name": "b", "pool_selectors": [SELECTOR]}]
    shared = {**RANGES, "vipcast_advertisements": said, L2: [{"name": "c", "pools": ["more"]}]}
    found = {one["metadata"]["name"]: one["spec"] for one in cluster_objects(read(shared))}
    assert found["a"]["ipAddressPools"] == ["theirs"]
    assert found["b"]["ipAddressPoolSelectors"] == [{"matchExpressions": SELECTOR["match_expressions"]}]
    assert "ipAddressPools" not in found["b"]
    assert found["c"]["ipAddressPools"] == ["more"]
    assert read(shared)["l2_advertisements"][0]["pools"] == RANGES["vipcast_pool_ranges"]


@pytest.mark.parametrize(
    ("shared", "words"),
    [
        (
            {"vipcast_pool_ranges": ["10.8.0.0/24"]},
            "vipcast_pool_ranges (host n1): it says that the pools are objects of somebody else's, and "
            "vipcast_pools has some; remove one [conflict]",
        ),
        (
            {"vipcast_pools": None, "vipcast_pool_ranges": []},
            "vipcast_pool_ranges (host n1): the list is empty",
        ),
        ({"vipcast_pools": None, "vipcast_pool_ranges": ["10.9.0.0/33"]}, "vipcast_pool_ranges"),
        (
            {"vipcast_pools": None, "vipcast_pool_ranges": ["10.9.0.0/24", "10.9.0.9-10.9.0.10"]},
            "no address may be in two",
        ),
        ({"vipcast_pools": None}, "vipcast_pool_ranges says in which ranges they are"),
    ],
)
def test_ranges_that_cannot_be(shared: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=re.escape(words)):
        read(shared)


def test_names_of_profiles_are_judged_with_pools_of_others_too() -> None:
    with pytest.raises(AnsibleFilterError, match="DanglingReference"):
        read(RANGES, r1={"vipcast_peer": {"bfd_profile": "gone"}})


# -- peers -------------------------------------------------------------------------------------------------


def test_a_router_says_more_of_its_peer() -> None:
    said = {
        "peer_port": 1179,
        "router_id": "10.0.0.9",
        "bfd_profile": "fast",
        "graceful_restart": True,
        "ebgp_multihop": True,
        "password_secret": {"name": "s"},
        "node_selectors": [{"match_labels": {"kubernetes.io/hostname": "n1"}}],
    }
    own = {"vipcast_peer": said, "vipcast_bgp_password": "secret"}
    shared = {"vipcast_bfd_profiles": [{"name": "fast", "receive_interval": 100}]}
    spec = objects("BGPPeer", shared, r1=own)["r1"]
    assert spec == {
        "myASN": 64513,
        "peerASN": 64512,
        "peerAddress": "10.31.254.251",
        "holdTime": "9s",
        "keepaliveTime": "3s",
        "connectTime": "5s",
        "peerPort": 1179,
        "routerID": "10.0.0.9",
        "bfdProfile": "fast",
        "enableGracefulRestart": True,
        "ebgpMultiHop": True,
        "passwordSecret": {"name": "s"},
        "nodeSelectors": [{"matchLabels": {"kubernetes.io/hostname": "n1"}}],
    }
    assert objects("BFDProfile", shared, r1=own) == {"fast": {"receiveInterval": 100}}


def test_a_router_knows_the_nodes_that_peer_with_it_and_no_other() -> None:
    selected = {"node_selectors": [{"match_labels": {"rack": "2"}}], "local_asn": 64600}
    own = {"r1": {"vipcast_peer": selected}, "n2": {"vipcast_node_labels": {"rack": "2"}}}
    intent = router_intent(read(**own), "r1")
    assert [(one["address"], one["remote_as"]) for one in intent["neighbors"]] == [("10.31.8.11", 64600)]
    assert intent["maximum_paths"] == 1


def test_a_router_has_its_end_of_what_the_peer_says() -> None:
    said = {
        "bfd_profile": "fast",
        "graceful_restart": True,
        "dual_stack_address_family": True,
        "ttl_security_hops": 2,
        "passive": True,
    }
    profile = {"name": "fast", "receive_interval": 100, "detect_multiplier": 5, "passive_mode": True}
    shared = {"vipcast_bfd_profiles": [profile, {"name": "unused"}]}
    intent = router_intent(read(shared, r1={"vipcast_peer": said}), "r1")
    first = {key: intent["neighbors"][0][key] for key in ("bfd_profile", "graceful_restart", "families")}
    assert first == {"bfd_profile": "fast", "graceful_restart": True, "families": ["ipv4", "ipv6"]}
    assert intent["neighbors"][0]["ttl_security_hops"] == 2
    assert "passive" not in intent["neighbors"][0], "nobody would dial"
    # What the nodes receive is what the router sends; and it does not wait for the first packet either.
    assert intent["bfd_profiles"] == [{"name": "fast", "transmit_interval": 100, "detect_multiplier": 5}]


def test_a_peer_several_hops_away_is_so_for_its_router_too() -> None:
    intent = router_intent(read(r1={"vipcast_peer": {"ebgp_multihop": True}}), "r1")
    assert intent["neighbors"][0]["ebgp_multihop"] == 255


def test_a_session_from_another_address_is_known_to_the_router_by_that() -> None:
    selected = {
        "source_address": "10.31.8.99",
        "node_selectors": [{"match_labels": {"kubernetes.io/hostname": "n1"}}],
    }
    intent = router_intent(read(r1={"vipcast_peer": selected}), "r1")
    assert [one["address"] for one in intent["neighbors"]] == ["10.31.8.99"]


def test_peers_that_are_no_host_have_the_clusters_number_and_timers() -> None:
    peers = [{"name": "isp", "peer_asn": 65000, "peer_address": "10.31.254.1"}]
    shared = {"vipcast_peers": peers, "vipcast_advertisements": [{"name": "x", "peers": ["isp", "r1"]}]}
    assert objects("BGPPeer", shared)["isp"] == {
        "myASN": 64513,
        "peerASN": 65000,
        "peerAddress": "10.31.254.1",
        "holdTime": "9s",
        "keepaliveTime": "3s",
        "connectTime": "5s",
    }
    assert objects("BGPAdvertisement", shared)["x"]["peers"] == ["isp", "r1"]
    assert [one["name"] for one in read(shared)["routers"]] == ["r1"]


def test_timers_of_a_peer_may_be_its_own() -> None:
    peer = {"name": "isp", "peer_asn": 65000, "peer_address": "10.31.254.1", "hold_time": 180}
    spec = objects("BGPPeer", {"vipcast_peers": [peer]})["isp"]
    assert (spec["holdTime"], spec.get("keepaliveTime"), spec["connectTime"]) == ("180s", None, "5s")


def test_a_peer_over_an_interface_is_no_host_and_no_router_has_it_as_a_neighbor() -> None:
    peer = {"name": "edge", "interface": "eth1", "dynamic_asn": "external"}
    spec = objects("BGPPeer", {"vipcast_peers": [peer]})["edge"]
    assert {key: spec.get(key) for key in ("myASN", "interface", "dynamicASN", "peerAddress", "peerASN")} == {
        "myASN": 64513,
        "interface": "eth1",
        "dynamicASN": "external",
        "peerAddress": None,
        "peerASN": None,
    }
    intent = router_intent(read({"vipcast_peers": [peer]}), "r1")
    assert "eth1" not in str(intent)


# -- without BGP -------------------------------------------------------------------------------------------


def layer_2_only() -> dict[str, Any]:
    """No router, no AS number, a pool of each family."""
    own = hostvars({"vipcast_cluster_asn": None, **pools("10.9.0.0/24", "2001:db8::/120")})
    own.pop("r1")
    return {host: {**values, "vipcast_l2_advertisements": [{"name": "all"}]} for host, values in own.items()}


def test_layer_2_alone_needs_no_router() -> None:
    groups = {"nodes": ["n1", "n2"], "clients": ["c1"]}
    found = declaration(layer_2_only(), groups)
    made = [(one["kind"], one["metadata"]["name"]) for one in cluster_objects(found)]
    assert made == [("IPAddressPool", "default"), ("L2Advertisement", "all")]
    with pytest.raises(AnsibleFilterError, match="which has no host"):
        router_intent(found, "r1")


def test_an_advertisement_by_bgp_needs_somebody_who_hears_it() -> None:
    own = {host: {**values, **advertised()} for host, values in layer_2_only().items()}
    with pytest.raises(
        AnsibleFilterError, match=r"^vipcast_advertisements .*: there is nobody to announce to"
    ):
        declaration(own, {"nodes": ["n1", "n2"], "clients": ["c1"]})


def test_peers_alone_need_no_router() -> None:
    own = {host: values for host, values in hostvars().items() if host != "r1"}
    peer = {"name": "isp", "peer_asn": 65000, "peer_address": "10.31.254.1"}
    own = {host: {**values, "vipcast_peers": [peer]} for host, values in own.items()}
    made = cluster_objects(declaration(own, {"nodes": ["n1", "n2"], "clients": ["c1"]}))
    assert [one["kind"] for one in made] == ["IPAddressPool", "BGPPeer", "BGPAdvertisement"]


def test_a_pool_that_no_session_has_to_carry_may_be_of_any_family() -> None:
    six = {"name": "six", "addresses": ["2001:db8::/120"]}
    shared = {
        "vipcast_pools": [TWO_POOLS[0], six],
        "vipcast_advertisements": [{"name": "four", "pools": ["a"]}],
        "vipcast_l2_advertisements": [{"name": "six", "pools": ["six"]}],
    }
    assert prefixes(shared) == ["10.9.0.0/24"]


# -- mistakes ----------------------------------------------------------------------------------------------

L2 = "vipcast_l2_advertisements"
MISTAKES = [
    (
        {"shared": {L2: [{"name": "a", "interface": ["eth0"]}]}},
        "vipcast_l2_advertisements[0] (host n1): no such key interface; did you mean interfaces? [unknown "
        "key]",
    ),
    (
        {"shared": {L2: [{"name": "a", "pools": ["b"]}]}},
        "vipcast_l2_advertisements[0].pools (host n1): there is no b; known are default [unknown reference]",
    ),
    (
        {"shared": {L2: [{"name": "a", "pools": ["default"], "ip_address_pools": ["default"]}]}},
        "vipcast_l2_advertisements[0].ip_address_pools (host n1): it is said twice, as ip_address_pools and "
        "as "
        "pools; remove one [duplicate]",
    ),
    (
        {"shared": {L2: [{"name": "a"}, {"name": "a"}]}},
        "vipcast_l2_advertisements (a and a): both are a; two cannot share a name [duplicate]",
    ),
    (
        {"shared": {L2: [{"name": "a", "preferred_node_selectors": [{"weight": 101, "preference": {}}]}]}},
        "vipcast_l2_advertisements[0].preferred_node_selectors[0].weight (host n1): 101 should be from 1 to "
        "100 "
        "[out of range]",
    ),
    (
        {"shared": {L2: [{"name": "a", "preferred_node_selectors": [{"weight": 1}]}]}},
        "vipcast_l2_advertisements[0].preferred_node_selectors[0] (host n1): the key preference is required "
        "[missing]",
    ),
    (
        {"shared": advertised(pool_selectors=[{"match_labels": {"zone": "nowhere"}}])},
        "vipcast_advertisements[0].pool_selectors (host n1): no pool of vipcast_pools has such labels; the "
        "key "
        "labels of a pool says which it has [unknown reference]",
    ),
    (
        {"shared": advertised(node_selectors=[{"match_labels": {"rack": "9"}}])},
        "vipcast_advertisements[0].node_selectors (host n1): no host of the group nodes has such labels; "
        "vipcast_node_labels says which one has [unknown reference]",
    ),
    (
        {"shared": advertised(node_selectors=[{"match_labels": {"rack": 9}}])},
        "vipcast_advertisements[0].node_selectors[0].match_labels.rack (host n1): it is a number 9, and "
        "should be "
        "a string; put it in quotes [wrong type]",
    ),
    (
        {"shared": advertised(node_selectors=[{"match_expressions": [{"key": "a", "operator": "in"}]}])},
        "vipcast_advertisements[0].node_selectors[0].match_expressions[0].operator (host n1): 'in' is not "
        "one of "
        "them; did you mean In? [out of range]",
    ),
    (
        {"shared": advertised(node_selectors=[{"match_expressions": [{"key": "a", "operator": "In"}]}])},
        "vipcast_advertisements[0].node_selectors (host n1): [0].matchExpressions[0].values are needed by "
        "In and "
        "NotIn [wrong type]",
    ),
    (
        {"shared": advertised(communities=["64513:99999"])},
        "vipcast_advertisements[0].communities (host n1): '64513:99999': both halves of a community are "
        "from 0 to "
        "65535 [wrong type]",
    ),
    (
        {"shared": {"vipcast_communities": {"a": 65535}}},
        "vipcast_communities.a (host n1): it is a number 65535, and should be a string; put it in quotes "
        "[wrong type]",
    ),
    (
        {"r1": {"vipcast_peer": {"hold_time": "9s"}}},
        "vipcast_peer.hold_time (host r1): a variable of its own says that, for both ends: vipcast_hold_time "
        "[unknown key]",
    ),
    (
        {"r1": {"vipcast_peer": {"interface": "eth1", "dynamic_asn": "external"}}},
        "vipcast_peer.interface (host r1): a host of the group routers has the nodes as neighbors by their "
        "addresses, and no session over an interface (unnumbered); configure that router yourself, and "
        "declare it as one of vipcast_peers, with interface and dynamic_asn, instead of as a host "
        "[unknown key]",
    ),
    (
        {"r1": {"vipcast_peer": {"bdf_profile": "fast"}}},
        "vipcast_peer (host r1): no such key bdf_profile; did you mean bfd_profile? [unknown key]",
    ),
    (
        {"r1": {"vipcast_peer": {"source_address": "10.31.8.99"}}},
        "vipcast_peer.source_address (host r1): 2 nodes would use it, and an address is one node's; select "
        "one by "
        "node_selectors [conflict]",
    ),
    (
        {"shared": {"vipcast_peers": [{"name": "r1", "peer_asn": 1, "peer_address": "10.0.0.1"}]}},
        "vipcast_peers: r1 is a host of the group routers, which makes a peer of that name [duplicate]",
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


@pytest.mark.parametrize(
    ("shared", "own", "words"),
    [
        ({}, {"r1": {"vipcast_peer": {"bfd_profile": "fast"}}}, "BFDProfile fast"),
        (
            {
                "vipcast_bfd_profiles": [{"name": "x", "minimum_ttl": 1}],
                L2: [{"name": "a", "interfaces": ["a" * 16]}],
            },
            {},
            "interfaces",
        ),
        ({"vipcast_communities": {"a:b": "1:2"}}, {}, "colon"),
        ({"vipcast_peers": [{"name": "x", "peer_address": "10.0.0.1"}]}, {}, "peerASN"),
    ],
)
def test_what_the_load_balancer_refuses_stops_too(
    shared: dict[str, Any], own: dict[str, Any], words: str
) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^the load balancer would refuse this: .*" + words):
        read(shared, **own)


# -- the role's variables ----------------------------------------------------------------------------------


def test_a_declaration_makes_the_same_objects_by_way_of_the_roles_variables() -> None:
    peers = [{"name": "isp", "peer_asn": 65000, "peer_address": "10.31.254.1", "password": "secret"}]
    found = read(
        {
            "vipcast_pools": TWO_POOLS,
            "vipcast_peers": peers,
            "vipcast_communities": {"x": "1:2"},
            "vipcast_bfd_profiles": [{"name": "fast", "echo_mode": True}],
            L2: [{"name": "all", "pool_selectors": [SELECTOR]}],
        },
        r1={"vipcast_bgp_password": "secret", "vipcast_peer": {"vrf": "red"}},
    )
    assert configuration_objects(configuration_options(found), "metallb-system") == cluster_objects(found)


def kept(peers: list[dict[str, Any]]) -> dict[str, Any]:
    lists = {
        "peers": [
            {"my_asn": 64513, "peer_asn": 65000, "peer_address": f"10.0.0.{number}", **one}
            for number, one in enumerate(peers, 1)
        ]
    }
    return configuration_secrets(lists, "lb", configuration_objects(lists, "lb"), prefix="mine_")


def test_a_password_is_in_a_secret_that_its_peer_names() -> None:
    found = kept([{"name": "isp", "password": "s3cret"}, {"name": "open"}])
    assert found["data"] == {"isp-password": {"password": "s3cret"}}
    assert found["objects"] == [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "isp-password", "namespace": "lb"},
            "type": "kubernetes.io/basic-auth",
        }
    ]


def test_a_secret_that_is_named_and_has_no_password_is_in_other_hands() -> None:
    theirs, ours = (
        {"name": "a", "password_secret": {"name": "s"}},
        {"name": "b", "password_secret": {"name": "t"}},
    )
    assert kept([theirs, {**ours, "password": "x"}])["data"] == {"t": {"password": "x"}}


def test_two_peers_share_a_secret_with_one_password_and_no_other() -> None:
    one, two = ({"name": name, "password_secret": {"name": "s"}} for name in ("a", "b"))
    assert kept([{**one, "password": "x"}, {**two, "password": "x"}])["data"] == {"s": {"password": "x"}}
    with pytest.raises(AnsibleFilterError) as refused:
        kept([{**one, "password": "hidden-one"}, {**two, "password": "hidden-two"}])
    assert str(refused.value).startswith(
        "mine_peers: peer b has another password than the one that Secret s keeps"
    )
    assert "hidden" not in str(refused.value)


def test_a_secret_that_no_peer_names_is_not_made() -> None:
    lists = {
        "peers": [{"name": "a", "my_asn": 1, "peer_asn": 2, "peer_address": "10.0.0.1", "password": "x"}]
    }
    assert configuration_secrets(lists, "lb", []) == {"objects": [], "data": {}}


def test_a_password_that_no_session_can_have_is_refused_though_no_object_shows_it() -> None:
    with pytest.raises(AnsibleFilterError, match="TCP MD5 takes at most 80"):
        kept([{"name": "a", "password": "x" * 81}])


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (
            {"pools": [{"name": "a", "adresses": []}]},
            "load_balancer_pools[0]: no such key adresses; did you mean addresses? [unknown key]",
        ),
        ({"pools": [{"name": "a"}]}, "load_balancer_pools[0]: the key addresses is required [missing]"),
        (
            {"peers": [{"name": "a", "my_asn": 0}]},
            "load_balancer_peers[0].my_asn: 0 should be from 1 to 4294967295 [out of range]",
        ),
        (
            {"bfd_profiles": [{"name": "a"}, {"name": "a"}]},
            "load_balancer_bfd_profiles: two are called a; rename one [duplicate]",
        ),
        ({"pool": []}, "the configuration: no such key pool; did you mean pools? [unknown key]"),
        (
            {"communities": [{"name": "a", "communities": [{"name": "x"}]}]},
            "load_balancer_communities[0].communities[0]: the key value is required [missing]",
        ),
    ],
)
def test_a_mistake_in_the_roles_variables_is_named(lists: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^{re.escape(message)}$"):
        configuration_objects(lists, "metallb-system", prefix="load_balancer_")


def test_names_of_objects_that_others_make_do_not_stop_the_role_and_overlaps_do() -> None:
    lists = {"bgp_advertisements": [{"name": "a", "pools": ["theirs"], "communities": ["named-elsewhere"]}]}
    assert len(configuration_objects(lists, "metallb-system")) == 1
    twice = [{"name": name, "addresses": ["10.9.0.0/24"]} for name in "ab"]
    with pytest.raises(AnsibleFilterError, match="overlaps"):
        configuration_objects({"pools": twice}, "metallb-system")
