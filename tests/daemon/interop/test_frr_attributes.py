# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a real FRR makes of communities, bandwidths, next hops and message lengths."""

from __future__ import annotations

import json
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any

import pytest
from daemon.interop.frr import NODE, NODE6, Router, run
from daemon.interop.network import ROUTER6
from daemon.interop.speaker import Speaker, eventually, peer

from vipcast.bgp.framing import MessageType
from vipcast.bgp.route import GRACEFUL_SHUTDOWN, Route
from vipcast.net.status import PeerStatus

pytestmark = pytest.mark.netns

VIP, VIP6 = ip_network("10.9.0.1/32"), ip_network("fd00::1/128")
OTHER = ip_network("10.9.0.2/32")
SECOND = "10.99.0.3"


def config(
    *nodes: str, remote: int = 64513, lines: tuple[str, ...] = (), globally: tuple[str, ...] = ()
) -> str:
    neighbors = [
        f" neighbor {node} {line}"
        for node in nodes
        for line in (f"remote-as {remote}", "timers connect 1", *lines)
    ]
    families = [
        line
        for family in ("ipv4", "ipv6")
        for line in (
            f" address-family {family} unicast",
            *(f"  neighbor {node} activate" for node in nodes),
            " exit-address-family",
        )
    ]
    head = ["router bgp 64512", " no bgp ebgp-requires-policy", " no bgp default ipv4-unicast", *globally]
    return "\n".join((*head, *neighbors, *families, "exit"))


def best(router: Router, prefix: object) -> dict[str, Any]:
    eventually(lambda: router.paths(str(prefix)), f"{prefix} in FRR")
    path: dict[str, Any] = router.paths(str(prefix))[0]
    return path


def kernel_weights(router: Router) -> dict[str, int]:
    found = json.loads(run("ip", "-n", router.router, "-j", "route", "show", str(VIP.network_address)))
    return {hop["gateway"]: hop["weight"] for route in found for hop in route.get("nexthops", [])}


def test_large_communities_and_graceful_shutdown_arrive(router: Router) -> None:
    """RFC 8092 and RFC 8326."""
    router.start(config(NODE))
    with Speaker(router.node, peer()) as speaker:
        large = frozenset({(64513, 2, 1), (64513, 1, 4294967295)})
        speaker.set_routes(Route(VIP, communities=frozenset({GRACEFUL_SHUTDOWN}), large_communities=large))
        speaker.wait_up()
        path = best(router, VIP)
        assert path["largeCommunity"]["string"] == "64513:1:4294967295 64513:2:1"
        assert path["community"]["string"] in ("gracefulShutdown", "graceful-shutdown")


@pytest.mark.parametrize("remote", [64513, 64512], ids=["external", "internal"])
def test_the_kernels_weights_follow_the_link_bandwidth(router: Router, remote: int) -> None:
    """draft-ietf-idr-link-bandwidth: two nodes with three and one endpoints."""
    router.start(config(NODE, SECOND, remote=remote))
    run("ip", "-n", router.node, "addr", "add", f"{SECOND}/24", "dev", "eth0")
    values = {"local_asn": remote}
    with (
        Speaker(
            router.node, peer(source_address=ip_address(NODE), router_id=ip_address(NODE), **values)
        ) as one,
        Speaker(
            router.node, peer(source_address=ip_address(SECOND), router_id=ip_address(SECOND), **values)
        ) as two,
    ):
        one.set_routes(Route(VIP, bandwidth=3e6))
        two.set_routes(Route(VIP, bandwidth=1e6))
        eventually(lambda: kernel_weights(router) == {NODE: 75, SECOND: 25}, "three to one")
        two.set_routes(Route(VIP, bandwidth=3e6))
        eventually(lambda: kernel_weights(router) == {NODE: 50, SECOND: 50}, "one to one")


def test_ipv4_routes_arrive_over_ipv6_next_hops(router: Router) -> None:
    """RFC 8950: a node without any IPv4 address."""
    run("ip", "-n", router.node, "-4", "addr", "flush", "dev", "eth0")
    router.start(config(NODE6, lines=("capability extended-nexthop",)))
    with Speaker(router.node, peer(ROUTER6, node_name="node1")) as speaker:
        speaker.set_routes(Route(VIP), Route(VIP6))
        assert speaker.wait_up().withheld == {}
        path = best(router, VIP)
        assert path["valid"]
        assert NODE6 in [hop["ip"] for hop in path["nexthops"]]
        eventually(
            lambda: "inet6" in run("ip", "-n", router.router, "route", "show", str(VIP.network_address)),
            "the route in the kernel, via inet6",
        )


