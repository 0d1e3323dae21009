# SPDX-License-Identifier: GPL-3.0-or-later
"""The module report: lines for people as they are, and as data for programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TABLE = ['ADDRESS     "NODE"', "10.9.0.7    n1"]
Play = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """``play(callback, unreachable=...)``: a play with the report, and a task behind it."""

    def run(callback: str = "ansible.builtin.default", *flags: str, **options: Any) -> Any:
        report = {"vipcast.baremetal.report": {"lines": TABLE, **options}, "register": "told"}
        after = {"ansible.builtin.debug": {"msg": "{{ told.lines | length }} lines, {{ told.changed }}"}}
        book = [{"hosts": "localhost", "gather_facts": False, "tasks": [report, after]}]
        (tmp_path / "play.yml").write_text(json.dumps(book))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        return subprocess.run(
            [program, "-i", "localhost,", *flags, str(tmp_path / "play.yml")],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_STDOUT_CALLBACK": callback},
        )

    return run


def test_lines_are_printed_as_they_are_and_returned(play: Play) -> None:
    done = play("ansible.builtin.default", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n" + "\n".join(TABLE) + "\n" in done.stdout
    assert "2 lines, False" in done.stdout


def test_what_programs_read_stays_what_they_can_read(play: Play) -> None:
    done = play("ansible.builtin.oneline")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n" + "\n".join(TABLE) + "\n" not in done.stdout
    assert "2 lines, False" in done.stdout


def test_a_report_that_is_not_complete_makes_the_host_unreachable(play: Play) -> None:
    done = play(unreachable=True)
    assert done.returncode == 4
    assert "\n".join(TABLE) in done.stdout
    assert "not everything could be asked" in done.stdout
    assert "unreachable=1" in done.stdout


def test_without_lines_nothing_is_told(play: Play) -> None:
    done = play(lines="{{ 1 }}", liens=[])
    assert done.returncode == 2
    assert "liens" in done.stdout + done.stderr


def test_the_content_is_in_the_file_before_anything_is_said(play: Play, tmp_path: Path) -> None:
    """The file is written whoever could not be asked, in check mode too, and anybody may read it."""
    path = tmp_path / "made/for it/report.json"
    for content, flags in (("first, and longer\n", ()), ("äöü\n", ("--check",))):
        done = play("ansible.builtin.default", *flags, path=str(path), content=content, unreachable=True)
        assert done.returncode == 4, done.stdout + done.stderr
        assert path.read_text(encoding="utf-8") == content
    assert path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in path.parent.iterdir()] == ["report.json"]
    assert "\n".join(TABLE) in done.stdout


def test_a_report_that_cannot_be_written_fails_and_leaves_nothing(play: Play, tmp_path: Path) -> None:
    taken = tmp_path / "out/taken"
    taken.mkdir(parents=True)
    done = play(path=str(taken), content="in vain")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "cannot write the report" in done.stdout and str(taken) in done.stdout
    assert "\n".join(TABLE) not in done.stdout
    assert [each.name for each in taken.parent.iterdir()] == ["taken"]


def test_without_a_path_nothing_is_written(play: Play, tmp_path: Path) -> None:
    before = {each.name for each in Path.cwd().iterdir()}
    done = play(content="for nobody")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {each.name for each in Path.cwd().iterdir()} == before
    assert {each.name for each in tmp_path.iterdir()} == {"play.yml"}
