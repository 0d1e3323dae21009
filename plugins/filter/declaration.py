# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `declaration`: a thin door to module_utils/_declaration/reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.memo import remembered
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.outputs import judge, plain
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.reader import read_declaration
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.values import DeclarationError


def declaration(hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return what the inventory declares, checked, as plain data."""
    if not isinstance(hostvars, Mapping) or not isinstance(groups, Mapping):
        raise AnsibleFilterError("use it as: hostvars | vipcast.baremetal.declaration(groups)")
    return remembered(hostvars, groups, _read)


def _read(hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    try:
        declared = plain(read_declaration(hostvars, groups))
    except DeclarationError as exc:
        raise AnsibleFilterError(str(exc)) from None
    problems = judge(declared)
    if problems:
        raise AnsibleFilterError("the load balancer would refuse this: " + "; ".join(problems))
    return declared


class FilterModule:
    """The class that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"declaration": declaration}
