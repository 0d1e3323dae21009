# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the configuration's kinds, the definitions and the documentation name the same fields."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.vipcast.baremetal.plugins.doc_fragments.cluster import ModuleDocFragment as Cluster
from ansible_collections.vipcast.baremetal.plugins.doc_fragments.cluster_object import ModuleDocFragment
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.kinds import (
    BGP_PEER,
    COMMUNITY,
    IP_ADDRESS_POOL,
    L2_ADVERTISEMENT,
    SCHEMAS,
    Option,
    Schema,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.object_module import OBJECT_SPEC

ROOT = Path(__file__).parents[5]
MODULES = {
    "IPAddressPool": "ip_address_pool",
    "L2Advertisement": "l2_advertisement",
    "BGPAdvertisement": "bgp_advertisement",
    "BGPPeer": "bgp_peer",
    "BFDProfile": "bfd_profile",
    "Community": "community",
}
KINDS_OF_TYPES = {"int": "integer", "str": "string", "bool": "boolean", "list": "array", "dict": "object"}
each_kind = pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.kind)


def definition(schema: Schema) -> Any:
    """The schema of `spec` in the CustomResourceDefinition."""
    for path in sorted((ROOT / "roles/load_balancer/files/crds").glob("*.yml")):
        for found in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if found and found["spec"]["names"]["kind"] == schema.kind:
                versions = {each["name"]: each for each in found["spec"]["versions"]}
                version = versions[schema.api_version.rpartition("/")[2]]
                return version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    raise AssertionError(f"no definition of {schema.kind}")


def documentation(schema: Schema) -> Any:
    """Return what the module says of its options, by itself and by what advertisements have in common."""
    plugins = "ansible_collections.vipcast.baremetal.plugins."
    own = importlib.import_module(f"{plugins}modules.{MODULES[schema.kind]}").DOCUMENTATION
    found = yaml.safe_load(own)
    if "vipcast.baremetal.advertisement" in found["extends_documentation_fragment"]:
        shared = importlib.import_module(f"{plugins}doc_fragments.advertisement").ModuleDocFragment
        return {**yaml.safe_load(shared.DOCUMENTATION)["options"], **found["options"]}
    return found["options"]


def described(options: Sequence[Option], found: Any, path: str = "") -> list[tuple[str, str]]:
    """Return where the table and a schema of the API differ: (field, how)."""
    differences = []
    names = {option.field for option in options}
    differences += [(path + field, "only in one of them") for field in names ^ set(found["properties"])]
    for option in options:
        field = found["properties"].get(option.field, {})
        if field and field["type"] != KINDS_OF_TYPES[option.type]:
            differences.append((path + option.field, field["type"]))
        if field and option.choices and list(option.choices) != field.get("enum"):
            differences.append((path + option.field, "choices"))
        if field and option.options:
            inner = field["items"] if option.type == "list" else field
            differences += described(option.options, inner, f"{path}{option.field}.")
    return differences


@each_kind
def test_the_table_has_every_field_of_the_definition_and_no_other(schema: Schema) -> None:
    assert described(schema.options, definition(schema)) == []


@each_kind
def test_bounds_are_those_of_the_definition(schema: Schema) -> None:
    found = definition(schema)["properties"]
    for option in schema.options:
        if option.bounds:
            low, high = option.bounds
            field = found[option.field]
            assert low <= field.get("minimum", low), option.name
            assert field.get("maximum", high) <= high, option.name


def documented(options: Sequence[Option]) -> dict[str, Any]:
    """The options as a documentation has to have them, without the words."""
    found = {}
    for option in options:
        entry = {key: value for key, value in option.argument().items() if key not in ("options", "no_log")}
        if option.options:
            entry["suboptions"] = documented(option.options)
        found[option.name] = entry
    return found


def without_words(options: Any) -> dict[str, Any]:
    found = {}
    for name, option in options.items():
        entry = {key: value for key, value in option.items() if key != "description"}
        if "suboptions" in entry:
            entry["suboptions"] = without_words(entry["suboptions"])
        found[name] = entry
    return found


@each_kind
def test_the_documentation_has_every_option_with_its_type(schema: Schema) -> None:
    assert without_words(documentation(schema)) == documented(schema.options)


def test_what_all_have_in_common_is_documented() -> None:
    fragments = (ModuleDocFragment, Cluster)
    options = {
        name: entry
        for each in fragments
        for name, entry in yaml.safe_load(each.DOCUMENTATION)["options"].items()
    }
    assert without_words(options) == OBJECT_SPEC


def test_a_name_has_one_meaning_in_each_kind() -> None:
    for schema in SCHEMAS:
        names = [name for option in schema.options for name in option.names]
        assert len(names) == len(set(names) | set(OBJECT_SPEC)) - len(OBJECT_SPEC)


def test_options_become_fields_at_every_depth() -> None:
    given = {
        "addresses": ["10.9.0.0/16"],
        "avoid_buggy_ips": False,
        "auto_assign": None,
        "service_allocation": {
            "priority": 3,
            "namespaces": None,
            "service_selectors": [
                {"match_labels": {"a": "b"}, "match_expressions": [{"key": "x", "operator": "Exists"}]}
            ],
        },
    }
    assert IP_ADDRESS_POOL.manifest("p", "n", given, {"tier": "1"}) == {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": {"name": "p", "namespace": "n", "labels": {"tier": "1"}},
        "spec": {
            "addresses": ["10.9.0.0/16"],
            "avoidBuggyIPs": False,
            "serviceAllocation": {
                "priority": 3,
                "serviceSelectors": [
                    {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]}
                ],
            },
        },
    }


def test_a_list_of_mappings_becomes_a_list_of_fields() -> None:
    preferred = [{"weight": 5, "preference": {"match_labels": {"a": "b"}}}]
    spec = L2_ADVERTISEMENT.manifest("a", "n", {"preferred_node_selectors": preferred}, None)["spec"]
    assert spec == {"preferredNodeSelectors": [{"weight": 5, "preference": {"matchLabels": {"a": "b"}}}]}
    names = [{"name": "no-export", "value": "65535:65281"}]
    assert COMMUNITY.manifest("a", "n", {"communities": names}, None)["spec"] == {"communities": names}


def test_a_number_is_seconds_where_a_duration_is_wanted() -> None:
    spec = BGP_PEER.manifest("a", "n", {"hold_time": "90", "connect_time": "1m30s"}, None)["spec"]
    assert spec == {"holdTime": "90s", "connectTime": "1m30s"}


def test_only_the_password_is_hidden() -> None:
    hidden = {option.name: option.argument().get("no_log") for option in BGP_PEER.options}
    assert {name for name, value in hidden.items() if value} == {"password"}
    assert hidden["password_secret"] is False
