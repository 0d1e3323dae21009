# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `addresses_in_use`: a thin door to module_utils/_verify."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.pools import edges, in_use, not_asked


def addresses_in_use(
    declaration: Mapping[str, Any], results: Sequence[Mapping[str, Any]]
) -> dict[str, list[str]]:
    """`{problems, warnings}`, each a list of sentences."""
    if not isinstance(declaration, Mapping) or "pools" not in declaration:
        raise AnsibleFilterError("use it as: declaration | vipcast.baremetal.addresses_in_use(results)")
    return {
        "problems": in_use(declaration, results),
        "warnings": not_asked(results) + edges(declaration, results),
    }


class FilterModule:
    """The class that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"addresses_in_use": addresses_in_use}
