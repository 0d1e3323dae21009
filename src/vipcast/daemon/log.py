# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs: one JSON object per line on stderr, with ``ts``, ``level``, ``event`` (a fixed word) and fields.

{"ts":"2026-01-02T03:04:05.678Z","level":"info","event":"announced","service":"web/shop","peer":"tor-1"}
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

__all__ = ["LEVELS", "Log", "configure", "log_for"]

LEVELS = ("debug", "info", "warning", "error")


class JsonFormatter(logging.Formatter):
    """One line per record; a traceback becomes a field, not more lines."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, separators=(",", ":"), ensure_ascii=False)


class Log:
    """A logger whose messages are an event and its fields."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **fields: object) -> None:
        """Log what only somebody who looks for a fault needs."""
        self._logger.debug(event, extra={"fields": fields})

    def info(self, event: str, **fields: object) -> None:
        """Log that something changed."""
        self._logger.info(event, extra={"fields": fields})

    def warning(self, event: str, **fields: object) -> None:
        """Log that something is not as it was declared."""
        self._logger.warning(event, extra={"fields": fields})

    def error(self, event: str, error: BaseException | None = None, **fields: object) -> None:
        """We can't go on; with `error`, its traceback is a field."""
        self._logger.error(event, exc_info=error, extra={"fields": fields})


def log_for(name: str) -> Log:
    """The log of a part: ``log_for("speaker")``."""
    return Log(f"vipcast.{name}")


def configure(level: str) -> None:
    """Send everything from `level` on to stderr. Libraries' own chatter begins at warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("vipcast").setLevel(level.upper())
