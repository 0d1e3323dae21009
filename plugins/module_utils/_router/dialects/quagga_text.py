# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turn what quagga's show commands print into the documents that FRR prints for the same questions.

Pure functions; the shapes were recorded from quagga 1.2.3, and the rest is from its bgpd/bgp_vty.c,
bgpd/bgp_route.c and zebra/zebra_vty.c.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

Json = dict[str, Any]

# quagga's names for address families, and FRR's in JSON.
_FAMILIES = {"IPv4 Unicast": "ipv4Unicast", "IPv6 Unicast": "ipv6Unicast"}

_IDENTIFIER = re.compile(r"^BGP router identifier (\S+), local AS number (\d+)", re.MULTILINE)
_ROW = re.compile(r"^(\S+)\s+4\s+(\d+)(?:\s+\d+){5}\s+(\S+)\s+(\S.*)$")
_SECONDS = {"y": 365 * 86400, "w": 7 * 86400, "d": 86400, "h": 3600, "m": 60}


def seconds(uptime: str) -> int:
    """C(00:00:40), C(1d02h03m), C(01w2d03h) and C(01y02w3d) in seconds; 0 for C(never)."""
    clock = re.fullmatch(r"(\d+):(\d+):(\d+)", uptime)
    if clock:
        hours, minutes, rest = (int(part) for part in clock.groups())
        return hours * 3600 + minutes * 60 + rest
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+)([ywdhm])", uptime))


def summary(text: str, neighbors: Mapping[str, Json]) -> Json:
    """C(show ip bgp summary), or another family's. What it does not say is taken from C(neighbors)."""
    found = _IDENTIFIER.search(text)
    if not found:
        return {}
    rows = (_ROW.match(line) for line in _whole_lines(text))
    peers = {row.group(1): _peer(row, neighbors.get(row.group(1), {})) for row in rows if row}
    return {"routerId": found.group(1), "as": int(found.group(2)), "peers": peers}


def _whole_lines(text: str) -> Iterator[str]:
    """Lines, where an address that fills its column stands in front of what belongs to it."""
    before = ""
    for line in text.splitlines():
        if re.fullmatch(r"[0-9a-f.:]+", line):
            before = line
            continue
        yield before + line
        before = ""


def _peer(row: re.Match[str], detail: Json) -> Json:
    """The last column is a number of prefixes where the session is up, and its state elsewhere."""
    state = row.group(4).strip()
    up = state.isdigit()
    return {
        "remoteAs": int(row.group(2)),
        "state": "Established" if up else state,
        "peerUptimeMsec": seconds(row.group(3)) * 1000 if up else 0,
        "pfxRcd": int(state) if up else 0,
        "pfxSnt": None,
        "desc": detail.get("nbrDesc", ""),
        "connectionsEstablished": detail.get("connectionsEstablished", 0),
        "connectionsDropped": detail.get("connectionsDropped", 0),
    }


def neighbors(text: str) -> dict[str, Json]:
    """C(show ip bgp neighbors), which has those of every family."""
    blocks = re.split(r"^BGP neighbor is ", text, flags=re.MULTILINE)[1:]
    return {block.split(",", 1)[0]: _neighbor(block) for block in blocks}


def _neighbor(block: str) -> Json:
    found: Json = {
        "nbrDesc": _first(r"^ Description: (.*)$", block),
        "bgpState": _first(r"^  BGP state = (\w+)", block),
        "bgpTimerHoldTimeMsecs": 1000 * int(_first(r", hold time is (\d+),", block) or 0),
        "connectionsEstablished": int(_first(r"^  Connections established (\d+);", block) or 0),
        "connectionsDropped": int(_first(r"^  Connections established \d+; dropped (\d+)", block) or 0),
        "lastResetDueTo": _first(r"^  Last reset \S+, due to (.*)$", block),
        "addressFamilyInfo": _families(block),
    }
    if found["bgpState"] == "Established":
        found["neighborCapabilities"] = _capabilities(block)
        found["gracefulRestartInfo"] = _restart(block)
    return found


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found.group(1).strip() if found else ""


