# SPDX-License-Identifier: GPL-3.0-or-later
"""A router with quagga is configured, checked, undone, saved and asked as one with FRR is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._router import backup, settings
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.converge import (
    Options,
    Outcome,
    converge,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.dialects import of, quagga
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.errors import Reason, Refusal
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.gather import gather
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.intent import intent_from
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.shell import Vtysh

from . import quagga_vtysh
from .local_shell import local_shell

NODES = ["10.31.8.1", "10.31.8.11", "10.31.8.12"]
DECLARED: dict[str, Any] = {
    "asn": 64512,
    "router_id": "10.31.254.251",
    "neighbors": [{"address": address, "remote_as": 64513} for address in NODES],
    "prefixes": [{"prefix": "10.9.0.0/16"}],
    "maximum_paths": 3,
    "maximum_prefix": 100,
    "timers": {"hold": 9, "keepalive": 3, "connect": 5},
    "local_terminals": True,
}


# As OpenWrt's packages leave it.
STOCK = ["password zebra", "access-list vty permit 127.0.0.0/8", "access-list vty deny any"]
FILES = {name: {"": STOCK, "line vty": ["access-class vty"]} for name in ("bgpd", "zebra")}
GATHER = "ansible_collections.vipcast.baremetal.plugins.module_utils._router.gather"


class Router:
    """A quagga that is a program of ours, and what a person would look at on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scripts: list[str] = []
        self.start(FILES)
        (folder / ".history_quagga").write_text("show version\n")
        self.program = folder / "vtysh"
        self.program.write_text(
            f'#!/bin/sh\nexec {sys.executable} -IS {quagga_vtysh.__file__} {folder} "$@"\n'
        )
        self.program.chmod(0o755)

    def start(self, state: dict[str, Any]) -> None:
        (self.folder / "state.json").write_text(json.dumps(state))

    def state(self) -> dict[str, dict[str, list[str]]]:
        return json.loads((self.folder / "state.json").read_text())

    def vtysh(self) -> Vtysh:
        return Vtysh(local_shell(True, self.scripts), str(self.program))

    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()

    def converge(self, check: bool = False, save: bool = False, **changes: Any) -> Outcome:
        """Nothing is saved unless a test says so, for the files are those of the machine."""
        intent = intent_from({**DECLARED, **changes})
        options = Options(check=check, save=save, confirm_timeout=0)
        return converge(self.vtysh(), intent, options)


