# SPDX-License-Identifier: GPL-3.0-or-later
"""The latest that is known of each service: the informer's copy, or the API server's answer to our patch.

Watches are late. Whoever has patched a service twice knows more than the informer tells for a while, and must
not believe again what it tells about the time before: an address that was seen to be gone could be given
to another service while the first one shows it again.
"""

from __future__ import annotations

from typing import Any

from vipcast.k8s import Json, Key

__all__ = ["LatestVersions", "version"]


class LatestVersions:
    """Remembers answers for as long as the informer has not caught up with them."""

    def __init__(self) -> None:
        self._answers: dict[Key, dict[str, Any]] = {}

    def record(self, key: Key, item: Json) -> None:
        """The API server has answered a patch with the object as it is after it."""
        known = self._answers.get(key)
        if known is None or version(item) > version(known):
            self._answers[key] = item

    def get(self, key: Key, told: Json | None) -> Json | None:
        """The newer of the informer's copy and of what was answered; None if the service is gone."""
        answer = self._answers.get(key)
        if told is not None and answer is not None and version(answer) > version(told):
            return answer
        self._answers.pop(key, None)
        return told


def version(item: Json) -> int:
    """The object's resourceVersion as a number: of two versions of an object the newer one has the larger."""
    return int(item["metadata"]["resourceVersion"])
