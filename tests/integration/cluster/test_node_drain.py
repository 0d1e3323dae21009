# SPDX-License-Identifier: GPL-3.0-or-later
"""The module node_drain against a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.apiserver import ApiServer

DRAIN, CORDONED = "vipcast.io/drain", "vipcast.io/drain-cordoned"


@pytest.fixture
def node(api_server: ApiServer, namespace: str) -> Iterator[str]:
    """A node of the test's own, with an annotation of somebody else's."""
    name = f"node-{namespace}"
    metadata = {"name": name, "annotations": {"example.com/theirs": "1"}}
    api_server.apply({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
    yield name
    api_server.kubectl("delete", "node", name)


def noted(get: Any, name: str) -> dict[str, str]:
    found: dict[str, str] = get("node", name)["metadata"].get("annotations", {})
    return {key: value for key, value in found.items() if key.startswith(("vipcast", "example"))}


def cordoned(get: Any, name: str) -> bool:
    return bool(get("node", name)["spec"].get("unschedulable"))


def test_out_again_back_and_again(call: Any, get: Any, node: str) -> None:
    theirs = {"example.com/theirs": "1"}
    looked = call("node_drain", name=node, wait="30s", check=True)
    assert looked["changed"]
    assert noted(get, node) == theirs

    assert call("node_drain", name=node, wait="30s")["changed"]
    assert noted(get, node) == {**theirs, DRAIN: "30s"}
    assert not call("node_drain", name=node, wait="30s")["changed"]
    # What it was told first counts for the speaker, and so it stays.
    assert not call("node_drain", name=node, wait="5s")["changed"]
    assert not cordoned(get, node)

    assert call("node_drain", name=node, state="undrained")["changed"]
    assert noted(get, node) == theirs
    assert not call("node_drain", name=node, state="undrained")["changed"]


def test_it_says_how_long_the_speaker_waits_and_refuses_what_is_no_duration(
    call: Any, get: Any, node: str
) -> None:
    refused = call("node_drain", name=node, wait="1 minute")
    assert "'1 minute' is no duration such as 30s or 1m30s" in refused["msg"]
    assert DRAIN not in noted(get, node)
    assert call("node_drain", name=node, wait="1m30s")["seconds"] == 90
    # What it was told first counts.
    assert call("node_drain", name=node, wait="5s")["seconds"] == 90
    assert call("node_drain", name=node, state="undrained")["seconds"] == 0


def test_a_node_that_it_cordoned_is_schedulable_again(call: Any, get: Any, node: str) -> None:
    assert call("node_drain", name=node, cordon=True)["changed"]
    assert cordoned(get, node)
    assert CORDONED in noted(get, node)
    assert not call("node_drain", name=node, cordon=True)["changed"]

    assert call("node_drain", name=node, state="undrained")["changed"]
    assert not cordoned(get, node)
    assert CORDONED not in noted(get, node)


def test_a_node_that_somebody_else_cordoned_stays_so(
    call: Any, get: Any, node: str, api_server: ApiServer
) -> None:
    api_server.kubectl("cordon", node)
    call("node_drain", name=node, cordon=True)
    call("node_drain", name=node, state="undrained")
    assert cordoned(get, node)


def test_a_node_that_is_out_already_can_be_cordoned_later(call: Any, get: Any, node: str) -> None:
    call("node_drain", name=node, wait="30s")
    assert call("node_drain", name=node, cordon=True)["changed"]
    assert noted(get, node)[DRAIN] == "30s"
    assert cordoned(get, node)


def test_an_unknown_node_is_answered_with_the_known_ones(call: Any, node: str) -> None:
    failed = call("node_drain", name="nobody")
    assert failed["failed"]
    assert "there is no node 'nobody' in the cluster; it has " in failed["msg"]
    assert node in failed["msg"]
