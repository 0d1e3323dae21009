# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing a few values in a YAML text, with everything else left as it was written. Pure.

A parser of YAML loses comments, order, quotes and widths. So the text is composed into nodes that know their
place, and only the characters of a value that differs are replaced; a missing key becomes a new line. The
result is parsed and compared: if it is not exactly what was meant, the whole text is written anew from its
values.
"""

from __future__ import annotations

import contextlib
import math
import typing as t

# A kubeconfig is YAML: without this package no module gets this far.
with contextlib.suppress(ImportError):
    import yaml

from .api import ClusterError, Json


class SettingsError(ClusterError):
    """The text is not a YAML mapping."""


def merged(values: t.Any, wanted: t.Any) -> t.Any:
    """`values` with those of `wanted`; mappings are merged key by key, anything else is replaced."""
    if not isinstance(values, dict) or not isinstance(wanted, dict):
        return wanted
    return {**values, **{key: merged(values.get(key), each) for key, each in wanted.items()}}


def parse(text: str, where: str) -> Json:
    """The text's values; raises SettingsError."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise SettingsError(f"{where}: is not YAML: {' '.join(str(exc).split())}") from exc
    if not isinstance(values, dict):
        raise SettingsError(f"{where}: expected a mapping, found {type(values).__name__}")
    return t.cast(Json, values)


def edited(text: str, wanted: Json, where: str) -> str:
    """The text with the wanted values; the same text where it has them."""
    values = parse(text, where)
    target = merged(values, wanted)
    new = text
    # One change at a time: each moves the places of what follows it.
    for path in _leaves(wanted):
        if not _has(values, path, _value_at(wanted, path)):
            new = _set(new, path, _value_at(wanted, path))
    if _says(new, target):
        return new
    return str(yaml.safe_dump(target, sort_keys=False, default_flow_style=False))


def _says(text: str, target: Json) -> bool:
    try:
        return bool(yaml.safe_load(text) == target)
    except yaml.YAMLError:
        return False


def _leaves(wanted: Json, path: tuple[str, ...] = ()) -> t.Iterator[tuple[str, ...]]:
    """Paths of the values that are not mappings; an empty mapping is a value."""
    for key, value in wanted.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key)


def _value_at(values: t.Any, path: t.Sequence[str]) -> t.Any:
    for key in path:
        values = values[key]
    return values


def _has(values: t.Any, path: tuple[str, ...], value: t.Any) -> bool:
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return bool(values == value)


def _set(text: str, path: tuple[str, ...], value: t.Any) -> str:
    """The text with one value set; the same text where that cannot be done in place."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for depth, key in enumerate(path):
        pair = _pair(node, key)
        rest = path[depth + 1 :]
        if pair is None:
            return _inserted(text, node, key, _nested(rest, value))
        if not rest or not _is_filled_mapping(pair[1]):
            return _replaced(text, pair, _nested(rest, value))
        node = pair[1]
    return text


def _nested(path: tuple[str, ...], value: t.Any) -> t.Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _is_filled_mapping(node: t.Any) -> bool:
    return isinstance(node, yaml.MappingNode) and bool(node.value)


def _pair(mapping: t.Any, key: str) -> tuple[t.Any, t.Any] | None:
    for key_node, value_node in mapping.value:
        if key_node.value == key:
            return key_node, value_node
    return None


def _replaced(text: str, pair: tuple[t.Any, t.Any], value: t.Any) -> str:
    key_node, value_node = pair
    start, end = int(value_node.start_mark.index), _end(value_node)
    if isinstance(value_node, yaml.ScalarNode) and end > start:
        return text[:start] + _flow(value) + text[end:]
    # An empty value and a block below its key both go onto the key's line.
    colon = text.index(":", int(key_node.end_mark.index)) + 1
    return text[:colon] + " " + _flow(value) + text[max(end, colon) :]


def _end(node: t.Any) -> int:
    """Return where a node's last character is. A block's own mark comes after blank lines and comments."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _inserted(text: str, mapping: t.Any, key: str, value: t.Any) -> str:
    """The text with a missing key above the mapping's first one, and as far indented as it."""
    if not mapping.value:
        return text
    first = mapping.value[0][0].start_mark
    separator = ", " if mapping.flow_style else "\n" + " " * first.column
    at = int(first.index)
    return text[:at] + f"{_flow(key)}: {_flow(value)}{separator}" + text[at:]


def _flow(value: t.Any) -> str:
    """A value on one line."""
    text = str(yaml.safe_dump(value, default_flow_style=True, width=math.inf, sort_keys=False))
    return text.replace("\n...\n", "\n").strip()


__all__ = ["SettingsError", "edited", "merged", "parse"]
