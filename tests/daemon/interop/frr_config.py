# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations for FRR."""

from __future__ import annotations

from daemon.interop.frr import NODE


def config(*lines: str, asn: int = 64512, remote: int = 64513, node: str = NODE, timers: str = "3 9") -> str:
    return "\n".join(
        (
            f"router bgp {asn}",
            " bgp router-id 10.99.0.2",
            " no bgp ebgp-requires-policy",
            " no bgp default ipv4-unicast",
            " bgp log-neighbor-changes",
            f" timers bgp {timers}",
            f" neighbor {node} remote-as {remote}",
            f" neighbor {node} timers connect 1",
            *(f" neighbor {node} {line}" for line in lines),
            " address-family ipv4 unicast",
            f"  neighbor {node} activate",
            " exit-address-family",
            " address-family ipv6 unicast",
            f"  neighbor {node} activate",
            " exit-address-family",
            "exit",
        )
    )
