# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Label selectors, as in ``metav1.LabelSelector``: which nodes, pools or services are meant.

A selector's requirements must all be met; a list of selectors is met when one of them is. Who uses a list
decides what an empty one means (everything, for most of them).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from .fields import Fields
from .reasons import Reason
from .texts import echo


class Operator(Enum):
    """The operator of a requirement on a label."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


_WITH_VALUES = (Operator.IN, Operator.NOT_IN)


@dataclass(frozen=True)
class Requirement:
    """One condition on one label."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """``NotIn`` is met by an absent label too, as in Kubernetes."""
        present = self.key in labels
        if self.operator is Operator.IN:
            return present and labels[self.key] in self.values
        if self.operator is Operator.NOT_IN:
            return not present or labels[self.key] not in self.values
        return present is (self.operator is Operator.EXISTS)

    def excludes(self, other: Requirement) -> bool:
        """Return whether no labels whatever could meet both; False where that can not be told."""
        if self.key != other.key:
            return False
        pair = {self.operator, other.operator}
        if Operator.DOES_NOT_EXIST in pair:
            return bool(pair & {Operator.IN, Operator.EXISTS})
        if pair == {Operator.IN}:
            return not self.values & other.values
        if pair == {Operator.IN, Operator.NOT_IN}:
            inside, outside = (self, other) if self.operator is Operator.IN else (other, self)
            return inside.values <= outside.values
        return False


@dataclass(frozen=True)
class Selector:
    """All of its requirements; without any it selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether these labels are selected."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def excludes(self, other: Selector) -> bool:
        """Return whether the two can never select the same thing."""
        return any(mine.excludes(theirs) for mine in self.requirements for theirs in other.requirements)


def any_matches(selectors: Iterable[Selector], labels: Mapping[str, str]) -> bool:
    """Return whether one of the selectors selects; no selectors select nothing."""
    return any(selector.matches(labels) for selector in selectors)


def disjoint(some: tuple[Selector, ...], others: tuple[Selector, ...]) -> bool:
    """Return whether two lists, of which an empty one means everything, can never select the same thing."""
    if not some or not others:
        return False
    return all(mine.excludes(theirs) for mine in some for theirs in others)


def read_selectors(fields: Fields, name: str) -> tuple[Selector, ...]:
    """The list of selectors in a field."""
    return tuple(read_selector(item) for item in fields.mappings(name))


def read_selector(fields: Fields) -> Selector:
    """One selector."""
    labels = fields.string_map("matchLabels")
    equal = [Requirement(key, Operator.IN, frozenset((value,))) for key, value in sorted(labels.items())]
    written = [_read_requirement(item) for item in fields.mappings("matchExpressions")]
    fields.done()
    return Selector(tuple(equal) + tuple(item for item in written if item is not None))


def _read_requirement(fields: Fields) -> Requirement | None:
    key, word = fields.string("key"), fields.string("operator")
    values = frozenset(fields.strings("values"))
    fields.done()
    if key is None:
        fields.missing("key", "the name of a label")
        return None
    operator = _OPERATORS.get(word or "")
    if operator is None:
        message = f"is {echo(word)}, should be one of {', '.join(_OPERATORS)}"
        fields.report.refuse(fields.path("operator"), Reason.BAD_SELECTOR, message)
        return None
    if bool(values) is not (operator in _WITH_VALUES):
        message = (
            "are needed by In and NotIn" if not values else f"are not used by {operator.value}; remove them"
        )
        fields.report.refuse(fields.path("values"), Reason.BAD_SELECTOR, message)
        return None
    return Requirement(key, operator, values)


_OPERATORS = {operator.value: operator for operator in Operator}

__all__ = [
    "Operator",
    "Requirement",
    "Selector",
    "any_matches",
    "disjoint",
    "read_selector",
    "read_selectors",
]
