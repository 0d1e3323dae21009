# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors between a client and the API server: it refused, did not answer, or cannot be located."""

from __future__ import annotations

__all__ = ["API_ERRORS", "AccessError", "ApiError", "UnreachableError"]


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
API_ERRORS = (ApiError, UnreachableError, AccessError)
