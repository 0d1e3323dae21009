# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds for what messages repeat of what somebody else has written.

A message goes to every watcher of the object that it is on, into events and into logs. So a value in it is
cut, a list in it ends with a count, and the whole has the length that the API allows an event.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

MAX_NAME = 253  # characters of an object's name (RFC 1123 subdomain), and of any value that is repeated
MAX_MESSAGE = 1024  # characters of an event's note (events.k8s.io/v1)
MAX_LISTED = 8  # names in a list
_CUT = "..."

_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxlist, _REPR.maxdict, _REPR.maxtuple = 2, 4, 4, 4
_REPR.maxstring = _REPR.maxother = 60


def cut(text: str, limit: int = MAX_MESSAGE) -> str:
    """Return the text, shortened to so many characters; ``...`` at its end says that something is missing."""
    return text if len(text) <= limit else text[: limit - len(_CUT)] + _CUT


def plain(text: str) -> str:
    """Return the text in one line and without control characters: what is not printable is escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def echo(value: Any, limit: int = MAX_NAME) -> str:
    """Return a value as Python writes it, without control characters and with at most `limit` characters."""
    if isinstance(value, str):
        return cut(repr(value[:limit]) if len(value) <= limit else repr(value[:limit]) + _CUT, limit)
    if isinstance(value, (int, float)) or value is None:
        return cut(repr(value), limit) if not isinstance(value, int) else _number(value, limit)
    return cut(_REPR.repr(value), limit)


def _number(value: int, limit: int) -> str:
    """A number of more digits than Python writes (4,300) is described."""
    return cut(repr(value), limit) if value.bit_length() < 4096 else f"a number of {value.bit_length()} bits"


def listed(names: Iterable[str], limit: int = MAX_LISTED) -> str:
    """Return the first names and how many more there are; ``none`` for none."""
    every: Sequence[str] = list(names)
    if not every:
        return "none"
    shown = ", ".join(cut(plain(cut(name, MAX_NAME)), MAX_NAME) for name in every[:limit])
    return shown if len(every) <= limit else f"{shown} and {len(every) - limit} more"


__all__ = ["MAX_LISTED", "MAX_MESSAGE", "MAX_NAME", "cut", "echo", "listed", "plain"]
