# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the cost of one service does not depend on how many there are.

Counted are the lines of Python that run from the event to the patch, so the machine's speed does not matter:
a loop over all services shows as ten thousand lines, a binary search as a few.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.tracing import lines

from vipcast.controller.change import make_change
from vipcast.controller.conditions import counters
from vipcast.ipam.decide import Decider
from vipcast.ipam.service import read_service, trim
from vipcast.model.configuration import parse

FEW, MANY = 100, 10_000
MORE = 1.5  # what a heap and a binary search may add between few and many
Json = dict[str, Any]


class World:
    """Return a world with that many services and a pool; the next service is `number`."""

    def __init__(self, services: int, addresses: str) -> None:
        pool = {
            "apiVersion": "metallb.io/v1beta1",
            "kind": "IPAddressPool",
            "metadata": {"name": "pool", "namespace": "metallb-system", "uid": "pool"},
            "spec": {"addresses": [addresses]},
        }
        self.decider = Decider()
        self.decider.start(parse([pool]).pools, [self.view(number) for number in range(services)])
        self.decider.take_changed()
        self.number = services

    def item(self, number: int) -> Json:
        metadata = {"name": f"service-{number:05}", "namespace": "shop", "uid": str(number)}
        metadata |= {"resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
        spec = {"type": "LoadBalancer", "clusterIPs": ["10.96.0.1"], "ports": [{"port": 80}]}
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": {}}

    def view(self, number: int) -> Any:
        return read_service(trim(self.item(number)), None, {})

    def made(self) -> None:
        """One more service: from the watch's object to the patch and the pool's counters."""
        view = self.view(self.number)
        self.decider.service(view.key, view)
        self.written()

    def written(self) -> None:
        """Everything that has to be looked at is."""
        for key in self.decider.take_changed():
            outcome, view = self.decider.outcome(key), self.decider.views.get(key)
            if outcome is not None and view is not None:
                item = self.item(int(view.uid))
                make_change(item, view, outcome, lambda _shown: None, "2026-01-01T00:00:00Z")
                shown = getattr(outcome.result, "addresses", ())
                self.decider.observed(key, shown)
        counters(self.decider.allocator, "pool")

    def deleted(self, number: int) -> None:
        self.decider.service(self.view(number).key, None)
        self.written()


def making(world: World) -> None:
    world.made()


def deleting_the_first(world: World) -> None:
    world.deleted(0)


def making_and_deleting(world: World) -> None:
    world.made()
    world.deleted(world.number)


@pytest.mark.parametrize("action", [making, deleting_the_first, making_and_deleting])
@pytest.mark.parametrize("addresses", ["10.0.0.0/8", "fd00::/64"])
def test_one_more_of_ten_thousand_costs_what_one_more_of_a_hundred_does(
    addresses: str, action: Callable[[World], None]
) -> None:
    few, many = (World(count, addresses) for count in (FEW, MANY))
    assert lines(lambda: action(many)) < MORE * lines(lambda: action(few))


@pytest.mark.parametrize("action", [making, deleting_the_first, making_and_deleting])
def test_nor_does_it_cost_more_where_nearly_all_wait_for_an_address(action: Callable[[World], None]) -> None:
    few, many = (World(count, "10.0.0.0/28") for count in (FEW, MANY))
    assert lines(lambda: action(many)) < MORE * lines(lambda: action(few))


def test_a_loop_over_all_services_would_be_seen() -> None:
    world = World(MANY, "10.0.0.0/8")
    assert lines(lambda: [view.key for view in world.decider.views.values()]) >= MANY
