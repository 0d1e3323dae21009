# SPDX-License-Identifier: GPL-3.0-or-later
"""The module cluster_info: what it reads in a real API server, and what a login may not do."""

from __future__ import annotations

from typing import Any

from support.apiserver import ApiServer


def node(name: str, address: str, pods: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "spec": {"podCIDR": pods, "podCIDRs": [pods]},
    }


def names(found: list[dict[str, str]]) -> list[str]:
    return [each["name"] for each in found]


def test_a_cluster_is_read_and_pools_are_compared_with_its_ranges(call: Any, api_server: ApiServer) -> None:
    api_server.apply(node("node1", "192.0.2.1", "10.77.0.0/24"))
    status = '{"status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}}'
    api_server.kubectl("patch", "node", "node1", "--subresource=status", "--type=merge", "-p", status)
    pools = [
        {"name": "pods", "addresses": ["10.77.0.128/25"]},
        {"name": "nodes", "addresses": ["192.0.2.0-192.0.2.9"]},
        {"name": "good", "addresses": ["198.51.100.0/24"]},
    ]
    nodes = [{"name": "node1"}, {"name": "node-1", "host": "worker"}]
    result = call("cluster_info", check=True, pools=pools, nodes=nodes)
    api_server.kubectl("delete", "node", "node1")
    assert not result["changed"]
    assert result["cluster"]["version"]["minor"] >= 23
    texts = [each["text"] for each in result["problems"]]
    assert any(
        "pool pods: 10.77.0.128/25 overlaps the pods' range 10.77.0.0/24 of node node1" in text
        for text in texts
    )
    assert any("pool nodes: 192.0.2.0-192.0.2.9 overlaps the address 192.0.2.1" in text for text in texts)
    assert any("host worker: the cluster has no node 'node-1', did you mean node1?" in text for text in texts)
    assert not any("pool good" in text for text in texts)
    assert "unknown-cni" in names(result["warnings_found"])


def test_a_pool_over_the_services_range_is_found(call: Any) -> None:
    """The range itself where the API knows it, the address of the service kubernetes where it does not."""
    cluster = call("cluster_info")["cluster"]
    address = cluster["service_addresses"][0]
    result = call("cluster_info", pools=[{"name": "bad", "addresses": [f"{address}/32"]}])
    assert set(names(result["problems"])) == {"overlapping-pool"}


def test_another_load_balancer_is_a_problem_unless_it_is_tolerated(
    call: Any, api_server: ApiServer, namespace: str
) -> None:
    labels = {"app": "x"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "speaker", "image": "quay.io/metallb/speaker:v0.14.9"}]},
    }
    api_server.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": "speaker", "namespace": namespace},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        }
    )
    assert "another-load-balancer" in names(call("cluster_info")["problems"])
    tolerant = call("cluster_info", tolerated_load_balancers=["MetalLB"])
    assert "another-load-balancer" not in names(tolerant["problems"])
    assert "another-load-balancer" in names(tolerant["warnings_found"])
    # Ours is known by the label of the set that made it.
    api_server.kubectl("label", "daemonset", "speaker", "-n", namespace, "vipcast.io/set=load-balancer")
    assert "another-load-balancer" not in names(call("cluster_info")["problems"])


def test_what_a_login_may_not_do_is_listed(call: Any, api_server: ApiServer, namespace: str) -> None:
    api_server.kubectl("create", "serviceaccount", "reader", "-n", namespace)
    api_server.kubectl(
        "create",
        "clusterrolebinding",
        namespace,
        "--clusterrole=view",
        f"--serviceaccount={namespace}:reader",
    )
    api_server.kubectl("create", "clusterrole", f"{namespace}-nodes", "--verb=list", "--resource=nodes")
    arguments = (f"--clusterrole={namespace}-nodes", f"--serviceaccount={namespace}:reader")
    api_server.kubectl("create", "clusterrolebinding", f"{namespace}-nodes", *arguments)
    kubeconfig = api_server.write_kubeconfig("reader", token=api_server.token(namespace, "reader"))
    result = call("cluster_info", kubeconfig=str(kubeconfig))
    assert "patch daemonsets.apps" in result["cluster"]["forbidden"]
    assert "list nodes" not in result["cluster"]["forbidden"]
    assert "forbidden" in names(result["problems"])
    assert "not-compared" in names(result["warnings_found"])
