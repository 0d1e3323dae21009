# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The packet filter of an OpenWrt router: rules that let BGP and BFD in from the zone that the nodes are in.

A rule is a section with a name of ours, so others' rules are neither read nor moved. Without a firewall of
OpenWrt's (C(uci), C(/etc/init.d/firewall)) nothing is done: another one is its owner's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import files, record, uci, zones
from .errors import Reason, Refusal
from .shell import Shell
from .uci import Section

_FILE = "/etc/config/firewall"
_NOTE = "firewall"
# BGP: RFC 4271, 8.2.1. BFD: control and echo of RFC 5881, 4, and over several hops RFC 5883, 5.
SERVICES: Mapping[str, tuple[str, str]] = {"bgp": ("tcp", "179"), "bfd": ("udp", "3784 3785 4784")}
# Where a firewall is that starts with the machine.
_THERE = (
    "command -v uci >/dev/null 2>&1 && [ -f /etc/config/firewall ] && [ -x /etc/init.d/firewall ] "
    "&& /etc/init.d/firewall enabled"
)
# Both kinds of OpenWrt's firewall write a rule's name next to it: fw4 (nftables) and fw3 (iptables).
_LOADED = "{ nft list table inet fw4 || { iptables-save; ip6tables-save; }; } 2>/dev/null"


@dataclass(frozen=True)
class Wanted:
    """The rules that should be there. C(zones) of None: those through which the neighbors are reached."""

    name: str
    services: tuple[str, ...]
    neighbors: tuple[str, ...]
    zones: tuple[str, ...] | None
    check: bool


@dataclass
class State:
    """The result: what was found and done. C(skipped): there is no firewall of this kind."""

    changed: bool = False
    skipped: bool = False
    drift: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    zones: list[str] = field(default_factory=list)
    before: str = ""
    after: str = ""

    def differs(self, what: str, where: str, expected: str, found: str) -> None:
        """Note one difference."""
        self.changed = True
        self.drift.append({"what": what, "where": where, "expected": expected, "found": found})


def converge(shell: Shell, wanted: Wanted, present: bool) -> State:
    """Have the rules, or none of them; Refusal where the zone cannot be found, or somebody is at work."""
    state = State()
    if shell.run(_THERE).rc != 0:
        state.skipped = True
        return state
    shown = shell.check("uci -q show firewall", Reason.UNREADABLE, "'uci show firewall' failed")
    sections = uci.parse(shown)
    found = _ours(sections, wanted.name)
    rules: dict[str, Section] = {}
    if present:
        state.zones, lost = _zones(shell, sections, wanted)
        if lost:
            state.warnings.append(f"No zone of the firewall has the interface towards {', '.join(lost)}.")
        rules = {
            section: rule
            for zone in state.zones
            for section, rule in _rules(wanted.name, zone, wanted.services).items()
        }
    commands = _compare(found, rules, state)
    unloaded = [] if commands else _unloaded(shell, rules)
    for name in unloaded:
        state.differs(f"rule {name}", "packet filter", "in force", "missing")
    if wanted.check:
        return state
    if commands:
        _commit(shell, commands, present)
    if commands or unloaded:
        _reload(shell)
    return state


def _zones(shell: Shell, sections: Mapping[str, Section], wanted: Wanted) -> tuple[list[str], list[str]]:
    """The zones that are to be opened, and the neighbors that are in none."""
    if wanted.zones:
        return list(wanted.zones), []
    found, lost = zones.towards(shell, sections, wanted.neighbors)
    if found:
        return found, lost
    raise Refusal(
        Reason.NO_ZONE,
        f"no zone of the firewall has the interface towards {', '.join(lost)}: add it to a zone, or say "
        "which zone the nodes are in",
    )


def _word(text: str) -> str:
    """A part of a section's name, which has letters, digits and underscores."""
    return re.sub(r"[^a-z0-9]", "_", text.lower())


def _rules(name: str, zone: str, services: tuple[str, ...]) -> dict[str, Section]:
    """The sections of one zone, by name."""
    found = {}
    for service in services:
        protocol, ports = SERVICES[service]
        options = {
            "name": [f"{name}-{service.upper()}-{zone}"],
            "src": [zone],
            "proto": [protocol],
            "dest_port": [ports],
            "target": ["ACCEPT"],
        }
        found[f"{_word(name)}_{service}_{_word(zone)}"] = Section("rule", options)
    return found


