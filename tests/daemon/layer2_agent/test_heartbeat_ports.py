# SPDX-License-Identifier: GPL-3.0-or-later
"""The heartbeats' sockets: another port while everything runs, and what the kernel keeps away from them."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest
from daemon.bfd.harness import PROGRAM
from daemon.interop.speaker import enter
from daemon.layer2_agent.harness import VIP, Asking, Cluster, Layer2Process, Net, eventually, run

from vipcast.net import heartbeat_port
from vipcast.net.heartbeat_port import HeartbeatPort

_AS_RELEASE_0_1_0 = """
from vipcast.membership import Membership
from vipcast.net import heartbeat_port
from vipcast.versions import Versions
heartbeat_port.MOST_HOPS = 64
Membership.__init__.__kwdefaults__["versions"] = Versions(1, 1)
"""


class Old(Layer2Process):
    """It speaks version 1, and sends with the TTL of any program."""

    program = _AS_RELEASE_0_1_0 + PROGRAM


def listens(process: Layer2Process) -> None:
    eventually(lambda: process.said("interface_found"), "it can be asked")


def states(cluster: Cluster) -> set[str]:
    """Return the states that any process tells of any member."""
    return {
        each["state"]
        for process in cluster.processes.values()
        for each in process.status()["members"].values()
    }


# ---- another port ----


def test_another_port_is_rolled_out_node_by_node_without_a_move(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    term = cluster.speakers[owner].status(VIP).term
    with Asking(cluster.net) as asking:
        for port in (7000, 7946):
            for name, speaker in cluster.speakers.items():
                speaker.want(settings=replace(speaker.wants.settings, port=port))
                eventually(lambda name=name: cluster.processes[name].said("port_changed"), "it has heard")
                time.sleep(1.2)
                assert states(cluster) == {"alive"}
                if (port, name) == (7000, "n2"):
                    successor = cluster.process("n1")
                    eventually(
                        lambda successor=successor: successor.said("taken_over"),
                        "in the midst of it, an upgrade",
                    )
                    cluster.processes["n1"].process.send_signal(signal.SIGTERM)
                    cluster.processes["n1"] = successor
                    time.sleep(1.2)
    assert asking.unanswered() == []
    assert asking.macs() == {cluster.net.mac(cluster.namespaces[owner])}
    for speaker in cluster.speakers.values():
        assert (speaker.status(VIP).owner, speaker.status(VIP).term) == (owner, term)


def test_where_the_new_port_is_taken_the_old_one_is_used(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    other = cluster.others(owner)[0]
    taken: list[socket.socket] = []

    def take() -> None:
        enter(cluster.namespaces[other])
        for family in (socket.AF_INET, socket.AF_INET6):
            sock = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(("", 7000))
            taken.append(sock)

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    for speaker in cluster.speakers.values():
        speaker.want(settings=replace(speaker.wants.settings, port=7000))
        time.sleep(1.2)
    assert any("7000 is taken" in each for each in cluster.processes[other].status()["problems"])
    assert states(cluster) == {"alive"}
    for sock in taken:
        sock.close()
    eventually(lambda: not cluster.processes[other].status()["problems"], "it has the new one")
    time.sleep(1)
    assert states(cluster) == {"alive"} and cluster.settle(VIP) == owner


# ---- what the kernel keeps away ----


def in_namespace(namespace: str, work: Callable[[], None]) -> None:
    caught: list[BaseException] = []

    def body() -> None:
        enter(namespace)
        try:
            work()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if caught:
        raise caught[0]


def test_what_a_router_has_forwarded_is_dropped_where_that_is_asked_for(net: Net) -> None:
    def work() -> None:
        port = HeartbeatPort(7946)
        assert len(port.open()) == 2 and port.problem is None
        for version, family, host in ((4, socket.AF_INET, "127.0.0.1"), (6, socket.AF_INET6, "::1")):
            receiver = port.sockets[version]

            def heard(
                data: bytes, hops: int, family: int = family, host: str = host, it: socket.socket = receiver
            ) -> list[bytes]:
                with socket.socket(family, socket.SOCK_DGRAM) as sock:
                    if family == socket.AF_INET:
                        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
                    else:
                        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
                    sock.sendto(data, (host, 7946))
                return [data for data, _source in port.receive(it)]

            port.take_from_link_only(False)
            assert heard(b"vL...", 64) == [b"vL..."]
            assert heard(b"something else", 255) == [] and heard(b"v", 255) == []
            port.take_from_link_only(True)
            assert heard(b"vL...", 254) == [] and heard(b"vL...", 64) == []
            assert heard(b"vL...", 255) == [b"vL..."]
            port.take_everything()
            assert heard(b"something else", 64) == [b"something else"]
            port.take_from_link_only(True)
            assert heard(b"vL...", 64) == []
        port.close()

    in_namespace(net.nodes[0], work)


def test_a_flood_is_read_in_pieces(net: Net) -> None:
    def work() -> None:
        port = HeartbeatPort(7946)
        port.open()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _each in range(300):
                sock.sendto(b"vL", ("127.0.0.1", 7946))
        first = len(list(port.receive(port.sockets[4])))
        assert first == 256
        assert len(list(port.receive(port.sockets[4], everything=True))) == 300 - first
        port.close()

    in_namespace(net.nodes[0], work)


def test_a_buffer_that_the_kernel_cuts_is_known(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat_port, "_BUFFER", 1 << 30)

    def work() -> None:
        port = HeartbeatPort(7946)
        port.open()
        assert port.room == port.sockets[4].getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
        port.close()

    in_namespace(net.nodes[0], work)


def forged(cluster: Cluster, hops: int) -> None:
    """Send nonsense that begins as a heartbeat does to every node, from beside it, with this TTL."""

    def work() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
            for number in (1, 2, 3):
                sock.sendto(b"vL nonsense", (f"10.31.8.1{number}", 7946))

    in_namespace(cluster.net.client, work)


def dropped(cluster: Cluster) -> list[int]:
    return [
        process.status()["traffic"]["dropped"].get("TOO_SHORT", 0) for process in cluster.processes.values()
    ]


def test_members_on_one_link_take_nothing_from_farther_away(cluster: Cluster) -> None:
    time.sleep(0.5)
    forged(cluster, 64)
    forged(cluster, 255)
    eventually(lambda: dropped(cluster) == [1, 1, 1], "what came from the link was looked at")
    time.sleep(0.3)
    assert dropped(cluster) == [1, 1, 1], "and nothing else"


def test_a_member_of_the_release_before_is_heard_with_its_ttl(cluster: Cluster) -> None:
    cluster.processes["n2"].process.kill()
    cluster.processes["n2"].process.wait(10)
    time.sleep(1)
    old = Old(cluster.namespaces["n2"], cluster.net.folder)
    cluster._stack.enter_context(old)
    cluster.processes["n2"] = old

    def all_alive() -> bool:
        return states(cluster) == {"alive"}

    listens(old)
    eventually(all_alive, "it is heard")
    cluster.settle(VIP)
    time.sleep(2)
    assert all_alive()
    old.process.kill()
    old.process.wait(10)
    cluster.processes["n2"] = cluster.process("n2")
    listens(cluster.processes["n2"])
    eventually(all_alive, "and its successor")
    time.sleep(1)
    forged(cluster, 64)
    forged(cluster, 255)
    eventually(lambda: all(dropped(cluster)), "who is heard with a TTL of 255 is held to it")
    assert dropped(cluster)[:1] == dropped(cluster)[2:]


def test_members_behind_a_router_are_heard(net: Net) -> None:
    """Their addresses are on no network of the others: no TTL is asked of them."""
    for node in net.nodes:
        number = net.name(node)[1:]
        run("ip", "-n", node, "addr", "add", f"10.99.0.{number}/32", "dev", "lo")
        for other in {"1", "2", "3"} - {number}:
            via = ("via", f"10.31.8.1{other}", "src", f"10.99.0.{number}")
            run("ip", "-n", node, "route", "add", f"10.99.0.{other}/32", *via)
    with Cluster(net, (VIP,)) as cluster:
        members = {name: (ip_address(f"10.99.0.{name[1:]}"),) for name in cluster.namespaces}
        for speaker in cluster.speakers.values():
            speaker.want(members=members)
        for process in cluster.processes.values():
            listens(process)
        eventually(lambda: states(cluster) == {"alive"}, "all are heard")
        cluster.settle(VIP)
        time.sleep(0.5)
        forged(cluster, 64)
        eventually(lambda: all(dropped(cluster)), "what comes from anywhere is looked at")


# ---- who was stopped ----


def test_who_was_stopped_answers_nothing_before_it_has_heard_who_owns(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    mac = cluster.net.mac(cluster.namespaces[owner])
    process = cluster.processes[owner].process
    with Asking(cluster.net, interval=0.005) as asking:
        time.sleep(0.5)
        process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        woken = time.monotonic()
        process.send_signal(signal.SIGCONT)
        time.sleep(2)
    assert mac in asking.macs(), "it was the owner"
    late = [at for at, answering in asking.answers if answering == mac and at >= woken]
    assert not late, f"{len(late)} of the questions that waited were answered by who is no owner any more"
    assert cluster.settle(VIP) != owner
