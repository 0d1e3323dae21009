# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of a verification: expected, found, the difference, and the lines that show it.

**PRIVATE** to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .comparison import Difference, compare
from .expectations import Data, Expectations, Scope, expect
from .layer2 import expect_owners, read_macs
from .layer2 import row as owner_row
from .observations import LAYERS, FoundRouter, read_routers
from .owners import compare_owners, heard, not_asked, not_told, remembered
from .probes import index, judge
from .rows import hash_policies, hops_of, session_row
from .silent import without_cluster
from .table import counts, duration, some, table
from .worst_case import rows as worst_cases


@dataclass(frozen=True)
class Segment:
    """The answers about layer 2, as loops registered them.

    `heard`: of neighbor_probe, with the host that asked as `item`; None: nobody was to ask. `macs`: see
    `layer2.read_macs`.
    """

    heard: Sequence[Data] | None = None
    macs: Sequence[Data] = ()


@dataclass(frozen=True)
class Layer2:
    """The part of the report that is about layer 2."""

    rows: list[dict[str, Any]]
    differences: list[Difference]
    notes: list[str]


def verification(
    declared: Data,
    cluster: Data,
    router_results: Sequence[Data],
    probe_results: Sequence[Data],
    scope: Scope | None = None,
    *,
    segment: Segment | None = None,
) -> dict[str, Any]:
    """Everything, as plain data; `ok` says whether expected and found agree.

    `router_results`: of bgp_router_info, with the router's host as `item`; `probe_results`: of vip_probe,
    with the plan's entry as `item`. Both as a loop registers them.
    """
    if "services" not in cluster:
        return _readable(without_cluster(declared, cluster, router_results))
    scope = scope or Scope()
    expected = expect(declared, cluster, scope)
    routers = read_routers(declared, router_results)
    layer2 = _layer2(declared, cluster, scope, segment or Segment())
    differences = [*_unknown(cluster, scope), *compare(expected, routers), *layer2.differences]
    differences += _judge(scope.chosen(cluster), probe_results)
    report = {
        "ok": not differences,
        "sessions": [session_row(one, routers) for one in expected.sessions],
        "routes": _routes(expected, routers),
        "owners": layer2.rows,
        "failures": worst_cases(routers, {one.address: one.node for one in expected.sessions}),
        "hash_policy": hash_policies(routers),
        "probes": [_probe(result) for result in probe_results],
        "differences": [one.as_dict() for one in differences],
        "notes": [*_no_clients(declared), *expected.notes, *layer2.notes],
    }
    return _readable((report, differences))


def _readable(judged: tuple[dict[str, Any], Sequence[Difference]]) -> dict[str, Any]:
    """Return the report with its text for people."""
    report, differences = judged
    texts = [str(one) for one in differences]
    return {**report, "texts": texts, "lines": lines(report, texts)}


def _layer2(declared: Data, cluster: Data, scope: Scope, segment: Segment) -> Layer2:
    vips = expect_owners(declared, cluster, scope)
    found, failures, far = heard(segment.heard or ())
    macs = read_macs(segment.macs)
    notes = [*not_asked(vips, found, far), *not_told(vips, macs)] if segment.heard is not None else []
    notes += remembered(vips, macs)
    differences = [*failures, *compare_owners(vips, found, macs)]
    return Layer2([owner_row(vip, found.get(vip.address, ()), macs) for vip in vips], differences, notes)


def _unknown(cluster: Data, scope: Scope) -> list[Difference]:
    return [
        Difference("verify_services", name, "a LoadBalancer service", "none", "write it as NAMESPACE/NAME")
        for name in scope.unknown(cluster)
    ]


def _no_clients(declared: Data) -> list[str]:
    return (
        []
        if declared["clients"]
        else ["the group clients has no host: nothing was asked from outside the cluster"]
    )


def _judge(services: Sequence[Data], results: Sequence[Data]) -> list[Difference]:
    """A service that is gone since the plan was made has nothing left to judge."""
    known = index(services)
    found = []
    for result in results:
        service = known.get(result["item"]["service"])
        found += judge(result["item"], result, service) if service else []
    return found


