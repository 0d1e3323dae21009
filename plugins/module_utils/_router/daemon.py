# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""FRR on a router: installed if it is missing, the daemons enabled, the service up; restarted only when it
must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from . import files
from .intent import Reason, Refusal
from .platforms import MANAGERS, SERVICES, Manager, Platform, Service, probe
from .shell import Shell

# zebra and staticd have no switch in the file: FRR always starts them, and they listen like the others.
_ALWAYS = ("zebra", "staticd")


@dataclass(frozen=True)
class Wanted:
    """What should be: C(packages) of None means those of the table; C(service) of C(auto) the one that is
    found."""

    daemons: tuple[str, ...]
    install: bool
    packages: tuple[str, ...] | None
    daemons_file: str
    service: str
    local_terminals: bool
    timeout: int
    check: bool


@dataclass
class State:
    """What was found and done."""

    changed: bool = False
    drift: list[dict[str, str]] = field(default_factory=list)
    before: str = ""
    after: str = ""
    installed: bool = False
    restarted: bool = False
    platform: Platform | None = None

    def differs(self, what: str, where: str, expected: str, found: str) -> None:
        """Note one difference."""
        self.changed = True
        self.drift.append({"what": what, "where": where, "expected": expected, "found": found})


def converge(shell: Shell, wanted: Wanted) -> State:
    """Bring FRR on the router to C(wanted); Refusal when it cannot be."""
    platform = probe(shell)
    state = State(platform=platform)
    if platform.quagga and not platform.vtysh:
        raise _quagga()
    if not platform.vtysh:
        _install(shell, platform, wanted, state)
        if wanted.check:
            _all_missing(wanted, state)
            return state
    edited = _daemons_file(shell, wanted, state)
    _service(shell, SERVICES[_service_name(wanted, platform)], wanted, state, edited)
    return state


def _quagga() -> Refusal:
    return Refusal(
        Reason.NOT_FRR,
        "quagga is installed on this router and FRR is not. quagga has no JSON output, no check by vtysh -C "
        "and no policy requirement for eBGP, so it is not managed here: replace it with FRR's packages",
    )


def _service_name(wanted: Wanted, platform: Platform) -> str:
    return platform.service if wanted.service == "auto" else wanted.service


def _install(shell: Shell, platform: Platform, wanted: Wanted, state: State) -> None:
    if not wanted.install:
        raise Refusal(
            Reason.NO_DAEMON, "FRR is not installed on the router (there is no vtysh), and may not be here"
        )
    if platform.manager not in MANAGERS:
        raise Refusal(
            Reason.NO_PACKAGES,
            f"FRR is not installed, and none of {', '.join(sorted(MANAGERS))} is there to do it: install FRR",
        )
    state.differs("FRR", "packages", "installed", "missing")
    if not wanted.check:
        _install_packages(shell, MANAGERS[platform.manager], wanted.packages or platform.packages)
        state.installed = True


def _install_packages(shell: Shell, manager: Manager, packages: Sequence[str]) -> None:
    """With the package lists that are there, and with fresh ones only if that fails: a router may have no
    way out."""
    known = [name for name in packages if shell.run(manager.known.format(package=name)).rc == 0] or list(
        packages
    )
    if shell.run(manager.install.format(packages=" ".join(known))).rc == 0:
        return
    shell.run(manager.refresh)
    known = [name for name in packages if shell.run(manager.known.format(package=name)).rc == 0] or list(
        packages
    )
    command = manager.install.format(packages=" ".join(known))
    shell.check(command, Reason.NO_PACKAGES, f"installing {' '.join(known)} failed")


def _all_missing(wanted: Wanted, state: State) -> None:
    """Check mode without FRR: what the rest would do is known, and cannot be looked up."""
    for daemon in wanted.daemons:
        state.differs(daemon, "services", "running", "stopped")


def _daemons_file(shell: Shell, wanted: Wanted, state: State) -> bool:
    text = files.read(shell, wanted.daemons_file)
    if text is None:
        raise Refusal(
            Reason.UNREADABLE,
            f"{wanted.daemons_file} is not on the router: FRR's packages bring it. Say where it is",
        )
    edited = files.enable_daemons(text, wanted.daemons)
    if wanted.local_terminals:
        edited = files.bind_to_loopback(edited, (*_ALWAYS, *wanted.daemons))
    state.before, state.after = text, edited
    if edited == text:
        return False
    _explain(text, edited, wanted.daemons_file, state)
    if not wanted.check:
        files.write(shell, wanted.daemons_file, edited, "0640")
    return True


def _explain(before: str, after: str, where: str, state: State) -> None:
    old = _assignments(before)
    for name, value in _assignments(after).items():
        if old.get(name) != value:
            state.differs(name, where, value, old.get(name, "missing"))


def _assignments(text: str) -> dict[str, str]:
    """Names and values of the last assignment of each name."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'").strip() for name, _equals, value in pairs}


def _service(shell: Shell, service: Service, wanted: Wanted, state: State, edited: bool) -> None:
    if shell.run(service.is_enabled).rc != 0:
        state.differs("FRR", "start with the machine", "enabled", "disabled")
        if not wanted.check:
            shell.check(service.enable, Reason.NOT_STARTED, "FRR cannot be enabled")
    running = shell.run(service.is_running).rc == 0
    missing = _not_running(shell, wanted.daemons)
    for daemon in missing:
        state.differs(daemon, "services", "running", "stopped")
    if (edited or missing or not running) and not wanted.check:
        _start(shell, service, wanted, running)
        state.restarted = running
        state.changed = True


def _not_running(shell: Shell, daemons: Sequence[str]) -> list[str]:
    answered = shell.run("vtysh -c 'show daemons' 2>/dev/null").stdout.split()
    return [daemon for daemon in daemons if daemon not in answered]


def _start(shell: Shell, service: Service, wanted: Wanted, running: bool) -> None:
    """Start or restart, and wait until every daemon answers."""
    command = service.restart if running else service.start
    shell.check(f"{command} </dev/null", Reason.NOT_STARTED, f"'{command}' failed")
    tests = " && ".join(
        f"vtysh -c 'show daemons' 2>/dev/null | grep -qw {daemon}" for daemon in wanted.daemons
    )
    tried = f"{tests or 'true'} && exit 0; sleep 1; i=$((i+1))"
    loop = f"i=0; while [ $i -lt {wanted.timeout} ]; do {tried}; done; exit 1"
    names = ", ".join(wanted.daemons)
    problem = f"FRR was started, and {names} did not answer within {wanted.timeout} seconds"
    shell.check(loop, Reason.NOT_STARTED, problem)
