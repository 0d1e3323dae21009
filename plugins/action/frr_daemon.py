# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Installs and enables FRR through the connection; the router needs a shell and no Python."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.connection import shell_of
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.daemon import Wanted, converge
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.intent import Reason, Refusal
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.options import FRR_DAEMON


class ActionModule(ActionBase):
    """The work of the module C(frr_daemon)."""

    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Converge the router's FRR; a refusal becomes a failed result with its name in C(reason)."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(argument_spec=FRR_DAEMON)
        try:
            state = converge(shell_of(self), _wanted(args, self._task.check_mode))
        except Refusal as refusal:
            return {**result, **refusal.as_result()}
        result.update(changed=state.changed, drift=state.drift)
        result.update(installed=state.installed, restarted=state.restarted)
        result["platform"] = dataclasses.asdict(state.platform) if state.platform else {}
        if self._task.diff:
            name = args["daemons_file"]
            result["diff"] = {
                "before": state.before,
                "after": state.after,
                "before_header": name,
                "after_header": name,
            }
        return result


def _wanted(args: dict[str, Any], check: bool) -> Wanted:
    for name in [*args["daemons"], *(args["packages"] or [])]:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+_-]*", name):
            raise Refusal(Reason.BAD_OPTION, f"daemons, packages: {name!r} is no name of a daemon or package")
    return Wanted(
        daemons=tuple(args["daemons"]),
        install=args["install"],
        packages=tuple(args["packages"]) if args["packages"] else None,
        daemons_file=args["daemons_file"],
        service=args["service"],
        local_terminals=args["local_terminals"],
        timeout=args["timeout"],
        check=check,
    )
