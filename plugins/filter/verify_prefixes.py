# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `verify_prefixes`: a thin door to module_utils/_verify."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.expectations import Scope, expect


def verify_prefixes(
    declaration: Mapping[str, Any],
    cluster: Mapping[str, Any],
    services: Sequence[str] = (),
    load_balancer_class: str = "",
    ignore_exclude_label: bool = False,
) -> list[str]:
    """The prefixes that some router should have a route for."""
    if not isinstance(declaration, Mapping) or not isinstance(cluster, Mapping) or "services" not in cluster:
        raise AnsibleFilterError("use it as: declaration | vipcast.baremetal.verify_prefixes(cluster)")
    scope = Scope.of(services, load_balancer_class, ignore_exclude_label)
    routes = expect(declaration, cluster, scope).routes
    return list(dict.fromkeys(route.prefix for route in routes))


class FilterModule:
    """The class that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"verify_prefixes": verify_prefixes}
