# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenWrt's configuration, zones and packages; and what is noted of a router for the way back."""

from __future__ import annotations

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._router import original, record, uci, zones
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.daemon_removal import used_by_others
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.platforms import Platform
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.uci import Section

SHOWN = """firewall.@zone[0]=zone
firewall.@zone[0].name='lan'
firewall.@zone[0].network='lan' 'lan6'
firewall.@zone[1]=zone
firewall.@zone[1].name='servers'
firewall.@zone[1].network='dmz guest'
firewall.@zone[2]=zone
firewall.@zone[2].name='vpn'
firewall.@zone[2].device='tun+'
firewall.@zone[3]=zone
firewall.@zone[3].name='iot'
firewall.ours=rule
firewall.ours.name='it'\\''s
of two lines'
firewall.ours.dest_port='179'
"""
NETWORK = """network.lan=interface
network.lan.device='br-lan'
network.lan.proto='static'
network.dmz=interface
network.dmz.type='bridge'
network.dmz.ifname='eth1'
network.guest=interface
network.guest.device='br-lan.20'
network.iot=interface
network.iot.proto='pppoe'
network.iot.device='eth5'
network.lone=interface
network.lone.device='eth9'
"""


def test_sections_with_lists_quotes_and_several_lines() -> None:
    found = uci.parse(SHOWN)

    assert [name for name, one in found.items() if one.kind == "zone"] == [f"@zone[{n}]" for n in range(4)]
    assert found["@zone[0]"].words("network") == ["lan", "lan6"]
    assert found["@zone[1]"].words("network") == ["dmz", "guest"]
    assert found["ours"].text("name") == "it's\nof two lines"


@pytest.mark.parametrize(
    ("device", "zone"),
    [
        ("br-lan", "lan"),
        ("br-dmz", "servers"),
        ("br-lan.20", "servers"),
        ("tun7", "vpn"),
        ("pppoe-iot", "iot"),
        ("eth9", ""),
        ("", ""),
    ],
)
def test_the_zone_of_a_device(device: str, zone: str) -> None:
    assert zones.zone_of(device, uci.parse(NETWORK), uci.parse(SHOWN)) == zone


def test_commands_lead_from_what_is_there_to_what_should_be() -> None:
    wanted = Section("rule", {"name": ["A"], "dest_port": ["1 2"]})
    found = Section("rule", {"name": ["A"], "enabled": ["0"]})

    assert uci.changes("firewall", "x", None, wanted) == [
        "uci -q set firewall.x=rule",
        "uci -q set firewall.x.name=A",
        "uci -q set 'firewall.x.dest_port=1 2'",
    ]
    assert uci.changes("firewall", "x", found, wanted) == [
        "uci -q delete firewall.x.enabled",
        "uci -q set 'firewall.x.dest_port=1 2'",
    ]
    assert uci.changes("firewall", "x", wanted, wanted) == []
    assert uci.changes("firewall", "x", found, None) == ["uci -q delete firewall.x"]
    assert uci.changes("firewall", "x", None, None) == []


@pytest.mark.parametrize(
    ("vtysh", "missing", "packages", "of_old"),
    [
        (
            False,
            ("vtysh", "watchfrr", "zebra", "staticd", "bgpd"),
            ("frr", "frr-watchfrr", "frr-zebra", "frr-staticd", "frr-bgpd"),
            ("frr-vtysh",),
        ),
        (True, ("bfdd",), ("frr-bfdd",), ()),
    ],
)
def test_packages_by_daemon(
    vtysh: bool, missing: tuple[str, ...], packages: tuple[str, ...], of_old: tuple[str, ...]
) -> None:
    platform = Platform(manager="opkg", service="openwrt", openwrt=True, vtysh=vtysh, quagga=False)

    assert set(missing) <= set(platform.programs(("bgpd", "bfdd")))
    assert platform.packages(missing) == packages
    assert platform.packages_of_old == of_old


