# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Installs and enables FRR through the connection; the router needs a shell and no Python."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.vipcast.baremetal.plugins.module_utils._router import elsewhere
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.connection import shell_of
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.daemon import State, Wanted, converge
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.daemon_removal import put_back
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.errors import Reason, Refusal
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.options import FRR_DAEMON
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.shell import Shell, Vtysh


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
            work = _converge if args["state"] == "present" else _put_back
            state = work(shell_of(self), args, _wanted(args, self._task.check_mode))
        except Refusal as refusal:
            return {**result, **refusal.as_result()}
        result.update(changed=state.changed, drift=state.drift)
        result.update(installed=state.installed, restarted=state.restarted, in_use=state.in_use)
        if state.warnings:
            result["warnings"] = state.warnings
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


def _converge(shell: Shell, args: dict[str, Any], wanted: Wanted) -> State:
    if args["vtysh_command"] != elsewhere.OWN_COMMAND:
        elsewhere.look(Vtysh(shell, args["vtysh_command"]), args["vtysh_command"], wanted.daemons)
        return State()
    elsewhere.check_free(shell)
    return converge(shell, wanted)


def _put_back(shell: Shell, args: dict[str, Any], wanted: Wanted) -> State:
    """An FRR that is not this system's was not switched on by us."""
    return put_back(shell, wanted) if args["vtysh_command"] == elsewhere.OWN_COMMAND else State()


def _wanted(args: dict[str, Any], check: bool) -> Wanted:
    for name in [*args["daemons"], *(args["packages"] or [])]:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+_-]*", name):
            raise Refusal(Reason.BAD_OPTION, f"daemons, packages: {name!r} is no name of a daemon or package")
    return Wanted(
        daemons=tuple(args["daemons"]),
        install=args["install"],
        packages=tuple(args["packages"]) if args["packages"] else None,
        ip_full=args["ip_full"],
        daemons_file=args["daemons_file"],
        service=args["service"],
        local_terminals=args["local_terminals"],
        timeout=args["timeout"],
        own_neighbors=tuple(args["own_neighbors"]),
        reset_sessions=args["reset_sessions"],
        check=check,
    )
