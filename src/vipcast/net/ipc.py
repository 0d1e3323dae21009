# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inter-process communication on a node: JSON lines over an abstract Unix socket, and who may connect.

No asyncio here: `vipcast bfd` and `vipcast layer2` have none.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

from vipcast import versions
from vipcast.versions import Versions

__all__ = ["PROTOCOL", "USERS", "Json", "ProtocolError", "check", "is_trusted_peer", "line", "read_line"]

Json = dict[str, Any]

PROTOCOL = Versions(1, 1)
"""Of the lines between a speaker and the processes of its node. Release 0.1.0 does not say it, and has 1."""

USERS: set[int] = {0, os.geteuid()}
"""Who may be at the other end."""


class ProtocolError(ValueError):
    """The other side said what is not in the protocol."""


def is_trusted_peer(connection: socket.socket) -> bool:
    """An abstract socket has no file mode: the other side has to be one of ``USERS``."""
    _pid, uid, _gid = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    )
    return uid in USERS


def check(message: Json) -> None:
    """Look whether we understand who says this. Raises ProtocolError."""
    if "versions" not in message:
        return
    try:
        theirs = versions.read(message["versions"])
    except ValueError as error:
        raise ProtocolError(f"versions: {error}") from error
    if PROTOCOL.common(theirs) is None:
        raise ProtocolError(f"it speaks {theirs} of the protocol, and this process {PROTOCOL}")


def line(message: Json) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def read_line(data: bytes) -> Json:
    """Raises ProtocolError."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise ProtocolError("not a JSON object")
    return message
