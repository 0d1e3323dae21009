# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what the lab's tool makes of a description, without root: `pytest tests/integration/lab_tool`."""

from __future__ import annotations

import copy
import json
import os
import sys
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any

import pytest

TOOL = Path(__file__).parents[3] / "roles" / "lab" / "files" / "lab"
sys.path.insert(0, str(TOOL))

import credentials  # noqa: E402
import machines  # noqa: E402
import topology  # noqa: E402
from cryptography import x509  # noqa: E402
from jinja2 import Environment  # noqa: E402
from shell import LabError  # noqa: E402


def _host(name: str, kind: str, management: str, address: str, **more: Any) -> dict[str, Any]:
    card = {"segment": "cluster", "address": address}
    return {
        "name": name,
        "kind": kind,
        "management": management,
        "interfaces": [card],
        "gateway": None,
        "pod_range": None,
        "control_plane": False,
        **more,
    }


@pytest.fixture
def description(tmp_path: Path) -> dict[str, Any]:
    return {
        "name": "trial",
        "folder": str(tmp_path / "lab"),
        "control": "198.18.31.254/24",
        "segments": ["cluster"],
        "trees": {kind: f"/trees/{kind}" for kind in ("node", "router", "virtual_node", "control_plane")},
        "images": str(tmp_path / "images"),
        "tools": str(tmp_path / "tools"),
        "templates": str(TOOL.parents[1] / "templates"),
        "kubernetes": {
            "version": "v1.34.4",
            "programs": "/programs",
            "pods": "10.8.64.0/18",
            "services": "10.8.0.0/18",
            "proxy_mode": "iptables",
            "proxy_image": "proxy:1",
            "pause_image": "pause:1",
            "grace": 16,
        },
        "hosts": [
            _host("one", "node", "198.18.31.1", "10.31.8.1/16", pod_range="10.8.64.0/24", control_plane=True),
            _host(
                "two", "node", "198.18.31.2", "10.31.8.2/16", pod_range="10.8.65.0/24", gateway="10.31.8.9"
            ),
            _host("gate", "router", "198.18.31.9", "10.31.8.9/16"),
        ],
    }


def _load(description: dict[str, Any]) -> topology.Lab:
    return topology.load(json.dumps(description))


def test_a_description_becomes_hosts_with_cards(description: dict[str, Any]) -> None:
    lab = _load(description)
    assert [host.name for host in lab.nodes] == ["one", "two"]
    assert lab.control_plane.name == "one"
    assert [card.name for card in lab.host("two").cables] == ["mgmt", "eth0"]
    assert lab.host("two").address == IPv4Address("10.31.8.2")


def test_an_unknown_host_is_answered_with_the_known_ones(description: dict[str, Any]) -> None:
    with pytest.raises(LabError, match="no host 'three' in this lab; it has one, two, gate"):
        _load(description).host("three")


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        (("hosts", 0, "control_plane"), False, "exactly one host must have lab_control_plane"),
        (("hosts", 1, "pod_range"), None, "two is a node without lab_pod_range"),
        (
            ("hosts", 1, "pod_range"),
            "10.9.0.0/24",
            "lab_pod_range 10.9.0.0/24 is not inside 10.8.64.0/18",
        ),
        (("hosts", 1, "gateway"), "192.0.2.1", "two: its lab_gateway 192.0.2.1 is on none of its segments"),
        (("hosts", 1, "management"), "198.18.31.1", "198.18.31.1 belongs to one and to two"),
        (("hosts", 1, "management"), "192.0.2.1", "two: ansible_host 192.0.2.1 is outside 198.18.31.0/24"),
        (("hosts", 1, "interfaces"), [], "two has no lab_interfaces"),
        (
            ("hosts", 2, "kind"),
            "client",
            "gate has lab_kind 'client', which is none of node, router, virtual_node",
        ),
        (("hosts", 0, "kind"), "virtual_node", "one has lab_control_plane, but lab_kind 'virtual_node'"),
        (("hosts", 1, "kind"), "virtual_client", "two has lab_kind 'virtual_client', which is none of node"),
        (("hosts", 2, "control_plane"), True, "exactly one host must have lab_control_plane"),
        (("segments",), ["clients"], "one is on segment 'cluster', none of lab_segments: clients"),
        (("segments",), ["cluster", "a-long-segment"], "'a-long-segment' is longer than 12 characters"),
        (("name",), "vip-cast", "lab_name 'vip-cast' must be"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(
    description: dict[str, Any], where: tuple[str | int, ...], value: Any, said: str
) -> None:
    place: Any = description
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    with pytest.raises(LabError, match=said):
        _load(description)


def test_another_description_is_another_lab_and_another_checkout_is_not(
    description: dict[str, Any], tmp_path: Path
) -> None:
    other = copy.deepcopy(description)
    other["kubernetes"]["proxy_mode"] = "nftables"
    assert _load(other).identity != _load(description).identity
    (tmp_path / "elsewhere").symlink_to(description["templates"])
    moved = {**description, "templates": str(tmp_path / "elsewhere")}
    assert _load(moved).identity == _load(description).identity


def test_programs_of_another_origin_make_another_lab(description: dict[str, Any], tmp_path: Path) -> None:
    description["kubernetes"]["programs"] = str(tmp_path)
    before = _load(description).identity
    (tmp_path / "made.json").write_text('{"kubelet": "built 0123456789ab"}')
    assert _load(description).identity != before


@pytest.mark.parametrize(
    ("version", "configured", "flags"),
    [
        ("v1.34.4", True, ()),
        ("v1.27.0", True, ()),
        ("v1.26.15", False, ("--container-runtime-endpoint",)),
        ("v1.23.17", False, ("--container-runtime", "--container-runtime-endpoint")),
    ],
)
def test_each_kubelet_is_told_of_containerd_in_the_way_it_knows(
    description: dict[str, Any], version: str, configured: bool, flags: tuple[str, ...]
) -> None:
    description["kubernetes"]["version"] = version
    lab = _load(description)
    etc = TOOL.parents[1] / "templates" / "host" / "node" / "etc"
    shown = [
        Environment(trim_blocks=True)
        .from_string((etc / name).read_text())
        .render(lab=lab, host=lab.host("two"))
        for name in ("kubernetes/kubelet.yaml.j2", "systemd/system/kubelet.service.j2")
    ]
    assert ("containerRuntimeEndpoint: unix:///run/containerd/containerd.sock" in shown[0]) == configured
    words = [word.partition("=")[0] for word in shown[1].split()]
    assert [word for word in words if word.startswith("--container-runtime")] == list(flags)


def test_a_rebuilt_image_makes_another_lab(description: dict[str, Any], tmp_path: Path) -> None:
    before = _load(description).identity
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "web.tar").write_bytes(b"web")
    assert _load(description).identity != before


