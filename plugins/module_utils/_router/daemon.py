# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""FRR on a router: what is missing of it installed, the daemons enabled, the service up; restarted only when
it must be."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

from . import elsewhere, files, original, quagga_daemon, record
from .errors import Reason, Refusal
from .platforms import (
    GROWS,
    IP_FULL,
    MANAGERS,
    SERVICES,
    Manager,
    Platform,
    Service,
    lacks_ip,
    missing_programs,
    probe,
)
from .shell import Shell, Vtysh

# zebra and staticd have no switch in the file: FRR always starts them, and they listen like the others.
_ALWAYS = ("zebra", "staticd")
# What FRR runs by itself: a restart takes nothing from anybody that is not there again at once.
_OWN = (*_ALWAYS, "mgmtd", "watchfrr")


@dataclass(frozen=True)
class Wanted:
    """The wanted state: C(packages) of None means those of the table; C(service) of C(auto) the one that is
    found."""

    daemons: tuple[str, ...]
    install: bool
    packages: tuple[str, ...] | None
    ip_full: bool
    daemons_file: str
    service: str
    local_terminals: bool
    timeout: int
    check: bool
    own_neighbors: tuple[str, ...] = ()
    # Whether a restart may end sessions of others.
    reset_sessions: bool = False


@dataclass
class State:
    """The result: what was found and done."""

    changed: bool = False
    drift: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    before: str = ""
    after: str = ""
    installed: bool = False
    restarted: bool = False
    in_use: bool = False
    platform: Platform | None = None

    def differs(self, what: str, where: str, expected: str, found: str) -> None:
        """Note one difference."""
        self.changed = True
        self.drift.append({"what": what, "where": where, "expected": expected, "found": found})


@dataclass(frozen=True)
class Found:
    """FRR as it is now: its C(daemons) file (None: there is none), which daemons answer, and whether others
    can be added while it runs."""

    text: str | None
    enabled: bool
    running: bool
    daemons: tuple[str, ...]
    grows: bool = False

    @property
    def others(self) -> list[str]:
        """Daemons that somebody else has in FRR."""
        return [name for name in self.daemons if name not in _OWN]


def converge(shell: Shell, wanted: Wanted) -> State:
    """Bring FRR on the router to C(wanted); Refusal when it cannot be, or when sessions of others would end
    for it: before anything is changed."""
    platform = probe(shell)
    state = State(platform=platform)
    if quagga_daemon.is_meant(platform, wanted):
        return quagga_daemon.converge(shell, platform, wanted, state)
    lacking = _lacking(shell, platform, wanted, state)
    if not platform.vtysh:
        if wanted.check:
            _all_missing(wanted, state)
            return state
        _bring(shell, platform, lacking, wanted, state)
    service = SERVICES[service_name(wanted, platform)]
    found = look(shell, service, wanted)
    edited = _edited(found, wanted)
    command = _compare(found, edited, service, wanted, state)
    if state.restarted and not wanted.reset_sessions:
        elsewhere.check_restart(Vtysh(shell), wanted.own_neighbors)
    if wanted.check:
        return state
    if platform.vtysh:
        _bring(shell, platform, lacking, wanted, state)
    if command or not found.enabled:
        # Before anything is touched, so that an interrupted run can be undone as well.
        _note(shell, _before(found, state), edited, wanted)
        _change(shell, service, found, edited, wanted)
        if command:
            _start(shell, command, wanted)
        original.keep(shell)
    return state


def service_name(wanted: Wanted, platform: Platform) -> str:
    """The key of what starts FRR."""
    return platform.service if wanted.service == "auto" else wanted.service


@dataclass(frozen=True)
class Lacking:
    """Programs that are missing, and the packages that bring them, with those of other tools."""

    programs: tuple[str, ...]
    packages: tuple[str, ...]


