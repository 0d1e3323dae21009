# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what each task of a playbook costs, and what it starts, as JSON into the file VIPCAST_TASK_COSTS.

Counted are module processes, commands over ssh, and how often the inventory is read as a declaration. Workers
are forks of this process, so what is wrapped here is wrapped there too: each writes what happens as a line
into one file, and at its end the CPU seconds that it used with its children.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.executor.task_executor import TaskExecutor
from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase
from ansible.plugins.connection import ssh
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration import reader

DOCUMENTATION = """
name: task_costs
type: aggregate
short_description: Costs of each task
description: Seconds, CPU seconds, module processes and commands of each task.
"""

# A line in the file for each thing that is counted.
COUNTED = {"m": "modules", "c": "commands", "d": "declarations"}
SELF, CHILDREN = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN


def cpu_seconds(*which: int) -> float:
    """Return what this process, or its children that have ended, used."""
    used = [resource.getrusage(who) for who in which]
    return sum(each.ru_utime + each.ru_stime for each in used)


def counted(call: Callable[..., Any], letter: str, file: Path) -> Callable[..., Any]:
    """Return the function with a line written for each of its calls."""

    @functools.wraps(call)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        _note(letter, file)
        return call(*args, **kwargs)

    return wrapped


def timed(call: Callable[..., Any], file: Path) -> Callable[..., Any]:
    """Return what a worker does, with a line written about what it used."""

    @functools.wraps(call)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        finally:
            _note(f"{cpu_seconds(SELF, CHILDREN)}", file)

    return wrapped


def _note(line: str, file: Path) -> None:
    with file.open("a") as out:
        out.write(line + "\n")


class CallbackModule(CallbackBase):
    """Notes the costs at each task's start; a task ends where the next one starts."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_costs"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, display: Any = None, options: Any = None) -> None:
        super().__init__(display=display, options=options)
        self._report = Path(os.environ["VIPCAST_TASK_COSTS"])
        self._events = self._report.with_suffix(".events")
        self._events.write_text("")
        self._marks: list[tuple[str, float, float, int]] = []
        ActionBase._execute_module = counted(ActionBase._execute_module, "m", self._events)
        ssh.Connection._run = counted(ssh.Connection._run, "c", self._events)
        reader.read_declaration = counted(reader.read_declaration, "d", self._events)
        TaskExecutor.run = timed(TaskExecutor.run, self._events)

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._mark("(start)")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._mark(task.get_name())

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._mark("(end)")
        events = self._events.read_text().splitlines()
        costs = [
            self._cost(begin, end, events[begin[3] : end[3]])
            for begin, end in itertools.pairwise(self._marks)
        ]
        self._report.write_text(json.dumps(costs))

    def _mark(self, name: str) -> None:
        seen = self._events.read_text().count("\n")
        self._marks.append((name, time.monotonic(), cpu_seconds(SELF), seen))

    @staticmethod
    def _cost(
        begin: tuple[str, float, float, int], end: tuple[str, float, float, int], events: list[str]
    ) -> Any:
        counts = {name: events.count(letter) for letter, name in COUNTED.items()}
        workers = sum(float(event) for event in events if event not in COUNTED)
        return {"task": begin[0], "wall": end[1] - begin[1], "cpu": end[2] - begin[2] + workers, **counts}
