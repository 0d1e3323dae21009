# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how soon a router has many prefixes: ours, ExaBGP and GoBGP announce the same to the same router.

    sudo .venv/bin/python tests/bench/bgp_scale.py [--prefixes N ...] [--rounds N] [--json FILE]

Two questions are asked of each, in turns. ``known``: every route is there when the session comes up; seconds
from the router's first KEEPALIVE until it has all. ``given``: the session is up, and the routes are given to
the program, in the form that it reads quickest; seconds from then until the router has all.

Octets and UPDATEs are counted on the cable. CPU is the program's own from when the router starts
(known) or the routes are given, memory its peak. Needs root, namespaces and the packages of `make bench`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from bgp_announcers import ANNOUNCERS, Announcer  # noqa: E402
from bgp_routers import ROUTERS, Counted, missing, start  # noqa: E402
from bgp_tap import KEEPALIVE, UPDATE, Seen, Tap  # noqa: E402
from daemon.interop.network import NODE, ROUTER, eventually  # noqa: E402
from daemon.interop.peers import PEERS  # noqa: E402

PATIENCE = 600.0
PAUSE = 0.005


@dataclass(frozen=True)
class Run:
    """``seconds`` until the router had all, ``sent`` until the last UPDATE was on the cable; octets of all
    BGP messages; MiB.
    """

    router: str
    announcer: str
    question: str
    prefixes: int
    seconds: float
    sent: float
    updates: int
    octets: int
    cpu: float
    memory: float


def measure(router: str, kind: type[Announcer], question: str, prefixes: Sequence[IPv4Network]) -> Run:
    """One program, one router, one question, in namespaces of their own."""
    with PEERS[router]() as peer, Tap(peer.cable.router) as tap:
        announcer = kind(peer.cable)
        announcer.start(prefixes if question == "known" else ())
        before = announcer.cpu_seconds()
        counted = start(peer)
        try:
            began = 0.0
            if question == "given":
                _prepare(announcer, counted, prefixes)
                before, began = announcer.cpu_seconds(), time.time()
                announcer.give(prefixes)
            ended = _until_there(counted, len(prefixes))
            cpu, memory = announcer.cpu_seconds() - before, announcer.peak_memory()
        finally:
            counted.close()
    messages = tap.messages()
    began = began or _session_up(messages)
    ours = [seen for seen in messages if seen.sender == NODE]
    updates = [seen for seen in ours if seen.kind == UPDATE]
    return Run(
        router=router,
        announcer=announcer.name,
        question=question,
        prefixes=len(prefixes),
        seconds=ended - began,
        sent=max(seen.at for seen in updates) - began,
        updates=len(updates),
        octets=sum(seen.length for seen in ours),
        cpu=cpu,
        memory=memory,
    )


def _prepare(announcer: Announcer, counted: Counted, prefixes: Sequence[IPv4Network]) -> None:
    """A session that is up and quiet."""
    announcer.prepare(prefixes)
    eventually(counted.peer.established, "a session", 60)
    time.sleep(1)  # what a session begins with is over


def _until_there(counted: Counted, count: int) -> float:
    deadline = time.time() + PATIENCE
    while (found := counted.accepted()) != count:
        if time.time() > deadline:
            raise SystemExit(f"{counted.peer.name} has {found} of {count} prefixes after {PATIENCE:g} s")
        time.sleep(PAUSE)
    return time.time()


def _session_up(messages: list[Seen]) -> float:
    """The router's first KEEPALIVE: it has taken the OPEN, and from now on everything is up to the program.

    Not the program's own KEEPALIVE: ours comes in one piece with the first UPDATE.
    """
    return next(seen.at for seen in messages if seen.kind == KEEPALIVE and seen.sender == ROUTER)


def table(runs: Sequence[Run]) -> str:
    """Markdown: medians, the spread of the seconds, and how many times ours each takes."""
    lines = [
        "| router | prefixes | question | program | seconds | of ours | sent | UPDATEs | octets | CPU | MiB |"
    ]
    lines.append(f"|{'---|' * 11}")
    groups: dict[tuple[str, int, str], dict[str, list[Run]]] = {}
    for each in runs:
        group = groups.setdefault((each.router, each.prefixes, each.question), {})
        group.setdefault(each.announcer, []).append(each)
    for (router, prefixes, question), group in groups.items():
        ours = statistics.median(each.seconds for each in group[ANNOUNCERS[0].name])
        for name, found in group.items():
            lines.append(f"| {router} | {prefixes:,} | {question} | {name} | {_cells(found, ours)} |")
    return "\n".join(lines)


def _cells(found: list[Run], ours: float) -> str:
    def middle(name: str) -> float:
        return statistics.median(getattr(each, name) for each in found)

    seconds = [each.seconds for each in found]
    cells = [
        f"{middle('seconds'):.2f} ({min(seconds):.2f} to {max(seconds):.2f})",
        f"{middle('seconds') / ours:.2f}",
        f"{middle('sent'):.2f}",
        f"{middle('updates'):,.0f}",
        f"{middle('octets'):,.0f}",
        f"{middle('cpu'):.2f}",
        f"{middle('memory'):.0f}",
    ]
    return " | ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prefixes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--routers", nargs="+", choices=ROUTERS, default=list(ROUTERS))
    parser.add_argument("--programs", nargs="+", choices=[each.name for each in ANNOUNCERS])
    parser.add_argument("--json", type=Path, help="write every run here")
    options = parser.parse_args()
    if (lack := missing()) is not None:
        raise SystemExit(lack)
    kinds = [each for each in ANNOUNCERS if each.name in (options.programs or [each.name])]
    runs = []
    for count in options.prefixes:
        prefixes = [IPv4Network((0x0A000000 + i, 32)) for i in range(count)]
        for _round in range(options.rounds):
            for router in options.routers:
                for question in ("known", "given"):
                    for kind in kinds:
                        runs.append(measure(router, kind, question, prefixes))
                        print(runs[-1], file=sys.stderr, flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in runs], indent=1))
    print(table(runs))


if __name__ == "__main__":
    main()
