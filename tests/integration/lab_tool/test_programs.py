# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes' programs from a server of release files, and every way in which that server may fail."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ports import free_port
from support.release_server import KUBERNETES, ReleaseServer, serving

LAB = Path(__file__).parents[3] / "roles" / "lab" / "files"
sys.path.insert(0, str(LAB / "lab"))

import programs  # noqa: E402

VERSION = "v1.34.4"
ETCD = "v3.6.4"
API = ["etcd", "kube-apiserver", "kubectl"]
REST = ["kube-controller-manager", "kube-proxy", "kube-scheduler", "kubelet"]
# Content that no two programs share, larger than what a connection carries at once.
PROGRAMS = {name: f"#!/bin/echo {name}\n".encode() + os.urandom(400_000) for name in (*KUBERNETES, "etcd")}
KUBECTL = f"/kubernetes/{VERSION}/bin/linux/amd64/kubectl"
ARCHIVE = f"/etcd/{ETCD}/etcd-{ETCD}-linux-amd64.tar.gz"
PATIENCE = {"connect": 2.0, "silence": 2.0, "window": 0.5, "rate": 1_000_000}


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    with serving() as running:
        running.publish(VERSION, ETCD, PROGRAMS)
        yield running


class Tool:
    """The lab's tool with a request as the role makes it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder / "kubernetes"
        self.request: dict[str, Any] = {
            "folder": str(self.folder),
            "version": VERSION,
            "machine": "x86_64",
            "source": "auto",
            "part": "all",
            "pins": str(LAB / "kubernetes"),
            "mirrors": {"kubernetes": f"{url}/kubernetes", "etcd": f"{url}/etcd/"},
            "patience": PATIENCE,
        }

    def run(self, *arguments: str) -> tuple[int, dict[str, Any], str]:
        """Run the program; return its exit status, what it says, and its complaint."""
        done = subprocess.run(
            [sys.executable, "-B", str(LAB / "lab"), "programs", *arguments],
            input=json.dumps(self.request),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, json.loads(done.stdout or "{}"), done.stderr

    def look(self) -> dict[str, Any]:
        """Return what is missing, and whether it can be downloaded."""
        return programs.look(programs.load(json.dumps(self.request)))

    def fetch(self, program: str = "kubectl") -> tuple[bool, str]:
        """Download a program; return whether that changed something, and why not."""
        said = programs.fetch(programs.load(json.dumps(self.request)), program)
        return said["changed"], said["reason"]

    def refused(self, *arguments: str) -> str:
        """Run the program where it cannot do what it is asked; return what it complains of."""
        status, said, complaint = self.run(*arguments)
        assert (status, said) == (1, {}), said
        return complaint

    def missing(self) -> list[str]:
        """Return what the tool says is missing."""
        missing: list[str] = self.look()["missing"]
        return missing


@pytest.fixture
def tool(tmp_path: Path, server: ReleaseServer) -> Tool:
    return Tool(tmp_path, server.url)


def test_every_program_of_a_release_is_fetched_checked_and_executable(tool: Tool) -> None:
    looked = tool.look()
    assert looked == {"missing": API + REST, "download": True, "reason": ""}
    for name in API + REST:
        assert tool.fetch(name) == (True, "")
    for name, content in PROGRAMS.items():
        assert (tool.folder / name).read_bytes() == content
        assert os.access(tool.folder / name, os.X_OK)
    assert {path.name for path in tool.folder.iterdir()} == {*PROGRAMS, "made.json"}


def test_what_is_there_is_not_fetched_again_and_needs_no_server(tool: Tool, server: ReleaseServer) -> None:
    for name in API + REST:
        tool.fetch(name)
    server.requests.clear()
    assert tool.look() == {"missing": [], "download": False, "reason": ""}
    assert tool.fetch("kubectl") == (False, "")
    assert server.requests == []


def test_the_files_of_this_processor_are_taken(tool: Tool, server: ReleaseServer) -> None:
    tool.request["machine"] = "aarch64"
    others = {name: content[::-1] for name, content in PROGRAMS.items()}
    server.publish(VERSION, ETCD, others, "arm64")
    assert tool.fetch("kubectl") == tool.fetch("etcd") == (True, "")
    assert (tool.folder / "kubectl").read_bytes() == others["kubectl"]
    assert (tool.folder / "etcd").read_bytes() == others["etcd"]


def test_only_what_an_api_server_needs_is_missing_where_only_that_is_wanted(tool: Tool) -> None:
    tool.request["part"] = "api"
    assert tool.missing() == API


@pytest.mark.parametrize(("program", "path"), [("kubectl", KUBECTL), ("etcd", ARCHIVE)])
def test_a_file_with_another_checksum_is_named_and_never_used(
    tool: Tool, server: ReleaseServer, program: str, path: str
) -> None:
    server.published[path] = server.published[path][:-1] + b"x"
    digest = hashlib.sha256(server.published[path]).hexdigest()
    changed, reason = tool.fetch(program)
    assert not changed
    assert reason.startswith(f"{server.url}{path}: its SHA-256 is {digest}, published is ")
    assert not list(tool.folder.iterdir())
    tool.request["source"] = "download"
    assert reason in tool.refused("fetch", program)
    assert not list(tool.folder.iterdir())


def test_a_list_of_checksums_without_the_file_is_named(tool: Tool, server: ReleaseServer) -> None:
    server.published[f"/etcd/{ETCD}/SHA256SUMS"] = f"{'0' * 64}  another.tar.gz\n".encode()
    looked = tool.look()
    assert not looked["download"]
    assert (
        looked["reason"] == f"{server.url}/etcd/{ETCD}/SHA256SUMS: it has no SHA-256 of {Path(ARCHIVE).name}"
    )


def test_a_download_that_is_cut_off_goes_on_where_it_ended(tool: Tool, server: ReleaseServer) -> None:
    server.cut[KUBECTL] = [150_000, 100_000]
    assert tool.run("fetch", "kubectl") == (0, {"changed": True, "reason": ""}, "")
    assert (tool.folder / "kubectl").read_bytes() == PROGRAMS["kubectl"]
    assert [begin for path, begin in server.requests if path == KUBECTL] == [0, 150_000, 250_000]


def test_the_next_run_goes_on_with_what_was_cut_off_for_good(tool: Tool, server: ReleaseServer) -> None:
    server.cut[KUBECTL] = [100_000, 50_000, 50_000]
    changed, reason = tool.fetch()
    size = len(PROGRAMS["kubectl"])
    assert not changed
    assert reason == f"{server.url}{KUBECTL}: the connection ended after 200000 of {size} bytes (3 attempts)"
    assert "kubectl" in tool.missing()
    server.requests.clear()
    assert tool.fetch() == (True, "")
    assert (KUBECTL, 200_000) in server.requests
    assert (tool.folder / "kubectl").read_bytes() == PROGRAMS["kubectl"]


@pytest.mark.parametrize("length", [1000, 500_000])
def test_what_another_file_left_behind_is_thrown_away(tool: Tool, length: int) -> None:
    tool.folder.mkdir()
    (tool.folder / "kubectl.partial").write_bytes(b"?" * length)
    assert tool.fetch() == (True, "")
    assert (tool.folder / "kubectl").read_bytes() == PROGRAMS["kubectl"]


def test_a_slow_server_is_given_up_unless_nothing_else_will_do(tool: Tool, server: ReleaseServer) -> None:
    server.rate[KUBECTL] = 200_000
    changed, reason = tool.fetch()
    assert not changed
    assert reason.startswith(f"{server.url}{KUBECTL}: too slow, ")
    assert reason.endswith("kB/s, less than 1000 kB/s")
    tool.request["source"] = "download"
    assert tool.fetch() == (True, "")


def test_a_server_that_falls_silent_is_given_up(tool: Tool, server: ReleaseServer) -> None:
    tool.request["patience"] = {**PATIENCE, "silence": 0.5, "attempts": 1}
    server.rate[KUBECTL] = 1  # a byte now, the next one in half a minute
    server.pause = 30.0
    changed, reason = tool.fetch()
    assert not changed
    assert reason == f"{server.url}{KUBECTL}: timed out (1 attempts)"


def test_a_release_that_does_not_exist_is_named(tool: Tool, server: ReleaseServer) -> None:
    tool.request["version"] = "v1.99.0"
    url = f"{server.url}/kubernetes/v1.99.0/bin/linux/amd64/kubectl.sha256"
    looked = tool.look()
    assert not looked["download"]
    assert looked["reason"] == f"{url}: there is no such file (404)"
    tool.request["source"] = "download"
    assert tool.refused("look").startswith(looked["reason"])


def test_an_absent_program_is_named(tool: Tool, server: ReleaseServer) -> None:
    del server.published[KUBECTL]
    assert tool.look()["download"]
    assert tool.fetch() == (False, f"{server.url}{KUBECTL}: there is no such file (404)")


def test_no_server_is_found_out_at_once(tool: Tool) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    tool.request["mirrors"] = {"kubernetes": nobody, "etcd": nobody}
    looked = tool.look()
    assert looked["missing"] == API + REST
    assert not looked["download"]
    assert looked["reason"].startswith(
        f"{nobody}/{VERSION}/bin/linux/amd64/kubectl.sha256 cannot be reached: "
    )
    tool.request["source"] = "download"
    complaint = tool.refused("look")
    assert complaint.startswith(looked["reason"])
    assert "lab_kubernetes_source is download" in complaint


def test_a_server_that_does_not_answer_is_given_up_within_seconds(tool: Tool, server: ReleaseServer) -> None:
    server.rate[f"{KUBECTL}.sha256"] = 1
    server.pause = 30.0
    begin = time.monotonic()
    status, looked, _complaint = tool.run("look")
    assert (status, looked["download"]) == (0, False)
    assert looked["reason"].endswith("cannot be reached: no answer within 2 s")
    assert time.monotonic() - begin < 30


def test_who_wants_a_build_asks_no_server(tool: Tool, server: ReleaseServer) -> None:
    tool.request["source"] = "build"
    looked = tool.look()
    assert looked == {"missing": API + REST, "download": False, "reason": ""}
    assert server.requests == []


def test_a_downloaded_program_is_none_where_a_built_one_is_wanted(tool: Tool) -> None:
    tool.fetch("kubectl")
    assert "kubectl" not in tool.missing()
    tool.request["source"] = "build"
    assert "kubectl" in tool.missing()


def test_an_unknown_source_is_refused(tool: Tool) -> None:
    tool.request["source"] = "dowload"
    complaint = "lab_kubernetes_source is 'dowload'; it must be one of auto, download, build\n"
    assert tool.refused("look") == complaint
