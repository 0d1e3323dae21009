# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `verify_report`: a thin door to module_utils/_verify."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.expectations import Scope
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.report import Segment, verification


def verify_report(
    declaration: Mapping[str, Any],
    cluster: Mapping[str, Any],
    routers: Sequence[Mapping[str, Any]],
    probes: Sequence[Mapping[str, Any]] = (),
    *,
    segment: Sequence[Mapping[str, Any]] | None = None,
    macs: Sequence[Mapping[str, Any]] = (),
    services: Sequence[str] = (),
    load_balancer_class: str = "",
    ignore_exclude_label: bool = False,
) -> dict[str, Any]:
    """Expected, found and the difference, as data and as lines."""
    if not isinstance(declaration, Mapping) or not isinstance(cluster, Mapping):
        raise AnsibleFilterError(
            "use it as: declaration | vipcast.baremetal.verify_report(cluster, routers, probes)"
        )
    scope = Scope.of(services, load_balancer_class, ignore_exclude_label)
    # Older versions of ansible-core hand over none as an empty text.
    asked = Segment(None if isinstance(segment, str) else segment, macs)
    return verification(declaration, cluster, routers, probes, scope, segment=asked)


class FilterModule:
    """The class that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"verify_report": verify_report}
