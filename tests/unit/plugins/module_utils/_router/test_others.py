# SPDX-License-Identifier: GPL-3.0-or-later
"""A router with a life of its own: what belongs to others, or to the whole instance, stays."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._router import (
    candidate,
    delta,
    notes,
    obstacles,
    report,
    resets,
    settings,
    startup,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.confirm import undo
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.dialects.frr import Frr
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.errors import Reason, Refusal
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.intent import intent_from
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.plan import plan
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.shell import Result, Shell, Vtysh

LIMIT = 64
NODES = [{"address": f"10.31.8.{last}", "remote_as": 64513} for last in (1, 11, 12)]
DECLARED: dict[str, Any] = {
    "asn": 64512,
    "default_router_id": "192.0.2.1",
    "neighbors": NODES,
    "prefixes": [{"prefix": "10.9.0.0/16"}],
    "maximum_paths": 3,
    "timers": {"hold": 9, "keepalive": 3, "connect": 5},
}
ISP = """frr version 8.4.4
router bgp 64512
 bgp router-id 192.0.2.254
 neighbor 203.0.113.1 remote-as 65000
 address-family ipv4 unicast
  maximum-paths 32
 exit-address-family
exit
"""


def declared(**changes: Any) -> Any:
    return intent_from({**DECLARED, **changes})


def commands(text: str, **changes: Any) -> list[str]:
    config = settings.read(text)
    return delta.commands(config.settings, plan(config, declared(**changes), LIMIT))


def after(text: str, **changes: Any) -> settings.Config:
    config = settings.read(text)
    return settings.apply(config, commands(text, **changes))


class Answers:
    """A router that answers `show bgp summary json` with an identifier, and refuses lines at vtysh -C."""

    def __init__(self, router_id: str = "192.0.2.254", bad: tuple[str, ...] = ()) -> None:
        self.router_id, self.bad = router_id, bad
        self.vtysh = Vtysh(Shell(self._execute, True))

    def _execute(self, script: str, data: bytes | None) -> Result:
        if " -C -f " in script:
            lines = (data or b"").decode().splitlines()
            wrong = [
                f"line {at}: % Unknown command[4]: {line}"
                for at, line in enumerate(lines, 1)
                if line in self.bad
            ]
            return Result(2 if wrong else 0, "", "\n".join(wrong))
        if "summary" in script:
            return Result(0, f'{{"ipv4Unicast":{{"routerId":"{self.router_id}"}}}}\n==vipcast== 0 0\n', "")
        return Result(0, "vipcast-shell\nFRRouting 8.4.4 (r) on Linux.\n", "")


def check_resets(text: str, allowed: bool = False, running: str = "192.0.2.254", **changes: Any) -> list[str]:
    config, intent = settings.read(text), declared(**changes)
    target = plan(config, intent, LIMIT, replace_as=True)
    return resets.check(Answers(running).vtysh, config, target, intent, allowed)


def test_a_router_id_and_a_limit_of_others_stay() -> None:
    lines = commands(ISP)

    assert not [line for line in lines if "router-id" in line or "maximum-paths" in line]
    assert " bgp router-id 192.0.2.1" in commands(""), "a new instance gets one"
    assert not [line for line in commands("router bgp 64512\n") if "router-id" in line], "FRR has chosen one"


def test_a_router_id_that_is_declared_counts() -> None:
    assert " bgp router-id 192.0.2.9" in commands(ISP, router_id="192.0.2.9")


def test_a_new_router_id_is_refused_where_others_have_sessions() -> None:
    with pytest.raises(Refusal) as refused:
        check_resets(ISP, router_id="192.0.2.9")

    assert refused.value.reason is Reason.RESETS
    assert "203.0.113.1" in str(refused.value)
    assert "10.31.8.1" not in str(refused.value)
    assert check_resets(ISP, allowed=True, router_id="192.0.2.9") != []


def test_the_router_id_in_force_is_no_new_one() -> None:
    """Saying it resets nothing: FRR compares."""
    text = ISP.replace(" bgp router-id 192.0.2.254\n", "")

    assert check_resets(text, running="192.0.2.9", router_id="192.0.2.9") == []
    with pytest.raises(Refusal, match="the router id changes"):
        check_resets(text, running="192.0.2.8", router_id="192.0.2.9")


def test_another_as_is_refused_where_others_have_sessions() -> None:
    with pytest.raises(Refusal, match=r"'router bgp 64512' is removed.*203\.0\.113\.1"):
        check_resets(ISP, asn=64600)
    assert check_resets("router bgp 64512\n", asn=64600)[0].startswith("'router bgp 64512' is removed")


def test_ranges_of_others_are_named() -> None:
    text = "router bgp 64512\n neighbor G peer-group\n bgp listen range 203.0.113.0/24 peer-group G\n"
    with pytest.raises(Refusal, match=r"listen range 203\.0\.113\.0/24"):
        check_resets(text, running="192.0.2.8", router_id="192.0.2.9")


# -- two clusters -----------------------------------------------------------------------------------------

OTHER = {
    "neighbors": [{"address": "10.40.0.1", "remote_as": 64520}],
    "prefixes": [{"prefix": "10.19.0.0/16"}],
    "maximum_paths": 5,
}


def entered(config: settings.Config, **changes: Any) -> settings.Config:
    """A router after another rollout."""
    return settings.apply(config, delta.commands(config.settings, plan(config, declared(**changes), LIMIT)))


@pytest.mark.parametrize("asn", [64520, 64513])
def test_a_second_cluster_of_the_same_name_is_refused(asn: int) -> None:
    first = entered(settings.Config())
    second = {**OTHER, "neighbors": [{"address": "10.40.0.1", "remote_as": asn}]}
    with pytest.raises(Refusal) as refused:
        plan(first, declared(**second), LIMIT)

    assert refused.value.reason is Reason.NAME_TAKEN
    assert "router_name" in str(refused.value)
    gone = plan(first, declared(**second, state="absent"), LIMIT)
    assert gone == first.settings, "what it removes is nothing"


def test_nodes_that_all_got_other_addresses_take_their_name_over() -> None:
    moved = [{"address": "10.50.0.1", "remote_as": 64513}]
    reached = entered(entered(settings.Config()), neighbors=moved, take_over=True)

    assert reached.neighbors() == ["10.50.0.1"]


def test_a_node_of_another_as_with_our_filter_is_not_removed() -> None:
    first = entered(settings.Config())
    mixed = settings.apply(
        first,
        [
            "router bgp 64512",
            " neighbor 10.40.0.1 remote-as 64520",
            " neighbor 10.31.8.99 remote-as 64513",
            " address-family ipv4 unicast",
            "  neighbor 10.40.0.1 route-map VIPCAST-IN in",
            "  neighbor 10.31.8.99 route-map VIPCAST-IN in",
        ],
    )
    lines = delta.commands(mixed.settings, plan(mixed, declared(), LIMIT))

    assert lines == ["router bgp 64512", " no neighbor 10.31.8.99", "exit"]
    assert "10.40.0.1" in notes.of(mixed, mixed.settings, declared(), LIMIT)[0]


def test_two_names_leave_each_other_alone() -> None:
    low = settings.read("router bgp 64512\n address-family ipv4 unicast\n  maximum-paths 2\n")
    profile = {"bfd_profiles": [{"name": "fast", "receive_interval": 100}]}
    users = {"neighbors": [{**node, "bfd_profile": "fast"} for node in NODES]}
    blue = {**OTHER, **profile, "name": "VIPCAST-BLUE"}
    blue["neighbors"] = [{"address": "10.40.0.1", "remote_as": 64513, "bfd_profile": "fast"}]
    both = entered(entered(low, **profile, **users), **blue)

    assert entered(both, **profile, **users).settings == both.settings
    assert entered(both, **blue).settings == both.settings
    assert both.settings[("family", "ipv4 unicast", "maximum-paths")] == "5"

    one = entered(both, **profile, **users, state="absent")
    assert entered(one, **blue).settings == one.settings, "the other one has all that it needs"
    assert one.settings[("family", "ipv4 unicast", "maximum-paths")] == "5"
    assert not [key for key in one.settings if "VIPCAST-POOLS" in key or "VIPCAST-fast" in key]


# -- groups and ranges ------------------------------------------------------------------------------------

GROUP = """router bgp 64512
 neighbor NODES peer-group
 neighbor NODES remote-as 64513
 neighbor NODES timers 10 30
 bgp listen range 10.31.8.0/24 peer-group NODES
