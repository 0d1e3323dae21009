# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the configuration's kinds, as people write them into an inventory: checked by name and type.

**PRIVATE** to the collection. `_cluster/kinds.py` has the table. Values are judged by `model`, when they have
become objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._cluster.kinds import SELECTOR, Option, Schema, fields_of
from ..model.fields import Fields
from ..model.problems import ObjectRef, Report
from ..model.selectors import Selector, read_selectors
from .values import (
    DeclarationError,
    Place,
    Refusal,
    as_bool,
    as_integer,
    as_list,
    as_name,
    as_text,
    known_keys,
    nearest,
)

# The API has 64 bits for whole numbers that nothing else bounds.
_INT64 = (-(2**63), 2**63 - 1)


def read_named(
    item: Any, schema: Schema, place: Place, *, required: Sequence[str] = (), without: Sequence[str] = ()
) -> dict[str, Any]:
    """An item of a list of objects: name, labels and the kind's options but for those `without`.

    Keys are the options' own names; what is not said is not there.
    """
    options = [option for option in schema.options if option.name not in without]
    found = read_options(item, options, place, more=("name", "labels"), required=("name", *required))
    found["name"] = as_name(item["name"], place.key("name"))
    if item.get("labels") is not None:
        found["labels"] = as_labels(item["labels"], place.key("labels"))
    return found


def read_options(
    item: Any,
    options: Sequence[Option],
    place: Place,
    *,
    more: tuple[str, ...] = (),
    required: tuple[str, ...] = (),
) -> dict[str, Any]:
    """A dictionary of options, under their own names. `more` are keys that somebody else reads."""
    known = {name: option for option in options for name in option.names}
    needed = [option.name for option in options if option.required]
    spoken = item if isinstance(item, Mapping) else {}
    # An option may be said by its other name.
    missing = [name for name in (*required, *needed) if not _said(spoken, known.get(name), name)]
    known_keys(item, (*more, *known), tuple(missing), place)
    found: dict[str, Any] = {}
    for key, value in item.items():
        option = known.get(key)
        if option is None or value is None:
            continue
        if option.name in found:
            why = f"it is said twice, as {' and as '.join(option.names)}; remove one"
            raise DeclarationError(Refusal.DUPLICATE, place.key(str(key)), why)
        found[option.name] = _value(value, option, place.key(str(key)))
    return found


def _said(item: Mapping[str, Any], option: Option | None, name: str) -> bool:
    return any(item.get(key) is not None for key in (option.names if option else (name,)))


def _value(value: Any, option: Option, place: Place) -> Any:
    if option.type == "list":
        return [_item(each, option, place.at(index)) for index, each in enumerate(as_list(value, place))]
    if option.type == "dict":
        return read_options(value, option.options, place) if option.options else as_labels(value, place)
    if option.type == "bool":
        return as_bool(value, place)
    if option.type == "int":
        return as_integer(value, place, *(option.bounds or _INT64))
    return _text(value, option, place)


def _item(value: Any, option: Option, place: Place) -> Any:
    return read_options(value, option.options, place) if option.options else as_text(value, place)


def _text(value: Any, option: Option, place: Place) -> str:
    if option.duration and isinstance(value, int) and not isinstance(value, bool):
        return f"{int(value)}s"
    text = as_text(value, place, secret=option.secret)
    if option.choices and text not in option.choices:
        why = f"{text!r} is not one of them; {nearest(text, option.choices)}"
        raise DeclarationError(Refusal.OUT_OF_RANGE, place, why)
    return text


def as_labels(value: Any, place: Place) -> dict[str, str]:
    """Labels with their values, which are texts in Kubernetes: `rack: "2"`."""
    if not isinstance(value, Mapping):
        why = f"{value!r} should be a dictionary of labels, such as {{rack: '2'}}"
        raise DeclarationError(Refusal.WRONG_TYPE, place, why)
    return {"".join(str(key)): as_text(each, place.key(str(key))) for key, each in value.items()}


def selectors(items: Sequence[Mapping[str, Any]], place: Place) -> tuple[Selector, ...]:
    """Selectors that can be asked, judged as the load balancer judges them."""
    report = Report(ObjectRef("selector", "", ""))
    fields = Fields({"selectors": [fields_of(SELECTOR, item) for item in items]}, "", report)
    found = read_selectors(fields, "selectors")
    if report.problems:
        problem = report.problems[0]
        where = problem.field.replace("selectors", "", 1)
        raise DeclarationError(Refusal.WRONG_TYPE, place, f"{where} {problem.message}".strip())
    return found
