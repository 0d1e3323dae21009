# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read, compare, check, enter, verify, save: one router from what it has to what it should have."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import (
    backup,
    confirm,
    delta,
    dialects,
    notes,
    obstacles,
    owner,
    report,
    resets,
    startup,
    syntax,
)
from .dialects.base import Dialect
from .errors import Reason, Refusal
from .intent import Intent
from .owner import ours
from .settings import ROUTER, Config, Settings
from .shell import Vtysh


@dataclass
class Outcome:
    """The result: what was found and done; everything in it is fit to be shown."""

    changed: bool = False
    saved: bool = False
    commands: list = field(default_factory=list)
    drift: list = field(default_factory=list)
    before: str = ""
    after: str = ""
    foreign: dict = field(default_factory=dict)
    warnings: list = field(default_factory=list)
    # Whether an instance of BGP is left, which may be other people's by now.
    in_use: bool = False
    backup: str = ""


@dataclass(frozen=True)
class Options:
    """The options of the run, as opposed to the state to reach."""

    check: bool = False
    save: bool = True
    replace_as: bool = False
    reset_sessions: bool = False
    # Seconds after which the router takes a change back that was not confirmed; 0 for never.
    confirm_timeout: int = 60


def converge(vtysh: Vtysh, intent: Intent, options: Options) -> Outcome:
    """Bring the router to C(intent). A Refusal means that the router is as it was before, or says how it is
    not."""
    warnings: list = []
    dialect, text = _present(vtysh, intent, options, warnings)
    intent, left_out = dialect.fit(intent)
    config = dialect.read(text)
    kept = None if intent.present else backup.kept(vtysh.shell, backup.RUNNING) or ""
    earlier = None if kept is None else dialect.read(kept).settings
    target = dialect.plan(config, intent, options.replace_as, earlier)
    warnings += resets.check(vtysh, config, target, intent, options.reset_sessions)
    lines = dialect.commands(config.settings, target)
    outcome = _describe(dialect, config, target, intent, lines)
    outcome.warnings += [*left_out, *warnings, *notes.of(config, target, intent, dialect.limit)]
    standing = obstacles.drift(obstacles.found(config, intent)) if intent.present else []
    outcome.warnings += [f"'{one['what']}' in {one['where']}: {one['expected'][6:]}." for one in standing]
    if text and options.save:
        standing += _check_startup(dialect, text, intent, target, outcome)
    if text and lines:
        outcome.warnings += dialect.check(text, lines)
    outcome.changed = bool(lines) or (bool(outcome.drift) and options.save)
    outcome.drift += standing
    if outcome.changed and not options.check:
        _change(dialect, text, _Change(intent, config.settings, target, lines), options, outcome)
    return outcome


@dataclass(frozen=True)
class _Change:
    """A change of settings: from C(before) to C(target), by C(lines)."""

    intent: Intent
    before: Settings
    target: Settings
    lines: list


def _change(dialect: Dialect, text: str, change: _Change, options: Options, outcome: Outcome) -> None:
    if change.lines:
        backup.keep(dialect.vtysh.shell, backup.RUNNING, text)
        outcome.backup = backup.path_of(backup.RUNNING)
        _enter(dialect, text, change, options.confirm_timeout)
        outcome.warnings += dialect.settle(change.before, change.target)
        if not change.intent.present and not owner.other_names(change.target):
            backup.forget(dialect.vtysh.shell, backup.RUNNING)
    if options.save:
        dialect.save()
        outcome.saved = True


def _present(vtysh: Vtysh, intent: Intent, options: Options, warnings: list) -> tuple[Dialect, str]:
    """The router's software and its running configuration, which is empty where it cannot be asked.

    In check mode it may not be there yet because nothing was installed either: then everything is missing.
    To take us away bgpd need not run where it has nothing to start from.
    """
    try:
        dialect = dialects.of(vtysh)
        return dialect, dialect.running()
    except Refusal as refusal:
        if refusal.reason not in (Reason.NO_DAEMON, Reason.DAEMON_DOWN):
            raise
        dialect = dialects.expected(vtysh)
        if not intent.present and not _starts_with_bgp(dialect):
            return dialect, ""
        if not options.check or not intent.present:
            raise
        warnings.append(f"Nothing could be compared, so everything counts as missing: {refusal}")
        return dialect, ""