def _lacking(shell: Shell, platform: Platform, wanted: Wanted, state: State) -> Lacking:
    """See what is missing of the programs; one that is there is never upgraded."""
    missing = missing_programs(shell, platform.programs(wanted.daemons))
    tools = (IP_FULL,) if wanted.ip_full and wanted.install and lacks_ip(shell, platform) else ()
    if missing:
        _demand_installable(platform, missing, wanted)
    names = (*((wanted.packages or platform.packages(missing)) if missing else ()), *tools)
    for name in names if platform.vtysh or not missing else ("FRR", *tools):
        state.differs(name, "packages", "installed", "missing")
    return Lacking(tuple(missing), names)


def _bring(shell: Shell, platform: Platform, lacking: Lacking, wanted: Wanted, state: State) -> None:
    if not lacking.packages:
        return
    of_old = () if wanted.packages else platform.packages_of_old
    _install(shell, MANAGERS[platform.manager], lacking.packages, of_old)
    state.installed = True
    left = missing_programs(shell, lacking.programs) if lacking.programs else []
    if left:
        names = " ".join(lacking.packages)
        raise Refusal(Reason.NO_PACKAGES, f"{names} were installed, and {', '.join(left)} is not there")


def _demand_installable(platform: Platform, missing: Sequence[str], wanted: Wanted) -> None:
    what = f"FRR has no {', '.join(missing)} on the router" if platform.vtysh else "FRR is not installed"
    if not wanted.install:
        where = "" if platform.vtysh else " on the router (there is no vtysh)"
        raise Refusal(Reason.NO_DAEMON, f"{what}{where}, and may not be here")
    if platform.manager not in MANAGERS:
        raise Refusal(
            Reason.NO_PACKAGES,
            f"{what}, and none of {', '.join(sorted(MANAGERS))} is there to do it: install FRR",
        )


def _install(shell: Shell, manager: Manager, names: Sequence[str], of_old: Sequence[str]) -> None:
    """Install from the package lists that are there, and from fresh ones only where these do not know a
    package, or what they know cannot be had any more: a router may have no way out, and its lists take
    memory."""
    fresh = False
    unknown = _unknown(shell, manager, names)
    if unknown:
        said, fresh = shell.run(manager.refresh).text, True
        unknown = _unknown(shell, manager, names)
        if unknown:
            raise Refusal(
                Reason.NO_PACKAGES,
                f"the router's package sources have no {', '.join(unknown)}: look at the sources, or name "
                f"the packages by packages. '{manager.refresh}' said: {_end(said)}",
            )
    known = [*names, *(name for name in of_old if name not in _unknown(shell, manager, of_old))]
    command = manager.install.format(packages=" ".join(known))
    if shell.run(command).rc == 0:
        return
    if not fresh:
        shell.run(manager.refresh)
    shell.check(command, Reason.NO_PACKAGES, f"installing {' '.join(known)} failed")


def _unknown(shell: Shell, manager: Manager, names: Sequence[str]) -> list[str]:
    """The packages that are in no list."""
    results = shell.batch({name: manager.known.format(package=name) for name in names}) if names else {}
    return [name for name in names if results[name].rc != 0]


def _end(text: str) -> str:
    """The last lines of what a program said, as one."""
    return " / ".join(text.splitlines()[-3:]) or "nothing"


def _all_missing(wanted: Wanted, state: State) -> None:
    """Check mode without FRR: what the rest would do is known, and cannot be looked up."""
    for daemon in wanted.daemons:
        state.differs(daemon, "services", "running", "stopped")


def look(shell: Shell, service: Service, wanted: Wanted) -> Found:
    """See what is there of FRR, and what runs."""
    answers = shell.batch(
        {
            "enabled": service.is_enabled,
            "running": service.is_running,
            "daemons": "vtysh -c 'show daemons' 2>/dev/null",
            "grows": GROWS,
        }
    )
    return Found(
        text=files.read(shell, wanted.daemons_file),
        enabled=answers["enabled"].rc == 0,
        running=answers["running"].rc == 0,
        daemons=tuple(answers["daemons"].stdout.split()),
        grows=answers["grows"].rc == 0,
    )


def _edited(found: Found, wanted: Wanted) -> str:
    if found.text is None:
        raise Refusal(
            Reason.UNREADABLE,
            f"{wanted.daemons_file} is not on the router: FRR's packages bring it. Say where it is",
        )
    edited = files.enable_daemons(found.text, wanted.daemons)
    if wanted.local_terminals:
        edited = files.bind_to_loopback(edited, (*_ALWAYS, *wanted.daemons))
    return edited


