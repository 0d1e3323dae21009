# SPDX-License-Identifier: GPL-3.0-or-later
"""neighbor_probe on a segment of three hosts: real kernels answer, with one MAC, with two, or not at all."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from integration.namespaces import named
from support.modules import ModuleServer

from .conftest import Played, Probe, modules_on, run

SWITCH, ASKER, ONE, TWO = named("switch"), named("asker"), named("one"), named("two")
MACS = {ASKER: "02:00:00:00:00:01", ONE: "02:00:00:00:00:10", TWO: "02:00:00:00:00:11"}
# Addresses of the asker, of one of the others, of both of them, and of nobody.
OWN, SINGLE, DOUBLE, FREE = ("198.51.100.1", "198.51.100.66", "198.51.100.77", "198.51.100.99")
OWN6, SINGLE6, DOUBLE6, FREE6 = ("2001:db8:5::1", "2001:db8:5::66", "2001:db8:5::77", "2001:db8:5::99")
HOLDERS = {
    OWN: [ASKER],
    OWN6: [ASKER],
    SINGLE: [ONE],
    DOUBLE: [ONE, TWO],
    SINGLE6: [ONE],
    DOUBLE6: [ONE, TWO],
}


def _segment() -> None:
    run("ip", "netns", "add", SWITCH)
    run("ip", "-n", SWITCH, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
    run("ip", "-n", SWITCH, "link", "set", "br0", "up")
    for number, (name, mac) in enumerate(MACS.items()):
        run("ip", "netns", "add", name)
        peer = ["peer", "name", f"port{number}", "netns", SWITCH]
        run("ip", "-n", name, "link", "add", "eth0", "address", mac, "type", "veth", *peer)
        run("ip", "-n", SWITCH, "link", "set", f"port{number}", "master", "br0", "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", name, "link", "set", "eth0", "up")
    for address, holders in HOLDERS.items():
        for name in holders:
            rest = ["/64", "nodad"] if ":" in address else ["/24"]
            run("ip", "-n", name, "addr", "add", address + rest[0], "dev", "eth0", *rest[1:])
    # A second interface without a cable, a third that is off, and a network behind one of the others.
    run("ip", "-n", ASKER, "link", "add", "uncabled", "type", "veth", "peer", "name", "off0")
    run("ip", "-n", ASKER, "link", "set", "uncabled", "up")
    run("ip", "-n", ASKER, "route", "add", "203.0.113.0/24", "via", SINGLE)


def _remove() -> None:
    for name in (ASKER, ONE, TWO, SWITCH):
        run("ip", "netns", "del", name, check=False)


@pytest.fixture(scope="module")
def segment() -> Iterator[None]:
    """The asker and the two others on one bridge."""
    if os.geteuid() != 0:
        pytest.fail("network namespaces need root: run these tests as root")
    try:
        _segment()
        yield
    finally:
        _remove()


@pytest.fixture(scope="module")
def asker(segment: None) -> Iterator[ModuleServer]:
    """The asker's modules."""
    yield from modules_on(ASKER)


@pytest.fixture
def probe(asker: ModuleServer) -> Probe:
    """neighbor_probe on the asker."""
    return Probe(asker, "neighbor_probe")


@pytest.fixture
def played(segment: None, tmp_path: Path) -> Played:
    """neighbor_probe on the asker, by ansible-playbook."""
    return Played(tmp_path, "neighbor_probe", ASKER)


def macs(found: dict[str, Any]) -> dict[str, set[str]]:
    """Return who answered for each address."""
    return {one["address"]: {answer["mac"] for answer in one["answers"]} for one in found["neighbors"]}


def test_everyone_who_answers_is_found_in_both_families(played: Played) -> None:
    found = played(addresses=[SINGLE, DOUBLE, FREE, SINGLE6, DOUBLE6, FREE6])
    assert not found["failed"], found
    both = {MACS[ONE], MACS[TWO]}
    assert macs(found) == {
        SINGLE: {MACS[ONE]},
        DOUBLE: both,
        FREE: set(),
        SINGLE6: {MACS[ONE]},
        DOUBLE6: both,
        FREE6: set(),
    }
    assert [one["duplicate"] for one in found["neighbors"]] == [False, True, False] * 2


