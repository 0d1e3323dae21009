# SPDX-License-Identifier: GPL-3.0-or-later
"""The last step of all: it leaves a lab on which nothing is rolled out."""

from __future__ import annotations

import pytest
from support.declarations import SYSTEM
from support.lab import Lab, eventually
from support.removal import on_routers
from support.segment import curl

pytestmark = pytest.mark.declaration("bgp")


def node_addresses(lab: Lab) -> set[str]:
    return {lab.node_address(host) for host in lab.group("nodes")}


@pytest.fixture
def vip(lab: Lab) -> str:
    """The address of the demonstration's service, which all nodes announce."""
    address = str(lab.address("web-1"))
    assert eventually(lambda: lab.next_hops(f"{address}/32") == node_addresses(lab), timeout=60)
    return address


def test_without_confirmation_and_in_check_mode_nothing_is_removed(lab: Lab, vip: str) -> None:
    assert set(lab.playbook("remove", "--check").expect().changed) == {"localhost", lab.router}
    assert lab.playbook("remove").expect(2).changed == {}
    assert lab.next_hops(f"{vip}/32") == node_addresses(lab)
    assert curl(lab, lab.client, vip) == "200"


def test_what_remove_takes_away_is_gone(lab: Lab, vip: str) -> None:
    lab.playbook("remove", remove_confirmed=True).expect()
    assert f"namespace/{SYSTEM}" not in lab.kubectl("get", "namespaces", "-o", "name").split()
    assert ".metallb.io" not in lab.kubectl("get", "crds", "-o", "name")
    assert eventually(lambda: lab.next_hops(f"{vip}/32") == set(), timeout=30)
    saved = lab.run(lab.router, "cat /etc/frr/frr.conf")
    assert "neighbor" not in saved and "VIPCAST" not in saved, saved
    assert on_routers(lab) == {lab.router: ("inactive", "disabled", "0")}
    assert curl(lab, lab.client, vip) == "000"
    assert lab.playbook("remove", remove_confirmed=True).expect().changed == {}
