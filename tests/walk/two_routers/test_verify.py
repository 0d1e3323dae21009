# SPDX-License-Identifier: GPL-3.0-or-later
"""A route that should not be there: named with its router, unless nobody looks for such routes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.lab import Lab, eventually
from support.routers import next_hops, vtysh

pytestmark = pytest.mark.timeout(600)
# Of the pool, and no service has it.
STRAY = "10.9.200.1/32"


@pytest.fixture
def stray(lab: Lab, second: str) -> Iterator[str]:
    """The next hop of a route that somebody has put into the second router's BGP table."""
    hop = lab.node_address(lab.group("nodes")[0])
    asn = lab.variables(second)["vipcast_router_asn"]
    static, network = f"ip route {STRAY} {hop}", f"network {STRAY}"
    configure = ("configure terminal", f"router bgp {asn}", "address-family ipv4 unicast")
    vtysh(lab, second, "configure terminal", static)
    vtysh(lab, second, *configure, network)
    assert eventually(lambda: next_hops(lab, second, STRAY) == {hop}, timeout=20)
    yield hop
    vtysh(lab, second, *configure, f"no {network}")
    vtysh(lab, second, "configure terminal", f"no {static}")
    assert eventually(lambda: not next_hops(lab, second, STRAY), timeout=20)


def test_a_route_that_should_not_be_there_is_named_unless_nobody_looks(
    lab: Lab, first: str, second: str, stray: str
) -> None:
    said = {"verify_timeout": 0, "verify_report_path": ""}
    run = lab.playbook("verify", **said).expect(2)
    # BGP's own next hop of a route that begins at the router is 0.0.0.0; the kernel has the other one.
    assert f"{second}: route {STRAY}: expected none, found via 0.0.0.0, {stray}" in run.output
    assert f"{first}: route {STRAY}" not in run.output
    # With the whole tables left alone, what is expected is still proved.
    run = lab.playbook("verify", **said, verify_unexpected_routes=False).expect()
    assert STRAY not in run.output
