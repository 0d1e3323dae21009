# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""BFD profiles on a router: what a profile says, FRR's lines for it, and back.

FRR prints no line that equals its default, and has no "no" for most of them: the default is what is entered
to take one
back. Intervals are milliseconds (FRR, doc/user/bfd.rst).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# First word of the keys of settings.
KIND = "bfd-profile"
# Longest name that bfdd takes (bfdd/bfd.h, BFDPROFILENAMELEN, with its final zero).
LONGEST_NAME = 63

_DEFAULTS = {
    "detect-multiplier": "3",
    "transmit-interval": "300",
    "receive-interval": "300",
    "echo transmit-interval": "50",
    "echo receive-interval": "50",
    "minimum-ttl": "254",
    "echo-mode": "no",
    "passive-mode": "no",
    "shutdown": "no",
}
_SWITCHES = ("echo-mode", "passive-mode", "shutdown")


@dataclass(frozen=True)
class Profile:
    """One profile. `minimum_ttl` counts for neighbors several hops away only."""

    name: str
    detect_multiplier: int
    transmit_interval: int
    receive_interval: int
    echo_mode: bool
    echo_interval: int
    minimum_ttl: int

    def options(self) -> dict:
        """Its lines that are not FRR's defaults anyway.

        The router never waits for the first packet: where both ends did, none would ever be sent
        (RFC 5880, 6.1).
        """
        found = {
            "detect-multiplier": str(self.detect_multiplier),
            "transmit-interval": str(self.transmit_interval),
            "receive-interval": str(self.receive_interval),
            "minimum-ttl": str(self.minimum_ttl),
        }
        if self.echo_mode:
            interval = str(self.echo_interval)
            found.update(
                {"echo-mode": "", "echo transmit-interval": interval, "echo receive-interval": interval}
            )
        return {option: value for option, value in found.items() if not is_default(option, value)}


def read(text: str) -> tuple:
    """Name and value of a line in a profile."""
    negated = text.startswith("no ")
    words = (text[3:] if negated else text).split()
    if words[0] in _SWITCHES:
        return words[0], "no" if negated else ""
    name = " ".join(words[:2]) if words[0] == "echo" else words[0]
    value = " ".join(words[len(name.split()) :])
    return name, _DEFAULTS.get(name, "") if negated else value


def is_default(option: str, value: str) -> bool:
    """Return whether FRR would not print this line."""
    return _DEFAULTS.get(option) == value


def key_of(name: str, option: str | None = None) -> tuple:
    """The key of a profile, or of one of its lines."""
    return (KIND, name) if option is None else (KIND, name, option)


def lines(after: Mapping, changed: Iterable, adding: bool) -> list:
    """Commands for the profiles: first what is new or different, and what goes once nobody uses it."""
    names = dict.fromkeys(key[1] for key in changed if key[0] == KIND)
    inside: list = []
    for name in names:
        if adding and key_of(name) in after:
            options = [key[2] for key in changed if key[:2] == key_of(name) and len(key) == 3]
            inside += [f" profile {name}", *[f"  {_line(after, name, one)}" for one in options], " exit"]
        elif not adding and key_of(name) not in after:
            inside.append(f" no profile {name}")
    return ["bfd", *inside, "exit"] if inside else []


def _line(after: Mapping, name: str, option: str) -> str:
    value = after.get(key_of(name, option), _DEFAULTS.get(option, ""))
    if option in _SWITCHES:
        return f"no {option}" if value == "no" else option
    return f"{option} {value}"
