# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The problems of a configuration, with object and field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .reasons import Effect, Reason
from .texts import MAX_MESSAGE, MAX_NAME, cut, echo, plain

MAX_PROBLEMS = 1000  # that are told of one object
_FATES = {
    Effect.REFUSED: "not in force",
    Effect.INEFFECTIVE: "without effect",
    Effect.DOUBTFUL: "in force",
}


@dataclass(frozen=True, order=True)
class ObjectRef:
    """A reference to an object of the API; in whichever version it is read, it is one object."""

    kind: str
    namespace: str
    name: str
    api_version: str = field(default="", compare=False)

    def __str__(self) -> str:
        """``IPAddressPool metallb-system/default``, as a person would say it."""
        kind, namespace, name = (_short(part, MAX_NAME) for part in (self.kind, self.namespace, self.name))
        return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong; ``field`` is a path such as ``spec.addresses[2]``."""

    object: ObjectRef
    field: str
    reason: Reason
    message: str
    effect: Effect

    def __str__(self) -> str:
        """One line for a log, an event or a terminal."""
        where = f"{self.object}: {self.field}" if self.field else f"{self.object}"
        return f"{where}: {self.message} [{self.reason.value}]"

    @property
    def note(self) -> str:
        """Return what an event on the object says; its reason is the problem's."""
        return f"{self.field}: {self.message} ({_FATES[self.effect]})"


class Report:
    """Collects the problems of one object; what is read from it is in force unless something was refused."""

    def __init__(self, ref: ObjectRef) -> None:
        self.ref = ref
        self.problems: list[Problem] = []

    @property
    def refused(self) -> bool:
        """Return whether the object as it is now can not be used."""
        return any(problem.effect is Effect.REFUSED for problem in self.problems)

    def refuse(self, field: str, reason: Reason, message: str) -> None:
        """The whole object is not in force because of this."""
        self._add(field, reason, message, Effect.REFUSED)

    def ignore(self, field: str, reason: Reason, message: str) -> None:
        """The object is in force, this field is not."""
        self._add(field, reason, message, Effect.INEFFECTIVE)

    def doubt(self, field: str, reason: Reason, message: str) -> None:
        """Report that object and field are in force, and are probably not what is meant."""
        self._add(field, reason, message, Effect.DOUBTFUL)

    def _add(self, field: str, reason: Reason, message: str, effect: Effect) -> None:
        """Add a problem, unless the object has many already: the first ones are enough.

        The first problem for which the object is refused is always added.
        """
        if len(self.problems) < MAX_PROBLEMS or (effect is Effect.REFUSED and not self.refused):
            where, what = _short(field, MAX_NAME), _short(message, MAX_MESSAGE)
            self.problems.append(Problem(self.ref, where, reason, what, effect))


def reference(item: Mapping[str, Any]) -> ObjectRef:
    """The reference of an object of the API, however incomplete the object is."""
    metadata = item.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    return ObjectRef(
        kind=_word(item.get("kind") or "?"),
        namespace=_word(metadata.get("namespace") or ""),
        name=_word(metadata.get("name") or "?"),
        api_version=_word(item.get("apiVersion") or ""),
    )


def _short(text: str, limit: int) -> str:
    """Cut a text that is too long before and after escaping, which makes ten characters of one."""
    return cut(plain(cut(text, limit)), limit)


def _word(value: Any) -> str:
    """Return a name, cut if it is very long; describe a value that is no text."""
    return cut(value, 2 * MAX_NAME) if isinstance(value, str) else echo(value)


__all__ = ["ObjectRef", "Problem", "Report", "reference"]
