# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `verify_plan`: a thin door to module_utils/_verify."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.expectations import Scope, expect
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.others import with_cluster_pools
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.probes import Settings, plan


def verify_plan(
    declaration: Mapping[str, Any],
    cluster: Mapping[str, Any],
    *,
    services: Sequence[str] = (),
    load_balancer_class: str = "",
    ignore_exclude_label: bool = False,
    requests: int | None = None,
    timeout: float = 3.0,
    concurrency: int = 8,
    miss_probability: float = 0.0001,
) -> list[dict[str, Any]]:
    """Return what the clients should ask, one entry for each client, address and port."""
    if not isinstance(declaration, Mapping) or not isinstance(cluster, Mapping) or "services" not in cluster:
        raise AnsibleFilterError(
            "use it as: declaration | vipcast.baremetal.verify_plan(cluster_services_info's result)"
        )
    settings = Settings(
        float(timeout), int(concurrency), float(miss_probability), int(requests) if requests else None
    )
    scope = Scope.of(services, load_balancer_class, ignore_exclude_label)
    try:
        routes = expect(declaration, cluster, scope).routes
        known = with_cluster_pools(declaration, cluster)
        return plan(known, scope.chosen(cluster), routes, settings)
    except ValueError as exc:
        raise AnsibleFilterError(str(exc)) from None


class FilterModule:
    """The class that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"verify_plan": verify_plan}
