# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operations that the rest of the collection needs of router software: read, say, check, enter, save,
answer.

Settings are what everything else speaks of, in the words of FRR; facts come in the shape of FRR's JSON, which
C(facts) judges. docs/design/0023-router-software.md has the reasons.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..intent import Intent
from ..settings import Config, Settings
from ..shell import Vtysh
from ..startup import Startup

Json = dict[str, Any]


@dataclass(frozen=True)
class Sessions:
    """Facts about sessions: C(show bgp summary json), C(show bgp neighbors json), prefix counts by
    (family, address), and C(show bfd peers json) by address."""

    summary: Json
    neighbors: Json
    counts: Mapping[tuple[str, str], Json] = field(default_factory=dict)
    bfd: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Tables:
    """Paths of BGP by prefix, and zebra's selected routes by prefix, as C(facts) has them."""

    bgp: Mapping[str, list[Json]]
    fib: Mapping[str, Json]
    router_id: str | None


class Dialect(abc.ABC):
    """One router software, reached through C(vtysh); C(limit) is how many next hops a route can have."""

    # As people call it.
    name: ClassVar[str]
    # The first version that can be managed, and what an older one lacks.
    since: ClassVar[tuple[int, ...]]
    why_since: ClassVar[str]

    def __init__(self, vtysh: Vtysh, limit: int) -> None:
        self.vtysh = vtysh
        self.limit = limit

    def fit(self, intent: Intent) -> tuple[Intent, list[str]]:
        """The intent as this software can have it, with a sentence on each thing that is left out and what is
        done instead; a Refusal where nothing can be done instead."""
        return intent, []

    @abc.abstractmethod
    def running(self) -> str:
        """The running configuration; a Refusal when a daemon that is needed does not answer."""

    @abc.abstractmethod
    def stored(self, running: str) -> Startup:
        """The configuration that the daemons start from, and where it is saved."""

    @abc.abstractmethod
    def read(self, text: str) -> Config:
        """The settings in a running or a stored configuration."""

    def parts(self, settings: Settings) -> dict[str, Settings]:
        """The settings of each daemon that has some of its own, by its name; those of BGP first, unnamed."""
        return {"": settings}

    @abc.abstractmethod
    def plan(
        self, config: Config, intent: Intent, replace_as: bool, earlier: Settings | None = None
    ) -> Settings:
        """The settings that the router should have; C(earlier) are those from before the first change."""

    @abc.abstractmethod
    def commands(self, before: Settings, after: Settings) -> list[str]:
        """Lines that lead from one to the other; none when both are equal."""

    @abc.abstractmethod
    def check(self, text: str, lines: Sequence[str]) -> list[str]:
        """Let the software look at the lines before any is entered; a Refusal names the line. C(text) is the
        running configuration; sentences are on lines in that."""

    @abc.abstractmethod
    def enter(self, lines: Sequence[str]) -> None:
        """Enter lines. A Refusal when one was refused; those after it may have been taken."""

    @abc.abstractmethod
    def entering(self, path: str) -> str:
        """A shell command that enters the lines in a file; C(path) is quoted already."""

    def settle(self, before: Settings, after: Settings) -> list[str]:
        """Have the new settings act on the routes that are there already, where they do not by themselves;
        sentences on what did not work."""
        del before, after
        return []

    @abc.abstractmethod
    def save(self) -> None:
        """Write the running configuration to what the daemons start from."""

    @abc.abstractmethod
    def sessions(self, wanted: Sequence[str] | None) -> Sessions:
        """The facts about the sessions, with prefix counts of those to C(wanted) addresses, or all."""

    @abc.abstractmethod
    def tables(self, prefixes: Sequence[str] | None) -> Tables:
        """The routes to these prefixes, or all of BGP's."""
