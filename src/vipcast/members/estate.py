# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is passed on when one process of a node gives way to the next: JSON."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from vipcast.members.entries import Key, Value, read, write
from vipcast.members.link import Link

VERSION = 1
_LINK = ("mine", "theirs", "life", "number", "highest", "seen", "asked", "asks")


def write_link(link: Link) -> dict[str, int]:
    return {field: getattr(link, field) for field in _LINK}


def read_link(link: Link, written: object, now: float) -> None:
    """Whoever was known counts as heard now: nobody could be heard while nobody listened."""
    if not isinstance(written, Mapping):
        raise ValueError(f"link to {link.name}: a table would be right")
    for field in _LINK:
        setattr(link, field, _number(written.get(field)))
    link.told_all = link.known
    if link.known:
        link.heard_at = link.acknowledged_at = link.received_at = now


def write_entries(entries: Iterable[tuple[Key, Value]]) -> str:
    return b64encode(b"".join(write(key, value) for key, value in entries)).decode()


def read_entries(written: object) -> list[tuple[Key, Value]]:
    if not isinstance(written, str):
        raise ValueError("entries: text in base 64 would be right")
    return read(b64decode(written, validate=True))


def read_head(estate: Mapping[str, Any], name: str) -> tuple[int, int]:
    """Life and number. ValueError for what is no estate, or not of this node."""
    if estate.get("version") != VERSION:
        raise ValueError(f"estate of version {estate.get('version')!r}: {VERSION} would be right")
    if estate.get("name") != name:
        raise ValueError(f"estate of {estate.get('name')!r}: this is {name}")
    return _number(estate.get("life")), _number(estate.get("number"))


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 64:
        raise ValueError(f"{value!r}: a number of 64 bits would be right")
    return value
