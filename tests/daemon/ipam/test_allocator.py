# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from vipcast.ipam import Allocation, Allocator, Refusal, Request, Sharing
from vipcast.model.addresses import parse_address
from vipcast.model.configuration import VERSIONS, parse
from vipcast.model.pools import Pool
from vipcast.model.reasons import RefusalReason


def pools(**specs: Any) -> tuple[Pool, ...]:
    objects = [
        {
            "apiVersion": VERSIONS["IPAddressPool"],
            "kind": "IPAddressPool",
            "metadata": {"name": name},
            "spec": spec if isinstance(spec, dict) else {"addresses": spec},
        }
        for name, spec in specs.items()
    ]
    found = parse(objects)
    assert not found.problems
    return found.pools


def ask(name: str = "x", *families: int, **wishes: Any) -> Request:
    wishes["addresses"] = tuple(parse_address(text) for text in wishes.pop("ips", "").split())
    return Request(("d", name), families or (4,), **wishes)


def outcome(answer: Allocation | Refusal) -> Any:
    if isinstance(answer, Refusal):
        return answer.reason
    return (" ".join(str(address) for address in answer.addresses), answer.pool)


SMALL = {"small": ["10.0.0.0/30"]}
TWO = {"a": ["10.0.0.0/31"], "b": ["10.0.1.0/31"]}
SIX = {"dual": ["10.0.0.0/31", "fd00::1-fd00::2"]}

CASES: list[tuple[dict[str, Any], Request, Any]] = [
    ({}, ask(), RefusalReason.NO_POOLS),
    (SMALL, ask(), ("10.0.0.0", "small")),
    (TWO, ask(), ("10.0.0.0", "a")),
    (TWO, ask(pool="b"), ("10.0.1.0", "b")),
    (TWO, ask(pool="c"), RefusalReason.POOL_NOT_FOUND),
    (TWO, ask(ips="10.0.1.1"), ("10.0.1.1", "b")),
    (TWO, ask(ips="10.0.1.1", pool="b"), ("10.0.1.1", "b")),
    (TWO, ask(ips="10.0.1.1", pool="a"), RefusalReason.ADDRESS_NOT_IN_POOL),
    (TWO, ask(ips="10.0.2.1"), RefusalReason.ADDRESS_NOT_IN_ANY_POOL),
    (TWO, ask(ips="fd00::1"), RefusalReason.WRONG_FAMILY),
    (TWO, ask("x", 6), RefusalReason.NO_POOL_OF_FAMILY),
    (SIX, ask("x", 6), ("fd00::1", "dual")),
    (SIX, ask("x", 6, 4), ("10.0.0.0 fd00::1", "dual")),
    (SIX, ask("x", 4, 6, ips="fd00::2 10.0.0.1"), ("10.0.0.1 fd00::2", "dual")),
    (SIX, ask("x", 4, 6, ips="10.0.0.1"), RefusalReason.WRONG_FAMILY),
    (SIX, ask("x", 4, 6, ips="10.0.0.1", require_all=False), RefusalReason.WRONG_FAMILY),
    (TWO, ask("x", 4, 6), RefusalReason.NO_POOL_OF_FAMILY),
    (TWO, ask("x", 4, 6, require_all=False), ("10.0.0.0", "a")),
    (
        {"a": ["10.0.0.0/31"], "b": ["10.0.1.0/31", "fd00::/127"]},
        ask("x", 4, 6, require_all=False),
        ("10.0.1.0 fd00::", "b"),
    ),
    (
        {"four": ["10.0.0.0/31"], "six": ["fd00::/127"]},
        ask("x", 4, 6, ips="10.0.0.1 fd00::1"),
        RefusalReason.ADDRESSES_OF_TWO_POOLS,
    ),
    ({"a": {"addresses": ["10.0.0.0/31"], "autoAssign": False}}, ask(), RefusalReason.NO_AUTOMATIC_POOL),
    ({"a": {"addresses": ["10.0.0.0/31"], "autoAssign": False}}, ask(pool="a"), ("10.0.0.0", "a")),
    ({"a": {"addresses": ["10.0.0.0/31"], "autoAssign": False}}, ask(ips="10.0.0.1"), ("10.0.0.1", "a")),
    ({"a": {"addresses": ["10.0.0.0/30"], "avoidBuggyIPs": True}}, ask(), ("10.0.0.1", "a")),
    (
        {"a": {"addresses": ["10.0.0.255/32", "10.0.1.0/31"], "avoidBuggyIPs": True}},
        ask(),
        ("10.0.1.1", "a"),
    ),
    (
        {"a": {"addresses": ["10.0.0.0/30"], "avoidBuggyIPs": True}},
        ask(ips="10.0.0.0"),
        RefusalReason.ADDRESS_AVOIDED,
    ),
    ({"a": {"addresses": ["fd00::/127"], "avoidBuggyIPs": True}}, ask("x", 6), ("fd00::", "a")),
]