@pytest.mark.parametrize("address", [SINGLE, DOUBLE, FREE, SINGLE6, DOUBLE6, FREE6])
def test_the_tools_of_a_person_on_the_segment_say_the_same(probe: Probe, address: str) -> None:
    by_hand = ["ndisc6", "-m", "-r", "1", "-w", "500", address, "eth0"]
    if ":" not in address:
        by_hand = ["arping", "-b", "-c", "9", "-w", "1", "-I", "eth0", address]
    said = run("ip", "netns", "exec", ASKER, *by_hand, check=False)
    heard = {mac.lower() for mac in re.findall(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", said)}
    assert macs(probe(address=address)) == {address: heard}


def test_each_answer_is_counted_and_timed(probe: Probe) -> None:
    (one,) = probe(address=SINGLE, count=4)["neighbors"]
    (answer,) = one["answers"]
    assert (one["asked"], answer["times"]) == (4, 4)
    assert 0 <= answer["latency_ms"] < 1000
    assert (one["interface"], one["source"]) == ("eth0", OWN)


def test_ipv6_is_asked_from_the_link_local_address(probe: Probe) -> None:
    (one,) = probe(address=SINGLE6)["neighbors"]
    assert one["source"].startswith("fe80:")


def test_names_of_macs_are_given_back(probe: Probe) -> None:
    known = {MACS[ONE].upper(): "node1", MACS[TWO].replace(":", "-"): "node2"}
    (one,) = probe(address=DOUBLE, known=known)["neighbors"]
    assert {answer["name"] for answer in one["answers"]} == {"node1", "node2"}


def test_what_the_hosts_own_kernel_believes_stands_beside_it(probe: Probe) -> None:
    run("ip", "-n", ASKER, "neighbor", "flush", "dev", "eth0")
    assert probe(address=SINGLE)["neighbors"][0]["kernel"] is None
    wrong = ["lladdr", "02:00:00:00:00:ee", "nud", "permanent", "dev", "eth0"]
    run("ip", "-n", ASKER, "neighbor", "replace", SINGLE, *wrong)
    try:
        (one,) = probe(address=SINGLE)["neighbors"]
    finally:
        run("ip", "-n", ASKER, "neighbor", "del", SINGLE, "dev", "eth0")
    assert one["kernel"] == {"mac": "02:00:00:00:00:ee", "state": "PERMANENT"}
    assert [answer["mac"] for answer in one["answers"]] == [MACS[ONE]]


def test_nothing_is_changed_and_check_mode_asks_as_well(played: Played) -> None:
    before = _kernel_knows()
    found = played(check=True, addresses=[SINGLE, FREE])
    assert (found["changed"], len(found["neighbors"][0]["answers"])) == (False, 1)
    assert _kernel_knows() <= before


def _kernel_knows() -> set[str]:
    """The asker's neighbor table, without link-local addresses: hosts ask and tell of these by themselves."""
    entries = json.loads(run("ip", "-n", ASKER, "-json", "neighbor"))
    return {one["dst"] for one in entries if not ip_address(one["dst"]).is_link_local}


@pytest.mark.parametrize(
    ("address", "expect", "message"),
    [
        (DOUBLE, "one", f"2 answered for {DOUBLE} on eth0 where one should: "),
        (FREE, "one", f"nobody answered for {FREE} on eth0, asked 3 times"),
        (DOUBLE6, "one", f"2 answered for {DOUBLE6} on eth0 where one should: "),
        (SINGLE, "none", f"1 answered for {SINGLE} on eth0 where none should: {MACS[ONE]} (node1)"),
    ],
)
def test_what_is_not_expected_fails_with_who_answered(
    probe: Probe, address: str, expect: str, message: str
) -> None:
    found = probe(address=address, expect=expect, known={MACS[ONE]: "node1"})
    assert found["failed"]
    assert found["msg"].startswith(message)
    assert macs(found)[address] <= {MACS[ONE], MACS[TWO]}


def test_what_is_expected_does_not_fail(probe: Probe) -> None:
    assert not probe(addresses=[SINGLE, SINGLE6], expect="one")["failed"]
    assert not probe(addresses=[FREE, FREE6], expect="none")["failed"]


def test_without_an_address_in_the_network_none_is_shown(probe: Probe) -> None:
    elsewhere = ["192.0.2.66/32", "dev", "eth0"]
    run("ip", "-n", ONE, "addr", "add", *elsewhere)
    try:
        (one,) = probe(address="192.0.2.66", interface="eth0")["neighbors"]
    finally:
        run("ip", "-n", ONE, "addr", "del", *elsewhere)
    assert one["source"] == "0.0.0.0"
    assert [answer["mac"] for answer in one["answers"]] == [MACS[ONE]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"address": "203.0.113.9"},
            "203.0.113.9 is not on a segment of this host, which reaches it through ",
        ),
        ({"address": "192.0.2.1"}, "this host has no route to 192.0.2.1"),
        ({"address": OWN}, f"{OWN} is an address of this host itself"),
        ({"address": SINGLE, "interface": "eth9"}, "interface eth9 does not exist on this host"),
        ({"address": SINGLE, "interface": "off0"}, "interface off0 is down"),
        ({"address": SINGLE, "interface": "uncabled"}, "interface uncabled has no carrier"),
        ({"address": SINGLE, "interface": "lo"}, "interface lo is no Ethernet (loopback)"),
        ({"address": "nowhere"}, "addresses: 'nowhere' is not an IPv4 or IPv6 address"),
        ({"address": "224.0.0.1"}, "addresses: 224.0.0.1 is no address that a host of a segment has"),
        ({"address": SINGLE, "source": "x"}, "source: 'x' is not an IPv4 or IPv6 address"),
        ({"address": SINGLE, "source": SINGLE6}, f"source {SINGLE6} is IPv6, and {SINGLE} is IPv4"),
        ({"address": SINGLE, "count": 0}, "count is 0; it has to be at least 1"),
        ({"address": SINGLE, "timeout": 0}, "timeout is 0.0; it has to be above 0 seconds"),
        ({"addresses": []}, "addresses is empty; it has to name at least one address"),
    ],
)
def test_what_cannot_be_asked_is_said_in_words(probe: Probe, options: dict[str, Any], message: str) -> None:
    found = probe(**options)
    assert found["failed"]
    assert found["msg"].startswith(message)


def test_an_address_behind_a_gateway_can_be_skipped(probe: Probe) -> None:
    found = probe(addresses=["203.0.113.9", SINGLE], off_segment="skip", expect="one")
    assert not found["failed"], found
    far, near = found["neighbors"]
    assert (far["on_segment"], far["answers"], near["on_segment"]) == (False, [], True)
    assert "which reaches it through 198.51.100.66" in far["why"]


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python that has nothing but its standard library."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    return str(folder / "bin" / "python")


def test_without_scapy_the_package_is_named(played: Played, bare_python: str) -> None:
    played.python = bare_python
    found = played(address=SINGLE)
    assert found["failed"]
    assert "Failed to import the required Python library (scapy)" in found["msg"]
    assert not played(address="203.0.113.9", off_segment="skip")["failed"]
