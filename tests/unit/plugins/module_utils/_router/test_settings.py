# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration lines fold into settings, however they were entered."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._router import settings, syntax
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.settings import family_key, read

FIXTURES = Path(__file__).parents[2] / "fixtures" / "frr"
V4 = "ipv4 unicast"


def test_a_recorded_configuration() -> None:
    config = read((FIXTURES / "10.3/show_running-config.txt").read_text())
    found = config.settings

    assert config.asn == 64513
    assert found[("bgp", "router-id")] == "10.10.0.1"
    assert found[("bgp", "bestpath as-path multipath-relax")] == ""
    assert found[("bgp", "ebgp-requires-policy")] == "no"
    assert found[("neighbor", "10.10.0.11", "peer-group")] == "K8S"
    assert found[("neighbor", "fd00:10::12", "remote-as")] == "64512"
    assert found[("family", V4, "maximum-paths")] == "8"
    assert found[family_key("ipv6 unicast", "fd00:10::11", "activate")] == "yes"
    assert found[family_key(V4, "fd00:10::11", "activate")] == "yes"
    assert config.neighbors()[0] == "K8S"


@pytest.mark.parametrize(
    ("lines", "active"),
    [
        ([], {V4: "yes", "ipv6 unicast": "no"}),
        ([" no bgp default ipv4-unicast"], {V4: "no", "ipv6 unicast": "no"}),
        ([" bgp default ipv6-unicast"], {V4: "yes", "ipv6 unicast": "yes"}),
    ],
)
def test_which_families_a_new_neighbor_has(lines: list[str], active: dict[str, str]) -> None:
    text = "\n".join(["router bgp 1", *lines, " neighbor 192.0.2.1 remote-as 2"])
    found = read(text).settings

    assert {family: found[family_key(family, "192.0.2.1", "activate")] for family in active} == active


def test_no_takes_away_what_was_entered() -> None:
    before = read("router bgp 1\n neighbor 192.0.2.1 remote-as 2\n neighbor 192.0.2.1 shutdown\n")
    after = settings.apply(before, ["router bgp 1", " no neighbor 192.0.2.1 shutdown"])
    gone = settings.apply(after, ["router bgp 1", " no neighbor 192.0.2.1"])

    assert ("neighbor", "192.0.2.1", "shutdown") in before.settings
    assert ("neighbor", "192.0.2.1", "shutdown") not in after.settings
    assert gone.settings == {("router", "bgp"): "1"}


def test_other_instances_and_blocks_are_not_ours() -> None:
    text = (
        "interface eth0\n ip address 192.0.2.1/24\n!\n"
        "router bgp 7 vrf red\n neighbor 192.0.2.9 remote-as 8\nexit\n"
        "router ospf\n router-id 1.1.1.1\nexit\n"
    )
    config = read(text)

    assert config.settings == {}
    assert config.asn is None
    assert "router bgp 7 vrf red / neighbor 192.0.2.9 remote-as 8" in config.other


def test_a_line_at_the_margin_ends_every_block() -> None:
    config = read(
        "router bgp 1\n address-family ipv4 unicast\n  maximum-paths 2\n"
        "route-map A permit 10\n set metric 1\n"
    )

    assert config.settings[("route-map", "A", "10", "set metric 1")] == ""


def test_ways_to_write_the_same() -> None:
    one = read(
        "router bgp 1.10\n neighbor FD00::0:1 remote-as 0.64513\n"
        "ip prefix-list L seq 5 permit 10.0.0.0/8 ge 32 le 32\n"
    )
    other = read(
        "router bgp 65546\n neighbor fd00::1 remote-as 64513\n"
        "ip prefix-list L seq 5 permit 10.0.0.0/8 ge 32\n"
    )

    assert one.settings == other.settings


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("permit 10.9.0.0/16 ge 32", "permit 10.9.0.0/16 ge 32"),
        ("permit 10.9.0.0/16 ge 32 le 32", "permit 10.9.0.0/16 ge 32"),
        ("permit 10.9.0.0/16 le 24", "permit 10.9.0.0/16 le 24"),
        ("permit 10.9.0.0/16 ge 24 le 28", "permit 10.9.0.0/16 ge 24 le 28"),
        ("permit 10.9.1.1/32", "permit 10.9.1.1/32"),
        ("permit fd00::/64 ge 128", "permit fd00::/64 ge 128"),
        ("permit 0.0.0.0/0 le 32", "permit 0.0.0.0/0 le 32"),
        ("deny   any", "deny any"),
    ],
)
def test_entries_in_their_shortest_form(text: str, shortest: str) -> None:
    assert syntax.canonical_entry(text) == shortest


@pytest.mark.parametrize("text", ["0", "4294967296", "1.65536", "65536.1", "-1", "x", "", "1.", "²"])
def test_no_as_number(text: str) -> None:
    with pytest.raises(ValueError, match="no AS number"):
        syntax.parse_asn(text)


@pytest.mark.parametrize(
    "line",
    [
        " neighbor 10.0.0.1 password hunter2",
        "password 8 hunter2",
        "enable password hunter2",
        " area 0 authentication message-digest-key 1 md5 hunter2",
        " key-string hunter2",
        "line 3 ('neighbor 10.0.0.1 password hunter2'): refused",
    ],
)
def test_secrets_are_masked(line: str) -> None:
    assert "hunter2" not in syntax.mask(line)
    assert syntax.MASK in syntax.mask(line)


def test_lines_without_secrets_stay() -> None:
    for line in (" neighbor 10.0.0.1 description the key to it", " match community 65000:1", "key chain A"):
        assert syntax.mask(line) == line
