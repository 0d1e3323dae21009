# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration's kinds as options: one table for modules, the role's variables and the inventory. Pure.

    options in snake_case ──> Schema.spec_of ──> spec of an object of the API

An option that is not given is not declared: the object is applied without the field, and the API server's
default counts. What a value may be is `model`'s to judge; here are names, types and choices only.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

Json = t.Dict[str, t.Any]

# Parts of names that the API does not spell as a word.
_SPELT = {"asn": "ASN", "id": "ID", "ips": "IPs", "mp": "MP"}
# What Ansible makes of `90` for an option that is a text: a number without a unit means seconds.
_SECONDS = re.compile(r"[0-9]+")
# Names that Ansible takes for those of secrets, unless it is told that they are none.
SOUND_SECRET = ("key", "password_secret")
_UINT32 = (0, 2**32 - 1)
_ASN = (1, 2**32 - 1)
_MILLISECONDS = (10, 60000)


@dataclass(frozen=True)
class Option:
    """One option and the field that it becomes."""

    name: str
    type: str = "str"
    elements: str | None = None
    options: tuple[Option, ...] = ()
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    bounds: tuple[int, int] | None = None  # of a whole number
    required: bool = False
    secret: bool = False
    duration: bool = False  # Go's, such as 90s; a number is seconds

    @property
    def field(self) -> str:
        """The field's name: `avoid_buggy_ips` is avoidBuggyIPs."""
        first, *others = self.name.split("_")
        return first + "".join(_SPELT.get(part, part.capitalize()) for part in others)

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    def argument(self) -> dict[str, t.Any]:
        """The entry of an argument spec."""
        found: dict[str, t.Any] = {"type": self.type}
        if self.elements:
            found["elements"] = self.elements
        if self.options:
            found["options"] = {option.name: option.argument() for option in self.options}
        if self.choices:
            found["choices"] = list(self.choices)
        if self.aliases:
            found["aliases"] = list(self.aliases)
        if self.required:
            found["required"] = True
        if self.secret or self.name in SOUND_SECRET:
            found["no_log"] = self.secret
        return found

    def value_of(self, given: t.Any) -> t.Any:
        """The field's value; `given` has been checked against the option's type."""
        if self.options and self.type == "list":
            return [fields_of(self.options, item) for item in given]
        if self.options:
            return fields_of(self.options, given)
        if self.duration and _SECONDS.fullmatch(given):
            return f"{given}s"
        return given


def fields_of(options: t.Sequence[Option], given: t.Mapping[str, t.Any]) -> Json:
    """The fields that the given options become; an option of None was not given."""
    return {
        option.field: option.value_of(given[option.name])
        for option in options
        if given.get(option.name) is not None
    }


