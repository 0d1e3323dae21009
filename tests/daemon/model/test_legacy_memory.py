# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that what is remembered of the old ConfigMap is what was in force, without passwords."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from vipcast.controller.conditions import configuration_state
from vipcast.daemon.legacy import read_config_map
from vipcast.model.legacy_memory import MAX_LENGTH, recall, remember
from vipcast.model.legacy_objects import Conversion, parse_both

CONTENT = {
    "peers": [
        {"my-asn": 64513, "peer-asn": 64512, "peer-address": "10.0.0.1"},
        {"my-asn": 64513, "peer-asn": 64512, "peer-address": "10.0.0.2", "password": "s3cret"},
    ],
    "address-pools": [
        {"name": "a", "protocol": "bgp", "addresses": ["10.9.0.0/24"]},
        {"name": "b", "protocol": "layer2", "addresses": ["10.8.0.0/24"]},
    ],
    "bgp-communities": {"far": "64512:1"},
}
NOW = "2026-01-02T03:04:05Z"


def item(content: Any, uid: str = "one") -> dict[str, Any]:
    metadata = {"name": "config", "namespace": "lb", "uid": uid}
    text = content if isinstance(content, str) else json.dumps(content)
    return {"metadata": metadata, "data": {"config": text}}


def written(conversion: Conversion) -> Any:
    """Return what is remembered, as it comes back from the API server."""
    return json.loads(json.dumps(remember(conversion)))


def test_a_slip_after_a_restart_takes_nothing_away() -> None:
    good = read_config_map(item(CONTENT))
    slip = item(json.dumps(CONTENT).replace("address-pools", "adress-pools"))
    known = recall(good.ref, "one", written(good))
    assert known is not None
    found = parse_both([], read_config_map(slip, known))
    assert [each.name for each in found.pools] == ["a", "b"]
    assert [each.name for each in found.advertisements_for("a")] == ["a-1"]
    assert [each.name for each in found.layer2_advertisements] == ["b"]
    assert "far" in found.communities[0].aliases


def test_a_password_is_written_nowhere() -> None:
    found = written(read_config_map(item(CONTENT)))
    assert "s3cret" not in json.dumps(found) and "10.0.0.2" not in json.dumps(found)
    assert "10.0.0.1" in json.dumps(found)


def test_another_config_map_inherits_nothing() -> None:
    good = read_config_map(item(CONTENT))
    assert recall(good.ref, "another", written(good)) is None
    assert recall(good.ref, "", {**written(good), "uid": ""}) is None


@pytest.mark.parametrize(
    "said",
    [
        None,
        5,
        {"uid": "one"},
        {"uid": "one", "entries": 5},
        {"uid": "one", "entries": [5]},
        {"uid": "one", "entries": [{"section": "peers"}]},
        {"uid": "one", "entries": [{"section": "peers", "name": 5, "path": "", "objects": []}]},
        {"uid": "one", "entries": [{"section": "x", "name": "x", "path": "", "objects": [{"manifest": 5}]}]},
    ],
)
def test_what_can_not_be_read_is_forgotten(said: Any) -> None:
    assert recall(read_config_map(item(CONTENT)).ref, "one", said) is None


def test_too_much_is_not_written() -> None:
    many = [
        {"name": f"p{n}", "protocol": "bgp", "addresses": [f"10.{n >> 8}.{n & 255}.0/24"]}
        for n in range(3000)
    ]
    assert len(json.dumps(many)) > MAX_LENGTH / 2
    assert remember(read_config_map(item({"address-pools": many}))) is None


def test_the_state_has_it_and_loses_it_with_the_config_map() -> None:
    conversion = read_config_map(item(CONTENT))
    found = parse_both([], conversion)
    status = configuration_state(found, {}, NOW)
    assert status is not None and status["configMap"] == remember(conversion)
    there = {"status": json.loads(json.dumps(status))}
    assert configuration_state(found, there, NOW) is None, "it says so already"
    gone = configuration_state(replace(found, config_map=None), there, NOW)
    assert gone is not None and gone["configMap"] is None
