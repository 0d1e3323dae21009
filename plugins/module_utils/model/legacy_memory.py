# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remember MetalLB's old ConfigMap in the status of the controller's ConfigurationState.

A ConfigMap has no status. So what is in force of it is written down there, and whoever starts while its text
has a mistake knows what was in force. Peers with a password are left out: others may read that object than
may read the ConfigMap.

    {"uid": "...", "entries": [{"section": "address-pools", "name": "default", "path": "address-pools[0]",
     "objects": [{"manifest": {...}, "place": ""}, ...]}, ...]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .legacy_objects import Conversion, Entry
from .objects import VERSIONS
from .problems import ObjectRef

MAX_LENGTH = 256 * 1024  # characters; an object of the API has at most about 1.5 MB

Json = Mapping[str, Any]


def remember(conversion: Conversion) -> dict[str, Any] | None:
    """Return what is to be remembered, or None where there is nothing or too much of it."""
    entries = [_entry(each) for each in conversion.entries if not _is_secret(each)]
    found = {"uid": conversion.uid, "entries": entries}
    return found if entries and len(json.dumps(found)) <= MAX_LENGTH else None


def recall(ref: ObjectRef, uid: str, said: Any) -> Conversion | None:
    """Return what was in force of the ConfigMap with this uid; what can not be read is forgotten."""
    if not isinstance(said, Mapping) or not uid or said.get("uid") != uid:
        return None
    entries = said.get("entries")
    try:
        read = [_read(each) for each in entries] if isinstance(entries, list) else []
    except (KeyError, TypeError):
        return None
    return Conversion(ref, tuple(read), uid=uid) if read else None


def _is_secret(entry: Entry) -> bool:
    return any("password" in item["spec"] for item, _place in entry.objects)


def _entry(entry: Entry) -> dict[str, Any]:
    objects = [{"manifest": item, "place": place} for item, place in entry.objects]
    return {"section": entry.section, "name": entry.name, "path": entry.path, "objects": objects}


def _read(said: Json) -> Entry:
    objects = tuple((_manifest(each["manifest"]), _text(each["place"])) for each in said["objects"])
    return Entry(_text(said["section"]), _text(said["name"]), objects, _text(said["path"]))


def _manifest(said: Any) -> dict[str, Any]:
    if said["kind"] not in VERSIONS or not isinstance(said["spec"], Mapping):
        raise TypeError
    _text(said["metadata"]["name"])
    return dict(said)


def _text(said: Any) -> str:
    if not isinstance(said, str):
        raise TypeError
    return said


__all__ = ["MAX_LENGTH", "recall", "remember"]