def _compare(found: Found, edited: str, service: Service, wanted: Wanted, state: State) -> str:
    """Note what differs, and return the command that FRR needs for it: empty where it needs none."""
    state.before, state.after = found.text or "", edited
    changed = _explain(state.before, edited, wanted.daemons_file, state)
    if not found.enabled:
        state.differs("FRR", "start with the machine", "enabled", "disabled")
    missing = [daemon for daemon in wanted.daemons if daemon not in found.daemons]
    for daemon in missing:
        state.differs(daemon, "services", "running", "stopped")
    if edited == found.text and not missing and found.running:
        return ""
    state.changed = True
    if not found.running:
        if not missing:
            # The daemons go on by themselves; nobody would start one again that ends.
            state.differs("FRR", "services", "running", "stopped")
        return service.start
    if found.grows and service.add and _is_about(missing, changed):
        return service.add
    state.restarted = True
    all_of_it = f"and all that runs in it: {', '.join(found.others)}" if found.others else "with its sessions"
    state.warnings.append(f"FRR is restarted, {all_of_it}.")
    return service.restart


def _is_about(missing: Sequence[str], changed: Sequence[str]) -> bool:
    """Return whether the daemons that run need not be started anew: what changed is about others."""
    return bool(missing) and {*missing, *(f"{name}_options" for name in missing)}.issuperset(changed)


def _explain(before: str, after: str, where: str, state: State) -> list[str]:
    """Note the assignments that differ, and return their names."""
    old, new = assignments(before), assignments(after)
    changed = [name for name, value in new.items() if old.get(name) != value]
    for name in changed:
        state.differs(name, where, new[name], old.get(name, "missing"))
    return changed


def assignments(text: str) -> dict[str, str]:
    """Names and values of the last assignment of each name."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): _value(value) for name, _equals, value in pairs}


def _value(text: str) -> str:
    return text.strip().strip("\"'").strip()


def _before(found: Found, state: State) -> Found:
    """Return what was there before us: an FRR that we have just installed neither ran nor started with the
    machine, although its package may have seen to both."""
    if state.installed and state.platform and not state.platform.vtysh:
        return dataclasses.replace(found, enabled=False, running=False)
    return found


def _note(shell: Shell, found: Found, edited: str, wanted: Wanted) -> None:
    """Note what a removal puts back. The first look counts: later ones see what we made."""
    first = record.read(shell, record.DAEMON) or {
        "enabled": found.enabled,
        "running": found.running,
        "files": {},
    }
    known = first["files"].get(wanted.daemons_file, {})
    noted = record.lines(found.text or "", edited, known)
    record.write(shell, record.DAEMON, {**first, "files": {**first["files"], wanted.daemons_file: noted}})


def _change(shell: Shell, service: Service, found: Found, edited: str, wanted: Wanted) -> None:
    if edited != found.text:
        files.write(shell, wanted.daemons_file, edited, "0640", is_script=True)
    if not found.enabled:
        shell.check(service.enable, Reason.NOT_STARTED, "FRR cannot be enabled")


def _start(shell: Shell, command: str, wanted: Wanted) -> None:
    """Start, restart or add, and wait until every daemon answers."""
    what = command if "\n" not in command else "adding daemons to the FRR that runs"
    shell.check(f"{{ {command}\n}} </dev/null", Reason.NOT_STARTED, f"'{what}' failed")
    tests = " && ".join(
        f"vtysh -c 'show daemons' 2>/dev/null | grep -qw {daemon}" for daemon in wanted.daemons
    )
    tried = f"{tests or 'true'} && exit 0; sleep 1; i=$((i+1))"
    loop = f"i=0; while [ $i -lt {wanted.timeout} ]; do {tried}; done; exit 1"
    names = ", ".join(wanted.daemons)
    problem = f"FRR was started, and {names} did not answer within {wanted.timeout} seconds"
    shell.check(loop, Reason.NOT_STARTED, problem)
