# SPDX-License-Identifier: GPL-3.0-or-later
"""podman's store, and the processes that work on it.

A container that ends leaves its monitor, which starts a podman that clears up after it: on a busy machine
that may be seconds later. It makes the store anew where it is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

# How long they have to come to their end by themselves, and to go when they are killed.
PATIENCE = 30.0
KILL_LIMIT = 5.0


# podman's own notes, by the two kinds of database that it has had. What belongs to somebody lies beside them.
_NOTES = ("libpod/bolt_state.db", "db.sql")


def folder(lab: Path) -> Path:
    """Return the place of the store of the lab in this folder."""
    return lab / "podman"


def wait_until_unused(store: Path) -> None:
    """Return when no process works on the store any more; who does not come to an end is killed."""
    if _unused_within(store, PATIENCE):
        return
    for pid in _users(store):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _unused_within(store, KILL_LIMIT)


def is_empty(store: Path) -> bool:
    """Return whether there is nothing in it but what podman makes when it looks: folders, locks and notes."""
    notes = {store / name for name in _NOTES}
    return all(path.is_dir() or path.suffix == ".lock" or path in notes for path in store.rglob("*"))


def _unused_within(store: Path, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while _users(store):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def _users(store: Path) -> list[int]:
    """Processes one of whose arguments is the store: podman's own, and a monitor's for the podman to come."""
    return [pid for pid in _pids() if pid != os.getpid() and str(store).encode() in _arguments(pid)]


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _arguments(pid: int) -> list[bytes]:
    with contextlib.suppress(OSError):  # it has ended meanwhile
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return []
