# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read, compare, check, enter, verify, save: one router from what it has to what it should have."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from . import delta, report, settings, syntax
from .intent import Intent, Reason, Refusal
from .plan import ours, plan
from .settings import ROUTER, Config, Settings
from .shell import Vtysh

# The file of the integrated configuration, then the daemon's own (quagga, or FRR without integrated
# configuration).
STARTUP_FILES = ("/etc/frr/frr.conf", "/etc/frr/bgpd.conf", "/etc/quagga/bgpd.conf")

# More next hops than any build has.
_ANY_LIMIT = 65535


@dataclass
class Outcome:
    """What was found and done; everything in it is fit to be shown."""

    changed: bool = False
    saved: bool = False
    commands: list = field(default_factory=list)
    drift: list = field(default_factory=list)
    before: str = ""
    after: str = ""
    foreign: dict = field(default_factory=dict)
    warnings: list = field(default_factory=list)


@dataclass(frozen=True)
class Options:
    """How to go about it, as opposed to what to reach."""

    check: bool = False
    save: bool = True
    replace_as: bool = False


def converge(vtysh: Vtysh, intent: Intent, options: Options) -> Outcome:
    """Bring the router to C(intent). A Refusal means that the router is as it was before, or says how it is
    not."""
    warnings: list = []
    text, limit = _present(vtysh, options, warnings)
    config = settings.read(text)
    target = plan(config, intent, limit, options.replace_as)
    lines = delta.commands(config.settings, target)
    outcome = _describe(config, target, intent, lines)
    outcome.warnings += warnings
    _check_startup(vtysh, intent, target, options, outcome)
    if lines and not warnings:
        vtysh.check_syntax(_candidate(text, lines))
    outcome.changed = bool(lines) or (bool(outcome.drift) and options.save)
    if outcome.changed and not options.check:
        if lines:
            _enter(vtysh, config.settings, target, lines)
        if options.save:
            vtysh.save()
            outcome.saved = True
    return outcome


def _present(vtysh: Vtysh, options: Options, warnings: list) -> tuple:
    """The running configuration, and how many next hops a route can have.

    In check mode FRR may not be there yet because nothing was installed either: then everything is missing.
    """
    try:
        require_frr(vtysh)
        return vtysh.running(), vtysh.version.multipath
    except Refusal as refusal:
        if not options.check or refusal.reason not in (Reason.NO_DAEMON, Reason.DAEMON_DOWN):
            raise
        warnings.append(f"Nothing could be compared, so everything counts as missing: {refusal}")
        return "", _ANY_LIMIT


def require_frr(vtysh: Vtysh) -> None:
    """quagga has no way to check a configuration or to answer in JSON: say what is missing instead of
    guessing."""
    version = vtysh.version
    if not version.is_frr or version.numbers < (7, 4):
        raise Refusal(
            Reason.NOT_FRR,
            f"{version.name} {version.text} is not supported: it lacks "
            f"{'a default that' if version.is_frr else 'JSON output, checks by vtysh -C and a default that'} "
            "refuses eBGP sessions without policy. FRR 7.4 or later is needed",
        )


def _candidate(text: str, lines: list) -> str:
    """The whole configuration as it will be: what is there, then the changes."""
    present = [line for line in text.splitlines() if line.strip() != "end"]
    return "\n".join([*present, *lines, ""])


def _describe(config: Config, target: Settings, intent: Intent, lines: list) -> Outcome:
    addresses = ours(config.settings, intent)
    before = report.managed(config.settings, intent, addresses)
    after = report.managed(target, intent, addresses)
    return Outcome(
        commands=[syntax.mask(line) for line in lines],
        drift=report.drift(config.settings, target),
        before=report.text(before),
        after=report.text(after, before),
        foreign=report.foreign(config, intent),
        warnings=_warnings(config, target, intent),
    )


def _warnings(config: Config, after: Settings, intent: Intent) -> list:
    before, found = config.settings, []
    if "no ip forwarding" in config.other:
        # zebra writes the kernel's state into its configuration, and sets it again from there on every start.
        found.append("The router does not forward IPv4: 'no ip forwarding' is in its running configuration.")
    key = ("bgp", "router-id")
    if ROUTER in before and before.get(key) != after.get(key):
        found.append("The router ID changes: FRR resets every session of this instance for it.")
    carried = {family.split()[0] for neighbor in intent.neighbors for family in neighbor.families}
    for version in sorted({prefix.version for prefix in intent.prefixes}):
        if intent.neighbors and f"ipv{version}" not in carried:
            found.append(f"IPv{version} prefixes are declared, and no neighbor carries IPv{version} routes.")
    return found


def _check_startup(
    vtysh: Vtysh, intent: Intent, target: Settings, options: Options, outcome: Outcome
) -> None:
    """What was configured and never saved works until the next start: that is drift as well."""
    if not options.save or outcome.drift:
        return
    tests = " ".join(f"[ -r {path} ] && exec cat {path};" for path in map(shlex.quote, STARTUP_FILES))
    result = vtysh.shell.run(f"{tests} exit 3")
    stored = settings.read(result.stdout).settings if result.rc == 0 else {}
    addresses = ours(target, intent) | ours(stored, intent)
    if report.managed(stored, intent, addresses) != report.managed(target, intent, addresses):
        outcome.drift.append(
            {
                "what": "saved configuration",
                "where": "startup file",
                "expected": "the same as the running configuration",
                "found": "different" if stored else "missing",
            }
        )


def _enter(vtysh: Vtysh, before: Settings, target: Settings, lines: list) -> None:
    """All of it or nothing: what was taken of lines that were not all taken is undone."""
    try:
        vtysh.apply(lines)
        _verify(vtysh, target)
    except Refusal as refusal:
        raise Refusal(refusal.reason, f"{refusal}. {_roll_back(vtysh, before)}") from refusal


def _verify(vtysh: Vtysh, target: Settings) -> None:
    now = settings.read(vtysh.running()).settings
    left = delta.changed(now, target)
    if left:
        names = ", ".join(" ".join(part for part in key if part) for key in left[:5])
        raise Refusal(
            Reason.NOT_TAKEN, f"the router accepted the commands, and shows something else for: {names}"
        )


def _roll_back(vtysh: Vtysh, before: Settings) -> str:
    """Undo whatever part was taken, by the same means; a sentence on how that went."""
    try:
        now = settings.read(vtysh.running()).settings
        lines = delta.commands(now, before)
        if lines:
            vtysh.apply(lines)
        left = delta.changed(settings.read(vtysh.running()).settings, before)
    except Refusal as refusal:
        return f"Undoing it failed too ({refusal}): look at the router's running configuration"
    if left:
        return "Undoing it left differences: look at the router's running configuration"
    return "What had been applied was undone; nothing was saved" if lines else "Nothing had been applied"
