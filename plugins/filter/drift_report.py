# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `drift_report`: a thin door to module_utils/_verify/drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.drift import gather


def drift_report(hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """All differences that the roles left as facts."""
    if not isinstance(hostvars, Mapping) or not isinstance(groups, Mapping):
        raise AnsibleFilterError("use it as: hostvars | vipcast.baremetal.drift_report(groups)")
    return gather(hostvars, groups)


class FilterModule:
    """The class that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"drift_report": drift_report}
