# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines of other people with which a declared session cannot be: named, and left to those who wrote them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from . import groups, syntax
from .intent import Intent
from .settings import ROUTER, Config, Settings, neighbor_of


class Obstacle(NamedTuple):
    """A line as the router shows it, where it stands, and what it does."""

    line: str
    where: str
    why: str


def found(config: Config, intent: Intent) -> list[Obstacle]:
    """All obstacles to what is declared."""
    where = f"router bgp {config.settings.get(ROUTER, intent.asn)}"
    inside = [
        Obstacle(_shown(key, value), where, why)
        for key, value in config.settings.items()
        if key[0] == "bgp" and (why := _why(key[1], value, config.settings, intent))
    ]
    return [*inside, *_of_groups(config.settings, intent, where), *_outside(config)]


def of_instance(config: Config) -> list[Obstacle]:
    """The obstacles that stand in the way whatever is declared."""
    where = f"router bgp {config.settings.get(ROUTER, '')}".rstrip()
    return [
        Obstacle(_shown(key, value), where, _SHUTDOWN)
        for key, value in config.settings.items()
        if key[0] == "bgp" and _is_shutdown(key[1], value)
    ] + _outside(config)


def drift(obstacles: list[Obstacle]) -> list[dict[str, str]]:
    """Return obstacles as differences: the line is set, and should not be."""
    return [
        {"what": one.line, "where": one.where, "expected": f"none: {one.why}", "found": "set"}
        for one in obstacles
    ]


def named(session: dict, standing: list[Obstacle]) -> dict:
    """A session's facts, which name the line that keeps it down."""
    lines = ", ".join(f"'{one.line}'" for one in standing)
    if not lines or session["established"] or session["reason"] != "shut_down":
        return session
    return {**session, "explanation": f"{session['explanation'].rstrip('.')}: {lines}."}


_SHUTDOWN = "it keeps every session of the instance down"


def _is_shutdown(text: str, value: str) -> bool:
    return value != "no" and text.split()[:1] == ["shutdown"]


def _shown(key: tuple, value: str) -> str:
    return syntax.mask(f"{'no ' if value == 'no' else ''}bgp {key[1]}")


def _number(text: str) -> int:
    return int(text.rsplit(maxsplit=1)[-1])


def _slow(text: str, _settings: Settings, intent: Intent) -> bool:
    return intent.hold is not None and _number(text) > intent.hold


def _full(text: str, settings: Settings, intent: Intent) -> bool:
    return _number(text) < len(_dynamic(settings, intent))


def _other_as(text: str, _settings: Settings, intent: Intent) -> bool:
    return syntax.parse_asn(text.rsplit(maxsplit=1)[-1]) != intent.asn


def _any_dynamic(_text: str, settings: Settings, intent: Intent) -> bool:
    return bool(_dynamic(settings, intent))


def _dynamic(settings: Settings, intent: Intent) -> list[str]:
    """Declared nodes that a listen range alone covers."""
    known = groups.covered(settings, intent)
    return [address for address in known if ("neighbor", address, "peer-group") not in settings]


_When = Callable[[str, Settings, Intent], bool]
# What follows "bgp", when it is in the way, and why.
_LINES: tuple[tuple[str, _When, str], ...] = (
    (r"minimum-holdtime \d+", _slow, "the declared hold time is shorter, and such a session is refused"),
    (r"listen limit \d+", _full, "the listen ranges cover more nodes than that"),
    (r"default shutdown", _any_dynamic, "the session of a node that connects is shut down at once"),
    (r"confederation identifier \S+", _other_as, "nodes outside see this AS number and not the declared one"),
)


def _why(text: str, value: str, settings: Settings, intent: Intent) -> str:
    if _is_shutdown(text, value):
        return _SHUTDOWN
    for pattern, when, why in _LINES:
        if value != "no" and re.fullmatch(pattern, text) and when(text, settings, intent):
            return why
    return ""


def _of_groups(settings: Settings, intent: Intent, where: str) -> list[Obstacle]:
    """The obstacles in peer groups that cover declared nodes."""
    adopted = set(groups.covered(settings, intent).values()) if intent.covered == "adopt" else set()
    found = []
    for key, value in settings.items():
        line = f"shutdown {value}".strip() if key[-1] == "shutdown" else str(key[-1])
        if neighbor_of(key) in adopted and (key[-1] == "shutdown" or contradicts(key)):
            shown = syntax.mask(f"neighbor {neighbor_of(key)} {line}")
            found.append(Obstacle(shown, where, "the peer group covers declared nodes"))
    return found


# What makes a session of a neighbor with other ends than those declared, or lets routes through it that no
# declaration knows. The first words of a line.
CONTRADICTIONS = (
    "local-as",
    "local-role",
    "port",
    "dont-capability-negotiate",
    "override-capability",
    "strict-capability-match",
    "path-attribute",
    "allowas-in",
    "as-override",
    "default-originate",
    "next-hop-self",
    "attribute-unchanged",
    "remove-private-AS",
    "unsuppress-map",
    "advertise-map",
    "route-reflector-client",
    "route-server-client",
    "weight",
)


def contradicts(key: tuple) -> bool:
    """Return whether this line about a neighbor contradicts whatever is declared."""
    return key[-2:-1] == ("other",) and str(key[-1]).split(maxsplit=1)[0] in CONTRADICTIONS


def _outside(config: Config) -> list[Obstacle]:
    return [
        Obstacle(syntax.mask(line), "running configuration", "routes of BGP do not reach the kernel")
        for line in config.other
        if line == "bgp no-rib"
    ]
