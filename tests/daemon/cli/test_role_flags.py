# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the daemons understand what the role tells them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from vipcast.cli import _daemon_options, _parser
from vipcast.daemon.options import EXCLUDED_INTERFACES, Options
from vipcast.layer2.api import Settings

ROLE = Path(__file__).parents[3] / "roles/load_balancer"
WORKLOADS = ("controller", "speaker")
PODS = (*WORKLOADS, "bfd", "layer2")


def defaults() -> dict[str, Any]:
    """Return those that are values, and what the expressions among them come to in a small cluster."""
    values = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    plain = {name: value for name, value in values.items() if not str(value).startswith("{{")}
    derived = {"load_balancer_namespace": "lb", "load_balancer_image_pull_policy": "Never"}
    ours = {"_load_balancer_image_name": "vipcast:1", "_load_balancer_metrics_folder": "/etc/vipcast/metrics"}
    needs: dict[str, Any] = {
        "load_balancer_bgp_listen": False,
        "load_balancer_speaker_capabilities": [],
        "load_balancer_bfd_capabilities": [],
        "load_balancer_layer2": False,
        "load_balancer_layer2_capabilities": [],
        "_load_balancer_layer2_key_folder": "/etc/vipcast/members",
        "_load_balancer_layer2_labels": "",
        "_load_balancer_layer2_user": {"runAsNonRoot": True, "runAsUser": 65534},
        "_load_balancer_volumes": [],
        "_load_balancer_speaker_user": {"runAsNonRoot": True, "runAsUser": 65534},
        "_load_balancer_bfd_user": {"runAsNonRoot": True, "runAsUser": 65534},
    }
    return {**plain, **derived, **ours, **needs}


def pod(workload: str, **variables: object) -> dict[str, Any]:
    """The pod's specification."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(to_json=json.dumps, combine=lambda one, other: {**one, **other}, bool=bool)
    template = environment.from_string((ROLE / f"templates/{workload}.yml.j2").read_text(encoding="utf-8"))
    values = {"_load_balancer_metrics_secret": "", **defaults(), **variables}
    objects = yaml.safe_load_all(template.render(values))
    found: list[dict[str, Any]] = [
        each["spec"]["template"]["spec"] for each in objects if each["kind"] in ("Deployment", "DaemonSet")
    ]
    return found[0]


def options(spec: dict[str, Any]) -> Options:
    return _daemon_options(_parser().parse_args(spec["containers"][0]["args"]))


@pytest.mark.parametrize("workload", WORKLOADS)
def test_flags_are_understood_and_metrics_are_not_open(workload: str) -> None:
    spec = pod(workload)
    understood = options(spec)
    assert (understood.namespace, understood.metrics_address) == ("lb", ":9120")
    assert (understood.metrics_access, understood.metrics_cert_dir) == ("authorized", None)
    assert "volumes" not in spec


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_variable_reaches_its_flag(workload: str) -> None:
    given = {
        "load_balancer_class": "x.io/lb",
        "load_balancer_log_level": "debug",
        "load_balancer_health_port": 1001,
        "load_balancer_metrics_port": 1002,
        "load_balancer_metrics_access": "open",
        "load_balancer_ignore_exclude_label": True,
    }
    understood = options(pod(workload, **given))
    assert (understood.lb_class, understood.log_level) == ("x.io/lb", "debug")
    assert understood.health_address.endswith(":1001")
    assert (understood.metrics_address, understood.metrics_access) == (":1002", "open")
    assert understood.ignore_exclude_lb is (workload == "speaker")


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_secret_for_the_metrics_is_mounted_where_the_flag_says(workload: str) -> None:
    volume = {
        "name": "metrics-certificate",
        "path": "/etc/vipcast/metrics",
        "secret": {"secretName": "metrics-tls"},
    }
    given = {"_load_balancer_metrics_secret": "metrics-tls", "_load_balancer_volumes": [volume]}
    spec = pod(workload, **given)
    (mounted,), (mount,) = spec["volumes"], spec["containers"][0]["volumeMounts"]
    assert mounted == {"name": mount["name"], "secret": {"secretName": "metrics-tls"}}
    assert mount["readOnly"] is True
    assert options(spec).metrics_cert_dir == mount["mountPath"]


@pytest.mark.parametrize("workload", PODS)
def test_the_pod_can_write_nowhere_and_has_no_capability(workload: str) -> None:
    context = pod(workload)["containers"][0]["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("name", ["share_within_namespace", "release_node_ports"])
def test_what_the_controller_may_do_besides_is_off_until_it_is_said(name: str) -> None:
    assert getattr(options(pod("controller")), name) is False
    assert getattr(options(pod("controller", **{f"load_balancer_{name}": True})), name) is True


def test_the_speaker_listens_where_it_is_told_to_and_nowhere_else() -> None:
    assert options(pod("speaker")).bgp_listen is None
    assert options(pod("speaker", load_balancer_bgp_listen=True)).bgp_listen == 179


@pytest.mark.parametrize("workload", ["speaker", "bfd", "layer2"])
def test_a_capability_that_is_needed_is_the_only_one(workload: str) -> None:
    given = {f"load_balancer_{workload}_capabilities": ["NET_RAW"]}
    context = pod(workload, **given)["containers"][0]["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"], "add": ["NET_RAW"]}
    assert context["allowPrivilegeEscalation"] is False


def test_the_speaker_is_told_of_layer_2_what_the_variables_say() -> None:
    given = {
        "load_balancer_layer2": True,
        "load_balancer_layer2_profile": "fast",
        "load_balancer_layer2_port": 7000,
        "load_balancer_layer2_refresh": 0,
        "load_balancer_layer2_preempt": True,
        "load_balancer_layer2_detect_duplicates": True,
        "load_balancer_layer2_excluded_interfaces": ["lo$", "cni"],
        "load_balancer_layer2_allowed_interfaces": ["red", "br-ex$"],
        "_load_balancer_layer2_labels": "role=edge,disk=",
    }
    understood = options(pod("speaker", **given))
    assert understood.layer2 == Settings(
        profile="fast",
        port=7000,
        preempt=True,
        refresh=0.0,
        detect_duplicates=True,
        excluded_interfaces=("lo$", "cni"),
        allowed_interfaces=("red", "br-ex$"),
    )
    assert understood.layer2_key_dir == "/etc/vipcast/members"
    assert understood.layer2_node_selector == (("role", "edge"), ("disk", ""))


def test_a_speaker_without_the_flags_leaves_out_what_the_role_leaves_out() -> None:
    given = _parser().parse_args(["speaker"])
    listed = defaults()["load_balancer_layer2_excluded_interfaces"]
    assert list(given.layer2_exclude_interfaces) == listed == list(EXCLUDED_INTERFACES)


def test_bfd_understands_its_flags_and_two_of_it_can_share_a_node() -> None:
    spec = pod("bfd")
    (container,) = spec["containers"]
    given = _parser().parse_args(container["args"])
    assert (given.namespace, given.health_address) == ("lb", "127.0.0.1:17473")
    assert "ports" not in container
    assert spec["automountServiceAccountToken"] is False
    assert "cpu" not in container["resources"]["limits"]
