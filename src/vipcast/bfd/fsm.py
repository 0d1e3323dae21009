# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state machine of RFC 5880 section 6.8.6, as a table: (state, event) -> (next state, diagnostic).

Read it with section 6.8.6 beside it: the first four events are the state that the peer says it is in.
Every pair is in the table; nothing happens here.
"""

from __future__ import annotations

from enum import Enum, IntEnum, auto


class BfdState(IntEnum):
    """RFC 5880 section 4.1, Sta. ``str()`` is the RFC's name."""

    ADMIN_DOWN = 0
    DOWN = 1
    INIT = 2
    UP = 3

    def __str__(self) -> str:
        return _NAMES[self]


_NAMES = {
    BfdState.ADMIN_DOWN: "AdminDown",
    BfdState.DOWN: "Down",
    BfdState.INIT: "Init",
    BfdState.UP: "Up",
}


class Diagnostic(IntEnum):
    """RFC 5880 section 4.1, Diag: why a session last changed its state. ``str()`` is for people."""

    NONE = 0
    DETECTION_TIME_EXPIRED = 1
    ECHO_FAILED = 2
    NEIGHBOR_SIGNALED_DOWN = 3
    FORWARDING_PLANE_RESET = 4
    PATH_DOWN = 5
    CONCATENATED_PATH_DOWN = 6
    ADMINISTRATIVELY_DOWN = 7
    REVERSE_CONCATENATED_PATH_DOWN = 8

    def __str__(self) -> str:
        return _REASONS[self]

    @classmethod
    def read(cls, number: int) -> Diagnostic:
        """Numbers 9 to 31 are reserved; a peer that sends one has a reason that has no name here."""
        return cls(number) if number <= cls.REVERSE_CONCATENATED_PATH_DOWN else cls.NONE


_REASONS = {
    Diagnostic.NONE: "no diagnostic",
    Diagnostic.DETECTION_TIME_EXPIRED: "nothing was heard for the detection time",
    Diagnostic.ECHO_FAILED: "echo packets did not come back",
    Diagnostic.NEIGHBOR_SIGNALED_DOWN: "the neighbor said that the session is down",
    Diagnostic.FORWARDING_PLANE_RESET: "the forwarding plane was reset",
    Diagnostic.PATH_DOWN: "the path is down",
    Diagnostic.CONCATENATED_PATH_DOWN: "a path beyond is down",
    Diagnostic.ADMINISTRATIVELY_DOWN: "taken down by its administrator",
    Diagnostic.REVERSE_CONCATENATED_PATH_DOWN: "a path back from beyond is down",
}


class Event(Enum):
    """The events of a session."""

    HEARD_ADMIN_DOWN = auto()
    HEARD_DOWN = auto()
    HEARD_INIT = auto()
    HEARD_UP = auto()
    DETECTION_TIME_EXPIRED = auto()
    ECHO_FAILED = auto()
    DISABLED = auto()
    ENABLED = auto()


HEARD = {
    BfdState.ADMIN_DOWN: Event.HEARD_ADMIN_DOWN,
    BfdState.DOWN: Event.HEARD_DOWN,
    BfdState.INIT: Event.HEARD_INIT,
    BfdState.UP: Event.HEARD_UP,
}

Transition = tuple[BfdState, Diagnostic | None]
"""The next state, and the diagnostic to set; None leaves it as it is."""

_D = Diagnostic
_DISABLE: Transition = (BfdState.ADMIN_DOWN, _D.ADMINISTRATIVELY_DOWN)
_NEIGHBOR_DOWN: Transition = (BfdState.DOWN, _D.NEIGHBOR_SIGNALED_DOWN)
_EXPIRED: Transition = (BfdState.DOWN, _D.DETECTION_TIME_EXPIRED)
_COME_UP: Transition = (BfdState.UP, _D.NONE)

_BLOCKS: dict[BfdState, dict[Event, Transition]] = {
    BfdState.ADMIN_DOWN: {  # section 6.8.6: packets are discarded
        Event.ENABLED: (BfdState.DOWN, _D.NONE),
    },
    BfdState.DOWN: {
        Event.HEARD_DOWN: (BfdState.INIT, None),
        Event.HEARD_INIT: _COME_UP,
        Event.DISABLED: _DISABLE,
    },
    BfdState.INIT: {
        Event.HEARD_ADMIN_DOWN: _NEIGHBOR_DOWN,
        Event.HEARD_INIT: _COME_UP,
        Event.HEARD_UP: _COME_UP,
        Event.DETECTION_TIME_EXPIRED: _EXPIRED,
        Event.DISABLED: _DISABLE,
    },
    BfdState.UP: {
        Event.HEARD_ADMIN_DOWN: _NEIGHBOR_DOWN,
        Event.HEARD_DOWN: _NEIGHBOR_DOWN,
        Event.DETECTION_TIME_EXPIRED: _EXPIRED,
        Event.ECHO_FAILED: (BfdState.DOWN, _D.ECHO_FAILED),
        Event.DISABLED: _DISABLE,
    },
}

TABLE: dict[tuple[BfdState, Event], Transition] = {
    (state, event): rows.get(event, (state, None)) for state, rows in _BLOCKS.items() for event in Event
}


def transition(state: BfdState, event: Event) -> Transition:
    return TABLE[state, event]
