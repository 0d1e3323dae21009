# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs vtysh through the connection, and thinks on the control node: the router needs a shell and no
Python."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.vipcast.baremetal.plugins.module_utils._router import dialects
from ansible_collections.vipcast.baremetal.plugins.module_utils._router import intent as intents
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.connection import shell_of
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.converge import (
    Options,
    Outcome,
    converge,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.errors import Refusal
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.options import BGP_ROUTER
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.shell import Vtysh


class ActionModule(ActionBase):
    """The work of the module C(bgp_router)."""

    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Converge the router; a refusal becomes a failed result with its name in C(reason)."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(argument_spec=BGP_ROUTER)
        options = Options(
            check=self._task.check_mode,
            save=args["save"],
            replace_as=args["replace_as"],
            reset_sessions=args["reset_sessions"],
            confirm_timeout=args["confirm_timeout"],
        )
        try:
            vtysh = Vtysh(shell_of(self), args["vtysh_command"])
            outcome = converge(vtysh, intents.intent_from(args), options)
        except Refusal as refusal:
            return {**result, **refusal.as_result()}
        return {**result, **_as_result(outcome, vtysh, self._task.diff)}


def _as_result(outcome: Outcome, vtysh: Vtysh, wants_diff: bool) -> dict[str, Any]:
    result: dict[str, Any] = {
        "changed": outcome.changed,
        "saved": outcome.saved,
        "commands": outcome.commands,
        "drift": outcome.drift,
        "foreign": outcome.foreign,
        "in_use": outcome.in_use,
    }
    if outcome.backup:
        result["backup"] = outcome.backup
    if vtysh.known:
        result["software"] = dialects.of(vtysh).name
        result["version"] = vtysh.version.text
        result["maximum_paths_limit"] = vtysh.version.multipath
    if outcome.warnings:
        result["warnings"] = outcome.warnings
    if wants_diff:
        headers = {"before_header": "running configuration", "after_header": "declaration"}
        result["diff"] = {"before": outcome.before, "after": outcome.after, **headers}
    return result