@pytest.mark.parametrize(("specs", "request_", "expected"), CASES)
def test_the_rules_one_by_one(specs: dict[str, Any], request_: Request, expected: Any) -> None:
    assert outcome(Allocator(pools(**specs)).allocate(request_)) == expected


def only(**fields: Any) -> dict[str, Any]:
    return {"addresses": ["10.0.9.0/31"], "serviceAllocation": fields}


@pytest.mark.parametrize(
    ("allocation", "wishes", "allowed"),
    [
        ({}, {}, True),
        ({"namespaces": ["d"]}, {}, True),
        ({"namespaces": ["e"]}, {}, False),
        (
            {"namespaceSelectors": [{"matchLabels": {"team": "a"}}]},
            {"namespace_labels": {"team": "a"}},
            True,
        ),
        (
            {"namespaces": ["e"], "namespaceSelectors": [{"matchLabels": {"team": "a"}}]},
            {"namespace_labels": {"team": "a"}},
            True,
        ),
        ({"serviceSelectors": [{"matchLabels": {"app": "a"}}]}, {"labels": {"app": "a"}}, True),
        ({"serviceSelectors": [{"matchLabels": {"app": "a"}}]}, {"labels": {"app": "b"}}, False),
        (
            {"namespaces": ["e"], "serviceSelectors": [{"matchLabels": {"app": "a"}}]},
            {"labels": {"app": "a"}},
            False,
        ),
    ],
)
def test_pools_for_certain_services_come_first_and_are_for_those_only(
    allocation: Any, wishes: Any, allowed: bool
) -> None:
    declared = pools(all=["10.0.0.0/31"], some=only(**allocation))
    assert outcome(Allocator(declared).allocate(ask(**wishes)))[1] == ("some" if allowed else "all")
    by_name = outcome(Allocator(declared).allocate(ask(pool="some", **wishes)))
    by_address = outcome(Allocator(declared).allocate(ask(ips="10.0.9.1", **wishes)))
    if allowed:
        assert (by_name, by_address) == (("10.0.9.0", "some"), ("10.0.9.1", "some"))
    else:
        assert by_name is by_address is RefusalReason.POOL_NOT_ALLOWED


def test_without_a_pool_that_allows_it_a_service_is_refused() -> None:
    answer = Allocator(pools(some=only(namespaces=["e"]))).allocate(ask())
    assert outcome(answer) is RefusalReason.POOL_NOT_ALLOWED


def test_a_full_pool_is_followed_by_the_next() -> None:
    allocator = Allocator(pools(**TWO))
    given = [outcome(allocator.allocate(ask(str(number)))) for number in range(5)]
    assert given[:4] == [("10.0.0.0", "a"), ("10.0.0.1", "a"), ("10.0.1.0", "b"), ("10.0.1.1", "b")]
    assert given[4] is RefusalReason.POOL_EXHAUSTED
    refusal = allocator.allocate(ask("4"))
    assert isinstance(refusal, Refusal)
    assert "a (2 of 2 in use), b (2 of 2 in use)" in refusal.message


def test_entries_are_used_in_the_order_in_which_they_are_written() -> None:
    allocator = Allocator(pools(a=["10.0.5.0/32", "10.0.0.7/32", "10.0.3.0/32"]))
    given = [outcome(allocator.allocate(ask(str(number))))[0] for number in range(3)]
    assert given == ["10.0.5.0", "10.0.0.7", "10.0.3.0"]


def test_a_released_address_can_be_taken_by_someone_else_when_nobody_shows_it() -> None:
    allocator = Allocator(pools(small=["10.0.0.1/32"]))
    allocator.allocate(ask("first"))
    allocator.release(("d", "first"))
    assert outcome(allocator.allocate(ask("second"))) is RefusalReason.POOL_EXHAUSTED
    assert allocator.observe(("d", "first"), ()) == [parse_address("10.0.0.1")]
    assert outcome(allocator.allocate(ask("second"))) == ("10.0.0.1", "small")


def test_the_lowest_freed_address_is_given_first() -> None:
    allocator = Allocator(pools(small=["10.0.0.0/29"]))
    for number in range(6):
        allocator.allocate(ask(str(number)))
    for number in (4, 1):
        allocator.release(("d", str(number)))
        allocator.observe(("d", str(number)))
    given = [outcome(allocator.allocate(ask(name)))[0] for name in "abc"]
    assert given == ["10.0.0.1", "10.0.0.4", "10.0.0.6"]


