# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel settings of a router, now and after a restart, and as they were before."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import files, record
from .errors import Reason, Refusal
from .platforms import probe
from .shell import Shell

_NOTE = "sysctl"


@dataclass
class State:
    """The result: what was found and done."""

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
    platform = probe(shell)
    state = State(path=path or platform.sysctl_file)
    if shell.run("[ -d /proc/sys/net/ipv6 ]").rc != 0:
        # A kernel without IPv6 needs none of its settings.
        state.skipped = [name for name in values if name.startswith("net.ipv6.")]
        values = {name: value for name, value in values.items() if name not in state.skipped}
    live = _live(shell, values)
    edits = _edits(shell, state.path, platform.later_sysctl_file, values)
    _compare(state, live, edits, values)
    if state.changed and not check:
        _note(shell, live, edits, values)
        _set(shell, live, edits, values)
    return state


@dataclass(frozen=True)
class Edit:
    """A file as it is (None: it is not there) and as it should be."""

    path: str
    text: str | None
    edited: str


def _edits(shell: Shell, path: str, later: str | None, values: Mapping[str, str]) -> list[Edit]:
    """The file that keeps the values, and the one that is read after it as far as it has them, too."""
    text = files.read(shell, path)
    found = [Edit(path, text, files.set_sysctls(text or "", values))]
    if later and later != path:
        text = files.read(shell, later)
        has = {name: value for name, value in values.items() if files.sysctl(text or "", name) is not None}
        found.append(Edit(later, text, files.set_sysctls(text or "", has)))
    return found


def _compare(state: State, live: Mapping[str, str], edits: list[Edit], values: Mapping[str, str]) -> None:
    for name, value in values.items():
        if live[name] != value:
            _differs(state, name, "kernel", value, live[name])
    for edit in edits:
        for name, value in values.items():
            found = files.sysctl(edit.text or "", name)
            if files.sysctl(edit.edited, name) != found:
                _differs(state, name, edit.path, value, found or "missing")
    state.before = _shown(live, [(edit.path, edit.text or "") for edit in edits])
    state.after = _shown(values, [(edit.path, edit.edited) for edit in edits])


def _note(shell: Shell, live: Mapping[str, str], edits: list[Edit], values: Mapping[str, str]) -> None:
    """Note what a removal puts back. The first look counts: later ones see what we made."""
    first = record.read(shell, _NOTE) or {"kernel": {}, "files": {}}
    kernel = {name: [found, values[name]] for name, found in live.items() if found != values[name]}
    for name, (found, _set) in first["kernel"].items():
        kernel[name] = [found, values.get(name, _set)]
    noted = dict(first["files"])
    for edit in edits:
        if edit.edited != (edit.text or ""):
            known = noted.get(edit.path, {"there": edit.text is not None, "lines": {}})
            noted[edit.path] = {**known, "lines": record.lines(edit.text or "", edit.edited, known["lines"])}
    record.write(shell, _NOTE, {"kernel": kernel, "files": noted})


def _set(shell: Shell, live: Mapping[str, str], edits: list[Edit], values: Mapping[str, str]) -> None:
    for name, value in values.items():
        if live[name] != value:
            _set_live(shell, name, value)
    for edit in edits:
        if edit.edited != (edit.text or ""):
            files.write(shell, edit.path, edit.edited, "0644")


def _set_live(shell: Shell, name: str, value: str) -> None:
    shell.check(f"printf '%s\\n' '{value}' > '{_proc(name)}'", Reason.NO_SYSCTL, f"{name} cannot be set")


def put_back(shell: Shell, check: bool) -> State:
    """Set what was changed as it was found, in the kernel and in the files. What somebody has changed since
    stays."""
    state = State()
    note = record.read(shell, _NOTE)
    if note is None:
        return state
    live = _live(shell, dict.fromkeys(note["kernel"], ""))
    edits = []
    for path, noted in note["files"].items():
        text = files.read(shell, path)
        edits.append((Edit(path, text, record.put_back(text or "", noted["lines"])), noted["there"]))
    _compare_back(state, live, note["kernel"], edits)
    # The note itself goes in any case.
    state.changed = True
    if not check:
        _put_back(shell, live, note["kernel"], edits)
        record.forget(shell, _NOTE)
    return state


def _compare_back(
    state: State, live: Mapping[str, str], kernel: Mapping[str, list], edits: list[tuple[Edit, bool]]
) -> None:
    after = dict(live)
    for name, (found, written) in kernel.items():
        if live[name] == written:
            after[name] = found
            _differs(state, name, "kernel", found, written)
    for edit, _there in edits:
        if edit.text is not None and edit.edited != edit.text:
            _differs(state, "kernel parameters", edit.path, "as they were found", "ours")
    state.before = _shown(live, [(edit.path, edit.text or "") for edit, _there in edits])
    state.after = _shown(after, [(edit.path, edit.edited) for edit, _there in edits])


def _put_back(
    shell: Shell, live: Mapping[str, str], kernel: Mapping[str, list], edits: list[tuple[Edit, bool]]
) -> None:
    for name, (found, written) in kernel.items():
        if live[name] == written:
            _set_live(shell, name, found)
    for edit, there in edits:
        if not there and not edit.edited.strip():
            shell.run(f"rm -f {shlex.quote(edit.path)}")
        elif edit.text is not None and edit.edited != edit.text:
            files.write(shell, edit.path, edit.edited, "0644")


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


def _shown(values: Mapping[str, str], texts: list[tuple[str, str]]) -> str:
    lines = [f"kernel: {name} = {value}" for name, value in sorted(values.items())]
    kept = [f"{path}: {line}" for path, text in texts for line in text.splitlines()]
    return "".join(f"{line}\n" for line in [*lines, *kept])


def _differs(state: State, what: str, where: str, expected: str, found: str) -> None:
    state.changed = True
    state.drift.append({"what": what, "where": where, "expected": expected, "found": found})