exit
"""


def test_a_listen_range_is_adopted() -> None:
    lines = commands(GROUP)

    assert not [line for line in lines if "neighbor 10.31.8" in line], "no static neighbors"
    assert "  neighbor NODES route-map VIPCAST-IN in" in lines
    assert "  neighbor NODES soft-reconfiguration inbound" in lines
    assert " neighbor NODES timers connect 5" in lines
    assert not [line for line in lines if "timers 3 9" in line], "what the group has stays"
    reached = after(GROUP)
    assert delta.commands(reached.settings, plan(reached, declared(), LIMIT)) == []
    more = [*NODES, {"address": "10.31.8.77", "remote_as": 64513}]
    for nodes in (more, NODES[:1]):
        changed = plan(reached, declared(neighbors=nodes), LIMIT)
        assert changed == reached.settings, "nodes come and go without a change"


def test_what_we_put_on_a_group_goes_and_the_group_stays() -> None:
    reached = after(GROUP)
    gone = settings.apply(
        reached, delta.commands(reached.settings, plan(reached, declared(state="absent"), LIMIT))
    )

    assert gone.settings[("neighbor", "NODES", "remote-as")] == "64513"
    assert ("bgp", "listen range 10.31.8.0/24 peer-group NODES") in gone.settings
    assert not [value for value in gone.settings.values() if "VIPCAST" in value]


def test_a_group_is_left_as_it_was_found() -> None:
    before = settings.read(GROUP)
    reached = after(GROUP)
    target = plan(reached, declared(state="absent"), LIMIT, earlier=before.settings)

    assert target == before.settings


def test_static_members_of_a_group_stay_members() -> None:
    text = GROUP.replace(" bgp listen range 10.31.8.0/24 peer-group NODES\n", "") + (
        "router bgp 64512\n" + "".join(f" neighbor {n['address']} peer-group NODES\n" for n in NODES)
    )
    lines = commands(text)

    assert not [line for line in lines if "neighbor 10.31.8" in line]
    assert "  neighbor NODES route-map VIPCAST-OUT out" in lines


def test_a_node_that_no_range_covers_is_a_neighbor_of_its_own() -> None:
    lines = commands(GROUP, neighbors=[*NODES, {"address": "10.77.0.1", "remote_as": 64513}])

    assert " neighbor 10.77.0.1 remote-as 64513" in lines
    assert not [line for line in lines if "neighbor 10.31.8" in line]


@pytest.mark.parametrize(
    ("line", "changes", "reason"),
    [
        (" neighbor NODES remote-as 64999", {}, Reason.GROUP_DIFFERS),
        (" neighbor NODES remote-as internal", {}, Reason.GROUP_DIFFERS),
        (" neighbor NODES password theirs", {}, Reason.GROUP_DIFFERS),
        (
            " neighbor NODES ebgp-multihop 2",
            {"neighbors": [{**node, "ttl_security_hops": 1} for node in NODES]},
            Reason.GROUP_DIFFERS,
        ),
        (" neighbor 203.0.113.7 peer-group NODES", {}, Reason.IN_PEER_GROUP),
    ],
)
def test_a_group_that_does_not_fit_is_refused(line: str, changes: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(Refusal) as refused:
        commands(f"{GROUP}router bgp 64512\n{line}\n", **changes)

    assert refused.value.reason is reason
    assert "NODES" in str(refused.value)
    assert "theirs" not in str(refused.value)


@pytest.mark.parametrize("value", ["external", "64513"])
def test_an_as_by_its_kind_fits(value: str) -> None:
    assert commands(GROUP.replace("remote-as 64513", f"remote-as {value}")) != []


def test_the_filter_of_somebody_else_stays_and_is_named() -> None:
    text = GROUP + (
        "router bgp 64512\n address-family ipv4 unicast\n  neighbor NODES route-map THEIRS in\n"
        "route-map THEIRS permit 10\n"
    )
    reached = after(text)
    found = notes.of(settings.read(text), reached.settings, declared(), LIMIT)

    assert reached.settings[("family", "ipv4 unicast", "neighbor", "NODES", "route-map in")] == "THEIRS"
    assert [note for note in found if "NODES" in note and "THEIRS" in note]


def test_ranges_and_groups_are_left_on_demand() -> None:
    text = f"{GROUP}router bgp 64512\n neighbor 10.31.8.1 peer-group NODES\n"
    lines = commands(text, covered_neighbors="replace")

    assert " no bgp listen range 10.31.8.0/24 peer-group NODES" in lines
    assert " no neighbor 10.31.8.1" in lines
    for node in NODES:
        assert lines.index(" no bgp listen range 10.31.8.0/24 peer-group NODES") < lines.index(
            f" neighbor {node['address']} remote-as 64513"
        )
    assert not [line for line in lines if "neighbor NODES" in line]
    reached = after(text, covered_neighbors="replace")
    assert plan(reached, declared(covered_neighbors="replace"), LIMIT) == reached.settings


OWN = {"listen_ranges": ["10.31.8.0/24"]}


def test_ranges_of_our_own() -> None:
    lines = commands("", **OWN)
    opened = " bgp listen range 10.31.8.0/24 peer-group VIPCAST-NODES"

    assert not [line for line in lines if "10.31.8.1" in line]
    assert lines.index(" neighbor VIPCAST-NODES peer-group") < lines.index(
        " neighbor VIPCAST-NODES remote-as 64513"
    )
    assert lines.index("  neighbor VIPCAST-NODES route-map VIPCAST-IN in") < lines.index(opened)
    reached = after("", **OWN)
    assert entered(reached, **OWN).settings == reached.settings
    assert entered(reached, **OWN, neighbors=NODES[:1]).settings == reached.settings


def test_ranges_of_our_own_take_the_place_of_neighbors_and_give_it_back() -> None:
    first = entered(settings.Config())
    there = entered(first, **OWN)
    there_lines = delta.commands(there.settings, plan(there, declared(), LIMIT))

    assert [name for name in there.neighbors() if name != "VIPCAST-NODES"] == []
    assert entered(there).settings == first.settings
    assert there_lines[1:3] == [
        " no bgp listen range 10.31.8.0/24 peer-group VIPCAST-NODES",
        " no neighbor VIPCAST-NODES",
    ]
    gone = entered(
        settings.apply(there, ["router bgp 64512", " bgp log-neighbor-changes"]), **OWN, state="absent"
    )
    assert not [key for key in gone.settings if "VIPCAST" in str(key)]


def test_what_somebody_changed_in_our_group_is_put_right() -> None:
    there = entered(settings.Config(), **OWN)
    broken = settings.apply(
        there,
        ["router bgp 64512", " neighbor VIPCAST-NODES timers 10 30", " neighbor VIPCAST-NODES local-as 7"],
    )

    assert entered(broken, **OWN).settings == there.settings


def test_a_group_has_one_as() -> None:
    nodes = [NODES[0], {**NODES[1], "remote_as": 64514}]
    with pytest.raises(Refusal, match="several AS numbers"):
        commands("", **OWN, neighbors=nodes)


# -- lines in the way -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("bgp shutdown", "bgp shutdown"),
        ("bgp shutdown message planned work", "bgp shutdown message planned work"),
        ("bgp minimum-holdtime 30", "bgp minimum-holdtime 30"),
        ("bgp minimum-holdtime 3", None),
        ("bgp confederation identifier 65100", "bgp confederation identifier 65100"),
        ("bgp graceful-shutdown", None),
        ("bgp suppress-fib-pending", None),
        ("no bgp ebgp-requires-policy", None),
        ("bgp default shutdown", None),
    ],
)
def test_what_keeps_sessions_down_is_named_and_the_rest_is_foreign(line: str, shown: str | None) -> None:
    config = settings.read(f"{ISP}router bgp 64512\n {line}\n")
    found = obstacles.drift(obstacles.found(config, declared()))

    assert [entry["what"] for entry in found] == ([shown] if shown else [])
    assert f"router bgp 64512 / {line}" in report.foreign(config, declared())["bgp_lines"]
    assert not [
        one for one in delta.commands(config.settings, plan(config, declared(), LIMIT)) if line in one
    ]


def test_nodes_of_a_range_are_met_by_more() -> None:
    config = settings.read(
        f"{GROUP}router bgp 64512\n bgp default shutdown\n bgp listen limit 2\n neighbor NODES shutdown\n"
    )
    found = {one.line for one in obstacles.found(config, declared())}

    assert found == {"bgp default shutdown", "bgp listen limit 2", "neighbor NODES shutdown"}


def test_new_neighbors_are_not_shut_down_by_default() -> None:
    lines = commands("router bgp 64512\n bgp default shutdown\n")

    assert " no neighbor 10.31.8.1 shutdown" in lines
    assert not [line for line in commands("router bgp 64512\n") if "shutdown" in line]


@pytest.mark.parametrize(
    "line",
    [
        "local-as 65000 no-prepend replace-as",
        "port 1179",
        "dont-capability-negotiate",
        "override-capability",
        "allowas-in 3",
        "default-originate",
        "next-hop-self",
        "weight 5",
    ],
)
@pytest.mark.parametrize("family", ["", " address-family ipv4 unicast\n "])
def test_what_contradicts_the_declaration_goes(line: str, family: str) -> None:
    config = settings.apply(
        entered(settings.Config()), ["router bgp 64512", *f"{family} neighbor 10.31.8.1 {line}".split("\n")]
    )
    target = plan(config, declared(), LIMIT)
    lines = delta.commands(config.settings, target)

    assert [one.strip() for one in lines if line in one] == [f"no neighbor 10.31.8.1 {line}"]
    assert settings.apply(config, lines).settings == target
    (entry,) = report.drift(config.settings, target)
    assert entry["what"] == f"{line} of neighbor 10.31.8.1"


def test_what_does_not_contradict_it_stays_and_is_foreign() -> None:
    config = settings.apply(
        entered(settings.Config()), ["router bgp 64512", " neighbor 10.31.8.1 advertisement-interval 1"]
    )

    assert delta.commands(config.settings, plan(config, declared(), LIMIT)) == []
    assert report.foreign(config, declared())["neighbor_lines"] == [
        "neighbor 10.31.8.1 advertisement-interval 1"
    ]


@pytest.mark.parametrize("where", ["vrf red", "view red"])
def test_an_instance_beside_those_of_others_is_asked_for_by_name(where: str) -> None:
    config = settings.read(f"router bgp 7 {where}\n neighbor 192.0.2.9 remote-as 8\nexit\n")
    with pytest.raises(Refusal) as refused:
        plan(config, declared(), LIMIT)
    allowed = declared(default_instance=True)
    target = plan(config, allowed, LIMIT)

    assert refused.value.reason is Reason.VRF_ONLY
    assert f"'router bgp 7 {where}' only" in str(refused.value)
    assert "router_default_instance" in str(refused.value)
    assert target[settings.ROUTER] == "64512"
    assert f"'router bgp 7 {where}'" in notes.of(config, target, allowed, LIMIT)[0]
    assert settings.ROUTER not in plan(config, declared(state="absent"), LIMIT)


# -- checking, starting, taking back ----------------------------------------------------------------------


def test_a_line_of_others_that_is_refused_does_not_refuse_ours() -> None:
    router = Answers(bad=("their odd line",))
    text = "hostname r\ntheir odd line\nend\n"

    assert "their odd line" in candidate.check(router.vtysh, text, ["router bgp 1"])[0]
    assert candidate.check(Answers().vtysh, text, ["router bgp 1"]) == []


def test_a_line_of_ours_that_is_refused_is_refused_beside_one_of_others() -> None:
    router = Answers(bad=("their odd line", "maximum-paths 9999"))
    with pytest.raises(Refusal) as refused:
        candidate.check(router.vtysh, "their odd line\n", ["maximum-paths 9999"])

    assert "maximum-paths 9999" in str(refused.value)


SPLIT = "no service integrated-vtysh-config\n"


@pytest.mark.parametrize(
    ("files", "running", "starts", "kept"),
    [
        ({"frr.conf": "a"}, "", ("/etc/frr/frr.conf",), True),
        (
            {"frr.conf": "a", "bgpd.conf": "b"},
            "service integrated-vtysh-config\n",
            ("/etc/frr/frr.conf",),
            True,
        ),
        ({"bgpd.conf": "b", "zebra.conf": "z"}, SPLIT, ("/etc/frr/zebra.conf", "/etc/frr/bgpd.conf"), True),
        ({"bgpd.conf": "b"}, "", ("/etc/frr/bgpd.conf",), True),
        ({"frr.conf": "package's"}, SPLIT, ("/etc/frr/frr.conf",), False),
        ({"bgpd.conf": "b"}, "service integrated-vtysh-config\n", ("/etc/frr/bgpd.conf",), False),
    ],
)
def test_what_the_daemons_start_from(
    files: dict[str, str], running: str, starts: tuple[str, ...], kept: bool
) -> None:
    found = startup.judge(files, running, "/etc/frr")

    assert (found.files, found.is_kept) == (starts, kept)
    assert bool(startup.not_kept(found)) is not kept


def test_a_replaced_instance_comes_back_from_its_text() -> None:
    text = f"{ISP}router bgp 64512\n address-family ipv4 unicast\n  network 198.51.100.0/24\n"
    config = settings.read(text)
    target = plan(config, declared(asn=64600), LIMIT, replace_as=True)
    lines = undo(Frr(None, LIMIT), text, config.settings, target)  # type: ignore[arg-type]

    assert lines[0] == "no router bgp 64600"
    assert "  network 198.51.100.0/24" in lines


def test_any_other_change_is_taken_back_by_its_difference() -> None:
    config = settings.read(ISP)
    target = plan(config, declared(), LIMIT)
    reached = settings.apply(config, delta.commands(config.settings, target))

    assert (
        settings.apply(reached, undo(Frr(None, LIMIT), ISP, config.settings, target)).settings
        == config.settings
    )
