# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what roles left as facts, gathered; what they did not leave is an error and no silence."""

from __future__ import annotations

from typing import Any

from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.drift import gather

GROUPS = {"nodes": ["n1"], "routers": ["r1"]}


def entry(what: str, where: str) -> dict[str, str]:
    return {"what": what, "where": where, "expected": "a", "found": "b"}


def facts(**changes: dict[str, Any]) -> dict[str, Any]:
    """Everything was compared and nothing differs, but for the changes."""
    clean: dict[str, dict[str, Any]] = {
        "localhost": {"kube_proxy_drift": [], "load_balancer_drift": []},
        "n1": {"load_balancer_drift": []},
        "r1": {"router_drift": []},
    }
    return {host: {**values, **changes.get(host, {})} for host, values in clean.items()}


def test_no_drift_is_said_in_words() -> None:
    assert gather(facts(), GROUPS) == {"drift": [], "errors": [], "lines": ["no drift"]}


def test_each_difference_is_one_line_that_begins_with_its_place() -> None:
    found = gather(
        facts(
            localhost={"kube_proxy_drift": [entry("ConfigMap/kube-system/kube-proxy", "ipvs.strictARP")]},
            r1={"router_drift": [entry("neighbor 10.31.8.1", "router bgp 64512")]},
            n1={"load_balancer_drift": [entry("image", "n1")]},
        ),
        GROUPS,
    )
    assert found["lines"] == [
        "ConfigMap/kube-system/kube-proxy: ipvs.strictARP: expected a, found b",
        "r1, router bgp 64512: neighbor 10.31.8.1: expected a, found b",
        "n1: image: expected a, found b",
    ]
    assert [(one["host"], one["role"]) for one in found["drift"]] == [
        ("localhost", "kube_proxy"),
        ("r1", "router"),
        ("n1", "load_balancer"),
    ]


def test_a_host_that_left_nothing_was_not_reached() -> None:
    left = facts()
    left["r1"] = {}
    found = gather(left, GROUPS)
    assert found["errors"] == [{"host": "r1", "role": "router", "message": "the host was not reached"}]
    assert found["lines"] == ["r1: role router: NOT COMPARED: the host was not reached"]


def test_a_role_that_failed_is_told_once_with_its_message() -> None:
    failed = {"_drift_errors": [{"role": "kube_proxy", "message": "no such file"}]}
    left = facts(localhost=failed)
    del left["localhost"]["kube_proxy_drift"]
    assert gather(left, GROUPS)["errors"] == [
        {"host": "localhost", "role": "kube_proxy", "message": "no such file"}
    ]


def test_a_node_with_an_image_from_a_registry_has_nothing_to_leave_but_was_compared() -> None:
    left = facts(n1={"_drift_compared": True})
    del left["n1"]["load_balancer_drift"]
    assert gather(left, GROUPS)["errors"] == []
