# SPDX-License-Identifier: GPL-3.0-or-later
"""The role load_balancer says what a change of the pools moves, before it is applied."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.cluster.role_run import REFUSE, Run, play
from support.apiserver import ApiServer

Json = dict[str, Any]


Configure = Callable[..., Run]


@pytest.fixture
def shop(api_server: ApiServer, namespace: str) -> Iterator[str]:
    yield namespace
    api_server.kubectl("delete", "services,ipaddresspools.metallb.io", "--all", "--namespace", namespace)


@pytest.fixture
def configure(api_server: ApiServer, shop: str, tmp_path: Path) -> Configure:
    """``configure("10.9.0.0/24", check=...)``: the role with one pool of these addresses."""

    def run(*addresses: str, check: bool = False, **variables: Any) -> Run:
        given = {
            "ansible_python_interpreter": sys.executable,
            "load_balancer_kubeconfig": str(api_server.kubeconfig),
            "load_balancer_context": "",
            "load_balancer_namespace": shop,
            "load_balancer_class": f"vipcast.test/{shop}",
            "load_balancer_objects": [pool("one", *addresses)],
            **variables,
        }
        role = {"name": "vipcast.baremetal.load_balancer", "tasks_from": "configure"}
        task = {"name": "Configure", "ansible.builtin.include_role": role}
        written = {"hosts": "localhost", "gather_facts": False, "vars": given, "tasks": [task]}
        path = tmp_path / "play.yml"
        path.write_text(json.dumps([written]))
        return play(path, check)

    return run


def pool(name: str, *addresses: str) -> Json:
    spec = {"addresses": list(addresses)}
    return {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": {"name": name},
        "spec": spec,
    }


def serve(api: ApiServer, namespace: str, address: str) -> None:
    """A service that has this address, as if the controller had given it."""
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}], "loadBalancerClass": f"vipcast.test/{namespace}"}
    metadata = {"name": "web", "namespace": namespace}
    api.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    status = {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}
    where = ("--namespace", namespace, "--subresource=status", "--type=merge")
    api.kubectl("patch", "service", "web", *where, "--patch", json.dumps(status))


def addresses(get: Any, namespace: str) -> list[str]:
    return list(get("ipaddresspool.metallb.io", "one", "-n", namespace)["spec"]["addresses"])


def test_a_pool_that_moves_services_is_told_before_and_refused_if_it_must_not(
    configure: Configure, api_server: ApiServer, get: Any, shop: str
) -> None:
    first = configure("10.9.0.0/24")
    assert (first.rc, first.changed, first.story) == (0, 1, [])
    serve(api_server, shop, "10.9.0.7")
    second = configure("10.9.0.0/24")
    assert (second.rc, second.changed, second.story) == (0, 0, [])

    tried = configure("10.9.0.0/30", check=True, load_balancer_allow_moves=False)
    assert (tried.rc, tried.changed) == (0, 1)
    assert tried.story[0].startswith(f"{shop}/web: 10.9.0.7 -> 10.9.0.0: 10.9.0.7 is in no pool")
    assert addresses(get, shop) == ["10.9.0.0/24"]

    refused = configure("10.9.0.0/30", load_balancer_allow_moves=False)
    assert refused.rc == 2
    assert refused.story == tried.story
    assert "load_balancer_allow_moves" in refused.task(REFUSE)
    assert addresses(get, shop) == ["10.9.0.0/24"]

    done = configure("10.9.0.0/30")
    assert (done.rc, done.changed, done.story) == (0, 1, tried.story)
    assert addresses(get, shop) == ["10.9.0.0/30"]

    serve(api_server, shop, "10.9.0.0")  # no controller runs here: it would move the service now
    harmless = configure("10.9.0.0/29", check=True, load_balancer_allow_moves=False)
    assert (harmless.rc, harmless.changed, harmless.story) == (0, 1, [])

    none = configure(load_balancer_objects=[], load_balancer_allow_moves=False)
    assert (none.rc, none.changed, none.story) == (0, 0, []), (
        "pools are somebody else's affair then, and stay"
    )
    assert addresses(get, shop) == ["10.9.0.0/30"]
