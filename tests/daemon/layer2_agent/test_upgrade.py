# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of different releases after each other on one node: real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from daemon.bfd.harness import PROGRAM
from daemon.layer2_agent.harness import (
    VIP,
    Asking,
    Cluster,
    Layer2Process,
    Net,
    Speaker,
    eventually,
    wants_of,
)

from vipcast.layer2.api import Holding
from vipcast.net.layer2_protocol import control_name

_RANGE = """
from vipcast.agent import handover
from vipcast.versions import Versions
handover.SUPPORTED = Versions({}, {})
"""
# The first time it has everything, it takes longer than the one in charge waits.
_LATE = """
import time
from vipcast.agent import handover
confirm, times = handover.confirm, []
def late(*arguments):
    if not times:
        times.append(1)
        time.sleep(3)
    confirm(*arguments)
handover.confirm = late
"""


class Previous(Layer2Process):
    """It speaks like release 0.1.0."""

    program = _RANGE.format(1, 1) + PROGRAM


class Foreign(Layer2Process):
    """It has no version in common with the present release."""

    program = _RANGE.format(8, 9) + PROGRAM


class Late(Layer2Process):
    program = _LATE + PROGRAM


def start(cluster: Cluster, name: str, kind: type[Layer2Process], *flags: str) -> Layer2Process:
    made = kind(cluster.namespaces[name], cluster.net.folder, *flags)
    cluster._stack.enter_context(made)
    return made


def term(cluster: Cluster, name: str) -> int:
    return cluster.speakers[name].status(VIP).term


def test_an_upgrade_and_a_roll_back_take_everything_over(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    before = term(cluster, owner)
    with Asking(cluster.net) as asking:
        old = cluster.processes[owner]
        for kind in (Previous, Layer2Process, Previous):
            successor = start(cluster, owner, kind)
            eventually(lambda successor=successor: successor.said("taken_over"), "it takes over")
            old.process.send_signal(signal.SIGTERM)
            assert old.process.wait(20) == 0
            time.sleep(0.6)
            old = successor
    assert asking.unanswered() == []
    assert asking.macs() == {cluster.net.mac(cluster.namespaces[owner])}
    assert cluster.settle(VIP) == owner
    assert term(cluster, owner) == before


def test_of_three_processes_the_last_one_is_in_charge(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    first = cluster.processes[owner]
    second = start(cluster, owner, Layer2Process)
    eventually(lambda: second.said("taken_over"), "the second takes over")
    third = start(cluster, owner, Layer2Process)
    eventually(lambda: third.said("taken_over"), "the third takes over")
    time.sleep(1)
    assert not first.said("successor_gone") and not third.said("handed_over")
    third.process.kill()
    eventually(lambda: second.said("successor_gone"), "the second sees that")
    cluster.settle(VIP)
    assert not first.said("successor_gone")


def test_who_cannot_take_over_is_ready_and_begins_when_the_other_has_gone(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    old = cluster.processes[owner]
    with Asking(cluster.net) as asking:
        waiting = start(cluster, owner, Foreign, "--health-address=127.0.0.1:17475")
        waiting.port = 17475
        eventually(lambda: waiting.said("cannot_take_over"), "it says so")
        assert waiting.get("/readyz") == (200, "ok\n\n"), "or nobody would end the old one"
        assert old.get("/readyz")[0] == 200
        time.sleep(1)
        assert cluster.settle(VIP) == owner
        old.process.send_signal(signal.SIGTERM)
        assert old.process.wait(20) == 0
        eventually(lambda: waiting.said("process_in_charge_gone"), "it sees that")
        eventually(lambda: waiting.get("/status")[1].find("priority") > 0, "it is in charge", 10)
        cluster.settle(VIP)
    assert asking.most_in_vain() <= 2, "others had taken over before"
    (why,) = [event["why"] for event in waiting.events() if event["event"] == "cannot_take_over"]
    assert "versions 1 to 2 of the protocol, not by versions 8 to 9" in why


def test_who_waits_is_told_to_end_and_does(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    waiting = start(cluster, owner, Foreign)
    eventually(lambda: waiting.said("cannot_take_over"), "it waits")
    waiting.process.send_signal(signal.SIGTERM)
    assert waiting.process.wait(10) == 0
    assert cluster.net.arping(VIP) == [cluster.net.mac(cluster.namespaces[owner])]


def test_a_successor_that_is_late_is_refused_and_takes_over_the_next_time(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    before, old = term(cluster, owner), cluster.processes[owner]
    with Asking(cluster.net) as asking:
        successor = start(cluster, owner, Late)
        eventually(lambda: old.said("not_taken_over"), "the old one goes on")
        eventually(lambda: successor.said("taken_over"), "the successor tries again")
        time.sleep(1)
    assert successor.said("tries_again")
    assert asking.unanswered() == []
    assert asking.macs() == {cluster.net.mac(cluster.namespaces[owner])}
    for speaker in cluster.speakers.values():
        assert speaker.status(VIP).term == before
    dropped = {name: cluster.processes[name].status()["traffic"]["dropped"] for name in cluster.others(owner)}
    assert all("REPLAYED" not in found for found in dropped.values()), "no number was used twice"


_SQUATTER = """
import os, socket, sys, time
os.setuid(65534)
sock = socket.socket(socket.AF_UNIX)
sock.bind(sys.argv[1].replace("@", chr(0)))
sock.listen()
print("listens", flush=True)
time.sleep(60)
"""


def test_another_users_program_with_our_name_keeps_us_waiting_and_nothing_more(net: Net) -> None:
    node, name = net.nodes[0], control_name("metallb-system").replace("\0", "@")
    command = ("ip", "netns", "exec", node, sys.executable, "-c", _SQUATTER, name)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as squatter:
        assert squatter.stdout is not None and squatter.stdout.readline() == "listens\n"
        try:
            with Layer2Process(node, net.folder) as process:
                eventually(lambda: process.said("control_socket_taken"), "it says so")
                time.sleep(3)
                assert process.process.poll() is None
                squatter.kill()
                squatter.wait(10)
                with Speaker(node, wants_of("n1", ("n1",))) as speaker:
                    speaker.wait(lambda status: status.holding is Holding.OWNER)
                events = [each["event"] for each in process.events()]
                assert events.count("control_socket_taken") == 1
        finally:
            squatter.kill()
