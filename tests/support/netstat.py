# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters of the kernel in a network namespace: an event, where nothing else can be seen of one."""

from __future__ import annotations

import subprocess
from pathlib import Path


def counter(name: str, namespace: str | None = None) -> int:
    """Return one of the extended counters of TCP, such as ``TCPMinTTLDrop``; ours where none is named."""
    lines = [line.split() for line in _netstat(namespace).splitlines() if line.startswith("TcpExt:")]
    names, values = lines
    return int(dict(zip(names, values, strict=True))[name])


def _netstat(namespace: str | None) -> str:
    if namespace is None:
        return Path("/proc/self/net/netstat").read_text(encoding="ascii")
    command = ["ip", "netns", "exec", namespace, "cat", "/proc/self/net/netstat"]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
