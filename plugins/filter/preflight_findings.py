# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `preflight_findings`: a thin door to module_utils/_preflight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.module_utils import _preflight


def preflight_findings(declaration: Mapping[str, Any], answers: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the problems and warnings in the answers of routers, nodes and the control node."""
    if not isinstance(answers, Mapping):
        raise AnsibleFilterError("the second argument has the answers of routers, nodes and localhost")
    return _preflight.judge(declaration, answers).plain()


class FilterModule:
    """The filters that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"preflight_findings": preflight_findings}
