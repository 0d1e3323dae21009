# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what one sharing key on many services, and many ranges, cost the decisions.

It runs in one process, without an API server.

    .venv/bin/python tests/bench/sharing_scale.py [--services N ...] [--ranges N ...] [--json]

Services with one key and one port: each needs an address of its own. `one more`, `one goes` and `start` are
milliseconds for one event among so many, and for a controller that starts with them. Where the pool is small
most wait, each with a second port of its own, so that no two wishes are alike. `read` is the time for a
configuration with so many ranges, spread over a hundred pools and in one pool.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from vipcast.ipam import Allocation
from vipcast.ipam.decide import Decider
from vipcast.ipam.service import View, read_service
from vipcast.model.configuration import Configuration, parse

ROUNDS = 5
ENOUGH, SMALL = "10.0.0.0/14", "10.0.0.0/26"
Json = dict[str, Any]


def pool(name: str, *addresses: str) -> Json:
    metadata = {"name": name, "namespace": "bench"}
    spec = {"addresses": list(addresses)}
    return {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": metadata, "spec": spec}


def view(number: int, *ports: int) -> View:
    metadata = {"namespace": "bench", "name": f"s{number:06}", "uid": str(number)}
    metadata |= {"creationTimestamp": "2026-01-01T00:00:00Z"}
    annotations = {"metallb.io/allow-shared-ip": "chart"}
    spec = {"type": "LoadBalancer", "clusterIPs": ["10.96.0.1"], "ports": [{"port": port} for port in ports]}
    return read_service({"metadata": {**metadata, "annotations": annotations}, "spec": spec}, None, {})


class World:
    """Services that show what they should."""

    def __init__(self, count: int, addresses: str, *, alike: bool) -> None:
        self.pools = parse([pool("bench", addresses)]).pools
        self.decider = Decider()
        self._alike, self._count = alike, count
        self.decider.start(self.pools, [self.make(number) for number in range(count)])
        self.settle()

    def make(self, number: int) -> View:
        return view(number, 80) if self._alike else view(number, 80, 1024 + number)

    def settle(self) -> None:
        while changed := self.decider.take_changed():
            for key in changed:
                self._write(key)

    def _write(self, key: tuple[str, str]) -> None:
        known, outcome = self.decider.views.get(key), self.decider.outcome(key)
        if known is None or outcome is None:
            return
        shown = outcome.result.addresses if isinstance(outcome.result, Allocation) else ()
        if shown != known.shown:
            self.decider.observed(key, shown)
            self.decider.service(key, replace(known, shown=shown))

    def one_more(self) -> None:
        self._count += 1
        made = self.make(self._count)
        self.decider.service(made.key, made)
        self.settle()

    def one_goes(self) -> None:
        holder = next(iter(self.decider.allocator.book.allocations))
        self.decider.service(holder, None)
        self.settle()

    def restart(self) -> None:
        views = list(self.decider.views.values())
        Decider().start(self.pools, views)


def milliseconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def median(action: Callable[[], object]) -> float:
    return statistics.median(milliseconds(action) for _round in range(ROUNDS))


def sharing(count: int) -> dict[str, float]:
    enough, small = World(count, ENOUGH, alike=True), World(count, SMALL, alike=False)
    return {
        "one more": median(enough.one_more),
        "one goes": median(enough.one_goes),
        "start": median(enough.restart),
        "one more, most wait": median(small.one_more),
        "one goes, most wait": median(small.one_goes),
        "start, most wait": median(small.restart),
    }


def reading(count: int) -> dict[str, float]:
    texts = [f"10.{number >> 8 & 255}.{number & 255}.{number >> 16}/32" for number in range(count)]
    spread = [pool(f"p{number:03}", *texts[number::100]) for number in range(100)]
    one = [pool("one", *texts)]
    found: dict[str, float] = {}
    for name, objects in (("spread", spread), ("one pool", one)):
        known: list[Configuration] = []
        found[f"read, {name}"] = milliseconds(
            lambda objects=objects, known=known: known.append(parse(objects))
        )
        assert not known[0].problems
        found[f"read again, {name}"] = median(partial(parse, objects, previous=known[0]))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--services", type=int, nargs="+", default=[100, 1000, 2000])
    parser.add_argument("--ranges", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = {f"{count} services": sharing(count) for count in given.services}
    found |= {f"{count} ranges": reading(count) for count in given.ranges}
    if given.json:
        print(json.dumps(found, indent=2))
        return 0
    for size, figures in found.items():
        print(size)
        for name, figure in figures.items():
            print(f"  {name:24} {figure:10.2f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
