# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets and clients that nobody asked for: they are refused by name, and sessions go on."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from dataclasses import replace

import pytest
from daemon.bfd.harness import NODE, Asker, BfdProcess, Ends, both_up, eventually, settings
from daemon.interop.network import Cable
from daemon.interop.speaker import enter
from support.bounds import at_most

from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.bfd.packet import ControlPacket, Drop
from vipcast.net.bfd_protocol import control_name


@pytest.mark.parametrize("passive", [False, True])
def test_a_port_that_is_taken_is_a_problem_in_words_and_goes_away(
    cable: Cable, far: Ends, near: BfdProcess, passive: bool
) -> None:
    """A passive session hears nothing without the port: it has no timer of its own that would ask again."""
    taken: list[socket.socket] = []

    def take() -> None:
        enter(cable.node)
        taken.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        taken[0].bind(("", 3784))

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    with Asker(cable.node, {"r": settings(passive=passive)}) as asker:
        status = asker.wait(lambda status: status.problem is not None)
        assert "another BFD program" in (status.problem or "")
        taken[0].close()
        asker.wait(lambda status: status.up and status.problem is None)


def test_packets_that_belong_to_nobody_are_counted_and_nothing_else(
    cable: Cable, far: Ends, near: BfdProcess
) -> None:
    def throw(data: bytes, ttl: int, port: int) -> None:
        def work() -> None:
            enter(cable.router)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
                sock.sendto(data, (NODE, port))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        status = asker.status()
        forged = ControlPacket(
            state=BfdState.DOWN,
            diagnostic=Diagnostic.NONE,
            detect_multiplier=3,
            my_discriminator=status.remote_discriminator,
            your_discriminator=status.local_discriminator,
            desired_min_tx=1.0,
            required_min_rx=1.0,
        )
        before = _dropped(near).get(_KERNEL, 0)
        throw(replace(forged, your_discriminator=1).encode(), 255, 3784)
        throw(b"\0" * 24, 255, 3784)
        throw(b"", 255, 3784)
        assert _dropped(near) == {_KERNEL: before + 3}
        throw(replace(forged, detect_multiplier=0).encode(), 255, 3784)
        eventually(lambda: _dropped(near).get("detect multiplier zero") == 1, "what the kernel let pass")
        for _each in range(100):  # from further away than it says: one in sixteen passes, to be named
            throw(forged.encode(), 254, 3784)
        asker.wait(lambda status: status.counters.dropped.get("TTL too low", 0) > 0)
        assert asker.status().up and asker.status().counters.down_events == 0


_KERNEL = Drop.IN_THE_KERNEL.value


def _dropped(process: BfdProcess) -> dict[str, int]:
    found: dict[str, int] = json.loads(process.get("/status")[1])["status"]["dropped"]
    return found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"nonsense\n", b"not JSON"),
        (b"[]\n", b"not a JSON object"),
        (b'{"want":[]}\n', b"an object of settings by name would be right"),
        (b'{"want":{"r":{}}}\n', b"settings of a session"),
        (b'{"take_over":99}\n', b"hands over by versions 1 to 2"),
        (b"x" * 2_000_000, b""),  # a line without an end is not even read to what there is of it
    ],
)
def test_a_client_that_talks_nonsense_hurts_nobody(
    cable: Cable, far: Ends, near: BfdProcess, line: bytes, said: bytes
) -> None:
    answers: list[bytes] = []

    def talk() -> None:
        enter(cable.node)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(control_name("metallb-system"))
            with contextlib.suppress(ConnectionError):
                sock.sendall(line)
                more = at_most()
                while more() and (answer := sock.recv(1000)):
                    answers.append(answer)
                    if b"error" in answer:
                        break

    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        thread = threading.Thread(target=talk)
        thread.start()
        thread.join()
        assert said in b"".join(answers) and (b"error" in b"".join(answers)) == bool(said)
        heard = far[1].status().counters.packets_in
        far[1].wait(lambda status: status.counters.packets_in >= heard + 5)
        assert asker.status().up and far[1].status().counters.down_events == 0


def test_another_user_s_client_is_refused(cable: Cable, near: BfdProcess) -> None:
    eventually(lambda: near.said("started"), "it runs")
    time.sleep(0.3)
    if (child := os.fork()) == 0:
        try:
            enter(cable.node)
            os.setuid(12345)
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(3)
                sock.connect(control_name("metallb-system"))
                os._exit(len(sock.recv(10)))
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert near.said("client_refused")


def test_a_speaker_of_another_user_is_let_in_by_its_number(cable: Cable) -> None:
    with BfdProcess(cable.node, cable.folder, "--client-user", "12345") as process:
        eventually(lambda: process.said("started"), "it runs")
        time.sleep(0.3)
        if (child := os.fork()) == 0:
            try:
                enter(cable.node)
                os.setuid(12345)
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.settimeout(5)
                    sock.connect(control_name("metallb-system"))
                    sock.sendall(b'{"want":{}}\n')
                    os._exit(0 if b"sessions" in sock.recv(100) else 1)
            finally:
                os._exit(99)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
