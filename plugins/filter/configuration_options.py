# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `configuration_options`: a thin door to module_utils/_declaration/manifests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.manifests import options_of


def configuration_options(declaration: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The declaration's objects as options of the modules for their kinds."""
    if not isinstance(declaration, Mapping) or "pools" not in declaration:
        raise AnsibleFilterError(
            "the input is not a declaration; use hostvars | vipcast.baremetal.declaration(groups)"
        )
    return options_of(declaration)


class FilterModule:
    """The class that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"configuration_options": configuration_options}
