# SPDX-License-Identifier: GPL-3.0-or-later
"""A router that other people use as well: their settings, sessions, groups and clusters."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from .machine import NODES, Machine
from .play import Player

FIRST, SECOND, THIRD = NODES.values()
INSTANCE = "router bgp 64512"
IN_FAMILY = "address-family ipv4 unicast"


@pytest.fixture
def used(router: Machine) -> Iterator[Machine]:
    """The router with an instance of other people's, in which n1 plays an internet provider."""
    router.configure("no router bgp 64512")
    router.configure(
        INSTANCE,
        "bgp router-id 192.0.2.254",
        "no bgp ebgp-requires-policy",
        f"neighbor {FIRST} remote-as 64513",
        IN_FAMILY,
        "maximum-paths 32",
    )
    router.wait_established(FIRST, accepted=4)
    yield router
    router.sh("rm -rf /etc/vipcast-before")
    router.configure("no router bgp 64512")


def without_first(intent: dict[str, Any]) -> dict[str, Any]:
    """Return the declaration without the first node and without a router ID."""
    return {**intent, "router_id": None, "neighbors": intent["neighbors"][1:]}


def dropped(router: Machine, address: str) -> int:
    return int(router.sessions()[address]["connectionsDropped"])


def test_what_belongs_to_the_instance_stays(used: Machine, player: Player, intent: dict[str, Any]) -> None:
    answer = player.task("bgp_router", **without_first(intent))
    assert answer.result["changed"], answer.output
    used.wait_established(SECOND, THIRD)
    running = used.running()

    assert "bgp router-id 192.0.2.254" in running
    assert "maximum-paths 32" in running
    assert dropped(used, FIRST) == 0
    assert f"{INSTANCE} / no bgp ebgp-requires-policy" in answer.result["foreign"]["bgp_lines"]
    assert player.task("bgp_router", check=True, **without_first(intent)).drift == []


@pytest.mark.parametrize("change", [{"router_id": "10.31.254.251"}, {"asn": 64600, "replace_as": True}])
def test_a_change_that_ends_the_sessions_of_others_is_refused(
    used: Machine, player: Player, intent: dict[str, Any], change: dict[str, Any]
) -> None:
    before = used.running()
    refused = player.task("bgp_router", **{**without_first(intent), **change})

    assert refused.result["reason"] == "resets_sessions", refused.output
    assert FIRST in refused.result["msg"]
    assert used.running() == before
    assert dropped(used, FIRST) == 0

    allowed = player.task("bgp_router", **{**without_first(intent), **change, "reset_sessions": True})
    assert allowed.result["changed"], allowed.output


def test_the_configuration_from_before_is_kept(used: Machine, player: Player, intent: dict[str, Any]) -> None:
    used.configure(INSTANCE, f"neighbor {FIRST} description the provider")
    used.sh("rm -rf /etc/vipcast-before")
    answer = player.task("bgp_router", **without_first(intent))
    player.task("bgp_router", **{**without_first(intent), "maximum_prefix": 99})
    kept = used.sh(f"cat {answer.result['backup']}")

    assert "description the provider" in kept
    assert f"neighbor {SECOND}" not in kept
    assert used.sh(f"stat -c %a {answer.result['backup']}").strip() == "600"


TERMINALS = {
    "ip access-list BLUE-VTY",
    "ipv6 access-list BLUE-VTY",
    "access-class",
    "ipv6 access-class",
}


