# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what is told of sessions: each piece of news once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from daemon.speaker.peer_statuses import status

from vipcast.bgp.fsm import State
from vipcast.k8s import Json
from vipcast.speaker.reporting.reporter import SessionReporter

PEER = {"kind": "BGPPeer", "metadata": {"name": "tor"}}
UP = status(problem="")
DOWN = replace(UP, state=State.IDLE, last_error="the peer closed the connection")
OLD_PASSWORD = {"tor": ("secretNotFound", "there is no Secret; the session keeps the password it had")}


class Notes:
    """Takes the place where Events are queued."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def record(self, item: Json, reason: str, message: str, *, warning: bool = False) -> None:
        assert item is PEER
        assert message.startswith('node "n1": ')
        assert warning == (reason != "sessionUp")
        self.reasons.append(reason)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def reporter(notes: Notes) -> SessionReporter:
    return SessionReporter(notes, "n1", {"tor": PEER}.get)


def test_a_session_that_keeps_an_old_password_is_told_of_once(
    reporter: SessionReporter, notes: Notes
) -> None:
    for _decision in range(3):
        reporter.update({"tor": UP}, OLD_PASSWORD)
    assert sorted(notes.reasons) == ["secretNotFound", "sessionUp"]
    reporter.update({"tor": UP}, {})
    assert len(notes.reasons) == 2, "the session never went away"


def test_every_change_is_told(reporter: SessionReporter, notes: Notes) -> None:
    for one in (UP, UP, DOWN, DOWN, UP):
        reporter.update({"tor": one}, {})
    assert notes.reasons == ["sessionUp", "sessionDown", "sessionUp"]


def test_a_peer_that_was_refused_and_comes_back_is_told_of_anew(
    reporter: SessionReporter, notes: Notes
) -> None:
    reporter.update({"tor": UP}, {})
    reporter.update({}, OLD_PASSWORD)
    reporter.update({"tor": UP}, {})
    assert notes.reasons == ["sessionUp", "secretNotFound", "sessionUp"]


def test_what_stands_in_the_way_is_told_once_while_attempts_fail(
    reporter: SessionReporter, notes: Notes
) -> None:
    blocked = replace(DOWN, problem="port 179 is taken by another program")
    for error in ("one", "one", "two"):
        reporter.update({"tor": replace(blocked, last_error=error)}, {})
    assert notes.reasons == ["sessionDown", "sessionProblem", "sessionDown"]
