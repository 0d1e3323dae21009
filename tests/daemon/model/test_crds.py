# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a real API server says to objects of our kinds, and that the model says the same."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.apiserver import ApiServer, binaries

from vipcast.controller.conditions import configuration_state
from vipcast.k8s import resource as resources
from vipcast.model.configuration import OLD_VERSIONS, VERSIONS, parse
from vipcast.model.reasons import Reason

pytestmark = pytest.mark.apiserver

CRDS = Path(__file__).parents[3] / "roles/load_balancer/files/crds"
PEER = {"myASN": 64513, "peerASN": 64512, "peerAddress": "10.31.254.251"}
RESOURCES = {
    each.kind: each
    for each in (
        resources.IP_ADDRESS_POOLS,
        resources.BGP_PEERS,
        resources.BGP_ADVERTISEMENTS,
        resources.L2_ADVERTISEMENTS,
        resources.BFD_PROFILES,
        resources.COMMUNITIES,
    )
}
NOT_A_RANGE = "should be a prefix such as 10.9.0.0/16"


def pool(*addresses: str, **fields: Any) -> dict[str, Any]:
    return {"addresses": list(addresses), **fields}


def peer(**fields: Any) -> dict[str, Any]:
    return {**PEER, **fields}


def without(spec: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in spec.items() if name not in names}


def expression(**fields: Any) -> dict[str, Any]:
    return {"nodeSelectors": [{"matchExpressions": [fields]}]}


def unnumbered(**fields: Any) -> dict[str, Any]:
    return {"myASN": 64513, "interface": "eth0", "dynamicASN": "external", **fields}


def named(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"communities": [{"name": name, "value": value} for name, value in pairs]}


def preferred(*items: dict[str, Any]) -> dict[str, Any]:
    return {"preferredNodeSelectors": list(items)}


RACK = {"matchLabels": {"rack": "a"}}


ACCEPTED = [
    ("IPAddressPool", pool("10.9.0.0/16")),
    ("IPAddressPool", pool("10.31.8.100-10.31.8.200", "10.31.9.1 - 10.31.9.1", "fc00:f853::/120")),
    ("IPAddressPool", pool("2001:db8::1-2001:db8::ffff", "10.0.0.0/8", autoAssign=False, avoidBuggyIPs=True)),
    (
        "IPAddressPool",
        pool(
            "10.9.0.0/16",
            serviceAllocation={
                "priority": 50,
                "namespaces": ["a", "b"],
                "namespaceSelectors": [{"matchLabels": {"team": "x"}}],
                "serviceSelectors": [{"matchExpressions": [{"key": "app", "operator": "Exists"}]}],
            },
        ),
    ),
    ("BGPPeer", PEER),
    ("BGPPeer", peer(holdTime="0s", peerPort=20179, routerID="10.0.0.1", sourceAddress="10.31.8.1")),
    ("BGPPeer", peer(holdTime="9s", keepaliveTime="3s", connectTime="5s", password="secret")),
    ("BGPPeer", peer(holdTime="1m30s", passwordSecret={"name": "router"}, ebgpMultiHop=True)),
    ("BGPPeer", peer(peerAddress="2001:db8::251", sourceAddress="2001:db8::1", peerASN=4294967295)),
    ("BGPPeer", peer(nodeSelectors=[{"matchLabels": {"kubernetes.io/hostname": "node-1"}}])),
    ("BGPPeer", peer(peerPort=0)),
    ("BGPPeer", peer(peerPort=65535, bfdProfile="fast", enableGracefulRestart=True, disableMP=True)),
    ("BGPPeer", peer(localASN=64514, vrf="red", dualStackAddressFamily=True, interface="")),
    ("BGPPeer", unnumbered(ebgpMultiHop=True)),
    ("BGPPeer", peer(enableGracefulRestart=True, gracefulRestartTime="1h8m15s", passive=True)),
    ("BGPPeer", peer(peerASN=64513, ttlSecurityHops=254, ebgpMultiHop=False)),
    ("BGPPeer", unnumbered(dynamicASN="internal", peerPort=1179)),
    ("BGPPeer", peer(password="a", passwordSecret={})),
    ("BGPPeer", peer(keepaliveTime="0s")),
    ("BGPPeer", peer(keepaliveTime="1s")),
    ("BGPPeer", peer(keepaliveTime="2500ms")),
    ("BGPPeer", peer(holdTime="4500ms")),
    ("BGPAdvertisement", {}),
    ("BGPAdvertisement", {"weightedByEndpoints": True}),
    ("BGPAdvertisement", {"asPathPrepend": 10, "med": 0}),
    ("BGPAdvertisement", {"asPathPrepend": 0, "med": 4294967295}),
    ("BGPAdvertisement", {"communities": ["large:64512:1:4294967295", "0:65535"]}),
    ("L2Advertisement", {}),
    (
        "L2Advertisement",
        {"ipAddressPools": ["default"], "ipAddressPoolSelectors": [RACK], "serviceSelectors": [RACK]},
    ),
    ("L2Advertisement", {"interfaces": ["eth0", "br-lan.100"], **expression(key="zone", operator="Exists")}),
    (
        "L2Advertisement",
        preferred({"weight": 100, "preference": RACK}, {"weight": 1, "preference": {}}),
    ),
    ("BFDProfile", {}),
    (
        "BFDProfile",
        {"receiveInterval": 10, "transmitInterval": 60000, "echoInterval": 50, "detectMultiplier": 255},
    ),
    ("BFDProfile", {"detectMultiplier": 2, "minimumTtl": 1, "echoMode": True, "passiveMode": True}),
    ("Community", {}),
    ("Community", named(("no-transit", "64512:100"), ("wide", "large:4294967295:0:1"))),
    ("BGPAdvertisement", {"aggregationLength": 26, "localPref": 100, "communities": ["64512:100"]}),
    ("BGPAdvertisement", {"ipAddressPools": ["default"], "peers": ["router"]}),
    ("BGPAdvertisement", {"serviceSelectors": [{"matchLabels": {"a": "b"}}]}),
    (
        "BGPAdvertisement",
        expression(key="zone", operator="NotIn", values=["a", "b"]),
    ),
]

