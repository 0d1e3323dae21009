# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast status --cluster`: what several speakers wrote, asked for with a user's own kubeconfig."""

from __future__ import annotations

import asyncio
import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from daemon.speaker.cluster import Cluster, Speaker
from daemon.speaker.cluster_status import PROGRAM, ask
from daemon.speaker.reports import Reports, no_trouble_of, services_are, session_is
from daemon.speaker.router import Router
from support.ports import free_port
from support.waiting import eventually

from vipcast.k8s.resource import BGP_SESSION_STATES, NODES, SERVICE_BGP_STATUSES

pytestmark = pytest.mark.apiserver


def rows(text: str, first: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.startswith(first)]


async def node(cluster: Cluster, suffix: str, *, ready: bool) -> Cluster:
    """The same corner of the cluster, seen from another node."""
    other = copy.copy(cluster)
    other.node = f"{cluster.node}-{suffix}"
    await cluster.apply("Node", other.node)
    conditions = [{"type": "Ready", "status": str(ready)}]
    await cluster.client.patch(
        NODES.path(name=other.node, subresource="status"), {"status": {"conditions": conditions}}
    )
    return other


async def test_two_nodes_are_one_table_with_what_is_wrong_below(cluster: Cluster, router: Router) -> None:
    kubeconfig = await cluster.prepare()
    second, third = await node(cluster, "b", ready=False), await node(cluster, "c", ready=True)
    reports = Reports(cluster)
    await cluster.configure(tor=router.port)
    await cluster.peer("gone", free_port(), nodeSelectors=[{"matchLabels": {"rack": "b"}}])
    await cluster.apply("Node", second.node, labels={"rack": "b"})
    await cluster.service("web", "10.9.0.1")
    await cluster.endpoints("web", "elsewhere")
    await cluster.service("local", "10.9.0.2", externalTrafficPolicy="Local")
    await cluster.endpoints("local", second.node)
    await cluster.service("idle", "10.9.0.3")
    await cluster.service("nowhere", "10.9.0.4", externalTrafficPolicy="Local")
    await cluster.endpoints("nowhere", "elsewhere")
    async with Speaker(cluster, kubeconfig) as one, Speaker(second, kubeconfig) as two:
        await eventually(session_is_on(reports, cluster.node))
        await eventually(session_is_on(reports, second.node))
        await eventually(services_are_told_on(reports, cluster.node, "web", "idle"))
        await eventually(services_are_told_on(reports, second.node, "web", "idle", "local"))
        await eventually(lambda: no_trouble_of(one))
        await eventually(lambda: no_trouble_of(two))
        shown = await ask(cluster)
        found = json.loads((await ask(cluster, "--output", "json", "--node", second.node)).stdout)
        wide = (await ask(cluster, "--output", "wide")).stdout
    text = shown.stdout
    assert shown.returncode == 0, shown.stderr
    (first,) = rows(text, f"{cluster.node} ")
    assert first[1:6] == ["tor", "64513", "64512", "127.0.0.1", "port"]
    assert first[7] == "Established"
    assert [row[1] for row in rows(text, f"{second.node} ")] == ["gone", "tor"]
    assert f"  {second.node} gone: cannot connect" in text
    (web,) = rows(text, f"{cluster.name}/web")
    assert web[1:7] == ["10.9.0.1", "yes", f"{cluster.node},", second.node, "to", "tor;"]
    (local,) = rows(text, f"{cluster.name}/local")
    assert local[1:6] == ["10.9.0.2", "yes", second.node, "to", "tor;"]
    assert local[6:] == [second.node, "waits", "for", "gone"]
    (idle,) = rows(text, f"{cluster.name}/idle")
    assert (
        idle[1:5] == ["10.9.0.3", "no", f"{cluster.node},", f"{second.node}:"] and idle[5] == "noEndpoints:"
    )
    (nowhere,) = rows(text, f"{cluster.name}/nowhere")
    assert nowhere[1:5] == ["10.9.0.4", "no", "externalTrafficPolicy", "is"]
    assert f"{second.node}: the node is not ready" in text
    assert f"{third.node}: no speaker tells of a session" in text
    assert {each["node"] for each in found["sessions"]} == {second.node}
    assert [each["name"] for each in found["nodes"]] == [second.node]
    assert "  timers:           hold 9 s, keepalive 3 s" in wide


def session_is_on(reports: Reports, name: str) -> Any:
    async def question() -> bool:
        items = [item["status"] for item in await reports.items(BGP_SESSION_STATES)]
        return any(each["node"] == name and each["bgpStatus"] == "Established" for each in items)

    return question


def services_are_told_on(reports: Reports, node: str, *names: str) -> Any:
    async def question() -> bool:
        items = [item["status"] for item in await reports.items(SERVICE_BGP_STATUSES)]
        return {each["serviceName"] for each in items if each["node"] == node} == set(names)

    return question


async def test_who_may_not_read_is_told_so(cluster: Cluster) -> None:
    await cluster.prepare()
    manifest = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "x", "namespace": cluster.name},
    }
    await asyncio.to_thread(cluster.api.apply, manifest)
    token = await asyncio.to_thread(cluster.api.token, cluster.name, "x")
    kubeconfig = cluster.api.write_kubeconfig(f"x-{cluster.name}", token=token)
    done = await ask(cluster, kubeconfig=kubeconfig)
    assert done.returncode == 2 and "bgpsessionstates" in done.stderr and "forbidden" in done.stderr


async def test_a_speakers_own_rights_are_enough(cluster: Cluster, router: Router) -> None:
    """Ask with the credentials that a pod has."""
    kubeconfig = await cluster.prepare()
    await cluster.configure(tor=router.port)
    reports = Reports(cluster)
    await cluster.service("web", "10.9.0.1")
    await cluster.endpoints("web", "elsewhere")
    async with Speaker(cluster, kubeconfig):
        await eventually(session_is(reports, bgpStatus="Established"))
        kind, labels = SERVICE_BGP_STATUSES, {"metallb.io/node": cluster.node}
        status = {"node": cluster.node, "serviceName": "old", "serviceNamespace": "theirs", "peers": ["x"]}
        metadata = {"name": "bgp-x7k2p", "labels": labels}
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "status": status}
        await cluster.client.create(kind.path(cluster.name), body)  # as MetalLB's speakers write it
        await eventually(services_are(reports, "web", "old"))
        done = await ask(cluster, kubeconfig=kubeconfig)
    assert done.returncode == 0, done.stderr
    assert rows(done.stdout, f"{cluster.name}/web") and "theirs/old" not in done.stdout


async def test_no_way_to_the_cluster_is_2_and_says_why(cluster: Cluster, tmp_path: Path) -> None:
    done = await ask(cluster, kubeconfig=tmp_path / "none")
    assert done.returncode == 2 and "no way to the API server" in done.stderr and "none" in done.stderr


def test_the_node_of_one_daemon_is_not_asked_for() -> None:
    done = subprocess.run([*PROGRAM, "status", "--node", "a"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--cluster" in done.stderr
