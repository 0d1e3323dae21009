# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of the role and options of router_sysctl, each on the real router."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .machine import NODES, Machine
from .play import Player

FORWARD, REDIRECTS = "net.ipv4.conf.br0.forwarding", "net.ipv4.conf.br0.accept_redirects"
FILE = "/etc/sysctl.d/10-mine.conf"


def value(router: Machine, name: str) -> str:
    return router.sh(f"cat /proc/sys/{name.replace('.', '/')}").strip()


@pytest.fixture
def redirects(router: Machine) -> Iterator[str]:
    """The sysctl of a test, which begins at 1; its file goes with the test."""
    router.sh(f"echo 1 > /proc/sys/{REDIRECTS.replace('.', '/')}")
    yield REDIRECTS
    router.sh(f"rm -f {FILE}; echo 1 > /proc/sys/{REDIRECTS.replace('.', '/')}")


def test_another_as_number_is_refused_until_it_may_be_replaced(router: Machine, player: Player) -> None:
    before = router.running()
    refused = player.role(vipcast_router_asn=64600)
    assert refused.rc == 2
    assert "already runs 'router bgp 64512' and 64600 is declared" in refused.output
    assert router.running() == before

    replaced = player.role(vipcast_router_asn=64600, router_replace_as=True)
    assert replaced.rc == 0, replaced.output
    assert "router bgp 64600" in router.running()
    assert "router bgp 64512" not in router.running()


def test_nothing_is_installed_beside_somebody_who_speaks_bgp(router: Machine, player: Player) -> None:
    """FRR in a container looks like that: there is no vtysh, and the port is answered."""
    vtysh = router.root / "usr/bin/vtysh"
    vtysh.rename(vtysh.with_name("vtysh-away"))
    try:
        refused = player.role()
    finally:
        vtysh.with_name("vtysh-away").rename(vtysh)
    assert refused.rc == 2
    assert "TCP port 179 is answered" in refused.output
    assert "router_vtysh_command" in refused.output


def test_frr_in_another_place_is_configured_through_standard_input(router: Machine, player: Player) -> None:
    """A program before vtysh takes the part of `docker exec -i frr`."""
    router.sh("ln -sf /proc/self/fd/0 /dev/stdin")
    router.configure("router bgp 64512", "no neighbor 10.31.8.11")
    answer = player.role(router_vtysh_command="env vtysh")
    assert answer.rc == 0, answer.output
    again = player.role(check=True, router_vtysh_command="env vtysh")
    router.wait_established(*NODES.values())

    assert ("neighbor 10.31.8.11", "router bgp 64512", "remote-as 64513", "missing") in answer.drift
    assert again.drift == []


def test_without_frr_nothing_is_installed_where_that_is_not_allowed(bare: Machine, player: Player) -> None:
    """Nothing can be either on this router, which has no package manager: the reasons differ."""
    router = bare
    vtysh = router.root / "usr/bin/vtysh"
    vtysh.rename(vtysh.with_name("vtysh-away"))
    try:
        forbidden = player.role(router_install=False)
        allowed = player.role(router_install=True)
    finally:
        vtysh.with_name("vtysh-away").rename(vtysh)
    assert (forbidden.rc, allowed.rc) == (2, 2)
    assert "FRR is not installed on the router (there is no vtysh), and may not be here" in forbidden.output
    assert "FRR is not installed, and none of " in allowed.output


def test_the_roles_sysctls_and_their_file_are_what_the_variables_say(
    router: Machine, player: Player, redirects: str
) -> None:
    said: dict[str, Any] = {"router_sysctls": {redirects: 0}, "router_sysctl_file": FILE}
    first, second = player.role(**said), player.role(**said)
    assert first.rc == 0, first.output
    assert [row[:3] for row in first.drift] == [(redirects, "kernel", "0"), (redirects, FILE, "0")]
    assert second.drift == []
    assert value(router, redirects) == "0"
    assert router.sh(f"cat {FILE}").splitlines()[-1] == f"{redirects} = 0"


def test_a_sysctl_is_tried_set_and_kept(router: Machine, player: Player, redirects: str) -> None:
    wanted: dict[str, Any] = {"values": {redirects: 0, FORWARD: 1}, "path": FILE}
    tried = player.task("router_sysctl", check=True, **wanted)
    assert tried.result["changed"]
    assert (value(router, redirects), router.sh(f"ls {FILE}", check=False)) == ("1", "")

    done = player.task("router_sysctl", **wanted)
    assert done.drift == tried.drift
    assert (redirects, "kernel", "0", "1") in done.drift
    # What the kernel has already is kept in the file all the same.
    assert [row[:2] for row in done.drift if row[0] == FORWARD] == [(FORWARD, FILE)]
    assert (value(router, redirects), value(router, FORWARD)) == ("0", "1")
    assert done.result["path"] == FILE
    assert f"kernel: {redirects} = 1" in done.result["diff"]["before"]

    again = player.task("router_sysctl", **wanted)
    assert (again.result["changed"], again.drift, again.result["left_out"]) == (False, [], [])


def test_other_lines_of_the_file_stay(router: Machine, player: Player, redirects: str) -> None:
    router.sh(f"printf '# ours\\nvm.swappiness=10\\n{redirects}=1\\n' > {FILE}")
    player.task("router_sysctl", values={redirects: 0}, path=FILE)
    lines = router.sh(f"cat {FILE}").splitlines()
    assert lines[:2] == ["# ours", "vm.swappiness=10"]
    assert [line.replace(" ", "") for line in lines[2:]] == [f"{redirects}=0"]


@pytest.mark.parametrize(
    ("values", "reason", "message"),
    [
        ({"net.ipv4.no_such_thing": 1}, "no_sysctl", "the router's kernel has no net.ipv4.no_such_thing"),
        ({"forwarding": 1}, "bad_option", "'forwarding' is no name of a sysctl"),
        ({FORWARD: "1; reboot"}, "bad_option", "is no value of a sysctl"),
        ({FORWARD: "1' > /x"}, "bad_option", "is no value of a sysctl"),
    ],
)
def test_what_is_no_sysctl_is_refused(
    router: Machine, player: Player, values: dict[str, Any], reason: str, message: str
) -> None:
    before = router.state()
    answer = player.task("router_sysctl", values=values, path=FILE)
    assert answer.result["failed"]
    assert answer.result["reason"] == reason
    assert message in answer.result["msg"]
    assert router.state() == before
    assert set(router.sessions()) == set(NODES.values())
