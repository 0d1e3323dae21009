# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes out of service at two routers: several at once, the last one, by force, and how long is waited."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from support.lab import Lab
from support.routers import established, next_hops, node_addresses, vtysh

pytestmark = pytest.mark.timeout(600)
DRAIN = "vipcast.io/drain"


@pytest.fixture(autouse=True)
def back(lab: Lab, whole: Callable[[], None]) -> Iterator[None]:
    """Put every node back after each of these."""
    yield
    if drained(lab):
        lab.playbook("drain", drain_nodes=",".join(lab.group("nodes")), drain_state="undrained").expect()
    whole()


def drained(lab: Lab) -> dict[str, str]:
    """Return the nodes that were told to leave, and for how long."""
    items = lab.get("nodes")["items"]
    said = {item["metadata"]["name"]: item["metadata"].get("annotations", {}) for item in items}
    return {name: notes[DRAIN] for name, notes in said.items() if DRAIN in notes}


def test_two_nodes_leave_both_routers_at_once(lab: Lab, service: str) -> None:
    *leaving, staying = lab.group("nodes")
    run = lab.playbook("drain", drain_nodes=",".join(leaving), drain_wait="1s").expect()
    assert run.changed == {"localhost": 1}
    assert set(drained(lab)) == set(leaving)
    for router in lab.group("routers"):
        assert next_hops(lab, router, f"{service}/32") == {lab.node_address(staying)}
        assert established(lab, router) == {lab.node_address(staying)}
    refused = lab.playbook("drain", drain_nodes=staying).expect(2)
    for router in lab.group("routers"):
        assert f"{router}: {service}/32 (demo/web-1) has no next hop but those of {staying}" in refused.output
    assert "Nothing was changed." in refused.output and refused.changed == {}
    assert set(drained(lab)) == set(leaving)
    lab.playbook("verify").expect()


def test_by_force_the_last_one_leaves_too(lab: Lab, service: str) -> None:
    everyone = ",".join(lab.group("nodes"))
    refused = lab.playbook("drain", drain_nodes=everyone).expect(2)
    assert "To do it all the same: -e drain_force=true" in refused.output and drained(lab) == {}
    lab.playbook("drain", drain_nodes=everyone, drain_wait="1s", drain_force=True).expect()
    for router in lab.group("routers"):
        assert established(lab, router) == set() == next_hops(lab, router, f"{service}/32")


def test_another_way_that_one_router_alone_has_is_none(
    lab: Lab, first: str, second: str, service: str
) -> None:
    """The routes of the second router do not help whoever comes through the first."""
    leaving, *others = lab.group("nodes")
    asn = lab.variables(first)["vipcast_router_asn"]
    lines = [f"neighbor {lab.node_address(node)} shutdown" for node in others]
    vtysh(lab, first, "configure terminal", f"router bgp {asn}", *lines)
    try:
        run = lab.playbook("drain", drain_nodes=leaving).expect(2)
    finally:
        vtysh(lab, first, "configure terminal", f"router bgp {asn}", *(f"no {line}" for line in lines))
    assert f"{first}: {service}/32 (demo/web-1) has no next hop but those of {leaving}" in run.output
    assert f"{second}: {service}/32" not in run.output
    assert drained(lab) == {}


def test_a_wait_that_is_no_duration_is_refused_before_anything_changes(lab: Lab) -> None:
    run = lab.playbook("drain", drain_nodes=lab.group("nodes")[0], drain_wait="1 minute").expect(2)
    assert "is no duration such as 30s or 1m30s" in run.output
    assert drained(lab) == {}


def test_a_wait_of_minutes_and_seconds_is_waited_for_with_the_timeout_on_top(lab: Lab) -> None:
    node = lab.group("nodes")[0]
    started = time.monotonic()
    # So much shorter than the wait that looking at two routers on a busy machine does not make up for it.
    lab.playbook("drain", drain_nodes=node, drain_wait="0m30s", drain_timeout=4).expect()
    assert time.monotonic() - started >= 30
    assert drained(lab) == {node: "0m30s"}
    assert all(
        established(lab, at) == node_addresses(lab) - {lab.node_address(node)} for at in lab.group("routers")
    )


def test_after_the_timeout_it_says_what_is_left(lab: Lab) -> None:
    node = lab.group("nodes")[0]
    lab.kubectl("annotate", "node", node, f"{DRAIN}=30s")
    # What it was told first counts for the speaker; who waits less says that it is not done.
    run = lab.playbook("drain", drain_nodes=node, drain_timeout=0, _drain_patience=2).expect(2)
    for router in lab.group("routers"):
        assert f"{router}: the session with {lab.node_address(node)} ({node}) is Established" in run.output
    assert "The nodes were told, and it is not done yet." in run.output
