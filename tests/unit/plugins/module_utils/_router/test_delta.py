# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands lead from what is there to what should be, and touch nothing else.

The configurations are made by a seeded generator: the same ones in every run, and a seed names a failure.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._router import delta, report, settings
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.errors import Reason, Refusal
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.intent import Intent, intent_from
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.plan import plan

LIMIT = 16
SEEDS = range(100)
ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.0.10", "fd00::1", "fd00::2"]
PREFIXES = [
    {"prefix": "10.9.0.0/16"},
    {"prefix": "10.9.0.0/16", "min_length": 24, "max_length": 28},
    {"prefix": "198.51.100.7/32"},
    {"prefix": "fd00:9::/64"},
]


def some_options(chance: random.Random) -> dict[str, Any]:
    """Options of the module, any valid ones."""
    hold = chance.choice([None, 9, 30])
    return {
        "asn": 64512,
        "router_id": chance.choice([None, "10.0.0.254"]),
        "neighbors": [
            {
                "address": address,
                "remote_as": chance.choice([64512, 64513, 4200000000]),
                "password": chance.choice([None, "one", "two"]),
                "ebgp_multihop": chance.choice([None, None, 3]),
                "update_source": chance.choice([None, None, "lo"]),
                "families": chance.choice([None, ["ipv4", "ipv6"], ["ipv6"]]),
                "passive": chance.choice([False, True]),
                "graceful_restart": chance.choice([False, True]),
                "bfd_profile": chance.choice([None, "slow", "fast"]),
                **chance.choice([{}, {"ebgp_multihop": None, "ttl_security_hops": 2}]),
            }
            for address in chance.sample(ADDRESSES, chance.randrange(4))
        ],
        "bfd_profiles": [
            {"name": "slow", "minimum_ttl": chance.choice([None, 250])},
            {
                "name": "fast",
                "receive_interval": chance.choice([100, 300]),
                "transmit_interval": chance.choice([50, None]),
                "detect_multiplier": chance.choice([3, 5]),
                "echo_mode": chance.choice([False, True]),
                "echo_interval": chance.choice([None, 30]),
            },
        ],
        "prefixes": chance.sample(PREFIXES, chance.randrange(4)),
        "maximum_paths": chance.choice([None, 1, 3, LIMIT]),
        "maximum_prefix": chance.choice([None, 100]),
        "timers": {"hold": hold, "keepalive": hold and 3, "connect": chance.choice([None, 5])},
        "multipath_relax": chance.choice([None, True, False]),
        "local_terminals": chance.choice([True, False]),
        "state": chance.choice(["present", "present", "present", "absent"]),
        "take_over": True,
    }


FOREIGN = [
    "router bgp 64512",
    " bgp log-neighbor-changes",
    " neighbor 192.0.2.1 remote-as 65000",
    " neighbor 192.0.2.1 password theirs",
    " neighbor 10.0.0.1 remote-as 64513",
    " neighbor 10.0.0.1 weight 5",
    " neighbor 10.0.0.2 remote-as 7",
    " neighbor 10.0.0.2 shutdown",
    " neighbor 10.0.0.2 graceful-restart-disable",
    " neighbor 10.0.0.1 bfd 3 50 50",
    " neighbor 192.0.2.1 bfd profile THEIRS",
    " no bgp default ipv4-unicast",
    " bgp bestpath as-path multipath-relax",
    " address-family ipv4 unicast",
    "  maximum-paths 2",
    "  neighbor 192.0.2.1 route-map THEIRS in",
    "  neighbor 10.0.0.2 prefix-list THEIRS in",
    " exit-address-family",
    "ip prefix-list VIPCAST-POOLS seq 7 permit 172.16.0.0/12 le 32",
    "ip prefix-list THEIRS seq 5 permit any",
    "route-map VIPCAST-IN permit 99",
    "route-map THEIRS permit 10",
    " set metric 5",
    "bfd",
    " profile THEIRS",
    "  echo-mode",
    " exit",
    " peer 192.0.2.9",
    "  shutdown",
    " exit",
    " profile VIPCAST-old",
    "  passive-mode",
    " exit",
    "exit",
    "password zebra",
    "line vty",
    " access-class OTHERS",
]


