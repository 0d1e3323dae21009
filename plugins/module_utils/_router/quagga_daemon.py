# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""quagga on a router: what C(daemon) does for FRR, where quagga is what the router has or is to have.

A daemon starts where it has a configuration file, and on Debian a line in C(daemons) as well; options are in
C(debian.conf). OpenWrt has neither of these two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import files, original, record
from .errors import Reason, Refusal
from .platforms import MANAGERS, QUAGGA_PACKAGES, Platform, Service, quagga_service
from .shell import Shell

if TYPE_CHECKING:
    from .daemon import State, Wanted

FOLDER = "/etc/quagga"
# What a note says that is not about FRR.
SOFTWARE = "quagga"
# Lines that bgpd and zebra write of themselves, and those about terminals.
_OF_ITSELF = (
    "hostname ",
    "password ",
    "enable password ",
    "log ",
    "line vty",
    "access-class ",
    "access-list ",
)
Edit = Callable[[str], str]
_ZEBRA = "zebra"
# What FRR has and quagga does not.
_NOT_HERE = ("bfdd", "staticd", "mgmtd")
# An empty file of the folder's owner, as Debian's script asks for one.
_EMPTY = '[ -e {path} ] || {{ : > {path} && chmod 640 {path} && chown "$(stat -c %u:%g {folder})" {path}; }}'


def is_meant(platform: Platform, wanted: Wanted) -> bool:
    """Return whether this router has quagga and no FRR, or is to get it by the names of its packages."""
    named = any(name.startswith("quagga") for name in wanted.packages or ())
    return platform.quagga or (not platform.vtysh and named)


def service_of(platform: Platform, wanted: Wanted) -> Service:
    """Return what starts quagga on this router."""
    return quagga_service(platform.service if wanted.service == "auto" else wanted.service)


def converge(shell: Shell, platform: Platform, wanted: Wanted, state: State) -> State:
    """Bring quagga on the router to C(wanted); Refusal when it cannot be."""
    daemons = [_ZEBRA, *(name for name in wanted.daemons if name not in (*_NOT_HERE, _ZEBRA))]
    left = [name for name in wanted.daemons if name in _NOT_HERE]
    if left:
        state.warnings.append(f"quagga has no {', '.join(left)}; the router goes without.")
    if not platform.vtysh:
        _install(shell, platform, wanted, state)
        if wanted.check:
            for daemon in daemons:
                state.differs(daemon, "services", "running", "stopped")
            return state
    service = service_of(platform, wanted)
    found = _look(shell, service, daemons, wanted)
    starts = _compare(found, daemons, state)
    if wanted.check or not (starts or not found.enabled):
        return state
    _note(shell, found, state)
    _write(shell, found)
    if not found.enabled:
        shell.check(service.enable, Reason.NOT_STARTED, "quagga cannot be enabled")
    if starts:
        state.restarted = _start(shell, service)
        _wait(shell, daemons, wanted.timeout)
        state.changed = True
    return state


@dataclass(frozen=True)
class _Found:
    """quagga as it is now. C(edits): path of each file that has to change to its text and what that should
    be; C(missing): files without which a daemon is not started; C(answered): daemons that answer."""

    edits: dict[str, tuple[str, str]]
    missing: dict[str, str]
    answered: tuple[str, ...]
    enabled: bool


def _look(shell: Shell, service: Service, daemons: Sequence[str], wanted: Wanted) -> _Found:
    edits: dict[str, Edit] = {f"{FOLDER}/daemons": lambda text: files.enable_daemons(text, daemons)}
    if wanted.local_terminals:
        edits[f"{FOLDER}/debian.conf"] = lambda text: files.bind_to_loopback(text, daemons)
    # Some systems have neither of them.
    texts = {path: files.read(shell, path) for path in edits}
    edited = {path: (text, edits[path](text)) for path, text in texts.items() if text is not None}
    paths = {name: f"{FOLDER}/{name}.conf" for name in daemons}
    return _Found(
        edits={path: pair for path, pair in edited.items() if pair[0] != pair[1]},
        missing={name: path for name, path in paths.items() if files.read(shell, path) is None},
        answered=tuple(shell.run("vtysh -c 'show daemons' 2>/dev/null").stdout.split()),
        enabled=shell.run(service.is_enabled).rc == 0,
    )


