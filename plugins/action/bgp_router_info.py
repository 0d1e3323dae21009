# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks a router through the connection with show commands that are known to be safe; changes nothing."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.connection import shell_of
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.errors import Refusal
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.gather import gather, networks
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.options import BGP_ROUTER_INFO
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.shell import Vtysh


class ActionModule(ActionBase):
    """The work of the module C(bgp_router_info)."""

    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Gather the facts; a refusal becomes a failed result with its name in C(reason)."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(argument_spec=BGP_ROUTER_INFO)
        try:
            prefixes = None if args["prefixes"] is None else networks(args["prefixes"])
            vtysh = Vtysh(shell_of(self), args["vtysh_command"])
            return {**result, "changed": False, **gather(vtysh, prefixes, args["neighbors"])}
        except Refusal as refusal:
            return {**result, **refusal.as_result()}
