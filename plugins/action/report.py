# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints lines as they are: nobody reads a table that is JSON, with quotes around each row."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Callbacks whose output programs read; they get the lines with the task's result, like everything else.
FOR_PROGRAMS = ("json", "jsonl", "junit", "null", "oneline")

ARGUMENTS = {
    "lines": {"type": "list", "elements": "str", "required": True},
    "unreachable": {"type": "bool", "default": False},
    "path": {"type": "path"},
    "content": {"type": "str", "default": ""},
}


class ActionModule(ActionBase):
    """The work of the module C(report)."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Print and return the lines."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(argument_spec=ARGUMENTS)
        try:
            _write(args["path"], args["content"])
        except OSError as exc:
            return {**result, "failed": True, "msg": f"cannot write the report: {exc}"}
        if (
            constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK").rpartition(".")[2]
            not in FOR_PROGRAMS
        ):
            Display().display("\n".join(["", *args["lines"], ""]))
        if args["unreachable"]:
            return {
                **result,
                "unreachable": True,
                "msg": "not everything could be asked",
                "lines": args["lines"],
            }
        return {**result, "changed": False, "lines": args["lines"]}


def _write(path: str | None, content: str) -> None:
    """Write a file that is there as a whole or not at all, with the folders above it."""
    if not path:
        return
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8") as file:
        try:
            file.write(content)
            file.flush()
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except OSError:
            os.unlink(file.name)
            raise