def _subject(pem: str) -> str:
    return x509.load_pem_x509_certificate(pem.encode()).subject.rfc4514_string()


def test_certificates_say_who_may_do_what(description: dict[str, Any]) -> None:
    made = credentials.make(_load(description))
    control = made.files["one"]
    assert _subject(control["etc/kubernetes/pki/apiserver-kubelet-client.crt"]) == (
        "CN=kube-apiserver-kubelet-client,O=system:masters"
    )
    server = x509.load_pem_x509_certificate(control["etc/kubernetes/pki/apiserver.crt"].encode())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "10.31.8.1", "198.18.31.1", "10.8.0.1"}
    assert "https://198.18.31.1:6443" in made.kubeconfig
    assert "https://10.31.8.1:6443" in made.files["two"]["etc/kubernetes/kubelet.conf"]


def test_the_authority_stays_on_the_control_plane(description: dict[str, Any]) -> None:
    files = credentials.make(_load(description)).files
    assert "etc/kubernetes/pki/ca.key" in files["one"]
    assert not [path for path in files["two"] if path.endswith("ca.key")]
    assert files["gate"] == {}


def _dual(description: dict[str, Any]) -> dict[str, Any]:
    """The same lab with both families."""
    found = copy.deepcopy(description)
    found["kubernetes"].update(pods="10.8.64.0/18,fd00:8:64::/46", services="10.8.0.0/18,fd00:8::/112")
    for number, host in enumerate(found["hosts"], 1):
        host["interfaces"][0]["address6"] = f"fd00:31::{number}/64"
        if host["kind"] == "node":
            host["pod_range"] += f",fd00:8:6{number + 3}::/64"
    return found


def test_two_ranges_make_a_lab_of_both_families(description: dict[str, Any]) -> None:
    lab = _load(_dual(description))
    assert lab.host("one").addresses == (ip_address("10.31.8.1"), ip_address("fd00:31::1"))
    assert [str(one) for one in lab.host("two").pod_ranges] == ["10.8.65.0/24", "fd00:8:65::/64"]


def test_hosts_of_both_families_know_the_way_to_each_others_pods(
    description: dict[str, Any], tmp_path: Path
) -> None:
    lab = _load(_dual(description))
    template = TOOL.parents[1] / "templates/host/any/etc/network/interfaces.j2"
    text = (
        Environment(trim_blocks=True).from_string(template.read_text()).render(lab=lab, host=lab.host("one"))
    )
    inet, _line, inet6 = text.partition("iface eth0 inet6 static")
    assert "up ip route replace 10.8.65.0/24 via 10.31.8.2\n" in inet
    assert "fd00" not in inet
    assert "    address fd00:31::1/64\n" in inet6
    assert "up ip -6 route replace fd00:8:65::/64 via fd00:31::2\n" in inet6


def test_a_node_without_one_of_the_families_is_refused(description: dict[str, Any]) -> None:
    found = _dual(description)
    found["hosts"][1]["pod_range"] = "10.8.65.0/24"
    with pytest.raises(
        LabError, match="two: lab_pods has IPv4 and IPv6; its lab_pod_range and its first card"
    ):
        _load(found)


def test_a_virtual_node_is_a_node_with_a_kernel_of_its_own(description: dict[str, Any]) -> None:
    description["hosts"][1]["kind"] = "virtual_node"
    lab = _load(description)
    virtual = lab.host("two")
    assert lab.nodes == (lab.host("one"), virtual)
    assert (virtual.kind, virtual.tree, virtual.virtual) == ("node", "virtual_node", True)
    assert (lab.host("one").tree, lab.host("one").virtual) == ("node", False)


def test_a_control_plane_may_be_no_node(description: dict[str, Any]) -> None:
    description["hosts"][0].update(kind="control_plane", pod_range=None)
    lab = _load(description)
    files = credentials.make(lab).files["one"]
    assert [node.name for node in lab.nodes] == ["two"]
    assert "etc/kubernetes/pki/ca.crt" in files
    assert "etc/kubernetes/kubelet.conf" not in files


def test_a_machine_that_nobody_emulates_is_off_whatever_its_file_says(tmp_path: Path) -> None:
    assert not machines.is_on(tmp_path)
    (tmp_path / "machine.pid").write_text(f"{os.getpid()}\n")
    assert not machines.is_on(tmp_path)
    machines.kill(tmp_path)  # and this process lives on
