# SPDX-License-Identifier: GPL-3.0-or-later
"""The role on a bare router: from packages to sessions, and nothing to do the second time."""

from __future__ import annotations

from .machine import NODES, REFUSED, SERVICES, Machine
from .play import Player, recap


def test_check_mode_before_anything_is_there(bare: Machine, player: Player) -> None:
    answer = player.role(check=True)

    assert answer.rc == 0, answer.output
    assert ("bgpd", "/etc/frr/daemons", "yes", "no") in answer.drift
    assert ("bgpd", "services", "running", "stopped") in answer.drift
    assert ("net.ipv4.fib_multipath_hash_policy", "kernel", "1", "0") in answer.drift
    assert ("neighbor 10.31.8.11", "router bgp 64512", "remote-as 64513", "missing") in answer.drift
    assert "bgpd=no" in bare.sh("cat /etc/frr/daemons")
    assert bare.sh("cat /proc/sys/net/ipv4/fib_multipath_hash_policy").strip() == "0"
    assert bare.sh("pidof bgpd zebra watchfrr", check=False) == ""


def test_from_bare_packages_to_sessions(bare: Machine, player: Player) -> None:
    router, answer = bare, player.role()
    assert answer.rc == 0, answer.output
    router.wait_established(*NODES.values())
    assert set(router.sessions()) == set(NODES.values())
    assert "bgpd=yes" in router.sh("cat /etc/frr/daemons").splitlines()
    assert (
        router.sh("stat -c '%a %U:%G' /etc/frr/daemons /etc/frr/frr.conf").split("\n")[:2]
        == ["640 frr:frr"] * 2
    )
    table = router.vtysh("show bgp ipv4 unicast")
    assert all(service in table for service in SERVICES)
    assert not any(prefix.partition("/")[0] in table for prefix in REFUSED)
    assert router.sh("/usr/lib/ip-full route show 10.9.1.1").count("nexthop") == 3
    assert all(peer["pfxSnt"] == 0 for peer in router.sessions().values())


def test_second_run_changes_nothing(router: Machine, player: Player) -> None:
    before = router.sh("cat /etc/frr/frr.conf /etc/frr/daemons /etc/sysctl.d/*; ls -l --full-time /etc/frr")
    for check in (False, True):
        answer = player.role(check=check)
        assert recap(answer.output)["changed"] == 0, answer.output
        assert answer.drift == []
    assert (
        router.sh("cat /etc/frr/frr.conf /etc/frr/daemons /etc/sysctl.d/*; ls -l --full-time /etc/frr")
        == before
    )


def test_the_filter_allows_policy_to_be_required(router: Machine) -> None:
    assert "no bgp ebgp-requires-policy" not in router.running()


def test_terminals_are_for_the_router_itself(router: Machine, player: Player) -> None:
    router.configure("password zebra", "line vty", "no access-class VIPCAST-VTY")
    answer = player.role()

    assert ("access-class", "line vty", "VIPCAST-VTY", "none") in answer.drift
    assert ("password", "line vty", "none", "a password") in answer.drift
    assert "password" not in router.running()


def test_nobody_listens_for_terminals_outside(router: Machine) -> None:
    listening = [line.split()[3] for line in router.sh("netstat -ltn").splitlines() if ":26" in line]
    assert listening
    assert all(address.startswith("127.0.0.1:") for address in listening)


def test_a_terminal_that_was_opened_to_the_world_is_closed(router: Machine, player: Player) -> None:
    router.sh("sed -i 's/^bgpd_options=.*/bgpd_options=\"   -A 0.0.0.0 -M snmp\"/' /etc/frr/daemons")
    answer = player.role(check=True)
    router.sh("sed -i 's/^bgpd_options=.*/bgpd_options=\"   -A 127.0.0.1\"/' /etc/frr/daemons")

    assert answer.drift == [
        ("bgpd_options", "/etc/frr/daemons", "-M snmp -A 127.0.0.1", "-A 0.0.0.0 -M snmp")
    ]


def test_hash_policy_drifts_in_the_kernel_and_in_the_file(router: Machine, player: Player) -> None:
    router.sh("echo 0 > /proc/sys/net/ipv4/fib_multipath_hash_policy; rm /etc/sysctl.d/99-vipcast.conf")
    path = "/etc/sysctl.d/99-vipcast.conf"
    found = [drift for drift in player.role().drift if drift[0].startswith("net.ipv4")]

    assert [(drift[1], drift[2]) for drift in found] == [("kernel", "1"), (path, "1")]
    assert router.sh("cat /proc/sys/net/ipv4/fib_multipath_hash_policy").strip() == "1"
    assert "net.ipv4.fib_multipath_hash_policy = 1" in router.sh(f"cat {path}")


def test_a_daemon_that_died_is_started_again(router: Machine, player: Player) -> None:
    """watchfrr would start it; here it is dead as well."""
    router.sh("kill -9 $(cat /run/frr/watchfrr.pid /run/frr/bgpd.pid)")
    answer = player.role()
    router.wait_established(*NODES.values())

    assert ("bgpd", "services", "running", "stopped") in answer.drift


def test_remove_leaves_frr_and_nothing_of_ours(router: Machine, player: Player) -> None:
    answer = player.task("bgp_router", asn=64512, state="absent", maximum_paths=3)
    again = player.task("bgp_router", asn=64512, state="absent", maximum_paths=3)

    assert answer.result["changed"] and not again.result["changed"], answer.output
    assert "VIPCAST" not in router.running()
    assert "router bgp" not in router.running()
    assert "VIPCAST" not in router.sh("cat /etc/frr/frr.conf")