def _starts_with_bgp(dialect: Dialect) -> bool:
    """Return whether the files that the daemons start from have an instance of BGP."""
    return ROUTER in dialect.read(dialect.stored("").text or "").settings


def _describe(dialect: Dialect, config: Config, target: Settings, intent: Intent, lines: list) -> Outcome:
    outcome = Outcome(
        commands=[syntax.mask(line) for line in lines],
        foreign=report.foreign(config, intent),
        in_use=ROUTER in target,
    )
    olds, news = dialect.parts(config.settings), dialect.parts(target)
    addresses = ours(config.settings, intent)
    for name, new in news.items():
        outcome.drift += _drift(name, olds[name], new, outcome.drift)
        before = report.managed(olds[name], intent, addresses)
        after = report.managed(new, intent, addresses)
        if not name or before != after:
            head = f"! {name}\n" if name else ""
            outcome.before += head + report.text(before)
            outcome.after += head + report.text(after, before)
    return outcome


def _drift(name: str, before: Settings, after: Settings, known: list) -> list:
    """The differences of one part; what is missing in every part alike is said once."""
    found = report.drift(before, after)
    if not name:
        return found
    same = [entry["what"] for entry in known]
    return [{**entry, "where": f"{entry['where']} of {name}"} for entry in found if entry["what"] not in same]


def _check_startup(dialect: Dialect, text: str, intent: Intent, target: Settings, outcome: Outcome) -> list:
    """Note as drift in C(outcome) what was configured and never saved: it works until the next start only.

    Returned are differences that saving does not mend.
    """
    found = dialect.stored(text)
    standing = startup.not_kept(found)
    if standing or outcome.drift:
        return standing
    stored = dialect.read(found.text or "").settings
    addresses = ours(target, intent) | ours(stored, intent)
    halves = zip(dialect.parts(stored).values(), dialect.parts(target).values())
    if any(
        report.managed(saved, intent, addresses) != report.managed(wanted, intent, addresses)
        for saved, wanted in halves
    ):
        outcome.drift.append(
            {
                "what": "saved configuration",
                "where": "startup file",
                "expected": "the same as the running configuration",
                "found": "different" if stored else "missing",
            }
        )
    return standing


def _enter(dialect: Dialect, text: str, change: _Change, seconds: int) -> None:
    """All of it or nothing: what was taken of lines that were not all taken is undone, by the router itself
    where it does not hear from us."""
    timer = confirm.Timer(dialect, seconds)
    timer.start(confirm.undo(dialect, text, change.before, change.target))
    try:
        dialect.enter(change.lines)
        _verify(dialect, change.target)
    except Refusal as refusal:
        undone, how = _roll_back(dialect, change.before)
        left = "" if undone else timer.left()
        if undone:
            timer.cancel()
        raise Refusal(refusal.reason, f"{refusal}. {how}{left}") from refusal
    timer.confirm()


def _verify(dialect: Dialect, target: Settings) -> None:
    left = delta.changed(dialect.read(dialect.running()).settings, target)
    if left:
        names = ", ".join(" ".join(part for part in key if part) for key in left[:5])
        raise Refusal(
            Reason.NOT_TAKEN, f"the router accepted the commands, and shows something else for: {names}"
        )


def _roll_back(dialect: Dialect, before: Settings) -> tuple[bool, str]:
    """Undo whatever part was taken, by the same means: whether it was done, and a sentence on that."""
    try:
        lines = dialect.commands(dialect.read(dialect.running()).settings, before)
        if lines:
            dialect.enter(lines)
        left = delta.changed(dialect.read(dialect.running()).settings, before)
    except Refusal as refusal:
        return False, f"Undoing it failed too ({refusal}): look at the router's running configuration"
    if left:
        return False, "Undoing it left differences: look at the router's running configuration"
    return (
        True,
        "What had been applied was undone; nothing was saved" if lines else "Nothing had been applied",
    )
