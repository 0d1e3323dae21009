# SPDX-License-Identifier: GPL-3.0-or-later
"""Both ends of a session from one declaration, two routers that share the traffic, and what reaches which."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from support.lab import Lab, eventually
from support.routers import established, neighbors, next_hops, node_addresses, vtysh

pytestmark = pytest.mark.timeout(600)
BGP = 179


def test_the_client_reaches_the_service_through_both_routers(lab: Lab, service: str) -> None:
    ways = lab.run(lab.client, "ip route show default")
    assert set(re.findall(r"via (\S+)", ways)) == {"192.168.64.1", "192.168.64.2"}
    before = {router: forwarded(lab, router) for router in lab.group("routers")}
    asked = f"for i in $(seq 60); do curl -s -m 5 -o /dev/null -w '%{{http_code}}\\n' http://{service}/; done"
    assert lab.run(lab.client, asked).split() == ["200"] * 60
    # A request is five packets at least, and a coin that falls on one side 60 times is none.
    passed = {router: forwarded(lab, router) - before[router] for router in before}
    assert all(count > 20 for count in passed.values()), passed


def forwarded(lab: Lab, router: str) -> int:
    """Return how many packets came from the client's segment."""
    return int(lab.run(router, "cat /sys/class/net/eth1/statistics/rx_packets"))


def test_the_first_router_demands_the_password_and_the_neighborhood(lab: Lab, first: str) -> None:
    running = vtysh(lab, first, "show running-config")
    for address in node_addresses(lab):
        assert re.search(rf"neighbor {address} password \S+", running), running
        assert f"neighbor {address} ttl-security hops 1" in running
    assert established(lab, first) == node_addresses(lab)
    # The kernel's own word: packets of a session carry the option for its digest.
    seen = lab.run(first, "timeout 12 tcpdump -c 1 -nn -v -i eth0 'tcp port 179' 2>/dev/null || true")
    assert "md5" in seen and "ttl 255" in seen, seen


def test_the_second_router_is_who_connects(lab: Lab, first: str, second: str) -> None:
    assert {facts["portForeign"] for facts in neighbors(lab, second).values()} == {BGP}
    peers = lab.get("bgppeers.metallb.io", "-n", "metallb-system")["items"]
    passive = {peer["metadata"]["name"]: peer["spec"].get("passive", False) for peer in peers}
    assert passive == {first: False, second: True}


def test_a_wrong_password_is_no_session_and_is_named_and_repaired(
    lab: Lab, first: str, second: str, whole: Callable[[], None]
) -> None:
    asn = lab.variables(first)["vipcast_router_asn"]
    lines = [f"neighbor {address} password of-somebody-else" for address in sorted(node_addresses(lab))]
    vtysh(lab, first, "configure terminal", f"router bgp {asn}", *lines)
    vtysh(lab, first, "clear bgp *")
    try:
        assert eventually(lambda: not established(lab, first), timeout=20)
        run = lab.playbook("verify", verify_timeout=0, verify_probe=False).expect(2)
        for address in node_addresses(lab):
            assert re.search(rf"{first}: session with {address} \S+ expected Established, found ", run.output)
        assert f"{second}: session" not in run.output
        drift = lab.playbook("drift", drift_report_path="").expect(2)
        assert drift.output.count("password") >= len(lines)
        assert "of-somebody-else" not in drift.output and "known-to-both-ends" not in drift.output
    finally:
        repaired = lab.playbook("site").expect()
    assert repaired.changed == {first: 1}
    whole()


def test_an_advertisement_to_one_peer_reaches_that_one(
    lab: Lab, service: str, declare: Callable[[str], str], whole: Callable[[], None]
) -> None:
    chosen, other = lab.group("routers")
    said = f"{{all: {{vars: {{vipcast_advertisements: [{{name: default, peers: [{chosen}]}}]}}}}}}"
    try:
        # The client sends half of its requests to the other one, in vain.
        lab.playbook("site", declare(said), verify_probe=False).expect()
        assert next_hops(lab, chosen, f"{service}/32") == node_addresses(lab)
        assert next_hops(lab, other, f"{service}/32") == set()
        assert established(lab, other) == node_addresses(lab)
    finally:
        lab.playbook("site").expect()
    whole()
