# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role applies for the controller, judged by a real API server."""

from __future__ import annotations

import json
from typing import Any

import jinja2
import pytest
import yaml
from support.apiserver import ApiServer
from support.controllers import LEASE, NAMESPACE, ROOT, prepare, rbac, role_variables

from vipcast.controller.metrics import LEASE_NAME
from vipcast.daemon.run import CLOSE_SECONDS

pytestmark = pytest.mark.apiserver

Json = dict[str, Any]


def workload(**changed: Any) -> list[Json]:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters["to_json"] = json.dumps
    path = ROOT / "roles/load_balancer/templates/controller.yml.j2"
    inner = {"_load_balancer_image_name": "example.org/vipcast:1", "_load_balancer_metrics_secret": ""}
    variables = {**role_variables(load_balancer_image_pull_policy="IfNotPresent"), **inner, **changed}
    text = environment.from_string(path.read_text(encoding="utf-8")).render(variables)
    return [found for found in yaml.safe_load_all(text) if found]


@pytest.fixture(scope="module")
def api(api_server: ApiServer) -> ApiServer:
    return prepare(api_server)


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_the_workload_is_valid(api: ApiServer, replicas: int) -> None:
    found = workload(load_balancer_controller_replicas=replicas)
    kinds = [each["kind"] for each in found]
    assert kinds == ["Deployment", *(["PodDisruptionBudget"] if replicas > 1 else [])]
    text = "\n---\n".join(json.dumps(each) for each in found)
    api.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)


def test_it_rolls_out_on_one_node_and_has_time_to_hand_over() -> None:
    spec = workload()[0]["spec"]
    pod = spec["template"]["spec"]
    assert (spec["replicas"], spec["strategy"]["rollingUpdate"]) == (2, {"maxSurge": 1, "maxUnavailable": 0})
    # Nothing that only one pod of a node can have.
    assert "hostNetwork" not in pod and all("hostPort" not in port for port in pod["containers"][0]["ports"])
    assert list(pod["affinity"]["podAntiAffinity"]) == ["preferredDuringSchedulingIgnoredDuringExecution"]
    assert pod["terminationGracePeriodSeconds"] > CLOSE_SECONDS


def can(api: ApiServer, verb: str, what: str, *more: str) -> bool:
    user = f"--as=system:serviceaccount:{NAMESPACE}:controller"
    try:
        return (
            api.kubectl("auth", "can-i", verb, what, user, "--namespace", NAMESPACE, *more).strip() == "yes"
        )
    except RuntimeError:
        return False  # kubectl's exit status says no, too


def test_only_its_own_lease_and_state(api: ApiServer) -> None:
    assert LEASE == LEASE_NAME
    assert can(api, "patch", f"leases.coordination.k8s.io/{LEASE_NAME}")
    assert not can(api, "patch", "leases.coordination.k8s.io/other")
    assert not can(api, "delete", f"leases.coordination.k8s.io/{LEASE_NAME}")
    assert not can(api, "list", "leases.coordination.k8s.io")
    assert can(api, "patch", "configurationstates.metallb.io/controller", "--subresource=status")
    assert not can(api, "patch", "configurationstates.metallb.io/speaker-a", "--subresource=status")
    for what in ("secrets", "pods", "nodes", "services"):
        assert not can(api, "get", what) and not can(api, "patch", what)


def test_every_rule_says_which_verbs_and_none_says_all() -> None:
    rules = [rule for each in rbac() for rule in each.get("rules", [])]
    assert rules
    for rule in rules:
        assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]
