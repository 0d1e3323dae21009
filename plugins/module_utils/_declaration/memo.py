# SPDX-License-Identifier: GPL-3.0-or-later
"""The declaration remembered within one task.

**PRIVATE** to the collection. A role's variables refer to the declaration dozens of times, and reading it
templates the variables of every host. Ansible runs each task of each host in a process of its own, forked
from the one that knows what earlier tasks have set: within such a process the hosts' variables do not change,
so the first answer is the last. In any other process nothing is remembered.
"""

from __future__ import annotations

import copy
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .inventory import GROUPS

Groups = Mapping[str, Sequence[str]]
Read = Callable[[Mapping[str, Any], Groups], "dict[str, Any]"]


class Memo:
    """The last answer, and what it was asked for."""

    def __init__(self) -> None:
        self._hostvars: Mapping[str, Any] | None = None
        self._hosts: list[list[str]] = []
        self._answer: dict[str, Any] = {}

    def answer(self, hostvars: Mapping[str, Any], groups: Groups, read: Read) -> dict[str, Any]:
        """Return what `read` says, or said before; the caller may change it."""
        hosts = [list(groups.get(name, ())) for name in GROUPS]
        if self._hostvars is not hostvars or self._hosts != hosts:
            self._answer = read(hostvars, groups)
            self._hostvars, self._hosts = hostvars, hosts
        return copy.deepcopy(self._answer)


_MEMO = Memo()


def remembered(hostvars: Mapping[str, Any], groups: Groups, read: Read) -> dict[str, Any]:
    """Return what `read` says of these hosts; it is asked once for each task."""
    if multiprocessing.parent_process() is None:
        return read(hostvars, groups)
    return _MEMO.answer(hostvars, groups, read)
