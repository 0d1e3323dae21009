# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML as the programs of a cluster read it: what looks like text is text.

PyYAML follows YAML 1.1, where `64512:10` without quotes is a number of base 60, `2026-01-01` a date and `no`
a boolean. The programs that MetalLB's configuration was written for read them as text. Here a scalar without
quotes is null, true or false, a plain decimal number, or text; a key may be there once; and everything in
the result is what JSON could say.

PyYAML is imported when something is read: most daemons never read any. Only its parser is used.
"""

from __future__ import annotations

import re
from typing import Any

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
    """What is wrong, and in which line; never the text itself, which may have passwords."""


def read_yaml(text: str) -> list[Any]:
    """The documents of a text; raises NotYamlError, also where there is no PyYAML."""
    try:
        import yaml  # noqa: PLC0415 - see above
    except ImportError as error:
        raise NotYamlError("needs PyYAML to be read: pip install 'vipcast[cli]'") from error
    try:
        reader = _Reader(_GROWTH * len(text) + _LEAST)
        return [reader.read(node) for node in yaml.compose_all(text, yaml.BaseLoader)]
    except yaml.MarkedYAMLError as error:
        raise _refusal(error.problem or error.context, error.problem_mark or error.context_mark) from error
    except yaml.reader.ReaderError as error:
        raise NotYamlError(f"is not YAML: character {error.position + 1} is not allowed") from error
    except (ValueError, OverflowError) as error:
        raise NotYamlError("is not YAML: an escaped character does not exist") from error
    except RecursionError as error:
        raise NotYamlError("can't be read: too many lists and mappings in each other") from error


def _refusal(why: object, mark: Any) -> NotYamlError:
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return NotYamlError(f"is not YAML: {place}{why}")


class _Reader:
    """From PyYAML's nodes to values."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._open: set[int] = set()  # the nodes that we are in

    def read(self, node: Any) -> Any:
        """The value of a node and of all in it; an empty document has none."""
        if node is None:
            return None
        self._left -= 1
        if self._left < 0 or id(node) in self._open:
            raise _refusal("aliases repeat too much", node.start_mark)
        self._open.add(id(node))
        try:
            return self._of_kind(node)
        finally:
            self._open.discard(id(node))

    def _of_kind(self, node: Any) -> Any:
        if node.tag not in (f"{_TAG}{name}" for name in ("str", "seq", "map")):
            raise _refusal(f"the tag {node.tag} is not known here", node.start_mark)
        if node.id == "scalar":
            return node.value if node.style else _plain(node.value)
        if node.id == "sequence":
            return [self.read(item) for item in node.value]
        return self._mapping(node)

    def _mapping(self, node: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            if key.id != "scalar":
                raise _refusal("a key should be a word", key.start_mark)
            if key.value in found:
                raise _refusal("a key is there twice", key.start_mark)
            if key.value == "<<" and not key.style:
                merged.update(self._merged(value))
            else:
                found[key.value] = self.read(value)
        return {**merged, **found}

    def _merged(self, node: Any) -> dict[str, Any]:
        """`<<: *defaults`, and of a list the first that has a key."""
        value = self.read(node)
        found: dict[str, Any] = {}
        for each in reversed(value) if isinstance(value, list) else (value,):
            if not isinstance(each, dict):
                raise _refusal("<< wants a mapping", node.start_mark)
            found.update(each)
        return found


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _INTEGER.fullmatch(text) else text
