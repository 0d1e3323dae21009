# SPDX-License-Identifier: GPL-3.0-or-later
"""The role on a fresh OpenWrt: by ssh, with ash and busybox, to sessions, through drift, and back.

One rollout is for all steps; each leaves the router as it found it, and the last one takes all of it away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from integration.router.machine import NODES, REFUSED, SERVICES
from integration.router.play import Answer, Player, recap

from .machine import OpenWrt

pytestmark = pytest.mark.parametrize("machine", ["24.10"], indirect=True, scope="session")
FAST = {"name": "fast", "receive_interval": 300, "transmit_interval": 300, "detect_multiplier": 3}
SAID: dict[str, Any] = {
    "vipcast_bfd_profiles": [FAST],
    "vipcast_peer": {"bfd_profile": "fast"},
}
HASH = "net.ipv4.fib_multipath_hash_policy"


@dataclass(frozen=True)
class Rollout:
    """A fresh router, looked at in check mode, and rolled out on."""

    router: OpenWrt
    flash: dict[str, Any]
    routes: str
    open_before: bool
    looked: Answer
    untouched: bool
    done: Answer


@pytest.fixture(scope="module")
def rollout(machine: OpenWrt, player: Player) -> Rollout:
    """The rollout that the steps are about."""
    machine.as_fresh()
    flash, routes, is_open = machine.flash(), machine.routes(), machine.reaches("n1", 179)
    looked = player.role(check=True, **SAID)
    untouched = machine.flash() == flash
    return Rollout(machine, flash, routes, is_open, looked, untouched, player.role(**SAID))


@pytest.fixture
def router(rollout: Rollout) -> OpenWrt:
    """The router with everything on it."""
    assert rollout.done.rc == 0, rollout.done.output
    rollout.router.wait_established(*NODES.values())
    return rollout.router


def test_check_mode_names_all_and_changes_nothing(rollout: Rollout) -> None:
    assert rollout.looked.rc == 0, rollout.looked.output
    assert rollout.untouched
    assert {
        ("FRR", "packages", "installed", "missing"),
        ("ip-full", "packages", "installed", "missing"),
        ("rule vipcast_bgp_nodes", "firewall", "tcp 179 from nodes: ACCEPT", "missing"),
        ("rule vipcast_bfd_nodes", "firewall", "udp 3784 3785 4784 from nodes: ACCEPT", "missing"),
        (HASH, "kernel", "1", "0"),
        (HASH, "/etc/sysctl.d/99-vipcast.conf", "1", "missing"),
    } <= set(rollout.looked.drift)


def test_sessions_routes_and_what_stands_on_the_router(rollout: Rollout, router: OpenWrt) -> None:
    assert not rollout.open_before
    assert router.reaches("n1", 179)
    assert router.sh("/etc/init.d/frr enabled && echo yes").strip() == "yes"
    owned = [line.split()[2:4] for line in router.sh("ls -l /etc/frr/daemons /etc/frr/frr.conf").splitlines()]
    assert owned == [["network", "network"]] * 2
    assert "password zebra" not in router.running()
    table = router.vtysh("show bgp ipv4 unicast")
    assert all(service in table for service in SERVICES)
    assert not any(prefix.partition("/")[0] in table for prefix in REFUSED)
    assert router.sh("ip route show 10.9.1.1").count("nexthop") == 3


def test_a_second_run_writes_nothing(router: OpenWrt, player: Player) -> None:
    router.forget_lists()
    router.sh("sleep 1; touch /tmp/mark")
    answer = player.role(**SAID)

    assert recap(answer.output)["changed"] == 0, answer.output
    assert answer.drift == []
    assert router.sh("find /bin /etc /root /sbin /usr -newer /tmp/mark") == ""
    assert router.sh("ls /var/opkg-lists 2>/dev/null", check=False) == ""


def test_drift_of_the_firewall_is_named_and_repaired(router: OpenWrt, player: Player) -> None:
    wanted: dict[str, Any] = {"services": ["bgp", "bfd"], "neighbors": list(NODES.values())}
    router.sh(
        "uci set firewall.vipcast_bgp_nodes.enabled=0; uci set firewall.vipcast_bfd_nodes.dest_port=3784; "
        "uci commit firewall; /etc/init.d/firewall reload"
    )
    assert not router.reaches("n1", 179)
    assert player.task("router_firewall", **wanted).drift == [
        ("enabled of rule vipcast_bgp_nodes", "firewall", "none", "0"),
        ("dest_port of rule vipcast_bfd_nodes", "firewall", "3784 3785 4784", "3784"),
    ]
    assert router.reaches("n1", 179)
    router.sh("nft flush chain inet fw4 input_nodes")
    assert [row[:2] for row in player.task("router_firewall", **wanted).drift] == [
        ("rule vipcast_bgp_nodes", "packet filter"),
        ("rule vipcast_bfd_nodes", "packet filter"),
    ]
    assert player.task("router_firewall", check=True, **wanted).drift == []


def test_somebody_elses_changes_are_not_committed(router: OpenWrt, player: Player) -> None:
    router.sh("uci set firewall.@zone[0].input=DROP")
    answer = player.task("router_firewall", neighbors=["10.31.8.1"])
    router.sh("uci revert firewall")

    assert answer.result["reason"] == "pending_changes"
    assert "firewall.@zone[0].input='DROP'" in answer.result["msg"]
    assert "option input 'DROP'" not in router.sh("cat /etc/config/firewall")


def test_without_a_zone_the_interface_is_named(router: OpenWrt, player: Player) -> None:
    router.sh("cp /etc/config/firewall /tmp/kept; uci delete firewall.@zone[1]; uci commit firewall")
    answer = player.task("router_firewall", neighbors=["10.31.8.1"], check=True)
    said = player.task("router_firewall", neighbors=["10.31.8.1"], zones=["lan"], check=True)
    router.sh("cat /tmp/kept > /etc/config/firewall; /etc/init.d/firewall disable")
    none = player.task("router_firewall", neighbors=["10.31.8.1"])
    router.sh("/etc/init.d/firewall enable")

    assert answer.result["reason"] == "no_zone"
    assert "the interface towards 10.31.8.1 (br-nodes)" in answer.result["msg"]
    assert said.result["zones"] == ["lan"]
    assert (none.result["changed"], none.result["firewall"]) == (False, False)


def test_busybox_ip_is_enough_to_look(router: OpenWrt, player: Player) -> None:
    router.sh("ln -sf /bin/busybox /sbin/ip")
    answer = player.task("bgp_router_info", prefixes=["10.9.1.1/32"])
    router.sh("ln -sf /usr/libexec/ip-full /sbin/ip")
    route = answer.result["routes"][0]

    assert answer.result["kernel_source"] == "busybox"
    assert route["kernel"]["next_hops"] is None
    assert route["consistent"]
    assert player.task("bgp_router_info").result["kernel_source"] == "json"


def test_a_sysctl_that_the_last_file_says_is_said_there_too(router: OpenWrt, player: Player) -> None:
    wanted = {HASH: 1, "net.ipv6.fib_multipath_hash_policy": 1}
    router.sh(f"cp -p /etc/sysctl.conf /tmp/kept; echo {HASH}=0 >> /etc/sysctl.conf")
    answer = player.task("router_sysctl", values=wanted)
    router.sh("/etc/init.d/sysctl start")
    now = router.sh(f"cat /proc/sys/{HASH.replace('.', '/')}").strip()
    noted = router.sh("cat /etc/vipcast-before/sysctl.json")
    router.sh("cp -p /tmp/kept /etc/sysctl.conf")

    assert answer.drift == [(HASH, "/etc/sysctl.conf", "1", "0")]
    assert now == "1"
    assert f"{HASH}=0" in noted


def test_a_removal_leaves_the_router_as_it_was_found(
    rollout: Rollout, router: OpenWrt, player: Player
) -> None:
    looked = player.role(check=True, tasks_from="remove", **SAID)
    assert router.reaches("n1", 179)
    removed = player.role(tasks_from="remove", **SAID)
    again = player.role(tasks_from="remove", **SAID)
    brought = router.brought()

    assert removed.rc == 0, removed.output
    assert {
        ("rule vipcast_bgp_nodes", "firewall", "missing", "tcp 179 from nodes: ACCEPT"),
        ("bgpd", "/etc/frr/daemons", "no", "yes"),
        ("bfdd", "/etc/frr/daemons", "no", "yes"),
        (HASH, "kernel", "0", "1"),
    } <= set(looked.drift)
    assert removed.drift == looked.drift
    assert recap(again.output)["changed"] == 0, again.output
    assert not router.reaches("n1", 179)
    assert router.routes() == rollout.routes
    assert {name: about for name, about in router.flash().items() if name not in brought} == {
        name: about for name, about in rollout.flash.items() if name not in brought
    }
    assert router.sh("cat /etc/frr/daemons") == router.packed("frr", "etc/frr/daemons")
