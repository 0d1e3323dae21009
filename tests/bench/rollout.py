# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what a rollout without a change, and a look for drift, cost on a running lab.

    make lab && ansible-playbook playbooks/site.yml
    python tests/bench/rollout.py [--rounds N] [--inventory FOLDER] [--plain-config] [--tasks N]

Each round runs `site.yml` and `drift.yml`, which have to change nothing and to find nothing. Measured is the
time on the wall, and the CPU time of ansible-playbook with all its children: on a busy machine only that
says something. The nodes' and routers' own work is not in it, nor that of shared ssh connections.
One more round, which is not in the medians, tells which tasks cost most, and how many module processes and
commands over ssh they started.

`--plain-config` runs as an installed collection is: without this checkout's ansible.cfg.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[2]
PLAYBOOKS = ("site.yml", "drift.yml")


@dataclass(frozen=True)
class Run:
    """The cost of one run of a playbook, in seconds."""

    wall: float
    cpu: float


class Runner:
    """Runs playbooks on one inventory."""

    def __init__(self, inventory: str, environment: Mapping[str, str]) -> None:
        self._program = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", inventory]
        self._environment = {**os.environ, **environment}

    def run(self, playbook: str, **environment: str) -> Run:
        """Run it once; what it prints is shown when it fails or changes something."""
        with tempfile.TemporaryFile("w+") as out:
            start = time.monotonic()
            process = subprocess.Popen(
                [*self._program, f"playbooks/{playbook}"],
                cwd=CHECKOUT,
                env={**self._environment, **environment},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
            _pid, status, used = os.wait4(process.pid, 0)
            wall = time.monotonic() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            demand_silence(playbook, process.returncode, out.read())
        return Run(wall, used.ru_utime + used.ru_stime)

    def costs(self, playbook: str) -> list[dict[str, Any]]:
        """Run it once more, and return what each task cost."""
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder, "costs.json")
            self.run(
                playbook,
                ANSIBLE_CALLBACK_PLUGINS=str(CHECKOUT / "tests/bench/callback"),
                ANSIBLE_CALLBACKS_ENABLED="task_costs",
                VIPCAST_TASK_COSTS=str(report),
            )
            found: list[dict[str, Any]] = json.loads(report.read_text())
        return found


def demand_silence(playbook: str, status: int, text: str) -> None:
    """A run that changed something, or failed, is not what is measured."""
    if status or re.search(r"changed=[1-9]", text):
        raise SystemExit(f"{playbook} failed, or changed something:\n{text}")


def row(name: str, unit: str, values: Sequence[float]) -> str:
    """Return a line with the median and the spread."""
    spread = f"{min(values):.1f} to {max(values):.1f}"
    return f"{name:<10} {unit:<6} {len(values):>6} {statistics.median(values):>8.1f}  {spread}"


def show(playbook: str, costs: Sequence[Mapping[str, Any]], slowest: int) -> None:
    """Print what was started, and the tasks that cost most."""
    total = {what: sum(each[what] for each in costs) for what in ("modules", "commands", "declarations")}
    print(
        f"\n{playbook}: {len(costs)} tasks, {total['modules']} module processes, {total['commands']} commands"
        f" over ssh, the declaration read {total['declarations']} times"
    )
    print(f"  {'wall s':>6} {'CPU s':>6} {'modules':>7} {'ssh':>4} {'read':>4}  task")
    for each in sorted(costs, key=lambda each: -each["cpu"])[:slowest]:
        counts = f"{each['modules']:>7} {each['commands']:>4} {each['declarations']:>4}"
        print(f"  {each['wall']:>6.2f} {each['cpu']:>6.2f} {counts}  {each['task']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--inventory", default="inventories/lab")
    parser.add_argument("--plain-config", action="store_true", help="without the checkout's ansible.cfg")
    parser.add_argument("--tasks", type=int, default=15, help="how many tasks to show")
    options = parser.parse_args()
    runner = Runner(options.inventory, {"ANSIBLE_CONFIG": os.devnull} if options.plain_config else {})
    runs = {name: [runner.run(name) for _round in range(options.rounds)] for name in PLAYBOOKS}
    print(f"{'playbook':<10} {'':<6} {'rounds':>6} {'median':>8}  spread")
    for name, found in runs.items():
        print(row(name, "wall s", [each.wall for each in found]))
        print(row(name, "CPU s", [each.cpu for each in found]))
    for name in PLAYBOOKS:
        show(name, runner.costs(name), options.tasks)


if __name__ == "__main__":
    main()
