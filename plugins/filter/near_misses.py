# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `near_misses`: names that are none, but look very much like one."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

# Closer than router_password is to router_hostname: other people's variables may begin like ours.
CLOSE = 0.85


def near_misses(names: Iterable[str], known: Iterable[str]) -> list[dict[str, str]]:
    """Each name that is not known though one very like it is, with that one."""
    good = sorted({str(name) for name in known})
    found = ((str(name), difflib.get_close_matches(str(name), good, 1, CLOSE)) for name in names)
    return [{"name": name, "nearest": close[0]} for name, close in found if close and name not in good]


class FilterModule:
    """The class that ansible-core loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"near_misses": near_misses}
