# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner of ``make test`` with stages of a test's own: real processes, small commands."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / ".ci"))

from pipeline import Pipeline, closing_line, keep, summary  # noqa: E402
from stages import PARTS, TEST, Priority, Stage  # noqa: E402


def shell(name: str, script: str, lane: str = "one", **more: object) -> Stage:
    return Stage(name, ("sh", "-c", script), lane, **more)  # type: ignore[arg-type]


def run(folder: Path, *stages: Stage, keep_going: bool = False) -> tuple[bool, Pipeline]:
    pipeline = Pipeline(stages, folder, keep_going=keep_going)
    return pipeline.run(), pipeline


def runs(pid: int) -> bool:
    """Return whether a process runs; one that ended and that nobody has asked for has no arguments left."""
    arguments = Path(f"/proc/{pid}/cmdline")
    return arguments.exists() and arguments.read_bytes() != b""


def results(pipeline: Pipeline) -> dict[str, str]:
    return {run.stage.name: run.result.partition(":")[0] for run in pipeline.done}


def test_a_stage_waits_for_what_it_needs(tmp_path: Path) -> None:
    made = tmp_path / "made"
    first = shell("first", f"sleep 0.5; touch {made}", "a")
    passed, pipeline = run(tmp_path, shell("second", f"test -e {made}", "b", needs=("first",)), first)
    assert passed
    assert results(pipeline) == {"first": "ok", "second": "ok"}


def test_stages_of_one_lane_take_turns_and_those_of_two_do_not(tmp_path: Path) -> None:
    log = tmp_path / "order"
    script = f"echo begin $0 >>{log}; sleep 0.6; echo end $0 >>{log}"
    stages = [
        Stage(name, ("sh", "-c", script, name), lane) for name, lane in (("a", "x"), ("b", "x"), ("c", "y"))
    ]
    assert run(tmp_path, *stages)[0]
    lines = log.read_text().splitlines()
    assert lines.index("end a") < lines.index("begin b")
    assert lines.index("begin c") < lines.index("end a")


def test_the_first_failure_stops_the_others_with_all_that_they_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    child = tmp_path / "child"
    slow = shell("slow", f"sleep 300 & echo $! >{child}; wait", "a")
    bad = shell("bad", f"while ! test -s {child}; do sleep 0.1; done; echo what was wrong; exit 3", "b")
    began = time.monotonic()
    passed, pipeline = run(tmp_path, slow, bad, shell("after", "true", needs=("bad",)))
    assert not passed
    assert time.monotonic() - began < 60
    assert results(pipeline) == {"bad": "FAILED", "slow": "stopped"}
    assert [stage.name for stage in pipeline.left_out] == ["after"]
    assert "what was wrong" in capsys.readouterr().out
    assert not runs(int(child.read_text()))
    assert closing_line(pipeline.done) == "0 passed, 1 failed"


def test_with_keep_going_only_what_needs_the_failed_stage_is_left_out(tmp_path: Path) -> None:
    stages = shell("bad", "false"), shell("after", "true", needs=("bad",)), shell("other", "true")
    passed, pipeline = run(tmp_path, *stages, keep_going=True)
    assert not passed
    assert results(pipeline) == {"bad": "FAILED", "other": "ok"}
    assert [stage.name for stage in pipeline.left_out] == ["after"]


def test_a_stage_that_hangs_is_ended_and_named(tmp_path: Path) -> None:
    passed, pipeline = run(tmp_path, shell("hangs", "sleep 300", limit=1))
    assert not passed
    (hung,) = pipeline.done
    assert (hung.stage.name, hung.result) == ("hangs", "FAILED: no end after 1 s")
    assert hung.process.poll() is not None


def test_a_filler_runs_in_the_idle_class_and_others_do_not(tmp_path: Path) -> None:
    stages = [shell(one.name.lower(), "chrt -p $$; nice", priority=one) for one in Priority]
    assert run(tmp_path, *stages)[0]
    said = {one: (tmp_path / f"{one.name.lower()}.log").read_text() for one in Priority}
    assert "SCHED_IDLE" in said[Priority.FILLER]
    assert "SCHED_OTHER" in said[Priority.ALONE] and "SCHED_OTHER" in said[Priority.BESIDE]
    own = int(subprocess.run(["nice"], capture_output=True, text=True, check=True, timeout=10).stdout)
    assert said[Priority.BESIDE].split()[-1] == str(min(own + 10, 19))


def test_tests_are_counted_from_the_junit_files(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('number', range(4))\n"
        "def test_number(number):\n    assert number != 3\n"
    )
    command = (
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rootdir={tmp_path}",
        str(tmp_path),
    )
    stage = shell("suite", f"{' '.join(command)} --junitxml=$VIPCAST_JUNIT", budget=1)
    _passed, pipeline = run(tmp_path, stage)
    assert closing_line(pipeline.done) == "3 passed, 1 failed"
    keep(pipeline.done, 12.3, tmp_path)
    kept = json.loads((tmp_path / "stages.json").read_text())
    assert [(row["stage"], row["tests"]) for row in kept["stages"]] == [("suite", 4)]
    assert any("FAILED" in line and "suite" in line for line in summary(pipeline.done, 12.3))


@pytest.mark.parametrize("name, stages", [("test", TEST), *PARTS.items()])
def test_the_tables_name_targets_that_exist_and_needs_that_come_before(
    name: str, stages: tuple[Stage, ...]
) -> None:
    targets = (ROOT / "Makefile").read_text()
    for number, stage in enumerate(stages):
        assert stage.command[0] == "make" and f"\n{stage.command[1]}:" in targets, stage
        known = {one.name for one in stages}
        assert set(stage.needs) <= known, stage
        assert stage.limit > 0, (name, number)
    if name != "test":
        assert sum(stage.limit for stage in stages) <= 80 * 60 * 2, "a part has to end within 80 minutes"


def test_stages_are_named_after_the_option_to_keep_going(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / ".ci/pipeline.py"), "test", "--keep-going", "lint", "no-such-stage"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, cwd=tmp_path)
    assert done.returncode == 2
    assert "no-such-stage: not one of " in done.stderr