def some_config(chance: random.Random) -> settings.Config:
    """A router on which an earlier declaration and other people left things."""
    config = settings.Config()
    if chance.random() < 0.7:
        options = {**some_options(chance), "state": "present"}
        config = settings.apply(config, delta.commands({}, plan(config, intent_from(options), LIMIT)))
    lines = FOREIGN if chance.random() < 0.5 else []
    return settings.apply(config, lines)


def some_case(seed: int) -> tuple[settings.Config, Intent]:
    chance = random.Random(seed)
    return some_config(chance), intent_from(some_options(chance))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_commands_lead_to_the_target(seed: int) -> None:
    config, intent = some_case(seed)
    target = plan(config, intent, LIMIT)
    reached = settings.apply(config, delta.commands(config.settings, target))

    assert reached.settings == target
    assert plan(reached, intent, LIMIT) == target, "a second run would change something"
    assert delta.commands(reached.settings, target) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_the_way_back(seed: int) -> None:
    config, intent = some_case(seed)
    target = plan(config, intent, LIMIT)
    there = settings.apply(config, delta.commands(config.settings, target))
    back = settings.apply(there, delta.commands(there.settings, config.settings))

    assert back.settings == config.settings


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_not_ours_is_not_touched(seed: int) -> None:
    config, intent = some_case(seed)
    config = settings.apply(config, FOREIGN)
    lines = delta.commands(config.settings, plan(config, intent, LIMIT))

    assert not [
        line for line in lines if "192.0.2.1" in line or "THEIRS" in line.replace("prefix-list THEIRS", "")
    ]
    assert not [line for line in lines if "log-neighbor-changes" in line or "OTHERS" in line]
    assert not [line for line in lines if line.startswith("no router bgp")]


@pytest.mark.parametrize("seed", SEEDS)
def test_there_is_drift_exactly_when_there_is_a_difference(seed: int) -> None:
    config, intent = some_case(seed)
    target = plan(config, intent, LIMIT)
    entries = report.drift(config.settings, target)

    assert bool(entries) == (config.settings != target)
    assert len({(entry["what"], entry["where"]) for entry in entries}) == len(entries)
    assert not [entry for entry in entries if entry["expected"] == entry["found"] != "another password"]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_secret_is_shown(seed: int) -> None:
    config, intent = some_case(seed)
    target = plan(config, intent, LIMIT)
    shown = report.text(config.settings, target) + report.text(target, config.settings)

    assert not {"one", "two", "theirs", "zebra"} & set(shown.split())
    assert not [
        entry for entry in report.drift(config.settings, target) if {"one", "two"} & set(entry.values())
    ]


NODES = [{"address": f"10.31.8.{last}", "remote_as": 64513} for last in (1, 11, 12)]
DECLARED: dict[str, Any] = {
    "asn": 64512,
    "neighbors": NODES,
    "prefixes": [{"prefix": "10.9.0.0/16"}],
    "maximum_paths": 3,
}


def reached(options: dict[str, Any]) -> settings.Config:
    """The router after a declaration took effect."""
    empty = settings.Config()
    return settings.apply(empty, delta.commands({}, plan(empty, intent_from(options), LIMIT)))


def commands_for(config: settings.Config, **changes: Any) -> list[str]:
    return delta.commands(config.settings, plan(config, intent_from({**DECLARED, **changes}), LIMIT))


def test_one_neighbor_less_is_one_command() -> None:
    assert commands_for(reached(DECLARED), neighbors=NODES[:2]) == [
        "router bgp 64512",
        " no neighbor 10.31.8.12",
        "exit",
    ]


def test_another_as_is_one_command() -> None:
    broken = settings.apply(reached(DECLARED), ["router bgp 64512", " neighbor 10.31.8.11 remote-as 64999"])

    assert commands_for(broken) == ["router bgp 64512", " neighbor 10.31.8.11 remote-as 64513", "exit"]


