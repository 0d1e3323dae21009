# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a session asks of whoever has the sockets, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass

from vipcast.bgp.fsm import State


@dataclass(frozen=True, slots=True)
class Dial:
    """Open a TCP connection; report by ``connected`` or ``connection_failed``."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Give up the connection, or the attempt, after what ``data_to_send`` has given is written. No report."""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """``why`` is empty where the change is good news."""

    old: State
    new: State
    why: str = ""


SessionEvent = Dial | HangUp | StateChanged
