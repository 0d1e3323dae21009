# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel settings of a router, now and after a restart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import files
from .intent import Reason, Refusal
from .platforms import probe
from .shell import Shell


@dataclass
class State:
    """What was found and done."""

    changed: bool = False
    drift: list[dict[str, str]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    path: str = ""
    before: str = ""
    after: str = ""


def converge(shell: Shell, values: Mapping[str, str], path: str | None, check: bool) -> State:
    """Set each sysctl in the running kernel and in the file C(path) (None: the platform's)."""
    for name in values:
        if not re.fullmatch(r"[a-z0-9_-]+(\.[A-Za-z0-9_:@/-]+)+", name):
            raise Refusal(
                Reason.BAD_OPTION, f"values: {name!r} is no name of a sysctl, as net.ipv4.ip_forward is"
            )
    state = State(path=path or probe(shell).sysctl_file)
    if shell.run("[ -d /proc/sys/net/ipv6 ]").rc != 0:
        # A kernel without IPv6 needs none of its settings.
        state.skipped = [name for name in values if name.startswith("net.ipv6.")]
        values = {name: value for name, value in values.items() if name not in state.skipped}
    live = _live(shell, values)
    _set_live(shell, live, values, check, state)
    _set_file(shell, live, values, check, state)
    return state


def _proc(name: str) -> str:
    """A slash inside a name is a dot of an interface's: sysctl(8)."""
    return "/proc/sys/" + "/".join(part.replace("/", ".") for part in name.split("."))


def _live(shell: Shell, values: Mapping[str, str]) -> dict[str, str]:
    results = shell.batch({str(number): f"cat '{_proc(name)}'" for number, name in enumerate(values)})
    found = {}
    for number, name in enumerate(values):
        result = results[str(number)]
        if result.rc != 0:
            raise Refusal(Reason.NO_SYSCTL, f"the router's kernel has no {name}: {result.text}")
        found[name] = " ".join(result.stdout.split())
    return found


def _set_live(
    shell: Shell, live: Mapping[str, str], values: Mapping[str, str], check: bool, state: State
) -> None:
    for name, value in values.items():
        if live[name] == value:
            continue
        _differs(state, name, "kernel", value, live[name])
        if not check:
            shell.check(
                f"printf '%s\\n' '{value}' > '{_proc(name)}'", Reason.NO_SYSCTL, f"{name} cannot be set"
            )


def _set_file(
    shell: Shell, live: Mapping[str, str], values: Mapping[str, str], check: bool, state: State
) -> None:
    text = files.read(shell, state.path) or ""
    edited = files.set_sysctls(text, values)
    state.before = _shown(live, state.path, text)
    state.after = _shown(values, state.path, edited)
    if edited == text:
        return
    for name, value in values.items():
        if files.set_sysctls(text, {name: value}) != text:
            _differs(state, name, state.path, value, "missing or different")
    if not check:
        files.write(shell, state.path, edited, "0644")


def _shown(values: Mapping[str, str], path: str, text: str) -> str:
    lines = [f"kernel: {name} = {value}" for name, value in sorted(values.items())]
    return "".join(f"{line}\n" for line in [*lines, *[f"{path}: {line}" for line in text.splitlines()]])


def _differs(state: State, what: str, where: str, expected: str, found: str) -> None:
    state.changed = True
    state.drift.append({"what": what, "where": where, "expected": expected, "found": found})
