# SPDX-License-Identifier: GPL-3.0-or-later
"""A session's password reaches the router, and no output, log, process list or readable file."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .machine import NODES, Machine
from .play import Answer, Player

SECRET, NEXT = "tcp-md5-first", "tcp-md5-second"
FIRST, SECOND, THIRD = NODES.values()


@pytest.fixture
def answers(router: Machine, player: Player, intent: dict[str, Any]) -> list[Answer]:
    """A password set, changed and refused, each with -vvv and --diff."""
    found = []
    for value in (SECRET, NEXT):
        intent["neighbors"][2]["password"] = value
        found.append(player.task("bgp_router", check=True, **intent))
        found.append(player.task("bgp_router", **intent))
    intent["neighbors"][2] = {"address": "10.31.254.251", "remote_as": 64513, "password": SECRET}
    found.append(player.task("bgp_router", **intent))
    return found


def _shown(answer: Answer) -> str:
    """Return what Ansible prints, without the arguments of the task that -vvv echoes from the play."""
    return answer.output + str(answer.result)


def test_a_password_is_set_changed_and_never_shown(router: Machine, answers: list[Answer]) -> None:
    for answer in answers:
        assert SECRET not in _shown(answer) and NEXT not in _shown(answer)
    assert answers[1].result["changed"] and answers[3].result["changed"] and answers[4].result["failed"]
    assert ("password of neighbor 10.31.8.12", "router bgp 64512", "a password", "none") in answers[1].drift
    assert (
        "password of neighbor 10.31.8.12",
        "router bgp 64512",
        "another password",
        "another password",
    ) in (answers[3].drift)
    assert f"neighbor {THIRD} password {NEXT}" in router.running()
    assert "password ********" in answers[1].output
    assert "password ******** (changed)" in answers[3].output


def test_the_diff_shows_that_a_password_changed(answers: list[Answer]) -> None:
    after = answers[3].result["diff"]["after"]
    assert f"neighbor {THIRD} password ******** (changed)\n" in after
    assert f"neighbor {THIRD} password ********\n" in answers[3].result["diff"]["before"]


def test_the_same_password_is_no_change(router: Machine, player: Player, intent: dict[str, Any]) -> None:
    intent["neighbors"][0]["password"] = SECRET
    assert player.task("bgp_router", **intent).result["changed"]
    assert not player.task("bgp_router", **intent).result["changed"]


class Recorded:
    """The arguments of every vtysh on the router, and of every shell that Ansible starts there."""

    def __init__(self, machine: Machine) -> None:
        self._vtysh, self._shell = machine.root / "usr/bin/vtysh", machine.shell_path
        self._real = self._vtysh.with_name("vtysh-real")
        self._entry = self._shell.read_text()
        self._calls = machine.root / "var/tmp/vtysh-calls"
        self._scripts = self._shell.with_name("scripts")

    def install(self) -> None:
        """Put programs in the place of both that write down how they were called, and run the real one."""
        self._vtysh.rename(self._real)
        self._vtysh.write_text('#!/bin/sh\necho "vtysh $*" >> /var/tmp/vtysh-calls\nexec vtysh-real "$@"\n')
        self._vtysh.chmod(0o755)
        head, _newline, rest = self._entry.partition("\n")
        self._shell.write_text(f'{head}\nprintf "%s\\n" "$*" >> {self._scripts}\n{rest}')

    def remove(self) -> None:
        """Put the real ones back."""
        self._real.rename(self._vtysh)
        self._shell.write_text(self._entry)
        for path in (self._calls, self._scripts):
            path.unlink(missing_ok=True)

    def calls(self) -> list[str]:
        """Return a line for each vtysh."""
        return self._calls.read_text().splitlines()

    def scripts(self) -> str:
        """Return what the shells were given."""
        return self._scripts.read_text()


@pytest.fixture
def recorded(router: Machine) -> Iterator[Recorded]:
    """A router that writes down what its programs are called with."""
    recorded = Recorded(router)
    recorded.install()
    yield recorded
    recorded.remove()


def test_no_process_shows_it(
    router: Machine, player: Player, intent: dict[str, Any], recorded: Recorded
) -> None:
    intent["neighbors"][1]["password"] = SECRET
    seen: set[str] = set()
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(seen, done))
    watcher.start()
    try:
        assert player.task("bgp_router", **intent).result["changed"]
    finally:
        done.set()
        watcher.join(10)
    assert f"neighbor {SECOND} password {SECRET}" in router.running()
    assert {"-C", "-f"} <= {word for call in recorded.calls() for word in call.split()}
    assert "vtysh -f" in recorded.scripts()
    assert SECRET not in "\n".join(recorded.calls())
    assert SECRET not in recorded.scripts()
    assert any("vtysh" in line for line in seen), "the watcher saw nothing"
    assert not [line for line in seen if SECRET in line]


def test_files_with_it_are_private(router: Machine, player: Player, intent: dict[str, Any]) -> None:
    intent["neighbors"][1]["password"] = SECRET
    player.task("bgp_router", **intent)
    assert router.sh("stat -c %a /etc/frr/frr.conf").strip() == "640"
    assert router.sh(f"grep -rl {SECRET} /tmp /run 2>/dev/null", check=False) == ""


def _watch(seen: set[str], done: threading.Event) -> None:
    ours = os.getpid()
    while not done.is_set():
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != ours:
                seen.add(_command(entry))
        time.sleep(0.002)


def _command(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
