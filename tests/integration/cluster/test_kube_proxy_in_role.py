# SPDX-License-Identifier: GPL-3.0-or-later
"""The role kube_proxy: its variables reach the configuration that kubeadm keeps in kube-system."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.cluster.kube_proxy_objects import CONFIGURATION, LABELS
from integration.cluster.role_run import Run, play
from support.apiserver import ApiServer

PLACE = ("--namespace", "kube-system")
Configure = Callable[..., Run]


@pytest.fixture
def kube_proxy(api_server: ApiServer) -> Iterator[None]:
    """kube-proxy as kubeadm lays it out; nobody runs it, and its pods are as new as can be."""
    metadata = {"name": "kube-proxy", "namespace": "kube-system"}
    container = {"name": "kube-proxy", "image": "localhost/kube-proxy:1"}
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": LABELS}, "template": template}
    data = {"config.conf": CONFIGURATION}
    api_server.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data},
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec},
    )
    counts = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")
    status = json.dumps({"status": {**dict.fromkeys(counts, 0), "observedGeneration": 99}})
    api_server.kubectl(
        "patch", "daemonset", "kube-proxy", *PLACE, "--subresource=status", "--type=merge", "-p", status
    )
    yield
    api_server.kubectl("delete", *PLACE, "configmap/kube-proxy", "daemonset/kube-proxy")


@pytest.fixture
def configure(api_server: ApiServer, kube_proxy: None, tmp_path: Path) -> Configure:
    """``configure(check=..., variable=...)``: a run of the role."""

    def run(*, check: bool = False, **variables: Any) -> Run:
        given = {
            "ansible_python_interpreter": sys.executable,
            "kube_proxy_kubeconfig": str(api_server.kubeconfig),
            "kube_proxy_context": "",
            "kube_proxy_timeout": 30,
            "kube_proxy_layer2": True,
            **variables,
        }
        tasks = [
            {"ansible.builtin.include_role": {"name": "vipcast.baremetal.kube_proxy"}},
            {"ansible.builtin.debug": {"msg": "{{ kube_proxy_drift | map(attribute='where') | join(';') }}"}},
        ]
        path = tmp_path / "play.yml"
        path.write_text(
            json.dumps([{"hosts": "localhost", "gather_facts": False, "vars": given, "tasks": tasks}])
        )
        return play(path, check)

    return run


def configuration(api: ApiServer) -> dict[str, Any]:
    found = json.loads(api.kubectl("get", "configmap", "kube-proxy", *PLACE, "-o", "json"))
    return dict(yaml.safe_load(found["data"]["config.conf"]))


def test_mode_and_settings_are_tried_set_and_kept(configure: Configure, api_server: ApiServer) -> None:
    said = {"kube_proxy_mode": "nftables", "kube_proxy_settings": {"ipvs": {"scheduler": "rr"}}}
    before = configuration(api_server)
    tried = configure(check=True, **said)
    assert (tried.rc, tried.changed) == (0, 1), tried.output
    assert configuration(api_server) == before

    done = configure(**said)
    assert (done.rc, done.changed) == (0, 1), done.output
    assert "config.conf mode" in done.output
    assert "config.conf ipvs.scheduler" in done.output
    expected = {
        **before,
        "mode": "nftables",
        "ipvs": {**before["ipvs"], "scheduler": "rr"},
    }
    assert configuration(api_server) == expected
    assert configure(**said).changed == 0


@pytest.mark.parametrize(
    ("said", "strict"),
    [
        ({"kube_proxy_mode": "ipvs"}, True),
        # In this mode there is no interface with the services' addresses.
        ({"kube_proxy_mode": "iptables"}, False),
        ({"kube_proxy_mode": "nftables"}, False),
        # Nobody asks for the addresses by ARP.
        ({"kube_proxy_mode": "ipvs", "kube_proxy_layer2": False}, False),
        ({"kube_proxy_mode": "iptables", "kube_proxy_strict_arp": True}, True),
        ({"kube_proxy_mode": "iptables", "kube_proxy_layer2": False, "kube_proxy_strict_arp": "true"}, True),
    ],
)
def test_strict_arp_is_set_where_it_has_an_effect_and_where_it_is_asked_for(
    configure: Configure, api_server: ApiServer, said: dict[str, Any], strict: bool
) -> None:
    before = configuration(api_server)
    assert before["ipvs"]["strictARP"] is False
    done = configure(**said)
    assert done.rc == 0, done.output
    expected = {**before, "mode": said["kube_proxy_mode"], "ipvs": {**before["ipvs"], "strictARP": strict}}
    assert configuration(api_server) == expected


def test_with_bgp_alone_nothing_is_changed_in_ipvs_mode_either(
    configure: Configure, api_server: ApiServer
) -> None:
    """A change would replace the pods of every node."""
    before = api_server.kubectl(
        "get", "daemonset", "kube-proxy", *PLACE, "-o", "jsonpath={.metadata.generation}"
    )
    done = configure(kube_proxy_layer2=False)
    assert (done.rc, done.changed) == (0, 0), done.output
    assert configuration(api_server)["ipvs"]["strictARP"] is False
    now = api_server.kubectl(
        "get", "daemonset", "kube-proxy", *PLACE, "-o", "jsonpath={.metadata.generation}"
    )
    assert now == before
