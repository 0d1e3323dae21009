# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands that lead from one state of the settings to another, and touch nothing that is the same in
both.

The order matters while traffic flows: unwanted neighbors go first, filters stand before a neighbor uses
them, and a
prefix list loses entries only after no rule needs them (an existing prefix list without entries permits
everything).
"""

from __future__ import annotations

from . import bfd, groups
from .settings import FAMILIES, OUTSIDE, ROUTER, Settings, neighbor_of


def commands(before: Settings, after: Settings) -> list:
    """Lines for C(vtysh -f), each block closed; empty when both are equal."""
    lines: list = []
    if ROUTER in before and before.get(ROUTER) != after.get(ROUTER):
        lines.append(f"no router bgp {before[ROUTER]}")
        before = {key: value for key, value in before.items() if key[0] in OUTSIDE}
    gone = (_neighbors(before) - _neighbors(after)) | _remade(before, after)
    closed = [key for key in changed(before, after) if groups.is_range(key) and key not in after]
    removed = [f" no bgp {key[1]}" for key in closed] + [
        f" no neighbor {address}" for address in sorted(gone)
    ]
    lines += _bgp_block(after, removed)
    before = {
        key: value for key, value in before.items() if neighbor_of(key) not in gone and key not in closed
    }
    lines += _lists(before, after, "access-list", adding=True)
    lines += _terminals(before, after)
    lines += _lists(before, after, "access-list", adding=False)
    lines += _lists(before, after, "prefix-list", adding=True)
    lines += _route_maps(before, after)
    lines += _lists(before, after, "prefix-list", adding=False)
    keys = changed(before, after)
    lines += bfd.lines(after, keys, adding=True)
    inside = _bgp(before, after) + _neighbor_lines(before, after) + _family_lines(before, after)
    inside += _opened(before, after)
    if inside or before.get(ROUTER) != after.get(ROUTER):
        lines += _bgp_block(after, inside or [""])
    return lines + bfd.lines(after, keys, adding=False)


def changed(before: Settings, after: Settings) -> list:
    """Keys whose value differs, in a stable order."""
    keys = sorted(set(before) | set(after))
    return [key for key in keys if before.get(key) != after.get(key)]


def _remade(before: Settings, after: Settings) -> set:
    """Neighbors that leave a peer group: FRR takes the group's attributes, the AS too, with it."""
    return {
        key[1]
        for key, value in before.items()
        if key[0] == "neighbor" and key[2] == "peer-group" and value and after.get(key) != value
    }


def _neighbors(settings: Settings) -> set:
    return {key[1] for key in settings if key[0] == "neighbor"}


def _bgp_block(after: Settings, inside: list) -> list:
    if not inside or ROUTER not in after:
        return []
    return [f"router bgp {after[ROUTER]}", *[line for line in inside if line], "exit"]


def _lists(before: Settings, after: Settings, kind: str, adding: bool) -> list:
    """Entries of the prefix-lists or access-lists: first what is added or rewritten, later what goes."""
    lines = []
    for key in changed(before, after):
        if key[0] != kind:
            continue
        head = _LIST_HEADS[kind](key)
        if adding and key in after:
            lines += [f"no {head} {before[key]}"] if key in before else []
            lines.append(f"{head} {after[key]}")
        elif not adding and key not in after:
            lines.append(f"no {head} {before[key]}")
    return lines


# How an entry's line begins: key[1:] is the family, the list's name and the entry's number.
_LIST_HEADS = {
    "prefix-list": lambda key: f"{key[1]} prefix-list {key[2]} seq {key[3]}",
    "access-list": lambda key: f"{'ipv6 ' if key[1] == 'ipv6' else ''}access-list {key[2]} seq {key[3]}",
}


def _terminals(before: Settings, after: Settings) -> list:
    keys = [key for key in changed(before, after) if key[0] == "vty"]
    lines = [
        f"password {after[key]}" if key in after else "no password" for key in keys if key[1] == "password"
    ]
    inside = [
        f" {key[1]} {after[key]}" if key in after else f" no {key[1]} {before[key]}"
        for key in keys
        if key[1] != "password"
    ]
    return [*lines, "line vty", *inside, "exit"] if inside else lines


def _route_maps(before: Settings, after: Settings) -> list:
    rules = dict.fromkeys(key[:3] for key in changed(before, after) if key[0] == "route-map")
    lines: list = []
    for rule in sorted(rules, key=lambda rule: (rule[1], int(rule[2]))):
        if rule not in after:
            lines.append(f"no route-map {rule[1]} {before[rule]} {rule[2]}")
        else:
            lines += _rule(before, after, rule)
    return lines


