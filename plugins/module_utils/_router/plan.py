# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what a router has and what it should have to the settings that it will have: everything else stays.

A neighbour is ours when it is declared, or when it uses one of our route maps: that is how one that is no
longer
declared is recognised and removed, while neighbours of other people are left alone.
"""

from __future__ import annotations

from . import bfd, syntax
from .intent import Intent, Neighbor, Prefix, Reason, Refusal
from .settings import FAMILIES, OUTSIDE, ROUTER, Config, Settings, family_key, neighbor_of

# What a neighbour of ours has only if it was declared: left behind by hand, each of these breaks or opens
# the session.
OWNED = (
    "remote-as",
    "description",
    "password",
    "timers",
    "timers connect",
    "ebgp-multihop",
    "update-source",
    "shutdown",
    "passive",
    "ttl-security hops",
    "capability extended-nexthop",
    "bfd",
    "bfd profile",
    "bfd check-control-plane-failure",
    "graceful-restart",
    "graceful-restart-helper",
    "graceful-restart-disable",
)
OWNED_IN_FAMILY = (
    "activate",
    "route-map in",
    "route-map out",
    "prefix-list in",
    "prefix-list out",
    "filter-list in",
    "filter-list out",
    "distribute-list in",
    "distribute-list out",
    "maximum-prefix",
    "soft-reconfiguration",
)


def plan(config: Config, intent: Intent, limit: int, replace_as: bool = False) -> Settings:
    """The settings to reach. C(limit) is the largest number of next hops this FRR was built for."""
    _check(config, intent, limit, replace_as)
    target = dict(config.settings)
    if config.asn not in (None, intent.asn):
        target = {key: value for key, value in target.items() if key[0] in OUTSIDE}
    _remove_strangers(target, intent)
    if intent.present:
        _plan_router(target, intent, limit)
        for neighbor in intent.neighbors:
            _plan_neighbor(target, intent, neighbor)
        _plan_filters(target, intent)
        _plan_profiles(target, intent)
        if intent.local_terminals:
            _plan_terminals(target, intent)
    else:
        _remove_terminals(target, intent)
        _remove_filters(target, intent, config.other)
        _plan_profiles(target, intent)
    return target


def ours(settings: Settings, intent: Intent) -> set:
    """Addresses of neighbours that are declared or use one of our route maps."""
    marked = {
        neighbor_of(key)
        for key, value in settings.items()
        if key[-1] in ("route-map in", "route-map out") and value in (intent.inbound, intent.outbound)
    }
    return {address for address in marked if address} | {neighbor.address for neighbor in intent.neighbors}


def _check(config: Config, intent: Intent, limit: int, replace_as: bool) -> None:
    if intent.present and config.asn not in (None, intent.asn) and not replace_as:
        raise Refusal(
            Reason.OTHER_AS,
            f"the router already runs 'router bgp {config.asn}' and {intent.asn} is declared. Changing it "
            "removes that instance with all its neighbours; set replace_as to true if that is what you want",
        )
    if intent.maximum_paths is not None and intent.maximum_paths > limit:
        raise Refusal(
            Reason.ABOVE_LIMIT,
            f"maximum_paths: {intent.maximum_paths} are declared, and this FRR was built for at most {limit}",
        )
    if intent.present and config.asn == intent.asn:
        _check_groups(config, intent)


def _check_groups(config: Config, intent: Intent) -> None:
    for neighbor in intent.neighbors:
        group = config.settings.get(("neighbor", neighbor.address, "peer-group"))
        if group:
            raise Refusal(
                Reason.IN_PEER_GROUP,
                f"neighbor {neighbor.address} is a member of peer group {group}, which settings come "
                f"from that are not managed here; take it out of the group "
                f"('no neighbor {neighbor.address} peer-group {group}')",
            )


def _remove_strangers(target: Settings, intent: Intent) -> None:
    """Neighbours of ours that are not declared any more (all of them, where nothing should be present)."""
    declared = {neighbor.address for neighbor in intent.neighbors} if intent.present else set()
    unwanted = ours(target, intent) - declared
    for key in [key for key in target if neighbor_of(key) in unwanted]:
        del target[key]


def _assign(target: Settings, key: tuple, value: object) -> None:
    if value is None:
        target.pop(key, None)
    else:
        target[key] = str(value)


def _plan_router(target: Settings, intent: Intent, limit: int) -> None:
    target[ROUTER] = str(intent.asn)
    if intent.router_id:
        target[("bgp", "router-id")] = intent.router_id
    if intent.relax is not None:
        _assign(target, ("bgp", "bestpath as-path multipath-relax"), "" if intent.relax else None)
    if intent.maximum_paths is None:
        return
    # The limit is the default, and a default is never printed back.
    value = None if intent.maximum_paths == limit else intent.maximum_paths
    for family in _families(intent):
        for name in _kinds(intent, family):
            _assign(target, ("family", family, name), value)


def _families(intent: Intent) -> list:
    return [
        family for family in FAMILIES if any(family in neighbor.families for neighbor in intent.neighbors)
    ]


def _kinds(intent: Intent, family: str) -> list:
    """eBGP and iBGP paths have a limit each."""
    internal = {n.remote_as == intent.asn for n in intent.neighbors if family in n.families}
    return ["maximum-paths ibgp" if inside else "maximum-paths" for inside in sorted(internal)]


def _plan_neighbor(target: Settings, intent: Intent, neighbor: Neighbor) -> None:
    wanted: dict = {
        "remote-as": neighbor.remote_as,
        "description": neighbor.description,
        "password": neighbor.password,
        "timers": None if intent.hold is None else f"{intent.keepalive} {intent.hold}",
        "timers connect": intent.connect,
        "ebgp-multihop": neighbor.ebgp_multihop,
        "update-source": neighbor.update_source,
        "ttl-security hops": neighbor.ttl_security_hops,
        "passive": "" if neighbor.passive else None,
        "capability extended-nexthop": "" if neighbor.carries_foreign_next_hops else None,
        **_detection(neighbor),
    }
    for name in OWNED:
        _assign(target, ("neighbor", neighbor.address, name), wanted.get(name))
    for family in FAMILIES:
        _plan_family(target, intent, neighbor, family)


def _detection(neighbor: Neighbor) -> dict:
    """How a dead neighbour is told from one whose speaker restarts.

    FRR keeps the routes of a restarting neighbour unless somebody switched that off for the whole instance:
    said for the neighbour, it does in any case. Its "bfd check-control-plane-failure" is for neighbours whose
    BFD ends with their BGP. Ours does not, and FRR before 10.1 would keep the routes of dead nodes with it:
    it is among OWNED, and never wanted (docs/design/0013-bfd.md has the figures).
    """
    found: dict = {}
    if neighbor.bfd_profile:
        found.update({"bfd": "", "bfd profile": neighbor.bfd_profile})
    if neighbor.graceful_restart:
        found["graceful-restart-helper"] = ""
    return found


def _plan_profiles(target: Settings, intent: Intent) -> None:
    """Ours as they are declared. Another one stays while a neighbour that is not ours uses it."""
    profiles = intent.bfd_profiles if intent.present else ()
    used = {value for key, value in target.items() if key[-1] == "bfd profile"}
    kept = used - {profile.name for profile in profiles}
    for key in [key for key in target if key[0] == bfd.KIND and is_our_profile(key, intent)]:
        if key[1] not in kept:
            del target[key]
    for profile in profiles:
        target[bfd.key_of(profile.name)] = ""
        for option, value in profile.options().items():
            target[bfd.key_of(profile.name, option)] = value


def is_our_profile(key: tuple, intent: Intent) -> bool:
    """Whether a profile's name begins as those of ours do."""
    return str(key[1]).startswith(f"{intent.name}-")


