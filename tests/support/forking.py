# SPDX-License-Identifier: GPL-3.0-or-later
"""Python programs without the time that their imports take: a process with them loaded forks for each run."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PATIENCE = 120.0
TESTS = Path(__file__).parents[1]


class ForkServer:
    """A process that has `libraries` loaded and forks for each run. The command `enter` starts it."""

    def __init__(
        self, *libraries: str, enter: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> None:
        self._libraries, self._enter = libraries, tuple(enter)
        self._env = {**os.environ, "PYTHONPATH": str(TESTS), **(env or {})}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def run(self, module: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Return what ``python -m MODULE ARGUMENTS...`` says and how it ends."""
        command = [module, *arguments]
        with self._lock, _file(stdin) as given, _file() as output, _file() as errors:
            status = self._run(command, [each.fileno() for each in (given, output, errors)])
            return subprocess.CompletedProcess(command, status, _text(output), _text(errors))

    def _run(self, command: list[str], files: list[int]) -> int:
        requests = self._socket or self._start()
        try:
            socket.send_fds(requests, [json.dumps(command).encode()], files)
            return int(requests.recv(100))
        except (OSError, ValueError):
            self.close()
            raise

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(PATIENCE)
        command = [sys.executable, "-m", "support.fork_server", str(theirs.fileno()), *self._libraries]
        self._process = subprocess.Popen(
            [*self._enter, *command], pass_fds=[theirs.fileno()], env=self._env, start_new_session=True
        )
        theirs.close()
        self._socket = ours
        return ours

    def close(self) -> None:
        """End the server, and a program that it still runs."""
        if self._process is None or self._socket is None:
            return
        self._socket.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        self._process = self._socket = None


@contextmanager
def _file(text: str = "") -> Iterator[IO[str]]:
    with tempfile.TemporaryFile("w+") as file:
        file.write(text)
        file.seek(0)
        yield file


def _text(file: IO[str]) -> str:
    file.seek(0)
    return file.read()