def _families(block: str) -> Json:
    """The settings of each family, and how many prefixes are accepted in it."""
    parts = re.split(r"^ For address family: (.*)$", block, flags=re.MULTILINE)[1:]
    return {
        _FAMILIES[name]: {
            "inboundSoftConfigPermit": "Inbound soft reconfiguration allowed" in part,
            "acceptedPrefixCounter": int(_first(r"^  (\d+) accepted prefixes", part) or 0),
        }
        for name, part in zip(parts[::2], parts[1::2])
        if name in _FAMILIES
    }


def _capabilities(block: str) -> Json:
    said = re.findall(r"^    Address family (.*): (.*)$", block, re.MULTILINE)
    agreed = {
        _FAMILIES[name]: {"advertisedAndReceived": words == "advertised and received"}
        for name, words in said
        if name in _FAMILIES
    }
    return {"multiprotocolExtensions": agreed, "addressFamiliesByPeer": _restarting(block)}


def _restarting(block: str) -> Json:
    """The families of which the neighbor says that it comes back with their routes."""
    said = _first(r"^      Address families by peer:\n +(.*)$", block)
    names = (entry.partition("(")[0] for entry in said.split(", "))
    return {_FAMILIES[name]: {} for name in names if name in _FAMILIES}


def _restart(block: str) -> Json:
    """quagga always offers the capability, and then helps whoever offers it too (bgpd/bgp_fsm.c)."""
    offered = _first(r"^    Graceful Restart Capabilty: (.*)$", block)
    return {
        "localGrMode": "Helper" if offered.startswith("advertised") else "Disable",
        "remoteGrMode": "Restart" if "received" in offered and _restarting(block) else "Helper",
        "timers": {"receivedRestartTimer": int(_first(r"^      Remote Restart timer is (\d+)", block) or 0)},
    }


def counts(text: str) -> Json:
    """The end of C(show ip bgp neighbors ADDRESS received-routes): nothing at all where there are none; a
    sentence with C(%) where they are not kept."""
    if text.lstrip().startswith("%"):
        return {}
    found = _first(r"^Total number of prefixes (\d+)", text)
    return {"ribTableWalkCounters": {"Adj-in": int(found or 0)}}


_ENTRY = re.compile(r"^BGP routing table entry for (\S+)$", re.MULTILINE)
_FROM = re.compile(r"^    (\S+)(?: \(.*?\))? from (\S+) \(")


def paths(text: str) -> dict[str, list[Json]]:
    """The paths of one prefix, from C(show ip bgp PREFIX)."""
    found = _ENTRY.search(text)
    if not found:
        return {}
    return {found.group(1): list(_paths(text[found.end() :].splitlines()))}


def _paths(lines: list[str]) -> Iterator[Json]:
    """Three lines each: the AS path, next hop and neighbor, and what is true of it."""
    as_path, hop, peer = "", "", ""
    for line in lines:
        came = _FROM.match(line)
        if came:
            hop, peer = came.groups()
        elif line.startswith("      Origin "):
            marks = [mark.strip() for mark in line.split(",")]
            yield _path(peer, hop, as_path, marks)
        elif re.match(r"^  \S", line):
            as_path = line.split(",")[0].strip()


def _path(peer: str | None, hop: str, as_path: str, marks: Container[str]) -> Json:
    return {
        "peer": peer,
        **{name: name in marks for name in ("valid", "best", "multipath")},
        "as_path": "" if as_path == "Local" else as_path,
        "next_hops": [hop],
    }


# Columns of the table: three of status, the prefix up to here, then the next hop up to there.
_HOP, _NUMBERS = 20, 36
_STATUS = {"*": "valid", ">": "best", "=": "multipath"}
# Metric, local preference and weight, in front of the AS path.
_WIDTH = 25


