# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints lines as they are: nobody reads a table that is JSON, with quotes around each row."""

from __future__ import annotations

from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Callbacks whose output programs read; they get the lines with the task's result, like everything else.
FOR_PROGRAMS = ("json", "jsonl", "junit", "null", "oneline")

ARGUMENTS = {
    "lines": {"type": "list", "elements": "str", "required": True},
    "unreachable": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """The work of the module C(report)."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Print and return the lines."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(argument_spec=ARGUMENTS)
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
