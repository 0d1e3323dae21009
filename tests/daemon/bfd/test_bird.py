# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast bfd` and BIRD 2, with BGP beside it where it matters."""

from __future__ import annotations

import re
import shutil
import signal
import time
from collections.abc import Iterator

import pytest
from daemon.bfd.harness import (
    NODE,
    NODE6,
    PUNCTUAL,
    ROUTER,
    ROUTER6,
    Asker,
    BfdProcess,
    cut,
    eventually,
    mend,
    settings,
)
from daemon.bfd.restart import VIP, held, start_speaker
from daemon.interop.network import Cable, lacking, run

from vipcast.bfd.fsm import BfdState, Diagnostic

_BFD = 'protocol bfd { interface "eth0" { interval 100 ms; multiplier 3; passive %s; };'
_HEAD = (
    'log "{folder}/bird.log" all; router id 10.99.0.2; protocol device {{}} protocol direct {{ ipv4; ipv6; }}'
)
_BGP = f"""
protocol kernel {{ ipv4 {{ export where source = RTS_BGP; }}; }}
protocol bgp node {{
 local {ROUTER} as 64512; neighbor {NODE} as 64513;
 hold time 9; keepalive time 3; connect retry time 1; connect delay time 1; error wait time 1, 2;
 bfd on;
 ipv4 {{ import all; export none; }};
}}
"""


class Bird(Cable):
    def start_bird(self, *, passive: bool = False, neighbors: tuple[str, ...] = (), bgp: str = "") -> None:
        text = _HEAD.format(folder=self.folder) + _BFD % ("on" if passive else "off")
        text += "".join(f' neighbor {address} dev "eth0";' for address in neighbors) + " }\n" + bgp
        (self.folder / "bird.conf").write_text(text)
        control = self.folder / "bird.ctl"
        self.spawn("bird", *PUNCTUAL, "bird", "-f", "-c", f"{self.folder}/bird.conf", "-s", str(control))
        eventually(control.exists, "BIRD answers")

    def session(self, address: str = NODE) -> list[str]:
        """IP address, interface, state, since, interval, timeout."""
        shown = run("birdc", "-s", str(self.folder / "bird.ctl"), "show", "bfd", "sessions", check=False)
        found = re.search(rf"^{re.escape(address)} .*$", shown, re.MULTILINE)
        return found[0].split() if found else []

    def bfd_up(self, address: str = NODE) -> bool:
        return self.session(address)[2:3] == ["Up"]


@pytest.fixture
def bird() -> Iterator[Bird]:
    if (lack := lacking()) is not None:
        pytest.fail(lack)
    if shutil.which("bird") is None:
        pytest.fail("no BIRD: apt-get install bird2")
    with Bird() as made:
        yield made


@pytest.fixture
def process(bird: Bird) -> Iterator[BfdProcess]:
    with BfdProcess(bird.node, bird.folder) as running:
        yield running


def settle(bird: Bird, asker: Asker, node: str = NODE) -> None:
    asker.wait_up()
    eventually(lambda: bird.bfd_up(node), "BIRD is up")
    asker.wait(lambda status: (status.detection_time or 9) < 0.9)


@pytest.mark.parametrize(("node", "there"), [(NODE, ROUTER), (NODE6, ROUTER6)], ids=["ipv4", "ipv6"])
def test_a_session_comes_up_with_the_times_of_both(
    bird: Bird, process: BfdProcess, node: str, there: str
) -> None:
    bird.start_bird(neighbors=(node,))
    with Asker(bird.node, {"r": settings(there)}) as asker:
        settle(bird, asker, node)
        eventually(lambda: bird.session(node)[-2:] == ["0.100", "0.300"], "BIRD knows our interval")
        assert asker.status().detection_time == pytest.approx(0.3)


