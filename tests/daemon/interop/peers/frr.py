# SPDX-License-Identifier: GPL-3.0-or-later
"""FRR, asked by ``vtysh``."""

from __future__ import annotations

import re
from typing import Any

from daemon.interop.frr import Router, missing
from daemon.interop.network import Cable, eventually
from daemon.interop.peers.base import Path, Peer, Setup


def config(setup: Setup) -> str:
    unnumbered = setup.over == "link-local"
    name = "eth0" if unnumbered else setup.node
    neighbor = f" neighbor {name}"
    lines = [
        f"router bgp {setup.asn}",
        " bgp router-id 10.99.0.2",
        " no bgp ebgp-requires-policy",
        " no bgp default ipv4-unicast",
        " no bgp network import-check",
        " bgp log-neighbor-changes",
        f" timers bgp {setup.keepalive_time} {setup.hold_time}",
        f"{neighbor} {'interface ' if unnumbered else ''}remote-as {setup.remote_asn or 'external'}",
        f"{neighbor} timers connect 1",
    ]
    if not setup.dials:
        lines.append(f"{neighbor} passive")
    if setup.ttl_security:
        lines.append(f"{neighbor} ttl-security hops 1")
    if setup.password is not None:
        lines.append(f"{neighbor} password {setup.password}")
    if setup.next_hop_ipv6:
        lines.append(f"{neighbor} capability extended-nexthop")
    for version in ("ipv4", "ipv6"):
        lines += [f" address-family {version} unicast", f" {neighbor} activate"]
        if setup.network is not None and version == "ipv4":
            lines.append(f"  network {setup.network}")
        lines.append(" exit-address-family")
    return "\n".join((*lines, "exit"))


class Frr(Peer):
    name, package, program = "FRR", "frr", "bgpd"
    cable: Router

    def _cable(self) -> Cable:
        return Router()

    @classmethod
    def missing(cls) -> str | None:
        return missing()

    def start(self, setup: Setup) -> None:
        self.setup = setup
        self.cable.start(config(setup))
        eventually(self._neighbor, "FRR has its neighbor")

    def restart(self) -> None:
        self.cable.restart_bgpd()

    def _neighbor(self) -> dict[str, Any]:
        return self.cable.neighbor("eth0" if self.setup.over == "link-local" else self.setup.node)

    def established(self) -> bool:
        return self._neighbor().get("bgpState") == "Established"

    def paths(self, prefix: str) -> list[Path]:
        return [_path(entry) for entry in self.cable.paths(prefix) if entry.get("valid")]

    def accepted(self) -> int:
        families = self._neighbor().get("addressFamilyInfo", {})
        return int(families.get("ipv4Unicast", {}).get("acceptedPrefixCounter", 0))

    def shut(self, message: str) -> str:
        self._configure(f"neighbor {self.setup.node} shutdown message {message}")
        return message

    def _configure(self, *lines: str) -> None:
        self.cable.vtysh("configure terminal", f"router bgp {self.setup.asn}", *lines)

    def refresh(self) -> None:
        self.cable.vtysh(f"clear bgp ipv4 unicast {self.setup.node} soft in")

    def said(self) -> str:
        """FRR logs what it received, and shows the sender's words beside the neighbor."""
        return f"{self.cable.log()}\n{self._neighbor()}"


def _path(entry: dict[str, Any]) -> Path:
    segments = entry["aspath"].get("segments", [])
    hops = [hop for hop in entry["nexthops"] if hop.get("scope", "global") == "global" or hop.get("used")]
    return Path(
        next_hop=hops[0]["ip"],
        as_path=tuple(asn for segment in segments for asn in segment["list"]),
        origin=entry["origin"],
        local_pref=entry.get("locPrf"),
        communities=_words(entry.get("community")),
        large_communities=_words(entry.get("largeCommunity")),
        bandwidth=_bandwidth(entry.get("extendedCommunity", {}).get("string", "")),
        stale=entry.get("stale", False),
    )


def _words(found: dict[str, str] | None) -> frozenset[str]:
    return frozenset(found["string"].split()) if found else frozenset()


def _bandwidth(text: str) -> float | None:
    """``LB:64513:1250000 (10.000 Mbps)``."""
    found = re.search(r"LB:\d+:(\d+)", text)
    return float(found[1]) if found else None
