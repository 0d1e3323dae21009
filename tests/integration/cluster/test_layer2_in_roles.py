# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles verify and preflight ask a segment: a real API server, nodes and a client in namespaces.

No speaker runs. The nodes' kernels answer: as speakers do, or all of them, as in IPVS mode without strictARP.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.namespaces import named
from support import processes
from support.apiserver import ApiServer

ROOT = Path(__file__).parents[3]
SWITCH, OWNER, OTHER, CLIENT = (named(name) for name in ("sw", "n1", "n2", "c"))
MACS = {OWNER: "02:00:00:00:01:11", OTHER: "02:00:00:00:01:12", CLIENT: "02:00:00:00:01:13"}
ADDRESSES = ("198.51.100.100", "2001:db8:5::100")
SERVICE = "l2web"
SINCE = "2026-01-02T12:00:00Z"
NODE_INFO = dict.fromkeys(
    (
        *("machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion"),
        *("kubeletVersion", "kubeProxyVersion", "operatingSystem", "architecture"),
    ),
    "",
)
Json = dict[str, Any]
Play = Callable[..., "subprocess.CompletedProcess[str]"]
Verify = Callable[..., Json]


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def hold(host: str, address: str, *, verb: str = "add") -> None:
    """A host's kernel answers for the address from now on, or not any more."""
    length, nodad = (128, ["nodad"]) if ":" in address else (32, [])
    run("ip", "-n", host, "address", verb, f"{address}/{length}", "dev", "eth0", *nodad)


@pytest.fixture(scope="module")
def segment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Three hosts on a bridge; the first has the addresses, and a web server."""
    try:
        _segment()
        server = _web_server(tmp_path_factory.mktemp("web"))
        yield
        processes.stop(server, kill=True)
    finally:
        _remove()


def _segment() -> None:
    run("ip", "netns", "add", SWITCH)
    run("ip", "-n", SWITCH, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
    run("ip", "-n", SWITCH, "link", "set", "br0", "up")
    for number, (host, mac) in enumerate(MACS.items()):
        run("ip", "netns", "add", host)
        peer = ["peer", "name", f"port{number}", "netns", SWITCH]
        run("ip", "-n", host, "link", "add", "eth0", "address", mac, "type", "veth", *peer)
        run("ip", "-n", SWITCH, "link", "set", f"port{number}", "master", "br0", "up")
        for name in ("lo", "eth0"):
            run("ip", "-n", host, "link", "set", name, "up")
        for own in (f"198.51.100.1{number}/24", f"2001:db8:5::1{number}/64"):
            nodad = ["nodad"] if ":" in own else []
            run("ip", "-n", host, "address", "add", own, "dev", "eth0", *nodad)
    for address in ADDRESSES:
        hold(OWNER, address)


def _web_server(folder: Path) -> subprocess.Popen[bytes]:
    serve = [sys.executable, "-m", "http.server", "80", "--bind", "::", "--directory", str(folder)]
    server = processes.start(["ip", "netns", "exec", OWNER, *serve], folder / "log")
    deadline = time.monotonic() + 30
    while not run("ip", "netns", "exec", OWNER, "ss", "-Hltn", "sport = :80"):
        assert time.monotonic() < deadline and server.poll() is None, "the web server does not start"
        time.sleep(0.1)
    return server


def _remove() -> None:
    for host in (SWITCH, *MACS):
        run("ip", "netns", "del", host, check=False)


def _nodes() -> list[Json]:
    ready = {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}
    return [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": ready}
        for name in (OWNER, OTHER)
    ]


def _service() -> list[Json]:
    """A service with both addresses and one endpoint, on the node that has them."""
    metadata = {"name": SERVICE, "namespace": "default"}
    spec = {"type": "LoadBalancer", "ports": [{"name": "http", "port": 80}]}
    ingress = [{"ip": address} for address in ADDRESSES]
    status = {"loadBalancer": {"ingress": ingress}}
    labels = {"kubernetes.io/service-name": SERVICE}
    endpoint = {"addresses": ["10.8.64.2"], "nodeName": OWNER, "conditions": {"ready": True}}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": status},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": labels},
            "addressType": "IPv4",
            "endpoints": [endpoint],
        },
    ]


def _claimed(node: str) -> Json:
    """Write the status as the owner's speaker does."""
    owned = {"node": node, "since": SINCE, "interfaces": [{"name": "eth0", "mac": MACS[node]}]}
    status = {
        "node": node,
        "serviceName": SERVICE,
        "serviceNamespace": "default",
        "interfaces": [{"name": "eth0"}],
        "addresses": [{"address": address, **owned} for address in ADDRESSES],
    }
    metadata = {"name": f"l2-{SERVICE}", "namespace": "default"}
    return {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "ServiceL2Status",
        "metadata": metadata,
        "status": status,
    }


