# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real API server says to objects of our kinds, and that the model says the same."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.apiserver import ApiServer

from vipcast.model.configuration import VERSIONS, parse

pytestmark = pytest.mark.apiserver

CRDS = Path(__file__).parents[3] / "roles/load_balancer/files/crds"
PEER = {"myASN": 64513, "peerASN": 64512, "peerAddress": "10.31.254.251"}
NOT_A_RANGE = "should be a prefix such as 10.9.0.0/16"


def pool(*addresses: str, **fields: object) -> dict[str, object]:
    return {"addresses": list(addresses), **fields}


def peer(**fields: object) -> dict[str, object]:
    return {**PEER, **fields}


def without(spec: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in spec.items() if name not in names}


def expression(**fields: object) -> dict[str, object]:
    return {"nodeSelectors": [{"matchExpressions": [fields]}]}


ACCEPTED = [
    ("IPAddressPool", pool("10.9.0.0/16")),
    ("IPAddressPool", pool("10.31.8.100-10.31.8.200", "10.31.9.1 - 10.31.9.1", "fc00:f853::/120")),
    ("IPAddressPool", pool("2001:db8::1-2001:db8::ffff", "0.0.0.0/0", autoAssign=False, avoidBuggyIPs=True)),
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
    ("BGPAdvertisement", {}),
    ("BGPAdvertisement", {"aggregationLength": 26, "localPref": 100, "communities": ["64512:100"]}),
    ("BGPAdvertisement", {"ipAddressPools": ["default"], "peers": ["router"]}),
    ("BGPAdvertisement", {"serviceSelectors": [{"matchLabels": {"a": "b"}}]}),
    (
        "BGPAdvertisement",
        expression(key="zone", operator="NotIn", values=["a", "b"]),
    ),
]

REFUSED = [
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
    ("BGPPeer", peer(peerPort=0), "greater than or equal to 1"),
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
    ("BGPAdvertisement", expression(key="a", operator="In"), "values are for In and NotIn"),
    ("BGPAdvertisement", expression(key="a", operator="Exists", values=["b"]), "values are for In and NotIn"),
]


def thing(kind: str, spec: dict[str, object]) -> dict[str, object]:
    return {"apiVersion": VERSIONS[kind], "kind": kind, "metadata": {"name": "case"}, "spec": spec}


@pytest.fixture(scope="module")
def api(api_server: ApiServer) -> ApiServer:
    api_server.kubectl("apply", "--filename", str(CRDS))
    api_server.kubectl("wait", "--for=condition=Established", "--timeout=30s", "--filename", str(CRDS))
    deadline = time.monotonic() + 30
    while "ipaddresspools" not in api_server.kubectl("api-resources", "--api-group=metallb.io"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return api_server


def ask(api: ApiServer, kind: str, spec: dict[str, object]) -> str | None:
    """What the API server refuses the object with, if it does; unknown fields are refused too."""
    import json

    arguments = ("create", "--dry-run=server", "--validate=strict", "--namespace=default", "--filename=-")
    try:
        api.kubectl(*arguments, stdin=json.dumps(thing(kind, spec)))
    except RuntimeError as refusal:
        return str(refusal)
    return None


@pytest.mark.parametrize(("kind", "spec"), ACCEPTED)
def test_what_is_right_is_accepted_by_the_api_server_and_by_the_model(
    api: ApiServer, kind: str, spec: dict[str, object]
) -> None:
    assert ask(api, kind, spec) is None
    assert not parse([thing(kind, spec)]).refused


@pytest.mark.parametrize(("kind", "spec", "message"), REFUSED)
def test_what_one_object_can_get_wrong_is_refused_with_our_words(
    api: ApiServer, kind: str, spec: dict[str, object], message: str
) -> None:
    refusal = ask(api, kind, spec)
    assert refusal is not None
    assert any(part in refusal for part in message.split("|")), refusal
    assert "evaluation error" not in refusal
    assert parse([thing(kind, spec)]).refused, "the model must refuse it where there are no CEL rules"


def test_an_unknown_field_is_named(api: ApiServer) -> None:
    refusal = ask(api, "IPAddressPool", pool("10.9.0.0/16", avoidBuggyIP=True))
    assert refusal is not None and 'unknown field "spec.avoidBuggyIP"' in refusal


@pytest.mark.parametrize("name", ["bgpadvertisements", "bgppeers", "ipaddresspools"])
def test_every_field_is_explained(api: ApiServer, name: str) -> None:
    explained = api.kubectl("explain", f"{name}.spec", "--recursive", "--api-version", _version(name))
    assert "FIELDS" in explained
    assert "<no description>" not in api.kubectl("explain", f"{name}.spec", "--api-version", _version(name))


def _version(plural: str) -> str:
    return next(version for kind, version in VERSIONS.items() if plural.startswith(kind.lower()))