REFUSED = [
    ("BGPAdvertisement", {"asPathPrepend": 11}, "less than or equal to 10"),
    ("BGPAdvertisement", {"med": -1}, "greater than or equal to 0"),
    ("BGPPeer", peer(myASN=23456), "AS_TRANS"),
    ("BGPPeer", peer(peerASN=23456), "AS_TRANS"),
    ("BGPPeer", peer(localASN=23456), "AS_TRANS"),
    ("BGPPeer", peer(keepaliveTime="999ms"), "should be 0s, or 1s and more"),
    ("BGPPeer", unnumbered(sourceAddress="10.31.8.1"), "sourceAddress and interface exclude each other"),
    ("IPAddressPool", pool(), "at least 1 items"),
    ("IPAddressPool", {}, "Required value"),
    ("IPAddressPool", pool("10.9.0.1"), "a single address is 10.9.0.1/32"),
    ("IPAddressPool", pool("10.9.0.0/33"), NOT_A_RANGE),
    ("IPAddressPool", pool("fc00::/129"), NOT_A_RANGE),
    ("IPAddressPool", pool("10.9.0.256/32"), NOT_A_RANGE),
    ("IPAddressPool", pool("010.9.0.0/16"), NOT_A_RANGE),
    ("IPAddressPool", pool("10.9.0.0/255.255.0.0"), NOT_A_RANGE),
    ("IPAddressPool", pool("10.9.0.1-fc00::1"), "of one family"),
    ("IPAddressPool", pool("10.9.0.9-10.9.0.1"), "write the lower address first"),
    ("IPAddressPool", pool("9.255.255.255-9.255.255.254"), "write the lower address first"),
    ("IPAddressPool", pool("10.9.0.0/16", "10.9.0.0/16"), "repeats a value"),
    ("IPAddressPool", pool("10.9.0.0/16", serviceAllocation={"priority": -1}), "greater than or equal to 0"),
    (
        "IPAddressPool",
        pool("10.9.0.0/16", serviceAllocation={"namespaces": ["a", "a"]}),
        "repeats a value",
    ),
    ("BGPPeer", without(PEER, "myASN"), "Required value"),
    ("BGPPeer", peer(myASN=0), "greater than or equal to 1"),
    ("BGPPeer", peer(peerASN=4294967296), "less than or equal to 4294967295"),
    ("BGPPeer", without(PEER, "peerASN"), "needs peerASN or dynamicASN, and not both"),
    ("BGPPeer", peer(dynamicASN="external"), "needs peerASN or dynamicASN, and not both"),
    ("BGPPeer", without(PEER, "peerAddress"), "needs peerAddress or interface, and not both"),
    ("BGPPeer", peer(interface="eth0"), "needs peerAddress or interface, and not both"),
    ("BGPPeer", peer(peerAddress="router-1"), "should be an IPv4 or IPv6 address"),
    ("BGPPeer", peer(sourceAddress="2001:db8::1"), "should be of one family"),
    ("BGPPeer", peer(peerPort=65536), "less than or equal to 65535"),
    ("BGPPeer", peer(localASN=0), "greater than or equal to 1"),
    ("BGPPeer", unnumbered(dynamicASN="any"), "Unsupported value"),
    ("BGPPeer", unnumbered(dynamicASN="internal", ebgpMultiHop=True), "ebgpMultiHop is for eBGP"),
    ("BGPPeer", unnumbered(interface="a b"), "should be the name of an interface"),
    ("BGPPeer", unnumbered(interface="sixteen-letters-"), "may not be more than 15 bytes|15 bytes|Too long"),
    ("BGPPeer", peer(vrf="a/b"), "should be the name of an interface"),
    ("BGPPeer", peer(vrf=".."), "should be the name of an interface"),
    ("BGPPeer", peer(keepaliveTime="500ms"), "which should make 3s to 65535s"),
    ("BGPPeer", peer(keepaliveTime="6h5m"), "which should make 3s to 65535s"),
    ("BGPPeer", peer(nodeSelectors=[RACK, RACK]), "repeats a value"),
    ("BGPPeer", peer(**expression(key="a", operator="In", values=["b", "b"])), "Duplicate value"),
    ("BGPPeer", peer(holdTime="2s"), "should be 0s or from 3s to 65535s"),
    ("BGPPeer", peer(holdTime="90"), "should be a duration such as 90s or 1m30s"),
    ("BGPPeer", peer(holdTime="9s", keepaliveTime="10s"), "keepaliveTime is longer than holdTime"),
    ("BGPPeer", peer(connectTime="1500ms"), "should be whole seconds from 1s to 65535s"),
    ("BGPPeer", peer(connectTime="0s"), "should be whole seconds from 1s to 65535s"),
    ("BGPPeer", peer(routerID="2001:db8::1"), "15 bytes|IPv4 address other than 0.0.0.0"),
    ("BGPPeer", peer(routerID="0.0.0.0"), "IPv4 address other than 0.0.0.0"),
    ("BGPPeer", peer(password="a", passwordSecret={"name": "b"}), "exclude each other"),
    ("BGPPeer", peer(passwordSecret={"namespace": "x"}), "needs the name of a Secret"),
    ("BGPPeer", peer(password="x" * 81), "80 bytes|Too long"),
    ("BGPPeer", peer(peerASN=64513, ebgpMultiHop=True), "ebgpMultiHop is for eBGP"),
    ("BGPPeer", peer(**expression(key="a", operator="Is")), "Unsupported value"),
    ("BGPPeer", peer(enableGracefulRestart=True, gracefulRestartTime="4096s"), "from 1s to 4095s"),
    ("BGPPeer", peer(enableGracefulRestart=True, gracefulRestartTime="1500ms"), "from 1s to 4095s"),
    ("BGPPeer", peer(enableGracefulRestart=True, gracefulRestartTime="120"), "should be a duration"),
    ("BGPPeer", peer(gracefulRestartTime="60s"), "which is not on"),
    ("BGPPeer", peer(ttlSecurityHops=0), "greater than or equal to 1"),
    ("BGPPeer", peer(ttlSecurityHops=255), "less than or equal to 254"),
    ("BGPPeer", peer(ttlSecurityHops=1, ebgpMultiHop=True), "exclude each other"),
    ("BGPPeer", peer(passive="yes"), "Invalid value"),
    ("BGPAdvertisement", {"aggregationLength": 33}, "less than or equal to 32"),
    ("BGPAdvertisement", {"aggregationLengthV6": 129}, "less than or equal to 128"),
    ("BGPAdvertisement", {"communities": ["64512:65536"]}, "from 0 to 65535"),
    ("BGPAdvertisement", {"communities": ["1:2:3"]}, "should be 64512:100"),
    ("BGPAdvertisement", {"communities": ["large:1:2:4294967296"]}, "from 0 to 4294967295"),
    ("BGPAdvertisement", {"peers": ["a", "a"]}, "repeats a value"),
    (
        "BGPAdvertisement",
        {"aggregationLength": 24, "serviceSelectors": [{"matchLabels": {"a": "b"}}]},
        "exclude each other",
    ),
    ("BGPAdvertisement", {"communities": ["a:b"]}, "should be 64512:100"),
    ("BGPAdvertisement", {"communities": ["large:1:2"]}, "should be 64512:100"),
    ("BGPAdvertisement", {"ipAddressPoolSelectors": [RACK, RACK]}, "repeats a value"),
    ("BGPAdvertisement", {"serviceSelectors": [RACK, RACK]}, "repeats a value"),
    (
        "IPAddressPool",
        pool("10.9.0.0/16", serviceAllocation={"namespaceSelectors": [RACK, RACK]}),
        "repeats a value",
    ),
    ("L2Advertisement", {"ipAddressPools": ["a", "a"]}, "repeats a value"),
    ("L2Advertisement", {"interfaces": ["eth0", "eth0"]}, "repeats a value"),
    ("L2Advertisement", {"interfaces": ["eth 0"]}, "should be the name of an interface"),
    ("L2Advertisement", {"interfaces": [""]}, "at least 1 chars"),
    ("L2Advertisement", {"nodeSelectors": [RACK, RACK]}, "repeats a value"),
    ("L2Advertisement", expression(key="a", operator="Exists", values=["b"]), "values are for In and NotIn"),
    ("L2Advertisement", preferred({"weight": 0, "preference": RACK}), "greater than or equal to 1"),
    ("L2Advertisement", preferred({"weight": 101, "preference": RACK}), "less than or equal to 100"),
    ("L2Advertisement", preferred({"preference": RACK}), "Required value"),
    ("L2Advertisement", preferred({"weight": 1}), "Required value"),
    ("L2Advertisement", preferred(*[{"weight": 1, "preference": RACK}] * 2), "repeats a value"),
    ("BFDProfile", {"receiveInterval": 9}, "greater than or equal to 10"),
    ("BFDProfile", {"transmitInterval": 60001}, "less than or equal to 60000"),
    ("BFDProfile", {"echoInterval": 5}, "greater than or equal to 10"),
    ("BFDProfile", {"detectMultiplier": 1}, "greater than or equal to 2"),
    ("BFDProfile", {"detectMultiplier": 256}, "less than or equal to 255"),
    ("BFDProfile", {"minimumTtl": 0}, "greater than or equal to 1"),
    ("BFDProfile", {"minimumTtl": 255}, "less than or equal to 254"),
    ("Community", named(("a", "1:1"), ("a", "1:2")), "has a name twice"),
    ("Community", named(("", "1:1")), "at least 1 chars"),
    ("Community", named(("1:1", "1:1")), "should have no colon"),
    ("Community", named(("a", "b")), "should be 64512:100 or large:64512:1:2"),
    ("Community", named(("a", "65536:1")), "from 0 to 65535"),
    ("Community", named(("a", "large:1:2:4294967296")), "from 0 to 4294967295"),
    ("Community", {"communities": [{"name": "a"}]}, "Required value"),
    ("Community", {"communities": [{"value": "1:1"}]}, "Required value"),
    ("BGPAdvertisement", expression(key="a", operator="In"), "values are for In and NotIn"),
    ("BGPAdvertisement", expression(key="a", operator="Exists", values=["b"]), "values are for In and NotIn"),
]


