# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab is gone for good when the tool says so, and nobody else's folder is, without root."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.lab import eventually

TOOL = Path(__file__).parents[3] / "roles" / "lab" / "files" / "lab"
sys.path.insert(0, str(TOOL))

import hosts  # noqa: E402
import topology  # noqa: E402

# What a podman that clears up does to a store that is gone; the word for itself stands before its arguments.
LATE = """\
sleep 2
mkdir -p "$2/vfs-containers" "$2/libpod"
: >"$2/vfs-containers/containers.lock"
echo notes >"$2/libpod/bolt_state.db"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "lab"
    made.mkdir()
    return made


@pytest.fixture
def late(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Works on the lab's store, and is not to be asked when."""
    with subprocess.Popen(["sh", "-c", LATE, "podman", "--root", str(folder / "podman")]) as process:
        yield process


def down(folder: Path) -> tuple[int, dict[str, Any], str]:
    """Exit status, what the tool says, and its complaint."""
    command = [sys.executable, "-B", str(TOOL), "down", f"trial{os.getpid()}", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def test_a_lab_is_removed_after_the_last_podman_has_left_it(
    folder: Path, late: subprocess.Popen[bytes]
) -> None:
    (folder / "topology.json").write_text("{}")
    assert down(folder) == (0, {"changed": True}, "")
    assert late.wait(10) == 0
    assert not folder.exists()


def test_what_a_late_podman_made_anew_stands_in_nobodys_way(
    folder: Path, late: subprocess.Popen[bytes]
) -> None:
    """Remove the folder, as somebody may by hand."""
    assert late.wait(10) == 0
    assert down(folder) == (0, {"changed": True}, "")
    assert not folder.exists()


@pytest.mark.parametrize("name", ["letter.txt", "podman/vfs/dir/letter.txt"])
def test_a_folder_that_is_no_labs_is_left_alone(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("Dear Ada")
    status, said, complaint = down(folder)
    assert (status, said) == (1, {})
    assert f"{folder} has files, but no topology.json" in complaint
    assert (folder / name).read_text() == "Dear Ada"


def test_where_there_is_nothing_nothing_is_done(folder: Path) -> None:
    folder.rmdir()
    assert down(folder) == (0, {"changed": False}, "")


@pytest.fixture
def busy(folder: Path) -> Iterator[None]:
    """Hold the lock of another lab beside this one, as its tool does."""
    other = topology.Site("other", folder.with_name("other"))
    with hosts.alone(other):
        yield


def test_nobody_waits_for_another_lab(folder: Path, busy: None) -> None:
    (folder / "topology.json").write_text("{}")
    assert down(folder) == (0, {"changed": True}, "")


def test_whoever_works_on_the_same_lab_is_waited_for(folder: Path) -> None:
    (folder / "topology.json").write_text("{}")
    command = [sys.executable, "-B", str(TOOL), "down", f"trial{os.getpid()}", str(folder)]
    with hosts.alone(topology.Site("trial", folder)):
        waiting = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        assert eventually(lambda: waits_for_a_lock(waiting.pid), interval=0.2)
        assert folder.exists()
    assert waiting.wait(60) == 0
    assert not folder.exists()


def waits_for_a_lock(pid: int) -> bool:
    """Return whether the kernel has a process waiting for a lock (proc(5), /proc/locks)."""
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return any(words[1] == "->" and str(pid) in words for words in lines)
