# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes API in verbs: JSON in and out, refusals as ApiError.

A verb raises ApiError for what the server refused, UnreachableError where there was no answer, and
AccessError when our own credentials cannot be read.
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from vipcast.k8s.credentials import Access
from vipcast.k8s.errors import ApiError, UnreachableError
from vipcast.k8s.http import Http, Into, Response
from vipcast.k8s.pages import MAX_ITEM, MOST, PAGE_BYTES, Page, PageTooLargeError, next_limit
from vipcast.k8s.resource import Json

__all__ = [
    "APPLY_PATCH",
    "JSON_PATCH",
    "MERGE_PATCH",
    "SKIPPED",
    "STRATEGIC_PATCH",
    "Client",
    "Listing",
    "WatchEvent",
]

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"  # JSON is YAML

MAX_LINE = MAX_ITEM  # bytes of one watched object and what is around it
SKIPPED = "SKIPPED"  # type of our own WatchEvent for an object that is larger
_HEAD = 4096  # bytes of a line that is too long in which its object's name is looked for
_RETRIES = 4
_LONGEST_WAIT = 15.0  # seconds; what a busy API server asks for is 1

_Query = Mapping[str, str | int | bool | None]


@dataclass(frozen=True, slots=True)
class Listing:
    """A collection at one moment."""

    items: list[Json]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch: ADDED, MODIFIED, DELETED, or BOOKMARK (nothing but a resourceVersion).

    SKIPPED is ours: an object that is larger than MAX_LINE. There is of it what could be read of its
    metadata: `name`, `namespace` and `resourceVersion`, or none of them.
    """

    type: str
    object: Json


class Client:
    """A client with one pool of connections."""

    def __init__(self, access: Access, *, user_agent: str = "vipcast") -> None:
        self.namespace = access.namespace
        self._http = Http(access, user_agent=user_agent)
        self._allowed: Callable[[], bool] = lambda: True

    def guarded(self, allowed: Callable[[], bool]) -> Client:
        """The same client with the same connections, which sends nothing any more once it is not `allowed`.

        What it does not send raises UnreachableError, like everything that gets no answer.
        """
        found = copy.copy(self)
        found._allowed = allowed
        return found

    async def get(self, path: str, **query: str | int | bool | None) -> Json:
        """Read one object (or anything else that answers with JSON)."""
        return await self._call("GET", path, query)

    async def list(
        self,
        path: str,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        page: int = MOST,
        each: Callable[[Json], Json] = lambda item: item,
    ) -> Listing:
        """Return a whole collection, asked for in pages of at most `page` objects and PAGE_BYTES bytes.

        `each` may trim every object before the next one is decoded. It has to be a pure function: a page that
        is too large is asked for again, with fewer objects.
        """
        query: dict[str, str | int | None] = {
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
        }
        items: list[Json] = []
        token: str | None = None
        limit = page
        while True:
            try:
                found = await self._page(path, {**query, "limit": limit, "continue": token}, limit, each)
            except PageTooLargeError as error:
                limit = max(1, min(error.fitted, limit // 2))
                continue
            items += found.items
            metadata = found.envelope["metadata"]
            token = metadata.get("continue")
            if not token:
                return Listing(items, metadata["resourceVersion"])
            limit = next_limit(limit, found.size, page)

    async def _page(self, path: str, query: _Query, limit: int, each: Callable[[Json], Json]) -> Page:
        """Read one page.

        A page of one object has no budget, so that the largest object of the API can be read.
        """
        pages: list[Page] = []

        def begin() -> Callable[[bytes], None]:
            pages.append(Page(each, budget=PAGE_BYTES if limit > 1 else None))
            return pages[-1].feed

        await self._send("GET", path, query, into=begin)
        found = pages[-1]
        found.end()
        if "metadata" not in found.envelope:
            raise UnreachableError("not an API server: its answer is no list")
        return found

    async def create(self, path: str, body: Json, **query: str | int | bool | None) -> Json:
        """POST an object to its collection."""
        return await self._call("POST", path, query, body)

    async def patch(
        self, path: str, body: object, *, content_type: str = MERGE_PATCH, **query: str | int | bool | None
    ) -> Json:
        """PATCH an object or a subresource (``.../status``)."""
        return await self._call("PATCH", path, query, body, content_type)

    async def apply(self, path: str, body: Json, *, field_manager: str, force: bool = False) -> Json:
        """Server-side apply. ApiError 409 names the fields that another manager owns."""
        query = {"fieldManager": field_manager, "force": force or None}
        return await self._call("PATCH", path, query, body, APPLY_PATCH)

    async def delete(
        self, path: str, *, version: str | None = None, **query: str | int | bool | None
    ) -> Json:
        """DELETE an object. `version`: only the one of this resourceVersion; ApiError 409 for another."""
        body = {"preconditions": {"resourceVersion": version}} if version else None
        return await self._call("DELETE", path, query, body)

    async def watch(
        self,
        path: str,
        *,
        resource_version: str,
        label_selector: str | None = None,
        field_selector: str | None = None,
        timeout_seconds: int = 300,
        idle: float = 100.0,
        opened: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Changes after `resource_version`, until the server ends the watch after `timeout_seconds`.

        The server sends a bookmark about every minute; `idle` seconds without anything mean that nobody is
        there (UnreachableError). `opened` is called when the server agreed. An expired resource version is
        ApiError 410, before or during the watch.
        """
        query: dict[str, str | int | bool | None] = {
            "watch": True,
            "allowWatchBookmarks": True,
            "resourceVersion": resource_version,
            "timeoutSeconds": timeout_seconds,
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
        }
        async with self._http.stream(_target(path, query), idle=idle) as stream:
            if stream.status != 200:
                raise _refusal(Response(stream.status, stream.headers, await stream.read()))
            opened()
            async for line, whole in _lines(stream.chunks()):
                yield _watched(line) if whole else _skipped(line)

    async def close(self) -> None:
        """Close idle connections."""
        await self._http.close()

    async def _call(
        self,
        method: str,
        path: str,
        query: _Query,
        body: object = None,
        content_type: str = "application/json",
    ) -> Json:
        return _decode((await self._send(method, path, query, body, content_type=content_type)).body)

    async def _send(
        self,
        method: str,
        path: str,
        query: _Query,
        body: object = None,
        *,
        content_type: str = "application/json",
        into: Into | None = None,
    ) -> Response:
        """Send a request, repeat it where that may help, and return the answer to the one that succeeded."""
        content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = [("content-type", content_type)] if content else []
        for attempt in range(_RETRIES + 1):
            self._check()
            response = await self._http.request(
                method, _target(path, query), body=content, headers=headers, check=self._check, into=into
            )
            if response.status < 300:
                return response
            refusal = _refusal(response)
            if attempt == _RETRIES or not _worth_repeating(method, refusal):
                raise refusal
            await asyncio.sleep(min(_LONGEST_WAIT, refusal.retry_after or 0.0))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _check(self) -> None:
        """Raise UnreachableError when nothing may be sent any more: asked before connecting, and after."""
        if not self._allowed():
            raise UnreachableError("not sent: this process may not write any more")


