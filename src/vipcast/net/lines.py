# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of a node say to each other: JSON lines over an abstract Unix socket, and who may.

No asyncio here: `vipcast bfd` and `vipcast layer2` have none.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

__all__ = ["USERS", "Json", "ProtocolError", "line", "may_speak", "read_line"]

Json = dict[str, Any]

USERS: set[int] = {0, os.geteuid()}
"""Who may be at the other end."""


class ProtocolError(ValueError):
    """The other side said what is not in the protocol."""


def may_speak(connection: socket.socket) -> bool:
    """An abstract socket has no file mode: the other side has to be one of ``USERS``."""
    _pid, uid, _gid = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    )
    return uid in USERS


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
