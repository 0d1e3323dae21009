# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `declaration_problems`: what the filter `declaration` refuses, as a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.outputs import judge, plain
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.reader import read_declaration
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.values import DeclarationError


def declaration_problems(hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Everything that is wrong with what the inventory declares; empty where nothing is."""
    try:
        return judge(plain(read_declaration(hostvars, groups)))
    except DeclarationError as exc:
        return [str(exc)]


class FilterModule:
    """The class that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"declaration_problems": declaration_problems}
