# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's cables.

    control machine          namespace LAB-switch                 namespace LAB-HOST (one per host)
    LAB-mgmt =========== control |            | h1-mgmt ========== mgmt   \\
                                 |  br-mgmt   |                            } of the first host
                                 |            | h2-mgmt ...                /
                                 | br-SEGMENT | h1-eth0 ========== eth0
                                 | br-SEGMENT | h2-eth0 ...

A cable is pulled at the switch: its port goes down, the host's card loses its carrier and no other does.
Ports of the management network are isolated from each other, so that it never becomes a path between hosts.
A virtual machine has no namespace: its ports are taps, which its emulator opens in the switch's namespace.
Its cards do not notice that a cable is pulled; nothing passes any more.
"""

from __future__ import annotations

import json
from pathlib import Path

from shell import run
from topology import MANAGEMENT, Host, Interface, Lab, Site

NAMESPACES = Path("/run/netns")


def switch(lab: Site) -> str:
    """Name of the namespace with the bridges."""
    return f"{lab.name}-switch"


def namespace(lab: Lab, host: Host) -> str:
    """Name of a host's namespace, and of its container."""
    return f"{lab.name}-{host.name}"


def namespaces(lab: Site) -> list[str]:
    """Names of the namespaces that this lab, or an interrupted one of the same name, has on the machine."""
    return sorted(path.name for path in NAMESPACES.glob(f"{lab.name}-*"))


def _batch(lines: list[str], where: str | None = None) -> None:
    inside = ("-n", where) if where else ()
    run("ip", *inside, "-batch", "-", stdin="\n".join(lines) + "\n")


def _port(host: Host, card: Interface) -> str:
    return f"h{host.number}-{card.name}"


def _bridge(segment: str) -> str:
    return f"br-{segment}"


def build_switch(lab: Lab) -> bool:
    """Make the switch and the control machine's cable into it; False where they exist."""
    if (NAMESPACES / switch(lab)).exists():
        return False
    run("ip", "netns", "add", switch(lab))
    bridges = [_bridge(segment) for segment in (MANAGEMENT, *lab.segments)]
    # Snooping without a querier would let a bridge forget who listens to a multicast group.
    _batch(
        [f"link add {b} up type bridge stp_state 0 forward_delay 0 mcast_snooping 0" for b in bridges],
        switch(lab),
    )
    # A switch does not look into packets; without this it would pass frames through its packet filter.
    run("ip", "netns", "exec", switch(lab), "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0")
    mine, address = f"{lab.name}-mgmt", lab.control
    _batch(
        [
            f"link add {mine} type veth peer name control netns {switch(lab)}",
            f"addr add {address} dev {mine}",
            f"link set {mine} up",
        ]
    )
    _batch([f"link set control master {_bridge(MANAGEMENT)} up"], switch(lab))
    return True


def remove_switch(lab: Site) -> None:
    """Take the switch and the control machine's cable away; nothing to do where they are gone."""
    run("ip", "link", "del", f"{lab.name}-mgmt", check=False)
    if (NAMESPACES / switch(lab)).exists():
        run("ip", "netns", "del", switch(lab))


def wire(lab: Lab, host: Host) -> bool:
    """Make a host's namespace with its cards, all cables plugged in; False where it exists."""
    if (NAMESPACES / namespace(lab, host)).exists():
        return False
    run("ip", "netns", "add", namespace(lab, host))
    ends = f"netns {switch(lab)} type veth peer netns {namespace(lab, host)}"
    _batch([f"link add {_port(host, c)} {ends} name {c.name} address {host.mac(c)}" for c in host.cables])
    _connect(lab, host)
    return True


def wire_machine(lab: Lab, host: Host) -> list[str]:
    """Make the ports of a virtual machine, all cables plugged in. What runs in the switch's namespace may
    open them: their names, in the order of the host's cables."""
    _batch([f"tuntap add dev {_port(host, card)} mode tap" for card in host.cables], switch(lab))
    _connect(lab, host)
    return [_port(host, card) for card in host.cables]


def _connect(lab: Lab, host: Host) -> None:
    _batch(
        [f"link set {_port(host, c)} alias {host.name} master {_bridge(c.segment)} up" for c in host.cables],
        switch(lab),
    )
    _batch([f"link set {_port(host, host.management)} type bridge_slave isolated on"], switch(lab))


def unwire(lab: Lab, host: Host) -> None:
    """Take a host's namespace and cards away; nothing to do where they are gone."""
    # A namespace lives on while a dying process holds it; its cables must go now.
    ports = [_port(host, card) for card in host.cables if _plugged(lab, host, card) is not None]
    if ports:
        _batch([f"link del {port}" for port in ports], switch(lab))
    if (NAMESPACES / namespace(lab, host)).exists():
        run("ip", "netns", "del", namespace(lab, host))


def _plugged(lab: Lab, host: Host, card: Interface) -> bool | None:
    said = run("ip", "-n", switch(lab), "-j", "link", "show", "dev", _port(host, card), check=False)
    return "UP" in json.loads(said)[0]["flags"] if said.strip() else None


def plug(lab: Lab, host: Host, cards: tuple[Interface, ...], *, plugged: bool) -> bool:
    """Plug these cards' cables in or pull them; False where they were so already."""
    wrong = [card for card in cards if _plugged(lab, host, card) is (not plugged)]
    state = "up" if plugged else "down"
    _batch([f"link set {_port(host, card)} {state}" for card in wrong], switch(lab))
    return bool(wrong)
