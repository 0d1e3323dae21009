# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a task or the role against the test's router with ansible-playbook, as a user would.

A role is run by the program itself. For a task, which most tests run a few of, ansible-playbook is forked
from a process that has its libraries loaded: half of its time is theirs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from support.forking import ForkServer

from .machine import NODES, ROUTER

# Said once for the whole cluster, for which no host may have a variable of its own.
SHARED = ("vipcast_bfd_profiles",)
PLAYBOOK = "ansible.cli.playbook"
LIBRARIES = (PLAYBOOK, "ansible.executor.playbook_executor", "ansible.plugins.strategy.linear")


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Answer:
    """The output of one run, and the result of the task that was registered."""

    rc: int
    output: str
    result: dict[str, Any]

    @property
    def drift(self) -> list[tuple[str, str, str, str]]:
        """The differences, each in the order of the columns of a report."""
        return [(d["what"], d["where"], d["expected"], d["found"]) for d in self.result["drift"]]


class Player:
    """An inventory in a folder of the test's own, and ways to run plays on it."""

    def __init__(self, work: Path, shell: Path) -> None:
        self.work = work
        self.inventory = work / "inventory.yml"
        self._settings = {
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCAL_TEMP": str(work / "tmp"),
        }
        self._loaded = ForkServer(*LIBRARIES, env=self._settings)
        self.variables: dict[str, Any] = {
            "ansible_connection": "local",
            "ansible_shell_executable": str(shell),
            "vipcast_router_asn": 64512,
            "ansible_host": ROUTER,
            "router_service": "script",
        }

    def close(self) -> None:
        """End what was kept ready."""
        self._loaded.close()

    def write_inventory(self, **variables: Any) -> None:
        """The lab's shape of an inventory; C(variables) are more of the router's, or of all hosts."""
        shared = {name: variables.pop(name) for name in SHARED if name in variables}
        nodes = {name: {"ansible_host": address} for name, address in NODES.items()}
        everything = {
            "all": {
                "vars": {
                    "vipcast_cluster_asn": 64513,
                    "vipcast_pools": [{"name": "default", "addresses": ["10.9.0.0/16"]}],
                    **shared,
                },
                "children": {
                    "nodes": {"hosts": nodes},
                    "routers": {"hosts": {"router": {**self.variables, **variables}}},
                },
            }
        }
        self.inventory.write_text(yaml.safe_dump(everything))

    def task(
        self, module: str, check: bool = False, variables: dict[str, Any] | None = None, **options: Any
    ) -> Answer:
        """One task of this collection."""
        play = {
            "hosts": "routers",
            "gather_facts": False,
            "tasks": [{f"vipcast.baremetal.{module}": options, "register": "answer", "ignore_errors": True}],
        }
        return self._play(play, self._forked, check, variables or {})

    def role(self, check: bool = False, tasks_from: str = "main", **variables: Any) -> Answer:
        """The whole role, or another entry point of it; the result is its fact."""
        entry = {"name": "vipcast.baremetal.router", "tasks_from": tasks_from}
        play: dict[str, Any] = {"hosts": "routers", "gather_facts": False}
        play["tasks"] = [
            {"ansible.builtin.import_role": entry},
            {"ansible.builtin.set_fact": {"answer": {"drift": "{{ router_drift }}"}}},
        ]
        return self._play(play, self._program, check, variables)

    def _play(self, play: dict[str, Any], run: Run, check: bool, variables: dict[str, Any]) -> Answer:
        self.write_inventory(**variables)
        result = self.work / "result.json"
        result.unlink(missing_ok=True)
        play["tasks"].append(
            {
                "ansible.builtin.copy": {"content": "{{ answer | to_json }}", "dest": str(result)},
                "delegate_to": "localhost",
                "check_mode": False,
                "changed_when": False,
                "diff": False,
                "no_log": True,
            }
        )
        book = self.work / "play.yml"
        book.write_text(yaml.safe_dump([play]))
        flags = ["-i", str(self.inventory), "-vvv", "--diff", *(["--check"] if check else [])]
        done = run(*flags, str(book))
        found = json.loads(result.read_text()) if result.exists() else {}
        return Answer(done.returncode, done.stdout + done.stderr, found)

    def _forked(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._loaded.run(PLAYBOOK, *arguments)

    def _program(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        environment = {**os.environ, **self._settings}
        return subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=120, env=environment, check=False
        )


def recap(output: str) -> dict[str, int]:
    """C(ok), C(changed), C(failed) ... of the router in the last lines."""
    line = next(line for line in output.splitlines() if line.startswith("router "))
    pairs = (word.split("=") for word in line.split(":", 1)[1].split())
    return {name: int(value) for name, value in pairs}
