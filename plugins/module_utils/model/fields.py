# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the fields of an object, each once, and names those that nobody asked for.

A wrong value becomes a problem of the object and the reader goes on with the default, so that one look at an
object tells everything that is wrong with it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from .problems import Report
from .reasons import Reason
from .texts import MAX_NAME, cut, echo, listed

_Value = TypeVar("_Value")

# Go's notation for durations, the only one that the API server passes on as it was written.
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d*)?|\.\d+)(?P<unit>ns|us|µs|μs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
MAX_DEPTH = 16  # of lists and mappings in each other; what an object of the configuration has is 8
MAX_COMPARED = 64  # known names, in search of one that was probably meant
# What Linux takes as the name of a network device (IFNAMSIZ, dev_valid_name).
_DEVICE = re.compile(r"[^/:\s]{1,15}")
_NAMES = {str: "a string", int: "a whole number", bool: "true or false", list: "a list", Mapping: "a mapping"}
# Mapping is abstract, which `isinstance` does not mind and a type checker does.
_MAPPING: Any = Mapping


def nearest(name: str, known: list[str]) -> str:
    """``"; did you mean x?"`` where a known name is near, otherwise what the known names are."""
    if len(known) > MAX_COMPARED or len(name) > MAX_NAME:
        return f"; {len(known)} names are known here"
    close = difflib.get_close_matches(name, known, n=1)
    if not close:  # a difference of upper and lower case alone is the most frequent slip
        close = [other for other in known if other.lower() == name.lower()]
    if close:
        return f"; did you mean {cut(close[0], MAX_NAME)}?"
    return f"; known here: {listed(sorted(known), 24)}"


_LONGEST_DURATION = 2**63 / 1e9  # seconds; Go counts nanoseconds in 64 bits


def parse_duration(text: str) -> float:
    """``1m30s`` -> 90.0 seconds; ``ValueError`` for anything that is not a duration of Go's."""
    if text in ("0", "+0"):
        return 0.0
    total, position = 0.0, 0
    while position < len(text):
        part = _DURATION.match(text, position)
        if part is None:
            raise ValueError(text)
        total += float(part["number"]) * _SECONDS[part["unit"]]
        position = part.end()
    if not text or total > _LONGEST_DURATION:
        raise ValueError(text)
    return total


class _TooDeepError(Exception):
    """Lists and mappings are in each other without a reasonable end."""


def _canonical(item: Any, depth: int = MAX_DEPTH) -> str:
    """The same text for what means the same, whatever the order of its keys."""
    if not isinstance(item, (Mapping, list)):
        return repr(item)
    if not depth:
        raise _TooDeepError
    if isinstance(item, list):
        return "[" + ",".join(_canonical(each, depth - 1) for each in item) + "]"
    return "{" + ",".join(sorted(f"{key!r}:{_canonical(item[key], depth - 1)}" for key in item)) + "}"


class Fields:
    """One mapping of an object, with its path; ``done`` reports the fields that nobody has read."""

    def __init__(self, data: Mapping[str, Any], path: str, report: Report) -> None:
        self.data = data
        self._path = path
        self._asked: list[str] = []
        self.report = report

    def path(self, name: str) -> str:
        """The path of a field of this mapping, from the object's root."""
        return f"{self._path}.{name}" if self._path else name

    def has(self, name: str) -> bool:
        """Return whether the field is there and not null; a field that is asked for is a known one."""
        self._asked.append(name)
        return self.data.get(name) is not None

    def _get(self, name: str, kind: type[_Value]) -> _Value | None:
        if not self.has(name):
            return None
        value = self.data[name]
        # bool is a subclass of int, but "myASN: true" is a mistake.
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        self.report.refuse(
            self.path(name),
            Reason.WRONG_TYPE,
            f"is {echo(value)}, should be {_NAMES.get(kind, kind.__name__)}",
        )
        return None

    def missing(self, name: str, hint: str) -> None:
        """The field is required."""
        self.report.refuse(self.path(name), Reason.MISSING_FIELD, f"is required: {hint}")

    def string(self, name: str) -> str | None:
        """The string, or None where it is absent, empty or of another type."""
        return self._get(name, str) or None

    def required(self, name: str, hint: str) -> str | None:
        """The string, which must be there and have something in it."""
        text = self.string(name)
        if text is None and self.data.get(name) in (None, ""):
            self.missing(name, hint)
        return text

    def boolean(self, name: str, default: bool = False) -> bool:
        """The boolean, or the default."""
        value = self._get(name, bool)
        return default if value is None else value

    def integer(self, name: str, low: int, high: int) -> int | None:
        """The integer, or None where it is absent or (that is a problem) outside ``low..high``."""
        value = self._get(name, int)
        if value is None or low <= value <= high:
            return value
        self.report.refuse(
            self.path(name), Reason.OUT_OF_RANGE, f"is {value}, should be from {low} to {high}"
        )
        return None

    def duration(self, name: str) -> float | None:
        """Seconds from a duration such as ``90s``, or None."""
        text = self._get(name, str)
        if text is None:
            return None
        try:
            return parse_duration(text)
        except ValueError:
            message = f"{echo(text)} is not a duration; write for example 90s or 1m30s"
            self.report.refuse(self.path(name), Reason.BAD_DURATION, message)
            return None

    def mapping(self, name: str) -> Fields | None:
        """A reader for the mapping inside, or None."""
        value: Mapping[str, Any] | None = self._get(name, _MAPPING)
        return None if value is None else Fields(value, self.path(name), self.report)

    def items(self, name: str) -> list[tuple[str, Any]]:
        """The list's items, each with its path; duplicates are a problem."""
        value: list[Any] = self._get(name, list) or []
        found = [(f"{self.path(name)}[{index}]", item) for index, item in enumerate(value)]
        self._refuse_duplicates(found)
        return found

    def _refuse_duplicates(self, found: list[tuple[str, Any]]) -> None:
        seen: dict[str, str] = {}
        for path, item in found:
            try:
                first = seen.setdefault(_canonical(item), path)
            except _TooDeepError:
                why = f"has more than {MAX_DEPTH} lists and mappings in each other"
                self.report.refuse(path, Reason.WRONG_TYPE, why)
                continue
            if first != path:
                self.report.refuse(path, Reason.DUPLICATE_VALUE, f"repeats {first}; remove one of them")

    def strings(self, name: str) -> tuple[str, ...]:
        """The strings of a list; an item of another type is a problem."""
        return tuple(item for path, item in self.items(name) if self._is(path, item, str))

    def mappings(self, name: str) -> list[Fields]:
        """Readers for the mappings in a list."""
        return [
            Fields(item, path, self.report)
            for path, item in self.items(name)
            if self._is(path, item, _MAPPING)
        ]

    def _is(self, path: str, item: Any, kind: type[Any]) -> bool:
        if isinstance(item, kind):
            return True
        self.report.refuse(
            path, Reason.WRONG_TYPE, f"is {echo(item)}, should be {_NAMES.get(kind, kind.__name__)}"
        )
        return False

    def string_map(self, name: str) -> dict[str, str]:
        """A mapping of strings to strings, such as labels."""
        value: Mapping[str, Any] = self._get(name, _MAPPING) or {}
        return {key: item for key, item in value.items() if self._is(f"{self.path(name)}.{key}", item, str)}

    def interface(self, name: str) -> str | None:
        """The name of a network device, or None."""
        text = self.string(name)
        return text if text is None or self._device(self.path(name), text) else None

    def interfaces(self, name: str) -> tuple[str, ...]:
        """The names of network devices in a list."""
        found = [(path, item) for path, item in self.items(name) if self._is(path, item, str)]
        return tuple(item for path, item in found if self._device(path, item))

    def _device(self, path: str, text: str) -> bool:
        # IFNAMSIZ counts octets, and has room for a zero at the end.
        if _DEVICE.fullmatch(text) and text not in (".", "..") and len(text.encode(errors="replace")) <= 15:
            return True
        message = f"{echo(text)} is no name of an interface: 1 to 15 octets, without blanks and slashes"
        self.report.refuse(path, Reason.BAD_NAME, message)
        return False

    def is_set(self, name: str) -> bool:
        """Return whether the field is there and says something other than its type's empty value."""
        return self.has(name) and self.data[name] not in (False, "", [], {})

    def done(self) -> None:
        """Everything known has been asked for: the rest are misspelled, and the object is not used."""
        for name in self.data:
            if name not in self._asked:
                message = f"is not a field of this object{nearest(str(name), self._asked)}"
                self.report.refuse(self.path(str(name)), Reason.UNKNOWN_FIELD, message)


__all__ = ["Fields", "nearest", "parse_duration"]
