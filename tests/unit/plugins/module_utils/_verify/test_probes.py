# SPDX-License-Identifier: GPL-3.0-or-later
"""Test which ports are asked, how often, and what the counts say."""

from __future__ import annotations

import random
from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.probes import judge
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.sampling import (
    percentile,
    requests_to_meet,
)

from .situation import service


def result(**values: Any) -> dict[str, Any]:
    return {
        "requests": 30,
        "ok": 30,
        "statuses": {"200": 30},
        "errors": [],
        "nodes": {"n1": 10, "n2": 10, "n3": 10},
        "pods": {},
        "unnamed": 0,
        **values,
    }


ENTRY = {"client": "c1", "service": "default/web", "address": "10.9.1.1", "port": 80, "protocol": "http"}


def complaints(found: dict[str, Any], of: dict[str, Any] | None = None) -> list[str]:
    return [str(one) for one in judge(ENTRY, found, of or service())]


@pytest.mark.parametrize(("answerers", "miss"), [(1, 0.01), (2, 0.01), (3, 0.01), (16, 0.01)])
def test_the_promised_probability_holds(answerers: int, miss: float) -> None:
    """An experiment with a fixed seed: the share of runs that miss somebody stays below what was promised."""
    dice = random.Random(20240117)
    count = requests_to_meet(answerers, miss)
    runs = 4000
    missed = sum(
        len({dice.randrange(answerers) for _throw in range(count)}) < answerers for _run in range(runs)
    )
    assert missed / runs < miss * 1.3


def test_a_probability_has_to_be_one() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        requests_to_meet(3, 1.0)


def test_percentiles_are_values_that_occurred() -> None:
    values = [5.0, 1.0, 2.0, 4.0, 3.0]
    assert [percentile(values, share) for share in (0, 0.5, 0.99, 1)] == [1.0, 3.0, 5.0, 5.0]
    assert percentile([], 0.5) is None


def test_all_good_and_everyone_answered() -> None:
    assert complaints(result()) == []


def test_errors_and_bad_answers_are_counted() -> None:
    errors = [{"kind": "timeout", "count": 3, "first_request": 7, "first_after": 0.1, "message": "timed out"}]
    (text,) = complaints(result(ok=25, statuses={"200": 25, "503": 2}, errors=errors))
    assert text == (
        "client c1: http 10.9.1.1 port 80 (default/web): expected 30 good answers, found 25 of 30; "
        "likely reason: 3 x timeout, first at request 7 (timed out), 2 x HTTP 503"
    )


def test_a_node_whose_pods_never_answer_is_named() -> None:
    (text,) = complaints(result(nodes={"n1": 15, "n2": 15}))
    assert "expected answers from n1, n2, n3, found none from n3" in text


def test_an_answer_from_where_no_pod_is_said_to_be_is_named() -> None:
    (text,) = complaints(result(nodes={"n1": 15, "n2": 15}), service(on=("n1",)))
    assert "found one from n2" in text


@pytest.mark.parametrize(
    ("found", "of"),
    [
        (result(nodes={"n1": 30}), service(session_affinity="ClientIP")),
        (result(nodes={}, unnamed=30), service()),
        (result(nodes={"n1": 20}, unnamed=10), service()),
    ],
)
def test_nobody_is_missed_who_cannot_be_met_or_does_not_say_who_it_is(
    found: dict[str, Any], of: dict[str, Any]
) -> None:
    assert complaints(found, of) == []


def test_a_client_that_cannot_be_reached_is_a_difference() -> None:
    (text,) = complaints({"unreachable": True, "msg": "ssh: no route to host"})
    assert text.endswith("expected a probe, found none; likely reason: ssh: no route to host")