def updates(status: PeerStatus) -> int:
    return status.counters.messages_out[MessageType.UPDATE]


def test_thirty_thousand_prefixes_take_few_messages(router: Router) -> None:
    """RFC 8654: FRR offers it by itself."""
    router.start(config(NODE))
    with Speaker(router.node, peer(hold_time=30)) as speaker:
        speaker.set_routes(*(Route(IPv4Network((0x0A100000 + i, 32))) for i in range(30000)))
        eventually(lambda: router.accepted() == 30000, "all of them in FRR", 60)
        assert updates(speaker.status()) <= 3 + 2
        speaker.set_routes()
        eventually(lambda: router.accepted() == 0, "none of them in FRR", 60)


def test_a_request_for_everything_is_answered_between_two_marks(router: Router) -> None:
    """RFC 7313: FRR offers it by itself, and drops what is not sent again."""
    router.start(config(NODE))
    with Speaker(router.node, peer()) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        best(router, VIP)
        router.vtysh(f"clear bgp ipv4 unicast {NODE} in")
        refreshes = MessageType.ROUTE_REFRESH
        status = speaker.wait(lambda s: s.counters.messages_out[refreshes] == 2)
        assert status.counters.messages_in[refreshes] >= 1
        assert status.established
        eventually(lambda: best(router, VIP)["valid"], "a valid path, still there")


def test_frr_knows_us_by_another_as(router: Router) -> None:
    """The option that other implementations call local-as, without the true number beside it."""
    router.start(config(NODE, remote=4200000001))
    with Speaker(router.node, peer(shown_asn=4200000001, remote_asn=None, dynamic_asn="external")) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        assert best(router, VIP)["aspath"]["string"] == "4200000001"


@pytest.mark.parametrize("remote", [64513, 64512], ids=["external", "internal"])
def test_a_longer_path_and_a_med_arrive(router: Router, remote: int) -> None:
    """RFC 4271 sections 5.1.2 and 5.1.4: the path is ours to lengthen on eBGP; within an AS it is empty."""
    router.start(config(NODE, remote=remote))
    with Speaker(router.node, peer(local_asn=remote)) as speaker:
        speaker.set_routes(Route(VIP, med=100, prepend=3), Route(OTHER, med=0))
        speaker.wait_up()
        path = best(router, VIP)
        external = remote == 64513
        assert path["aspath"]["string"] == ("64513 64513 64513 64513" if external else "Local")
        assert path["metric"] == 100
        assert best(router, OTHER)["aspath"]["length"] == int(external)
        speaker.set_routes(Route(VIP, prepend=1), Route(OTHER))
        changed = "64513 64513" if external else "Local"
        eventually(lambda: best(router, VIP)["aspath"]["string"] == changed, "it has changed")
        eventually(lambda: best(router, VIP).get("metric", 0) == 0, "there is no MED any more")


def test_of_two_nodes_the_one_with_the_shorter_path_gets_everything(router: Router) -> None:
    """A backup is used when the other one is gone; meanwhile it is no next hop."""
    router.start(config(NODE, SECOND))
    run("ip", "-n", router.node, "addr", "add", f"{SECOND}/24", "dev", "eth0")
    first = peer(source_address=ip_address(NODE), router_id=ip_address(NODE))
    second = peer(source_address=ip_address(SECOND), router_id=ip_address(SECOND))
    with Speaker(router.node, second) as backup:
        backup.set_routes(Route(VIP, prepend=1))
        eventually(lambda: gateways(router) == {SECOND}, "the backup alone")
        with Speaker(router.node, first) as main:
            main.set_routes(Route(VIP))
            eventually(lambda: gateways(router) == {NODE}, "the main one alone")
        eventually(lambda: gateways(router) == {SECOND}, "the backup again")


def gateways(router: Router) -> set[str]:
    found = json.loads(
        run("ip", "-n", router.router, "-j", "route", "show", str(VIP.network_address)) or "[]"
    )
    return {hop["gateway"] for route in found for hop in route.get("nexthops", [route]) if "gateway" in hop}
