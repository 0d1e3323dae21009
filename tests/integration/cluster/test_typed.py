# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules for one object of the configuration: each change tried first, each twice; refusals by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from support.apiserver import ApiServer
from support.modules import ModuleServer

LABEL = "vipcast.io/set"
SELECTOR = {
    "match_labels": {"a": "b"},
    "match_expressions": [{"key": "x", "operator": "In", "values": ["1"]}],
}
SELECTOR_FIELDS = {
    "matchLabels": {"a": "b"},
    "matchExpressions": [{"key": "x", "operator": "In", "values": ["1"]}],
}

# Module, plural of its kind, options with every field, the spec that they make, a change of them.
Case = tuple[str, str, dict[str, Any], dict[str, Any], dict[str, Any]]
CASES: list[Case] = [
    (
        "ip_address_pool",
        "ipaddresspools",
        {
            "addresses": ["10.9.0.0/24", "2001:db8::1-2001:db8::9"],
            "auto_assign": False,
            "avoid_buggy_ips": True,
            "service_allocation": {
                "priority": 3,
                "namespaces": ["shop"],
                "namespace_selectors": [SELECTOR],
                "service_selectors": [SELECTOR],
            },
        },
        {
            "addresses": ["10.9.0.0/24", "2001:db8::1-2001:db8::9"],
            "autoAssign": False,
            "avoidBuggyIPs": True,
            "serviceAllocation": {
                "priority": 3,
                "namespaces": ["shop"],
                "namespaceSelectors": [SELECTOR_FIELDS],
                "serviceSelectors": [SELECTOR_FIELDS],
            },
        },
        {"auto_assign": True},
    ),
    (
        "l2_advertisement",
        "l2advertisements",
        {
            "ip_address_pools": ["a"],
            "ip_address_pool_selectors": [SELECTOR],
            "node_selectors": [SELECTOR],
            "interfaces": ["eth0"],
            "service_selectors": [SELECTOR],
            "preferred_node_selectors": [{"weight": 7, "preference": SELECTOR}],
        },
        {
            "ipAddressPools": ["a"],
            "ipAddressPoolSelectors": [SELECTOR_FIELDS],
            "nodeSelectors": [SELECTOR_FIELDS],
            "interfaces": ["eth0"],
            "serviceSelectors": [SELECTOR_FIELDS],
            "preferredNodeSelectors": [{"weight": 7, "preference": SELECTOR_FIELDS}],
        },
        {"interfaces": ["eth1"]},
    ),
    (
        "bgp_advertisement",
        "bgpadvertisements",
        {
            "ip_address_pools": ["a"],
            "ip_address_pool_selectors": [SELECTOR],
            "peers": ["r"],
            "node_selectors": [SELECTOR],
            "aggregation_length": 26,
            "aggregation_length_v6": 127,
            "local_pref": 4294967295,
            "communities": ["64513:100"],
            "weighted_by_endpoints": True,
            "med": 0,
            "as_path_prepend": 10,
        },
        {
            "ipAddressPools": ["a"],
            "ipAddressPoolSelectors": [SELECTOR_FIELDS],
            "peers": ["r"],
            "nodeSelectors": [SELECTOR_FIELDS],
            "aggregationLength": 26,
            "aggregationLengthV6": 127,
            "localPref": 4294967295,
            "communities": ["64513:100"],
            "weightedByEndpoints": True,
            "med": 0,
            "asPathPrepend": 10,
        },
        {"local_pref": 5},
    ),
    (
        "bgp_peer",
        "bgppeers",
        {
            "my_asn": 4200000000,
            "peer_asn": 64512,
            "local_asn": 64600,
            "peer_address": "10.31.0.1",
            "peer_port": 1179,
            "source_address": "10.31.0.9",
            "router_id": "10.31.0.9",
            "hold_time": "90",
            "keepalive_time": "30s",
            "connect_time": "1m30s",
            "node_selectors": [SELECTOR],
            "password_secret": {"name": "s"},
            "bfd_profile": "fast",
            "enable_graceful_restart": True,
            "graceful_restart_time": "60",
            "ttl_security_hops": 3,
            "passive": True,
            "vrf": "red",
            "dual_stack_address_family": True,
            "disable_mp": True,
        },
        {
            "myASN": 4200000000,
            "peerASN": 64512,
            "localASN": 64600,
            "peerAddress": "10.31.0.1",
            "peerPort": 1179,
            "sourceAddress": "10.31.0.9",
            "routerID": "10.31.0.9",
            "holdTime": "90s",
            "keepaliveTime": "30s",
            "connectTime": "1m30s",
            "nodeSelectors": [SELECTOR_FIELDS],
            "passwordSecret": {"name": "s"},
            "bfdProfile": "fast",
            "enableGracefulRestart": True,
            "gracefulRestartTime": "60s",
            "ttlSecurityHops": 3,
            "passive": True,
            "vrf": "red",
            "dualStackAddressFamily": True,
            "disableMP": True,
        },
        {"peer_port": 179},
    ),
    (
        "bfd_profile",
        "bfdprofiles",
        {
            "receive_interval": 100,
            "transmit_interval": 200,
            "detect_multiplier": 3,
            "echo_interval": 50,
            "echo_mode": False,
            "passive_mode": True,
            "minimum_ttl": 254,
        },
        {
            "receiveInterval": 100,
            "transmitInterval": 200,
            "detectMultiplier": 3,
            "echoInterval": 50,
            "echoMode": False,
            "passiveMode": True,
            "minimumTtl": 254,
        },
        {"detect_multiplier": 5},
    ),
    (
        "community",
        "communities",
        {"communities": [{"name": "no-export", "value": "65535:65281"}]},
        {"communities": [{"name": "no-export", "value": "65535:65281"}]},
        {"communities": [{"name": "no-export", "value": "large:64512:1:2"}]},
    ),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
POOL = {"addresses": ["10.9.0.0/24"]}


@pytest.fixture
def typed(call: Any, namespace: str) -> Callable[..., dict[str, Any]]:
    """``typed("ip_address_pool", "default", ..., check=True)`` in the test's namespace."""

    def called(module: str, name: str, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = call(module, name=name, namespace=namespace, **more)
        return found

    return called


def diff(result: dict[str, Any]) -> tuple[Any, Any]:
    """Return before and after, as they are shown."""
    return yaml.safe_load(result["diff"]["before"]), yaml.safe_load(result["diff"]["after"])


@each_case
def test_the_twelve_steps_with_every_field(typed: Any, get: Any, namespace: str, case: Case) -> None:
    module, plural, options, spec, change = case
    changed = {**options, **change}
    made = typed(module, "one", check=True, **options)
    assert made.get("changed"), made
    assert diff(made)[0] is None
    assert diff(made)[1]["spec"] == spec
    assert get(plural, "-n", namespace)["items"] == []
    assert typed(module, "one", **options)["changed"]
    assert get(plural, "one", "-n", namespace)["spec"] == spec
    version = get(plural, "one", "-n", namespace)["metadata"]["resourceVersion"]
    assert not typed(module, "one", check=True, **options)["changed"]
    again = typed(module, "one", **options)
    assert (again["changed"], again["drift"], again["object"]["spec"]) == (False, [], spec)
    assert get(plural, "one", "-n", namespace)["metadata"]["resourceVersion"] == version
    tried = typed(module, "one", check=True, **changed)
    assert tried["changed"]
    assert diff(tried)[0]["spec"] == spec
    assert diff(tried)[1]["spec"] != spec
    assert get(plural, "one", "-n", namespace)["spec"] == spec
    done = typed(module, "one", **changed)
    assert [each["what"] for each in done["drift"]] == [f"{done['object']['kind']}/{namespace}/one"]
    assert not typed(module, "one", **changed)["changed"]
    assert typed(module, "one", state="absent", check=True)["changed"]
    assert len(get(plural, "-n", namespace)["items"]) == 1
    gone = typed(module, "one", state="absent")
    assert (gone["changed"], gone["object"]) == (True, {})
    assert get(plural, "-n", namespace)["items"] == []
    assert not typed(module, "one", state="absent")["changed"]
    assert not typed(module, "one", state="absent", check=True)["changed"]


def test_an_option_that_is_no_longer_given_goes_back_to_the_default(
    typed: Any, get: Any, namespace: str
) -> None:
    typed("ip_address_pool", "p", avoid_buggy_ips=True, **POOL)
    result = typed("ip_address_pool", "p", **POOL)
    assert [(each["where"], each["found"]) for each in result["drift"]] == [("spec.avoidBuggyIPs", "true")]
    assert get("ipaddresspool", "p", "-n", namespace)["spec"]["avoidBuggyIPs"] is False


def test_the_label_of_a_set_stays_and_the_set_finds_nothing_to_do(
    typed: Any, call: Any, get: Any, namespace: str
) -> None:
    """The role and a module may have the same object, one after the other."""
    manifest = {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": {"name": "p"},
        "spec": dict(POOL),
    }
    as_set = {"name": namespace, "namespace": namespace, "objects": [manifest]}
    call("object_set", **as_set)
    assert not typed("ip_address_pool", "p", **POOL)["changed"]
    typed("ip_address_pool", "p", addresses=["10.9.1.0/24"])
    assert get("ipaddresspool", "p", "-n", namespace)["metadata"]["labels"] == {LABEL: namespace}
    back = call("object_set", **as_set)
    assert [each["where"] for each in back["drift"]] == ["spec.addresses[0]"]
    assert [each["action"] for each in back["objects"]] == ["repair"]


def test_an_object_that_a_module_made_is_in_no_set(typed: Any, get: Any, namespace: str) -> None:
    typed("ip_address_pool", "p", labels={"tier": 1}, **POOL)
    assert get("ipaddresspool", "p", "-n", namespace)["metadata"]["labels"] == {"tier": "1"}


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        ("ip_address_pool", {"addresses": ["10.9.0.9-10.9.0.1"]}, "ends before it begins"),
        ("ip_address_pool", {"addresses": ["10.9.0.0/24", "10.9.0.7/32"]}, "of the same pool"),
        ("ip_address_pool", {}, "missing: addresses"),
        ("ip_address_pool", {"addresses": [], "adresses": []}, "Unsupported parameters"),
        ("bgp_advertisement", {"aggregation_length": 33}, "should be from 1 to 32"),
        ("bgp_advertisement", {"communities": ["1:2:3"]}, "is not a community"),
        ("bgp_peer", {"peer_asn": 1, "peer_address": "10.0.0.1"}, "missing: my_asn"),
        ("bgp_peer", {"my_asn": 1, "peer_address": "10.0.0.1"}, "missing: peer_asn, dynamic_asn"),
        (
            "bgp_peer",
            {"my_asn": 1, "peer_asn": 2, "peer_address": "10.0.0.1", "hold_time": "2s"},
            "spec.holdTime is 2 s, should be",
        ),
        (
            "bgp_peer",
            {"my_asn": 1, "peer_asn": 2, "dynamic_asn": "external", "peer_address": "10.0.0.1"},
            "mutually exclusive",
        ),
    ],
)
def test_what_is_wrong_by_itself_fails_before_anything_is_written(
    typed: Any, get: Any, module: str, options: dict[str, Any], message: str
) -> None:
    for check in (True, False):
        result = typed(module, "wrong", check=check, **options)
        assert result["failed"]
        assert message in result["msg"]
    kinds = "ipaddresspools,bgppeers,bgpadvertisements"
    found = [item["metadata"]["name"] for item in get(kinds, "-A")["items"]]
    assert "wrong" not in found


