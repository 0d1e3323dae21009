# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer to a list, read while it comes: every object is slimmed before the next one is decoded.

    page = Page(each, budget=PAGE_BYTES)
    page.feed(b'{"kind":"ServiceList","apiVersion":"v1","metadata":{...},"items":[{"metadata":...')
    page.end()                     # page.items, page.envelope

What is in memory is what was slimmed, and one object at a time. A page with more bytes than its budget raises
PageTooLargeError, which says how many objects fitted: they are the first ones of the same page when it is
asked for again with that limit. Bytes in, values out: no I/O.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable

from vipcast.k8s.errors import UnreachableError
from vipcast.k8s.resource import Json

__all__ = ["MAX_ITEM", "PAGE_BYTES", "Page", "PageTooLargeError", "next_limit"]

# Bytes of one page. The API server keeps a page of its own in memory for each of us, as we keep one object.
PAGE_BYTES = 8 * 1024 * 1024
# Bytes of one object as JSON. etcd takes 1.5 MiB of an object, and JSON needs up to six characters where
# protobuf needs one byte (a control character).
MAX_ITEM = 16 * 1024 * 1024
MOST = 500  # objects in a page: client-go's limit

_BLANK = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()
_OPENERS = '{["'


class PageTooLargeError(Exception):
    """A page of several objects has more bytes than a page should have; `fitted` objects had not."""

    def __init__(self, fitted: int) -> None:
        super().__init__(f"the page is too large: {fitted} objects fit")
        self.fitted = fitted


def next_limit(limit: int, size: int, most: int = MOST) -> int:
    """Return the limit after a page of `limit` objects and `size` bytes: twice as many, if there is room."""
    return min(most, 2 * limit) if 2 * size <= PAGE_BYTES else limit


class Page:
    """A list's answer in pieces. `budget` None: of any size (one object always has to fit)."""

    def __init__(self, each: Callable[[Json], Json], *, budget: int | None = PAGE_BYTES) -> None:
        self.items: list[Json] = []
        self.envelope: Json = {}  # everything of the answer but its items
        self.size = 0  # bytes so far
        self._each, self._budget = each, budget
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at = "", 0  # what is being read, and how far
        self._new: list[str] = []  # what came since
        self._waiting = self._enough = 0  # characters that came since, and how many are worth another look
        self._read: Callable[[], bool] = self._read_begin
        self._key = ""

    def feed(self, content: bytes) -> None:
        """Take the next piece. Raises PageTooLargeError, and UnreachableError for what is no list."""
        self.size += len(content)
        if self._budget is not None and self.size > self._budget:
            raise PageTooLargeError(len(self.items))
        text = self._decode(content)
        self._new.append(text)
        self._waiting += len(text)
        if self._waiting >= self._enough or len(self._text) + self._waiting > MAX_ITEM:
            self._advance()
            left = len(self._text)
            if left > MAX_ITEM:
                raise UnreachableError(f"an object of a list is larger than {MAX_ITEM} bytes")
            # An object that is half there is looked at again when as much came again: then the work is
            # linear in its size, however small the pieces are.
            self._enough = left

    def end(self) -> None:
        """Finish with the answer. Raises UnreachableError when it is not a whole list."""
        self._decode(b"", final=True)
        self._advance()
        if self._read != self._read_end or self._text.strip():
            raise UnreachableError(f"not an API server: its answer is no list ({self._text[:40]!r})")

    def _decode(self, content: bytes, *, final: bool = False) -> str:
        try:
            return self._utf8.decode(content, final)
        except UnicodeDecodeError as error:
            raise UnreachableError(f"not an API server: its answer is not UTF-8 ({error})") from error

    def _advance(self) -> None:
        self._text, self._at = "".join((self._text, *self._new)), 0
        self._new.clear()
        self._waiting = 0
        while self._skip() and self._read():
            pass
        self._text = self._text[self._at :]

    def _skip(self) -> bool:
        """Go to the next character that is neither blank nor a comma; tell whether there is one."""
        found = _BLANK.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at < len(self._text)

    def _value(self) -> tuple[bool, object]:
        """Return whether a whole value is there, and the value."""
        try:
            value, end = _DECODER.raw_decode(self._text, self._at)
        except ValueError:
            return False, None  # not whole yet, or nonsense: `end` tells which
        if end == len(self._text) and self._text[self._at] not in _OPENERS:
            return False, None  # a number may go on
        self._at = end
        return True, value

    def _take(self, character: str) -> bool:
        if self._text[self._at] != character:
            return False
        self._at += 1
        return True

    def _read_begin(self) -> bool:
        if self._take("{"):
            self._read = self._read_key
            return True
        raise UnreachableError(f"not an API server: its answer is not JSON ({self._text[:40]!r})")

    def _read_key(self) -> bool:
        if self._take("}"):
            self._read = self._read_end
            return True
        whole, key = self._value()
        if whole:
            self._key, self._read = str(key), self._read_colon
        return whole

    def _read_colon(self) -> bool:
        if not self._take(":"):
            return False
        self._read = self._read_member
        return True

    def _read_member(self) -> bool:
        if self._key == "items" and self._take("["):
            self._read = self._read_item
            return True
        whole, value = self._value()
        if whole:
            self.envelope[self._key] = value
            self._read = self._read_key
        return whole

    def _read_item(self) -> bool:
        if self._take("]"):
            self._read = self._read_key
            return True
        whole, item = self._value()
        if whole:
            self.items.append(self._each(self._typed(item)))
        return whole

    def _read_end(self) -> bool:
        return False

    def _typed(self, item: object) -> Json:
        """Return an object with kind and apiVersion: lists of built-in types leave them out of each."""
        if not isinstance(item, dict):
            raise UnreachableError("not an API server: an item of its list is no object")
        if "kind" not in item:
            item["kind"] = str(self.envelope.get("kind", "")).removesuffix("List")
        if "apiVersion" not in item:
            item["apiVersion"] = self.envelope.get("apiVersion", "")
        return item
