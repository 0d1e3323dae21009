# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML as the programs of a cluster read it: what looks like text is text.

PyYAML follows YAML 1.1, where `64512:10` without quotes is a number of base 60, `2026-01-01` a date and `no`
a boolean. The programs that MetalLB's configuration was written for read them as text. Here a scalar without
quotes is null, true or false, a plain decimal number, or text; a key may be there once; and everything in
the result is what JSON could say.

PyYAML is imported when something is read: most daemons never read any. Only its parser is used, the one in C
where there is one; what it says is put together here, because its own composers recurse without a limit.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Any

from vipcast.jsontext import MAX_DEPTH, BadDocumentError, check_document
from vipcast.model.texts import echo

__all__ = ["NotYamlError", "read_yaml"]

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_TAG = "tag:yaml.org,2002:"
# An alias stands for a copy, and copies of copies grow without end: a text may say so many times its length.
_GROWTH, _LEAST = 10, 10_000


class NotYamlError(Exception):
    """The error of a text: what is wrong, and in which line; never the text, which may have passwords."""


def read_yaml(text: str) -> list[Any]:
    """Return the documents of a text; raises NotYamlError, also where there is no PyYAML."""
    try:
        import yaml  # noqa: PLC0415 - see above
    except ImportError as error:
        raise NotYamlError("needs PyYAML to be read: pip install 'vipcast[cli]'") from error
    events = yaml.parse(text, getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    try:
        found = list(_Reader(events, _GROWTH * len(text) + _LEAST).documents())
        check_document(found)
        return found
    except BadDocumentError as error:
        raise NotYamlError(str(error)) from error
    except yaml.MarkedYAMLError as error:
        told = _told_in_python(yaml, text) or error
        raise _refusal(told.problem or told.context, told.problem_mark or told.context_mark) from error
    except yaml.reader.ReaderError as error:
        raise NotYamlError(f"is not YAML: character {error.position + 1} is not allowed") from error
    except (ValueError, OverflowError) as error:
        raise NotYamlError("is not YAML: an escaped character does not exist") from error


def _told_in_python(yaml: Any, text: str) -> Any:
    """Return the same fault as the slow parser tells it: in better words, and where a text ends too early."""
    try:
        deque(yaml.parse(text, yaml.BaseLoader), maxlen=0)
    except yaml.MarkedYAMLError as error:
        return error
    except (yaml.YAMLError, ValueError, OverflowError):
        pass
    return None


def _refusal(why: object, mark: Any) -> NotYamlError:
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return NotYamlError(f"is not YAML: {place}{why}")


class _Reader:
    """Turns the parser's events into values. An event is told by the name of its class."""

    def __init__(self, events: Iterator[Any], limit: int) -> None:
        self._events = events
        self._left = limit  # so many values may still be read, copies counted
        self._anchors: dict[str, tuple[Any, int] | None] = {}  # value and size; None while it is read

    def documents(self) -> Iterator[Any]:
        """Yield the value of each document; an empty one has none."""
        for event in self._events:
            if _kind(event) == "DocumentStart":
                self._anchors = {}
                yield self._document()

    def _document(self) -> Any:
        return self._read(next(self._events), 0)

    def _read(self, event: Any, depth: int) -> Any:
        if _kind(event) == "Alias":
            return self._copy(event)
        self._count(1, event)
        if depth > MAX_DEPTH:
            raise _refusal("too many lists and mappings in each other", event.start_mark)
        before = self._left
        if event.anchor is not None:
            self._name(event)
        value = self._of_kind(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1 + before - self._left)
        return value

    def _name(self, event: Any) -> None:
        if event.anchor in self._anchors:
            raise _refusal("an anchor is there twice", event.start_mark)
        self._anchors[event.anchor] = None

    def _copy(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            raise _refusal("an undefined alias", event.start_mark)
        known = self._anchors[event.anchor]
        self._count(known[1] if known else self._left + 1, event)
        return known[0] if known else None

    def _count(self, size: int, event: Any) -> None:
        self._left -= size
        if self._left < 0:
            raise _refusal("aliases repeat too much", event.start_mark)

    def _of_kind(self, event: Any, depth: int) -> Any:
        kind = _kind(event)
        if event.tag not in (None, "!", *(f"{_TAG}{name}" for name in ("str", "seq", "map"))):
            raise _refusal(f"the tag {echo(event.tag)} is not known here", event.start_mark)
        if kind == "Scalar":
            return event.value if event.style else _plain(event.value)
        if kind == "SequenceStart":
            return [self._read(each, depth + 1) for each in self._until("SequenceEnd")]
        return self._mapping(depth)

    def _until(self, end: str) -> Iterator[Any]:
        for event in self._events:
            if _kind(event) == end:
                return
            yield event

    def _mapping(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key in self._until("MappingEnd"):
            if _kind(key) != "Scalar":
                raise _refusal("a key should be a word", key.start_mark)
            if key.value in found:
                raise _refusal("a key is there twice", key.start_mark)
            self._read(key, depth + 1)
            value = next(self._events)
            if key.value == "<<" and not key.style:
                merged.update(self._merged(value, depth))
            else:
                found[key.value] = self._read(value, depth + 1)
        return {**merged, **found}

    def _merged(self, event: Any, depth: int) -> dict[str, Any]:
        """`<<: *defaults`, and of a list the first that has a key."""
        value = self._read(event, depth + 1)
        found: dict[str, Any] = {}
        for each in reversed(value) if isinstance(value, list) else (value,):
            if not isinstance(each, dict):
                raise _refusal("<< wants a mapping", event.start_mark)
            found.update(each)
        return found


def _kind(event: Any) -> str:
    return type(event).__name__.removesuffix("Event")


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _INTEGER.fullmatch(text) else text
