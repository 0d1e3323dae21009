# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `drain_outlook`: a thin door to module_utils/_verify."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.drain import outlook
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.expectations import Scope


def drain_outlook(
    declaration: Mapping[str, Any],
    cluster: Mapping[str, Any],
    routers: Sequence[Mapping[str, Any]],
    nodes: Sequence[str] | str,
    *,
    load_balancer_class: str = "",
    ignore_exclude_label: bool = False,
) -> dict[str, Any]:
    """Return what stands against taking nodes out of service, and how far that is."""
    if not isinstance(declaration, Mapping) or not isinstance(cluster, Mapping) or "services" not in cluster:
        raise AnsibleFilterError(
            "use it as: declaration | vipcast.baremetal.drain_outlook(cluster, routers, nodes)"
        )
    names = nodes.split(",") if isinstance(nodes, str) else nodes
    scope = Scope.of((), load_balancer_class, ignore_exclude_label)
    return outlook(declaration, cluster, routers, [name.strip() for name in names if name.strip()], scope)


class FilterModule:
    """The class that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"drain_outlook": drain_outlook}
