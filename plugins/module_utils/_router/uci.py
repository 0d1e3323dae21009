# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""OpenWrt's configuration as C(uci show) prints it, and the commands that change it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Section:
    """One section: its type, and its options, each a list of values. A name that begins with C(@) is a
    section's that has none, by type and place."""

    kind: str
    options: dict[str, list[str]] = field(default_factory=dict)

    def words(self, option: str) -> list[str]:
        """A list, however it is written: as one, or as one text with blanks."""
        return [word for value in self.options.get(option, []) for word in value.split()]

    def text(self, option: str) -> str:
        """An option of one value; empty where there is none."""
        return " ".join(self.options.get(option, []))


def parse(shown: str) -> dict[str, Section]:
    """Sections by name, in their order. Values are quoted as a shell quotes them, those of a list one after
    the other."""
    sections: dict[str, Section] = {}
    for line in _logical(shown):
        key, equals, value = line.partition("=")
        parts = key.split(".", 2)
        if not equals or len(parts) < 2:
            continue
        if len(parts) == 2:
            sections[parts[1]] = Section(value)
        elif parts[1] in sections:
            sections[parts[1]].options[parts[2]] = shlex.split(value)
    return sections


def _logical(shown: str) -> list[str]:
    """Lines, of which one goes on in the next while a quote is open. One after a backslash opens none."""
    found: list[str] = []
    for line in shown.splitlines():
        if found and found[-1].replace("\\'", "").count("'") % 2:
            found[-1] += f"\n{line}"
        else:
            found.append(line)
    return found


def changes(config: str, name: str, found: Section | None, wanted: Section | None) -> list[str]:
    """Commands that make a section as it should be; None: it is not there."""
    if wanted is None:
        return [] if found is None else [_command("delete", f"{config}.{name}")]
    old: Mapping[str, list[str]] = found.options if found else {}
    commands = []
    if found is None or found.kind != wanted.kind:
        commands.append(_command("set", f"{config}.{name}={wanted.kind}"))
    for option in old:
        if option not in wanted.options:
            commands.append(_command("delete", f"{config}.{name}.{option}"))
    for option, values in wanted.options.items():
        if old.get(option) != values:
            commands.append(_command("set", f"{config}.{name}.{option}={' '.join(values)}"))
    return commands


def _command(verb: str, argument: str) -> str:
    return f"uci -q {verb} {shlex.quote(argument)}"
