# SPDX-License-Identifier: GPL-3.0-or-later
"""A node with several interfaces: who has lost the one where an address lives is no owner of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_address

import pytest
from daemon.layer2_agent.harness import (
    VIP,
    VIP6,
    Cluster,
    Layer2Process,
    Net,
    Speaker,
    eventually,
    run,
    wants_of,
)

from vipcast.layer2.api import Holding

NODES = ("n1", "n2", "n3")
MEMBERS = {name: (ip_address(f"10.32.0.1{name[1:]}"),) for name in NODES}


def second_network(net: Net) -> None:
    """The nodes' own one, for heartbeats; and an overlay over it."""
    run("ip", "-n", net.switch, "link", "add", "br1", "type", "bridge", "forward_delay", "0")
    run("ip", "-n", net.switch, "link", "set", "br1", "up")
    for node in net.nodes:
        name = net.name(node)
        run("ip", "-n", node, "link", "add", "eth1", "type", "veth", "peer", f"e{name}", "netns", net.switch)
        run("ip", "-n", net.switch, "link", "set", f"e{name}", "master", "br1", "up")
        run("ip", "-n", node, "addr", "add", f"10.32.0.1{name[1:]}/24", "dev", "eth1")
        run("ip", "-n", node, "link", "set", "eth1", "up")
        overlay = ("type", "vxlan", "id", "7", "dstport", "4789", "dev", "eth1")
        run("ip", "-n", node, "link", "add", "overlay", *overlay)
        run("ip", "-n", node, "link", "set", "overlay", "up")


class Two(Cluster):
    def attend(self, name: str) -> None:
        wants = replace(wants_of(name, self.namespaces, (VIP, VIP6)), members=MEMBERS)
        self.speakers[name] = self._stack.enter_context(Speaker(self.namespaces[name], wants))


@pytest.fixture
def two(net: Net) -> Iterator[Two]:
    second_network(net)
    with ExitStack() as stack:
        made = stack.enter_context(Two(net, (VIP, VIP6)))
        made.settle(VIP)
        made.settle(VIP6)
        yield made


def used(cluster: Cluster, name: str, address: str = VIP) -> list[str]:
    return [each.name for each in cluster.speakers[name].status(address).interfaces]


@pytest.mark.parametrize("how", ["carrier", "down"])
@pytest.mark.parametrize("address", [VIP, VIP6])
def test_an_owner_that_loses_the_cable_of_its_address_is_followed(two: Two, address: str, how: str) -> None:
    """The heartbeats go on: nobody finds it dead."""
    net, owner = two.net, two.settle(address)
    assert used(two, owner, address) == ["eth0"]
    before = two.processes[owner].status()["members"]
    if how == "carrier":
        run("ip", "-n", net.switch, "link", "set", owner, "down")
    else:
        run("ip", "-n", two.namespaces[owner], "link", "set", "eth0", "down")
    eventually(lambda: two.speakers[owner].status(address).holding is Holding.NO_INTERFACE, "it is unable")
    eventually(lambda: two.owners(address) not in ([], [owner]), "another one has it")
    new = two.settle(address)
    answers = net.arping if address == VIP else net.ndisc
    eventually(lambda: answers(address) == [net.mac(two.namespaces[new])], "and answers")
    after = two.processes[new].status()["members"]
    assert {name: each["state"] for name, each in after.items()} == dict.fromkeys(NODES, "alive")
    assert {name: each["since_wall"] for name, each in before.items() if name != owner}


def test_the_last_one_with_a_cable_keeps_it_and_whoever_is_mended_can_have_it_again(two: Two) -> None:
    net = two.net
    for name in ("n1", "n2"):
        run("ip", "-n", net.switch, "link", "set", name, "down")
    eventually(lambda: two.owners(VIP) == ["n3"] and two.owners(VIP6) == ["n3"], "the last one has both")
    run("ip", "-n", net.switch, "link", "set", "n1", "up")
    eventually(lambda: two.speakers["n1"].status(VIP).holding is Holding.STANDBY, "it can again")
    assert two.settle(VIP) == "n3", "a healthy owner keeps what it has"
    run("ip", "-n", net.switch, "link", "set", "n3", "down")
    eventually(lambda: two.owners(VIP) == ["n1"] and two.owners(VIP6) == ["n1"], "and has them")


