# SPDX-License-Identifier: GPL-3.0-or-later
"""A declaration that cannot be meant stops site.yml with a message that names it, before anything is changed.

A real API server has the lab's nodes as objects. Its hosts are this machine, and preflight only reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.apiserver import ApiServer
from support.lab import CHECKOUT, Run, tool

CRDS = CHECKOUT / "roles/load_balancer/files/crds"
NODES = {"master-8-1": "10.31.8.1", "worker-8-11": "10.31.8.11", "worker-8-12": "10.31.8.12"}
KINDS = "ipaddresspools,bgppeers.metallb.io"
Play = Callable[..., Run]


@pytest.fixture(scope="module")
def nodes(api_server: ApiServer) -> Iterator[None]:
    """The nodes that the inventory names, as the cluster has them."""
    for name, address in NODES.items():
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
        api_server.kubectl("apply", "--filename", "-", stdin=json.dumps(node))
        found = [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]
        status = json.dumps({"status": {"addresses": found}})
        api_server.kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", status)
    api_server.kubectl("apply", "--filename", str(CRDS))
    api_server.kubectl("wait", "--for=condition=Established", "--timeout=30s", "--filename", str(CRDS))
    yield
    api_server.kubectl("delete", "nodes", *NODES)


@pytest.fixture
def play(api_server: ApiServer, nodes: None, tmp_path: Path) -> Play:
    """``play(vipcast_pools=[...])``: preflight of inventories/lab, with these variables instead."""
    here = {"ansible_connection": "local", "router_vtysh_command": str(tmp_path / "no-vtysh")}
    hosts = dict.fromkeys((*NODES, "router", "client"), here)
    aside = tmp_path / "here.yml"
    aside.write_text(json.dumps({"all": {"hosts": hosts}}))

    def played(**variables: Any) -> Run:
        extra = json.dumps({"vipcast_kubeconfig": str(api_server.kubeconfig), **variables})
        sources = ("-iinventories/lab", f"-i{aside}")
        command = ("ansible-playbook", *sources, "playbooks/site.yml", "--tags", "preflight", "-e", extra)
        done = tool(*command, timeout=120)
        return Run(done.returncode, done.stdout)

    return played


def configured(api_server: ApiServer) -> list[Any]:
    """Return the pools and peers of the cluster."""
    found = json.loads(api_server.kubectl("get", KINDS, "--all-namespaces", "--output", "json"))
    return list(found["items"])


MISTAKES: dict[str, tuple[str, dict[str, Any]]] = {
    "a pool that overlaps the nodes": (
        r"10\.31\.8\.0/24.*overlap",
        {"vipcast_pools": [{"name": "default", "addresses": ["10.31.8.0/24"]}]},
    ),
    "pools that overlap each other": (
        r"other.*overlap|overlap.*other",
        {
            "vipcast_pools": [
                {"name": "default", "addresses": ["10.9.0.0/16"]},
                {"name": "other", "addresses": ["10.9.3.0-10.9.4.9"]},
            ]
        },
    ),
    "an AS number that cannot be": (r"vipcast_cluster_asn", {"vipcast_cluster_asn": 0}),
    "a variable that nobody knows": (r"vipcast_pool\b.*vipcast_pools", {"vipcast_pool": []}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_it_is_named_and_nothing_is_changed(play: Play, api_server: ApiServer, mistake: str) -> None:
    message, variables = MISTAKES[mistake]
    before = configured(api_server)
    run = play(**variables)
    assert run.returncode != 0, run.output
    assert re.search(message, run.output), run.output
    assert run.changed == {}, run.output
    assert configured(api_server) == before


def test_without_a_mistake_none_of_them_is_named(play: Play) -> None:
    run = play()
    assert [
        name for name, (message, _variables) in MISTAKES.items() if re.search(message, run.output)
    ] == [], run.output


@pytest.fixture
def graceful(api_server: ApiServer, nodes: None, namespace: str) -> str:
    """The command that deletes the BGPPeer of the router, which has what its declaration does not have."""
    spec = {"myASN": 64513, "peerASN": 64512, "peerAddress": "10.31.254.251", "enableGracefulRestart": True}
    metadata = {"name": "router", "namespace": namespace}
    peer = {"apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer", "metadata": metadata, "spec": spec}
    api_server.kubectl("apply", "--filename", "-", stdin=json.dumps(peer))
    return f"delete bgppeers.metallb.io -n {namespace} router"


def test_another_graceful_restart_is_refused_with_what_to_do_and_then_it_is_none(
    play: Play, api_server: ApiServer, graceful: str, namespace: str
) -> None:
    said = f"BGPPeer {namespace}/router: enable_graceful_restart is true in the cluster and false in"
    before = configured(api_server)
    run = play(vipcast_namespace=namespace)
    assert said in run.output and f"kubectl {graceful}; " in run.output, run.output
    assert run.changed == {} and configured(api_server) == before
    same = play(vipcast_namespace=namespace, vipcast_peer={"graceful_restart": True})
    assert said not in same.output
    api_server.kubectl(*graceful.split())
    assert said not in play(vipcast_namespace=namespace).output