def test_a_restart_that_ends_the_sessions_of_others_is_refused(
    router_without_bfd: Machine, player: Player
) -> None:
    """zebra's options are its terminal's address: it has to start anew, and with it all of FRR."""
    router = router_without_bfd
    wanted: dict[str, Any] = {"daemons": ["bgpd", "bfdd"], "service": "script"}
    right = router.sh("cat /etc/frr/daemons")
    router.sh("sed -i 's/^zebra_options=.*/zebra_options=\"-A 0.0.0.0\"/' /etc/frr/daemons")
    before = router.sh("cat /etc/frr/daemons")
    refused = player.task("frr_daemon", own_neighbors=[SECOND, THIRD], **wanted)
    after = router.sh("cat /etc/frr/daemons")
    ours = player.task("frr_daemon", check=True, own_neighbors=list(NODES.values()), **wanted)
    router.sh(f"cat > /etc/frr/daemons <<'END'\n{right}END")

    assert refused.result["reason"] == "resets_sessions", refused.output
    assert f"ends what is not ours: {FIRST}." in refused.result["msg"]
    assert after == before
    assert ours.result["restarted"], "check mode says so"
    assert ours.result["warnings"] == ["FRR is restarted, and all that runs in it: bgpd."]
    assert dropped(router, FIRST) == 0


def test_a_daemon_more_is_started_alone(router_without_bfd: Machine, player: Player) -> None:
    """Daemons that run go on, with the sessions of others, and the new one is watched like them."""
    router = router_without_bfd
    wanted: dict[str, Any] = {"daemons": ["bgpd", "bfdd"], "service": "script"}
    running = "pidof zebra bgpd staticd"
    before = router.sh(running)
    looked = player.task("frr_daemon", check=True, **wanted)
    done = player.task("frr_daemon", **wanted)
    again = player.task("frr_daemon", check=True, **wanted)
    after = router.sh(running)
    watched = router.vtysh("show watchfrr").split()

    assert done.result["changed"], done.output
    assert not looked.result["restarted"] and not done.result["restarted"]
    assert looked.drift == done.drift
    assert again.drift == []
    assert after == before
    assert [dropped(router, address) for address in NODES.values()] == [0, 0, 0]
    assert watched[watched.index("bfdd") + 1] == "Up", "somebody starts it again when it ends"


def test_a_daemon_that_ended_is_started_alone(router: Machine, player: Player) -> None:
    """watchfrr waits for some seconds before it starts a daemon again; here it has not begun to."""
    router.sh("vtysh -c 'watchfrr ignore staticd'; kill -9 $(pidof staticd)")
    before = router.sh("pidof zebra bgpd")
    done = player.task("frr_daemon", daemons=["bgpd", "staticd"], service="script")

    assert ("staticd", "services", "running", "stopped") in done.drift, done.output
    assert not done.result["restarted"]
    assert router.sh("pidof zebra bgpd") == before
    assert "staticd" in router.vtysh("show daemons")


def test_a_default_instance_beside_one_in_a_vrf_is_asked_for(
    router: Machine, player: Player, intent: dict[str, Any]
) -> None:
    router.configure("no router bgp 64512")
    router.configure("router bgp 64999 vrf red", "neighbor 192.0.2.9 remote-as 64998")
    before = router.running()
    refused = player.task("bgp_router", **intent)
    unchanged = router.running() == before
    allowed = player.task("bgp_router", default_instance=True, **intent)
    again = player.task("bgp_router", check=True, **intent)
    after = router.running()
    router.configure("no router bgp 64512")
    router.configure("no router bgp 64999 vrf red")

    assert refused.result["reason"] == "vrf_only", refused.output
    assert "'router bgp 64999 vrf red' only" in refused.result["msg"]
    assert unchanged
    assert allowed.result["changed"], allowed.output
    assert {"router bgp 64512", "router bgp 64999 vrf red"} <= set(after.splitlines())
    assert again.drift == [], "once it is there nobody asks again"


# -- two clusters -----------------------------------------------------------------------------------------


