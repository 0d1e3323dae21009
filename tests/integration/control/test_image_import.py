# SPDX-License-Identifier: GPL-3.0-or-later
"""An image comes into a real containerd: its name, its label, and what stays where the import fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import processes
from support.modules import run_module

ROOT = Path(__file__).parents[3]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vipcast"
PIN = "io.cri-containerd.pinned"
NAME, EARLIER, STRANGERS = "localhost/vipcast:2-b", "localhost/vipcast:1-a", "registry.example/web:1"


@dataclass(frozen=True)
class Containerd:
    """A containerd with a folder of its own, without the part that serves a kubelet."""

    programs: Path
    folder: Path

    @property
    def socket(self) -> Path:
        return self.folder / "containerd.sock"

    @property
    def command(self) -> list[str]:
        """Return how its ctr is called. Where tests run, a folder may be no place for an overlay."""
        return ["env", "CONTAINERD_SNAPSHOTTER=native", str(self.programs / "ctr")]

    def images(self, *arguments: str) -> str:
        """Return what ``ctr images`` prints."""
        where = ["--address", str(self.socket), "--namespace", "k8s.io", "images"]
        done = subprocess.run(
            [*self.command, *where, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pinned(self) -> set[str]:
        """Return the names of the images that the kubelet is told to leave alone."""
        return {line.split()[0] for line in self.images("ls").splitlines() if f"{PIN}=pinned" in line}


@pytest.fixture(scope="module")
def containerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    """The lab's."""
    trees = sorted(CACHE.glob("trees/node-*/usr/bin"))
    assert trees, f"no tree of a node in {CACHE}/trees: build the lab's once with `make lab`"
    folder = tmp_path_factory.mktemp("containerd")
    found = Containerd(trees[-1], folder)
    (folder / "config.toml").write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
    places = [
        "--root",
        str(folder / "root"),
        "--state",
        str(folder / "state"),
        "--address",
        str(found.socket),
    ]
    command = [str(found.programs / "containerd"), "--config", str(folder / "config.toml"), *places]
    process = processes.start(command, folder / "log")
    deadline = time.monotonic() + 60
    while not found.socket.exists():
        assert time.monotonic() < deadline and process.poll() is None, (folder / "log").read_text()
        time.sleep(0.1)
    yield found
    processes.stop(process)


def archive(path: Path, name: str) -> Path:
    """Return an archive with a small image of this name."""
    layer = {"content": name, "dest": "/name"}
    run_module("image_archive", {"path": str(path), "name": name, "layers": [layer]})
    return path


Import = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def load(containerd: Containerd, tmp_path: Path) -> Import:
    """``load(archive, name)``: the role's step on a node whose containerd is none of those that are known."""

    def loaded(source: Path, name: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        role = {"name": "vipcast.baremetal.load_balancer", "tasks_from": "image_load"}
        task = {"name": "Import", "ansible.builtin.include_role": role}
        (tmp_path / "play.json").write_text(
            json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}])
        )
        given = {
            "ansible_connection": "local",
            # Whoever runs the test is root, and there may be no sudo.
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
            "load_balancer_runtime_socket": str(containerd.socket),
            "load_balancer_ctr": containerd.command,
            "_load_balancer_image_name": name,
            "_load_balancer_archive": str(source),
            "_load_balancer_transferred": str(tmp_path / "transferred.tar"),
            **variables,
        }
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        return subprocess.run(
            [program, "-i", "node1,", "-e", json.dumps(given), str(tmp_path / "play.json")],
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_BECOME_ALLOW_SAME_USER": "1"},
        )

    return loaded


def test_an_imported_image_is_pinned_and_those_before_it_are_not(
    containerd: Containerd, load: Import, tmp_path: Path
) -> None:
    containerd.images("import", str(archive(tmp_path / "web.tar", STRANGERS)))
    containerd.images("label", STRANGERS, f"{PIN}=pinned")
    first = load(archive(tmp_path / "first.tar", EARLIER), EARLIER)
    assert first.returncode == 0, first.stdout + first.stderr
    assert containerd.pinned() == {EARLIER, STRANGERS}
    second = load(archive(tmp_path / "second.tar", NAME), NAME)
    assert second.returncode == 0, second.stdout + second.stderr
    assert containerd.pinned() == {NAME, STRANGERS}
    assert set(containerd.images("ls", "-q").split()) == {EARLIER, NAME, STRANGERS}
    assert not (tmp_path / "transferred.tar").exists()
    again = load(tmp_path / "second.tar", NAME)
    assert "changed=0" in again.stdout, again.stdout


def test_what_is_no_image_fails_and_leaves_nothing_on_the_node(
    containerd: Containerd, load: Import, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"no archive" * 1000)
    done = load(broken, "localhost/vipcast:3-c")
    assert done.returncode == 2, done.stdout
    assert "Load the copy" in done.stdout.partition("fatal: ")[0]
    assert not (tmp_path / "transferred.tar").exists()


def test_a_node_without_a_known_runtime_is_told_which_variables_say_one(load: Import, tmp_path: Path) -> None:
    done = load(archive(tmp_path / "first.tar", NAME), NAME, load_balancer_runtime_socket="")
    assert done.returncode == 2, done.stdout
    assert "node1: no container runtime found" in done.stdout
    assert "load_balancer_runtime_socket says where its containerd listens" in done.stdout.replace("\n", " ")
