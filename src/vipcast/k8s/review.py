# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the API server whose a bearer token is and what it may: TokenReview and SubjectAccessReview.

So the cluster's RBAC decides, as for everything else in it. An answer is remembered for a while, because a
scraper asks again and again; a token itself is kept nowhere.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from vipcast.k8s.bucket import Bucket, Buckets
from vipcast.k8s.client import Client
from vipcast.k8s.errors import API_ERRORS, UnreachableError
from vipcast.k8s.resource import Json, Resource

__all__ = ["Decision", "Reviewer", "Verdict"]

ALLOWED_SECONDS = 60.0  # how long a right that was taken away still counts
DENIED_SECONDS = 10.0  # how long a right that was given does not count yet
REMEMBERED = 256  # tokens, of each kind; the oldest go first
REVIEW_SECONDS = 5.0  # for both questions: half of what a scraper waits by default
AT_ONCE = 4  # reviews under way
# Reviews per second of tokens that were not allowed lately, and how many may come at once: of all clients,
# and of one address. A flood of made-up tokens must not become one at the API server, and those of one
# address not keep another's from being asked for.
RATE, BURST = 10.0, 40.0
SOURCE_RATE, SOURCE_BURST = 1.0, 10.0
SOURCES = 1024  # addresses that are told apart

_TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)
# A TokenReview's fields of a user, and a SubjectAccessReview's.
_SUBJECT = {"username": "user", "groups": "groups", "uid": "uid", "extra": "extra"}
_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1


class Verdict(Enum):
    """The outcomes that a question may have."""

    ALLOWED = "allowed"
    UNKNOWN = "unknown"  # nobody has this token
    FORBIDDEN = "forbidden"  # somebody has it, and may not


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a question."""

    verdict: Verdict
    user: str = ""  # whose token it is


class Reviewer:
    """Decides whether the bearer of a token may ``get`` one non-resource URL."""

    def __init__(self, client: Client, path: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._path = client, path
        self._allowed, self._denied = _Memory(ALLOWED_SECONDS, clock), _Memory(DENIED_SECONDS, clock)
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._rate, self._clock = Bucket(RATE, BURST, clock()), clock
        self._sources: Buckets[str] = Buckets(SOURCE_RATE, SOURCE_BURST, SOURCES)
        self.problem: str | None = None  # why the API server did not say, when it was asked last

    async def review(self, token: str, client: str = "") -> Decision:
        """Return whether they may. Raises ApiError, UnreachableError or AccessError when nobody can say.

        `client` is the address that the token comes from.
        """
        if not _B64TOKEN.fullmatch(token):
            return Decision(Verdict.UNKNOWN)
        digest = hashlib.sha256(token.encode("ascii")).digest()
        known = self._allowed.get(digest) or self._denied.get(digest)
        if known is None and digest not in self._allowed and not self._may_ask(client):
            raise UnreachableError("not asked: too many tokens came that were not allowed before")
        return known or await self._ask(digest, token)

    def _may_ask(self, client: str) -> bool:
        now = self._clock()
        return self._sources.take(client, now) and self._rate.take(now)

    async def _ask(self, digest: bytes, token: str) -> Decision:
        try:
            decision = await self._decide_in_time(token)
        except API_ERRORS as error:
            self.problem = str(error)
            raise
        self.problem = None
        memory = self._allowed if decision.verdict is Verdict.ALLOWED else self._denied
        memory.put(digest, decision)
        return decision

    async def _decide_in_time(self, token: str) -> Decision:
        try:
            async with asyncio.timeout(REVIEW_SECONDS), self._turn:
                return await self._decide(token)
        except TimeoutError as error:
            raise UnreachableError(f"no answer within {REVIEW_SECONDS:g} s") from error

    async def _decide(self, token: str) -> Decision:
        status = await self._create(_TOKEN_REVIEWS, {"token": token})
        if not status.get("authenticated"):
            return Decision(Verdict.UNKNOWN)
        user: Json = status.get("user") or {}
        name = str(user.get("username", ""))
        url = {"path": self._path, "verb": "get"}
        subject = {to: user[field] for field, to in _SUBJECT.items() if field in user}
        status = await self._create(_ACCESS_REVIEWS, {**subject, "nonResourceAttributes": url})
        return Decision(Verdict.ALLOWED if status.get("allowed") else Verdict.FORBIDDEN, name)

    async def _create(self, resource: Resource, spec: Json) -> Json:
        """Return a review's status.

        It stores nothing, so it is asked for again where a kept connection was dead.
        """
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "spec": spec}
        try:
            answer = await self._client.create(resource.path(), body)
        except UnreachableError:
            answer = await self._client.create(resource.path(), body)
        status: Json = answer.get("status") or {}
        return status


class _Memory:
    """Decisions by their token's digest. All live equally long, so the oldest ends first."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        self._known: dict[bytes, tuple[float, Decision]] = {}

    def __contains__(self, digest: bytes) -> bool:
        """Tell whether a token was decided on lately, even where the decision is not valid any more."""
        return digest in self._known

    def get(self, digest: bytes) -> Decision | None:
        until, decision = self._known.get(digest, (0.0, None))
        return decision if self._clock() < until else None

    def put(self, digest: bytes, decision: Decision) -> None:
        self._known.pop(digest, None)
        while len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[digest] = (self._clock() + self._seconds, decision)
