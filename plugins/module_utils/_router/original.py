# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""FRR's startup file as it was found.

vtysh writes it anew with each change, in its own order, and keeps the last one beside it. So only a copy
leads back to it, and only where FRR runs again what it ran then. What we took of its terminals is in the
file, and in FRR with its next start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from . import record
from .errors import Reason
from .shell import Shell

_FILE = "/etc/frr/frr.conf"
_NOTE = "startup"
_COPY = f"{record.FOLDER}/frr.conf"
RUNNING = "vtysh -c 'show running-config' 2>/dev/null"
# Owner and mode are part of what was found.
_KEEP = (
    f"umask 077; mkdir -p {record.FOLDER} && cp -p {_FILE} {_COPY} || exit 1; [ ! -e {_FILE}.sav ] || exit 4"
)
_RESTORE = f"cp -p {_COPY} {_FILE}.vipcast-new && mv -f {_FILE}.vipcast-new {_FILE}"
# What bgp_router takes away with local_terminals.
_TERMINALS = ("password ", "access-class ", "line vty")
# What says nothing of how FRR is configured.
_HEADS = ("Building configuration", "Current configuration", "frr version", "!", "end", "exit")
# bfdd shows the head of its block when there is nothing in it any more.
_EMPTY = ("bfd",)


def keep(shell: Shell) -> None:
    """Keep the file, once, before the first configuration of ours; nothing where there is none."""
    if record.read(shell, _NOTE) is not None or shell.run(f"[ -f {_FILE} ]").rc != 0:
        return
    running = shell.run(RUNNING).stdout
    result = shell.run(_KEEP)
    if result.rc not in (0, 4):
        shell.check(_KEEP, Reason.NOT_SAVED, f"{_FILE} cannot be kept")
    record.write(shell, _NOTE, {"running": essence(running), "saved": result.rc == 4})


def put_back(shell: Shell, running: str, check: bool) -> bool:
    """Put it back where C(running) is what it was then; False where it is not, or nothing is kept."""
    note = record.read(shell, _NOTE)
    if note is None:
        return False
    same = is_same(running, note["running"])
    if same and not check:
        own = "" if note["saved"] else f" && rm -f {_FILE}.sav"
        shell.check(_RESTORE + own, Reason.NOT_SAVED, f"{_FILE} cannot be put back")
    if not check:
        shell.run(f"rm -f {_COPY}")
        record.forget(shell, _NOTE)
    return same


def is_same(running: str, then: Sequence[str]) -> bool:
    """Return whether nothing was added, and nothing lost but lines about terminals."""
    here, there = Counter(essence(running)), Counter(then)
    return not here - there and all(line.strip().startswith(_TERMINALS) for line in there - here)


def essence(running: str) -> list[str]:
    """The lines of a running configuration, without their order: FRR's is that of their making."""
    lines = [line for line in running.splitlines() if line.strip() not in ("", *_EMPTY)]
    return sorted(line for line in lines if not line.strip().startswith(_HEADS))