def _routes(expected: Expectations, routers: Sequence[FoundRouter]) -> list[dict[str, Any]]:
    rows = []
    for route in expected.routes:
        router = next(one for one in routers if one.host == route.router)
        seen = router.routes.get(route.prefix)
        rows.append(
            {
                "router": route.router,
                "prefix": route.prefix,
                "services": sorted(route.services),
                "expected": sorted(route.hops),
                "without": dict(route.without),
                **{layer: None if router.error else hops_of(seen, layer) for layer in LAYERS},
                "weights": dict(seen.weights) if seen else {},
            }
        )
    return rows


def _probe(result: Data) -> dict[str, Any]:
    entry = result["item"]
    keys = ("requests", "ok", "statuses", "errors", "latency", "nodes", "pods", "unnamed", "source_ports")
    found = {key: result[key] for key in keys if key in result}
    if not found:
        found = {"error": str(result.get("msg") or "no answer")}
    return {**{key: entry[key] for key in ("client", "service", "address", "port", "protocol")}, **found}


# -- for people ----------------------------------------------------------------------------------------------


def lines(report: Mapping[str, Any], differences: Sequence[str]) -> list[str]:
    """The report as text: sessions, routes, probes, what is worth knowing, and what is wrong."""
    return [
        *_session_table(report["sessions"]),
        *_route_table(report["routes"]),
        *_owner_table(report["owners"]),
        *_other_table(report["owners"]),
        *_failure_table(report["failures"]),
        *_probe_table(report["probes"]),
        *_distribution(report["probes"]),
        *_bullets("Worth knowing", report["notes"]),
        *_bullets("Not as it should be", differences),
        _verdict(report),
    ]


def _session_table(sessions: Sequence[Data]) -> list[str]:
    rows = [
        (
            one["router"],
            one["node"],
            one["address"],
            one["expected"] + (f" ({one['why']})" if one["why"] else ""),
            one["found"],
            duration(one["uptime"]) if one["found"] == "Established" else "-",
            _bfd(one),
            "-" if one["prefixes"] is None else one["prefixes"],
        )
        for one in sessions
    ]
    header = ("router", "node", "address", "expected", "found", "up for", "BFD", "prefixes")
    return table("BGP sessions", header, rows)


def _bfd(session: Data) -> str:
    seconds = session["detection_time"]
    return f"up, {seconds:g}s" if seconds is not None else session["bfd"] or "-"


def _failure_table(failures: Sequence[Data]) -> list[str]:
    """Return the worst case: for how long routes of a dead node are used, and who sees a speaker restart."""
    rows = [
        (
            one["router"],
            f"all {len(one['nodes'])}" if len(failures) == 1 else ", ".join(one["nodes"]),
            "never" if one["dead_node"] is None else f"{one['dead_node']:g}s",
            "at once" if one["restart_hidden"] is None else f"never within {one['restart_hidden']}s",
            one["why"],
        )
        for one in failures
    ]
    header = ("router", "nodes", "a dead node is out after", "a restarted speaker is noticed", "why")
    return table("Worst case", header, rows)


def _route_table(routes: Sequence[Data]) -> list[str]:
    rows = [
        (
            one["router"],
            one["prefix"],
            ", ".join(one["services"]),
            "unknown" if one["expected"] is None else len(one["expected"]),
            *[_layer(one, layer) for layer in LAYERS],
            "unknown" if one["expected"] is None else ", ".join(one["expected"]) or "none",
        )
        for one in routes
    ]
    header = (
        "router",
        "prefix",
        "services",
        "expected",
        "BGP",
        "FIB",
        "kernel",
        "next hops that should be there",
    )
    return table("Next hops", header, rows)


def _owner_table(owners: Sequence[Data]) -> list[str]:
    """A row for each address and host that asked for it."""
    rows = [
        (
            one["address"],
            ", ".join(one["services"]),
            one["owner"] or ("none" if one["candidates"] else "none (nothing serves)"),
            one["since"] or "-",
            ", ".join(one["interfaces"]) or "-",
            *(_heard_from(asked) if asked else ("nobody", "-", ", ".join(one["macs"]) or "-", "-")),
        )
        for one in owners
        for asked in one["asked"] or (None,)
    ]
    header = ("address", "services", "owner", "since", "interface", "asked from", "answered by", "MAC", "ms")
    return table("Layer 2", header, rows)


