# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets sysctls through the connection; the router needs a shell and no Python."""

from __future__ import annotations

import re
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.connection import shell_of
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.errors import Reason, Refusal
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.options import ROUTER_SYSCTL
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.sysctl import (
    State,
    converge,
    put_back,
)


class ActionModule(ActionBase):
    """The work of the module C(router_sysctl)."""

    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Converge the router's sysctls; a refusal becomes a failed result with its name in C(reason)."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(argument_spec=ROUTER_SYSCTL)
        try:
            state = self._work(args)
        except Refusal as refusal:
            return {**result, **refusal.as_result()}
        result.update(changed=state.changed, drift=state.drift, path=state.path, left_out=state.skipped)
        if self._task.diff:
            result["diff"] = {"before": state.before, "after": state.after}
        return result

    def _work(self, args: dict[str, Any]) -> State:
        check = self._task.check_mode
        if args["state"] == "absent":
            return put_back(shell_of(self), check)
        if args["values"] is None:
            raise Refusal(Reason.BAD_OPTION, "values: say which kernel parameters, as net.ipv4.ip_forward: 1")
        return converge(shell_of(self), _texts(args["values"]), args["path"], check)


def _texts(values: dict[str, Any]) -> dict[str, str]:
    found = {str(name): " ".join(str(value).split()) for name, value in values.items()}
    for name, text in found.items():
        if not re.fullmatch(r"[A-Za-z0-9 ._,:-]+", text):
            raise Refusal(Reason.BAD_OPTION, f"values: {name}: {text!r} is no value of a sysctl")
    return found
