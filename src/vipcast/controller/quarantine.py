# SPDX-License-Identifier: GPL-3.0-or-later
"""The services that a takeover could not change (`fence`).

Nothing is decided for such a service until somebody changes it. What the last leader has sent names a version
of the service that was there when the takeover read it, or an older one. Any later version therefore is as
good as a change of ours, whoever made it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vipcast.k8s import Json, Key

__all__ = ["Quarantine", "Waiter"]


@dataclass(frozen=True, slots=True)
class Waiter:
    """A service without an address, as it was when the takeover read it."""

    uid: str
    version: str
    why: str = ""  # what the API server said when it could not be changed
    final: bool = False  # it would say the same again

    @classmethod
    def of(cls, item: Json) -> Waiter:
        """Make a waiter from the service as it is in the copy."""
        return cls(item["metadata"]["uid"], item["metadata"]["resourceVersion"])

    def is_like(self, item: Json | None) -> bool:
        """Tell whether nobody has changed the service since the takeover read it."""
        return item is not None and Waiter.of(item) == Waiter(self.uid, self.version)


class Quarantine:
    """The services that are set aside, and why."""

    def __init__(self, found: Mapping[Key, Waiter]) -> None:
        self._waiters = dict(found)

    def __len__(self) -> int:
        """Return the number of services that are set aside."""
        return len(self._waiters)

    @property
    def keys(self) -> list[Key]:
        """Return the keys of the services that are set aside."""
        return list(self._waiters)

    def waiter(self, key: Key) -> Waiter | None:
        """Return what is known of a service that is set aside; None for any other."""
        return self._waiters.get(key)

    def add(self, found: Mapping[Key, Waiter]) -> None:
        """Set more services aside."""
        self._waiters |= found

    def holds(self, key: Key, item: Json | None) -> bool:
        """Tell whether the service, as it is now, is set aside.

        A service that has changed or gone is not set aside any more.
        """
        waiter = self._waiters.get(key)
        if waiter is None:
            return False
        if waiter.is_like(item):
            return True
        del self._waiters[key]
        return False

    def why(self, most: int) -> dict[str, str]:
        """Return what the API server said of at most `most` services, by their names."""
        return {"/".join(key): waiter.why for key, waiter in list(self._waiters.items())[:most]}
