# SPDX-License-Identifier: GPL-3.0-or-later
"""The `vipcast_*` variables: which there are, and what the hosts say about them.

**PRIVATE** to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .values import DeclarationError, Place, Refusal, nearest

PREFIX = "vipcast_"
GROUPS = ("nodes", "routers", "clients")

# Said once for the whole cluster: a host may repeat such a variable, but not contradict it.
SHARED = (
    "kubeconfig",
    "context",
    "namespace",
    "cluster_asn",
    "pools",
    "pool_ranges",
    "advertisements",
    "l2_advertisements",
    "peers",
    "bfd_profiles",
    "communities",
    "hold_time",
    "keepalive_time",
    "connect_time",
    "pod_cidrs",
    "service_cidrs",
)
OF_A_NODE = ("node_name", "node_address", "node_labels")
OF_A_ROUTER = ("router_asn", "router_address", "router_id", "bgp_password", "maximum_prefix", "peer")
VARIABLES = frozenset(PREFIX + name for name in SHARED + OF_A_NODE + OF_A_ROUTER)


class Inventory:
    """The `vipcast_*` variables of the hosts that matter, each read once."""

    def __init__(self, hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> None:
        self.hosts = {name: [str(host) for host in groups.get(name, ())] for name in GROUPS}
        self._values: dict[str, dict[str, Any]] = {}
        for host in dict.fromkeys(host for name in GROUPS for host in self.hosts[name]):
            self._values[host] = _variables(hostvars, host)

    def of(self, host: str, name: str, default: Any = None) -> Any:
        """The host's own variable `vipcast_NAME`."""
        value = self._values[host].get(PREFIX + name)
        return default if value is None else value

    def plain(self, host: str, name: str) -> Any:
        """A variable of the host that is not one of ours, such as `ansible_host`."""
        return self._values[host].get(name)

    def shared(self, name: str) -> tuple[Any, Place]:
        """The one value that all hosts agree on, and where it was found."""
        found: tuple[Any, Place] | None = None
        for host in self._values:
            value, place = self.of(host, name), Place(PREFIX + name, f"host {host}")
            if found is None:
                found = (value, place)
            elif found[0] != value:
                why = f"{_told(value)} here and {_told(found[0])} for {found[1].where}"
                raise DeclarationError(
                    Refusal.CONFLICT,
                    place,
                    f"{why}; both ends and all hosts share it: say it once, in group all",
                )
        return found if found is not None else (None, Place(PREFIX + name, "group all"))

    def required(self, name: str, meaning: str) -> tuple[Any, Place]:
        """A shared value that has no default."""
        value, place = self.shared(name)
        if value is None:
            raise DeclarationError(
                Refusal.MISSING, Place(place.what, "group all"), f"it is required: {meaning}"
            )
        return value, place


def _told(value: Any) -> str:
    return "it is not said" if value is None else f"it is {value!r}"


def _variables(hostvars: Mapping[str, Any], host: str) -> dict[str, Any]:
    """The host's `vipcast_*` variables and `ansible_host`; a name nobody knows stops here."""
    if host not in hostvars:
        raise DeclarationError(
            Refusal.UNKNOWN_REFERENCE, Place("groups", f"host {host}"), "the inventory has no such host"
        )
    own = hostvars[host]
    names = [str(name) for name in own if str(name).startswith(PREFIX) or name == "ansible_host"]
    for name in names:
        if name.startswith(PREFIX) and name not in VARIABLES:
            hint = nearest(name, VARIABLES)
            raise DeclarationError(
                Refusal.UNKNOWN_VARIABLE, Place(name, f"host {host}"), f"no such variable; {hint}"
            )
    return {name: _value(own, name, host) for name in names}


def _value(own: Mapping[str, Any], name: str, host: str) -> Any:
    """One variable, templated. A template that fails says which variable it was."""
    try:
        value = own[name]
        bool(value)  # a template with an undefined variable yields a value that raises as soon as it is used
        return value
    except Exception as exc:  # what templating raises differs between versions of ansible-core
        raise DeclarationError(
            Refusal.WRONG_TYPE, Place(name, f"host {host}"), f"its template fails: {exc}"
        ) from None
