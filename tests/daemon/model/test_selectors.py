# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipcast.model.fields import Fields
from vipcast.model.problems import ObjectRef, Report
from vipcast.model.selectors import Operator, Requirement, Selector, disjoint, read_selectors

IN, NOT_IN, EXISTS, ABSENT = Operator.IN, Operator.NOT_IN, Operator.EXISTS, Operator.DOES_NOT_EXIST


def need(key: str, operator: Operator, *values: str) -> Requirement:
    return Requirement(key, operator, frozenset(values))


@pytest.mark.parametrize(
    ("requirement", "labels", "expected"),
    [
        (need("a", IN, "x", "y"), {"a": "x"}, True),
        (need("a", IN, "x"), {"a": "z"}, False),
        (need("a", IN, "x"), {}, False),
        (need("a", NOT_IN, "x"), {"a": "x"}, False),
        (need("a", NOT_IN, "x"), {"a": "z"}, True),
        (need("a", NOT_IN, "x"), {}, True),
        (need("a", EXISTS), {"a": ""}, True),
        (need("a", EXISTS), {"b": ""}, False),
        (need("a", ABSENT), {"b": ""}, True),
        (need("a", ABSENT), {"a": ""}, False),
    ],
)
def test_requirements_are_met_as_in_kubernetes(
    requirement: Requirement, labels: dict[str, str], expected: bool
) -> None:
    assert requirement.matches(labels) is expected


def test_an_empty_selector_selects_everything() -> None:
    assert Selector().matches({}) and Selector().matches({"a": "b"})


REQUIREMENTS = st.one_of(
    st.builds(
        lambda key, operator, values: Requirement(key, operator, frozenset(values)),
        st.sampled_from("ab"),
        st.sampled_from([IN, NOT_IN]),
        st.sets(st.sampled_from("xyz"), min_size=1),
    ),
    st.builds(Requirement, st.sampled_from("ab"), st.sampled_from([EXISTS, ABSENT])),
)
SELECTORS = st.lists(
    st.lists(REQUIREMENTS, max_size=3).map(lambda items: Selector(tuple(items))), max_size=2
).map(tuple)
LABELS = st.dictionaries(st.sampled_from("ab"), st.sampled_from("wxyz"))


@given(SELECTORS, SELECTORS, LABELS)
def test_what_is_called_disjoint_never_selects_the_same(some: Any, others: Any, labels: Any) -> None:
    def selects(selectors: tuple[Selector, ...]) -> bool:
        return not selectors or any(selector.matches(labels) for selector in selectors)

    if disjoint(some, others):
        assert not (selects(some) and selects(others))


def read(*selectors: Any) -> tuple[tuple[Selector, ...], list[str]]:
    report = Report(ObjectRef("Test", "", "test"))
    found = read_selectors(Fields({"nodeSelectors": list(selectors)}, "spec", report), "nodeSelectors")
    return found, [f"{problem.field} {problem.message}" for problem in report.problems]


def test_labels_and_expressions_are_one_list_of_requirements() -> None:
    expression = {"key": "zone", "operator": "NotIn", "values": ["a"]}
    [selector], problems = read({"matchLabels": {"rack": "1"}, "matchExpressions": [expression]})
    assert selector.requirements == (need("rack", IN, "1"), need("zone", NOT_IN, "a"))
    assert problems == []


@pytest.mark.parametrize(
    ("selector", "path", "message"),
    [
        ({"matchLabel": {}}, "spec.nodeSelectors[0].matchLabel", "did you mean matchLabels?"),
        ({"matchLabels": {"a": 1}}, "spec.nodeSelectors[0].matchLabels.a", "should be a string"),
        (
            {"matchExpressions": [{"key": "a", "operator": "Is"}]},
            "spec.nodeSelectors[0].matchExpressions[0].operator",
            "should be one of In, NotIn",
        ),
        (
            {"matchExpressions": [{"key": "a", "operator": "In"}]},
            "spec.nodeSelectors[0].matchExpressions[0].values",
            "are needed",
        ),
        (
            {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]},
            "spec.nodeSelectors[0].matchExpressions[0].values",
            "remove them",
        ),
        (
            {"matchExpressions": [{"operator": "Exists"}]},
            "spec.nodeSelectors[0].matchExpressions[0].key",
            "is required",
        ),
    ],
)
def test_a_wrong_selector_is_named_with_its_path(selector: Any, path: str, message: str) -> None:
    _selector, [problem] = read(selector)
    assert problem.startswith(path + " ") and message in problem
