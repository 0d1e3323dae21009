# SPDX-License-Identifier: GPL-3.0-or-later
"""Shell commands on a lab's hosts, by ssh over a connection for each host that is kept between them."""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

# Seconds for which a connection that nobody uses is kept.
KEPT = 120
HANG_UP_LIMIT = 10
# ssh's own exit status: there was no connection, or it was lost.
NO_CONNECTION = 255


@dataclass(frozen=True)
class Shells:
    """The hosts of the lab whose state is in ``folder``."""

    folder: Path

    @property
    def ssh(self) -> list[str]:
        """The start of a command with a connection of its own: a host's name and a command come behind it."""
        return ["ssh", "-F", str(self.folder / "ssh_config")]

    def run(self, host: str, command: str, timeout: float = 60) -> str:
        """Return what a shell command prints on a host; AssertionError where it fails or the host is away."""
        done = self._run(host, command, timeout)
        if done.returncode == NO_CONNECTION:
            # The host may have lost its power since, or the connection was just ended: the next one is new.
            self.hang_up(host)
        assert done.returncode == 0, f"on {host}: {command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def hang_up(self, host: str) -> None:
        """End the kept connection: behind a host without power it would hang for seconds."""
        command = [*self._kept(host), "-O", "exit", host]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, timeout=HANG_UP_LIMIT, check=False)
        self._socket(host).unlink(missing_ok=True)

    def _run(self, host: str, command: str, timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._kept(host), host, command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def _kept(self, host: str) -> list[str]:
        settings = ("ControlMaster=auto", f"ControlPersist={KEPT}", f"ControlPath={self._socket(host)}")
        return [*self.ssh, *(word for setting in settings for word in ("-o", setting))]

    def _socket(self, host: str) -> Path:
        # lab_down ends every connection whose socket is in this folder.
        return self.folder / "cp" / f"walk-{host}"
