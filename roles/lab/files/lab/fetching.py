# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch files over HTTP: resumed after a cut, checked by SHA-256, given up where the server is too slow.

Every way to fail is a LabError whose text begins with the address.
"""

from __future__ import annotations

import hashlib
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError

from shell import LabError

CHUNK = 1 << 16
# Files of checksums are small; whatever is larger is none.
SMALL = 1 << 20


class CutOffError(LabError):
    """The connection ended before the file did."""


@dataclass(frozen=True)
class Patience:
    """The time limits for a server.

    `connect` are the seconds for a small file; `silence` those in which a large one has to go on; `rate` are
    the bytes per second that it must reach on average within each `window` of seconds (0: any rate will do);
    `attempts` is how many connections one file may take.
    """

    connect: float = 5.0
    silence: float = 10.0
    window: float = 20.0
    rate: int = 250_000
    attempts: int = 3


def small(url: str, patience: Patience) -> str:
    """Return a small file's text."""
    return _within(patience.connect, url, lambda: _read(url, patience))


def large(url: str, sha256: str, partial: Path, patience: Patience) -> None:
    """Fetch a file into `partial`; what an earlier attempt left there is gone on with."""
    resumed = partial.exists()
    _complete(url, partial, patience)
    found = _sha256(partial)
    if found == sha256:
        return
    partial.unlink()
    if not resumed:
        raise LabError(f"{url}: its SHA-256 is {found}, published is {sha256}; the file was removed")
    large(url, sha256, partial, patience)


def _read(url: str, patience: Patience) -> str:
    answer = _open(url, 0, patience.connect)
    if answer is None:
        raise LabError(f"{url}: the server refuses to send it")
    with answer:
        try:
            return answer.read(SMALL).decode()
        except (OSError, HTTPException, UnicodeDecodeError) as exc:
            raise LabError(f"{url}: {exc}") from exc


def _within(seconds: float, url: str, action: Callable[[], str]) -> str:
    """Return what `action` returns; a resolver that hangs is not waited for."""
    outcome: list[str | LabError] = []

    def attempt() -> None:
        try:
            outcome.append(action())
        except LabError as exc:
            outcome.append(exc)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise LabError(f"{url} cannot be reached: no answer within {seconds:.0f} s")
    if isinstance(outcome[0], LabError):
        raise outcome[0]
    return outcome[0]


def _complete(url: str, partial: Path, patience: Patience) -> None:
    for left in reversed(range(patience.attempts)):
        try:
            _append(url, partial, patience)
            return
        except CutOffError as exc:
            if not left:
                raise LabError(f"{exc} ({patience.attempts} attempts)") from exc


def _append(url: str, partial: Path, patience: Patience) -> None:
    """Fetch what is missing behind the end of `partial`, or all where the server sends all."""
    have = partial.stat().st_size if partial.exists() else 0
    answer = _open(url, have, patience.silence)
    if answer is None:  # nothing is missing
        return
    with answer:
        have = have if answer.status == 206 else 0
        total = have + int(answer.headers.get("Content-Length") or 0)
        with partial.open("ab" if have else "wb") as file:
            for chunk in _chunks(url, answer, patience):
                file.write(chunk)
                have += len(chunk)
    if have < total:
        raise CutOffError(f"{url}: the connection ended after {have} of {total} bytes")


def _chunks(url: str, answer: HTTPResponse, patience: Patience) -> Iterator[bytes]:
    begin, got = time.monotonic(), 0
    while chunk := _chunk(url, answer):
        yield chunk
        got += len(chunk)
        passed = time.monotonic() - begin
        if passed >= patience.window:
            if got < patience.rate * passed:
                rates = f"{got / passed / 1000:.0f} kB/s, less than {patience.rate / 1000:.0f} kB/s"
                raise LabError(f"{url}: too slow, {rates}")
            begin, got = time.monotonic(), 0


def _chunk(url: str, answer: HTTPResponse) -> bytes:
    try:
        return answer.read1(CHUNK)
    except (OSError, HTTPException) as exc:
        raise CutOffError(f"{url}: {exc}") from exc


def _open(url: str, start: int, timeout: float) -> HTTPResponse | None:
    """Ask for a file from byte `start` on; None where it ends there."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        answer: HTTPResponse = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=timeout
        )
    except HTTPError as exc:
        if exc.code == 416:
            return None
        text = "there is no such file" if exc.code == 404 else f"the server says {exc.reason}"
        raise LabError(f"{url}: {text} ({exc.code})") from exc
    except (OSError, HTTPException, ValueError) as exc:
        reason = exc.reason if isinstance(exc, URLError) else exc
        raise LabError(f"{url} cannot be reached: {reason}") from exc
    return answer


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
