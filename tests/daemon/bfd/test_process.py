# SPDX-License-Identifier: GPL-3.0-or-later
"""The program itself: clients that come and go, a successor, the end.

It runs at the cable's other end too.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable

import pytest
from daemon.bfd.harness import (
    NODE,
    NODE6,
    PROGRAM,
    ROUTER,
    ROUTER6,
    Asker,
    BfdProcess,
    Ends,
    both_up,
    eventually,
    settings,
)
from daemon.interop.network import Cable, run
from daemon.interop.speaker import enter

from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.net.bfd_protocol import control_name


class _PausingProcess(BfdProcess):
    """Once in a while it stands still between waking for a packet and reading it: so long, more come."""

    program = f"""
import time
from vipcast.net import bfd_sockets
read, calls = bfd_sockets.receive, 0
def slow(sock, *most):
    global calls
    calls += 1
    if calls % 15 == 0:
        time.sleep(1)
    return read(sock, *most)
bfd_sockets.receive = slow
{PROGRAM}
"""


def _usable(namespace: str) -> str:
    shown = run("ip", "-n", namespace, "-6", "addr", "show", "dev", "eth0")
    return "\n".join(line for line in shown.splitlines() if "tentative" not in line)


def test_a_session_comes_up_and_tells_its_times(cable: Cable, far: Ends, near: BfdProcess) -> None:
    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        status = asker.status()
        assert (status.remote_transmit_interval, status.remote_detect_multiplier) == (0.1, 3)
        assert status.remote_control_plane_independent and status.problem is None
        assert abs(status.since_wall - time.time()) < 10


def test_a_session_over_ipv6_comes_up(cable: Cable, near: BfdProcess) -> None:
    with (
        BfdProcess(cable.router, cable.folder),
        Asker(cable.router, {"r": settings(NODE6)}) as other,
        Asker(cable.node, {"r": settings(ROUTER6)}) as asker,
    ):
        both_up(asker, other)


def test_a_session_between_link_local_addresses_comes_up(cable: Cable, near: BfdProcess) -> None:
    def address(namespace: str) -> str:
        found = json.loads(run("ip", "-n", namespace, "-j", "-6", "addr", "show", "dev", "eth0"))
        addresses = itertools.chain.from_iterable(entry.get("addr_info", []) for entry in found)
        return str(next(entry["local"] for entry in addresses if entry["local"].startswith("fe80")))

    for namespace in (cable.node, cable.router):
        eventually(lambda ns=namespace: "fe80" in _usable(ns), "the address is usable")  # type: ignore[misc]
    with (
        BfdProcess(cable.router, cable.folder),
        Asker(cable.router, {"r": settings(address(cable.node), interface="eth0")}) as other,
        Asker(cable.node, {"r": settings(address(cable.router), interface="eth0")}) as asker,
    ):
        both_up(asker, other)


def test_a_client_that_goes_leaves_its_sessions_up(cable: Cable, far: Ends, near: BfdProcess) -> None:
    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
    time.sleep(1)
    assert far[1].status().went_down == 0
    with Asker(cable.node, {"r": settings()}) as asker:
        since = asker.wait_up().since_wall
        assert since < time.time() - 1  # it is the old session
    assert far[1].status().up


def test_sessions_that_nobody_wants_end_after_their_time(cable: Cable, far: Ends) -> None:
    with BfdProcess(cable.node, cable.folder, "--orphan-seconds", "1"):
        with Asker(cable.node, {"r": settings()}) as asker:
            both_up(asker, far[1])
        gone = time.monotonic()
        status = far[1].wait(lambda status: not status.up)
    assert time.monotonic() - gone > 0.9
    assert (status.remote_state, status.went_down) == (BfdState.ADMIN_DOWN, 0)


def test_a_session_that_is_no_longer_wanted_is_taken_down_at_once(
    cable: Cable, far: Ends, near: BfdProcess
) -> None:
    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        asker.want({})
        status = far[1].wait(lambda status: not status.up, 5)
        assert status.remote_diagnostic is Diagnostic.ADMINISTRATIVELY_DOWN
        asker.want({"r": settings()})
        both_up(asker, far[1])


def test_other_intervals_keep_the_session(cable: Cable, far: Ends, near: BfdProcess) -> None:
    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        asker.want({"r": settings(transmit_interval=0.2, detect_multiplier=5)})
        far[1].wait(lambda status: status.detection_time == pytest.approx(1.0))
        assert far[1].status().counters.down_events == 0


def test_a_successor_takes_over_and_no_peer_notices(cable: Cable, far: Ends, near: BfdProcess) -> None:
    with Asker(cable.node, {"r": settings(transmit_interval=0.03, receive_interval=0.03)}) as asker:
        far[1].want({"r": settings(NODE, transmit_interval=0.03, receive_interval=0.03)})
        asker.wait(lambda status: status.detection_time == pytest.approx(0.09))
        discriminator = asker.status().local_discriminator
        with BfdProcess(cable.node, cable.folder) as successor:
            eventually(lambda: successor.said("taken_over"), "the successor has taken over")
            eventually(lambda: near.said("handed_over"), "the old process knows it")
            asker.wait(lambda status: status.up and asker.connected())
            assert successor.get("/readyz")[0] == 200
            near.process.send_signal(signal.SIGTERM)
            assert near.process.wait(20) == 0
            time.sleep(1)
            assert asker.status().local_discriminator == discriminator
            assert far[1].status().counters.down_events == 0


def test_generations_follow_each_other(cable: Cable, far: Ends, near: BfdProcess) -> None:
    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        old, made = near, []
        try:
            for _time in range(4):
                successor = BfdProcess(cable.node, cable.folder)
                made.append(successor)
                eventually(lambda successor=successor: successor.said("taken_over"), "taken over")  # type: ignore[misc]
                old.process.send_signal(signal.SIGTERM)
                assert old.process.wait(20) == 0
                old = successor
            assert far[1].status().counters.down_events == 0
        finally:
            for successor in made:
                successor.__exit__()


def test_when_the_successor_is_told_to_end_the_old_process_takes_over_again(
    cable: Cable, far: Ends, near: BfdProcess
) -> None:
    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        with BfdProcess(cable.node, cable.folder) as successor:
            eventually(lambda: near.said("handed_over"), "handed over")
            successor.process.send_signal(signal.SIGTERM)
            assert successor.process.wait(20) == 0
        eventually(lambda: near.said("taken_over"), "taken back")
        time.sleep(0.5)
        assert far[1].status().counters.down_events == 0


def test_when_the_successor_crashes_the_old_process_begins_anew(
    cable: Cable, far: Ends, near: BfdProcess
) -> None:
    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        with BfdProcess(cable.node, cable.folder) as successor:
            eventually(lambda: near.said("handed_over"), "handed over")
            successor.process.kill()
            successor.process.wait(20)
        far[1].wait(lambda status: status.went_down == 1)
        both_up(asker, far[1])


def test_a_successor_that_dies_half_way_changes_nothing(cable: Cable, far: Ends, near: BfdProcess) -> None:
    def begin_and_die() -> None:
        enter(cable.node)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(control_name("metallb-system"))
            sock.sendall(b'{"take_over":1}\n')
            sock.recv(10)

    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        thread = threading.Thread(target=begin_and_die)
        thread.start()
        thread.join()
        time.sleep(1)
        assert far[1].status().counters.down_events == 0 and asker.status().up
        assert not near.said("handed_over")


def test_told_to_end_it_says_so_to_every_peer_and_exits_with_0(
    cable: Cable, far: Ends, near: BfdProcess
) -> None:
    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        near.process.send_signal(signal.SIGTERM)
        status = far[1].wait(lambda status: not status.up, 5)
        assert near.process.wait(20) == 0
    assert (status.remote_state, status.went_down) == (BfdState.ADMIN_DOWN, 0)


def test_a_pause_of_our_own_is_not_the_peer_s_death(cable: Cable, far: Ends, near: BfdProcess) -> None:
    """SIGSTOP: the peer, which is patient here, goes on sending. To declare it dead would be wrong."""
    with Asker(cable.node, {"r": settings(transmit_interval=0.02, receive_interval=0.1)}) as asker:
        far[1].want({"r": settings(NODE, receive_interval=2.0)})
        far[1].wait(lambda status: status.detection_time == pytest.approx(6.0))
        asker.wait(lambda status: status.detection_time == pytest.approx(0.3))
        for _time in range(3):
            os.kill(near.process.pid, signal.SIGSTOP)
            time.sleep(1)
            os.kill(near.process.pid, signal.SIGCONT)
            time.sleep(0.3)
        assert asker.status().counters.down_events == 0


def test_a_pause_before_what_has_come_is_read_is_not_the_peer_s_death(cable: Cable, far: Ends) -> None:
    with (
        _PausingProcess(cable.node, cable.folder),
        Asker(cable.node, {"r": settings(transmit_interval=0.02, receive_interval=0.1)}) as asker,
    ):
        far[1].want({"r": settings(NODE, receive_interval=2.0)})
        before = asker.wait(lambda status: status.detection_time == pytest.approx(0.3)).counters.packets_in
        status = asker.wait(lambda status: status.counters.packets_in > before + 40, 20)
        assert status.counters.down_events == 0


def test_a_peer_that_stands_still_is_noticed(cable: Cable, far: Ends, near: BfdProcess) -> None:
    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        os.kill(far[0].process.pid, signal.SIGSTOP)
        status = asker.wait(lambda status: not status.up, 5)
        os.kill(far[0].process.pid, signal.SIGCONT)
        assert (status.diagnostic, status.went_down) == (Diagnostic.DETECTION_TIME_EXPIRED, 1)
        both_up(asker, far[1])


def test_the_probes_answer_and_memory_is_small(cable: Cable, far: Ends, near: BfdProcess) -> None:
    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        assert near.get("/healthz") == (200, "ok\n\n")
        assert near.get("/nothing")[0] == 404
        document = json.loads(near.get("/status")[1])
        assert [session["name"] for session in document["status"]["sessions"]] == ["r"]
        assert near.memory() < 24 * 2**20


def test_vipcast_status_shows_the_sessions_in_words(cable: Cable, far: Ends, near: BfdProcess) -> None:
    with Asker(cable.node, {"r": settings()}) as asker:
        both_up(asker, far[1])
        shown = near.shown("status", "--health-address", "127.0.0.1:17473").splitlines()
        assert "asked by 1 speaker" in shown[0]
        assert shown[3].split()[:2] == [ROUTER, "Up"] and "300 ms" in shown[3]


def test_many_sessions_share_one_process(cable: Cable, near: BfdProcess) -> None:
    count = 60
    for number in range(count):
        run("ip", "-n", cable.router, "addr", "add", f"10.99.1.{number}/32", "dev", "lo")
        run("ip", "-n", cable.node, "addr", "add", f"10.99.2.{number}/32", "dev", "lo")
    run("ip", "-n", cable.node, "route", "add", "10.99.1.0/24", "via", ROUTER)
    run("ip", "-n", cable.router, "route", "add", "10.99.2.0/24", "via", NODE)
    from ipaddress import ip_address

    def pairs(here: int, there: int) -> dict[str, object]:
        return {
            f"r{n}": settings(
                f"10.99.{there}.{n}", local=ip_address(f"10.99.{here}.{n}"), multihop=True, minimum_ttl=200
            )
            for n in range(count)
        }

    with (
        BfdProcess(cable.router, cable.folder) as other,
        Asker(cable.router, pairs(1, 2)) as _asker,  # type: ignore[arg-type]
        Asker(cable.node, pairs(2, 1)) as asker,  # type: ignore[arg-type]
    ):
        eventually(lambda: all(asker.status(f"r{n}").up for n in range(count)), "all are up", 20)
        with BfdProcess(cable.node, cable.folder) as successor:
            eventually(lambda: successor.said("taken_over"), "taken over")
            time.sleep(1)
            document = json.loads(other.get("/status")[1])
            assert sum(session["counters"]["down_events"] for session in document["status"]["sessions"]) == 0


def _best() -> str:
    """Return the priority that the kernel gives here: some control groups have no time for realtime."""
    asked = subprocess.run(["chrt", "--rr", "1", "true"], capture_output=True, check=False, timeout=10)
    return "realtime" if asked.returncode == 0 else "high"


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [((), _best), (("setpriv", "--bounding-set=-sys_nice"), lambda: "ordinary")],
    ids=["with CAP_SYS_NICE", "without"],
)
def test_it_takes_the_priority_that_it_may_have_and_says_which(
    cable: Cable, prefix: tuple[str, ...], expected: Callable[[], str]
) -> None:
    with BfdProcess(cable.node, cable.folder, prefix=prefix) as process:
        eventually(lambda: process.said("started"), "it runs")
        assert process.events()[0]["priority"] == expected()


def leaving(cable: Cable, far: Ends, near: BfdProcess, asker: Asker) -> None:
    """The process is on its way out, has said AdminDown, and the router has not answered yet."""
    far[1].want({"r": settings(NODE, detect_multiplier=60)})  # it may be silent for longer than all of this
    both_up_slowly(asker, far[1])
    far[0].process.send_signal(signal.SIGSTOP)
    near.process.send_signal(signal.SIGTERM)
    asker.wait(lambda status: status.state is BfdState.ADMIN_DOWN)


def both_up_slowly(asker: Asker, other: Asker) -> None:
    asker.wait_up()
    other.wait_up()
    asker.wait(lambda status: (status.detection_time or 0) > 5)


def test_what_is_wanted_on_the_way_out_undoes_no_admin_down(
    cable: Cable, far: Ends, near: BfdProcess
) -> None:
    """RFC 5880 section 6.8.16: it is said until the peer knows."""
    with Asker(cable.node, {"r": settings()}) as asker:
        leaving(cable, far, near, asker)
        asker.want({"r": settings(), "other": settings("10.99.0.77")})
        assert near.process.wait(20) == 0
        assert [event["new"] for event in near.events() if "new" in event][-1] == "AdminDown"
        far[0].process.send_signal(signal.SIGCONT)
        far[1].wait(lambda status: status.remote_state is BfdState.ADMIN_DOWN)


def test_a_successor_that_comes_when_admin_down_was_said_has_the_sessions_up_again(
    cable: Cable, far: Ends, near: BfdProcess
) -> None:
    with Asker(cable.node, {"r": settings()}) as asker:
        leaving(cable, far, near, asker)
        with BfdProcess(cable.node, cable.folder) as successor:
            eventually(lambda: successor.said("taken_over"), "taken over")
            far[0].process.send_signal(signal.SIGCONT)
            asker.wait_up()
            far[1].wait_up()


def test_a_successor_takes_packets_of_sessions_that_its_predecessor_never_had(
    cable: Cable, far: Ends, near: BfdProcess
) -> None:
    """The sockets go over, and what the kernel lets through is the successor's to say."""
    with Asker(cable.node, {"other": settings("10.99.0.77")}) as asker:
        eventually(lambda: asker.status("other").local_discriminator, "it has the session, and its port")
        with BfdProcess(cable.node, cable.folder) as successor:
            eventually(lambda: successor.said("taken_over"), "taken over")
            asker.want({"r": settings()})
            both_up(asker, far[1])
