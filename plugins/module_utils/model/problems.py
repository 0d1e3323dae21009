# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a configuration, in which object, in which field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .reasons import Effect, Reason


@dataclass(frozen=True, order=True)
class ObjectRef:
    """Which object of the API is meant; in whichever version it is read, it is one object."""

    kind: str
    namespace: str
    name: str
    api_version: str = field(default="", compare=False)

    def __str__(self) -> str:
        """``IPAddressPool metallb-system/default``, as a person would say it."""
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"


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
        """What an event on the object says; its reason is the problem's."""
        fate = "not in force" if self.effect is Effect.REFUSED else "without effect"
        return f"{self.field}: {self.message} ({fate})"


class Report:
    """Collects the problems of one object; what is read from it is in force unless something was refused."""

    def __init__(self, ref: ObjectRef) -> None:
        self.ref = ref
        self.problems: list[Problem] = []

    @property
    def refused(self) -> bool:
        """Whether the object as it is now can not be used."""
        return any(problem.effect is Effect.REFUSED for problem in self.problems)

    def refuse(self, field: str, reason: Reason, message: str) -> None:
        """The whole object is not in force because of this."""
        self.problems.append(Problem(self.ref, field, reason, message, Effect.REFUSED))

    def ignore(self, field: str, reason: Reason, message: str) -> None:
        """The object is in force, this field is not."""
        self.problems.append(Problem(self.ref, field, reason, message, Effect.INEFFECTIVE))


def reference(item: Mapping[str, Any]) -> ObjectRef:
    """The reference of an object of the API, however incomplete the object is."""
    metadata = item.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    return ObjectRef(
        kind=str(item.get("kind") or "?"),
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata.get("name") or "?"),
        api_version=str(item.get("apiVersion") or ""),
    )


__all__ = ["ObjectRef", "Problem", "Report", "reference"]
