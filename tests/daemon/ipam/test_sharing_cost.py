# SPDX-License-Identifier: GPL-3.0-or-later
"""Cost of one event, whether forty services have a sharing key or hundreds; counted in lines of Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from support.tracing import lines
from support.world import pools_of

from vipcast.ipam import Allocation
from vipcast.ipam.decide import Decider
from vipcast.ipam.service import read_service

FEW, MANY = 40, 640
MORE = 2.0  # what binary searches may add between few and many; a loop over all would be 16
Ports = Iterable[int]
Json = dict[str, Any]


class World:
    """Services that share by one key, and an API server that takes every write."""

    def __init__(self, *addresses: str) -> None:
        self.decider = Decider()
        self.decider.start(pools_of(pool=list(addresses)), [])
        self._made = 0

    def put(self, name: str, ports: Ports, key: str = "k", address: str | None = None) -> None:
        """Make or change a service, and let everything come to rest."""
        old = self.decider.views.get(("shop", name))
        self._made += 1
        metadata = {"namespace": "shop", "name": name, "uid": name}
        metadata |= {"creationTimestamp": old.created if old else f"{self._made:09}"}
        annotations = {"metallb.io/allow-shared-ip": key}
        spec: Json = {"type": "LoadBalancer", "clusterIPs": ["10.96.0.1"], "loadBalancerIP": address}
        spec["ports"] = [{"port": port} for port in ports]
        view = read_service({"metadata": {**metadata, "annotations": annotations}, "spec": spec}, None, {})
        self.decider.service(view.key, replace(view, shown=old.shown if old else ()))
        self._settle()

    def delete(self, name: str) -> None:
        self.decider.service(("shop", name), None)
        self._settle()

    def has(self, name: str) -> list[str]:
        return [str(address) for address in self.decider.allocator.book.held_by(("shop", name))]

    def _settle(self) -> None:
        while changed := self.decider.take_changed():
            for key in changed:
                self._write(key)

    def _write(self, key: tuple[str, str]) -> None:
        view, outcome = self.decider.views.get(key), self.decider.outcome(key)
        if view is None or outcome is None:
            return
        shown = outcome.result.addresses if isinstance(outcome.result, Allocation) else ()
        if shown != view.shown:
            self.decider.observed(key, shown)
            self.decider.service(key, replace(view, shown=shown))


def everybody_for_himself(count: int) -> World:
    """All have the same port: each needs an address of its own, and there are enough."""
    world = World("10.0.0.0/16")
    for number in range(count):
        world.put(f"s{number}", [80])
    return world


def most_wait(count: int) -> World:
    """The same, and there are ten addresses."""
    world = World("10.0.0.0-10.0.0.9")
    for number in range(count):
        world.put(f"s{number}", [80])
    return world


def all_on_one(count: int) -> World:
    """Each has a port of its own: one address does."""
    world = World("10.0.0.0/16")
    for number in range(count):
        world.put(f"s{number}", [1000 + number])
    return world


def two_ports_in_turns(count: int) -> World:
    """Half has one port and half the other: who wants both finds no address to join."""
    world = World("10.0.0.0/16")
    for number in range(count // 2):
        world.put(f"s{number}", [80])
        world.put(f"t{number}", [443])
    return world


def two_ports_in_pieces(count: int) -> World:
    """One port is used on the first half of the addresses, the other on the second half."""
    world = World("10.0.0.0/16")
    for number in range(count // 2):
        world.put(f"s{number}", [80, 8080])
    for number in range(count // 2):
        world.put(f"t{number}", [443, 8080])
    return world


EVENTS: dict[str, Callable[[World], object]] = {
    "one more with the same port": lambda world: world.put("new", [80]),
    "one more with another port": lambda world: world.put("new", [7]),
    "one more with both ports": lambda world: world.put("new", [80, 443]),
    "the first goes": lambda world: world.delete("s0"),
    "the first changes its port": lambda world: world.put("s0", [9]),
    "the first changes its key": lambda world: world.put("s0", [80], key="other"),
    "one asks for the first address": lambda world: world.put("new", [81], key="other", address="10.0.0.0"),
}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    "make", [everybody_for_himself, most_wait, all_on_one, two_ports_in_turns, two_ports_in_pieces]
)
def test_one_event_costs_the_same_whoever_has_the_key(make: Callable[[int], World], event: str) -> None:
    few, many = make(FEW), make(MANY)
    assert lines(lambda: EVENTS[event](many)) < MORE * lines(lambda: EVENTS[event](few))


@pytest.mark.parametrize(
    ("make", "ports", "expected"),
    [
        (everybody_for_himself, [80], "10.0.0.40"),
        (everybody_for_himself, [81], "10.0.0.0"),
        (all_on_one, [80], "10.0.0.0"),
        (all_on_one, [1003], "10.0.0.1"),
        (two_ports_in_turns, [80, 443], "10.0.0.20"),
        (two_ports_in_pieces, [443], "10.0.0.0"),
        (two_ports_in_pieces, [80], "10.0.0.20"),
        (two_ports_in_pieces, [80, 443], "10.0.0.40"),
    ],
)
def test_the_first_address_that_is_open_is_found(
    make: Callable[[int], World], ports: list[int], expected: str
) -> None:
    world = make(40)
    world.put("new", ports)
    assert world.has("new") == [expected]


def test_a_thousand_different_wishes_wait_and_one_address_is_freed_once() -> None:
    """All use port 80 and another one. The freed address goes to the oldest, and the others do not try."""
    world = World("10.0.0.0/32")
    world.put("holder", [80])
    for number in range(MANY):
        world.put(f"s{number}", [80, 1000 + number])
    tried: list[object] = []
    allocate = world.decider.allocator.allocate
    world.decider.allocator.allocate = lambda request: (tried.append(request), allocate(request))[1]  # type: ignore[method-assign]
    world.delete("holder")
    assert world.has("s0") == ["10.0.0.0"]
    assert len(tried) == 1
