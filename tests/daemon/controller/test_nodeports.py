# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.apiserver import ApiServer
from support.controllers import NAMESPACE, Controller, clean, prepare, until

from vipcast.controller.nodeports import CONDITION, condition, left, release


def service(**spec: Any) -> dict[str, Any]:
    metadata = {"namespace": "default", "name": "shop", "uid": "u", "resourceVersion": "7"}
    ports = [{"port": 80, "protocol": "TCP", "nodePort": 30080, "targetPort": "web"}]
    base = {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {**base, **spec}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, (30080,)),
        ({"allocateLoadBalancerNodePorts": True}, ()),
        ({"allocateLoadBalancerNodePorts": None}, ()),
        ({"type": "NodePort"}, ()),
        ({"ports": [{"port": 80}, {"port": 81, "nodePort": 0}]}, ()),
        ({"ports": [{"port": 53, "protocol": "UDP", "nodePort": 2}, {"port": 53, "nodePort": 1}]}, (2, 1)),
        ({"ports": None, "healthCheckNodePort": 31000}, ()),
    ],
)
def test_node_ports_are_left_only_where_none_are_wanted(spec: Any, expected: tuple[int, ...]) -> None:
    item = service(**spec)
    assert left(item) == expected
    assert (condition(item) is None) is (not expected)
    assert (release(item) is None) is (not expected)


def test_the_condition_names_the_ports_and_what_to_do() -> None:
    found = condition(service())
    assert found is not None
    assert found[:2] == ("False", "NodePortsLeft")
    assert "30080" in found[2] and "spec.ports" in found[2] and "--release-node-ports" in found[2]


def test_the_patch_is_for_exactly_this_object_and_changes_nothing_but_node_ports() -> None:
    assert release(service()) == {
        "metadata": {"uid": "u", "resourceVersion": "7"},
        "spec": {"ports": [{"port": 80, "protocol": "TCP", "targetPort": "web"}]},
    }


def _get(api: ApiServer, name: str) -> dict[str, Any]:
    return dict(json.loads(api.kubectl("get", "service", name, "--output=json")))


def _patch(api: ApiServer, name: str, patch: Any) -> None:
    api.kubectl("patch", "service", name, "--type=merge", "--patch", json.dumps(patch))


@pytest.mark.apiserver
def test_the_api_server_releases_the_ports_and_keeps_everything_else(api_server: ApiServer) -> None:
    """Two protocols on one port, a health check port, and a service that was changed in between."""
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 5353},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 5353},
    ]
    spec = {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "ports": ports,
        "selector": {"app": "a"},
    }
    metadata = {"name": "released", "namespace": "default"}
    api_server.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    assert release(_get(api_server, "released")) is None, "node ports are wanted"
    _patch(api_server, "released", {"spec": {"allocateLoadBalancerNodePorts": False}})
    before = _get(api_server, "released")
    assert len(left(before)) == 2, "the API server keeps them by itself"
    _patch(api_server, "released", {"metadata": {"labels": {"changed": "since"}}})
    with pytest.raises(RuntimeError, match="modified"):
        _patch(api_server, "released", release(before))
    before = _get(api_server, "released")
    _patch(api_server, "released", release(before))
    after = _get(api_server, "released")
    assert left(after) == ()
    assert after["spec"].pop("ports") == ports
    assert after["spec"]["healthCheckNodePort"]
    before["spec"].pop("ports")
    assert after["spec"] == before["spec"]


def _conditions(api: ApiServer, name: str) -> dict[str, str]:
    return {each["type"]: each["reason"] for each in _get(api, name)["status"].get("conditions", ())}


def _events(api: ApiServer, name: str) -> list[str]:
    text = api.kubectl("get", "events", f"--field-selector=involvedObject.name={name}", "--output=json")
    return [item["reason"] for item in json.loads(text)["items"]]


@pytest.mark.apiserver
@pytest.mark.parametrize("removes", [False, True], ids=["told", "removed"])
def test_a_controller_tells_or_removes_them_with_the_rights_that_the_role_gives(
    api_server: ApiServer, tmp_path: Path, removes: bool
) -> None:
    """The controller has no right to change a service without the setting, and does not need it."""
    prepare(api_server, load_balancer_release_node_ports=removes)
    name = "removed" if removes else "told"
    pool = {"metadata": {"name": "p", "namespace": NAMESPACE}, "spec": {"addresses": ["10.0.0.0/24"]}}
    metadata = {"name": name, "namespace": "default"}
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}
    controller = Controller(api_server, tmp_path)
    try:
        api_server.apply(
            {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", **pool},
            {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec},
        )
        _patch(api_server, name, {"spec": {"allocateLoadBalancerNodePorts": False}})
        controller.start(*(["--release-node-ports"] if removes else []))
        if removes:
            until(lambda: not left(_get(api_server, name)))
            until(lambda: "NodePortsReleased" in _events(api_server, name))
            until(lambda: CONDITION not in _conditions(api_server, name))
            assert _conditions(api_server, name) == {"vipcast.io/AddressAllocated": "Allocated"}
            assert _get(api_server, name)["spec"]["healthCheckNodePort"]
            return
        until(lambda: _conditions(api_server, name).get(CONDITION) == "NodePortsLeft")
        until(lambda: "NodePortsLeft" in _events(api_server, name))
        until(controller.settled)
        assert left(_get(api_server, name))
        _patch(api_server, name, release(_get(api_server, name)))
        until(lambda: CONDITION not in _conditions(api_server, name))
    finally:
        if controller.running:
            controller.kill()
        api_server.kubectl("delete", "service", name)
        clean(api_server)


def test_of_many_ports_the_first_are_named() -> None:
    ports = [{"port": number, "nodePort": 30000 + number} for number in range(1, 1001)]
    spec = {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ports": ports}
    found = condition({"spec": spec})
    assert found is not None
    assert "30001, 30002" in found[2] and "and 992 more" in found[2] and len(found[2]) < 1024