def test_an_overlap_with_another_pool_is_told_and_does_not_fail(typed: Any, namespace: str) -> None:
    typed("ip_address_pool", "first", **POOL)
    result = typed("ip_address_pool", "second", addresses=["10.9.0.128/25"])
    assert result["changed"]
    (problem,) = result["problems"]
    assert (problem["object"], problem["field"]) == (f"IPAddressPool {namespace}/second", "spec.addresses")
    assert (problem["reason"], problem["effect"]) == ("OverlappingAddresses", "Refused")
    assert "IPAddressPool first" in problem["text"]
    assert problem["text"] in str(result["warnings"])
    assert typed("ip_address_pool", "second", addresses=["10.9.1.0/24"])["problems"] == []


def test_a_name_that_nothing_has_yet_is_told(typed: Any) -> None:
    result = typed("bgp_advertisement", "a", ip_address_pools=["later"])
    assert [(each["field"], each["reason"]) for each in result["problems"]] == [
        ("spec.ipAddressPools[0]", "DanglingReference")
    ]
    assert typed("ip_address_pool", "later", **POOL)["problems"] == []


def test_what_a_removal_leaves_dangling_is_told_also_before(typed: Any, namespace: str) -> None:
    typed("ip_address_pool", "p", **POOL)
    typed("bgp_advertisement", "a", ip_address_pools=["p"])
    for check in (True, False):
        result = typed("ip_address_pool", "p", state="absent", check=check)
        assert [each["object"] for each in result["problems"]] == [f"BGPAdvertisement {namespace}/a"]