def _plan_family(target: Settings, intent: Intent, neighbor: Neighbor, family: str) -> None:
    wanted: dict = {"activate": "no"}
    if family in neighbor.families:
        wanted = {
            "activate": "yes",
            "route-map in": intent.inbound,
            "route-map out": intent.outbound,
            "maximum-prefix": intent.maximum_prefix,
            # Kept so that a changed filter takes effect on a session whose other end knows no route refresh.
            "soft-reconfiguration": "inbound",
        }
    for name in OWNED_IN_FAMILY:
        _assign(target, family_key(family, neighbor.address, name), wanted.get(name))


def _plan_filters(target: Settings, intent: Intent) -> None:
    for key in [
        key for key in target if key[0] == "route-map" and key[1] in (intent.inbound, intent.outbound)
    ]:
        del target[key]
    for version, word in ((4, "ip"), (6, "ipv6")):
        prefixes = [prefix for prefix in intent.prefixes if prefix.version == version]
        _plan_pools(target, (word, intent.pools), prefixes)
        if prefixes:
            rule = ("route-map", intent.inbound, "10" if version == 4 else "20")
            target[rule] = "permit"
            target[(*rule, f"match {word} address prefix-list {intent.pools}")] = ""
    if not intent.prefixes:
        # A route map without rules would vanish; this one says that nothing is accepted.
        target[("route-map", intent.inbound, "10")] = "deny"
    target[("route-map", intent.outbound, "10")] = "deny"