def thing(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": VERSIONS[kind], "kind": kind, "metadata": {"name": "case"}, "spec": spec}


@pytest.fixture
def api(api_server: ApiServer) -> ApiServer:
    return api_server


class DryRun:
    """One connection to the API server, which says what it would do with an object and keeps nothing."""

    def __init__(self, api: ApiServer) -> None:
        self._connection = http.client.HTTPSConnection("127.0.0.1", api.port, timeout=30, context=api.tls())

    def refusal(self, kind: str, spec: dict[str, Any]) -> str | None:
        """The words with which it refuses an object, if it does; unknown fields are refused too."""
        path = RESOURCES[kind].path("default")
        body = json.dumps(thing(kind, spec))
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", f"{path}?dryRun=All&fieldValidation=Strict", body, headers)
        answer = self._connection.getresponse()
        said = json.load(answer)
        return None if answer.status == HTTPStatus.CREATED else str(said["message"])

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def dry_run(api_server: ApiServer) -> Iterator[DryRun]:
    made = DryRun(api_server)
    yield made
    made.close()


def test_a_dry_run_keeps_nothing(api: ApiServer, dry_run: DryRun) -> None:
    assert dry_run.refusal("IPAddressPool", pool("10.9.0.0/16")) is None
    assert get(api, "ipaddresspools")["items"] == []


@pytest.mark.parametrize(("kind", "spec"), ACCEPTED)
def test_what_is_right_is_accepted_by_the_api_server_and_by_the_model(
    dry_run: DryRun, kind: str, spec: dict[str, Any]
) -> None:
    assert dry_run.refusal(kind, spec) is None
    assert not parse([thing(kind, spec)]).refused


@pytest.mark.parametrize(("kind", "spec", "message"), REFUSED)
def test_what_one_object_can_get_wrong_is_refused_with_our_words(
    dry_run: DryRun, kind: str, spec: dict[str, Any], message: str
) -> None:
    refusal = dry_run.refusal(kind, spec)
    assert refusal is not None
    assert any(part in refusal for part in message.split("|")), refusal
    assert "evaluation error" not in refusal
    assert parse([thing(kind, spec)]).refused, "the model must refuse it where there are no CEL rules"


def test_an_unknown_field_is_named(dry_run: DryRun) -> None:
    refusal = dry_run.refusal("IPAddressPool", pool("10.9.0.0/16", avoidBuggyIP=True))
    assert refusal is not None and 'unknown field "spec.avoidBuggyIP"' in refusal


PLURALS = [
    "bfdprofiles",
    "bgpadvertisements",
    "bgppeers",
    "communities",
    "ipaddresspools",
    "l2advertisements",
]


@pytest.mark.parametrize("name", PLURALS)
def test_every_field_is_explained(api: ApiServer, name: str) -> None:
    explained = api.kubectl("explain", f"{name}.spec", "--recursive", "--api-version", _version(name))
    assert "FIELDS" in explained
    assert "<no description>" not in api.kubectl("explain", f"{name}.spec", "--api-version", _version(name))


def _version(plural: str) -> str:
    kinds = {"communities": "Community", "bfdprofiles": "BFDProfile"}
    found = kinds.get(plural) or next(kind for kind in VERSIONS if plural.startswith(kind.lower()))
    return VERSIONS[found]


def undescribed(schema: dict[str, Any], path: str) -> Iterator[str]:
    """The fields of a schema that nobody has said a word on."""
    for name, field in (schema.get("properties") or {}).items():
        if "description" not in field and path:
            yield f"{path}.{name}"
        yield from undescribed(field, f"{path}.{name}")
    if "items" in schema:
        yield from undescribed(schema["items"], f"{path}[]")


@pytest.mark.parametrize("file", sorted(CRDS.glob("*.yml")), ids=lambda path: path.stem)
def test_every_field_down_to_the_last_has_a_description(file: Path) -> None:
    for version in yaml.safe_load(file.read_text())["spec"]["versions"]:
        properties = version["schema"]["openAPIV3Schema"]["properties"]
        for part in ("spec", "status"):
            assert list(undescribed(properties.get(part, {}), part)) == []


def create(api: ApiServer, item: dict[str, Any], *, verb: str = "create") -> None:
    api.kubectl(verb, "--namespace=default", "--filename=-", stdin=json.dumps(item))


def get(api: ApiServer, what: str, *arguments: str) -> Any:
    return json.loads(api.kubectl("get", what, *arguments, "--namespace=default", "--output=json"))


def test_a_peer_is_one_object_in_both_versions(api: ApiServer) -> None:
    old = thing("BGPPeer", peer(peerPort=0, nodeSelectors=[RACK], holdTime="9s", bfdProfile="fast"))
    create(api, {**old, "apiVersion": OLD_VERSIONS["BGPPeer"], "metadata": {"name": "old"}})
    first = get(api, "bgppeers.v1beta1.metallb.io", "old")
    second = get(api, "bgppeers.v1beta2.metallb.io", "old")
    assert (first["apiVersion"], second["apiVersion"]) == ("metallb.io/v1beta1", "metallb.io/v1beta2")
    assert first["spec"] == second["spec"] and first["metadata"]["uid"] == second["metadata"]["uid"]
    found = parse([first, second])
    assert not found.refused
    assert [(each.name, each.port, each.timers.hold) for each in found.peers] == [("old", 179, 9.0)]
    api.kubectl(
        *("patch", "bgppeers.v1beta2.metallb.io", "old", "--namespace=default", "--subresource=status"),
        *("--type=merge", '--patch={"status": {"inForce": {"myASN": 1, "nodeSelectors": [{}]}}}'),
    )
    assert get(api, "bgppeers.v1beta1.metallb.io", "old")["status"]["inForce"]["nodeSelectors"] == [{}]


def test_the_old_version_warns(api: ApiServer, tmp_path: Path) -> None:
    command = [str(binaries() / "kubectl"), "get", "bgppeers.v1beta1.metallb.io"]
    environment = {"KUBECONFIG": str(api.kubeconfig), "HOME": str(tmp_path)}  # HOME: kubectl's cache
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
    assert "write metallb.io/v1beta2, it has the same fields" in told


def test_graceful_restart_can_not_be_changed(api: ApiServer) -> None:
    for name, before, after in (("on", None, True), ("off", True, False)):
        spec = peer() if before is None else peer(enableGracefulRestart=before)
        create(api, {**thing("BGPPeer", spec), "metadata": {"name": name}})
        known = parse([get(api, "bgppeers", name)])
        changed = {**thing("BGPPeer", peer(enableGracefulRestart=after)), "metadata": {"name": name}}
        with pytest.raises(RuntimeError, match="enableGracefulRestart can not be changed"):
            create(api, changed, verb="apply")
        changed["metadata"]["namespace"] = "default"
        found = parse([changed], previous=known)
        assert [each.reason for each in found.refused] == [Reason.IMMUTABLE_FIELD]
        assert found.peers == known.peers


def test_a_configuration_state_takes_what_the_controller_says(api: ApiServer) -> None:
    state = configuration_state(parse([thing("IPAddressPool", pool("bad"))]), {}, "2026-01-02T03:04:05Z")
    item = {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "ConfigurationState",
        "metadata": {"name": "controller"},
    }
    create(api, item)
    api.kubectl(
        *("patch", "configurationstates", "controller", "--namespace=default", "--subresource=status"),
        *("--type=merge", "--patch", json.dumps({"status": state})),
    )
    assert get(api, "configurationstates", "controller")["status"] == state
    assert "Invalid" in api.kubectl("get", "configurationstates", "--namespace=default")
