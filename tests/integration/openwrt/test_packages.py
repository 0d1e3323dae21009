# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of FRR on a fresh OpenWrt, by both of its package managers: what the daemons take, no more."""

from __future__ import annotations

from pathlib import Path

from integration.router.play import Player

from .machine import OpenWrt

LISTS = "ls /var/opkg-lists/* /var/cache/apk/* 2>/dev/null"


def daemons(router: OpenWrt) -> set[str]:
    return set(router.vtysh("show daemons").split())


def test_all_that_bgp_takes_and_then_what_bfd_takes(router: OpenWrt, player: Player) -> None:
    first = player.task("frr_daemon")
    router.forget_lists()
    again = player.task("frr_daemon")
    lists = router.sh(LISTS, check=False)
    looked = player.task("frr_daemon", check=True, daemons=["bgpd", "bfdd"])
    second = player.task("frr_daemon", daemons=["bgpd", "bfdd"])

    assert first.result["installed"], first.output
    assert {"zebra", "bgpd", "staticd", "watchfrr"} <= daemons(router)
    assert not again.result["changed"], again.output
    assert lists == "", "lists were fetched, and every package was there"
    assert ("frr-bfdd", "packages", "installed", "missing") in looked.drift
    assert ("bfdd", "/etc/frr/daemons", "yes", "no") in looked.drift
    assert second.drift == looked.drift
    assert "bfdd" in daemons(router)
    assert router.sh("ip -j route").startswith("[")


def test_its_name_is_not_this_machines(router: OpenWrt) -> None:
    """It takes the name from its configuration when it boots."""
    assert router.sh("hostname").strip() == "OpenWrt"
    assert router.sh("readlink /proc/self/ns/uts").strip() != str(Path("/proc/self/ns/uts").readlink())


def test_frr_for_ospf_alone_gets_bgp(router: OpenWrt, player: Player) -> None:
    router.install("frr", "frr-zebra", "frr-watchfrr", "frr-ospfd")
    router.sh("sed -i 's/^ospfd=no/ospfd=yes/' /etc/frr/daemons; /etc/init.d/frr restart >/dev/null")
    before = router.sh("pidof zebra ospfd")
    answer = player.task("frr_daemon", ip_full=False)

    assert ("frr-bgpd", "packages", "installed", "missing") in answer.drift, answer.output
    assert not answer.result["restarted"]
    assert {"ospfd", "bgpd"} <= daemons(router)
    assert router.sh("pidof zebra ospfd") == before


def test_what_else_runs_in_frr_is_named_before_it_is_restarted(router: OpenWrt, player: Player) -> None:
    router.install("frr", "frr-zebra", "frr-watchfrr", "frr-ospfd")
    router.sh("sed -i -e 's/^ospfd=no/ospfd=yes/' -e '/^zebra_options/d' /etc/frr/daemons")
    router.sh("/etc/init.d/frr restart >/dev/null")
    refused = player.task("frr_daemon", ip_full=False)
    installed = router.sh("ls /usr/sbin/bgpd", check=False)
    allowed = player.task("frr_daemon", ip_full=False, reset_sessions=True)

    assert refused.result["reason"] == "resets_sessions", refused.output
    assert "ospfd" in refused.result["msg"]
    assert not installed, "nothing is installed before it is known"
    assert "FRR is restarted, and all that runs in it: ospfd." in allowed.result["warnings"]
    assert {"ospfd", "bgpd"} <= daemons(router)


def test_a_package_in_no_list_is_named(router: OpenWrt, player: Player) -> None:
    answer = player.task("frr_daemon", daemons=["bgpd", "pimd"])

    assert answer.result["reason"] == "no_packages"
    assert "the router's package sources have no frr-pimd" in answer.result["msg"]
    assert router.sh(LISTS, check=False), "the lists were not fetched first"
    assert not router.sh("ls /usr/sbin/bgpd 2>/dev/null", check=False)


def test_a_removal_switches_off_what_was_switched_on(router: OpenWrt, player: Player) -> None:
    router.install("frr", "frr-zebra", "frr-watchfrr", "frr-staticd", "frr-bgpd", "ip-full")
    router.sh("/etc/init.d/frr stop >/dev/null; /etc/init.d/frr disable")
    before = router.flash()
    assert player.task("frr_daemon").drift == [
        ("bgpd", "/etc/frr/daemons", "yes", "no"),
        ("FRR", "start with the machine", "enabled", "disabled"),
        ("bgpd", "services", "running", "stopped"),
    ]
    looked = player.task("frr_daemon", check=True, state="absent")
    back = player.task("frr_daemon", state="absent")

    assert (
        back.drift
        == looked.drift
        == [
            ("bgpd", "/etc/frr/daemons", "no", "yes"),
            ("FRR", "start with the machine", "disabled", "enabled"),
            ("FRR", "services", "stopped", "running"),
        ]
    )
    assert router.flash() == before
    assert not router.sh("pidof zebra", check=False)
    assert not player.task("frr_daemon", state="absent").result["changed"]


def test_a_daemon_that_others_use_by_now_stays(router: OpenWrt, player: Player) -> None:
    assert player.task("frr_daemon").result["installed"]
    router.configure("router bgp 64999", "neighbor 192.0.2.1 remote-as 64998")
    answer = player.task("frr_daemon", state="absent")

    assert answer.result["in_use"]
    assert not answer.result["changed"]
    assert "bgpd=yes" in router.sh("cat /etc/frr/daemons")
