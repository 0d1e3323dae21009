# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state that is passed on when one process of a node gives way to the next: JSON.

Version 2 has entries of that version, and of each link the versions that its peer understands.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from vipcast.membership.entries import Entry, Key, Value
from vipcast.membership.peer_link import PeerLink
from vipcast.membership.versions import FIRST, SUPPORTED, codec
from vipcast.versions import read as read_versions

# The names in what is handed over, which other versions read too, and the attributes.
_LINK = {
    "mine": "mine",
    "theirs": "theirs",
    "life": "generation",
    "number": "number",
    "highest": "highest",
    "seen": "seen",
    "asked": "asked",
    "asks": "asks",
}


def write_link(link: PeerLink, version: int) -> dict[str, Any]:
    fields = {name: getattr(link, attribute) for name, attribute in _LINK.items()}
    return fields if version == FIRST else {**fields, "understands": link.understands}


def read_link(link: PeerLink, written: object, now: float) -> None:
    """Read a link.

    A peer that was known counts as heard now: nobody could be heard while nobody listened.
    """
    if not isinstance(written, Mapping):
        raise ValueError(f"link to {link.name}: a table would be right")
    for name, attribute in _LINK.items():
        setattr(link, attribute, _number(written.get(name)))
    if (versions := written.get("understands")) is not None:
        link.understand(read_versions(versions))
    link.told_all = link.known
    if link.known:
        link.heard_at = link.acknowledged_at = link.received_at = now


def write_entries(entries: Iterable[tuple[Key, Value]], version: int) -> str:
    write, _read = codec(version)
    return b64encode(b"".join(write(key, value) for key, value in entries)).decode()


def read_entries(written: object, version: int) -> list[Entry]:
    if not isinstance(written, str):
        raise ValueError("entries: text in base 64 would be right")
    _write, read = codec(version)
    return read(b64decode(written, validate=True)).entries


def read_head(exported: Mapping[str, Any], name: str) -> tuple[int, int, int]:
    """Version, generation and number. ValueError for what is no exported state, or not of this node."""
    version = exported.get("version")
    if not isinstance(version, int) or not SUPPORTED.least <= version <= SUPPORTED.most:
        raise ValueError(f"handed-over state of version {version!r}: {SUPPORTED} would be right")
    if exported.get("name") != name:
        raise ValueError(f"handed-over state of {exported.get('name')!r}: this is {name}")
    return version, _number(exported.get("life")), _number(exported.get("number"))


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 64:
        raise ValueError(f"{value!r}: a number of 64 bits would be right")
    return value
