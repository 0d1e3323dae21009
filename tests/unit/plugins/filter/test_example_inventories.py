# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories to copy are good declarations, and Ansible becomes root where it has to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from ansible_collections.vipcast.baremetal.plugins.filter.cluster_objects import cluster_objects
from ansible_collections.vipcast.baremetal.plugins.filter.declaration import declaration
from ansible_collections.vipcast.baremetal.plugins.filter.router_intent import router_intent

ROOT = Path(__file__).parents[4] / "inventories"
EXAMPLES = sorted(path.name for path in ROOT.glob("example*"))
# What their owners keep in a vault.
VAULT = {"vault_bgp_password": "bgp-hidden", "vault_become_password": "sudo-hidden"}


class Site:
    """An inventory as Ansible reads it."""

    def __init__(self, name: str) -> None:
        loader = DataLoader()
        inventory = InventoryManager(loader=loader, sources=[str(ROOT / name)])
        variables = VariableManager(loader=loader, inventory=inventory)
        variables._extra_vars = VAULT  # as -e or a vault file would give them
        self.groups = {key: list(hosts) for key, hosts in inventory.get_groups_dict().items()}
        self.hostvars = HostVars(inventory, variables, loader)

    def said(self, group: str, name: str) -> set[Any]:
        """The values of a variable in a group."""
        return {self.hostvars[host].get(name) for host in self.groups[group]}


@pytest.fixture(params=EXAMPLES)
def site(request: pytest.FixtureRequest) -> Site:
    return Site(request.param)


def test_there_are_the_documented_ones() -> None:
    assert EXAMPLES == [
        "example",
        "example-k3s-openwrt",
        "example-kubeadm-two-routers",
        "example-rke2-cilium",
    ]


def test_it_is_a_good_declaration(site: Site) -> None:
    found = declaration(site.hostvars, site.groups)
    objects = cluster_objects(found)
    assert {"IPAddressPool", "BGPPeer", "BGPAdvertisement"} <= {one["kind"] for one in objects}
    assert "hidden" not in str(objects)
    for router in found["routers"]:
        assert len(router_intent(found, router["host"])["neighbors"]) == len(site.groups["nodes"])


def test_nobody_becomes_root_on_the_control_node(site: Site) -> None:
    assert "ansible_become" not in site.hostvars["localhost"]


def test_root_is_reached_on_nodes_and_routers(site: Site) -> None:
    """Ansible logs in as root, or becomes it; and OpenWrt has nothing to become it by."""
    for group in ("nodes", "routers"):
        for host in site.groups[group]:
            own = site.hostvars[host]
            assert own.get("ansible_user") == "root" or own.get("ansible_become") is True, (group, host)


def test_openwrt_is_logged_into_as_root_without_sudo() -> None:
    site = Site("example-k3s-openwrt")
    assert (site.said("routers", "ansible_user"), site.said("routers", "ansible_become")) == (
        {"root"},
        {False},
    )
    assert site.said("nodes", "ansible_become") == {True}


def test_both_routers_have_the_password_of_the_vault_and_sudo_has_the_other() -> None:
    site = Site("example-kubeadm-two-routers")
    found = declaration(site.hostvars, site.groups)
    assert [router["password"] for router in found["routers"]] == ["bgp-hidden"] * 2
    for group in ("nodes", "routers", "clients"):
        assert site.said(group, "ansible_become_password") == {"sudo-hidden"}
    assert all(router_intent(found, router["host"])["bfd_profiles"] for router in found["routers"])