def test_frr_is_one_package_elsewhere() -> None:
    platform = Platform(manager="apt", service="systemd", openwrt=False, vtysh=False, quagga=False)

    assert platform.programs(("bgpd", "bfdd")) == ("vtysh",)
    assert platform.packages(("vtysh",)) == ("frr",)


BEFORE = "# daemons\nbgpd=no\nospfd=yes\n"
AFTER = '# daemons\nbgpd=yes\nospfd=yes\nbgpd_options="-A 127.0.0.1"\n'


def test_what_was_written_is_put_back() -> None:
    noted = record.lines(BEFORE, AFTER, {})

    assert noted == {
        "bgpd": ["bgpd=no", "bgpd=yes"],
        "bgpd_options": [None, 'bgpd_options="-A 127.0.0.1"'],
    }
    assert record.put_back(AFTER, noted) == BEFORE


def test_the_first_look_counts_and_the_last_line_written() -> None:
    noted = record.lines(BEFORE, AFTER, {})
    again = record.lines(AFTER.replace("127.0.0.1", "::1"), AFTER, noted)

    assert again == noted
    later = AFTER.replace("-A 127.0.0.1", "-A ::1")
    assert record.put_back(later, record.lines(AFTER, later, noted)) == BEFORE


def test_what_somebody_has_changed_since_stays() -> None:
    noted = record.lines(BEFORE, AFTER, {})
    theirs = AFTER.replace("bgpd=yes", "bgpd=yes  # mine")

    assert record.put_back(theirs, noted) == theirs.replace('bgpd_options="-A 127.0.0.1"\n', "")


@pytest.mark.parametrize(
    ("running", "found"),
    [
        ("hostname r\nbfd\nexit\n!\n", []),
        ("router bgp 64999\n neighbor 192.0.2.1 remote-as 1\n", ["router bgp 64999"]),
        ("bfd\n peer 192.0.2.1\n exit\nexit\n", ["peer 192.0.2.1"]),
        ("interface eth0\n ip ospf bfd\n", ["ip ospf bfd"]),
    ],
)
def test_who_else_needs_the_daemons(running: str, found: list[str]) -> None:
    assert used_by_others(running) == found


OURS = """router bgp 64512
 neighbor 10.31.8.1 remote-as 64513
 neighbor 10.31.8.1 bfd profile VIPCAST-fast
 !
 address-family ipv4 unicast
  neighbor 10.31.8.1 route-map VIPCAST-IN in
 exit-address-family
exit
!
bfd
 profile VIPCAST-fast
  receive-interval 300
 exit
 !
exit
"""


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ("", []),
        ("router bgp 64999 vrf x\n neighbor 192.0.2.1 remote-as 1\n", ["router bgp 64999 vrf x"]),
        ("router bgp 64999 vrf x\n redistribute connected\n", ["router bgp 64999 vrf x"]),
    ],
)
def test_in_check_mode_ours_is_not_somebody_elses(more: str, found: list[str]) -> None:
    assert used_by_others(OURS + more, ["10.31.8.1"]) == found
    assert used_by_others(OURS)


THEN = """Current configuration:
!
frr version 8.4.4
hostname OpenWrt
!
password zebra
!
access-list vty seq 5 permit 127.0.0.0/8
!
line vty
 access-class vty
exit
!
end
"""
LEFT = "hostname OpenWrt\naccess-list vty seq 5 permit 127.0.0.0/8\n!\nbfd\nexit\n!\nend\n"


@pytest.mark.parametrize(
    ("now", "same"),
    [
        (THEN, True),
        (LEFT, True),
        (LEFT.replace("bfd\n", "bfd\n profile THEIRS\n exit\n"), False),
        (LEFT + "ip route 192.0.2.0/24 10.31.8.1\n", False),
        (LEFT.replace("hostname OpenWrt\n", ""), False),
    ],
)
def test_a_startup_file_comes_back_where_nothing_else_changed(now: str, same: bool) -> None:
    assert original.is_same(now, original.essence(THEN)) is same