def _ours(sections: Mapping[str, Section], name: str) -> dict[str, Section]:
    """Sections whose names begin as those of L(_rules) do."""
    begins = tuple(f"{_word(name)}_{service}_" for service in SERVICES)
    return {key: section for key, section in sections.items() if key.startswith(begins)}


def _compare(found: Mapping[str, Section], rules: Mapping[str, Section], state: State) -> list[str]:
    """Note what differs; the commands that change it."""
    state.before, state.after = _shown(found), _shown(rules)
    commands: list[str] = []
    for name in dict.fromkeys((*found, *rules)):
        old, new = found.get(name), rules.get(name)
        commands += uci.changes("firewall", name, old, new)
        if old is None or new is None:
            state.differs(f"rule {name}", "firewall", _summary(new), _summary(old))
        else:
            _explain(name, old, new, state)
    return commands


def _explain(name: str, old: Section, new: Section, state: State) -> None:
    for option in dict.fromkeys((*old.options, *new.options)):
        if old.options.get(option) != new.options.get(option):
            expected, there = new.text(option) or "none", old.text(option) or "none"
            state.differs(f"{option} of rule {name}", "firewall", expected, there)


def _summary(rule: Section | None) -> str:
    if rule is None:
        return "missing"
    return f"{rule.text('proto')} {rule.text('dest_port')} from {rule.text('src')}: {rule.text('target')}"


def _shown(rules: Mapping[str, Section]) -> str:
    lines = []
    for name, rule in sorted(rules.items()):
        lines.append(f"firewall.{name}={rule.kind}\n")
        lines += [f"firewall.{name}.{option}='{rule.text(option)}'\n" for option in rule.options]
    return "".join(lines)


def _unloaded(shell: Shell, rules: Mapping[str, Section]) -> list[str]:
    """Rules that are configured and not in force, as far as that can be seen: a firewall that was stopped
    shows nothing."""
    text = shell.run(_LOADED).stdout if rules else ""
    if not re.search(r"^table inet fw4|!fw3:", text, re.MULTILINE):
        return []
    return [name for name, rule in rules.items() if f": {rule.text('name')}" not in text]


def _commit(shell: Shell, commands: list[str], present: bool) -> None:
    """All of the commands or none. What somebody entered and did not commit would be committed, too."""
    pending = shell.run("uci -q changes firewall").stdout.strip()
    if pending:
        first = pending.splitlines()[0]
        raise Refusal(
            Reason.PENDING,
            f"somebody's changes of the firewall are not committed yet ({first}): 'uci commit firewall' or "
            "'uci revert firewall' on the router, and again",
        )
    if present:
        _keep_original(shell)
    script = f"{' && '.join(commands)} && uci commit firewall || {{ uci -q revert firewall; exit 1; }}"
    shell.check(script, Reason.NOT_SAVED, f"{_FILE} cannot be changed")
    if not present:
        _restore_original(shell)


def _reload(shell: Shell) -> None:
    command = "/etc/init.d/firewall reload </dev/null"
    shell.check(command, Reason.NOT_STARTED, "reloading the firewall failed")


def _keep_original(shell: Shell) -> None:
    """uci writes the file anew, without comments: what was there is kept for the way back."""
    if record.read(shell, _NOTE) is None:
        record.write(shell, _NOTE, {"text": files.read(shell, _FILE) or ""})


def _restore_original(shell: Shell) -> None:
    """Put the file back, comments and all, where it says the same as what is there now."""
    note = record.read(shell, _NOTE)
    if note is None:
        return
    now = shell.run("uci -q show firewall").stdout
    script = (
        "d=$(mktemp -d /tmp/vipcast.XXXXXX) || exit 1; trap 'rm -rf \"$d\"' EXIT; "
        'cat > "$d/firewall"; uci -q -c "$d" show firewall'
    )
    if shell.run(script, note["text"]).stdout == now:
        files.write(shell, _FILE, note["text"], "0600")
    record.forget(shell, _NOTE)
