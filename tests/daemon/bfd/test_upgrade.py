# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of different releases after each other on one node: no peer notices, or nobody waits for ever."""

from __future__ import annotations

import signal

from daemon.bfd.harness import PROGRAM, Asker, BfdProcess, Ends, both_up, eventually, settings
from daemon.interop.network import Cable

_RANGE = """
from vipcast.agent import handover
from vipcast.versions import Versions
handover.SUPPORTED = Versions({}, {})
"""


class Previous(BfdProcess):
    """It hands over as release 0.1.0 does."""

    program = _RANGE.format(1, 1) + PROGRAM


class Foreign(BfdProcess):
    """It has no version in common with the present release."""

    program = _RANGE.format(8, 9) + PROGRAM


def test_no_peer_notices_an_upgrade_and_a_roll_back(cable: Cable, far: Ends, near: BfdProcess) -> None:
    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        old = near
        for kind in (Previous, BfdProcess, Previous):
            successor = kind(cable.node, cable.folder)
            eventually(lambda successor=successor: successor.said("taken_over"), "it takes over")
            old.process.send_signal(signal.SIGTERM)
            assert old.process.wait(20) == 0
            old = successor
        assert far[1].status().counters.down_events == 0 and far[1].status().up
        old.__exit__()


def test_who_cannot_take_over_begins_when_the_other_has_gone(
    cable: Cable, far: Ends, near: BfdProcess
) -> None:
    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        with Foreign(cable.node, cable.folder, "--health-address=127.0.0.1:17476") as waiting:
            waiting.port = 17476
            eventually(lambda: waiting.said("cannot_take_over"), "it says so")
            eventually(lambda: waiting.get("/readyz")[0] == 200, "and is ready")
            assert far[1].status().counters.down_events == 0
            near.process.send_signal(signal.SIGTERM)
            assert near.process.wait(20) == 0
            far[1].wait(lambda status: not status.up)
            both_up(asker, far[1])
            assert far[1].status().went_down == 0, "it was told that the one before ends"
