# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens when something could not be written."""

from __future__ import annotations

from vipcast.controller.metrics import Metrics
from vipcast.daemon.log import log_for
from vipcast.k8s import ApiError, Key

__all__ = ["is_over"]

_log = log_for("controller")


def is_over(error: Exception, kind: str, key: Key, metrics: Metrics) -> bool:
    """Whether nothing is left to do. A conflict is no fault: the next try is made with what is new."""
    if isinstance(error, ApiError) and error.status == 404:
        return True
    if not (isinstance(error, ApiError) and error.status == 409):
        metrics.errors.inc()
        _log.warning("write_failed", kind=kind, object="/".join(filter(None, key)), why=str(error))
    return False
