# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `verify_segment`: a thin door to module_utils/_verify."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.expectations import Scope
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.layer2 import expect_owners


def verify_segment(
    declaration: Mapping[str, Any],
    cluster: Mapping[str, Any],
    services: Sequence[str] = (),
    load_balancer_class: str = "",
    ignore_exclude_label: bool = False,
) -> list[str]:
    """The addresses that a segment is asked for."""
    if not isinstance(declaration, Mapping) or not isinstance(cluster, Mapping) or "services" not in cluster:
        raise AnsibleFilterError("use it as: declaration | vipcast.baremetal.verify_segment(cluster)")
    scope = Scope.of(services, load_balancer_class, ignore_exclude_label)
    return [vip.address for vip in expect_owners(declaration, cluster, scope)]


class FilterModule:
    """The class that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"verify_segment": verify_segment}
