# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what the role applies for the controller, judged by a real API server."""

from __future__ import annotations

import json
import ssl
import urllib.request
from typing import Any

import jinja2
import pytest
import yaml
from support.apiserver import ApiServer
from support.controllers import LEASE, NAMESPACE, ROOT, prepare, rbac, role_variables, until

from vipcast.controller.metrics import LEASE_NAME
from vipcast.daemon.run import CLOSE_SECONDS

pytestmark = pytest.mark.apiserver

Json = dict[str, Any]


def protection(**changed: Any) -> list[Json]:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters["to_json"] = json.dumps
    path = ROOT / "roles/load_balancer/templates/protection.yml.j2"
    text = environment.from_string(path.read_text(encoding="utf-8")).render(role_variables(**changed))
    return [found for found in yaml.safe_load_all(text) if found]


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


@pytest.mark.parametrize("policy", [True, False])
@pytest.mark.parametrize("flow", [True, False])
def test_what_protects_it_is_valid_and_can_be_left_out(api: ApiServer, policy: bool, flow: bool) -> None:
    found = protection(load_balancer_network_policy=policy, load_balancer_flow_schema=flow)
    assert [each["kind"] for each in found] == ["NetworkPolicy"] * policy + ["FlowSchema"] * flow
    if found:
        text = "\n---\n".join(json.dumps(each) for each in found)
        api.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)


def test_a_policy_lets_scrapers_in_and_nobody_to_the_probes() -> None:
    (rule,) = protection(load_balancer_flow_schema=False)[0]["spec"]["ingress"]
    assert rule == {"ports": [{"protocol": "TCP", "port": 9120}]}
    who = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    policy = protection(load_balancer_flow_schema=False, load_balancer_metrics_clients=who)[0]
    (rule,) = policy["spec"]["ingress"]
    assert rule["from"] == who
    assert policy["spec"]["podSelector"] == workload()[0]["spec"]["selector"]


def test_the_lease_is_of_another_priority_level_than_what_tenants_ask_for(api: ApiServer) -> None:
    flow = protection(load_balancer_network_policy=False)
    api.apply(*flow)
    try:
        name = flow[0]["metadata"]["name"]
        until(lambda: not _dangling(api, name))
        token = api.token(NAMESPACE, "controller")
        levels = until(lambda: _levels(api, token, name))
        assert levels["lease"] == api_uid(api, "prioritylevelconfiguration", "leader-election")
        assert levels["services"] != levels["lease"]
    finally:
        api.kubectl("delete", "flowschema", flow[0]["metadata"]["name"])


def _dangling(api: ApiServer, name: str) -> bool:
    item = json.loads(api.kubectl("get", "flowschema", name, "--output=json"))
    conditions = (item.get("status") or {}).get("conditions") or []
    return [each["status"] for each in conditions if each["type"] == "Dangling"] != ["False"]


def _levels(api: ApiServer, token: str, name: str) -> dict[str, str] | None:
    """Return the priority level that took each request; None while our schema takes nothing yet."""
    lease = (
        f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases?fieldSelector=metadata.name%3D{LEASE}"
    )
    found, schemas = {}, {}
    for what, path in (("lease", lease), ("services", "/api/v1/services?limit=1")):
        request = urllib.request.Request(api.url + path, headers={"Authorization": f"Bearer {token}"})
        context = ssl.create_default_context(cafile=str(api.certificate_authority))
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            found[what] = answer.headers["X-Kubernetes-PF-PriorityLevel-UID"]
            schemas[what] = answer.headers["X-Kubernetes-PF-FlowSchema-UID"]
    return found if schemas["lease"] == api_uid(api, "flowschema", name) else None


def api_uid(api: ApiServer, kind: str, name: str) -> str:
    return api.kubectl("get", kind, name, "--output=jsonpath={.metadata.uid}")
