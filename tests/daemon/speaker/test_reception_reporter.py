# SPDX-License-Identifier: GPL-3.0-or-later
"""Test who tells of a node that hears nothing, when, and how often."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vipcast.k8s import Json
from vipcast.layer2.api import Layer2Status, MemberStatus
from vipcast.speaker.layer2.reception_reporter import SAY_AFTER_SECONDS, HearingReporter

ALIVE, GONE = MemberStatus("alive"), MemberStatus("dead", one_way=True)


class Notes:
    """Takes the place where Events are queued."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def record(self, item: Json, reason: str, message: str, *, warning: bool = False) -> None:
        assert reason == "layer2NotHearing" and warning
        self.found.append((item["metadata"]["name"], message))


def reporter(node: str) -> tuple[HearingReporter, Notes]:
    notes = Notes()
    return HearingReporter(notes, node, lambda name: {"metadata": {"name": name}}), notes  # type: ignore[arg-type]


def others(**members: MemberStatus) -> Layer2Status:
    return Layer2Status(members=members)


def test_a_node_that_hears_nothing_says_so_itself_after_a_while_and_once() -> None:
    found, notes = reporter("a")
    deaf = replace(others(a=ALIVE, b=MemberStatus("dead")), deaf=True)
    assert found.update(deaf, 10.0) == 10.0 + SAY_AFTER_SECONDS
    assert found.update(deaf, 9.9 + SAY_AFTER_SECONDS) and not notes.found
    for second in range(20, 30):
        assert found.update(deaf, float(second)) is None
    ((name, message),) = notes.found
    assert name == "a" and "receives nothing" in message and "ip -s link" in message
    found.update(others(a=ALIVE, b=ALIVE), 30.0)
    found.update(deaf, 40.0)
    found.update(deaf, 50.0)
    assert len(notes.found) == 2, "it is news when it comes back"


@pytest.mark.parametrize(("node", "says"), [("a", True), ("b", False)])
def test_of_those_that_hear_it_the_first_by_name_tells_of_the_node(node: str, says: bool) -> None:
    found, notes = reporter(node)
    status = others(a=ALIVE, b=ALIVE, d=GONE)
    found.update(status, 0.0)
    found.update(status, SAY_AFTER_SECONDS)
    assert [name for name, _message in notes.found] == (["d"] if says else [])
    assert not says or 'node "a" hears this node' in notes.found[0][1]


def test_of_a_node_that_is_there_by_way_of_others_and_of_a_moment_nothing_is_told() -> None:
    found, notes = reporter("a")
    bad_cable = others(a=ALIVE, b=replace(ALIVE, one_way=True))
    found.update(bad_cable, 0.0)
    found.update(bad_cable, 100.0)
    found.update(others(a=ALIVE, d=GONE), 100.0)
    found.update(others(a=ALIVE, d=ALIVE), 101.0)
    found.update(others(a=ALIVE, d=GONE), 102.0)
    found.update(others(a=ALIVE, d=GONE), 101.0 + SAY_AFTER_SECONDS)
    assert not notes.found
