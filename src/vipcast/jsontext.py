# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON as the programs of a cluster write it; what another reader could understand differently is refused.

A key may be there once, lists and mappings are in each other to a reasonable depth, numbers are numbers, and
text can be written as UTF-8.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from vipcast.model.texts import echo

__all__ = ["MAX_DEPTH", "BadDocumentError", "check_document", "read_json"]

MAX_DEPTH = 64  # of lists and mappings in each other; an object of the API has about a dozen


class BadDocumentError(Exception):
    """A text that could be read and should not be; the message says why."""


def read_json(text: str) -> Any:
    """Return what a text says; raises ValueError where it is no JSON, BadDocumentError where it is bad."""
    try:
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except RecursionError:
        raise BadDocumentError(_TOO_DEEP) from None
    check_document(found)
    return found


_TOO_DEEP = f"has more than {MAX_DEPTH} lists and mappings in each other"


def check_document(document: Any) -> None:
    """Raise BadDocumentError where lists and mappings are too deep in each other or text is no text."""
    todo: list[tuple[Any, int]] = [(document, 0)]
    while todo:
        value, depth = todo.pop()
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, (list, dict)):
            if depth >= MAX_DEPTH:
                raise BadDocumentError(_TOO_DEEP)
            inside = (each for pair in value.items() for each in pair) if isinstance(value, dict) else value
            todo.extend((each, depth + 1) for each in inside)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadDocumentError(f"has half a character (a lone surrogate) in {echo(text)}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadDocumentError(f"has the key {echo(twice)} twice in one mapping")
    return found


def _no_number(word: str) -> NoReturn:
    raise BadDocumentError(f"has {word}, which is no number in JSON")