def test_each_notices_that_the_other_stands_still(bird: Bird, process: BfdProcess) -> None:
    bird.start_bird(neighbors=(NODE,))
    with Asker(bird.node, {"r": settings()}) as asker:
        settle(bird, asker)
        bird.signal_daemon("bird", signal.SIGSTOP)
        status = asker.wait(lambda status: not status.up, 8)
        assert (status.diagnostic, status.went_down) == (Diagnostic.DETECTION_TIME_EXPIRED, 1)
        bird.signal_daemon("bird", signal.SIGCONT)
        settle(bird, asker)
        process.process.send_signal(signal.SIGSTOP)
        eventually(lambda: not bird.bfd_up(), "BIRD has noticed", 8)
        process.process.send_signal(signal.SIGCONT)
        settle(bird, asker)


def test_a_cable_that_is_cut_takes_both_ends_down_and_mended_up(bird: Bird, process: BfdProcess) -> None:
    bird.start_bird(neighbors=(NODE,))
    with Asker(bird.node, {"r": settings()}) as asker:
        settle(bird, asker)
        cut(bird)
        asker.wait(lambda status: not status.up, 8)
        eventually(lambda: not bird.bfd_up(), "BIRD has noticed", 8)
        mend(bird)
        settle(bird, asker)


def test_intervals_change_while_the_session_is_up(bird: Bird, process: BfdProcess) -> None:
    bird.start_bird(neighbors=(NODE,))
    with Asker(bird.node, {"r": settings()}) as asker:
        settle(bird, asker)
        asker.want({"r": settings(transmit_interval=0.25, receive_interval=0.4, detect_multiplier=4)})
        eventually(lambda: bird.session()[-2:] == ["0.400", "1.000"], "BIRD has followed")
        assert asker.status().counters.down_events == 0


def test_bird_may_be_the_passive_one(bird: Bird, process: BfdProcess) -> None:
    bird.start_bird(passive=True, neighbors=(NODE,))
    with Asker(bird.node, {"r": settings()}) as asker:
        settle(bird, asker)


def test_our_admin_down_is_what_bird_sees(bird: Bird, process: BfdProcess) -> None:
    bird.start_bird(neighbors=(NODE,))
    with Asker(bird.node, {"r": settings()}) as asker:
        settle(bird, asker)
        asker.want({})
        eventually(lambda: bird.session()[2:3] == ["Down"], "BIRD is down")
        asker.want({"r": settings()})
        settle(bird, asker)


def test_a_successor_takes_over_and_bird_does_not_notice(bird: Bird, process: BfdProcess) -> None:
    bird.start_bird(neighbors=(NODE,))
    with Asker(bird.node, {"r": settings()}) as asker:
        settle(bird, asker)
        since = bird.session()[3]
        with BfdProcess(bird.node, bird.folder) as successor:
            eventually(lambda: successor.said("taken_over"), "taken over")
            process.process.send_signal(signal.SIGTERM)
            assert process.process.wait(20) == 0
            time.sleep(1)
            assert bird.bfd_up() and bird.session()[3] == since
            assert asker.status().remote_state is BfdState.UP


def test_a_speaker_that_is_killed_and_restarted_loses_no_route(bird: Bird, process: BfdProcess) -> None:
    bird.start_bird(bgp=_BGP)
    with Asker(bird.node, {"r": settings()}) as asker:
        speaker = start_speaker(bird, 20)
        try:
            asker.wait_up()
            eventually(lambda: held(bird, 0), "the route is there", 15)
            time.sleep(1)
            speaker.kill()
            speaker.wait(20)
            assert held(bird, 1.5)
            speaker = start_speaker(bird, 20)
            assert held(bird, 6)
            assert asker.status().went_down == 0
        finally:
            speaker.kill()
            speaker.wait(20)


def test_a_node_that_dies_while_its_speaker_restarts_loses_its_routes_by_bfd(
    bird: Bird, process: BfdProcess
) -> None:
    """Do what FRR does not."""
    bird.start_bird(bgp=_BGP)
    with Asker(bird.node, {"r": settings()}) as asker:
        speaker = start_speaker(bird, 60)
        try:
            asker.wait_up()
            eventually(lambda: held(bird, 0), "the route is there", 15)
            time.sleep(1)
        finally:
            speaker.kill()
            speaker.wait(20)
        assert held(bird, 1), VIP
        cut(bird)
        assert not held(bird, 3)
