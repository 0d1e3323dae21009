# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""FRR or quagga on a router without what we switched on in it: files and service as they were found.

Packages stay: whoever else uses FRR by now does not lose it. Nothing is put back while somebody else's lines
need bgpd or bfdd.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

from . import files, original, quagga_daemon, record
from .daemon import Found, State, Wanted, assignments, look, service_name
from .errors import Reason
from .platforms import SERVICES, Platform, Service, probe
from .shell import Shell


def put_back(shell: Shell, wanted: Wanted) -> State:
    """Switch off what was switched on, where nobody else needs it by now."""
    platform = probe(shell)
    state = State(platform=platform)
    running = shell.run(original.RUNNING).stdout
    used = used_by_others(running, wanted.own_neighbors if wanted.check else ())
    state.in_use = bool(used)
    note = record.read(shell, record.DAEMON)
    if note is None:
        return state
    if used:
        name = _name(note)
        state.warnings.append(f"{name}'s daemons stay as they are, for others use them by now: '{used[0]}'.")
        return state
    service = _service(note, platform, wanted)
    # Also those of an earlier declaration, with BFD for example.
    noted = {name for lines in note["files"].values() for name in lines}
    found = _without(look(shell, service, wanted), {*wanted.daemons, *noted})
    original.put_back(shell, running, wanted.check)
    edited = [_file(shell, path, lines, wanted, state) for path, lines in note["files"].items()]
    edited += [quagga_daemon.put_back_made(shell, path, state, wanted.check) for path in note.get("made", ())]
    commands = [*_at_boot(service, found, note, state), *_now(service, found, note, any(edited), state)]
    # The note itself goes in any case.
    state.changed = True
    if not wanted.check:
        for command in commands:
            shell.check(f"{command} </dev/null", Reason.NOT_STARTED, f"'{command}' failed")
        record.forget(shell, record.DAEMON)
    return state


def _name(note: dict[str, Any]) -> str:
    """Return what people call the software that was switched on."""
    return str(note.get("software", "FRR"))


def _service(note: dict[str, Any], platform: Platform, wanted: Wanted) -> Service:
    if _name(note) == quagga_daemon.SOFTWARE:
        return quagga_daemon.service_of(platform, wanted)
    return SERVICES[service_name(wanted, platform)]


# Lines of an instance that somebody made for routes of the router's own.
_ROUTES = ("network ", "redistribute ", "aggregate-address ")


def used_by_others(running: str, own: Sequence[str] = ()) -> list[str]:
    """Lines of a running configuration that need bgpd or bfdd. An empty C(bfd) needs neither; in check mode
    what is about C(own) neighbors is there still, and so are profiles."""
    found = []
    for head, lines in _blocks(running):
        if head.startswith("router bgp ") and not (own and _is_of(own, lines)):
            found.append(head)
        if head == "bfd":
            found += [line for line in lines if not (own and line.startswith("profile "))]
        found += [line for line in lines if " bfd" in line and not _is_about(own, line)]
    return found


def _blocks(running: str) -> list[tuple[str, list[str]]]:
    """The lines of the first level, each with those below it."""
    blocks: list[tuple[str, list[str]]] = []
    for line in running.splitlines():
        if not line.startswith(" "):
            blocks.append((line.strip(), []))
        elif blocks and line.strip() not in ("exit", "!") and not _is_detail(blocks[-1][0], line):
            blocks[-1][1].append(line.strip())
    return blocks


def _is_detail(head: str, line: str) -> bool:
    """Return whether a line belongs to a profile or peer of BFD, whose own line says enough."""
    return head == "bfd" and line.startswith("  ")


def _is_of(own: Sequence[str], lines: Sequence[str]) -> bool:
    """Return whether an instance has no neighbors but ours, and no lines for routes of the router's own."""
    neighbors = [line for line in lines if line.startswith("neighbor ")]
    return all(_is_about(own, line) for line in neighbors) and not any(
        line.startswith(_ROUTES) for line in lines
    )


def _is_about(own: Sequence[str], line: str) -> bool:
    words = line.split()
    return len(words) > 1 and words[0] == "neighbor" and words[1] in own


def _file(shell: Shell, path: str, noted: record.Lines, wanted: Wanted, state: State) -> bool:
    """Put one file's lines back; False where there is nothing to do."""
    text = files.read(shell, path)
    back = record.put_back(text or "", noted)
    if text is None or back == text:
        return False
    state.before, state.after = text, back
    new, old = assignments(back), assignments(text)
    for name in noted:
        if new.get(name) != old.get(name):
            state.differs(name, path, new.get(name, "missing"), old.get(name, "missing"))
    if not wanted.check:
        files.write(shell, path, back, "0640", is_script=True)
    return True


def _without(found: Found, daemons: Collection[str]) -> Found:
    """Leave our daemons out of what was found, so that they do not count as other people's."""
    return dataclasses.replace(found, daemons=tuple(name for name in found.daemons if name not in daemons))


def _at_boot(service: Service, found: Found, note: dict[str, Any], state: State) -> list[str]:
    if not found.enabled or note["enabled"]:
        return []
    state.differs(_name(note), "start with the machine", "disabled", "enabled")
    return [service.disable]


def _now(service: Service, found: Found, note: dict[str, Any], edited: bool, state: State) -> list[str]:
    """Stop it where it did not run, else let it start anew without our daemons; neither where others run."""
    if not found.running or (note["running"] and not edited):
        return []
    if found.others:
        state.warnings.append(
            f"{_name(note)} is not restarted, for {', '.join(found.others)} runs in it: our daemons, which "
            "have nothing to do any more, end with its next start."
        )
        return []
    if note["running"]:
        state.restarted = True
        return [service.restart]
    state.differs(_name(note), "services", "stopped", "running")
    return [service.stop]
