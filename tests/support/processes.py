# SPDX-License-Identifier: GPL-3.0-or-later
"""Child processes that never outlive the test run."""

from __future__ import annotations

import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# util-linux: the kernel ends the command when the thread that started it ends, however that happens. So all
# are started by one thread that lives as long as we do, not by whichever worker of an event loop asks.
_BOUND_TO_US = ["setpriv", "--pdeathsig", "KILL", "--"]
_starter = ThreadPoolExecutor(max_workers=1)


def start(command: list[str], log: Path, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start `command`, its output appended to `log`."""
    return _starter.submit(_start, command, log, env).result()


def _start(command: list[str], log: Path, env: dict[str, str] | None) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            [*_BOUND_TO_US, *command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env
        )


def stop(process: subprocess.Popen[bytes] | None, *, kill: bool = False, patience: float = 5.0) -> None:
    """End `process`: SIGTERM, and SIGKILL after `patience` seconds; with `kill` SIGKILL at once."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)
