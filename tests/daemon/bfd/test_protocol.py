# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what the BFD process and a speaker of another release say to each other."""

from __future__ import annotations

import json
from pathlib import Path

from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.net.bfd_protocol import read_settings, read_status, read_want
from vipcast.net.ipc import check

RECORDED = json.loads((Path(__file__).parent / "recorded" / "release-0.1.0.json").read_text())


def test_what_the_release_before_says_is_understood() -> None:
    (settings,) = read_want(RECORDED["want"]["want"]).values()
    assert (str(settings.peer), settings.detect_multiplier) == ("10.31.8.12", 3)
    (message,) = RECORDED["status"]
    check(message)
    status = read_status(message["sessions"]["r"])
    assert (status.state, status.counters.packets_in) == (BfdState.UP, 14)


def test_what_a_later_release_adds_is_left_out() -> None:
    (message,) = RECORDED["status"]
    written = message["sessions"]["r"]
    later = {
        **written,
        "mood": "good",
        "diagnostic": 17,
        "counters": {**written["counters"], "moods": 5},
    }
    assert read_status(later) == read_status(written)
    assert read_status({**later, "diagnostic": 1}).diagnostic is Diagnostic.DETECTION_TIME_EXPIRED
    settings = RECORDED["want"]["want"]["r"]
    assert read_settings({**settings, "mood": "good"}) == read_settings(settings)
