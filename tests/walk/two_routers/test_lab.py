# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's own tool: again, after an interruption, with another description; and a router's power switch."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.lab import CHECKOUT, Lab, eventually
from support.outage import reachable

pytestmark = pytest.mark.timeout(600)
TOOL = [sys.executable, "-B", str(CHECKOUT / "roles/lab/files/lab")]
# A second lab beside the one that runs: another name, folder and management network.
NAME, NETWORK = "trial", "198.18.32"
# proc(5): the name may have blanks; the field 22, when the process began, is the 20th behind it.
STAT = re.compile(r"(?P<pid>\d+) \((?P<name>.*)\) (?P<rest>.*)")
# Names of programs that run as long as their host does.
AT_WORK = {
    "every host": {"systemd", "systemd-journal"},
    "nodes": {
        "containerd",
        "kubelet",
        "etcd",
        "kube-apiserver",
        "kube-scheduler",
        "kube-proxy",
        "web",
        "pause",
    },
    "routers": {"watchfrr", "zebra", "bgpd", "bfdd", "staticd"},
}


def test_the_lab_that_runs_is_left_as_it_is(lab: Lab) -> None:
    before = {host: boot(lab, host) for host in lab.group("nodes")}
    assert lab.playbook("lab_up").expect().changed == {}
    assert before == {host: boot(lab, host) for host in lab.group("nodes")}


def boot(lab: Lab, host: str) -> str:
    """Return what is another after each boot: when the host's first process began, in the kernel's ticks."""
    return lab.run(host, "cut -d ' ' -f 22 /proc/1/stat").strip()


def test_a_router_without_power_is_gone_and_comes_back_with_its_disk(
    lab: Lab, second: str, off: Callable[[str], Any], whole: Callable[[], None]
) -> None:
    lab.run(second, "echo kept > /root/note")
    others = {host: at_work(lab, host) for host in everybody(lab) if host != second}
    assert all(AT_WORK["every host"] <= {name for name, *_one in found} for found in others.values())
    with off(second):
        assert not reachable(lab, second)
        assert lab.playbook("lab_power", lab_host=second, lab_power="off").expect().changed == {}
    assert lab.run(second, "cat /root/note; rm /root/note").strip() == "kept"
    assert {host: at_work(lab, host) for host in others} == others, "a process of another host has ended"
    whole()


def test_a_host_that_ends_as_soon_as_it_is_switched_on_is_named(lab: Lab, off: Callable[[str], Any]) -> None:
    """A host whose systemd has no watcher of files left ends like this: podman says that it was started."""
    with off(lab.client):
        program = lab.folder / "hosts" / lab.client / "root/usr/sbin/init"
        good = program.readlink()
        replace_link(program, "/bin/false")
        try:
            run = lab.playbook("lab_power", lab_host=lab.client, lab_power="on").expect(2)
        finally:
            replace_link(program, good)
    assert f"{lab.client} was switched on, and its first process ended at once" in run.output


def replace_link(path: Path, target: str | Path) -> None:
    """Let a link point elsewhere."""
    path.unlink()
    path.symlink_to(target)


def everybody(lab: Lab) -> list[str]:
    """Return all hosts of the lab."""
    return [*lab.group("nodes"), *lab.group("routers"), *lab.group("clients")]


def at_work(lab: Lab, host: str) -> set[tuple[str, ...]]:
    """Return the processes that do not end by themselves: name, number, and when each began, in ticks."""
    told = lab.run(host, "cat /proc/[0-9]*/stat 2>/dev/null || true")
    found = [STAT.match(line) for line in told.splitlines()]
    names = set().union(*AT_WORK.values())
    rows = [(one["name"], one["pid"], one["rest"].split()[19]) for one in found if one]
    return {row for row in rows if row[0] in names}


@pytest.fixture
def small(lab: Lab) -> Iterator[dict[str, Any]]:
    """Return the description of a lab of one node, which is removed at the end."""
    found: dict[str, Any] = json.loads((lab.kubeconfig.parent / "topology.json").read_text())
    (host,) = (one for one in found["hosts"] if one["control_plane"])
    # Beside the other, for a host's disk must not lie on an overlay file system.
    folder = lab.kubeconfig.parent.with_name("lab-of-one-node")
    hosts = [{**host, "management": f"{NETWORK}.1", "gateway": None}]
    yield {**found, "name": NAME, "folder": str(folder), "control": f"{NETWORK}.254/24", "hosts": hosts}
    subprocess.run([*TOOL, "down", NAME, str(folder)], check=True, timeout=120)
    shutil.rmtree(folder, ignore_errors=True)


def start(description: dict[str, Any]) -> subprocess.Popen[str]:
    """Start the tool; what it prints can be read when it has ended."""
    pipe = subprocess.PIPE
    tool = subprocess.Popen([*TOOL, "up"], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert tool.stdin is not None
    tool.stdin.write(json.dumps(description))
    tool.stdin.close()
    tool.stdin = None
    return tool


def up(description: dict[str, Any]) -> bool:
    """Return whether the tool had to change anything to make the lab run."""
    tool = start(description)
    said, complaint = tool.communicate(timeout=300)
    assert tool.returncode == 0, complaint
    changed: bool = json.loads(said)["changed"]
    return changed


def test_an_interrupted_lab_is_made_anew_and_another_description_is_another_lab(
    small: dict[str, Any],
) -> None:
    folder = Path(small["folder"])
    tool = start(small)
    assert eventually((folder / "kubeconfig").exists, timeout=60, interval=0.1)
    # In the middle of what is done for the hosts: their disks, their boot.
    time.sleep(1)
    tool.kill()
    tool.communicate(timeout=10)
    assert not (folder / "complete").exists()
    key = (folder / "ssh_key").read_text()

    assert up(small) is True
    assert (folder / "ssh_key").read_text() != key, "what an interrupted lab left was taken for a lab"
    key = (folder / "ssh_key").read_text()
    assert up(small) is False
    assert (folder / "ssh_key").read_text() == key

    other = {**small, "kubernetes": {**small["kubernetes"], "grace": 20}}
    assert up(other) is True
    assert (folder / "ssh_key").read_text() != key