def test_two_clusters_leave_each_other_alone(router: Machine, player: Player, intent: dict[str, Any]) -> None:
    blue = {
        **intent,
        "router_id": None,
        "neighbors": [{"address": "10.31.9.9", "remote_as": 64520}],
        "prefixes": [{"prefix": "10.19.0.0/16"}],
        "maximum_paths": 5,
    }
    before = router.running()
    refused = player.task("bgp_router", **blue)
    nothing = player.task("bgp_router", **{**blue, "state": "absent"})
    assert refused.result["reason"] == "name_taken", refused.output
    assert not nothing.result["changed"]
    assert router.running() == before

    blue["name"] = "BLUE"
    assert player.task("bgp_router", **blue).result["changed"]
    assert player.task("bgp_router", check=True, **intent).drift == []
    assert player.task("bgp_router", check=True, **blue).drift == []
    both = router.running()

    assert player.task("bgp_router", **{**intent, "state": "absent"}).result["in_use"]
    left = player.task("bgp_router", check=True, **blue)
    assert {entry[0] for entry in left.drift} == TERMINALS, "whose list came first is whose it was"
    assert "10.31.9.9" in router.running()
    assert "VIPCAST-IN" in both
    assert "VIPCAST-IN" not in router.running()
    player.task("bgp_router", **{**blue, "state": "absent"})


# -- groups and ranges ------------------------------------------------------------------------------------


@pytest.fixture
def grouped(router: Machine) -> Iterator[Machine]:
    """The router as the usual advice for load balancers has it: a listen range, and no node of its own."""
    router.configure("no router bgp 64512")
    router.configure(
        INSTANCE,
        "bgp router-id 10.31.254.251",
        "neighbor NODES peer-group",
        "neighbor NODES remote-as 64513",
        "bgp listen range 10.31.8.0/24 peer-group NODES",
    )
    yield router
    router.configure("no router bgp 64512")


def test_a_listen_range_is_adopted(grouped: Machine, player: Player, intent: dict[str, Any]) -> None:
    answer = player.task("bgp_router", **intent)
    assert answer.result["changed"], answer.output
    grouped.wait_established(*NODES.values())
    running = grouped.running()

    assert not [line for line in running.splitlines() if "neighbor 10.31.8" in line]
    assert "neighbor NODES route-map VIPCAST-IN in" in running
    assert "10.9.2.0/24" not in grouped.vtysh("show bgp ipv4 unicast")
    assert player.task("bgp_router", check=True, **intent).drift == []
    fewer = {**intent, "neighbors": intent["neighbors"][:1]}
    assert player.task("bgp_router", check=True, **fewer).drift == []

    found = player.task("bgp_router_info", prefixes=["10.9.1.1/32"]).result
    assert {one["address"]: one["reason"] for one in found["sessions"]} == dict.fromkeys(
        NODES.values(), "healthy"
    )
    assert len(found["routes"][0]["kernel"]["next_hops"] or NODES) == len(NODES)

    gone = player.task("bgp_router", **{**intent, "state": "absent"})
    assert gone.result["in_use"], gone.output
    assert "bgp listen range 10.31.8.0/24 peer-group NODES" in grouped.running()
    assert "VIPCAST" not in grouped.running()


def test_a_listen_range_is_replaced_on_demand(
    grouped: Machine, player: Player, intent: dict[str, Any]
) -> None:
    deadline = time.monotonic() + 40
    while len(grouped.sessions()) < len(NODES) and time.monotonic() < deadline:
        time.sleep(0.2)
    answer = player.task("bgp_router", covered_neighbors="replace", **intent)
    assert answer.result["changed"], answer.output
    grouped.wait_established(*NODES.values())

    assert "listen range" not in grouped.running()
    assert player.task("bgp_router", check=True, covered_neighbors="replace", **intent).drift == []


def test_members_of_a_group_leave_it_on_demand(
    grouped: Machine, player: Player, intent: dict[str, Any]
) -> None:
    grouped.configure(
        INSTANCE,
        "no bgp listen range 10.31.8.0/24 peer-group NODES",
        *(f"neighbor {address} peer-group NODES" for address in NODES.values()),
    )
    adopted = player.task("bgp_router", **intent)
    assert adopted.result["changed"], adopted.output
    grouped.wait_established(*NODES.values())
    assert player.task("bgp_router", check=True, **intent).drift == []

    answer = player.task("bgp_router", covered_neighbors="replace", **intent)
    assert answer.result["changed"], answer.output
    grouped.wait_established(*NODES.values())
    assert f"neighbor {FIRST} remote-as 64513" in grouped.running()
    assert player.task("bgp_router", check=True, covered_neighbors="replace", **intent).drift == []