def table(text: str) -> dict[str, list[Json]]:
    """Paths by prefix, from C(show ip bgp) or C(show bgp ipv6 unicast). It names no neighbors."""
    found: dict[str, list[Json]] = {}
    _head, _network, body = text.partition("   Network ")
    for status, prefix, hop, numbers in _fields(body.splitlines()[1:]):
        as_path = numbers[_WIDTH:].rpartition(" ")[0]
        path = _path(None, hop, as_path, [_STATUS.get(mark, "") for mark in status])
        found.setdefault(_prefix(prefix), []).append(path)
    return found


def _fields(lines: list[str]) -> Iterator[tuple[str, str, str, str]]:
    """Status, prefix, next hop and the rest of each path. A prefix or a next hop that fills its column has
    what follows it on the next line, in its place."""
    status = prefix = hop = ""
    wanted = "path"
    for line in lines:
        if not line.strip():
            return
        rest = line[_HOP:]
        if wanted == "path":
            status, named = line[:3], line[3:].split(" ", 1)[0]
            prefix = named or prefix
            rest = line[max(_HOP, 3 + len(named)) :]
        if wanted != "numbers":
            hop = rest.split(" ", 1)[0]
            wanted = "numbers" if len(hop) >= _NUMBERS - _HOP else "path" if hop else "hop"
        else:
            wanted = "path"
        if wanted == "path":
            yield status, prefix, hop, rest[_NUMBERS - _HOP :]


def _prefix(text: str) -> str:
    """A network without a length has that of its class (bgpd/bgp_route.c, route_vty_out_route)."""
    if not text or "/" in text:
        return text
    first = int(text.partition(".")[0])
    length = 0 if text == "0.0.0.0" else 8 if first < 128 else 16 if first < 192 else 24
    return f"{text}/{length}"


_CODES = {"K": "kernel", "C": "connected", "S": "static", "B": "bgp"}
_ROUTE = re.compile(r"^(\w)([> ])([* ]) (\S+)(?: \[(\d+)/\d+\])?(.*)$")
_DETAIL = re.compile(r'^  Known via "(\w+)", distance (\d+),.*$')


def fib(text: str) -> dict[str, Json]:
    """Zebra's selected routes by prefix, from C(show ip route), a part of it, or one prefix."""
    one = re.search(r"^Routing entry for (\S+)", text, re.MULTILINE)
    return _fib_of_one(one.group(1), text) if one else _fib_of_all(text.splitlines())


def _fib_of_all(lines: Iterable[str]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    current = None
    for line in lines:
        head = _ROUTE.match(line)
        if head:
            code, selected, installed, prefix, distance, rest = head.groups()
            current = _route(_CODES.get(code, code), int(distance or 0))
            if selected == ">":
                found[prefix] = current
            _add_hop(current, rest, installed == "*")
        elif current is not None and line.startswith("  "):
            _add_hop(current, line[3:], line[2] == "*")
    return found


def _fib_of_one(prefix: str, text: str) -> dict[str, Json]:
    """Every protocol's route to the prefix is shown; the selected one is marked C(best)."""
    found: dict[str, Json] = {}
    current = None
    for line in text.splitlines():
        head = _DETAIL.match(line)
        if head:
            current = _route(head.group(1), int(head.group(2)))
            if ", best" in line:
                found[prefix] = current
        elif current is not None and line[3:4] == "*":
            _add_hop(current, f" via {line[4:].strip()}", True)
    return found


def _route(protocol: str, distance: int) -> Json:
    return {"installed": False, "protocol": protocol, "distance": distance, "next_hops": []}


def _add_hop(route: Json, text: str, installed: bool) -> None:
    """A next hop with a star is in the kernel; one that is recursive is there as those behind it."""
    found = re.search(r"(?:via |directly connected, )([^,\s]+)", text)
    if found and installed:
        route["installed"] = True
        route["next_hops"] = sorted([*route["next_hops"], found.group(1)])
