# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The zone of an OpenWrt firewall that a neighbor is in: that of the interface which leads to it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from . import uci
from .shell import Shell
from .uci import Section


def towards(
    shell: Shell, firewall: Mapping[str, Section], neighbors: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The zones, and what to say of the neighbors that are in none."""
    devices = _devices(shell, neighbors)
    network = uci.parse(shell.run("uci -q show network").stdout)
    by_address = {address: zone_of(devices.get(address, ""), network, firewall) for address in neighbors}
    lost = [address for address, zone in by_address.items() if not zone]
    found = list(dict.fromkeys(zone for zone in by_address.values() if zone))
    return found, [f"{address} ({devices.get(address) or 'no route'})" for address in lost]


def _devices(shell: Shell, neighbors: Sequence[str]) -> dict[str, str]:
    """The device that the router sends to each neighbor through."""
    commands = {
        address: f"ip {'-6 ' if ':' in address else ''}route get {shlex.quote(address)}"
        for address in neighbors
    }
    results = shell.batch(commands) if commands else {}
    found = {}
    for address, result in results.items():
        device = re.search(r"\bdev (\S+)", result.stdout)
        if result.rc == 0 and device:
            found[address] = device.group(1)
    return found


def zone_of(device: str, network: Mapping[str, Section], firewall: Mapping[str, Section]) -> str:
    """The zone of a device; empty where it is in none. A zone names interfaces of C(network), or devices."""
    interfaces = {
        name for name, one in network.items() if one.kind == "interface" and device in _of(name, one)
    }
    for zone in firewall.values():
        if zone.kind != "zone" or not device:
            continue
        named = any(_is_like(device, pattern) for pattern in zone.words("device"))
        if named or interfaces & set(_networks(zone)):
            return zone.text("name")
    return ""


def _networks(zone: Section) -> list[str]:
    """The interfaces of a zone; one that says nothing of what is in it has the one of its own name."""
    says = any(zone.words(option) for option in ("network", "device", "subnet"))
    return zone.words("network") if says else zone.words("name")


def _of(name: str, interface: Section) -> set[str]:
    """The devices that an interface may be: what it says, the bridge that older releases make of it, and
    what tunnels and dialed connections are called."""
    named = {*interface.words("device"), *interface.words("ifname")}
    bridge = {f"br-{name}"} if interface.text("type") == "bridge" else set()
    return {*named, *bridge, name, f"{interface.text('proto')}-{name}"}


def _is_like(device: str, pattern: str) -> bool:
    """C(tun+) means all whose names begin so."""
    return device.startswith(pattern[:-1]) if pattern.endswith("+") else device == pattern