def test_ranges_of_our_own(router: Machine, player: Player, intent: dict[str, Any]) -> None:
    ranges = {**intent, "listen_ranges": ["10.31.8.0/24"]}
    answer = player.task("bgp_router", **ranges)
    assert answer.result["changed"], answer.output
    router.wait_established(*NODES.values())
    running = router.running()
    fewer = player.task("bgp_router", check=True, **{**ranges, "neighbors": intent["neighbors"][:1]})

    assert not [line for line in running.splitlines() if "neighbor 10.31.8" in line]
    assert fewer.drift == []
    assert "10.9.2.0/24" not in router.vtysh("show bgp ipv4 unicast")

    back = player.task("bgp_router", **intent)
    assert back.result["changed"], back.output
    router.wait_established(*NODES.values())
    assert "VIPCAST-NODES" not in router.running()
    assert player.task("bgp_router", check=True, **intent).drift == []


# -- lines in the way -------------------------------------------------------------------------------------


def test_an_instance_that_is_shut_down_is_named(
    router: Machine, player: Player, intent: dict[str, Any]
) -> None:
    router.configure(INSTANCE, "bgp shutdown message planned")
    seen = player.task("bgp_router", check=True, **intent)
    again = player.task("bgp_router", **intent)
    asked = player.task("bgp_router_info", prefixes=[])
    router.configure(INSTANCE, "no bgp shutdown")
    router.wait_established(*NODES.values())

    # FRR shows no message.
    assert [entry[0] for entry in seen.drift] == ["bgp shutdown"]
    assert not again.result["changed"], "it is others' to end"
    assert [one["line"] for one in asked.result["obstacles"]] == ["bgp shutdown"]
    assert "'bgp shutdown'" in asked.result["sessions"][0]["explanation"]


def test_neighbors_are_not_shut_down_by_default(
    router: Machine, player: Player, intent: dict[str, Any]
) -> None:
    router.configure(INSTANCE, "bgp default shutdown", f"no neighbor {SECOND}")
    answer = player.task("bgp_router", **intent)
    assert answer.result["changed"], answer.output
    router.wait_established(*NODES.values())
    router.configure(INSTANCE, "no bgp default shutdown")


@pytest.mark.parametrize(
    ("line", "family"),
    [
        ("local-as 65000 no-prepend replace-as", False),
        ("port 1179", False),
        ("dont-capability-negotiate", False),
        ("override-capability", False),
        ("allowas-in 5", True),
        ("default-originate", True),
        ("next-hop-self", True),
        ("weight 5", True),
    ],
)
def test_what_contradicts_the_declaration_is_named_and_goes(
    router: Machine, player: Player, intent: dict[str, Any], line: str, family: bool
) -> None:
    router.configure(INSTANCE, *([IN_FAMILY] if family else []), f"neighbor {SECOND} {line}")
    assert f"neighbor {SECOND} {line}" in router.running()
    answer = player.task("bgp_router", **intent)
    router.wait_established(*NODES.values())

    assert [entry[0] for entry in answer.drift] == [f"{line} of neighbor {SECOND}"], answer.output
    assert f"neighbor {SECOND} {line}" not in router.running()
    assert player.task("bgp_router", check=True, **intent).drift == []


# -- what the daemons start from --------------------------------------------------------------------------


