# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks a host by its shell. A host that does not answer is data, not the end of a loop over many."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

ARGUMENTS = {"command": {"type": "str", "required": True}}


class ActionModule(ActionBase):
    """The work of the module C(shell_info)."""

    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the shell says, or why it says nothing."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(argument_spec=ARGUMENTS)
        return {**result, "changed": False, **self._ask(args["command"])}

    def _ask(self, command: str) -> dict[str, Any]:
        try:
            said = self._low_level_execute_command(command)
        except AnsibleConnectionFailure as exc:
            return {"answered": False, "connected": False, "reason": str(exc).strip()}
        except AnsibleError as exc:  # nobody becomes root
            return {"answered": False, "connected": True, "reason": str(exc).strip()}
        answer = {key: said.get(key, "") for key in ("rc", "stdout", "stderr")}
        return {"answered": True, "connected": True, **answer}
