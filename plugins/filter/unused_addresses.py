# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `unused_addresses`: a thin door to module_utils/_verify."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify import pools


def unused_addresses(
    declaration: Mapping[str, Any], cluster: Mapping[str, Any], limit: int = 256
) -> list[str]:
    """Addresses that nobody on the segment should answer for."""
    if not isinstance(declaration, Mapping) or not isinstance(cluster, Mapping) or "services" not in cluster:
        raise AnsibleFilterError("use it as: declaration | vipcast.baremetal.unused_addresses(cluster)")
    return pools.unused_addresses(declaration, cluster, int(limit))


class FilterModule:
    """The class that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"unused_addresses": unused_addresses}
