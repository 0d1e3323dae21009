# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that a test can give to a program: no other process takes one before the program binds it.

The kernel gives a port of its ephemeral range (/proc/sys/net/ipv4/ip_local_port_range) to whoever asks for
any, so these are outside of it. They are shared out in blocks. A process holds a block by a Unix socket with
the block's name in the abstract namespace, which belongs to the network as ports do, and which the kernel
closes when the process ends. A port is given once in the life of a process: a server that is stopped for a
while finds it free again.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

BLOCK = 250
_LOWEST = 20_000  # below are ports of what a node runs, and of our own programs
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_lock = threading.Lock()
_held: list[socket.socket] = []


def free_port(address: str = "127.0.0.1") -> int:
    """Return a TCP port that is free at `address` and that no other process of these tests is given."""
    with _lock:
        return next(port for port in _ports if _can_be_bound(address, port))


def blocks() -> list[range]:
    """Return the blocks, on the side of the ephemeral range that has more of them."""
    low, high = (int(number) for number in _RANGE.read_text().split())
    below, above = range(_LOWEST, low), range(high + 1, 65536)
    side = max(below, above, key=len)
    return [range(first, first + BLOCK) for first in side[::BLOCK] if first + BLOCK <= side.stop]


def _ports_of_ours() -> Iterator[int]:
    for block in blocks():
        if _hold(block):
            yield from block
    raise RuntimeError("other processes hold every block of ports")


def _hold(block: range) -> bool:
    """Take a block for the life of this process, unless another has it."""
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.socket(socket.AF_UNIX))
        try:
            sock.bind(f"\0vipcast-test-ports-{block.start}")
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        stack.pop_all()
    _held.append(sock)
    return True


def _can_be_bound(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe, contextlib.suppress(OSError):
        probe.bind((address, port))
        return True
    return False


_ports = _ports_of_ours()
