# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time in which a successor takes over: what it was given must not change, and it may fail or be late."""

from __future__ import annotations

from dataclasses import dataclass

from vipcast.agent.channel import Channel
from vipcast.net.ipc import ProtocolError, line

__all__ = ["PENDING_SECONDS", "PendingHandover"]

# A successor that has been given everything says that it goes on within this time at most, or we do.
PENDING_SECONDS = 2.0
_FIRST = 1  # a successor of release 0.1.0 does not wait for the word to go


@dataclass(slots=True)
class PendingHandover:
    """``successor``: who has been given everything, ``until``: when we give it up.

    ``tries``: how many successors were given up. One that waits for the word to go tries again, so the first
    one gets no more time than costs nothing, and each later one twice as much.
    ``lapsed``: a successor of the first version that was given up. It goes on all the same when it is ready,
    so that nothing is left but to make room for it.
    """

    successor: Channel | None = None
    until: float | None = None
    version: int = _FIRST
    lapsed: Channel | None = None
    tries: int = 0

    def begin(self, successor: Channel, version: int, now: float, patience: float = PENDING_SECONDS) -> None:
        """``patience``: seconds that nobody notices.

        Raises ProtocolError while another successor takes over.
        """
        if self.successor is not None and self.successor is not successor:
            raise ProtocolError("another process takes over just now")
        seconds = min(PENDING_SECONDS, patience * 2**self.tries) if version > _FIRST else PENDING_SECONDS
        self.successor, self.until, self.version = successor, now + seconds, version

    def over(self, now: float) -> bool:
        return self.until is not None and now >= self.until

    def end(self) -> None:
        """Give the successor up."""
        self.lapsed = self.successor if self.version == _FIRST else None
        self.successor = self.until = None
        self.tries += 1

    def take(self, channel: Channel, now: float) -> None:
        """Let the successor go on. Raises ProtocolError for one that is none, or is too late."""
        if channel is self.lapsed:
            return
        if channel is not self.successor or (self.version > _FIRST and self.over(now)):
            raise ProtocolError("taken: too late, or nothing was handed over; this process goes on")
        if self.version > _FIRST:
            channel.send(line({"go": 1}))
