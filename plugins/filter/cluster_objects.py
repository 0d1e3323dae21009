# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `cluster_objects`: a thin door to module_utils/_declaration/outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration import outputs


def cluster_objects(declaration: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The manifests that follow from a declaration."""
    if not isinstance(declaration, Mapping) or "pools" not in declaration:
        raise AnsibleFilterError(
            "the input is not a declaration; use hostvars | vipcast.baremetal.declaration(groups)"
        )
    return outputs.cluster_objects(declaration)


class FilterModule:
    """The class that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"cluster_objects": cluster_objects}
