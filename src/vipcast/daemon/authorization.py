# SPDX-License-Identifier: GPL-3.0-or-later
"""The authorization of requests: by a token and the cluster's RBAC, or from the same machine."""

from __future__ import annotations

from collections.abc import Callable

from vipcast.daemon.log import log_for
from vipcast.daemon.server import Handler, Page, Request, text_page
from vipcast.k8s.errors import API_ERRORS
from vipcast.k8s.review import Decision, Reviewer, Verdict

__all__ = ["Gate", "local_only"]

_log = log_for("metrics")
_CHALLENGE = (("www-authenticate", "Bearer"),)


class Gate:
    """Lets those through whom `reviewer` allows it; `remedy` tells the others what they lack."""

    def __init__(self, reviewer: Reviewer, remedy: str) -> None:
        self._reviewer, self._remedy = reviewer, remedy
        self._said: str | None = None  # the last problem that the log has

    def guard(self, make: Callable[[], Page]) -> Handler:
        """A page behind the gate."""

        async def page(request: Request) -> Page:
            return await self._refusal(request) or make()

        return page

    async def _refusal(self, request: Request) -> Page | None:
        token = _bearer(request)
        if token is None:
            return _refuse(401, "send a token: Authorization: Bearer TOKEN")
        try:
            return self._judge(await self._reviewer.review(token, request.client))
        except API_ERRORS:
            return _refuse(503, "the API server did not say who may read this; try again")
        finally:
            self._note(self._reviewer.problem)

    def _judge(self, decision: Decision) -> Page | None:
        if decision.verdict is Verdict.UNKNOWN:
            return _refuse(
                401, "the API server does not accept this token: it is made up, expired or revoked"
            )
        if decision.verdict is Verdict.FORBIDDEN:
            return _refuse(403, f"{decision.user} {self._remedy}")
        return None

    def _note(self, problem: str | None) -> None:
        """Once when it begins and once when it ends, not once per request."""
        if problem and not self._said:
            _log.warning("review_failed", why=problem)
        elif self._said and not problem:
            _log.info("review_recovered", was=self._said)
        self._said = problem


def local_only(make: Callable[[], Page], remedy: str) -> Handler:
    """A page for clients on the loopback address."""
    return lambda request: make() if request.local else text_page(remedy, 403)


def _bearer(request: Request) -> str | None:
    """The token; RFC 9110 lets the scheme's letters be of any case."""
    scheme, _space, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _refuse(status: int, why: str) -> Page:
    page = text_page(why, status)
    return Page(page.status, page.content_type, page.body, _CHALLENGE if status == 401 else ())
