# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how long a drained node's speaker waits, as the module that tells it reads the same text."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster import node as nodes
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.api import ClusterError


def node(**annotations: str) -> dict[str, Any]:
    return {"metadata": {"name": "n1", "annotations": annotations}}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1m30s", 90), ("90s", 90), ("1h", 3600), ("1500ms", 1.5), ("30", 30), ("", 10), ("0s", 0), (" 5s ", 5)],
)
def test_a_wait_is_a_duration_of_gos_or_a_number_of_seconds(text: str, seconds: float) -> None:
    assert nodes.seconds(text) == seconds


@pytest.mark.parametrize("text", ["soon", "1 minute", "s", "-5s", "1m30"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ClusterError, match="is no duration such as 30s or 1m30s"):
        nodes.seconds(text)


def test_more_than_an_hour_is_refused() -> None:
    with pytest.raises(ClusterError, match="more than an hour"):
        nodes.seconds("61m")


def test_a_node_that_is_told_now_waits_what_it_is_told() -> None:
    assert nodes.left(node(), nodes.out(node(), "1m30s", False)) == 90


def test_a_node_that_was_told_before_keeps_what_was_said_first() -> None:
    told = node(**{nodes.DRAIN: "2m"})
    assert nodes.left(told, nodes.out(told, "1s", False)) == 120


@pytest.mark.parametrize(("text", "seconds"), [("soon", 10), ("2h", 3600)])
def test_what_a_hand_wrote_counts_as_the_speaker_reads_it(text: str, seconds: float) -> None:
    told = node(**{nodes.DRAIN: text})
    assert nodes.left(told, nodes.out(told, "1s", False)) == seconds


def test_a_node_that_is_put_back_waits_for_nothing() -> None:
    told = node(**{nodes.DRAIN: "2m"})
    assert nodes.left(told, nodes.back(told)) == 0