@pytest.fixture
def router(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Router:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(backup, "FOLDER", str(tmp_path / "before"))
    # The account's home, which is where vtysh looks, is that of whoever runs the tests.
    monkeypatch.setattr(quagga, "_TELL", quagga._TELL.replace('$(eval echo "~$(id -un)")', "$HOME"))
    return Router(tmp_path)


def test_from_the_packages_files_to_what_is_declared(router: Router) -> None:
    found = router.converge()
    state = router.state()

    missing = [entry["what"] for entry in found.drift if entry["found"] == "missing"]
    assert found.changed and "neighbor 10.31.8.11" in missing
    lines = state["bgpd"]["router bgp 64512"]
    assert "maximum-paths 3" in lines and "bgp router-id 10.31.254.251" in lines
    for address in NODES:
        assert f"neighbor {address} remote-as 64513" in lines
        assert f"neighbor {address} timers 3 9" in lines and f"neighbor {address} timers connect 5" in lines
        assert f"neighbor {address} route-map VIPCAST-IN in" in lines
        assert f"neighbor {address} route-map VIPCAST-OUT out" in lines
        assert f"neighbor {address} soft-reconfiguration inbound" in lines
        assert f"neighbor {address} maximum-prefix 100" in lines
    for daemon in ("bgpd", "zebra"):
        assert "ip prefix-list VIPCAST-POOLS seq 5 permit 10.9.0.0/16 ge 32" in state[daemon][""]
        assert state[daemon]["route-map VIPCAST-IN permit 10"] == [
            "match ip address prefix-list VIPCAST-POOLS"
        ]
        assert "route-map VIPCAST-OUT deny 10" in state[daemon]


def test_a_second_run_does_nothing(router: Router) -> None:
    router.converge()
    before = router.state()
    again = router.converge()

    assert (again.commands, again.drift, again.changed) == ([], [], False)
    assert router.state() == before


def test_check_mode_enters_nothing(router: Router) -> None:
    before = router.state()
    found = router.converge(check=True)

    assert found.changed and found.commands and "quagga" not in found.before
    assert router.state() == before


def test_terminals_of_both_daemons(router: Router) -> None:
    """A foreign access list stays in force; the known password cannot be removed, and becomes another."""
    router.start({"zebra": {"": ["password zebra"], "line vty": []}, "bgpd": FILES["bgpd"]})
    found = router.converge()
    now = router.state()

    assert now["bgpd"]["line vty"] == ["access-class vty", "ipv6 access-class VIPCAST-VTY"]
    assert now["zebra"]["line vty"] == ["access-class VIPCAST-VTY", "ipv6 access-class VIPCAST-VTY"]
    assert "access-list VIPCAST-VTY permit 127.0.0.0/8" in now["zebra"][""]
    assert ("access-class", "line vty of zebra", "VIPCAST-VTY", "none") in [
        tuple(entry.values()) for entry in found.drift
    ]
    passwords = [line for half in now.values() for line in half[""] if line.startswith("password ")]
    assert len(passwords) == 2 and "password zebra" not in passwords
    assert not any(line.split()[1] in str(found) for line in passwords)
    assert router.converge().drift == []


def test_an_access_list_in_another_order(router: Router) -> None:
    router.converge()
    state = router.state()
    state["bgpd"][""] += ["access-list VIPCAST-VTY permit 192.0.2.0/24"]
    state["bgpd"]["line vty"] = ["access-class VIPCAST-VTY", "ipv6 access-class VIPCAST-VTY"]
    router.start(state)
    found = router.converge()

    assert "no access-list VIPCAST-VTY permit 192.0.2.0/24" in found.commands
    assert "access-list VIPCAST-VTY permit 192.0.2.0/24" not in router.state()["bgpd"][""]
    assert router.converge().drift == []


def test_a_list_that_only_one_daemon_has(router: Router) -> None:
    """The merged configuration does not show it, and zebra's refusal would keep bgpd from being told."""
    router.converge()
    state = router.state()
    entry = "ip prefix-list VIPCAST-POOLS seq 5 permit 10.9.0.0/16 ge 32"
    state["bgpd"][""].remove(entry)
    router.start(state)
    found = router.converge()

    assert found.commands == [entry]
    assert found.drift == [
        {
            "what": "ip prefix-list VIPCAST-POOLS",
            "where": "running configuration",
            "expected": "permit 10.9.0.0/16 ge 32",
            "found": "missing",
        }
    ]
    state["zebra"][""].remove(entry)
    state["bgpd"][""].append(entry)
    router.start(state)
    found = router.converge()
    assert found.commands == [quagga.MARK, entry]
    assert found.drift[0]["where"] == "running configuration of zebra"


def test_one_path_needs_no_line_and_eight_do(router: Router) -> None:
    """quagga's default is one, and not what it was built for."""
    router.converge(maximum_paths=8)
    assert "maximum-paths 8" in router.state()["bgpd"]["router bgp 64512"]
    router.start(FILES)
    router.converge(maximum_paths=1)
    assert not [line for line in router.state()["bgpd"]["router bgp 64512"] if "maximum-paths" in line]
    assert router.converge(maximum_paths=1).drift == []


def test_what_quagga_does_not_have_is_named_and_left_out(router: Router) -> None:
    node = {"address": NODES[0], "remote_as": 64513, "bfd_profile": "fast", "graceful_restart": True}
    options = {"neighbors": [node], "bfd_profiles": [{"name": "fast"}]}
    found = router.converge(**options)

    assert not [line for line in found.commands if "bfd" in line or "graceful" in line]
    assert ["quagga has no BFD" in found.warnings[0], "quagga has no line for" in found.warnings[1]] == [
        True
    ] * 2
    assert NODES[0] in found.warnings[0] and "(9 s)" in found.warnings[0]
    assert router.converge(**options).drift == []


def test_ipv4_routes_over_an_ipv6_session_are_refused(router: Router) -> None:
    node = {"address": "fd00::1", "remote_as": 64513, "families": ["ipv4", "ipv6"]}
    with pytest.raises(Refusal, match="RFC 8950") as refused:
        router.converge(neighbors=[node])
    assert refused.value.reason is Reason.NOT_SUPPORTED


def test_ipv6_has_its_filters_in_bgpd_alone(router: Router) -> None:
    node = {"address": "fd00::1", "remote_as": 64513}
    router.converge(neighbors=[node], prefixes=[{"prefix": "fd00:9::/64"}])
    state = router.state()

    assert "neighbor fd00::1 route-map VIPCAST-IN in" in state["bgpd"]["router bgp 64512 / ipv6"]
    assert "no neighbor fd00::1 activate" in state["bgpd"]["router bgp 64512"]
    rule = "route-map VIPCAST-IN permit 20"
    assert state["bgpd"][rule] == ["match ipv6 address prefix-list VIPCAST-POOLS"]
    assert state["zebra"][rule] == []
    assert router.converge(neighbors=[node], prefixes=[{"prefix": "fd00:9::/64"}]).drift == []


def test_lines_are_parsed_before_any_is_entered(router: Router) -> None:
    """The first look is at bgpd's lines, with bgpd out of reach."""
    before = router.state()
    vtysh = router.vtysh()
    with pytest.raises(Refusal) as refused:
        of(vtysh).check("", ["router bgp 64512", " maximum-paths 9", "exit", quagga.MARK, "line vty"])

    assert refused.value.reason is Reason.SYNTAX
    assert "'maximum-paths 9': % Unknown command." in str(refused.value)
    assert router.state() == before


def test_another_as_says_so_with_exit_status_0(router: Router) -> None:
    router.converge()
    before = router.state()
    dialect = of(router.vtysh())
    with pytest.raises(Refusal, match="'router bgp 64600': BGP is already running; AS is 64512") as refused:
        dialect.enter(["router bgp 64600", "exit"])
    assert refused.value.reason is Reason.REFUSED
    assert router.state() == before
    with pytest.raises(Refusal, match="already runs 'router bgp 64512'"):
        router.converge(asn=64600)


def test_what_was_taken_of_a_change_is_undone(router: Router) -> None:
    router.converge()
    before = router.state()
    (router.folder / "refuse").write_text("remote-as 64999")
    # Not at the first look, which would be before anything was entered.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quagga.Quagga, "check", lambda *_arguments: [])
        with pytest.raises(Refusal) as refused:
            router.converge(
                neighbors=[*DECLARED["neighbors"], {"address": "10.31.8.77", "remote_as": 64999}],
                prefixes=[{"prefix": "10.8.0.0/16"}],
            )

    assert "bgpd: 'neighbor 10.31.8.77 remote-as 64999': % Unknown command." in str(refused.value)
    assert "What had been applied was undone; nothing was saved" in str(refused.value)
    after = router.state()
    assert {name: settings.read("\n".join(half[""])).settings for name, half in after.items()} == {
        name: settings.read("\n".join(half[""])).settings for name, half in before.items()
    }


def test_changed_filters_are_applied_to_routes_that_are_there(router: Router) -> None:
    router.converge()
    router.asked()
    (router.folder / "asked").unlink()
    router.converge(prefixes=[{"prefix": "10.8.0.0/16"}])
    cleared = [command for command in router.asked() if command.startswith("clear ")]
    assert cleared == [f"clear ip bgp {address} soft in" for address in NODES]


def test_new_neighbors_need_no_refresh() -> None:
    after = settings.read(
        "router bgp 1\n neighbor 10.0.0.1 remote-as 2\n neighbor 10.0.0.1 route-map M in\n"
        "route-map M deny 10\n"
    ).settings
    six = settings.read(
        "router bgp 1\n neighbor fd00::1 remote-as 2\n"
        " address-family ipv6\n neighbor fd00::1 route-map M out\n"
    ).settings

    assert quagga.refreshing({}, after) == []
    assert quagga.refreshing(six, {**six, ("route-map", "M", "10"): "deny"}) == ["clear bgp fd00::1 soft out"]


def test_everything_goes_from_both_daemons(router: Router) -> None:
    router.converge()
    gone = router.converge(state="absent")
    state = router.state()

    assert gone.changed and "VIPCAST" not in json.dumps(state)
    assert "router bgp 64512" not in state["bgpd"]
    assert router.converge(state="absent").drift == []


def test_secrets_go_nowhere_but_to_the_daemon(router: Router) -> None:
    nodes = [{"address": NODES[0], "remote_as": 64513, "password": "s3cret?"}]
    found = router.converge(neighbors=nodes)

    assert f"neighbor {NODES[0]} password s3cret?" in router.state()["bgpd"]["router bgp 64512"]
    assert not [script for script in router.scripts if "s3cret" in script]
    assert "s3cret" not in str(found)
    assert (router.folder / ".history_quagga").read_text() == "show version\n"


def test_saved_is_what_each_daemon_says_it_saved(router: Router) -> None:
    dialect = of(router.vtysh())
    dialect.save()
    (router.folder / "lost").touch()
    with pytest.raises(Refusal, match="did not save bgpd") as refused:
        dialect.save()
    assert refused.value.reason is Reason.NOT_SAVED


def test_facts_in_the_shape_of_frrs(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{GATHER}._machine", _none)
    router.converge()
    found = gather(router.vtysh(), ["10.9.1.1/32"], None)

    assert (found["software"], found["version"], found["maximum_paths_limit"]) == ("quagga", "1.2.3", 64)
    assert (found["asn"], found["router_id"]) == (64512, "10.31.254.251")
    assert [(one["address"], one["reason"]) for one in found["sessions"]] == [
        (node, "healthy") for node in NODES
    ]
    route = found["routes"][0]
    assert route["next_hops"] == route["fib"]["next_hops"] == NODES and route["consistent"]
    assert found["configuration"]["maximum_paths"] == {"ipv4 ebgp": 3}


def _none(*_arguments: object) -> dict[str, Any]:
    hops = [{"gateway": node} for node in NODES]
    return {
        "routes": {"10.9.1.1/32": {"next_hops": hops}},
        "source": "json",
        **dict.fromkeys(("hash_policy_ipv4", "hash_policy_ipv6", "forwarding_ipv4", "forwarding_ipv6")),
    }


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("Quagga 1.1.1 ().\n", "quagga 1.2 is needed"),
        ("FRRouting 7.3 (r).\n", "FRR 7.4 or later is needed"),
    ],
)
def test_versions_that_are_too_old(router: Router, said: str, problem: str) -> None:
    router.program.write_text(f"#!/bin/sh\nprintf '{said}'\n")
    with pytest.raises(Refusal, match=problem) as refused:
        of(router.vtysh())
    assert refused.value.reason is Reason.NOT_FRR


