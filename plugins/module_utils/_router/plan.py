# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a change: settings found and intent in, wanted settings out; everything else stays.

What belongs to the whole instance, such as the router id, is not ours: it stays, and a limit is raised where
it is too low. Whose a neighbor is, `owner` knows.
"""

from __future__ import annotations

from . import bfd, groups, obstacles, owner, syntax
from .errors import Reason, Refusal
from .intent import Intent, Neighbor, Prefix
from .settings import FAMILIES, OUTSIDE, ROUTER, Config, Settings, family_key, neighbor_of

# What a neighbor of ours has only if it was declared: left behind by hand, each of these breaks or opens
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


def plan(
    config: Config,
    intent: Intent,
    limit: int,
    replace_as: bool = False,
    default: int | None = None,
    *,
    earlier: Settings | None = None,
) -> Settings:
    """The settings to reach. C(limit) is the largest number of next hops that the router's software was built
    for, C(default) how many it uses without a line; None: all of them. C(earlier) is what was there before
    us."""
    _check(config, intent, replace_as)
    target = dict(config.settings)
    if not intent.present and owner.taken(target, intent):
        return target
    if config.asn not in (None, intent.asn):
        target = {key: value for key, value in target.items() if key[0] in OUTSIDE}
    _remove_strangers(target, intent)
    if intent.present:
        _plan_router(target, intent, limit, limit if default is None else default)
        _plan_neighbors(target, intent)
        _plan_filters(target, intent)
        _plan_profiles(target, intent)
        if intent.local_terminals:
            _plan_terminals(target, intent)
    else:
        groups.make(target, intent)
        groups.put_back(target, intent, earlier or {})
        _remove_terminals(target, intent)
        _remove_filters(target, intent, config.other)
        _plan_profiles(target, intent)
    return target


def _check(config: Config, intent: Intent, replace_as: bool) -> None:
    if intent.present and config.asn not in (None, intent.asn) and not replace_as:
        raise Refusal(
            Reason.OTHER_AS,
            f"the router already runs 'router bgp {config.asn}' and {intent.asn} is declared. Changing it "
            "removes that instance with all its neighbors; set replace_as to true if that is what you want",
        )
    if intent.present and config.asn is None and config.instances and not intent.default_instance:
        raise Refusal(
            Reason.VRF_ONLY,
            f"the router has BGP in {', '.join(repr(line) for line in config.instances)} only, and this "
            f"would make a second instance, 'router bgp {intent.asn}', for the default VRF. Nodes in a VRF "
            "cannot be managed; if they are reached without one, set default_instance to true "
            "(router_default_instance)",
        )
    if intent.present and owner.taken(config.settings, intent):
        raise Refusal(Reason.NAME_TAKEN, owner.taken(config.settings, intent))


def _remove_strangers(target: Settings, intent: Intent) -> None:
    """Neighbors of ours that are not declared any more (all of them, where nothing should be present)."""
    declared = {neighbor.address for neighbor in intent.neighbors} if intent.present else set()
    unwanted = _own(target, intent) - declared
    for key in [key for key in target if neighbor_of(key) in unwanted]:
        del target[key]


def _own(settings: Settings, intent: Intent) -> set:
    """Our neighbors without groups and members of groups, which were there before us."""
    inside = set(groups.covered(settings, intent)) if intent.covered == "adopt" else set()
    return owner.ours(settings, intent) - groups.names(settings) - inside


def _assign(target: Settings, key: tuple, value: object) -> None:
    if value is None:
        target.pop(key, None)
    else:
        target[key] = str(value)


def _plan_router(target: Settings, intent: Intent, limit: int, default: int) -> None:
    identifier = intent.router_id or (None if ROUTER in target else intent.default_router_id)
    target[ROUTER] = str(intent.asn)
    if identifier:
        target[("bgp", "router-id")] = identifier
    if intent.relax is not None:
        _assign(target, ("bgp", "bestpath as-path multipath-relax"), "" if intent.relax else None)
    if intent.maximum_paths is None:
        return
    for family in _families(intent):
        for name in _kinds(intent, family):
            _raise_paths(target, ("family", family, name), min(intent.maximum_paths, limit), default)


def _raise_paths(target: Settings, key: tuple, needed: int, default: int) -> None:
    """Others may need more paths than we do: a limit is never lowered."""
    found, *rest = target.get(key, str(default)).split()
    if int(found) >= needed:
        return
    # A default is never printed back.
    _assign(target, key, None if needed == default else " ".join([str(needed), *rest]))


def _families(intent: Intent) -> list:
    return [
        family for family in FAMILIES if any(family in neighbor.families for neighbor in intent.neighbors)
    ]


def _kinds(intent: Intent, family: str) -> list:
    """eBGP and iBGP paths have a limit each."""
    internal = {n.remote_as == intent.asn for n in intent.neighbors if family in n.families}
    return ["maximum-paths ibgp" if inside else "maximum-paths" for inside in sorted(internal)]


def _plan_neighbors(target: Settings, intent: Intent) -> None:
    if intent.covered == "replace":
        groups.leave(target, intent)
    ours = groups.make(target, intent)
    known = groups.covered(target, intent)
    for neighbor in intent.neighbors:
        if neighbor.address in known:
            _plan_member(target, neighbor.address)
        else:
            _plan_neighbor(target, intent, neighbor)
    if ours:
        _plan_group(target, intent, ours[0])
    for group in sorted(set(known.values()) - {intent.group}):
        nodes = [neighbor for neighbor in intent.neighbors if known.get(neighbor.address) == group]
        wanted: Settings = {}
        _plan_neighbor(wanted, intent, nodes[0])
        groups.adopt(target, intent, group, nodes, groups.renamed(wanted, nodes[0].address, group))


def _plan_group(target: Settings, intent: Intent, node: Neighbor) -> None:
    """Our own group is as a neighbor of ours would be; what a node is called is no word for a group."""
    for key in [key for key in target if neighbor_of(key) == intent.group and key[-1] != "peer-group"]:
        del target[key]
    wanted: Settings = {}
    _plan_neighbor(wanted, intent, node)
    target.update(groups.renamed(wanted, node.address, intent.group))
    del target[("neighbor", intent.group, "description")]


def _plan_member(target: Settings, address: str) -> None:
    """A declared node in somebody's group: what keeps its session down is not the group's."""
    for key in [key for key in target if neighbor_of(key) == address]:
        if key[-1] == "shutdown" or obstacles.contradicts(key):
            del target[key]


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
    for key in [key for key in target if neighbor_of(key) == neighbor.address and obstacles.contradicts(key)]:
        del target[key]
    for family in FAMILIES:
        _plan_family(target, intent, neighbor, family)


def _detection(neighbor: Neighbor) -> dict:
    """Return how a dead neighbor is told from one whose speaker restarts.

    FRR keeps the routes of a restarting neighbor unless somebody switched that off for the whole instance:
    said for the neighbor, it does in any case. Its "bfd check-control-plane-failure" is for neighbors whose
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
    """Ours as they are declared. Another one stays while a neighbor that is not ours uses it."""
    profiles = intent.bfd_profiles if intent.present else ()
    used = {value for key, value in target.items() if key[-1] == "bfd profile"}
    kept = used - {profile.name for profile in profiles}
    for key in [key for key in target if key[0] == bfd.KIND and owner.our_profile(key[1], target, intent)]:
        if key[1] not in kept:
            del target[key]
    for profile in profiles:
        target[bfd.key_of(profile.name)] = ""
        for option, value in profile.options().items():
            target[bfd.key_of(profile.name, option)] = value


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
    """Return whether an instance holds more than what the module itself puts there."""
    known = {("bgp", "router-id"), ("bgp", "bestpath as-path multipath-relax")}
    paths = ("maximum-paths", "maximum-paths ibgp")
    left = [key for key in target if key[0] in ("bgp", "neighbor", "family") and key not in known]
    return any(key[-1] not in paths for key in left) or any(line.startswith("router bgp ") for line in other)
