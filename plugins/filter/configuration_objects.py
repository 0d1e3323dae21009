# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `configuration_objects`: a thin door to module_utils/_declaration/manifests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.validation import mistakes
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.manifests import (
    judged,
    manifests,
    read_configuration,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.values import DeclarationError


def configuration_objects(
    configuration: Mapping[str, Any], namespace: str, prefix: str = ""
) -> list[dict[str, Any]]:
    """The manifests that these options make, checked and judged."""
    try:
        found = read_configuration(configuration, prefix)
    except DeclarationError as exc:
        raise AnsibleFilterError(str(exc)) from None
    wrong = mistakes(judged(found, str(namespace)), str(namespace))
    if wrong:
        raise AnsibleFilterError("the load balancer would refuse this: " + "; ".join(map(str, wrong)))
    return manifests(found, str(namespace))


class FilterModule:
    """The class that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"configuration_objects": configuration_objects}
