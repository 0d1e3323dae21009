# SPDX-License-Identifier: GPL-3.0-or-later
"""The event loop of the processes that keep time."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator

import pytest

from vipcast.agent.loop import PAUSE_SECONDS, Loop


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """A loop takes the process's signals."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_after_a_pause_it_is_said_before_anything_is_read() -> None:
    loop, said = Loop(), list[str]()
    one, other = socket.socketpair()
    loop.paused = lambda _now: said.append("paused")
    loop.read_quickly(one, lambda _now: said.append(one.recv(9).decode()))
    for pause, expected in ((0.0, ["a"]), (3 * PAUSE_SECONDS, ["paused", "b"]), (0.0, ["c"])):
        said.clear()
        time.sleep(pause)
        other.send(expected[-1].encode())
        loop.run_once(time.monotonic() + 5)
        assert said == expected
    said.clear()
    loop.run_once(time.monotonic() + 3 * PAUSE_SECONDS)
    assert said == [], "to wait for nothing is no pause"
    for sock in (one, other):
        sock.close()
    loop.close()
