# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong between us and the API server: it refused, it was not there, or we know no way to it."""

from __future__ import annotations

__all__ = ["TROUBLE", "AccessError", "ApiError", "UnreachableError"]


class AccessError(Exception):
    """No usable way to the API server: a kubeconfig that is missing or says something that we don't do."""


class UnreachableError(Exception):
    """The API server gave no complete answer: not connected, not trusted, too slow, or not HTTP."""


class ApiError(Exception):
    """The API server answered with an error.

    `status` is HTTP's, `reason` the API's word for it (``NotFound``, ``Conflict``, ``Expired``),
    `retry_after` the seconds it asked us to wait, if it did.
    """

    def __init__(self, status: int, reason: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


# All that a call may raise.
TROUBLE = (ApiError, UnreachableError, AccessError)
