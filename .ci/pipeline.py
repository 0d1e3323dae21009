# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the stages of ``make test``, or of one part of ``make test-all``, and say at the end what each took.

    python .ci/pipeline.py test [--keep-going] [STAGE ...]
    python .ci/pipeline.py all [PART ...]

Each stage's output, its JUnit file and the table of times are kept in ``report/test/``. The exit status is 0
where every stage passed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from stages import PARTS, TEST, Stage

CHECKOUT = Path(__file__).resolve().parents[1]
# Seconds between two lines that tell what is running, and between two looks at what has ended.
TELL, LOOK = 60.0, 0.2
# Seconds that a stage has to end after SIGINT: pytest ends its routers and servers in that time.
PATIENCE = 20.0
# Lines of a failed stage's output that are shown.
SHOWN = 150


@dataclass
class Run:
    """A stage that was started: its process, when it began, and how it ended."""

    stage: Stage
    folder: Path
    process: subprocess.Popen[bytes]
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    result: str = ""

    @property
    def log(self) -> Path:
        return self.folder / f"{self.stage.name}.log"

    def look(self) -> bool:
        """Return whether the stage has ended; a stage over its limit is ended here."""
        status = self.process.poll()
        self.seconds = time.monotonic() - self.began
        if status is None and self.seconds > self.stage.limit:
            end(self.process)
            self.result = f"FAILED: no end after {self.stage.limit} s"
        elif status is not None:
            self.result = "ok" if status == 0 else f"FAILED: exit status {status}"
        return bool(self.result)

    def stop(self) -> None:
        """End a stage that is not to be waited for."""
        end(self.process)
        self.seconds, self.result = time.monotonic() - self.began, "stopped"

    def last_lines(self, number: int) -> list[str]:
        """Return the end of what the stage printed."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return [line for line in lines if line.strip()][-number:]

    def tests(self) -> tuple[int, int]:
        """Return how many tests passed and failed, from the stage's JUnit files."""
        passed = failed = 0
        for path in self.folder.glob(f"{self.stage.name}*.xml"):
            for suite in ET.parse(path).iter("testsuite"):
                bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
                failed += bad
                passed += int(suite.get("tests", 0)) - bad - int(suite.get("skipped", 0))
        return passed, failed


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started: as Ctrl-C does, so that pytest clears up, then by force."""
    for number, patience in ((signal.SIGINT, PATIENCE), (signal.SIGTERM, 5.0), (signal.SIGKILL, 10.0)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return
    process.poll()


def start(stage: Stage, folder: Path) -> Run:
    """Start a stage in a process group of its own, its output in ``FOLDER/NAME.log``."""
    ours = {
        "VIPCAST_JUNIT": str(folder / f"{stage.name}.xml"),
        "VIPCAST_QUIET_LOCK": str(folder / "quiet.lock"),
    }
    command = [*stage.priority.value, *stage.command]
    with (folder / f"{stage.name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env={**os.environ, **ours},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    say(f"{stage.name}: started ({' '.join(stage.command)})")
    return Run(stage, folder, process)


def say(text: str) -> None:
    """Print one line with the time of day."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


