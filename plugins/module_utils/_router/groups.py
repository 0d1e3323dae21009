# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Peer groups and listen ranges that were on a router before us, and the nodes that they cover.

A node that a group or a range covers needs no static neighbor: it comes and goes without a change to the
router. What such a node needs is put on the group where it is missing; nothing else of the group changes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from . import syntax
from .errors import Reason, Refusal
from .intent import Intent, Neighbor
from .settings import Settings

_RANGE = "listen range "
# AS numbers by name: whether a neighbor of this kind is outside of the router's AS.
_KINDS = {"external": (True,), "internal": (False,), "auto": (True, False)}


def names(settings: Settings) -> set[str]:
    """The peer groups that are defined."""
    return {
        key[1]
        for key, value in settings.items()
        if key[0] == "neighbor" and key[2:] == ("peer-group",) and not value
    }


def ranges(settings: Settings) -> dict[tuple, str]:
    """The key of each listen range, and its group."""
    found = {}
    for key in settings:
        words = str(key[-1]).split()
        if key[0] == "bgp" and key[1].startswith(_RANGE) and len(words) == 5:
            found[key] = words[4]
    return found


def is_range(key: tuple) -> bool:
    """Return whether a key is that of a listen range."""
    return key[0] == "bgp" and str(key[1]).startswith(_RANGE)


def range_of(key: tuple) -> str:
    """The prefix of a listen range."""
    return str(key[1].split()[2])


def listening(settings: Settings, address: str) -> tuple | None:
    """The key of the longest listen range that an address is in; None for the name of an interface."""
    if not syntax.is_address(address):
        return None
    wanted = ipaddress.ip_address(address)
    fitting = [key for key in ranges(settings) if wanted in ipaddress.ip_network(range_of(key), strict=False)]
    return max(
        fitting, key=lambda key: ipaddress.ip_network(range_of(key), strict=False).prefixlen, default=None
    )


def group_of(settings: Settings, address: str) -> str | None:
    """The peer group whose settings hold for an address; a neighbor of its own stands before a range."""
    member = settings.get(("neighbor", address, "peer-group"))
    if member:
        return str(member)
    if any(key[:2] == ("neighbor", address) for key in settings):
        return None
    key = listening(settings, address)
    return None if key is None else ranges(settings)[key]


def covered(settings: Settings, intent: Intent) -> dict[str, str]:
    """The declared nodes that a group or a range covers, each with its group."""
    found = {neighbor.address: group_of(settings, neighbor.address) for neighbor in intent.neighbors}
    return {address: group for address, group in found.items() if group}


def members(settings: Settings, group: str) -> set[str]:
    """Static neighbors in a group."""
    return {
        key[1]
        for key, value in settings.items()
        if key[0] == "neighbor" and key[2:] == ("peer-group",) and value == group
    }


def make(target: Settings, intent: Intent) -> list[Neighbor]:
    """Our own ranges and their group, without static neighbors in them; the nodes that they cover."""
    ranges_of_ours = [key for key, group in ranges(target).items() if group == intent.group]
    wanted = intent.listen_ranges if intent.present else ()
    for key in ranges_of_ours:
        del target[key]
    if not wanted:
        _forget(target, intent.group)
        return []
    for text in wanted:
        target[("bgp", f"{_RANGE}{text} peer-group {intent.group}")] = ""
    target[("neighbor", intent.group, "peer-group")] = ""
    inside = [one for one in intent.neighbors if _is_in(one.address, wanted)]
    for neighbor in inside:
        _forget(target, neighbor.address)
    if len({one.remote_as for one in inside}) > 1:
        raise Refusal(
            Reason.BAD_OPTION, "listen_ranges: the neighbors in them have several AS numbers, a group has one"
        )
    return inside


def _is_in(address: str, networks: Iterable[str]) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(text) for text in networks)


def _forget(target: Settings, name: str) -> None:
    for key in [key for key in target if _is_about(key, name)]:
        del target[key]


def leave(target: Settings, intent: Intent) -> None:
    """Take the declared nodes out of groups and ranges, so that they can be neighbors of their own."""
    for address in covered(target, intent):
        if ("neighbor", address, "peer-group") in target:
            _forget(target, address)
        while (key := listening(target, address)) is not None and ranges(target)[key] != intent.group:
            del target[key]


def _is_about(key: tuple, address: str) -> bool:
    return key[:2] == ("neighbor", address) or (key[0] == "family" and key[2:4] == ("neighbor", address))


def renamed(wanted: Settings, address: str, group: str) -> Settings:
    """A neighbor's settings as those of a group."""
    return {
        (*key[:-2], group, key[-1]) if key[-2] == address else key: value for key, value in wanted.items()
    }


def adopt(target: Settings, intent: Intent, group: str, nodes: Iterable[Neighbor], wanted: Settings) -> None:
    """Give a group what its nodes need and it lacks. C(wanted) are the settings of a neighbor of its name."""
    nodes = list(nodes)
    _check_as(target, intent, group, nodes)
    _check_values(target, group, wanted)
    missing = {key: value for key, value in wanted.items() if _is_missing(target, key, value)}
    _check_members(target, intent, group, missing)
    target.update(missing)