def _rule(before: Settings, after: Settings, rule: tuple) -> list:
    inside = [key for key in changed(before, after) if key[:3] == rule and len(key) == 4]
    unset = [f" no {key[3]}" for key in inside if key not in after]
    return [
        f"route-map {rule[1]} {after[rule]} {rule[2]}",
        *unset,
        *[f" {key[3]}" for key in inside if key in after],
        "exit",
    ]


def _opened(before: Settings, after: Settings) -> list:
    """A range needs its group, and lets nobody in before the filters are there."""
    keys = [key for key in changed(before, after) if groups.is_range(key) and key in after]
    return [f" bgp {key[1]}" for key in keys]


def _bgp(before: Settings, after: Settings) -> list:
    lines = []
    for key in changed(before, after):
        if groups.is_range(key):
            continue
        if key[0] == "bgp" and after.get(key, before.get(key)) == "no":
            lines.append(f" {'no ' if key in after else ''}bgp {key[1]}")
        elif key[0] == "bgp":
            lines.append(f" bgp {key[1]} {after[key]}".rstrip() if key in after else f" no bgp {key[1]}")
    return lines


def _neighbor_lines(before: Settings, after: Settings) -> list:
    """The AS first: it is what makes a neighbor exist. What goes makes room for what excludes it (the hops
    of GTSM and of multihop)."""
    keys = [key for key in changed(before, after) if key[0] == "neighbor" and not _goes_along(key, after)]
    keys.sort(key=lambda key: (key[1], key[2] not in ("remote-as", "peer-group"), key in after, key[2]))
    lines = [f" {_attribute(before, after, key, f'neighbor {key[1]}')}" for key in keys]
    return lines + _awake(before, after)


def _awake(before: Settings, after: Settings) -> list:
    """Lines that keep our new neighbors up where new ones are shut down from the start."""
    if ("bgp", "default shutdown") not in after:
        return []
    new = sorted(_neighbors(after) - _neighbors(before))
    return [
        f" no neighbor {address} shutdown"
        for address in new
        if ("neighbor", address, "shutdown") not in after
    ]


def _goes_along(key: tuple, after: Settings) -> bool:
    """ "no bfd" says this too."""
    return str(key[2]).startswith("bfd ") and (*key[:2], "bfd") not in after


def _family_lines(before: Settings, after: Settings) -> list:
    families = dict.fromkeys(key[1] for key in changed(before, after) if key[0] == "family")
    lines: list = []
    for family in families:
        lines += _one_family(_with_defaults(before, after), after, family)
    return lines


def _with_defaults(before: Settings, after: Settings) -> Settings:
    """``before``, with the families that a neighbor created by these commands has from the start."""
    started = dict(before)
    default = after.get(("bgp", "default ipv4-unicast")) != "no"
    for address in _neighbors(after) - _neighbors(before):
        started[("family", FAMILIES[0], "neighbor", address, "activate")] = "yes" if default else "no"
        default_v6 = after.get(("bgp", "default ipv6-unicast")) == ""
        started[("family", FAMILIES[1], "neighbor", address, "activate")] = "yes" if default_v6 else "no"
    return started


def _one_family(before: Settings, after: Settings, family: str) -> list:
    keys = [key for key in changed(before, after) if key[:2] == ("family", family)]
    # A family is activated last, when its filters are in place, and deactivated first.
    keys.sort(key=lambda key: (key[-1] == "activate" and after.get(key) == "yes", key[-1] != "activate", key))
    inside = [f"  {_family_attribute(before, after, key)}" for key in keys]
    return [f" address-family {family}", *inside, " exit-address-family"] if inside else []


def _family_attribute(before: Settings, after: Settings, key: tuple) -> str:
    if key[2] != "neighbor":
        return f"{key[2]} {after[key]}" if key in after else f"no {key[2]}"
    head = f"neighbor {key[3]}"
    if key[4] == "activate":
        return f"{'no ' if after.get(key) == 'no' else ''}{head} activate"
    name, _space, direction = key[4].partition(" ")
    if direction in ("in", "out"):
        value = after.get(key, before.get(key))
        return f"{'' if key in after else 'no '}{head} {name} {value} {direction}"
    return _attribute(before, after, key, head)


# Lines whose value belongs to their "no" too.
_NAMED_WHEN_REMOVED = (
    "maximum-prefix",
    "soft-reconfiguration",
    "peer-group",
    "ttl-security hops",
    "bfd profile",
)


def _attribute(before: Settings, after: Settings, key: tuple, head: str) -> str:
    if key[-2] == "other":
        opposite = key[-1][3:] if key[-1].startswith("no ") else f"no {key[-1]}"
        line = key[-1] if key in after else opposite
        return f"no {head} {line[3:]}" if line.startswith("no ") else f"{head} {line}"
    if key in after:
        return f"{head} {key[-1]} {after[key]}".rstrip()
    value = before[key] if key[-1] in _NAMED_WHEN_REMOVED else ""
    return f"no {head} {key[-1]} {value}".rstrip()