class Pipeline:
    """Starts each stage when what it needs is done and its lane is free, until all have ended."""

    def __init__(self, stages: Sequence[Stage], folder: Path, *, keep_going: bool) -> None:
        self._waiting = list(stages)
        self._names = {stage.name for stage in stages}
        self._folder = folder
        self._keep_going = keep_going
        self._running: list[Run] = []
        self.done: list[Run] = []
        self.left_out: list[Stage] = []

    def run(self) -> bool:
        """Run everything; return whether all of it passed."""
        told = time.monotonic()
        try:
            while self._waiting or self._running:
                self._start_what_can()
                self._collect()
                if time.monotonic() - told > TELL:
                    told = time.monotonic()
                    self._tell()
                time.sleep(LOOK)
        finally:
            self._stop_all()
        return not self.left_out and all(run.result == "ok" for run in self.done)

    def _start_what_can(self) -> None:
        for stage in list(self._waiting):
            if self._can_start(stage):
                self._waiting.remove(stage)
                self._running.append(start(stage, self._folder))

    def _collect(self) -> None:
        for run in [run for run in self._running if run.look()]:
            self._running.remove(run)
            self.done.append(run)
            self._report(run)
        failed = any(run.result != "ok" for run in self.done)
        if failed and not self._keep_going:
            self._stop_all()
            self._leave_out()
        elif not self._running and not any(self._can_start(stage) for stage in self._waiting):
            # What is left needs a stage that failed.
            self._leave_out()

    def _leave_out(self) -> None:
        self.left_out, self._waiting = [*self.left_out, *self._waiting], []

    def _can_start(self, stage: Stage) -> bool:
        passed = {run.stage.name for run in self.done if run.result == "ok"}
        lanes = {run.stage.lane for run in self._running}
        return stage.lane not in lanes and set(stage.needs) & self._names <= passed

    def _report(self, run: Run) -> None:
        if run.result == "ok":
            said = "".join(run.last_lines(1))
            say(f"{run.stage.name}: ok, {run.seconds:.0f} s  {said[:120]}")
            return
        say(f"{run.stage.name}: {run.result} after {run.seconds:.0f} s; the end of {run.log}:")
        print("\n".join(run.last_lines(SHOWN)), flush=True)

    def _tell(self) -> None:
        for run in self._running:
            say(f"{run.stage.name}: {run.seconds:.0f} s  {''.join(run.last_lines(1))[:120]}")

    def _stop_all(self) -> None:
        for run in self._running:
            say(f"{run.stage.name}: stopped, for another stage failed or the run was interrupted")
            run.stop()
            self.done.append(run)
            if "molecule" in run.stage.command:
                subprocess.run(["make", "lab-down"], cwd=CHECKOUT, check=False, timeout=300)
        self._running = []


def summary(done: Sequence[Run], seconds: float) -> list[str]:
    """Return the table of stages: how each ended, its time beside its budget, its tests."""
    lines = [f"  {'stage':<14} {'result':<8} {'seconds':>8} {'budget':>7} {'tests':>6}"]
    for run in done:
        budget = str(run.stage.budget or "")
        over = "  over its budget" if run.stage.budget and run.seconds > run.stage.budget else ""
        passed, failed = run.tests()
        result = run.result.partition(":")[0]
        tests = str(passed + failed or "")
        lines.append(f"  {run.stage.name:<14} {result:<8} {run.seconds:>8.0f} {budget:>7} {tests:>6}{over}")
    return [*lines, f"  {'whole run':<14} {'':<8} {seconds:>8.0f}"]


def closing_line(done: Sequence[Run]) -> str:
    """Return ``N passed, N failed``: tests, and one failure for each stage that failed without one."""
    passed = failed = 0
    for run in done:
        good, bad = run.tests()
        passed += good
        failed += bad or (run.result not in ("ok", "stopped"))
    return f"{passed} passed, {failed} failed"


def keep(done: Sequence[Run], seconds: float, folder: Path) -> None:
    """Write ``stages.json``: seconds, budget and result of each stage, and the machine's size."""
    rows = [
        {"stage": run.stage.name, "result": run.result, "seconds": round(run.seconds, 1),
         "budget": run.stage.budget, "tests": sum(run.tests())}
        for run in done
    ]  # fmt: skip
    found = {"cores": os.cpu_count(), "seconds": round(seconds, 1), "stages": rows}
    (folder / "stages.json").write_text(json.dumps(found, indent=1) + "\n")


def run_stages(stages: Sequence[Stage], name: str, *, keep_going: bool) -> bool:
    """Run stages, keep and print what they took; return whether all passed."""
    folder = CHECKOUT / "report" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.monotonic()
    pipeline = Pipeline(stages, folder, keep_going=keep_going)
    passed = False
    try:
        passed = pipeline.run()
    finally:
        seconds = time.monotonic() - began
        keep(pipeline.done, seconds, folder)
        print("", *summary(pipeline.done, seconds), "", sep="\n")
        print(closing_line(pipeline.done), flush=True)
    return passed


def interrupted(number: int, _frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that what runs is ended and the lab is taken down."""
    raise KeyboardInterrupt(signal.Signals(number).name)


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["test", "all"])
    parser.add_argument("names", nargs="*", help="stages (test) or parts (all); without any: all of them")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first failure")
    options = parser.parse_intermixed_args()
    signal.signal(signal.SIGTERM, interrupted)
    known = [stage.name for stage in TEST] if options.what == "test" else list(PARTS)
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"{', '.join(unknown)}: not one of {', '.join(known)}")
    if options.what == "test":
        chosen = [stage for stage in TEST if stage.name in (options.names or known)]
        return 0 if run_stages(chosen, "test", keep_going=options.keep_going) else 1
    parts = options.names or known
    results = [run_stages(PARTS[part], f"test-all/{part}", keep_going=True) for part in parts]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
