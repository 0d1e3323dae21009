# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory with every kind, applied by the role to a real API server: once, again, and changed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.apiserver import ApiServer

ROOT = Path(__file__).parents[3]
SELECTOR = {"match_labels": {"zone": "outside"}}
SHARED: dict[str, Any] = {
    "vipcast_cluster_asn": 64513,
    "vipcast_pools": [
        {
            "name": "default",
            "addresses": ["10.9.0.0/24"],
            "labels": {"zone": "outside"},
            "service_allocation": {"priority": 3, "namespaces": ["shop"], "service_selectors": [SELECTOR]},
        },
        {"name": "six", "addresses": ["2001:db8::/120"], "auto_assign": False},
    ],
    "vipcast_advertisements": [
        {
            "name": "front",
            "pool_selectors": [SELECTOR],
            "peers": ["r1", "isp"],
            "node_selectors": [{"match_labels": {"rack": "1"}}],
            "communities": ["64513:100", "large:1:2:3", "no-export"],
        }
    ],
    "vipcast_l2_advertisements": [
        {
            "name": "office",
            "pools": ["six"],
            "interfaces": ["eth1"],
            "preferred_node_selectors": [{"weight": 7, "preference": {"match_labels": {"rack": "1"}}}],
        }
    ],
    "vipcast_peers": [{"name": "isp", "peer_asn": 65000, "peer_address": "10.31.254.1"}],
    "vipcast_bfd_profiles": [{"name": "fast", "receive_interval": 100, "detect_multiplier": 3}],
    "vipcast_communities": {"no-export": "65535:65281"},
}
HOSTS: dict[str, Any] = {
    "nodes": {"n1": {"ansible_host": "10.31.8.1", "vipcast_node_labels": {"rack": "1"}}},
    "routers": {
        "r1": {
            "ansible_host": "10.31.254.251",
            "vipcast_router_asn": 64512,
            "vipcast_bgp_password": "hidden-one",
            "vipcast_peer": {
                "bfd_profile": "fast",
                "password_secret": {"name": "s"},
                "graceful_restart": True,
            },
        }
    },
    "clients": {},
}
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: vipcast.baremetal.load_balancer, tasks_from: define}
    - ansible.builtin.include_role:
        name: vipcast.baremetal.load_balancer
        tasks_from: configure
        public: true
    - ansible.builtin.copy:
        dest: RESULT
        content: "{{ __load_balancer_configured | combine(more) | to_json }}"
      check_mode: false
      changed_when: false
      diff: false
      vars:
        more:
          secrets: "{{ load_balancer_secret_names }}"
          capabilities: "{{ load_balancer_speaker_capabilities }}"
"""
KINDS = "ipaddresspools,bgppeers,bgpadvertisements,l2advertisements,bfdprofiles,communities.metallb.io"


class Site:
    """A folder with an inventory, and what the role says when it is run with it."""

    def __init__(self, folder: Path, api: ApiServer, namespace: str) -> None:
        self._folder, self._api, self._namespace = folder, api, namespace
        (folder / "play.yml").write_text(PLAY.replace("RESULT", str(folder / "result.json")))

    def run(self, *options: str, **shared: Any) -> Any:
        """The result of the module that applies the configuration."""
        own = {"vipcast_kubeconfig": str(self._api.kubeconfig), "vipcast_namespace": self._namespace}
        inventory = {group: {"hosts": hosts} for group, hosts in HOSTS.items()}
        inventory["all"] = {"vars": {**SHARED, **own, **shared}}
        (self._folder / "hosts.yml").write_text(yaml.safe_dump(inventory))
        command = ["ansible-playbook", "-i", str(self._folder / "hosts.yml"), *options, "play.yml"]
        done = subprocess.run(
            command,
            cwd=self._folder,
            env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false"},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "hidden-one" not in done.stdout
        return json.loads((self._folder / "result.json").read_text())

    def specs(self) -> dict[tuple[str, str], Any]:
        """Every object: (kind, name) to spec."""
        found = json.loads(self._api.kubectl("get", KINDS, "-n", self._namespace, "-o", "json"))["items"]
        return {(one["kind"], one["metadata"]["name"]): one["spec"] for one in found}


@pytest.fixture
def site(tmp_path: Path, bare: ApiServer) -> Site:
    """A cluster on which the role was never run."""
    return Site(tmp_path, bare, "metallb-system")


@pytest.mark.timeout(600)
def test_every_kind_once_again_and_changed(site: Site) -> None:
    tried = site.run("--check")
    assert (tried["changed"], tried["secrets"]) == (True, ["s"])
    assert site.run()["changed"]
    made = site.specs()
    assert set(made) == {
        ("IPAddressPool", "default"),
        ("IPAddressPool", "six"),
        ("BGPPeer", "r1"),
        ("BGPPeer", "isp"),
        ("BGPAdvertisement", "front"),
        ("L2Advertisement", "office"),
        ("BFDProfile", "fast"),
        ("Community", "communities"),
    }
    assert made["BGPPeer", "r1"]["passwordSecret"] == {"name": "s"}
    assert made["BGPAdvertisement", "front"]["communities"] == ["64513:100", "large:1:2:3", "no-export"]
    assert made["L2Advertisement", "office"]["preferredNodeSelectors"][0]["weight"] == 7
    again = site.run()
    assert (again["changed"], again["drift"]) == (False, [])
    assert not site.run("--check")["changed"]


@pytest.mark.timeout(400)
def test_what_is_no_longer_declared_is_removed_also_of_the_new_kinds(site: Site) -> None:
    less = {
        "vipcast_l2_advertisements": [],
        "vipcast_peers": [],
        "vipcast_advertisements": [{"name": "front"}],
    }
    less["vipcast_pools"] = SHARED["vipcast_pools"][:1]
    site.run()
    site.run(**less, vipcast_communities={})
    assert {kind for kind, _name in site.specs()} == {
        "IPAddressPool",
        "BGPPeer",
        "BGPAdvertisement",
        "BFDProfile",
    }


def test_a_variable_of_the_role_takes_the_place_of_the_inventorys(site: Site) -> None:
    site.run(load_balancer_pools=[{"name": "mine", "addresses": ["10.9.9.0/24"], "auto_assign": False}])
    pools = {name: spec for (kind, name), spec in site.specs().items() if kind == "IPAddressPool"}
    assert pools == {"mine": {"addresses": ["10.9.9.0/24"], "autoAssign": False, "avoidBuggyIPs": False}}


@pytest.mark.timeout(400)
def test_a_peer_over_an_interface_gives_the_speaker_what_it_takes(site: Site) -> None:
    peer = {"name": "edge", "interface": "eth1", "dynamic_asn": "external"}
    assert site.run()["capabilities"] == []
    found = site.run(vipcast_peers=[peer], vipcast_advertisements=[])
    assert found["capabilities"] == ["NET_RAW"]
    spec = site.specs()["BGPPeer", "edge"]
    assert (spec["interface"], spec["dynamicASN"], spec.get("peerAddress")) == ("eth1", "external", None)
