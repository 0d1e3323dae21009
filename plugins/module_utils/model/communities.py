# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Communities: ``64512:100`` (RFC 1997), ``large:64512:1:2`` (RFC 8092), and names for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

from .fields import Fields
from .reasons import Reason
from .texts import echo

LargeCommunity = tuple[int, int, int]
CommunityValue = Union[int, LargeCommunity]  # an RFC 1997 one is its two 16-bit halves as one number

_STANDARD = re.compile(r"(\d{1,5}):(\d{1,5})", re.ASCII)
_LARGE = re.compile(r"large:(\d{1,10}):(\d{1,10}):(\d{1,10})", re.ASCII)


def parse_community(text: str) -> CommunityValue:
    """A community as a number, a large one as three; ``ValueError`` says what is wrong."""
    standard, large = _STANDARD.fullmatch(text), _LARGE.fullmatch(text)
    if standard is not None:
        high, low = (int(part) for part in standard.groups())
        if max(high, low) > 65535:
            raise ValueError(f"{echo(text)}: both halves of a community are from 0 to 65535")
        return high << 16 | low
    if large is not None:
        one, two, three = (int(part) for part in large.groups())
        if max(one, two, three) > 2**32 - 1:
            raise ValueError(f"{echo(text)}: the three parts of a large community are from 0 to 4294967295")
        return one, two, three
    raise ValueError(f"{echo(text)} is not a community; write for example 64512:100 or large:64512:1:2")


def community_text(value: CommunityValue) -> str:
    """Return the community as it is written in a configuration."""
    if isinstance(value, int):
        return f"{value >> 16}:{value & 65535}"
    return "large:" + ":".join(str(part) for part in value)


def is_alias(text: str) -> bool:
    """Return whether this names a community: every written one has a colon."""
    return ":" not in text


@dataclass(frozen=True)
class Community:
    """A Community object as it is in force: names, and what they stand for."""

    name: str
    aliases: Mapping[str, CommunityValue] = field(default_factory=dict, hash=False)
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)


def read_community(name: str, namespace: str, labels: Mapping[str, str], spec: Fields) -> Community:
    """The names in ``spec`` of a Community."""
    aliases: dict[str, CommunityValue] = {}
    for item in spec.mappings("communities"):
        alias, value = _read_alias(item), _read_value(item)
        item.done()
        if alias in aliases:
            message = f"{alias} is in this object twice; remove one of them"
            spec.report.refuse(item.path("name"), Reason.DUPLICATE_ALIAS, message)
        elif alias is not None and value is not None:
            aliases[alias] = value
    spec.done()
    return Community(name, aliases, namespace, labels)


def _read_alias(fields: Fields) -> str | None:
    alias = fields.required("name", "what advertisements call this community")
    if alias is not None and not is_alias(alias):
        message = f"{echo(alias)} has a colon, so it would be read as a community; use another name"
        fields.report.refuse(fields.path("name"), Reason.BAD_NAME, message)
    return alias


def _read_value(fields: Fields) -> CommunityValue | None:
    text = fields.required("value", "a community such as 64512:100 or large:64512:1:2")
    if text is None:
        return None
    try:
        return parse_community(text)
    except ValueError as error:
        fields.report.refuse(fields.path("value"), Reason.BAD_COMMUNITY, str(error))
        return None


__all__ = [
    "Community",
    "CommunityValue",
    "LargeCommunity",
    "community_text",
    "is_alias",
    "parse_community",
    "read_community",
]
