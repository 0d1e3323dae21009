# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing on the control node is done as root, though `ansible_become` is true for all hosts.

The playbooks are run by ansible-playbook against a real API server. The sudo of the test does what it is
asked for, and notes it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.apiserver import ApiServer

ROOT = Path(__file__).parents[3]
SUDO = """#!/bin/sh
echo "$*" >> {log}
while [ "$1" != root ]; do shift; done
shift
exec "$@"
"""
# A playbook, its arguments, its exit status where no node answers, and a role that it came to.
PLAYBOOKS = {
    "site": (("--check",), 0, "verify"),
    "verify": (("-e", "verify_timeout=0"), 0, "verify"),
    "status": ((), 0, "verify"),
    "drift": ((), 4, "load_balancer"),
    "drain": (("--check", "-e", "drain_nodes=n1"), 0, ""),
    "remove": (("--check",), 0, "load_balancer"),
}


@dataclass(frozen=True)
class Site:
    """An inventory in which Ansible becomes root everywhere, by a sudo that takes notes."""

    folder: Path
    path: str = os.environ["PATH"]

    @property
    def asked(self) -> list[str]:
        """Return what sudo was asked for."""
        log = self.folder / "asked"
        return log.read_text().splitlines() if log.exists() else []

    def write(self, **variables: Any) -> None:
        """Write the inventory. Its node is a machine that does not answer."""
        sudo = self.folder / "sudo"
        sudo.write_text(SUDO.format(log=self.folder / "asked"))
        sudo.chmod(0o755)
        everywhere = {"ansible_become": True, "ansible_become_exe": str(sudo), **variables}
        hosts = {"n1": {"ansible_host": "192.0.2.1", "vipcast_node_address": "192.0.2.1"}}
        groups = {"nodes": {"hosts": hosts}, "routers": {}, "clients": {}}
        self.inventory.write_text(yaml.safe_dump({"all": {"vars": everywhere, "children": groups}}))

    @property
    def inventory(self) -> Path:
        """The inventory's file."""
        return self.folder / "hosts.yml"

    def play(self, book: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook."""
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        return subprocess.run(
            [program, "-i", str(self.inventory), str(book), *arguments],
            cwd=self.folder,
            # Who runs the tests is root already, whom Ansible does not ask to become root.
            env={**os.environ, "ANSIBLE_BECOME_ALLOW_SAME_USER": "true", "PATH": self.path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )


@pytest.fixture
def node(api_server: ApiServer, namespace: str) -> Iterator[str]:
    """The node of the inventory, as the cluster has it."""
    name = f"node-{namespace}"
    api_server.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
    addresses = [{"type": "InternalIP", "address": "192.0.2.1"}]
    status = json.dumps({"status": {"conditions": conditions, "addresses": addresses}})
    api_server.kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", status)
    yield name
    api_server.kubectl("delete", "node", name)


@pytest.fixture
def site(tmp_path: Path, api_server: ApiServer, namespace: str, node: str) -> Site:
    """A cluster with a pool for the nodes' own segment."""
    found = Site(tmp_path)
    found.write(
        vipcast_kubeconfig=str(api_server.kubeconfig),
        vipcast_namespace=namespace,
        vipcast_node_name=node,
        vipcast_pools=[{"name": "default", "addresses": ["192.0.2.100-192.0.2.110"]}],
        vipcast_l2_advertisements=[{"name": "default"}],
        load_balancer_image="registry.example/vipcast:1.0",
    )
    return found


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_no_task_of_a_playbook_asks_for_root_here(site: Site, name: str) -> None:
    arguments, status, role = PLAYBOOKS[name]
    done = site.play(ROOT / f"playbooks/{name}.yml", *arguments)
    assert done.returncode == status, done.stdout + done.stderr
    assert f"vipcast.baremetal.{role} : " in done.stdout or not role, done.stdout
    assert site.asked == [], done.stdout


def test_it_is_a_sudo_that_would_be_noticed(site: Site) -> None:
    """Everything is done as root without the playbooks' first task, whatever the play says."""
    book = site.folder / "play.yml"
    task = {"name": "Look", "ansible.builtin.command": "true"}
    book.write_text(
        json.dumps([{"hosts": "localhost", "become": False, "gather_facts": False, "tasks": [task]}])
    )
    assert site.play(book).returncode == 0
    assert site.asked


def without_mmdebstrap(folder: Path) -> str:
    """Return a path with every program of this machine but the one that makes base trees."""
    folder.mkdir()
    for place in ("/usr/sbin", "/usr/bin"):
        for program in Path(place).iterdir():
            if program.name != "mmdebstrap" and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    return str(folder)


def test_what_takes_root_to_make_the_image_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package of mmdebstrap is installed by sudo, and nothing else on the way there."""
    site = Site(tmp_path, without_mmdebstrap(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    site.write()
    sudo = tmp_path / "sudo"
    # Nothing is to be installed by a test.
    sudo.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\nexit 1\n')
    role = {"name": "vipcast.baremetal.load_balancer", "tasks_from": "image_name", "public": True}
    tasks = [
        {"name": "Begin", "ansible.builtin.import_tasks": str(ROOT / "playbooks/tasks/control_node.yml")},
        {"name": "Name it", "ansible.builtin.include_role": role},
        {"name": "Make it", "ansible.builtin.include_role": {**role, "tasks_from": "image_build"}},
    ]
    play = {"hosts": "localhost", "gather_facts": False, "become": False, "tasks": tasks}
    book = tmp_path / "play.yml"
    book.write_text(json.dumps([play]))
    done = site.play(book)
    assert done.returncode == 2, done.stdout
    assert "Install mmdebstrap" in done.stdout, done.stdout
    assert len(site.asked) == 1, done.stdout
