# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All facts about a router in a few round trips, with nothing but commands that are known to be safe on
it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from . import detection, dialects, facts, groups, kernel, obstacles, settings, syntax
from .dialects.base import Dialect, Tables
from .errors import Reason, Refusal
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
    dialect = dialects.of(vtysh)
    config = dialect.read(dialect.running())
    tables = dialect.tables(prefixes)
    machine = _machine(vtysh.shell, prefixes)
    standing = obstacles.of_instance(config)
    return {
        "software": dialect.name,
        "version": vtysh.version.text,
        "maximum_paths_limit": vtysh.version.multipath,
        "asn": config.asn,
        "router_id": tables.router_id,
        "sessions": [
            obstacles.named(one, standing) for one in _sessions(dialect, config.settings, neighbors)
        ],
        "obstacles": [one._asdict() for one in standing],
        "routes": _routes(tables, machine, prefixes),
        "kernel_source": machine["source"],
        **{name: machine[name] for name in _SYSCTLS},
        "configuration": _configuration(config),
    }


def _configuration(config: settings.Config) -> Json:
    """Return what is configured, by name; secrets are in none of these."""
    names = [key for key in config.settings if key[0] in ("route-map", "prefix-list")]
    return {
        "neighbors": sorted(config.neighbors()),
        "listen_ranges": sorted(groups.range_of(key) for key in groups.ranges(config.settings)),
        "route_maps": sorted({key[1] for key in names if key[0] == "route-map"}),
        "prefix_lists": sorted({key[2] for key in names if key[0] == "prefix-list"}),
        "maximum_paths": {
            f"{key[1].split()[0]} {'ibgp' if key[2].endswith('ibgp') else 'ebgp'}": int(value.split()[0])
            for key, value in config.settings.items()
            if key[0] == "family" and key[2].startswith("maximum-paths")
        },
        "other": [syntax.mask(line) for line in config.other if line.startswith("router bgp ")],
    }


def _sessions(dialect: Dialect, config: settings.Settings, wanted: list[str] | None) -> list[Json]:
    said = dialect.sessions(wanted)
    more = {
        address: detection.of_session(config, address, detail, said.bfd)
        for address, detail in said.neighbors.items()
        if isinstance(detail, dict)
    }
    found = facts.sessions(said.summary, said.neighbors, said.counts, more)
    return [session for session in found if wanted is None or session["address"] in wanted]


def _machine(shell: Shell, prefixes: list[str] | None) -> Json:
    """Kernel routes and the sysctls that decide how they are used."""
    commands = {name: f"cat /proc/sys/{path}" for name, path in _SYSCTLS.items()}
    asked = kernel.questions(prefixes)
    commands.update({str(number): command for number, (command, _version) in enumerate(asked)})
    # Of a few routes nobody can tell whether something hides next hops: that of the machine itself says it.
    commands["source"] = "ip -j route show table local 2>/dev/null || ip route show table local"
    results = shell.batch(commands)
    found: Json = {name: _number(results[name]) for name in _SYSCTLS}
    found["source"] = kernel.source(results["source"].stdout)
    found["routes"] = {}
    for number, (_command, version) in enumerate(asked):
        found["routes"].update(kernel.routes(results[str(number)].stdout, version))
    return found


def _number(result: Result) -> int | None:
    text = result.stdout.strip()
    return int(text) if result.rc == 0 and text.isdigit() else None


def _routes(tables: Tables, machine: Json, prefixes: list[str] | None) -> list[Json]:
    """One entry for each prefix: the same route as BGP, zebra and the kernel see it."""
    names = prefixes if prefixes is not None else sorted({*tables.bgp, *tables.fib})
    return [
        _joined(prefix, tables.bgp.get(prefix, []), tables.fib.get(prefix), machine["routes"].get(prefix))
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