def _worth_repeating(method: str, refusal: ApiError) -> bool:
    """It asked for another try. 429 did nothing yet; after a 5xx only reading again is harmless."""
    again = refusal.status == 429 or (refusal.status >= 500 and method == "GET")
    return again and refusal.retry_after is not None


def _target(path: str, query: _Query) -> str:
    given = {name: _plain(value) for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _plain(value: str | int | bool | None) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _decode(content: bytes) -> Json:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise UnreachableError(f"not an API server: its answer is not JSON ({content[:40]!r})") from error
    return document if isinstance(document, dict) else {"value": document}


def _refusal(response: Response) -> ApiError:
    """Return the error of a refused request, from its Status object where there is one.

    Proxies answer with text.
    """
    try:
        status = json.loads(response.body)
        reason, message = status.get("reason") or "Unknown", status.get("message") or ""
    except (ValueError, AttributeError):
        reason, message = "Unknown", response.body[:200].decode("utf-8", "replace").strip()
    return ApiError(
        response.status, reason, message, retry_after=_seconds(response.headers.get("retry-after"))
    )


def _seconds(value: str | None) -> float | None:
    """Retry-After in seconds; the API server never uses its date form."""
    return float(value) if value and value.isdigit() else None


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[bytes, bool]]:
    """Yield lines, and whether each is whole: of one that is longer than MAX_LINE only the head is kept."""
    buffer, skipping = bytearray(), False
    async for chunk in chunks:
        buffer += chunk
        *ended, rest = buffer.split(b"\n") if b"\n" in chunk else [buffer]
        for line in ended:
            if skipping or len(line) > MAX_LINE:
                yield bytes(line[:_HEAD]), False
            elif line.strip():
                yield bytes(line), True
            skipping = False
        buffer = rest
        if skipping or len(buffer) > MAX_LINE:
            del buffer[_HEAD:]
            skipping = True


def _watched(line: bytes) -> WatchEvent:
    event = _decode(line)
    kind, item = event.get("type"), event.get("object")
    if not isinstance(kind, str) or not isinstance(item, dict):
        raise UnreachableError(f"not a watch event: {line[:80]!r}")
    if kind == "ERROR":
        raise ApiError(
            int(item.get("code") or 500), item.get("reason") or "Unknown", item.get("message") or ""
        )
    return WatchEvent(kind, item)


def _skipped(head: bytes) -> WatchEvent:
    """Return the event for a line that is too long, with what its head says of the object's name.

    Built-in types have what names an object first in the line; others may not.
    """
    found = {
        name: match[1].decode()
        for name in ("name", "namespace", "resourceVersion")
        if (match := re.search(rb'"%s":"([A-Za-z0-9.:-]+)"' % name.encode(), head))
    }
    return WatchEvent(SKIPPED, {"metadata": found})
