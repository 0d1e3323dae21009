# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""FRR: one configuration for all daemons, checked by C(vtysh -C -f), entered by C(vtysh -f), and JSON."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from .. import candidate, delta, detection, facts, settings, startup
from .. import plan as plans
from ..errors import Refusal
from ..intent import Intent
from ..settings import Config, Settings
from ..shell import Result
from .base import Dialect, Sessions, Tables

Json = dict[str, Any]

_SUMMARY = "show bgp summary json"
_NEIGHBORS = "show bgp neighbors json"
_BFD = "show bfd peers json"
_WHOLE = {
    "show bgp ipv4 unicast json": "bgp",
    "show bgp ipv6 unicast json": "bgp",
    "show ip route bgp json": "fib",
    "show ipv6 route bgp json": "fib",
}


class Frr(Dialect):
    """FRR, whose words the settings are in."""

    name = "FRR"
    since = (7, 4)
    why_since = "it lacks a default that refuses eBGP sessions without policy. FRR 7.4 or later is needed"

    def running(self) -> str:
        """The configuration that vtysh merges from all daemons."""
        return self.vtysh.running()

    def stored(self, running: str) -> startup.Startup:
        """The startup configuration that C(startup) finds."""
        return startup.look(self.vtysh, running)

    def read(self, text: str) -> Config:
        """The fold of its lines."""
        return settings.read(text)

    def plan(
        self, config: Config, intent: Intent, replace_as: bool, earlier: Settings | None = None
    ) -> Settings:
        """All that is declared."""
        return plans.plan(config, intent, self.limit, replace_as, earlier=earlier)

    def commands(self, before: Settings, after: Settings) -> list[str]:
        """The lines of C(delta) as they are."""
        return delta.commands(before, after)

    def check(self, text: str, lines: Sequence[str]) -> list[str]:
        """Let the router's own vtysh parse the whole configuration as it will be."""
        return candidate.check(self.vtysh, text, list(lines))

    def enter(self, lines: Sequence[str]) -> None:
        """Enter lines from a private file; vtysh goes on after one that is refused."""
        self.vtysh.apply(list(lines))

    def entering(self, path: str) -> str:
        """C(vtysh -f)."""
        return self.vtysh.entering(path)

    def save(self) -> None:
        """Let the daemons write their file."""
        self.vtysh.save()

    def sessions(self, wanted: Sequence[str] | None) -> Sessions:
        """Three questions for all sessions, one for each that keeps what was received before the filter."""
        results = self.vtysh.show(_SUMMARY, _NEIGHBORS, _BFD)
        summary, neighbors = (facts.parse(results[one].stdout, one) for one in (_SUMMARY, _NEIGHBORS))
        asked = {
            f"show bgp {family} unicast neighbors {address} prefix-counts json": (family, address)
            for family, address in facts.wants_counts(neighbors)
            if wanted is None or address in wanted
        }
        counts = self.vtysh.show(*asked) if asked else {}
        by_session = {asked[command]: _counted(result, command) for command, result in counts.items()}
        return Sessions(summary, neighbors, by_session, detection.bfd_peers(results[_BFD].stdout))

    def tables(self, prefixes: Sequence[str] | None) -> Tables:
        """The whole tables of BGP, or one question for each prefix and table."""
        questions = _WHOLE if prefixes is None else _questions(prefixes)
        # Always asked too: the router's own identifier.
        results = self.vtysh.show(*questions, _SUMMARY)
        found: dict[str, Json] = {"bgp": {}, "fib": {}}
        for command, name in questions.items():
            document = facts.parse(results[command].stdout, command)
            found[name].update(facts.table(document) if name == "bgp" else facts.fib(document))
        summary = facts.parse(results[_SUMMARY].stdout, _SUMMARY)
        return Tables(found["bgp"], found["fib"], facts.router_id(summary))


def _counted(result: Result, command: str) -> Json:
    """A session may end between two questions; its counts are not known then."""
    try:
        return facts.parse(result.stdout, command)
    except Refusal:
        return {}


def _questions(prefixes: Sequence[str]) -> Mapping[str, str]:
    """Show commands and the table that each is about."""
    found = {}
    for prefix in prefixes:
        version = ipaddress.ip_network(prefix).version
        found[f"show bgp ipv{version} unicast {prefix} json"] = "bgp"
        found[f"show {'ip' if version == 4 else 'ipv6'} route {prefix} json"] = "fib"
    return found
