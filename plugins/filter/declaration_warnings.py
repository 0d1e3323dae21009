# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `declaration_warnings`: what is declared and not done yet, as a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration import read_declaration
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration_values import DeclarationError
from ansible_collections.vipcast.baremetal.plugins.module_utils._declared import plain, shortfalls


def declaration_warnings(hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """What the load balancer does not do yet of what is declared; empty where the declaration is wrong."""
    try:
        return shortfalls(plain(read_declaration(hostvars, groups)))
    except DeclarationError:
        return []


class FilterModule:
    """What ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"declaration_warnings": declaration_warnings}