@dataclass(frozen=True)
class Schema:
    """A kind of the configuration."""

    kind: str
    plural: str
    api_version: str
    options: tuple[Option, ...]
    required: tuple[str, ...] = ()
    exclusive: tuple[tuple[str, ...], ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()  # one of each group has to be given

    def manifest(
        self, name: str, namespace: str, given: t.Mapping[str, t.Any], labels: t.Mapping[str, str] | None
    ) -> Json:
        """The object."""
        metadata: Json = {"name": name, "namespace": namespace}
        if labels is not None:
            metadata["labels"] = dict(labels)
        spec = fields_of(self.options, given)
        return {"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata, "spec": spec}


def _lists(*names: str, **more: t.Any) -> tuple[Option, ...]:
    return tuple(Option(name, "list", "str", **more) for name in names)


_REQUIREMENT = (
    Option("key", required=True),
    Option("operator", choices=("In", "NotIn", "Exists", "DoesNotExist"), required=True),
    *_lists("values"),
)
SELECTOR = (Option("match_labels", "dict"), Option("match_expressions", "list", "dict", _REQUIREMENT))


def _selectors(name: str, *aliases: str) -> Option:
    return Option(name, "list", "dict", SELECTOR, aliases=aliases)


def _whole(name: str, bounds: tuple[int, int], **more: t.Any) -> Option:
    return Option(name, "int", bounds=bounds, **more)


_SELECTED_POOLS = (
    *_lists("ip_address_pools", aliases=("pools",)),
    _selectors("ip_address_pool_selectors", "pool_selectors"),
)

IP_ADDRESS_POOL = Schema(
    "IPAddressPool",
    "ipaddresspools",
    "metallb.io/v1beta1",
    (
        *_lists("addresses"),
        Option("auto_assign", "bool"),
        Option("avoid_buggy_ips", "bool"),
        Option(
            "service_allocation",
            "dict",
            options=(
                _whole("priority", (0, 2**31 - 1)),
                *_lists("namespaces"),
                _selectors("namespace_selectors"),
                _selectors("service_selectors"),
            ),
        ),
    ),
    required=("addresses",),
)

L2_ADVERTISEMENT = Schema(
    "L2Advertisement",
    "l2advertisements",
    "metallb.io/v1beta1",
    (
        *_SELECTED_POOLS,
        _selectors("node_selectors"),
        *_lists("interfaces"),
        _selectors("service_selectors"),
        Option(
            "preferred_node_selectors",
            "list",
            "dict",
            (
                _whole("weight", (1, 100), required=True),
                Option("preference", "dict", options=SELECTOR, required=True),
            ),
        ),
    ),
)

BGP_ADVERTISEMENT = Schema(
    "BGPAdvertisement",
    "bgpadvertisements",
    "metallb.io/v1beta1",
    (
        *_SELECTED_POOLS,
        *_lists("peers"),
        _selectors("node_selectors"),
        _selectors("service_selectors"),
        _whole("aggregation_length", (1, 32)),
        _whole("aggregation_length_v6", (1, 128)),
        _whole("local_pref", _UINT32),
        *_lists("communities"),
        Option("weighted_by_endpoints", "bool"),
        _whole("med", _UINT32),
        _whole("as_path_prepend", (0, 10)),
    ),
)

BGP_PEER = Schema(
    "BGPPeer",
    "bgppeers",
    "metallb.io/v1beta2",
    (
        _whole("my_asn", _ASN),
        _whole("peer_asn", _ASN),
        Option("dynamic_asn", choices=("internal", "external")),
        _whole("local_asn", _ASN),
        Option("peer_address"),
        Option("interface"),
        _whole("peer_port", (0, 65535)),
        Option("source_address"),
        Option("router_id"),
        Option("hold_time", duration=True),
        Option("keepalive_time", duration=True),
        Option("connect_time", duration=True),
        _selectors("node_selectors"),
        Option("password", secret=True),
        Option("password_secret", "dict", options=(Option("name", required=True), Option("namespace"))),
        Option("bfd_profile"),
        Option("enable_graceful_restart", "bool", aliases=("graceful_restart",)),
        Option("graceful_restart_time", duration=True),
        Option("ebgp_multi_hop", "bool", aliases=("ebgp_multihop",)),
        _whole("ttl_security_hops", (1, 254)),
        Option("passive", "bool"),
        Option("vrf"),
        Option("dual_stack_address_family", "bool"),
        Option("disable_mp", "bool"),
    ),
    required=("my_asn",),
    exclusive=(("password", "password_secret"), ("peer_asn", "dynamic_asn"), ("peer_address", "interface")),
    one_of=(("peer_asn", "dynamic_asn"), ("peer_address", "interface")),
)

BFD_PROFILE = Schema(
    "BFDProfile",
    "bfdprofiles",
    "metallb.io/v1beta1",
    (
        _whole("receive_interval", _MILLISECONDS),
        _whole("transmit_interval", _MILLISECONDS),
        _whole("detect_multiplier", (2, 255)),
        _whole("echo_interval", _MILLISECONDS),
        Option("echo_mode", "bool"),
        Option("passive_mode", "bool"),
        _whole("minimum_ttl", (1, 254)),
    ),
)

COMMUNITY = Schema(
    "Community",
    "communities",
    "metallb.io/v1beta1",
    (
        Option(
            "communities",
            "list",
            "dict",
            (Option("name", required=True), Option("value", required=True)),
        ),
    ),
    required=("communities",),
)

SCHEMAS = (IP_ADDRESS_POOL, L2_ADVERTISEMENT, BGP_ADVERTISEMENT, BGP_PEER, BFD_PROFILE, COMMUNITY)

__all__ = [
    "BFD_PROFILE",
    "BGP_ADVERTISEMENT",
    "BGP_PEER",
    "COMMUNITY",
    "IP_ADDRESS_POOL",
    "L2_ADVERTISEMENT",
    "SCHEMAS",
    "SELECTOR",
    "Option",
    "Schema",
    "fields_of",
]
