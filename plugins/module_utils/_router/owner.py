# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find out whose a neighbor is: a name alone does not say it, for two clusters may have been given the same.

A neighbor is ours where it is declared. One that is not is ours where it uses a route map of our name and is
in an AS of ours: so it is known that a node has left. A name that only strangers use is somebody else's.
"""

from __future__ import annotations

from . import groups
from .intent import Intent
from .settings import Settings, neighbor_of


def users(settings: Settings, intent: Intent) -> set[str]:
    """Neighbors and groups that use a route map of our name."""
    found = {
        neighbor_of(key)
        for key, value in settings.items()
        if key[-1] in ("route-map in", "route-map out") and value in (intent.inbound, intent.outbound)
    }
    return {address for address in found if address}


def ours(settings: Settings, intent: Intent) -> set[str]:
    """Addresses of neighbors that are declared, or that use a route map of ours in an AS of ours."""
    declared = {neighbor.address for neighbor in intent.neighbors}
    return declared | {
        address for address in users(settings, intent) if _in_our_as(settings, intent, address)
    }


def strangers(settings: Settings, intent: Intent) -> set[str]:
    """Neighbors that use a route map of our name and are in somebody else's AS."""
    return users(settings, intent) - ours(settings, intent)


def _in_our_as(settings: Settings, intent: Intent, address: str) -> bool:
    """Return whether a neighbor can be in a declared AS. Where none is declared, the name has to do."""
    declared = {str(neighbor.remote_as) for neighbor in intent.neighbors}
    found = settings.get(("neighbor", address, "remote-as"))
    return not declared or found is None or found in declared or not found.isdigit()


def taken(settings: Settings, intent: Intent) -> str:
    """A sentence where only neighbors that are not declared use the name: most likely another cluster's."""
    known = users(settings, intent)
    declared = {neighbor.address for neighbor in intent.neighbors}
    adopted = set(groups.covered(settings, intent).values())
    if intent.listen_ranges:
        adopted.add(intent.group)
    if intent.take_over or not known or not declared or known & (declared | adopted):
        return ""
    some = sorted(known)
    more = f" and {len(some) - 3} more" if len(some) > 3 else ""
    return (
        f"the route maps {intent.inbound} and {intent.outbound} are those of {', '.join(some[:3])}{more}, "
        "none of which is declared here: another cluster's, it seems. Give each cluster that shares this "
        "router a name of its own (router_name); if these are this cluster's former nodes, set take_over to "
        "true (router_take_over)"
    )


def shared_name(settings: Settings, intent: Intent) -> list[str]:
    """A sentence where neighbors of another AS use our name, or nothing that uses it is ours."""
    why, others = taken(settings, intent), sorted(strangers(settings, intent))
    if why:
        return [f"Nothing is removed: {why}."]
    if not others:
        return []
    return [
        f"Left alone, for their AS is none of the declared neighbors': {', '.join(others)}, with route maps "
        f"of the name {intent.name}. Two clusters on one router need two names (router_name)."
    ]


def other_names(settings: Settings) -> list[str]:
    """Names under which filters like ours are left, after ours are gone."""
    maps = {key[1] for key in settings if key[0] == "route-map"}
    return sorted(one[:-3] for one in maps if one.endswith("-IN") and f"{one[:-3]}-OUT" in maps)


def our_profile(name: str, settings: Settings, intent: Intent) -> bool:
    """Return whether a BFD profile's name begins as those of ours do, and not as those of a cluster whose
    name is longer."""
    mine = f"{intent.name}-"
    maps = {key[1] for key in settings if key[0] == "route-map" and key[1].endswith("-IN")}
    longer = [one[:-2] for one in maps if one.startswith(mine) and one != intent.inbound]
    return name.startswith(mine) and not name.startswith(tuple(longer))
