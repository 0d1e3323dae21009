# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `configuration_secrets`: a thin door to module_utils/_declaration/secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.manifests import (
    read_configuration,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.secrets import (
    KEY,
    passwords,
    secrets,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.values import DeclarationError


def configuration_secrets(
    configuration: Mapping[str, Any], namespace: str, objects: Iterable[Mapping[str, Any]], prefix: str = ""
) -> dict[str, Any]:
    """The Secrets that keep the passwords of the peers among these objects: manifests, and texts by name."""
    try:
        kept = passwords(read_configuration(configuration, prefix)["peers"], f"{prefix}peers")
    except DeclarationError as exc:
        raise AnsibleFilterError(str(exc)) from None
    names = [name for name in kept if name in _named(objects)]
    return {"objects": secrets(names, str(namespace)), "data": {name: {KEY: kept[name]} for name in names}}


def _named(objects: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the names of the Secrets that peers name."""
    peers = [each.get("spec") or {} for each in objects if each.get("kind") == "BGPPeer"]
    return {spec["passwordSecret"]["name"] for spec in peers if spec.get("passwordSecret")}


class FilterModule:
    """The filters that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"configuration_secrets": configuration_secrets}
