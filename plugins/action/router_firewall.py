# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets BGP and BFD through an OpenWrt router's packet filter; the router needs a shell and no Python."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.connection import shell_of
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.errors import Reason, Refusal
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.firewall import Wanted, converge
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.options import ROUTER_FIREWALL


class ActionModule(ActionBase):
    """The work of the module C(router_firewall)."""

    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Converge the firewall's rules; a refusal becomes a failed result with its name in C(reason)."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, args = self.validate_argument_spec(argument_spec=ROUTER_FIREWALL)
        present = args["state"] == "present"
        try:
            state = converge(shell_of(self), _wanted(args, present, self._task.check_mode), present)
        except Refusal as refusal:
            return {**result, **refusal.as_result()}
        result.update(changed=state.changed, drift=state.drift, zones=state.zones, firewall=not state.skipped)
        if state.warnings:
            result["warnings"] = state.warnings
        if self._task.diff:
            result["diff"] = {"before": state.before, "after": state.after}
        return result


def _wanted(args: dict[str, Any], present: bool, check: bool) -> Wanted:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", args["name"]):
        raise Refusal(Reason.BAD_OPTION, f"name: {args['name']!r} is no name; VIPCAST is one")
    if present and not args["neighbors"] and not args["zones"]:
        raise Refusal(Reason.BAD_OPTION, "neighbors or zones: one of them says where the nodes are")
    for zone in args["zones"] or []:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", zone):
            raise Refusal(Reason.BAD_OPTION, f"zones: {zone!r} is no name of a zone")
    return Wanted(
        name=args["name"],
        services=tuple(args["services"]),
        neighbors=tuple(_address(text) for text in args["neighbors"]),
        zones=tuple(args["zones"]) if args["zones"] else None,
        check=check,
    )


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise Refusal(Reason.BAD_OPTION, f"neighbors: {error}") from None