def _other_table(owners: Sequence[Data]) -> list[str]:
    """Return who could take over, and why not the other nodes.

    Addresses of which the same is true share a row.
    """
    rows: dict[tuple[str, ...], list[str]] = {}
    for one in owners:
        others = [name for name in one["candidates"] if name != one["owner"]]
        reasons: dict[str, list[str]] = {}
        for name, why in one["without"].items():
            reasons.setdefault(why, []).append(name)
        refused = [f"{some(names)}: {why}" for why, names in reasons.items()]
        rows.setdefault((some(others) or "nobody", "; ".join(refused) or "-"), []).append(one["address"])
    named = [(some(addresses), *words) for words, addresses in rows.items()]
    return table("Who else could answer", ("address", "nodes", "why not the others"), named)


def _heard_from(asked: Data) -> tuple[str, str, str, str]:
    """Return who asked, the nodes that answered, their MAC addresses and how soon."""
    answers = asked["answers"]
    nodes = [" or ".join(one["nodes"]) or one["vendor"] or "unknown" for one in answers]
    times = [f"{one['latency_ms']:.1f}" for one in answers]
    macs = [one["mac"] for one in answers]
    return (
        asked["client"],
        ", ".join(nodes) or "nobody",
        ", ".join(macs) or "-",
        ", ".join(times) or "-",
    )


def _layer(route: Data, layer: str) -> str:
    """The number of next hops; where it is the right number of the wrong ones, that shows too."""
    if route[layer] is None:
        return "unknown"
    known = route[layer] if route["expected"] is None else route["expected"]
    wrong = set(route[layer]) - set(known)
    return f"{len(route[layer])}{f' ({len(wrong)} wrong)' if wrong else ''}"


def _probe_table(probes: Sequence[Data]) -> list[str]:
    rows = [
        (
            one["client"],
            one["service"],
            f"{one['protocol']} {_place(one)}".replace("tcp ", "tcp  "),
            one.get("requests", "-"),
            one.get("ok", "-"),
            *[_milliseconds(one, key) for key in ("median", "p99")],
            one.get("error") or ", ".join(f"{e['count']} x {e['kind']}" for e in one["errors"]) or "none",
        )
        for one in probes
    ]
    header = ("client", "service", "asked", "requests", "good", "median ms", "p99 ms", "errors")
    return table("Probes", header, rows)


def _place(probe: Data) -> str:
    address = f"[{probe['address']}]" if ":" in probe["address"] else probe["address"]
    return f"{address}:{probe['port']}"


def _milliseconds(probe: Data, key: str) -> str:
    value = probe.get("latency", {}).get(key)
    return "-" if value is None else f"{value:.1f}"


def _distribution(probes: Sequence[Data]) -> list[str]:
    rows = []
    for one in probes:
        if one.get("nodes") or one.get("pods"):
            by = counts(one["nodes"]) or "unknown"
            rows.append((one["client"], _place(one), by, counts(one["pods"])))
        elif one.get("unnamed") and one["protocol"] == "http":
            rows.append((one["client"], _place(one), "servers do not say who they are", ""))
    return table("Who answered", ("client", "asked", "nodes", "pods"), rows)


def _bullets(title: str, texts: Sequence[str]) -> list[str]:
    return [title, *[f"  - {text}" for text in texts], ""] if texts else []


def _verdict(report: Mapping[str, Any]) -> str:
    """One line, in which what is not used is not named."""
    up = sum(1 for one in report["sessions"] if one["found"] == "Established")
    owned = sum(1 for one in report["owners"] if one["owner"])
    requests = sum(one.get("requests", 0) for one in report["probes"])
    good = sum(one.get("ok", 0) for one in report["probes"])
    facts = [f"{up} sessions Established, {len(report['routes'])} routes"] if report["sessions"] else []
    facts += [f"{owned} of {len(report['owners'])} addresses owned"] if report["owners"] else []
    facts += [f"{good} of {requests} requests good"]
    return f"{'OK' if report['ok'] else 'NOT OK'}: {', '.join(facts)}"