def test_a_service_keeps_its_address_when_an_earlier_one_becomes_free() -> None:
    allocator = Allocator(pools(**SMALL))
    allocator.allocate(ask("first"))
    allocator.allocate(ask("second"))
    allocator.release(("d", "first"))
    allocator.observe(("d", "first"))
    assert outcome(allocator.allocate(ask("second"))) == ("10.0.0.1", "small")


def test_a_service_that_would_like_two_families_gets_the_second_from_the_same_pool_later() -> None:
    allocator = Allocator(pools(a=["10.0.0.0/31"], b=["10.0.1.0/31", "fd00::/127"]))
    allocator.allocate(ask("x"))
    wish = ask("x", 4, 6, require_all=False)
    assert outcome(allocator.allocate(wish)) == ("10.0.0.0", "a"), "it is not moved to another pool"
    allocator.configure(pools(a=["10.0.0.0/31", "fd00:1::/127"], b=["10.0.1.0/31"]))
    assert outcome(allocator.allocate(wish)) == ("10.0.0.0 fd00:1::", "a")


def test_a_pool_that_is_not_automatic_any_more_keeps_whom_it_has() -> None:
    allocator = Allocator(pools(**SMALL))
    allocator.allocate(ask("x"))
    allocator.configure(pools(small={"addresses": ["10.0.0.0/30"], "autoAssign": False}))
    assert outcome(allocator.allocate(ask("x"))) == ("10.0.0.0", "small")


def terms(key: str, *ports: int, backend: str = "") -> Sharing:
    return Sharing(key, backend, frozenset(("TCP", port) for port in ports))


@pytest.mark.parametrize(
    ("mine", "theirs", "why"),
    [
        (terms("k", 80), terms("k", 443), None),
        (terms("k", 80), terms("k", 80), "both use port 80/TCP"),
        (terms("k", 80), Sharing("k", "", frozenset({("UDP", 80)})), None),
        (terms("k", 80), terms("l", 443), "keys differ"),
        (terms("k", 80), terms("", 443), "only one of them"),
        (terms("k", 80, backend="app=a"), terms("k", 443, backend="app=a"), None),
        (terms("k", 80, backend="app=a"), terms("k", 443, backend="app=b"), "the same pods"),
        (terms("k", 80, backend="app=a"), terms("k", 443), "the same policy"),
    ],
)
def test_sharing_needs_equal_keys_and_backends_and_different_ports(
    mine: Sharing, theirs: Sharing, why: str | None
) -> None:
    allocator = Allocator(pools(small=["10.0.0.1/32"]))
    allocator.allocate(ask("theirs", sharing=theirs))
    answer = allocator.allocate(ask("mine", ips="10.0.0.1", sharing=mine))
    if why is None:
        assert outcome(answer) == ("10.0.0.1", "small")
        assert allocator.usage("small", 4) == (1, 0), "a shared address is one address"
    else:
        assert isinstance(answer, Refusal) and why in answer.message
        assert answer.held_by == ("d", "theirs")


def test_a_shared_address_is_free_when_the_last_has_left() -> None:
    allocator = Allocator(pools(small=["10.0.0.1/32"]))
    for name, port in (("a", 1), ("b", 2)):
        allocator.allocate(ask(name, sharing=terms("k", port)))
    for name, used in (("a", 1), ("b", 0)):
        allocator.release(("d", name))
        allocator.observe(("d", name))
        assert allocator.usage("small", 4)[0] == used


def test_who_is_alone_on_an_address_may_change_its_key() -> None:
    allocator = Allocator(pools(small=["10.0.0.1/32"]))
    allocator.allocate(ask("a", sharing=terms("k", 80)))
    assert outcome(allocator.allocate(ask("a", sharing=terms("l", 80)))) == ("10.0.0.1", "small")
    assert outcome(allocator.allocate(ask("b", sharing=terms("k", 81)))) is RefusalReason.POOL_EXHAUSTED
    assert outcome(allocator.allocate(ask("c", sharing=terms("l", 82)))) == ("10.0.0.1", "small")


def test_a_huge_pool_is_no_more_work_than_a_small_one() -> None:
    allocator = Allocator(pools(v4=["10.0.0.0/8"], v6=["2001:db8::/32"]))
    assert outcome(allocator.allocate(ask())) == ("10.0.0.0", "v4")
    assert outcome(allocator.allocate(ask("y", 6))) == ("2001:db8::", "v6")
    assert outcome(allocator.allocate(ask("z", ips="10.255.255.255"))) == ("10.255.255.255", "v4")
    assert allocator.usage("v4", 4) == (2, 2**24 - 2)
    assert allocator.usage("v6", 6) == (1, 2**96 - 1)
