# SPDX-License-Identifier: GPL-3.0-or-later
"""Strangers with our addresses, interfaces that come and go, speakers that are away, floods, thousands."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from dataclasses import replace
from ipaddress import ip_address

import pytest
from daemon.interop.speaker import enter
from daemon.layer2_agent.harness import KEY, VIP, VIP6, Asking, Cluster, Net, eventually, run

from vipcast.layer2.api import Holding, MoveKind
from vipcast.net.layer2_protocol import control_name


def from_client(net: Net, frames: list[bytes], seconds: float = 0.0) -> int:
    """Send them, again and again for so long; how many frames it were."""
    sent = 0

    def work() -> None:
        nonlocal sent
        enter(net.client)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            sock.bind(("eth0", 0x0806))
            end = time.monotonic() + seconds
            while True:
                for frame in frames:
                    sock.send(frame)
                sent += len(frames)
                if time.monotonic() >= end:
                    return

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return sent


def arp(operation: int, mac: str, sender: str, target: str) -> bytes:
    """Send to everybody."""
    packed = bytes.fromhex(mac.replace(":", ""))
    head = struct.pack("!6s6sHHHBBH", b"\xff" * 6, packed, 0x0806, 1, 0x0800, 6, 4, operation)
    return head + packed + ip_address(sender).packed + bytes(6) + ip_address(target).packed


# ---- strangers ----


def test_a_foreign_answer_raises_the_alarm_and_the_owner_stays(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    stranger = "02:00:00:00:00:77"
    time.sleep(1.2)  # in the first second of a claim another's answer is the last one of the former owner
    for _each in range(3):
        from_client(cluster.net, [arp(2, stranger, VIP, VIP)])
        time.sleep(0.5)
    status = cluster.speakers[owner].wait(lambda status: status.foreign)
    assert status.foreign == (stranger,) and status.holding is Holding.OWNER
    moves = [move for move in cluster.speakers[owner].moves if move.kind is MoveKind.FOREIGN]
    assert [(str(move.address), move.mac) for move in moves] == [(VIP, stranger)]
    counters = cluster.speakers[owner].call(lambda client: client.status.counters)
    eventually(
        lambda: cluster.processes[owner].status()["counters"][VIP]["foreign"] >= 1, f"counted: {counters}"
    )


def test_a_hand_over_between_nodes_is_no_alarm(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    electorate = ((0, frozenset(cluster.others(owner))),)
    with Asking(cluster.net) as asking:
        for speaker in cluster.speakers.values():
            wants = speaker.wants.addresses.items()
            speaker.want(addresses={each: replace(want, electorate=electorate) for each, want in wants})
        eventually(lambda: len(asking.macs()) == 2, "another answers")
        time.sleep(2)
    assert asking.most_in_vain() <= 3
    for name, speaker in cluster.speakers.items():
        assert not [move for move in speaker.moves if move.kind is MoveKind.FOREIGN], name
    assert cluster.speakers[owner].status(VIP).holding is Holding.NOT_CANDIDATE


def test_an_address_that_somebody_has_is_left_to_him_until_he_goes(net: Net) -> None:
    run("ip", "-n", net.client, "addr", "add", f"{VIP}/32", "dev", "eth0")
    with Cluster(net, (VIP, VIP6), detect_duplicates=True) as cluster:
        cluster.settle(VIP6)
        speakers = cluster.speakers.values()
        eventually(
            lambda: [s for s in speakers if s.status(VIP).holding is Holding.DUPLICATE], "one has found it"
        )
        mac = net.mac(net.client)
        found = next(s for s in speakers if s.status(VIP).holding is Holding.DUPLICATE)
        assert found.status(VIP).foreign == (mac,)
        assert [m.mac for m in found.moves if m.kind is MoveKind.DUPLICATE] == [mac]
        assert not [
            m for s in speakers for m in s.moves if m.kind is MoveKind.GAINED and str(m.address) == VIP
        ]
        run("ip", "-n", net.client, "addr", "del", f"{VIP}/32", "dev", "eth0")
        owner = cluster.settle(VIP, 60)
        assert net.arping(VIP) == [net.mac(cluster.namespaces[owner])]


# ---- the client's kernel as the oracle ----


@pytest.mark.parametrize("address", [VIP, VIP6])
def test_a_unicast_probe_of_the_client_s_kernel_is_answered(cluster: Cluster, address: str) -> None:
    owner = cluster.settle(address)
    mac = cluster.net.mac(cluster.namespaces[owner])
    entry = ("neigh", "replace", address, "lladdr", mac, "dev", "eth0", "nud", "probe")
    run("ip", "-n", cluster.net.client, *entry)

    def reachable() -> bool:
        return "REACHABLE" in run("ip", "-n", cluster.net.client, "neigh", "show", address, "dev", "eth0")

    eventually(reachable, "the kernel's probe was answered", 5)


def test_a_host_that_takes_the_address_hears_that_it_is_in_use(cluster: Cluster) -> None:
    cluster.settle(VIP6)
    run("ip", "-n", cluster.net.client, "addr", "add", f"{VIP6}/64", "dev", "eth0")
    eventually(
        lambda: "dadfailed" in run("ip", "-n", cluster.net.client, "addr", "show", "dev", "eth0"),
        "the client's kernel gives it up (RFC 4862)",
    )


# ---- interfaces ----


def test_an_interface_that_vanishes_and_comes_back_is_used_again(net: Net) -> None:
    with Cluster(net, (VIP, VIP6)) as cluster:
        owner = cluster.settle(VIP)
        namespace, number = cluster.namespaces[owner], int(owner[1:])
        for other in cluster.others(owner):
            cluster.processes[other].process.kill()
            del cluster.speakers[other]
        index = run("ip", "-n", namespace, "-o", "link", "show", "eth0").partition(":")[0]
        run("ip", "-n", namespace, "link", "del", "eth0")
        cluster.speakers[owner].wait(lambda status: status.holding is Holding.NO_INTERFACE)
        # The kernel may give the new one the number of the old one: it is another one all the same.
        net.plug(namespace, owner, 10 + number, index)
        cluster.settle(VIP)
        cluster.settle(VIP6)
        mac = net.mac(namespace)
        eventually(lambda: net.arping(VIP) == [mac], "it answers with its new MAC")
        eventually(lambda: net.ndisc(VIP6) == [mac], "for IPv6 too")


def test_every_interface_that_is_not_used_has_a_reason(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    namespace = cluster.namespaces[owner]
    for command in (
        "add cali0 type veth peer x0",
        "add br1 type bridge",
        "add one type veth peer two",
        "set one master br1",
        "set one up",
        "set two up",
        "set br1 up",
        "add three type veth peer four",
        "set three up",
        "set x0 arp off",
    ):
        run("ip", "-n", namespace, "link", *command.split())
    expected = {
        "lo": "LOOPBACK", "cali0": "EXCLUDED", "one": "ENSLAVED", "two": "", "br1": "", "eth0": "",
        "three": "NO_CARRIER", "four": "DOWN", "x0": "NO_ARP",
    }  # fmt: skip

    def refused() -> dict[str, str]:
        links = cluster.speakers[owner].call(lambda client: client.status.links)
        return {name: link.refused for name, link in links.items()}

    eventually(lambda: refused() == expected, "every reason", 10)
    cluster.speakers[owner].wait(lambda status: [each.name for each in status.interfaces] == ["eth0"])
    elsewhere = ip_address("192.0.2.9")
    (want, *_more) = cluster.speakers[owner].wants.addresses.values()
    for only, expected in ((None, ["br1", "eth0", "two"]), (frozenset({"two"}), ["two"])):
        mine = replace(want, interfaces=only, electorate=((0, frozenset({owner})),))
        cluster.speakers[owner].want(addresses={**cluster.speakers[owner].wants.addresses, elsewhere: mine})

        def used() -> list[str]:
            return [each.name for each in cluster.speakers[owner].status(str(elsewhere)).interfaces]

        eventually(
            lambda expected=expected: used() == expected, "an address of no network: on all, or as named"
        )


# ---- speakers ----


def test_a_node_whose_speaker_does_not_come_back_is_relieved(net: Net) -> None:
    with Cluster(net, (VIP,), "--orphan-seconds", "2") as cluster:
        owner = cluster.settle(VIP)
        cluster.speakers.pop(owner).__exit__()
        eventually(lambda: cluster.processes[owner].said("orphaned"), "it is an orphan", 10)
        eventually(cluster.owners, "another owns", 60)
        cluster.settle(VIP)
        assert cluster.processes[owner].status()["orphaned"]


def test_without_a_key_nobody_answers_and_with_one_somebody_does(net: Net) -> None:
    with Cluster(net, (VIP,)) as cluster:
        for speaker in cluster.speakers.values():
            speaker.want(keys=())
        eventually(
            lambda: {s.status(VIP).holding for s in cluster.speakers.values()} == {Holding.NO_KEY},
            "it is said",
        )
        assert net.arping(VIP) == []
        for speaker in cluster.speakers.values():
            speaker.want(keys=(KEY,))
        owner = cluster.settle(VIP)
        assert net.arping(VIP) == [net.mac(cluster.namespaces[owner])]


def test_a_key_is_nowhere_to_be_read(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    process = cluster.processes[owner]
    shown = process.get("/status")[1] + process.log_path.read_text()
    for written in (KEY.hex(), KEY.decode()):
        assert written not in shown


def test_clients_that_talk_nonsense_change_nothing(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    lines = (
        b"nonsense\n",
        b'{"want":[]}\n',
        b'{"want":{"node":"another"}}\n',
        b'{"change":{}}\n',
        b'{"take_over":99}\n',
        b'{"taken":1}\n',
        b'{"want":{"node":"n1"},"versions":[8,9]}\n',
        b"x" * 9_000_000,
    )
    answers: list[bytes] = []

    def talk() -> None:
        enter(cluster.namespaces[owner])
        for line in lines:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(5)
                sock.connect(control_name("metallb-system"))
                try:
                    sock.sendall(line)
                    answers.append(sock.recv(1000))
                except OSError:
                    answers.append(b"")

    thread = threading.Thread(target=talk)
    thread.start()
    thread.join()
    assert len(answers) == len(lines)
    assert all(answer == b"" or b"error" in answer for answer in answers)
    assert cluster.net.arping(VIP) == [cluster.net.mac(cluster.namespaces[owner])]
    assert cluster.speakers[owner].status(VIP).term == 1


def test_a_successor_that_dies_half_way_changes_nothing(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    term = cluster.speakers[owner].status(VIP).term

    def ask() -> None:
        enter(cluster.namespaces[owner])
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(control_name("metallb-system"))
            sock.sendall(b'{"take_over":1}\n')
            sock.recv(100)

    with Asking(cluster.net) as asking:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        eventually(lambda: cluster.processes[owner].said("not_taken_over"), "it goes on")
        time.sleep(1)
    assert asking.unanswered() == []
    for speaker in cluster.speakers.values():
        assert speaker.status(VIP).term == term


# ---- much of it ----


def test_five_thousand_addresses_are_answered_by_small_processes(net: Net) -> None:
    first = int(ip_address("10.31.16.0"))
    addresses = [str(ip_address(first + number)) for number in range(5000)]
    with Cluster(net, addresses) as cluster:
        chosen = random.Random(7).sample(addresses, 5)
        for address in chosen:
            owner = cluster.settle(address, 60)
            assert net.arping(address) == [net.mac(cluster.namespaces[owner])]
        for process in cluster.processes.values():
            assert process.memory() < 64 << 20


def test_a_thousand_ipv6_addresses_have_their_groups(net: Net) -> None:
    addresses = [f"fd31::a:{number:x}" for number in range(1000)]
    with Cluster(net, addresses) as cluster:
        for address in random.Random(7).sample(addresses, 3):
            owner = cluster.settle(address, 60)
            eventually(
                lambda a=address, o=owner: net.ndisc(a) == [net.mac(cluster.namespaces[o])], "it is answered"
            )
        groups = 0
        for namespace in cluster.namespaces.values():
            joined = run("ip", "-n", namespace, "maddress", "show", "dev", "eth0").split()
            groups += len([group for group in joined if group.startswith("ff02::1:ff0a:")])
        assert groups == len(addresses), "each on its owner, and nowhere else"


def test_a_flood_of_foreign_requests_costs_the_process_nothing(cluster: Cluster) -> None:
    """The kernel hands none of them to it; those for an address of ours it reads and answers."""
    process = cluster.processes[cluster.settle(VIP)]

    def read() -> tuple[int, int]:
        """Return how many frames it has read and ignored, and how many it has answered."""
        status = process.status()
        return sum(status["traffic"]["ignored"].values()), status["counters"][VIP]["answered"]

    mac = "02:00:00:00:00:66"
    foreign = [arp(1, mac, "10.31.8.1", str(ip_address("10.31.9.0") + number)) for number in range(200)]
    ignored, answered = read()
    assert from_client(cluster.net, foreign, 2) > 5000, "it was one"
    # Whatever came before this one has been read.
    from_client(cluster.net, [arp(1, mac, "10.31.8.1", VIP)])
    eventually(lambda: read()[1] > answered, "the last question is answered")
    assert read() == (ignored, answered + 1)
    # So the measurement measures.
    from_client(cluster.net, [arp(1, mac, "10.31.8.1", VIP)] * 50)
    eventually(lambda: read()[1] == answered + 51, "each is answered")