def _is_missing(target: Settings, key: tuple, wanted: str) -> bool:
    if key[-1] == "activate":
        return wanted == "yes" and target.get(key) != "yes"
    if key[-1] in ("remote-as", "description"):
        return False
    # FRR's timers and profiles come in several words; somebody's own count.
    return key not in target and not (key[-1] == "bfd profile" and (*key[:-1], "bfd") in target)


def _check_as(target: Settings, intent: Intent, group: str, nodes: list[Neighbor]) -> None:
    for node in nodes:
        found = target.get(("neighbor", group, "remote-as")) or target.get(
            ("neighbor", node.address, "remote-as")
        )
        external = node.remote_as != intent.asn
        if found is None or found == str(node.remote_as) or external in _KINDS.get(found, ()):
            continue
        raise _differs(group, f"remote-as {found}", f"{node.address} is declared with AS {node.remote_as}")
    if not any(
        ("neighbor", name, "remote-as") in target for name in (group, *(node.address for node in nodes))
    ):
        target[("neighbor", group, "remote-as")] = str(nodes[0].remote_as)


# What a session cannot be made with where the group says something else.
_DECIDING = ("password", "ttl-security hops", "ebgp-multihop")
_EXCLUSIVE = {"ttl-security hops": "ebgp-multihop", "ebgp-multihop": "ttl-security hops"}


def _check_values(target: Settings, group: str, wanted: Settings) -> None:
    for name in _DECIDING:
        key, other = ("neighbor", group, name), ("neighbor", group, _EXCLUSIVE.get(name, ""))
        found, declared = target.get(key), wanted.get(key)
        if name == "password" and found is not None and found != declared:
            raise _differs(group, "password", f"{'another' if declared else 'none'} is declared")
        if declared is not None and name != "password" and found is None and other in target:
            raise _differs(group, f"{other[2]} {target[other]}".strip(), f"{name} {declared} is declared")


def _differs(group: str, found: str, why: str) -> Refusal:
    return Refusal(
        Reason.GROUP_DIFFERS,
        f"peer group {group} has '{syntax.mask(found)}', and {why}: its settings are not changed "
        "here. Correct one of them, or set covered_neighbors to replace",
    )


def _check_members(target: Settings, intent: Intent, group: str, missing: Settings) -> None:
    """A filter on the group would be that of members which are no nodes, too."""
    strangers = sorted(members(target, group) - {neighbor.address for neighbor in intent.neighbors})
    if missing and strangers:
        names_of = ", ".join(sorted({str(key[-1]) for key in missing}))
        raise Refusal(
            Reason.IN_PEER_GROUP,
            f"peer group {group} covers declared nodes and lacks {names_of}; it has {', '.join(strangers)} "
            "too, for which that would hold as well. Take one of them out of the group, or set "
            "covered_neighbors to replace",
        )


def policies_of_others(settings: Settings, intent: Intent) -> list[str]:
    """Sentences about groups of our nodes whose filters are not ours."""
    adopted = set(covered(settings, intent).values()) if intent.covered == "adopt" else set()
    return [
        f"Peer group {key[3]} has a route map of its own for {key[1]}, {value} "
        f"({key[4].rpartition(' ')[2]}): it decides on what the nodes announce."
        for key, value in sorted(settings.items())
        if key[0] == "family"
        and key[2] == "neighbor"
        and key[3] in adopted
        and key[4].startswith("route-map ")
        and value not in (intent.inbound, intent.outbound)
    ]


def put_back(target: Settings, intent: Intent, earlier: Settings) -> None:
    """Take what we put on groups off again: by C(earlier), or without it what is ours by its name."""
    filters = {intent.inbound, intent.outbound}
    for group in sorted(names(target)):
        keys = [key for key in target if _is_about(key, group)]
        if filters & {target[key] for key in keys}:
            known = ("neighbor", group, "peer-group") in earlier
            _put_back(target, keys, intent, earlier if known else None)


def _put_back(target: Settings, keys: list, intent: Intent, earlier: Settings | None) -> None:
    for key in keys:
        added = earlier is not None and key[-1] in _PUT and key not in earlier
        if added or _is_ours_by_name(key, str(target[key]), intent):
            del target[key]
        elif earlier is not None and key[-1] == "activate":
            target[key] = earlier.get(key, target[key])


def _is_ours_by_name(key: tuple, value: str, intent: Intent) -> bool:
    is_profile = key[-1] == "bfd profile" and value.startswith(f"{intent.name}-")
    return is_profile or value in (intent.inbound, intent.outbound)


# What adoption can put on a group; a remote AS too, but sessions of others may need that by now.
_PUT = (
    "timers",
    "timers connect",
    "bfd",
    "bfd profile",
    "password",
    "ebgp-multihop",
    "ttl-security hops",
    "capability extended-nexthop",
    "graceful-restart-helper",
    "maximum-prefix",
    "soft-reconfiguration",
)
