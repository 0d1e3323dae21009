# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the node's service proxy how it is (kube-proxy's healthzBindAddress), every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

from vipcast.daemon.log import log_for
from vipcast.daemon.options import DATA_PLANE_AUTO
from vipcast.speaker.data_plane import Answer, Judgement

__all__ = ["DataPlaneWatch", "ask"]

KUBE_PROXY = "http://127.0.0.1:10256/healthz"
INTERVAL_SECONDS, TIMEOUT_SECONDS = 5.0, 2.0
_LINE = 1024  # octets of an answer's first line, which is all that is read
_REQUEST = "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n"

_log = log_for("speaker")


class DataPlaneWatch:
    """The watch. `where`: a URL, whose answer is demanded, or `auto`. `on_change`: `problem` is another."""

    def __init__(self, where: str, *, on_change: Callable[[], None]) -> None:
        auto = where == DATA_PLANE_AUTO
        self._url = KUBE_PROXY if auto else where
        self._judgement = Judgement(demanded=not auto)
        self._on_change = on_change

    @property
    def problem(self) -> str | None:
        """Return why nothing should be announced from this node."""
        return self._judgement.problem

    async def run(self) -> None:
        """Ask until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            before = self.problem
            self._judgement.hear(await ask(self._url), loop.time())
            if self.problem != before:
                _log.warning("data_plane", problem=self.problem, url=self._url)
                self._on_change()
            await asyncio.sleep(INTERVAL_SECONDS)


async def ask(url: str) -> Answer:
    """Ask one question; never an exception of the network's."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            status = await _status(parts.hostname or "", parts.port or 80, parts.path or "/", parts.netloc)
    except TimeoutError:
        return Answer.SILENT
    except (OSError, UnicodeError):  # the second: a name that can be nobody's
        return Answer.ABSENT
    return Answer.WORKS if status == b"200" else Answer.FAILS


async def _status(host: str, port: int, path: str, name: str) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, limit=_LINE)
    try:
        writer.write(_REQUEST.format(path, name).encode())
        words = (await reader.readline()).split()
    except ValueError:  # a line that is longer
        words = []
    finally:
        writer.close()
    return words[1] if len(words) > 1 and words[0].startswith(b"HTTP/") else b""