def test_labels_that_others_set_count_when_an_object_is_judged(
    typed: Any, api_server: ApiServer, namespace: str
) -> None:
    typed("ip_address_pool", "p", **POOL)
    api_server.kubectl("label", "ipaddresspool", "p", "-n", namespace, "zone=outside")
    selected = {"ip_address_pool_selectors": [{"match_labels": {"zone": "outside"}}]}
    typed("bgp_advertisement", "wide", aggregation_length=24, **selected)
    result = typed("ip_address_pool", "p", addresses=["10.9.0.0/25"], labels={"tier": "1"})
    assert [(each["object"], each["reason"]) for each in result["problems"]] == [
        (f"BGPAdvertisement {namespace}/wide", "AggregationTooShort")
    ]


def test_a_password_is_never_shown(typed: Any, get: Any, namespace: str) -> None:
    peer = {"my_asn": 64513, "peer_asn": 64512, "peer_address": "10.0.0.1"}
    for password in ("first-secret", "second-secret"):
        result = typed("bgp_peer", "r", password=password, **peer)
        assert result["changed"]
        assert "first-secret" not in str(result)
        assert "second-secret" not in str(result)
    assert get("bgppeer", "r", "-n", namespace)["spec"]["password"] == "second-secret"


def test_a_field_that_somebody_else_changed_is_set_back(
    typed: Any, api_server: ApiServer, get: Any, namespace: str
) -> None:
    typed("ip_address_pool", "p", auto_assign=True, **POOL)
    patch = json.dumps({"spec": {"autoAssign": False, "avoidBuggyIPs": True}})
    api_server.kubectl("patch", "ipaddresspool", "p", "-n", namespace, "--type=merge", "-p", patch)
    result = typed("ip_address_pool", "p", auto_assign=True, **POOL)
    assert [each["where"] for each in result["drift"]] == ["spec.autoAssign"]
    assert get("ipaddresspool", "p", "-n", namespace)["spec"]["avoidBuggyIPs"] is True


def test_without_definitions_an_object_is_judged_only(modules: ModuleServer, bare: ApiServer) -> None:
    given = {"kubeconfig": str(bare.kubeconfig), "name": "p", **POOL}
    tried = modules("ip_address_pool", given, check=True)
    assert tried["changed"]
    assert "does not serve IPAddressPool of metallb.io/v1beta1 yet" in str(tried["warnings"])
    wrong = modules("ip_address_pool", {**given, "addresses": ["x"]}, check=True)
    assert "'x' is not an IPv4 or IPv6 address" in wrong["msg"]
    failed = modules("ip_address_pool", given)
    assert "the role vipcast.baremetal.load_balancer applies its definition" in failed["msg"]
    assert not modules("ip_address_pool", {**given, "state": "absent"})["changed"]
