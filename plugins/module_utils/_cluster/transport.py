# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of a request to an API server: what `direct` and `official` have in common."""

from __future__ import annotations

import typing as t

# A control plane on the other side of the world answers in a second; a dead one must not hold a playbook up.
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
# An API server that is busy, or has just learnt a kind, says 429 and when to ask again: nothing was done yet.
BUSY_RETRIES = 5


class TransportError(Exception):
    """No answer was had; the message says why."""


class Answer(t.NamedTuple):
    """An HTTP answer."""

    status: int
    data: bytes


class Transport(t.Protocol):
    """A way to an API server."""

    def send(self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None) -> Answer:
        """Return the answer, whatever its status; raise TransportError where there is none.

        A connection that cannot be made is tried once more, and a busy server is asked again when it says.
        """


__all__ = ["BUSY_RETRIES", "CONNECT_SECONDS", "READ_SECONDS", "Answer", "Transport", "TransportError"]
