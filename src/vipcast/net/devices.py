# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets that are bound to a device (SO_BINDTODEVICE): the kernel binds to the index that its name has then.

A device that is deleted and made again under its name is another one. A socket that listens hears nothing of
it, and nothing fails.
"""

from __future__ import annotations

import socket

__all__ = ["device_is_gone"]

_NAME = 16  # IFNAMSIZ


def device_is_gone(sock: socket.socket) -> bool:
    """Return whether the device that a socket is bound to has been deleted; False where there is none."""
    try:
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, _NAME)
    except OSError:  # ENODEV
        return True
    return False