def _compare(found: _Found, daemons: Sequence[str], state: State) -> bool:
    """Note what differs; return whether quagga has to be started or restarted for it."""
    for path, (text, edited) in found.edits.items():
        state.before, state.after = state.before + text, state.after + edited
        state.differs("quagga", path, "its daemons on, their terminals on a loopback address", "not so")
    for name, path in found.missing.items():
        state.differs(name, path, "there, without which it is not started", "missing")
    if not found.enabled:
        state.differs("quagga", "start with the machine", "enabled", "disabled")
    silent = [daemon for daemon in daemons if daemon not in found.answered]
    for daemon in silent:
        state.differs(daemon, "services", "running", "stopped")
    return bool(found.edits or found.missing or silent)


def _note(shell: Shell, found: _Found, state: State) -> None:
    """Note what a removal puts back, as for FRR, and which files are made. The first look counts."""
    ours = state.installed
    before = {"enabled": found.enabled and not ours, "running": bool(found.answered) and not ours}
    first = record.read(shell, record.DAEMON) or {**before, "software": SOFTWARE, "files": {}, "made": []}
    noted = {
        path: record.lines(text, edited, first["files"].get(path, {}))
        for path, (text, edited) in found.edits.items()
    }
    made = sorted({*first["made"], *found.missing.values()})
    record.write(shell, record.DAEMON, {**first, "files": {**first["files"], **noted}, "made": made})


def _write(shell: Shell, found: _Found) -> None:
    for path, (_text, edited) in found.edits.items():
        files.write(shell, path, edited, "0640")
    for path in found.missing.values():
        shell.check(_EMPTY.format(path=path, folder=FOLDER), Reason.NOT_SAVED, f"{path} cannot be written")


def put_back_made(shell: Shell, path: str, state: State, check: bool) -> bool:
    """Remove a file that was made for a daemon; False where it is gone, or somebody has lines in it."""
    text = files.read(shell, path)
    if text is None:
        return False
    theirs = [line for line in original.essence(text) if not line.strip().startswith(_OF_ITSELF)]
    if theirs:
        state.warnings.append(f"{path} stays, for somebody has lines in it: '{theirs[0]}'.")
        return False
    state.differs(path.rpartition("/")[2].partition(".")[0], path, "missing", "there")
    if not check:
        shell.check(f"rm -f {path} {path}.sav", Reason.NOT_SAVED, f"{path} cannot be removed")
    return True


def _start(shell: Shell, service: Service) -> bool:
    """Start or restart; whether it ran before."""
    running = shell.run(service.is_running).rc == 0
    command = service.restart if running else service.start
    shell.check(f"{command} </dev/null", Reason.NOT_STARTED, f"'{command}' failed")
    return running


def _install(shell: Shell, platform: Platform, wanted: Wanted, state: State) -> None:
    packages = " ".join(wanted.packages or QUAGGA_PACKAGES[platform.openwrt])
    if not wanted.install or platform.manager not in MANAGERS:
        raise Refusal(
            Reason.NO_DAEMON, "quagga has no vtysh on the router, and it may not or cannot be installed here"
        )
    state.differs("quagga", "packages", "installed", "missing")
    if wanted.check:
        return
    manager = MANAGERS[platform.manager]
    command = manager.install.format(packages=packages)
    if shell.run(command).rc != 0:
        shell.run(manager.refresh)
        shell.check(command, Reason.NO_PACKAGES, f"installing {packages} failed")
    state.installed = True


def _wait(shell: Shell, daemons: Sequence[str], seconds: int) -> None:
    tests = " && ".join(f"vtysh -c 'show daemons' 2>/dev/null | grep -qw {name}" for name in daemons)
    loop = f"i=0; while [ $i -lt {seconds} ]; do {tests} && exit 0; sleep 1; i=$((i+1)); done; exit 1"
    names = ", ".join(daemons)
    problem = f"quagga was started, and {names} did not answer within {seconds} seconds"
    shell.check(loop, Reason.NOT_STARTED, problem)
