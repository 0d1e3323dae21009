# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a configuration takes time in proportion to its length; counted in lines of Python."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest
from support.objects import advert, community, peer, pool, thing
from support.tracing import lines

from vipcast.model.configuration import parse

FEW, MANY = 60, 600
MORE = 2 * MANY / FEW  # in proportion, and what searches add; comparing all with all would be a hundred times
Json = dict[str, Any]


def network(number: int) -> str:
    return f"10.{number >> 8}.{number & 255}.0/24"


def pools(count: int) -> list[Json]:
    return [pool(f"p{number}", network(number)) for number in range(count)]


def ranges_of_one_pool(count: int) -> list[Json]:
    return [pool("p", *(network(number) for number in range(count)))]


def pools_that_overlap(count: int) -> list[Json]:
    inner = [pool(f"q{number}", network(number).replace("/24", "/25")) for number in range(count // 2)]
    return [*pools(count // 2), *inner]


def ranges_that_overlap(count: int) -> list[Json]:
    halves = (f"10.{number >> 8}.{number & 255}.128/25" for number in range(count // 2))
    return [pool("p", *(network(number) for number in range(count // 2)), *halves)]


def ranges_all_in_one(count: int) -> list[Json]:
    return [pool("p", "10.0.0.0/8", *(network(number) for number in range(count - 1)))]


def advertisements_by_name(count: int) -> list[Json]:
    half = count // 2
    return [*pools(half), *(advert(f"a{number}", ipAddressPools=[f"p{number}"]) for number in range(half))]


def names_that_nothing_has(count: int) -> list[Json]:
    half = count // 2
    return [*pools(half), *(advert(f"a{number}", ipAddressPools=[f"x{number}"]) for number in range(half))]


def peers(count: int) -> list[Json]:
    return [
        peer(f"r{number}", peerAddress=f"10.31.{number >> 8}.{number & 255}") for number in range(1, count)
    ]


def communities(count: int) -> list[Json]:
    return [community(f"c{number}", **{f"alias{number}": "64512:1"}) for number in range(count)]


def unknown_fields(count: int) -> list[Json]:
    return [thing("IPAddressPool", "p", {"addresses": ["10.0.0.0/24"], **{f"x{n}": 1 for n in range(count)}})]


KINDS = [
    pools,
    ranges_of_one_pool,
    pools_that_overlap,
    ranges_that_overlap,
    ranges_all_in_one,
    advertisements_by_name,
    names_that_nothing_has,
    peers,
    communities,
    unknown_fields,
]


@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
@pytest.mark.parametrize("make", KINDS)
def test_ten_times_as_much_costs_ten_times_as_much(make: Callable[[int], list[Json]], again: bool) -> None:
    def cost(count: int) -> int:
        objects = make(count)
        previous = parse(objects) if again else None
        return lines(lambda: parse(objects, previous=previous))

    assert cost(MANY) < MORE * cost(FEW)


@pytest.mark.parametrize("make", [pools_that_overlap, ranges_that_overlap, ranges_all_in_one])
def test_every_overlap_is_named(make: Callable[[int], list[Json]]) -> None:
    found = parse(make(FEW)).refused
    assert len(found) == (FEW - 1 if make is ranges_all_in_one else FEW // 2)
    assert {each.reason.value for each in found} == {"OverlappingAddresses"}


def test_the_pool_of_an_address_is_found_without_asking_every_range() -> None:
    few, many = (parse(pools(count)) for count in (FEW, 10 * MANY))
    for found in (few, many):
        found.pool_of(ip_address("10.0.7.9"))
    assert lines(lambda: many.pool_of(ip_address("10.0.7.9"))) <= 1.5 * lines(
        lambda: few.pool_of(ip_address("10.0.7.9"))
    )
    assert many.pool_of(ip_address("10.0.7.9")).name == "p7"  # type: ignore[union-attr]
    assert many.pool_of(ip_address("192.0.2.1")) is None
