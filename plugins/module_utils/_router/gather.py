# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All facts about a router in a few round trips, with nothing but commands that are known to be safe on
it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from . import detection, facts, kernel, settings, syntax
from .converge import require_frr
from .intent import Reason, Refusal
from .shell import Result, Shell, Vtysh

Json = dict[str, Any]

_SYSCTLS = {
    "hash_policy_ipv4": "net/ipv4/fib_multipath_hash_policy",
    "hash_policy_ipv6": "net/ipv6/fib_multipath_hash_policy",
    "forwarding_ipv4": "net/ipv4/ip_forward",
    "forwarding_ipv6": "net/ipv6/conf/all/forwarding",
}


def networks(texts: Iterable[str]) -> list[str]:
    """Prefixes to ask for, each with its length: FRR answers a bare address with the route that covers it."""
    found = []
    for text in texts:
        try:
            found.append(str(ipaddress.ip_network(text)))
        except ValueError as error:
            raise Refusal(Reason.BAD_OPTION, f"prefixes: {text!r}: {error}") from None
    return found


def gather(vtysh: Vtysh, prefixes: list[str] | None, neighbors: list[str] | None) -> Json:
    """The facts of C(bgp_router_info). C(prefixes) and C(neighbors) of None mean all."""
    require_frr(vtysh)
    config = settings.read(vtysh.running())
    tables = _tables(vtysh, prefixes)
    machine = _machine(vtysh.shell)
    return {
        "version": vtysh.version.text,
        "maximum_paths_limit": vtysh.version.multipath,
        "asn": config.asn,
        "router_id": tables["router_id"],
        "sessions": _sessions(vtysh, config.settings, neighbors),
        "routes": _routes(tables, machine, prefixes),
        "kernel_source": machine["source"],
        **{name: machine[name] for name in _SYSCTLS},
        "configuration": _configuration(config),
    }


def _configuration(config: settings.Config) -> Json:
    """What is configured, by name; secrets are in none of these."""
    names = [key for key in config.settings if key[0] in ("route-map", "prefix-list")]
    return {
        "neighbors": sorted(config.neighbors()),
        "route_maps": sorted({key[1] for key in names if key[0] == "route-map"}),
        "prefix_lists": sorted({key[2] for key in names if key[0] == "prefix-list"}),
        "maximum_paths": {
            f"{key[1].split()[0]} {'ibgp' if key[2].endswith('ibgp') else 'ebgp'}": int(value.split()[0])
            for key, value in config.settings.items()
            if key[0] == "family" and key[2].startswith("maximum-paths")
        },
        "other": [syntax.mask(line) for line in config.other if line.startswith("router bgp ")],
    }


_BFD = "show bfd peers json"


def _sessions(vtysh: Vtysh, config: settings.Settings, wanted: list[str] | None) -> list[Json]:
    commands = ("show bgp summary json", "show bgp neighbors json")
    results = vtysh.show(*commands, _BFD)
    summary, neighbors = (facts.parse(results[command].stdout, command) for command in commands)
    peers = detection.bfd_peers(results[_BFD].stdout)
    more = {
        address: detection.of_session(config, address, detail, peers)
        for address, detail in neighbors.items()
        if isinstance(detail, dict)
    }
    asked = {
        f"show bgp {family} unicast neighbors {address} prefix-counts json": (family, address)
        for family, address in facts.wants_counts(neighbors)
        if wanted is None or address in wanted
    }
    counts = vtysh.show(*asked) if asked else {}
    by_session = {asked[command]: _counted(result, command) for command, result in counts.items()}
    found = facts.sessions(summary, neighbors, by_session, more)
    return [session for session in found if wanted is None or session["address"] in wanted]


def _counted(result: Result, command: str) -> Json:
    """A session may end between two questions; its counts are not known then."""
    try:
        return facts.parse(result.stdout, command)
    except Refusal:
        return {}


def _questions(prefixes: list[str] | None) -> dict[str, str]:
    """Show commands and the table that each is about."""
    if prefixes is None:
        return {
            "show bgp ipv4 unicast json": "bgp",
            "show bgp ipv6 unicast json": "bgp",
            "show ip route bgp json": "fib",
            "show ipv6 route bgp json": "fib",
        }
    found = {}
    for prefix in prefixes:
        version = ipaddress.ip_network(prefix).version
        found[f"show bgp ipv{version} unicast {prefix} json"] = "bgp"
        found[f"show {'ip' if version == 4 else 'ipv6'} route {prefix} json"] = "fib"
    return found


def _tables(vtysh: Vtysh, prefixes: list[str] | None) -> Json:
    questions = _questions(prefixes)
    found: Json = {"bgp": {}, "fib": {}, "router_id": None}
    # Always asked too: the router's own identifier.
    results = vtysh.show(*questions, "show bgp summary json")
    for command, name in questions.items():
        document = facts.parse(results[command].stdout, command)
        found[name].update(facts.table(document) if name == "bgp" else facts.fib(document))
    summary = facts.parse(results["show bgp summary json"].stdout, "show bgp summary json")
    identifiers = [
        part["routerId"] for part in summary.values() if isinstance(part, dict) and "routerId" in part
    ]
    found["router_id"] = identifiers[0] if identifiers else None
    return found


def _machine(shell: Shell) -> Json:
    """Kernel routes and the sysctls that decide how they are used."""
    commands = {name: f"cat /proc/sys/{path}" for name, path in _SYSCTLS.items()}
    commands["ipv4"] = "ip -j route show 2>/dev/null || ip route show"
    commands["ipv6"] = "ip -j -6 route show 2>/dev/null || ip -6 route show"
    results = shell.batch(commands)
    found: Json = {name: _number(results[name]) for name in _SYSCTLS}
    found["source"] = kernel.source(results["ipv4"].stdout)
    found["routes"] = {
        **kernel.routes(results["ipv4"].stdout, 4),
        **kernel.routes(results["ipv6"].stdout, 6),
    }
    return found


def _number(result: Result) -> int | None:
    text = result.stdout.strip()
    return int(text) if result.rc == 0 and text.isdigit() else None


def _routes(tables: Json, machine: Json, prefixes: list[str] | None) -> list[Json]:
    """One entry for each prefix: the same route as BGP, zebra and the kernel see it."""
    names = prefixes if prefixes is not None else sorted({*tables["bgp"], *tables["fib"]})
    return [
        _joined(
            prefix, tables["bgp"].get(prefix, []), tables["fib"].get(prefix), machine["routes"].get(prefix)
        )
        for prefix in names
    ]


def _joined(prefix: str, paths: list[Json], fib: Json | None, route: Json | None) -> Json:
    bgp = facts.used_next_hops(paths)
    installed = list(fib["next_hops"]) if fib and fib["installed"] else []
    known = route is None or route["next_hops"] is not None
    present = sorted(hop["gateway"] for hop in (route or {}).get("next_hops") or [])
    return {
        "prefix": prefix,
        "paths": paths,
        "next_hops": bgp,
        "fib": fib,
        "kernel": route,
        "consistent": bgp == installed and (not known or bgp == present),
    }
