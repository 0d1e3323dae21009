# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the declaration accepts what docs/inventory.md and inventories/example show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.vipcast.baremetal.plugins.filter.cluster_objects import cluster_objects
from ansible_collections.vipcast.baremetal.plugins.filter.declaration import declaration
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.kinds import SCHEMAS
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.inventory import VARIABLES

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs/inventory.md"
TABLE = ROOT / "docs/design/0001-declaration.md"


def blocks() -> list[Any]:
    text = PAGE.read_text(encoding="utf-8")
    return [
        yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    ]


def told() -> dict[str, Any]:
    """All examples of the page as one inventory: hostvars of two nodes and the router."""
    shared: dict[str, Any] = {"vipcast_cluster_asn": 64513}
    own: dict[str, dict[str, Any]] = {}
    for block in blocks():
        if isinstance(block, dict) and all(key.startswith("vipcast_") for key in block):
            shared.update(block)
        for group in ("nodes", "routers"):
            for host, values in (
                block.get(group, {}).get("hosts", {}).items() if isinstance(block, dict) else ()
            ):
                own.setdefault(host, {}).update(values)
    own["router1.example.com"].update(ansible_host="192.0.2.1", vipcast_bgp_password="secret")
    own["node1.example.com"].update(ansible_host="192.0.2.11", vipcast_node_name="node1")
    own["node2.example.com"] = {"ansible_host": "192.0.2.12", "vipcast_node_name": "node2"}
    return {host: {**shared, **values} for host, values in own.items()}


GROUPS = {"nodes": ["node1.example.com", "node2.example.com"], "routers": ["router1.example.com"]}


def test_the_examples_of_the_page_are_one_good_declaration() -> None:
    found = cluster_objects(declaration(told(), GROUPS))
    assert {one["kind"] for one in found} == {schema.kind for schema in SCHEMAS}


def fields(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from fields(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner)


def test_the_page_shows_every_option_but_those_of_other_variables_and_old_ones() -> None:
    """The variables of a router itself, and those that only a peer of another kind has."""
    shown = set(fields(blocks()))
    rare = {"disable_mp", "dynamic_asn", "interface", "local_asn", "source_address", "vrf"}
    derived = {"my_asn", "keepalive_time", "connect_time", "password", "communities", "ip_address_pools"}
    missing = [
        option.name
        for schema in SCHEMAS
        for option in schema.options
        if not shown & set(option.names) and option.name not in rare | derived
    ]
    assert missing == []


def test_the_table_and_the_example_have_every_variable() -> None:
    example = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "inventories/example").rglob("*.yml")
    )
    table = TABLE.read_text(encoding="utf-8")
    assert [name for name in sorted(VARIABLES) if f"`{name}`" not in table] == []
    assert [name for name in sorted(VARIABLES) if f"{name}:" not in example] == []
