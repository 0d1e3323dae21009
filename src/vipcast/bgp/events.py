# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The events of a session, for the driver that has the sockets."""

from __future__ import annotations

from dataclasses import dataclass

from vipcast.bgp.fsm import State


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a TCP connection; report by ``connected`` or ``connection_failed``."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Give up the connection, or the attempt, after what ``data_to_send`` has given is written. No report."""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """``why`` is empty where the change is good news."""

    old: State
    new: State
    why: str = ""


SessionEvent = Connect | Disconnect | StateChanged