def _plan_pools(target: Settings, path: tuple, prefixes: list) -> None:
    """Keep the entries that are right under the numbers they have; add the missing ones behind them."""
    wanted = list(dict.fromkeys(_entry(prefix) for prefix in prefixes))
    present = [key for key in target if key[:3] == ("prefix-list", *path)]
    # A number of its own even when its entry goes: the list must not be empty in between.
    highest = max((int(key[3]) for key in present), default=0) // 5 * 5
    for key in present:
        if target[key] in wanted:
            wanted.remove(target[key])
        else:
            del target[key]
    for number, entry in enumerate(wanted, start=1):
        target[("prefix-list", *path, str(highest + 5 * number))] = entry


def _entry(prefix: Prefix) -> str:
    return str(syntax.Entry("permit", prefix.prefix, prefix.shortest, prefix.longest))


# The loopback of each family, the way FRR writes it.
_LOOPBACK = {"ip": "permit 127.0.0.0/8", "ipv6": "permit ::1/128"}
# What packages ship, so that everybody knows it.
_KNOWN_PASSWORDS = ("zebra",)


def _plan_terminals(target: Settings, intent: Intent) -> None:
    """Terminals over TCP from the router itself only. Somebody's own access list stays in force."""
    if target.get(("vty", "password")) in _KNOWN_PASSWORDS:
        del target[("vty", "password")]
    for family, entry in _LOOPBACK.items():
        option = ("vty", "access-class" if family == "ip" else "ipv6 access-class")
        if target.setdefault(option, intent.terminals) != intent.terminals:
            continue
        for key in [key for key in target if key[:3] == ("access-list", family, intent.terminals)]:
            del target[key]
        target[("access-list", family, intent.terminals, "5")] = entry


def _remove_terminals(target: Settings, intent: Intent) -> None:
    for key in list(target):
        ours = key[0] == "access-list" and key[2] == intent.terminals
        if ours or (key[0] == "vty" and target[key] == intent.terminals and key[1] != "password"):
            del target[key]


def _remove_filters(target: Settings, intent: Intent, other: list) -> None:
    names = (intent.inbound, intent.outbound)
    for key in list(target):
        if (key[0] == "route-map" and key[1] in names) or (
            key[0] == "prefix-list" and key[2] == intent.pools
        ):
            del target[key]
    if target.get(ROUTER) == str(intent.asn) and not _strange(target, other):
        for key in [key for key in target if key[0] in ("router", "bgp", "family")]:
            del target[key]


def _strange(target: Settings, other: list) -> bool:
    """Whether an instance holds more than what the module itself puts there."""
    known = {("bgp", "router-id"), ("bgp", "bestpath as-path multipath-relax")}
    paths = ("maximum-paths", "maximum-paths ibgp")
    left = [key for key in target if key[0] in ("bgp", "neighbor", "family") and key not in known]
    return any(key[-1] not in paths for key in left) or any(line.startswith("router bgp ") for line in other)
