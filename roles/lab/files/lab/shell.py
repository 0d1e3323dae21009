# SPDX-License-Identifier: GPL-3.0-or-later
"""Run programs; say which one failed and what it said."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

# A command that has not ended by then never will: the longest (a host's Debian tree) takes about a minute.
LIMIT = 1200


class LabError(Exception):
    """The lab cannot do what it was asked; the text is for the person who asked."""


class CommandError(LabError):
    """A program failed; `said` is what it wrote about it."""

    def __init__(self, argv: tuple[str, ...], status: int, said: str) -> None:
        end = "\n".join(said.splitlines()[-15:])
        super().__init__(f"{' '.join(argv)}: exit status {status}: {end}")
        self.said = said


def run(*argv: str, stdin: str | None = None, check: bool = True, limit: float = LIMIT) -> str:
    """Standard output of a program. CommandError where it fails and `check` is set; `limit` is in seconds."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=limit, check=False)
    except FileNotFoundError as exc:
        raise LabError(f"{argv[0]} is not installed") from exc
    except subprocess.TimeoutExpired as exc:
        raise LabError(f"{' '.join(argv)}: no end after {limit} s") from exc
    if check and done.returncode != 0:
        raise CommandError(argv, done.returncode, (done.stderr or done.stdout).strip())
    return done.stdout


def each(action: Callable[[Any], T], items: Iterable[Any]) -> list[T]:
    """`action` of every item, all at once; the first failure is raised after all have ended."""
    with ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(action, items))
