# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sentences for people about a change and about the router, besides the differences."""

from __future__ import annotations

from . import groups, owner
from .intent import Intent
from .settings import ROUTER, Config, Settings


def of(config: Config, target: Settings, intent: Intent, limit: int) -> list[str]:
    """All sentences, those about the router first. C(limit) is the build's for next hops."""
    return [
        *_forwarding(config),
        *_instances(config, target),
        *owner.shared_name(config.settings, intent),
        *groups.policies_of_others(target, intent),
        *_paths(intent, limit),
        *_families(intent),
    ]


def _forwarding(config: Config) -> list[str]:
    # zebra writes the kernel's state into its configuration, and sets it again from there on every start.
    if "no ip forwarding" not in config.other:
        return []
    return ["The router does not forward IPv4: 'no ip forwarding' is in its running configuration."]


def _instances(config: Config, target: Settings) -> list[str]:
    """The instances of VRFs are other people's; ours is the default one."""
    if ROUTER in config.settings or ROUTER not in target or not config.instances:
        return []
    return [
        f"The router has BGP in {', '.join(repr(line) for line in config.instances)} only: a second "
        f"instance, 'router bgp {target[ROUTER]}', is made beside it, for the default VRF."
    ]


def _paths(intent: Intent, limit: int) -> list[str]:
    if not intent.present or (intent.maximum_paths or 0) <= limit:
        return []
    return [
        f"{intent.maximum_paths} next hops are declared, and this router's build has at most {limit} for a "
        "route: the others are not used until one of these is gone."
    ]


def _families(intent: Intent) -> list[str]:
    carried = {family.split()[0] for neighbor in intent.neighbors for family in neighbor.families}
    return [
        f"IPv{version} prefixes are declared, and no neighbor carries IPv{version} routes."
        for version in sorted({prefix.version for prefix in intent.prefixes})
        if intent.neighbors and f"ipv{version}" not in carried
    ]
