# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch the arguments that processes are called with, as everybody on the machine can see them."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

PAUSE = 0.002


@contextlib.contextmanager
def watched() -> Iterator[set[str]]:
    """Note the arguments of every other process, again and again; the set grows until the block is left."""
    seen: set[str] = set()
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(seen, done))
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join(10)


def _watch(seen: set[str], done: threading.Event) -> None:
    ours = os.getpid()
    while not done.is_set():
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != ours:
                seen.add(_command(entry))
        time.sleep(PAUSE)


def _command(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