def test_files_of_the_daemons_own_are_compared(
    router: Machine, player: Player, intent: dict[str, Any]
) -> None:
    router.sh(
        "echo 'no service integrated-vtysh-config' > /etc/frr/vtysh.conf; mv /etc/frr/frr.conf /etc/frr/away"
    )
    try:
        saved = player.task("bgp_router", **intent)
        again = player.task("bgp_router", **intent)
        written = router.sh("cat /etc/frr/bgpd.conf")
        router.sh("sed -i '/neighbor 10.31.8.12/d' /etc/frr/bgpd.conf")
        differs = player.task("bgp_router", check=True, **intent)
        router.sh("cp /etc/frr/away /etc/frr/frr.conf")
        not_kept = player.task("bgp_router", **intent)
    finally:
        router.sh("rm -f /etc/frr/vtysh.conf /etc/frr/*d.conf /etc/frr/zebra.conf; touch /etc/frr/vtysh.conf")
        router.sh("rm -f /etc/frr/away; vtysh -c 'write memory'")

    assert saved.drift[0][0] == "saved configuration"
    assert (again.drift, again.result["changed"]) == ([], False)
    assert f"neighbor {SECOND} remote-as 64513" in written
    assert differs.drift == [
        ("saved configuration", "startup file", "the same as the running configuration", "different")
    ]
    assert not_kept.drift[0][2] == "in /etc/frr/frr.conf, which the daemons start from"
    assert not not_kept.result["changed"]


def test_the_daemons_start_from_the_integrated_file_where_it_is_there(
    router: Machine, player: Player
) -> None:
    """The fact that the comparison rests on."""
    router.sh(
        "echo 'no service integrated-vtysh-config' > /etc/frr/vtysh.conf; vtysh -c 'write memory'; "
        "sed -i 's/description n2/description other/' /etc/frr/frr.conf; chown frr:frr /etc/frr/*.conf; "
        "/usr/lib/frr/frrinit.sh restart < /dev/null > /dev/null 2>&1"
    )
    deadline = time.monotonic() + 30
    while "10.31.8.11 description" not in router.running() and time.monotonic() < deadline:
        time.sleep(0.5)
    running = router.running()
    router.sh("rm -f /etc/frr/*d.conf /etc/frr/zebra.conf; : > /etc/frr/vtysh.conf")

    assert f"neighbor {SECOND} description other" in running


# -- taking back ------------------------------------------------------------------------------------------


@pytest.fixture
def cut_off(router: Machine) -> Iterator[Machine]:
    """A router whose shell is gone as soon as lines were entered."""
    whole = router.shell_path.read_text()
    entered = router.shell_path.with_name("entered")
    router.shell_path.write_text(
        f"#!/bin/sh\n[ -e {entered} ] && exit 255\n"
        f'case "$*" in *mktemp\\ -d*) ;; *"vtysh -f "*) touch {entered};; esac\n' + whole.partition("\n")[2]
    )
    yield router
    router.shell_path.write_text(whole)
    entered.unlink(missing_ok=True)


def test_a_change_that_cuts_us_off_is_taken_back(
    cut_off: Machine, player: Player, intent: dict[str, Any]
) -> None:
    whole = cut_off.shell_path.read_text()
    before = cut_off.running()
    changed = {**intent, "maximum_prefix": 77, "confirm_timeout": 8}
    player.task("bgp_router", **changed)
    cut_off.shell_path.with_name("entered").unlink()
    cut_off.shell_path.write_text("\n".join(line for line in whole.splitlines() if "entered" not in line))
    during = cut_off.running()
    deadline = time.monotonic() + 20
    while cut_off.running() != before and time.monotonic() < deadline:
        time.sleep(0.5)

    assert "maximum-prefix 77" in during
    assert cut_off.running() == before
    assert cut_off.sh("ls -d /tmp/vipcast*", check=False) == ""


def test_a_change_that_is_confirmed_stays(router: Machine, player: Player, intent: dict[str, Any]) -> None:
    player.task("bgp_router", **{**intent, "maximum_prefix": 77, "confirm_timeout": 2})
    time.sleep(4)
    running, left = router.running(), router.sh("ls -d /tmp/vipcast*", check=False)
    player.task("bgp_router", **intent)

    assert "maximum-prefix 77" in running
    assert left == ""
