# SPDX-License-Identifier: GPL-3.0-or-later
"""Differences are named by field, noise is none, secrets stay secret."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.fields import (
    as_text,
    differences,
    essence,
    masked,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.rollout import (
    pod_problem,
    progress_of,
)


@pytest.mark.parametrize(
    ("expected", "found", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, ["a.b[1].c"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a"]),
        ({"a": 1}, {"b": 1}, ["a", "b"]),
        ({"a.b/c": 1}, {}, ["['a.b/c']"]),
        ({"x": {"a.b": 1}}, {"x": {}}, ["x['a.b']"]),
    ],
)
def test_each_field_that_differs_is_named(expected: t.Any, found: t.Any, paths: list[str]) -> None:
    assert [each.path for each in differences(expected, found)] == paths


def test_what_the_server_keeps_for_itself_is_no_difference() -> None:
    noisy = {
        "metadata": {
            "name": "a",
            "resourceVersion": "7",
            "managedFields": [],
            "annotations": {"deployment.kubernetes.io/revision": "3"},
        },
        "status": {"x": 1},
    }
    assert essence(noisy) == {"metadata": {"name": "a"}}


def test_secrets_are_hidden_but_told_apart() -> None:
    one, two = ({"kind": "Secret", "data": {"a": value, "b": "same"}} for value in ("x", "y"))
    assert masked(one, two)["data"] == {"a": "(hidden, another)", "b": "(hidden)"}
    peer = {"kind": "BGPPeer", "spec": {"password": "x", "peerASN": 1}}
    assert masked(peer, None)["spec"] == {"password": "(hidden)", "peerASN": 1}


def test_a_long_value_is_cut() -> None:
    assert as_text("x" * 1000) == "x" * 197 + "..."
    assert (as_text(None), as_text(True), as_text("a")) == ("absent", "true", "a")


def daemon_set(generation: int, **status: int) -> dict[str, t.Any]:
    return {"kind": "DaemonSet", "metadata": {"generation": generation}, "spec": {}, "status": status}


@pytest.mark.parametrize(
    ("status", "complete"),
    [
        (
            {
                "observedGeneration": 2,
                "desiredNumberScheduled": 2,
                "updatedNumberScheduled": 2,
                "numberAvailable": 2,
            },
            True,
        ),
        (
            {
                "observedGeneration": 2,
                "desiredNumberScheduled": 2,
                "updatedNumberScheduled": 2,
                "numberAvailable": 1,
            },
            False,
        ),
        (
            {
                "observedGeneration": 2,
                "desiredNumberScheduled": 2,
                "updatedNumberScheduled": 1,
                "numberAvailable": 2,
            },
            False,
        ),
        (
            {
                "observedGeneration": 1,
                "desiredNumberScheduled": 2,
                "updatedNumberScheduled": 2,
                "numberAvailable": 2,
            },
            False,
        ),
        ({}, False),
    ],
)
def test_a_rollout_is_complete_when_the_newest_pods_are_available(
    status: dict[str, int], complete: bool
) -> None:
    assert progress_of(daemon_set(2, **status)).complete is complete


def test_a_deployment_is_complete_when_no_older_pod_is_left() -> None:
    status = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2}
    deployment = {
        "kind": "Deployment",
        "metadata": {"generation": 1},
        "spec": {"replicas": 1},
        "status": status,
    }
    assert not progress_of(deployment).complete
    status["replicas"] = 1
    assert progress_of(deployment).complete


def pod(**status: t.Any) -> dict[str, t.Any]:
    return {"metadata": {"name": "p"}, "spec": {"nodeName": "n"}, "status": status}


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (
            {
                "containerStatuses": [
                    {"name": "c", "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}
                ]
            },
            "pod p on n: container c: ErrImagePull: no",
        ),
        (
            {
                "containerStatuses": [
                    {
                        "name": "c",
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {
                            "terminated": {"exitCode": 2, "reason": "Error", "message": "no such flag"}
                        },
                    }
                ]
            },
            "pod p on n: container c: CrashLoopBackOff: last ended with exit status 2 (Error: no such flag)",
        ),
        (
            {"containerStatuses": [{"name": "c", "state": {"running": {}}, "ready": False}]},
            "pod p on n: container c: runs, but its readiness probe fails",
        ),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}
                ]
            },
            "pod p on n: Unschedulable: 0/1",
        ),
        ({"phase": "Pending"}, "pod p on n: Pending"),
    ],
)
def test_why_a_pod_does_not_come_up_is_one_line(status: dict[str, t.Any], text: str) -> None:
    assert pod_problem(pod(**status)) == text


def test_a_pod_on_a_dead_node_is_told_by_its_node() -> None:
    assert pod_problem(pod(phase="Running"), {"n"}) == "pod p on n: its node is not ready"
