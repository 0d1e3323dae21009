# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes that end sessions which are not ours: refused by name until somebody allows them."""

from __future__ import annotations

from . import facts, groups, owner
from .errors import Reason, Refusal
from .intent import Intent
from .settings import ROUTER, Config, Settings
from .shell import Vtysh

_ROUTER_ID = ("bgp", "router-id")
_SUMMARY = "show bgp summary json"


def check(vtysh: Vtysh, config: Config, target: Settings, intent: Intent, allowed: bool) -> list[str]:
    """Sentences on what ends sessions. A Refusal where those of others end and that is not C(allowed)."""
    why = _cause(config.settings, target)
    if why is None or (why is _NEW_ID and _running_id(vtysh) == target[_ROUTER_ID]):
        return []
    others = sessions_of_others(config.settings, intent)
    if others and not allowed:
        raise Refusal(
            Reason.RESETS,
            f"{why}, and FRR ends every session of the instance for it, also those that are not ours: "
            f"{', '.join(others)}. Set reset_sessions to true if that may be",
        )
    return [f"{why[:1].upper()}{why[1:]}: FRR resets every session of this instance for it."]


_NEW_ID = "the router id changes"


def _cause(before: Settings, target: Settings) -> str | None:
    if ROUTER not in before:
        return None
    if before[ROUTER] != target.get(ROUTER):
        return f"'router bgp {before[ROUTER]}' is removed"
    if target.get(_ROUTER_ID) not in (None, before.get(_ROUTER_ID)):
        return _NEW_ID
    return None


def _running_id(vtysh: Vtysh) -> str | None:
    """The identifier in force, where FRR chose it or somebody configured it."""
    try:
        summary = facts.parse(vtysh.show(_SUMMARY)[_SUMMARY].stdout, _SUMMARY)
    except (Refusal, ValueError):
        return None
    found = [part["routerId"] for part in summary.values() if isinstance(part, dict) and "routerId" in part]
    return str(found[0]) if found else None


def sessions_of_others(settings: Settings, intent: Intent) -> list[str]:
    """Neighbors and listen ranges of other people, as they are configured."""
    known = owner.ours(settings, intent) | groups.names(settings)
    neighbors = {key[1] for key in settings if key[0] == "neighbor"} - known
    adopted = set(groups.covered(settings, intent).values())
    listening = {
        f"listen range {groups.range_of(key)}"
        for key, group in groups.ranges(settings).items()
        if group not in adopted
    }
    return sorted(neighbors) + sorted(listening)