OUTPUT = """Hello, this is Quagga (version 1.2.3).
Copyright 1996-2005 Kunihiro Ishiguro, et al.

OpenWrt# terminal length 0
OpenWrt# configure terminal
OpenWrt(config)# router bgp 64600
BGP is already running; AS is 64512
OpenWrt(config)# neighbor 10.0.0.1 password hunter2
% Unknown command.
OpenWrt(config-router)# neighbor 10.0.0.1 activate
OpenWrt(config-router)# end
"""


def test_answers_in_a_terminal() -> None:
    assert quagga.refusals(OUTPUT) == [
        "'router bgp 64600': BGP is already running; AS is 64512",
        "'neighbor 10.0.0.1 password ********': % Unknown command.",
    ]


def test_the_recorded_files_are_read_as_they_are() -> None:
    folder = quagga_vtysh.FIXTURES
    halves = [(folder / f"file_{name}.conf").read_text() for name in ("bgpd", "zebra")]
    found = quagga.Quagga(None, 8).read(f"{halves[0]}\n{quagga.MARK}\n{halves[1]}")  # type: ignore[arg-type]

    assert found.asn == 64512
    assert found.settings[("access-list", "ip", "vty", "10")] == "deny any"
    assert found.settings[("vty", "access-class")] == "vty"
    assert ("zebra", "vty", "access-class") not in found.settings
    assert found.settings[("zebra", "prefix-list", "ip", "VIPCAST-POOLS", "5")] == "permit 10.9.0.0/16 ge 32"
    assert found.settings[settings.family_key("ipv6 unicast", "10.31.8.1", "activate")] == "yes"