@pytest.fixture(scope="module")
def cluster(api_server: ApiServer) -> Iterator[ApiServer]:
    """The service is there, its nodes are Ready, and the first one says that it is the owner."""
    items = [*_nodes(), *_service()]
    api_server.apply(*items, _claimed(OWNER))
    for item in items:
        if "status" in item:
            place = ["-n", "default"] if item["kind"] == "Service" else []
            patch = ["--subresource=status", "--type=merge", "-p", json.dumps({"status": item["status"]})]
            api_server.kubectl("patch", item["kind"].lower(), item["metadata"]["name"], *place, *patch)
    yield api_server
    api_server.kubectl("delete", "-n", "default", f"service/{SERVICE}", f"endpointslice/{SERVICE}")
    api_server.kubectl("delete", f"node/{OWNER}", f"node/{OTHER}")
    api_server.kubectl("delete", "-n", "default", f"servicel2status/l2-{SERVICE}")


@pytest.fixture
def play(segment: None, cluster: ApiServer, tmp_path: Path) -> Play:
    """``play(playbook, flag, ..., variable=...)``: how it went. `other`: variables of nodes by name."""

    def played(
        playbook: str, *flags: str, routers: Json | None = None, other: Json | None = None, **variables: Any
    ) -> subprocess.CompletedProcess[str]:
        inventory = tmp_path / "inventory.json"
        written = _inventory(cluster, tmp_path, routers or {})
        for name, own in (other or {}).items():
            written["all"]["children"]["nodes"]["hosts"][name].update(own)
        inventory.write_text(json.dumps(written))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        extra = ["--extra-vars", json.dumps(variables)]
        return subprocess.run(
            [program, "--inventory", str(inventory), f"playbooks/{playbook}.yml", *extra, *flags],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_BECOME_ALLOW_SAME_USER": "1"},
        )

    return played


@pytest.fixture
def verify(play: Play, tmp_path: Path) -> Verify:
    """``verify(variable=...)``: the report of one look."""
    report = tmp_path / "report.json"
    said = {"verify_services": [f"default/{SERVICE}"], "verify_report_path": str(report)}

    def verified(playbook: str = "status", *flags: str, **variables: Any) -> Json:
        done = play(playbook, *flags, **said, **variables)
        assert done.returncode == 0 and "changed=0" in done.stdout, done.stdout + done.stderr
        return dict(json.loads(report.read_text()))

    return verified


def _inventory(cluster: ApiServer, folder: Path, routers: Json) -> Json:
    """Each host is entered as root of its namespace, modules and plain commands alike."""
    hosts: dict[str, Json] = {}
    for number, name in enumerate(MACS):
        enter = folder / f"enter-{name}"
        # What Ansible calls it with: -u USER SHELL ...
        enter.write_text(f'#!/bin/sh\nshift 2\nexec ip netns exec {name} "$@"\n')
        enter.chmod(0o755)
        become = {"ansible_become": True, "ansible_become_exe": str(enter), "ansible_become_flags": ""}
        hosts[name] = {"vipcast_node_address": f"198.51.100.1{number}", **become}
    client = {key: value for key, value in hosts.pop(CLIENT).items() if not key.startswith("vipcast")}
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "vipcast_kubeconfig": str(cluster.kubeconfig),
        "vipcast_pools": [{"name": "near", "addresses": [f"{one}/{_length(one)}" for one in ADDRESSES]}],
        "vipcast_l2_advertisements": [{"name": "near"}],
    }
    groups = {
        "nodes": {"hosts": hosts},
        "clients": {"hosts": {CLIENT: client}},
        "routers": {"hosts": routers},
    }
    return {"all": {"vars": variables, "children": groups}}


def _length(address: str) -> int:
    return 128 if ":" in address else 32


