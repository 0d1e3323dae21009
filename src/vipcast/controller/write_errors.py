# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of writes: which are retried, and what is said about them."""

from __future__ import annotations

from vipcast.controller.metrics import Metrics
from vipcast.daemon.log import log_for
from vipcast.k8s import ApiError, Key

__all__ = ["WriteErrors"]

_log = log_for("controller")
_Object = tuple[str, Key]  # its kind and key


class WriteErrors:
    """The objects that could not be written, and why. The log has each reason once, not once per try."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._known: dict[_Object, str] = {}

    def __len__(self) -> int:
        """Return the number of objects that could not be written."""
        return len(self._known)

    def written(self, kind: str, key: Key) -> None:
        """Forget an object that was written, or needs no writing any more."""
        self._known.pop((kind, key), None)

    def should_give_up(self, error: Exception, kind: str, key: Key) -> bool:
        """Tell whether nothing is left to do after this error; note the error if it is a fault.

        A conflict is no fault: the next try is made with what is new.
        """
        if isinstance(error, ApiError) and error.status == 404:
            self.written(kind, key)
            return True
        if not (isinstance(error, ApiError) and error.status == 409):
            self._metrics.errors.inc()
            self._note(str(error), kind, key)
        return False

    def refused(self, error: Exception, kind: str, key: Key) -> bool:
        """Tell whether the API server refuses this object for its own sake, and has not said so before."""
        passing = not isinstance(error, ApiError) or error.status in (404, 409, 429)
        return not passing and self._known.get((kind, key)) != _short(str(error))

    def why(self, most: int) -> dict[str, str]:
        """Return what the API server said of at most `most` of the objects, by their names."""
        return {
            f"{kind} {'/'.join(filter(None, key))}": why
            for (kind, key), why in list(self._known.items())[:most]
        }

    def _note(self, why: str, kind: str, key: Key) -> None:
        why = _short(why)
        if self._known.get((kind, key)) != why:
            self._known[kind, key] = why
            _log.warning("write_failed", kind=kind, object="/".join(filter(None, key)), why=why)


def _short(why: str) -> str:
    return why[:1024]
