# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast layer2` on three nodes of a segment: who answers the client, and who when something happens."""

from __future__ import annotations

import signal
import time

from daemon.layer2_agent.harness import VIP, VIP6, Asking, Cluster, Layer2Process, Net, eventually, run

from vipcast.layer2.api import Holding

# Questions in vain, one in 20 ms. The others notice that a node is gone after 0.35 s; without heartbeats they
# would have to learn it from the API, after many seconds.
NOTICED = 100


def test_one_node_answers_and_everybody_says_which(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    mac = cluster.net.mac(cluster.namespaces[owner])
    assert cluster.net.arping(VIP) == [mac]
    assert cluster.net.resolve(VIP) == mac
    status = cluster.speakers[owner].status(VIP)
    assert [(each.name, each.mac) for each in status.interfaces] == [("eth0", mac)]
    for other in cluster.others(owner):
        cluster.speakers[other].wait(lambda status: status.holding is Holding.STANDBY)


def test_one_node_answers_neighbor_discovery(cluster: Cluster) -> None:
    owner = cluster.settle(VIP6)
    mac = cluster.net.mac(cluster.namespaces[owner])
    assert cluster.net.ndisc(VIP6) == [mac]
    assert cluster.net.resolve(VIP6) == mac


def test_when_the_owner_is_gone_another_answers(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    with Asking(cluster.net) as asking:
        time.sleep(0.3)
        cluster.net.cut(cluster.namespaces[owner])
        at = time.monotonic()
        before = cluster.net.mac(cluster.namespaces[owner])
        eventually(lambda: asking.macs(at + 0.05) - {before}, "another answers")
        time.sleep(0.2)
    assert asking.most_in_vain(at) < NOTICED
    assert cluster.net.neighbor(VIP) in (None, *asking.macs(at + 0.05))


def test_when_the_owner_s_process_is_killed_another_answers(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    before = cluster.net.mac(cluster.namespaces[owner])
    assert cluster.net.resolve(VIP) == before
    with Asking(cluster.net) as asking:
        time.sleep(0.3)
        cluster.processes[owner].process.kill()
        at = time.monotonic()
        eventually(lambda: asking.macs(at) - {before}, "another answers")
        time.sleep(0.2)
    assert asking.most_in_vain(at) < NOTICED
    # The announcement has corrected the client's kernel without a question of its own.
    (after,) = asking.macs(at + 1e-3) - {before}
    assert cluster.net.neighbor(VIP) == after


def test_after_a_split_one_owner_is_left(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    cluster.net.cut(cluster.namespaces[owner])
    others = cluster.others(owner)
    eventually(lambda: [name for name in cluster.owners() if name in others], "another owns")
    assert owner in cluster.owners(), "who is alone owns, too"
    cluster.net.mend(cluster.namespaces[owner])
    cluster.settle(VIP)
    with Asking(cluster.net) as asking:
        time.sleep(0.5)
    assert len(asking.macs()) == 1


def test_a_successor_takes_over_without_a_lost_answer(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    before = {name: speaker.status(VIP).term for name, speaker in cluster.speakers.items()}
    with Asking(cluster.net) as asking:
        time.sleep(0.3)
        successor = cluster.process(owner)
        eventually(lambda: successor.said("taken_over"), "the successor has it")
        eventually(lambda: cluster.processes[owner].said("handed_over"), "the old one is quiet")
        cluster.processes[owner].process.send_signal(signal.SIGTERM)
        assert cluster.processes[owner].process.wait(10) == 0
        time.sleep(0.5)
    assert asking.unanswered() == []
    assert len(asking.macs()) == 1
    eventually(lambda: cluster.settle(VIP) == owner, "it owns")
    assert {name: speaker.status(VIP).term for name, speaker in cluster.speakers.items()} == before
    for other in cluster.others(owner):
        assert not cluster.processes[other].said("member_dead")
        changes = [e for e in cluster.processes[other].events() if e["event"] == "member_changed"]
        assert not [e for e in changes if e["member"] == owner and e["new"] == "dead"]


def test_told_to_end_it_answers_until_another_does(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    with Asking(cluster.net) as asking:
        time.sleep(0.3)
        cluster.processes[owner].process.send_signal(signal.SIGTERM)
        assert cluster.processes[owner].process.wait(10) == 0
        time.sleep(0.5)
    assert asking.most_in_vain() <= 3
    assert len(asking.macs()) == 2
    del cluster.speakers[owner]
    cluster.settle(VIP)


def test_a_link_that_goes_down_moves_the_address_and_nothing_moves_back(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    namespace = cluster.namespaces[owner]
    run("ip", "-n", namespace, "link", "set", "eth0", "down")
    cluster.speakers[owner].wait(lambda status: status.holding is Holding.NO_INTERFACE)
    others = cluster.others(owner)
    eventually(lambda: [name for name in cluster.owners() if name in others], "another owns")
    run("ip", "-n", namespace, "link", "set", "eth0", "up")
    run("ip", "-n", namespace, "addr", "replace", "fd31::1" + owner[1:] + "/64", "dev", "eth0", "nodad")
    new = cluster.settle(VIP)
    assert new in others
    # What comes back can own again: its groups are joined anew.
    for name in others:
        cluster.processes[name].process.kill()
        del cluster.speakers[name]
    cluster.settle(VIP6)
    eventually(lambda: cluster.net.ndisc(VIP6) == [cluster.net.mac(namespace)], "it answers for IPv6")


def test_another_mac_is_announced_and_answered_with(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    assert cluster.net.resolve(VIP)
    namespace, mac = cluster.namespaces[owner], "02:00:00:aa:bb:cc"
    run("ip", "-n", namespace, "link", "set", "eth0", "address", mac)
    eventually(lambda: cluster.net.neighbor(VIP) == mac, "the client's kernel has heard of it", 5)
    assert cluster.net.arping(VIP) == [mac]
    eventually(lambda: cluster.speakers[owner].status(VIP).interfaces[0].mac == mac, "the status says so")


def test_without_a_speaker_everything_stays(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    term = cluster.speakers[owner].status(VIP).term
    for speaker in cluster.speakers.values():
        speaker.__exit__()
    with Asking(cluster.net) as asking:
        time.sleep(2)
    assert asking.macs() == {cluster.net.mac(cluster.namespaces[owner])}
    assert asking.unanswered() == []
    status = cluster.processes[owner].status()
    assert status["clients"] == 0
    assert status["addresses"][VIP]["term"] == term


def test_when_the_successor_is_told_to_end_the_old_process_takes_over_again(cluster: Cluster) -> None:
    owner = cluster.settle(VIP)
    old = cluster.processes[owner]
    with Asking(cluster.net) as asking:
        successor = cluster.process(owner)
        eventually(lambda: old.said("handed_over"), "the successor has it")
        successor.process.send_signal(signal.SIGTERM)
        assert successor.process.wait(10) == 0
        eventually(lambda: old.said("taken_over"), "the old one has it again")
        time.sleep(0.5)
    assert asking.unanswered() == []
    assert len(asking.macs()) == 1
    assert cluster.settle(VIP) == owner
    assert cluster.speakers[owner].status(VIP).term == 1


def test_without_the_capability_it_says_so_and_takes_nothing(net: Net) -> None:
    without = ("setpriv", "--inh-caps=-net_raw", "--bounding-set=-net_raw", "--")
    with Layer2Process(net.nodes[0], net.folder, prefix=without) as process:
        assert process.process.wait(10) == 2
        (failed,) = [event for event in process.events() if event["event"] == "failed"]
        assert "NET_RAW" in failed["why"]
