# SPDX-License-Identifier: GPL-3.0-or-later
"""Each module that needs no router, as a task of a playbook: in check mode, then done, then nothing to do.

What the modules do is for the other tests of this folder to say. This is about what lies between a task and a
module, which is another one with each version of ansible-core.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.cluster.kube_proxy_objects import CONFIGURATION
from support.apiserver import ApiServer

# `make ansible-versions` runs it with each version.
pytestmark = pytest.mark.thorough
ROOT = Path(__file__).parents[3]
Json = dict[str, Any]
SELECTOR = [{"match_labels": {"zone": "outside"}}]
# Modules of the cluster: options beside where it is, and whether they change anything at first.
CLUSTER: dict[str, tuple[Json, bool]] = {
    "ip_address_pool": ({"addresses": ["10.9.0.0/24"]}, True),
    "bgp_peer": ({"my_asn": 64513, "peer_asn": 64512, "peer_address": "192.0.2.1"}, True),
    "bgp_advertisement": ({"ip_address_pools": ["played"], "node_selectors": SELECTOR}, True),
    "l2_advertisement": ({"ip_address_pools": ["played"], "interfaces": ["eth0"]}, True),
    "bfd_profile": ({"receive_interval": 100}, True),
    "community": ({"communities": [{"name": "no-export", "value": "65535:65281"}]}, True),
}
ASKING: dict[str, Json] = {
    "cluster_info": {"gather_subset": ["nodes"]},
    "cluster_services_info": {},
}


class Play:
    """A playbook for this machine, made of tasks that are registered."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, tasks: list[Json], *flags: str) -> list[Json]:
        """Return the result of each task."""
        names = [f"task_{number}" for number, _task in enumerate(tasks)]
        named = [{**task, "name": name, "register": name} for task, name in zip(tasks, names, strict=True)]
        found = "{{ [" + ", ".join(names) + "] | to_json }}"
        written = {"lines": ["done"], "path": str(self._folder / "result.json"), "content": found}
        last = {"name": "Write", "vipcast.baremetal.report": written}
        python = {"ansible_python_interpreter": sys.executable}
        play = {"hosts": "localhost", "gather_facts": False, "vars": python, "tasks": [*named, last]}
        book = self._folder / "play.yml"
        book.write_text(json.dumps([play]))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        done = subprocess.run(
            [program, "-i", "localhost,", "-c", "local", *flags, str(book)],
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        results: list[Json] = json.loads((self._folder / "result.json").read_text())
        return results

    def thrice(self, tasks: list[Json]) -> list[list[bool]]:
        """Return which tasks would change something, which did, and which did again."""
        return [
            [bool(result["changed"]) for result in self(tasks, *flags)] for flags in (("--check",), (), ())
        ]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return Play(tmp_path)


@pytest.fixture
def node(api_server: ApiServer, namespace: str) -> Iterator[str]:
    """A node of the test's own."""
    name = f"node-{namespace}"
    api_server.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    yield name
    api_server.kubectl("delete", "node", name)


def task(module: str, **options: Any) -> Json:
    return {f"vipcast.baremetal.{module}": options}


def test_objects_of_a_cluster(play: Play, api_server: ApiServer, namespace: str, node: str) -> None:
    where = {"kubeconfig": str(api_server.kubeconfig)}
    data = {"config.conf": CONFIGURATION}
    proxy = {"apiVersion": "v1", "kind": "ConfigMap", "data": data}
    api_server.apply({**proxy, "metadata": {"name": "kube-proxy", "namespace": namespace}})
    own = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own", "namespace": namespace}}
    tasks = [
        *(
            task(name, **where, name="played", namespace=namespace, **options)
            for name, (options, _c) in CLUSTER.items()
        ),
        task("object_set", **where, name=namespace, objects=[own]),
        task("node_drain", **where, name=node),
        task("kube_proxy", **where, namespace=namespace, strict_arp=True, wait=False),
    ]
    assert play.thrice(tasks) == [[True] * len(tasks), [True] * len(tasks), [False] * len(tasks)]


def test_questions_to_a_cluster(play: Play, api_server: ApiServer, namespace: str) -> None:
    where = {"kubeconfig": str(api_server.kubeconfig)}
    tasks = [task(name, **where, **options) for name, options in ASKING.items()]
    tasks.append(task("allocation_plan_info", **where, namespace=namespace, objects=[]))
    absent = task("rollout_info", **where, kind="DaemonSet", namespace=namespace, name="absent", timeout=1)
    tasks.append({**absent, "ignore_errors": True})
    found = play(tasks)
    assert [bool(result["changed"]) for result in found] == [False] * len(tasks)
    assert [bool(result.get("failed")) for result in found] == [False, False, False, True]
    assert {"nodes", "services", "pools", "owners"} <= set(found[1])


def test_what_is_done_on_a_host(play: Play, tmp_path: Path) -> None:
    (tmp_path / "program").write_text("#!/bin/sh\n")
    layers = [{"src": str(tmp_path / "program"), "dest": "/bin/program"}]
    archive = task("image_archive", path=str(tmp_path / "image.tar"), name="x:1", layers=layers)
    assert play.thrice([archive]) == [[True], [True], [False]]
    nobody = task("vip_probe", address="127.0.0.1", port=9, requests=2, timeout=1, must_succeed=False)
    asked = [
        task("tree_digest_info", paths=[str(tmp_path / "program")]),
        task("shell_info", command="id -u"),
        nobody,
        {**task("neighbor_probe", addresses=["198.51.100.7"]), "ignore_errors": True},
    ]
    digest, shell, probe, segment = play(asked)
    assert len(digest["digest"]) == 64
    assert (shell["answered"], shell["stdout"].strip()) == (True, str(os.getuid()))
    assert (probe["ok"], probe["requests"]) == (0, 2)
    # Where there is no route to the address the module says so, and where there is one nobody answers.
    assert not segment.get("neighbors")
    assert bool(segment.get("failed")) is ("198.51.100.7" in segment.get("msg", ""))
