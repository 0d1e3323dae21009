# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what clients notice: nodes die, are cut off, pause, leave and come back, on a simulated segment."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

import pytest
from daemon.layer2.simulated_segment import SimulatedSegment
from daemon.membership.simulation import want
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vipcast.layer2.api import Layer2Wants, Settings
from vipcast.model.addresses import IPAddress

VIPS: list[IPAddress] = [
    *(IPv4Address("10.31.8.100") + number for number in range(10)),
    *(IPv6Address("fd31::100") + number for number in range(10)),
]
NODES = ["a", "b", "c"]


def street(profile: str = "default", **values: object) -> SimulatedSegment:
    """Three nodes own the VIPs, and two clients have all of them in their caches."""
    one = SimulatedSegment(NODES, profile)
    one.wants = {name: {address: want(address, NODES) for address in VIPS} for name in NODES}
    one.begin("here", "there", settings=Settings(**values))  # type: ignore[arg-type]
    one.start()
    one.run(12)
    for client in one.clients:
        for address in VIPS:
            one.ask(client, address)
    one.run(0.1)
    assert unserved(one) == []
    return one


def unserved(one: SimulatedSegment, *clients: str) -> list[tuple[str, IPAddress]]:
    return [
        (client, address)
        for client in clients or one.clients
        for address in VIPS
        if one.reached(client, address) is None
    ]


def owner(one: SimulatedSegment, address: IPAddress) -> str:
    (name,) = one.owners(address)
    return name


def moments(one: SimulatedSegment, seconds: float, step: float = 0.001) -> Iterator[None]:
    for _each in range(int(seconds / step)):
        one.run(step)
        yield


def test_the_first_address_of_all_is_answered_as_soon_as_a_later_one() -> None:
    """Nothing was wanted when the nodes started; their interfaces did not come a moment ago."""
    one = SimulatedSegment(NODES, "calm")
    one.begin()
    one.start()
    one.run(12)
    for name, node in one.nodes.items():
        wants = Layer2Wants(name, addresses={VIPS[0]: want(VIPS[0], NODES)})
        one.want(wants.addresses, name)
        one.owned_addresses[name].set_wants(wants, 2 * one.profile.dead_after, one.time(node))
        one._after(node)
    one.run(0.1)
    assert VIPS[0] in one.owned_addresses[owner(one, VIPS[0])].answering


@pytest.mark.parametrize(("profile", "bound"), [("default", 0.5), ("fast", 0.25)])
@pytest.mark.parametrize("victim", NODES)
def test_clients_reach_the_next_owner_soon_after_the_first_has_died(
    profile: str, bound: float, victim: str
) -> None:
    one = street(profile)
    one.kill(victim)
    one.run(bound)
    assert unserved(one) == []
    assert one.alarms() == 0


def test_a_node_that_leaves_is_missed_by_nobody_at_any_moment() -> None:
    one = street()
    victim = owner(one, VIPS[0])
    one.do(victim, lambda members, now: members.leave(now))
    for _moment in moments(one, 3):
        assert unserved(one) == []
    assert victim not in {owner(one, address) for address in VIPS}
    assert one.alarms() == 0, "the next owner's announcement is no alarm"


def test_a_split_has_an_owner_on_each_side_and_everyone_has_the_same_one_a_second_after_it_is_healed() -> (
    None
):
    one = street()
    one.split(["a", "here"], ["b", "c", "there"])
    one.run(1)
    for client in one.clients:
        one.clients[client].cache.clear()
        for address in VIPS:
            one.ask(client, address)
    one.run(0.1)
    assert unserved(one) == []
    assert all(len(one.owners(address)) == 2 for address in VIPS)
    one.heal()
    one.run(1)
    for address in VIPS:
        assert one.reached("here", address) == one.reached("there", address) == owner(one, address)


def test_an_owner_that_was_stopped_for_a_while_takes_nobody_with_it() -> None:
    one = street()
    victim = owner(one, VIPS[0])
    one.sleep(victim, 2.0)
    one.run(1)
    assert unserved(one) == []
    one.run(2)
    for address in VIPS:
        assert one.reached("here", address) == owner(one, address)
    for _moment in moments(one, 1):
        assert unserved(one) == []


def test_a_node_that_comes_back_takes_nothing_and_nobody_notices() -> None:
    one = street()
    victim = owner(one, VIPS[0])
    one.kill(victim)
    one.run(2)
    owners = {address: owner(one, address) for address in VIPS}
    one.start(victim)
    for _moment in moments(one, 3):
        assert unserved(one) == []
    assert {address: owner(one, address) for address in VIPS} == owners


def test_a_stranger_who_takes_an_address_is_an_alarm_and_the_address_is_defended() -> None:
    one = street()
    for address in (VIPS[0], VIPS[10]):
        one.settle(f"stranger of {address}", address)
    one.run(0.1)
    assert one.reached("here", VIPS[0]) is one.reached("here", VIPS[10]) is None, "it has what was ours"
    one.run(1.5)
    assert one.alarms() == 2
    assert unserved(one) == []


@pytest.mark.parametrize("address", [VIPS[0], VIPS[10]])
def test_with_duplicate_detection_an_address_that_a_stranger_has_is_his_until_he_is_gone(
    address: IPAddress,
) -> None:
    one = SimulatedSegment(NODES)
    one.wants = {name: {address: want(address, NODES)} for name in NODES}
    one.begin("here", settings=Settings(detect_duplicates=True))
    one.settle("stranger", address)
    one.start()
    one.run(5)
    one.ask("here", address)
    for _moment in moments(one, 15, step=0.05):
        assert one.clients["here"].cache.get(address) in (None, one.strangers["stranger"].mac)
        assert not any(address in owned.answering for owned in one.owned_addresses.values())
    assert any(address in owned.duplicates for owned in one.owned_addresses.values())
    one.strangers.clear()
    one.run(120)
    assert one.reached("here", address) == owner(one, address)


def test_with_duplicate_detection_an_address_that_nobody_has_is_owned_all_the_same() -> None:
    one = street(detect_duplicates=True)
    one.kill(owner(one, VIPS[0]))
    one.run(0.5)
    assert unserved(one) == [], "who takes over asks nobody"
    assert one.alarms() == 0


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["kill", "start", "sleep", "split", "heal"]),
            st.sampled_from(NODES),
            st.floats(0, 2),
        ),
        max_size=8,
    ),
    st.integers(0, 2**16),
    st.sampled_from([0.0, 0.02]),
)
def test_after_whatever_has_happened_clients_reach_the_owner(
    story: list[tuple[str, str, float]], seed: int, loss: float
) -> None:
    one = street()
    one.random.seed(seed)
    one.cable.loss = loss
    for what, name, seconds in story:
        happen(one, what, name)
        one.run(seconds)
    one.heal()
    one.start(*(name for name in NODES[:1] if name not in one.nodes))
    one.run(8)
    for address in VIPS:
        for client in one.clients:
            assert one.reached(client, address) == owner(one, address)


def happen(one: SimulatedSegment, what: str, name: str) -> None:
    if what == "start" and name not in one.nodes:
        one.start(name)
    elif what == "kill" and name in one.nodes:
        one.kill(name)
    elif what == "sleep" and name in one.nodes:
        one.sleep(name, 1.5)
    elif what == "split":
        one.split([name, "here"], [*(other for other in NODES if other != name), "there"])
    elif what == "heal":
        one.heal()
