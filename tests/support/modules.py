# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules of this collection called as Ansible calls them: arguments on standard input, a result in JSON.

`run_module` starts an interpreter for a call. A `ModuleServer` forks one that has ansible and other libraries
loaded, which takes a tenth of the time; what runs is the same file as a program in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from support.forking import PATIENCE, ForkServer

MODULES = "ansible_collections.vipcast.baremetal.plugins.modules"
Json = dict[str, Any]


def run_module(name: str, arguments: Json, *, check: bool = False) -> Json:
    """Return the result of a module in an interpreter of its own."""
    return _result(
        subprocess.run(
            [sys.executable, "-m", f"{MODULES}.{name}"],
            input=_given(arguments, check),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    )


class ModuleServer:
    """Calls modules, with `libraries` loaded before. The command `enter` leads to where they run."""

    def __init__(self, *libraries: str, enter: Sequence[str] = ()) -> None:
        self._server = ForkServer("ansible.module_utils.basic", *libraries, enter=enter)

    def __call__(self, name: str, arguments: Json, *, check: bool = False) -> Json:
        """Return the result of a module."""
        return _result(self._server.run(f"{MODULES}.{name}", stdin=_given(arguments, check)))

    def close(self) -> None:
        """End it."""
        self._server.close()


def _given(arguments: Json, check: bool) -> str:
    options = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
    return json.dumps({"ANSIBLE_MODULE_ARGS": options})


def _result(done: subprocess.CompletedProcess[str]) -> Json:
    """Return what the module printed; one that fails says so in its exit status too."""
    assert done.stdout.strip(), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    result: Json = json.loads(done.stdout)
    assert done.returncode == int(bool(result.get("failed"))), (done.returncode, result)
    return result
