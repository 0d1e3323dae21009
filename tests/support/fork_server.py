# SPDX-License-Identifier: GPL-3.0-or-later
"""Run Python programs, each in a process of its own, forked from one that has their libraries loaded.

``python -m support.fork_server FD LIBRARY...`` takes requests from the socket FD until it is closed: the name
and the arguments of a program in JSON, with its standard input, output and error as file descriptors.
See `support.forking`.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import socket
import sys
import traceback
import warnings
from typing import NoReturn


def main() -> None:
    """Serve until the other end is closed."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    for library in sys.argv[2:]:
        importlib.import_module(library)
    while True:
        text, files, _flags, _address = socket.recv_fds(requests, 100_000, 3)
        if not text:
            return
        requests.send(str(_served(requests, json.loads(text), files)).encode())


def _served(requests: socket.socket, command: list[str], files: list[int]) -> int:
    """Return the exit status of the program."""
    child = os.fork()
    if child == 0:
        requests.close()
        _become(command, files)
    for file in files:
        os.close(file)
    _pid, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _become(command: list[str], files: list[int]) -> NoReturn:
    """Run the program as ``python -m`` does, and end."""
    atexit._clear()  # what the libraries left to do belongs to the server's end
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.argv = list(command)
    # runpy remarks that the program was imported before, which is what this is for.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="runpy")
    status = _status(command[0])
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _status(module: str) -> int:
    """Return the status that the program ends with."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()
