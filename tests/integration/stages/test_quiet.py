# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of the moments that have to be quiet, held by processes as the stages are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.lab import eventually
from support.quiet import VARIABLE, WALKER

ROOT = Path(__file__).resolve().parents[3]
LIMIT = 30
# Holds the lock until its standard input ends.
HOLDS = """
import pathlib, sys
from support import quiet
with quiet.{how}():
    pathlib.Path(sys.argv[1]).touch()
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Holder:
    """A process that waits for the lock, holds it, and gives it back when it is told."""

    process: subprocess.Popen[bytes]
    note: Path

    def holds(self) -> bool:
        """Wait until the process has the lock."""
        return bool(eventually(self.note.exists, LIMIT))

    def waits(self) -> bool:
        """Wait until the kernel shows that the process waits for a lock; see proc(5), /proc/locks."""
        waiting = re.compile(rf"-> FLOCK +ADVISORY +\w+ +{self.process.pid} ")
        return bool(eventually(lambda: waiting.search(Path("/proc/locks").read_text()), LIMIT))

    def give_back(self) -> None:
        """Let the process end, and so the lock go."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(LIMIT) == 0


Hold = Callable[..., Holder]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    """``hold("shared")`` or ``hold("alone")``: a process that wants the lock."""
    made: list[Holder] = []

    def start(how: str, **more: str) -> Holder:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "tests"),
            VARIABLE: str(tmp_path / "lock"),
            **more,
        }
        note = tmp_path / f"{len(made)} has it"
        command = [sys.executable, "-c", HOLDS.format(how=how), str(note)]
        made.append(Holder(subprocess.Popen(command, stdin=subprocess.PIPE, env=environment), note))
        return made[-1]

    yield start
    for one in made:
        one.process.kill()
        one.process.wait(LIMIT)


def test_tests_run_beside_each_other(hold: Hold) -> None:
    first, second = hold("shared"), hold("shared")
    assert first.holds() and second.holds()


def test_a_quiet_step_waits_for_the_tests_that_run_and_no_other_begins_before_it(hold: Hold) -> None:
    running = hold("shared")
    assert running.holds()
    quiet = hold("alone")
    assert quiet.waits()
    later = hold("shared")
    assert later.waits(), "a stream of tests would keep the quiet step from ever running"
    running.give_back()
    assert quiet.holds()
    assert later.waits() and not later.note.exists()
    quiet.give_back()
    assert later.holds()


def test_who_walks_through_the_lab_does_not_wait_for_himself(hold: Hold) -> None:
    assert hold("alone").holds()
    assert hold("shared", **{WALKER: "1"}).holds()