def test_one_answer_from_the_owner_is_as_it_should_be(verify: Verify) -> None:
    found = verify()
    assert found["ok"], found["texts"]
    assert found["lines"][-1] == "OK: 2 of 2 addresses owned, 20 of 20 requests good"
    for one, address in zip(found["owners"], ADDRESSES, strict=True):
        assert (one["address"], one["owner"], one["since"]) == (address, OWNER, SINCE)
        (asked,) = one["asked"]
        assert asked["client"] == CLIENT
        assert [(answer["mac"], answer["nodes"]) for answer in asked["answers"]] == [(MACS[OWNER], [OWNER])]


def test_check_mode_looks_as_well(verify: Verify) -> None:
    assert verify("status", "--check")["ok"]
    assert verify("verify", "--check")["ok"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_second_node_that_answers_is_named(verify: Verify, address: str) -> None:
    hold(OTHER, address)
    try:
        found = verify(verify_probe=False)
    finally:
        hold(OTHER, address, verb="del")
    (difference,) = found["differences"]
    assert difference["what"] == f"who has {address} (default/{SERVICE})"
    assert all(f"{name} ({MACS[name]})" in difference["found"] for name in (OWNER, OTHER))
    assert "strictARP" in difference["reason"]


def test_an_answer_of_another_node_than_the_status_names_is_a_difference(
    verify: Verify, cluster: ApiServer
) -> None:
    cluster.apply(_claimed(OTHER))
    try:
        found = verify(verify_probe=False)
    finally:
        cluster.apply(_claimed(OWNER))
    assert {(one["expected"], one["found"]) for one in found["differences"]} == {
        (OTHER, f"{OWNER} ({MACS[OWNER]})")
    }


def test_nobody_who_answers_is_a_difference(verify: Verify) -> None:
    hold(OWNER, ADDRESSES[0], verb="del")
    try:
        found = verify(verify_probe=False)
    finally:
        hold(OWNER, ADDRESSES[0])
    assert [(one["expected"], one["found"]) for one in found["differences"]] == [(OWNER, "nobody")]


def test_a_difference_fails_the_playbook_unless_it_may_not(play: Play, cluster: ApiServer) -> None:
    said = {"verify_services": [f"default/{SERVICE}"], "verify_probe": False, "verify_timeout": 0}
    cluster.apply(_claimed(OTHER))
    try:
        fails, tells = play("verify", **said), play("verify", verify_fail=False, **said)
    finally:
        cluster.apply(_claimed(OWNER))
    assert (fails.returncode, tells.returncode) == (2, 0), fails.stdout + tells.stdout
    assert "2 differences: " in fails.stdout
    assert f"who has {ADDRESSES[0]}" in tells.stdout


def test_where_nobody_is_to_ask_the_status_is_shown(verify: Verify) -> None:
    found = verify(verify_segment=False, verify_probe=False)
    assert found["ok"]
    assert [one["asked"] for one in found["owners"]] == [[], []]


def test_a_pool_that_somebody_on_the_segment_uses_is_refused(play: Play) -> None:
    """Addresses of services are theirs; the rest of the pool has to be nobody's."""
    pool = {"name": "near", "addresses": ["198.51.100.100-198.51.100.109", "2001:db8:5::100-2001:db8:5::109"]}
    taken = ("198.51.100.109", "2001:db8:5::105")
    for address in taken:
        hold(OTHER, address)
    try:
        done = play("site", "--tags", "preflight", vipcast_pools=[pool])
    finally:
        for address in taken:
            hold(OTHER, address, verb="del")
    assert done.returncode == 2, done.stdout
    for address in taken:
        assert f"{address} of pool near is in use by {MACS[OTHER]} on the segment of {CLIENT}" in done.stdout
    assert all(f"{address} of pool near" not in done.stdout for address in ADDRESSES)


@pytest.mark.parametrize(("number", "tried"), [(1, OWNER), (3, f"{OWNER}, {OTHER}")], ids=["one", "all"])
def test_a_router_out_of_reach_is_told_with_the_nodes_that_tried(play: Play, number: int, tried: str) -> None:
    routers = {"r1": {"vipcast_router_asn": 64512, "ansible_host": "198.51.100.99"}}
    pools = [{"name": "near", "addresses": ["198.51.100.100/32"]}]
    shared = {"vipcast_cluster_asn": 64513, "vipcast_pools": pools, "preflight_segment": False}
    done = play("site", "--tags", "preflight", routers=routers, preflight_nodes_to_try=number, **shared)
    assert done.returncode == 2, done.stdout
    assert f"router r1: none of {tried} reaches 198.51.100.99;" in done.stdout, done.stdout


def test_a_pool_by_bgp_alone_in_the_nodes_network_is_refused_with_the_reason(play: Play) -> None:
    """A host there asks for its addresses by ARP, and nobody answers."""
    routers = {"r1": {"vipcast_router_asn": 64512, "ansible_host": f"198.51.100.1{len(MACS) - 1}"}}
    pools = [{"name": "lan", "addresses": ["198.51.100.200-198.51.100.220"]}]
    shared = {"vipcast_cluster_asn": 64513, "vipcast_pools": pools, "preflight_segment": False}
    said = (
        f"pool lan: 198.51.100.200-198.51.100.220 is in 198.51.100.0/24, which is a network of node {OWNER}: "
    )
    flags = ("--tags", "preflight")
    refused = play("site", *flags, routers=routers, vipcast_l2_advertisements=[], **shared)
    assert refused.returncode == 2 and f"- {said}" in refused.stdout, refused.stdout
    both = play("site", *flags, routers=routers, **shared)
    assert said not in both.stdout
    tolerated = {"preflight_tolerated_pools": ["lan"], "vipcast_l2_advertisements": []}
    warned = play("site", *flags, routers=routers, **tolerated, **shared)
    assert f"- {said}" not in warned.stdout and said in warned.stdout


def test_a_node_that_ssh_does_not_reach_is_one_line_with_the_reason(play: Play) -> None:
    nowhere = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    shared = {"preflight_segment": False, "load_balancer_image": "registry.invalid/vipcast:1"}
    done = play("site", "--tags", "preflight", other={OWNER: nowhere}, **shared)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{OWNER} could not be asked: Failed to connect to the host via ssh: " in done.stdout, done.stdout
    assert "UNREACHABLE" not in done.stdout and "unreachable=0" in done.stdout
    assert "failed: [" not in done.stdout and "fatal: [" not in done.stdout


def test_an_architecture_that_is_not_the_nodes_is_refused(play: Play, cluster: ApiServer) -> None:
    status = json.dumps({"status": {"nodeInfo": {**NODE_INFO, "architecture": "arm64"}}})
    cluster.kubectl("patch", "node", OTHER, "--subresource=status", "--type=merge", "-p", status)
    flags = ("--tags", "preflight")
    mixed = play("site", *flags, preflight_segment=False)
    assert mixed.returncode == 0, mixed.stdout
    refused = play("site", *flags, preflight_segment=False, load_balancer_image_architecture="amd64")
    assert f"- node {OTHER}: it is arm64, and load_balancer_image_architecture says amd64; " in refused.stdout


def test_a_pull_secret_that_is_not_there_is_named_before_pods_wait_for_it(
    play: Play, cluster: ApiServer
) -> None:
    shared = {
        "preflight_segment": False,
        "load_balancer_image": "registry.invalid/vipcast:1",
        "load_balancer_image_pull_secrets": [{"name": "registry"}],
        "vipcast_namespace": "default",
    }
    refused = play("site", "--tags", "preflight", **shared)
    assert (
        "- Secret default/registry is not there, and load_balancer_image_pull_secrets names it"
        in refused.stdout
    )
    cluster.kubectl("create", "secret", "generic", "registry", "--namespace", "default")
    try:
        done = play("site", "--tags", "preflight", **shared)
    finally:
        cluster.kubectl("delete", "secret", "registry", "--namespace", "default")
    assert done.returncode == 0, done.stdout


def test_a_firewall_between_the_nodes_is_named(play: Play) -> None:
    rule = ["udp", "dport", "7946", "reject", "with", "icmpx", "type", "admin-prohibited"]
    inside = ["ip", "netns", "exec", OTHER, "nft"]
    run(*inside, "add", "table", "inet", "closed")
    run(*inside, "add", "chain", "inet", "closed", "input", "{ type filter hook input priority 0; }")
    run(*inside, "add", "rule", "inet", "closed", "input", *rule)
    try:
        done = play("site", "--tags", "preflight")
    finally:
        run(*inside, "delete", "table", "inet", "closed")
    assert f"node {OWNER}: a firewall rejects what it sends to {OTHER}" in done.stdout, done.stdout
    assert f"node {OTHER}: a firewall" not in done.stdout
