# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenWrt by one playbook: sessions, routes, a curl; drift; a boot; and the router as it was found."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.lab import Lab, eventually

pytestmark = [pytest.mark.timeout(900), pytest.mark.in_order]

# On the flash; the rest is memory.
FLASH = ("bin", "etc", "root", "sbin", "srv", "usr")
# What the lab gives to this host alone, and what is noted of packages.
OWN = (
    "etc/hostname",
    "etc/config/network",
    "etc/config/system",
    "etc/dropbear",
    "root/.history_frr",
    "usr/lib/opkg",
)
SEGMENTS = ["10.31.0.0/16", "192.168.64.0/24", "198.18.31.0/24"]


def nodes(lab: Lab) -> set[str]:
    return {lab.node_address(host) for host in lab.group("nodes")}


def has_all(lab: Lab, services: dict[str, str]) -> bool:
    sessions = lab.sessions()
    up = {peer for peer, about in sessions.items() if about["state"] == "Established" and about["pfxRcd"]}
    routes = [lab.next_hops(f"{address}/32") for address in services.values()]
    return up == nodes(lab) and all(hops == nodes(lab) for hops in routes)


def flash(root: Path, without: set[str]) -> dict[str, tuple[Any, ...]]:
    """Every file and folder below root: what is in it, its mode and its owners."""
    found = {}
    for top in FLASH:
        for path in sorted((root / top).rglob("*")):
            name = str(path.relative_to(root))
            if name not in without and not name.startswith(OWN):
                about = path.lstat()
                content = path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()
                found[name] = (content, about.st_mode, about.st_uid, about.st_gid)
    return found


def brought(lab: Lab) -> set[str]:
    """Files and folders that packages brought."""
    files = {one.lstrip("/") for one in lab.run(lab.router, "cat /usr/lib/opkg/info/*.list").split()}
    return files | {str(folder) for file in files for folder in Path(file).parents}


def packed(lab: Lab, root: Path) -> bytes:
    """FRR's daemons file, as its package has it."""
    tar = ["tar", "-xOf", str(root / "srv/feed/frr.tar"), "./etc/frr/daemons"]
    return subprocess.run(tar, capture_output=True, check=True).stdout


def curl(lab: Lab, address: str) -> str:
    ask = f"curl -s -o /dev/null -w '%{{http_code}}' --max-time 3 http://{address}/ || true"
    return lab.run(lab.client, ask)


def test_the_router_is_what_an_openwrt_is(lab: Lab) -> None:
    missing = "for p in python3 bash sudo sftp-server systemctl apt-get; do command -v $p; done; true"
    assert lab.run(lab.router, missing) == ""
    assert "DISTRIB_ID='OpenWrt'" in lab.run(lab.router, "cat /etc/openwrt_release")
    assert lab.run(lab.router, "readlink /bin/sh; readlink /bin/ash").split() == ["/bin/busybox"] * 2


def test_three_sessions_three_routes_nine_paths_and_a_curl(lab: Lab, services: dict[str, str]) -> None:
    assert eventually(lambda: has_all(lab, services), timeout=60)
    table = json.loads(lab.vtysh("show bgp ipv4 unicast json"))["routes"]
    assert {prefix: len(paths) for prefix, paths in table.items()} == {
        f"{address}/32": 3 for address in services.values()
    }
    assert {address: curl(lab, address) for address in services.values()} == dict.fromkeys(
        services.values(), "200"
    )


def test_bfd_comes_through_the_firewall(lab: Lab, services: dict[str, str]) -> None:
    peers = json.loads(lab.vtysh("show bfd peers json"))
    assert {one["peer"]: one["status"] for one in peers} == dict.fromkeys(nodes(lab), "up")
    counted = lab.run(lab.router, "nft list chain inet fw4 input_nodes")
    assert "!fw4: VIPCAST-BFD-nodes" in counted and "!fw4: VIPCAST-BGP-nodes" in counted


def test_a_second_rollout_changes_nothing_and_proves_it(
    lab: Lab, services: dict[str, str], tmp_path: Path
) -> None:
    report = tmp_path / "verify.json"
    run = lab.playbook("site", verify_report_path=str(report)).expect()
    assert run.changed == {}
    assert json.loads(report.read_text())["lines"]


def test_drift_is_found_and_repaired(lab: Lab, services: dict[str, str], tmp_path: Path) -> None:
    lab.run(
        lab.router,
        "uci delete firewall.vipcast_bgp_nodes; uci commit firewall; /etc/init.d/firewall reload; "
        "/etc/init.d/frr disable; rm /etc/sysctl.d/99-vipcast.conf",
    )
    path = tmp_path / "drift.json"
    lab.playbook("drift", drift_report_path=str(path)).expect(2)
    found = {row["what"] for row in json.loads(path.read_text())["drift"]}
    assert {"rule vipcast_bgp_nodes", "FRR", "net.ipv4.fib_multipath_hash_policy"} <= found
    lab.playbook("site").expect()
    lab.playbook("drift", drift_report_path=str(path)).expect()
    assert has_all(lab, services)


def test_the_router_is_as_it_was_after_a_reboot(lab: Lab, services: dict[str, str]) -> None:
    lab.power(lab.router, "off")
    lab.power(lab.router, "on")
    assert eventually(lambda: has_all(lab, services), timeout=90)
    assert lab.playbook("site").expect().changed == {}


def test_a_removal_leaves_the_router_as_it_was_found(lab: Lab, services: dict[str, str]) -> None:
    tree = Path(lab.description["trees"]["openwrt"])
    disk = lab.folder / "hosts" / lab.router / "root"
    try:
        lab.playbook("remove", remove_confirmed=True).expect()
        of_packages = brought(lab)
        assert flash(disk, of_packages) == flash(tree, of_packages)
        assert (disk / "etc/frr/daemons").read_bytes() == packed(lab, tree)
        routes = json.loads(lab.run(lab.router, "ip -j route"))
        assert sorted(route["dst"] for route in routes) == SEGMENTS
        assert lab.playbook("remove", remove_confirmed=True).expect().changed == {}
    finally:
        lab.playbook("site").expect()
    assert eventually(lambda: has_all(lab, services), timeout=60)
