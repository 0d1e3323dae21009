# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel's routes, from iproute2 as JSON or text, or from busybox.

busybox prints a route with several next hops without any of them. Such a route has C(next_hops) None here,
which says
"not known" and is not the same as having none.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

# Words of iproute2's text that begin no pair.
_FLAGS = ("onlink", "linkdown", "dead", "pervasive", "offload", "trap", "rt_offload", "rt_trap", "notify")
# A route to these is not a way to anywhere.
_TYPES = (
    "unicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "local",
    "broadcast",
    "multicast",
    "anycast",
)


def questions(prefixes: Sequence[str] | None) -> list[tuple[str, int]]:
    """Commands that print routes, each with its IP version.

    A router may have the whole Internet's: where prefixes are given only those inside of them are asked for.
    """
    if prefixes is None:
        return [_question(f"-{version} route show", version) for version in (4, 6)]
    return [
        _question(f"-{version} route show root {prefix}", version) for prefix, version in _versions(prefixes)
    ]


def _question(what: str, version: int) -> tuple[str, int]:
    return f"ip -j {what} 2>/dev/null || ip {what}", version


def _versions(prefixes: Sequence[str]) -> list[tuple[str, int]]:
    return [(prefix, ipaddress.ip_network(prefix).version) for prefix in prefixes]


def routes(output: str, version: int) -> dict[str, Json]:
    """Routes by prefix from C(ip -j route) or C(ip route); C(version) is 4 or 6."""
    text = output.strip()
    found = _from_json(text) if text.startswith("[") else _from_text(text)
    return {
        prefix: route for prefix, route in ((_prefix(route, version), route) for route in found) if prefix
    }


def source(output: str) -> str:
    """C(json), C(text) or C(busybox): how much can be known."""
    text = output.strip()
    if text.startswith("["):
        return "json"
    return "text" if " proto " in text else "busybox"


def _prefix(route: Json, version: int) -> str:
    destination = route.pop("destination")
    if destination == "default":
        return "0.0.0.0/0" if version == 4 else "::/0"
    try:
        return str(ipaddress.ip_network(destination, strict=False))
    except ValueError:
        return ""


def _route(destination: str, protocol: object, metric: object, hops: list[Json] | None) -> Json:
    return {
        "destination": destination,
        "protocol": str(protocol or ""),
        "metric": int(str(metric or 0)),
        "next_hops": hops,
    }


def _hop(gateway: object, device: object, weight: object) -> Json:
    return {"gateway": str(gateway or ""), "device": str(device or ""), "weight": int(str(weight or 1))}


def _gateway(hop: Json) -> object:
    """An IPv4 route may go through an IPv6 neighbor, which is then in C(via)."""
    return hop.get("gateway") or hop.get("via", {}).get("host")


def _from_json(text: str) -> list[Json]:
    found = []
    for route in json.loads(text):
        hops = [
            _hop(_gateway(hop), hop.get("dev"), hop.get("weight")) for hop in route.get("nexthops", [route])
        ]
        found.append(_route(str(route.get("dst", "")), route.get("protocol"), route.get("metric"), hops))
    return found


def _from_text(text: str) -> list[Json]:
    found: list[Json] = []
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "nexthop" and found:
            pairs = _pairs(words[1:])
            found[-1]["next_hops"] = [*(found[-1]["next_hops"] or []), _text_hop(pairs)]
        else:
            found.append(_text_route(words))
    return found


def _text_route(words: list[str]) -> Json:
    words = words[1:] if words[0] in _TYPES and len(words) > 1 else words
    pairs = _pairs(words[1:])
    hops = [_text_hop(pairs)] if "via" in pairs or "dev" in pairs else None
    return _route(words[0], pairs.get("proto"), pairs.get("metric"), hops)


def _text_hop(pairs: dict[str, str]) -> Json:
    return _hop(pairs.get("via"), pairs.get("dev"), pairs.get("weight"))


def _pairs(words: list[str]) -> dict[str, str]:
    """C(via 10.0.0.1 dev eth0 onlink) as a dictionary; C(via inet6 fe80::1) names its family in between."""
    rest = [word for word in words if word not in (*_FLAGS, "inet", "inet6")]
    return dict(zip(rest[::2], rest[1::2]))
