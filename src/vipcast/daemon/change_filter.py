# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell whether an object of the configuration means something else than before.

The controller writes counters and conditions into these objects all day, and every daemon hears of each. To
read thousands of ranges again takes long, so it is done only when something has changed that is read: the
`spec` (which `generation` counts), the labels, and of the status what is remembered of an earlier form.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from vipcast.k8s import Json, Key
from vipcast.model.objects import ACCEPTED

__all__ = ["ChangeFilter"]


class ChangeFilter:
    """The essence of each object as it was seen last, by kind and key."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Hashable, Key], tuple[Any, ...]] = {}

    def changed(self, kind: Hashable, key: Key, item: Json | None) -> bool:
        """Tell whether the object (None: it is gone) means something else than when it was seen last."""
        if item is None:
            return self._seen.pop((kind, key), None) is not None
        before, now = self._seen.get((kind, key)), _essence(item)
        self._seen[kind, key] = now
        return now != before


def _essence(item: Json) -> tuple[Any, ...]:
    metadata, status = item["metadata"], item.get("status") or {}
    generation = metadata.get("generation")
    what = generation if generation is not None else item.get("spec")
    conditions = status.get("conditions") or ()
    accepted: Json = next((each for each in conditions if each.get("type") == ACCEPTED), {})
    told = (accepted.get("status"), accepted.get("observedGeneration"))
    return metadata.get("uid"), what, metadata.get("labels"), status.get("inForce"), told