def test_pools_are_exchanged_without_an_empty_list_in_between() -> None:
    """An existing prefix list without entries permits everything: the new comes before the old one goes."""
    lines = commands_for(reached(DECLARED), prefixes=[{"prefix": "10.10.0.0/16"}])

    assert lines == [
        "ip prefix-list VIPCAST-POOLS seq 10 permit 10.10.0.0/16 ge 32",
        "no ip prefix-list VIPCAST-POOLS seq 5 permit 10.9.0.0/16 ge 32",
    ]


def test_filters_stand_before_a_neighbor_uses_them() -> None:
    lines = commands_for(settings.Config())

    assert lines.index("route-map VIPCAST-OUT deny 10") < lines.index("router bgp 64512")


def limited(*lines: str) -> settings.Config:
    """A router whose paths somebody limited."""
    return settings.apply(reached(DECLARED), ["router bgp 64512", " address-family ipv4 unicast", *lines])


def test_a_limit_that_is_too_low_is_raised() -> None:
    assert "  maximum-paths 3" in commands_for(limited("  maximum-paths 2"))
    assert "  no maximum-paths" in commands_for(limited("  maximum-paths 2"), maximum_paths=LIMIT)


def test_a_limit_that_others_may_need_is_not_lowered() -> None:
    assert commands_for(reached(DECLARED)) == [], "without a line it is the build's"
    assert commands_for(limited("  maximum-paths 8")) == []


def test_more_paths_than_the_build_has_are_those_that_it_has() -> None:
    assert commands_for(reached(DECLARED), maximum_paths=LIMIT + 1) == []
    assert "  no maximum-paths" in commands_for(limited("  maximum-paths 2"), maximum_paths=LIMIT + 1)


def test_ibgp_has_a_limit_of_its_own() -> None:
    inside = [{**node, "remote_as": 64512} for node in NODES]
    low = limited("  maximum-paths 1", "  maximum-paths ibgp 1 equal-cluster-length")
    raised = [line for line in commands_for(low, neighbors=inside) if "maximum-paths" in line]

    assert raised == ["  maximum-paths ibgp 3 equal-cluster-length"]


def test_different_as_numbers_need_relaxed_multipath() -> None:
    mixed = [NODES[0], {**NODES[1], "remote_as": 64514}]

    assert " bgp bestpath as-path multipath-relax" in commands_for(settings.Config(), neighbors=mixed)
    assert " bgp bestpath as-path multipath-relax" not in commands_for(settings.Config())


def test_nothing_declared_accepts_nothing() -> None:
    config = reached({**DECLARED, "prefixes": []})

    assert config.settings[("route-map", "VIPCAST-IN", "10")] == "deny"


@pytest.mark.parametrize(
    ("config", "options", "reason"),
    [
        ("router bgp 64600\n", {}, Reason.OTHER_AS),
    ],
)
def test_refusals(config: str, options: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(Refusal) as refused:
        plan(settings.read(config), intent_from({**DECLARED, **options}), LIMIT)
    assert refused.value.reason is reason


def test_another_instance_is_replaced_on_demand() -> None:
    config = settings.read("router bgp 64600\n neighbor 192.0.2.1 remote-as 1\nroute-map THEIRS permit 10\n")
    target = plan(config, intent_from(DECLARED), LIMIT, replace_as=True)
    lines = delta.commands(config.settings, target)

    assert lines[0] == "no router bgp 64600"
    assert settings.apply(config, lines).settings == target
    assert ("route-map", "THEIRS", "10") in target


def test_two_clusters_on_one_router() -> None:
    config = reached(DECLARED)
    other = {**DECLARED, "name": "BLUE", "neighbors": [{"address": "10.40.0.1", "remote_as": 64520}]}
    both = settings.apply(config, delta.commands(config.settings, plan(config, intent_from(other), LIMIT)))

    assert commands_for(both) == []
    assert report.foreign(both, intent_from(DECLARED))["neighbors"] == ["10.40.0.1"]
    assert commands_for(both, **other) == []