def test_nothing_is_said_on_an_overlay_unless_it_is_allowed(two: Two) -> None:
    elsewhere, owner = ip_address("192.0.2.9"), "n1"
    speaker = two.speakers[owner]
    (want, *_more) = speaker.wants.addresses.values()
    mine = replace(want, electorate=((0, frozenset({owner})),))
    speaker.want(addresses={**speaker.wants.addresses, elsewhere: mine})
    eventually(lambda: used(two, owner, str(elsewhere)) == ["eth0", "eth1"], "on what leads outside")
    assert two.processes[owner].status()["links"]["overlay"]["refused"] == "POD_NETWORK"
    settings = replace(speaker.wants.settings, allowed_interfaces=("over",))
    speaker.want(settings=settings)
    eventually(lambda: used(two, owner, str(elsewhere)) == ["eth0", "eth1", "overlay"], "as it is allowed")


def test_an_interface_of_a_vrf_answers_where_it_is_allowed(net: Net) -> None:
    node = net.nodes[0]
    run("ip", "-n", node, "link", "add", "red", "type", "vrf", "table", "10", check=False)
    if "red" not in run("ip", "-n", node, "-brief", "link", "show"):
        pytest.skip("this kernel has no VRF")
    run("ip", "-n", node, "link", "set", "red", "up")
    run("ip", "-n", node, "link", "set", "eth0", "master", "red")
    run("ip", "-n", node, "-6", "addr", "replace", "fd31::11/64", "dev", "eth0", "nodad")
    wants = wants_of("n1", ("n1",), (VIP, VIP6))
    with Layer2Process(node, net.folder), Speaker(node, wants) as speaker:
        speaker.wait(lambda status: status.holding is Holding.NO_INTERFACE)
        speaker.want(settings=replace(wants.settings, allowed_interfaces=("eth0$",)))
        speaker.wait(lambda status: status.holding is Holding.OWNER)
        assert net.arping(VIP) == [net.mac(node)]
        eventually(lambda: net.ndisc(VIP6) == [net.mac(node)], "for IPv6 too")


# ---- what the kernel does not do ----


def no_ipv6(net: Net, node: str) -> None:
    """IPv6 needs 1,280 octets: an interface with less takes no group (EINVAL)."""
    run("ip", "-n", node, "link", "set", "eth0", "mtu", "1200")


def test_who_cannot_join_a_group_is_no_owner_until_it_can(net: Net) -> None:
    for node in net.nodes[:2]:
        no_ipv6(net, node)
    with Cluster(net, (VIP, VIP6)) as cluster:
        eventually(lambda: cluster.owners(VIP6) == ["n3"], "the one that can", 20)
        eventually(lambda: net.ndisc(VIP6) == [net.mac(net.nodes[2])], "it answers")
        cluster.settle(VIP)
        run("ip", "-n", net.nodes[0], "link", "set", "eth0", "mtu", "1500")
        run("ip", "-n", net.switch, "link", "set", "n3", "down")
        eventually(lambda: cluster.owners(VIP6)[-1:] == ["n1"] or cluster.owners(VIP6) == ["n1"], "n1", 20)
        eventually(lambda: net.ndisc(VIP6) == [net.mac(net.nodes[0])], "n1 answers", 20)


def test_an_owner_that_loses_its_groups_joins_them_again(net: Net) -> None:
    """Alone, it is tried each second, and the problem is said for as long as it is there."""
    node = net.nodes[0]
    addresses = tuple(f"fd31::a:{number:x}" for number in range(1, 6))
    with Layer2Process(node, net.folder), Speaker(node, wants_of("n1", ("n1",), (VIP,))) as speaker:
        speaker.wait(lambda status: status.holding is Holding.OWNER)
        no_ipv6(net, node)
        speaker.want(addresses=wants_of("n1", ("n1",), (VIP, *addresses)).addresses)

        def problem() -> str:
            return str(speaker.call(lambda client: client.status.links["eth0"].problem))

        eventually(lambda: "groups are not joined" in problem(), "it says so")
        eventually(
            lambda: {speaker.status(each).holding for each in addresses} == {Holding.NO_INTERFACE},
            "and has none of them",
        )
        speaker.want(addresses=wants_of("n1", ("n1",), (VIP, *addresses, "fd31::b:1")).addresses)
        eventually(
            lambda: problem().startswith("cannot answer on eth0") and "6 groups" in problem(), "of all"
        )
        assert speaker.status(VIP).holding is Holding.OWNER, "IPv4 has no part in it"
        run("ip", "-n", node, "link", "set", "eth0", "mtu", "1500")
        eventually(lambda: {speaker.status(each).holding for each in addresses} == {Holding.OWNER}, "all", 20)
        eventually(lambda: problem() == "None", "nothing is left of it")
        run("ip", "-n", node, "-6", "addr", "replace", "fd31::11/64", "dev", "eth0", "nodad")
        for each in addresses:
            eventually(lambda each=each: net.ndisc(each) == [net.mac(node)], f"{each} is answered")
