# SPDX-License-Identifier: GPL-3.0-or-later
"""BIRD, which dials too, and takes a second connection for a restart of ours (RFC 4724 section 5)."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator

import pytest
from daemon.interop.network import eventually, lacking, run
from daemon.interop.peers.base import Setup
from daemon.interop.peers.bird import config
from daemon.interop.slow_cable import SlowCable
from daemon.interop.speaker import Speaker, peer

from vipcast.net.listener import Listener

pytestmark = pytest.mark.netns


@pytest.fixture
def bird() -> Iterator[SlowCable]:
    """BIRD behind a path of 3 ms, as a router some networks away or in a virtual machine."""
    if (lack := lacking()) is not None:
        pytest.fail(lack)
    if shutil.which("bird") is None:
        pytest.fail("no BIRD: apt-get install bird2")
    with SlowCable(0.003) as cable:
        control = cable.folder / "bird.ctl"
        text = config(Setup(dials=True), f"{cable.folder}/bird.log")
        text = text.replace(" hold time", " graceful restart on; hold time")
        (cable.folder / "bird.conf").write_text(text)
        cable.spawn("bird", "bird", "-f", "-c", f"{cable.folder}/bird.conf", "-s", str(control))
        eventually(lambda: control.exists() and "BGP" in _ask(cable, "show protocols"), "BIRD answers")
        yield cable


def _ask(cable: SlowCable, *words: str) -> str:
    return run("birdc", "-s", str(cable.folder / "bird.ctl"), *words, check=False)


def test_after_two_losses_the_session_comes_back_and_stays(bird: SlowCable) -> None:
    """BIRD's connection waits for the end of our rest; then it is served, and none is made beside it."""
    settings = peer(restart_time=30, connect_time=5)
    with Speaker(bird.node, settings, listener=Listener(always=True)) as speaker:
        for _loss in range(2):
            speaker.wait_up()
            time.sleep(0.5)
            speaker.bfd_down("the link flapped")
            speaker.wait(lambda status: not status.established)
        speaker.wait_up(15)
        time.sleep(8)
        status = speaker.status()
        assert status.established, status.last_error
        assert status.counters.established == 3, "the first one after the losses"
