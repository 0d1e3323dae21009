# SPDX-License-Identifier: GPL-3.0-or-later
"""The change from layer 2 to BGP: nothing of another declaration is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import segment
from support.declarations import SYSTEM
from support.lab import Lab, eventually
from support.owners import DEMO, NEIGHBOR, VIP

pytestmark = pytest.mark.declaration("bgp")


def node_addresses(lab: Lab) -> set[str]:
    return {lab.node_address(host) for host in lab.group("nodes")}


def names(lab: Lab, kinds: str, *where: str) -> set[str]:
    """Return the objects of these kinds, as kubectl names them."""
    return set(lab.kubectl("get", kinds, *where, "-o", "name").split())


@pytest.fixture(scope="module")
def vip(lab: Lab) -> Iterator[str]:
    """The address of the demonstration's service, of the pool that BGP announces."""
    assert eventually(lambda: (lab.address("web-1") or "").startswith("10.9."), timeout=30)
    yield str(lab.address("web-1"))


def test_every_node_is_a_next_hop_again(lab: Lab, vip: str) -> None:
    assert eventually(lambda: lab.next_hops(f"{vip}/32") == node_addresses(lab), timeout=60)
    assert segment.curl(lab, lab.client, vip) == "200"


def test_nobody_answers_on_the_segment_any_more(lab: Lab) -> None:
    assert "daemonset.apps/layer2" not in names(lab, "daemonsets", "-n", SYSTEM)
    # The key of its heartbeats stays, and nobody reads it.
    assert names(lab, "secrets", "-n", SYSTEM) == {"secret/vipcast-members"}
    assert names(lab, "servicel2statuses.metallb.io", "-n", SYSTEM) == set()
    for address in (VIP, *DEMO.values()):
        assert segment.answering(lab, NEIGHBOR, address) == set(), address


def test_the_router_has_what_this_declaration_says_and_no_more(lab: Lab) -> None:
    lines = [line.strip() for line in lab.vtysh("show running-config").splitlines()]
    for peer in node_addresses(lab):
        assert f"neighbor {peer} remote-as 64513" in lines
    # FRR's daemon for BFD goes on, and has an empty section.
    strange = ("bfd ", "profile", "graceful-restart", "activate", "fd00:9:", "fd00:31:")
    assert [line for line in lines if any(word in line for word in strange)] == []
