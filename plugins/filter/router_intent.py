# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `router_intent`: a thin door to module_utils/_declaration/outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration import outputs


def router_intent(declaration: Mapping[str, Any], host: str) -> dict[str, Any]:
    """Return what the router with this inventory name should have."""
    if not isinstance(declaration, Mapping) or "routers" not in declaration:
        raise AnsibleFilterError(
            "the input is not a declaration; use hostvars | vipcast.baremetal.declaration(groups)"
        )
    try:
        return outputs.router_intent(declaration, str(host))
    except ValueError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """The class that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"router_intent": router_intent}
