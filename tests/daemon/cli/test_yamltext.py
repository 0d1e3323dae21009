# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML as the programs of a cluster read it."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vipcast.yamltext import NotYamlError, read_yaml


@pytest.fixture(scope="module", params=["C", "Python"], autouse=True)
def parser(request: pytest.FixtureRequest) -> Iterator[None]:
    """PyYAML's parser in C, which most installations have, and the other one."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "Python":
            patch.delattr(yaml, "CBaseLoader")
        yield


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("64512:10", "64512:10"),
        ("2026-01-01", "2026-01-01"),
        ("yes", "yes"),
        ("0123", "0123"),
        ("1e3", "1e3"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("1.5", "1.5"),
        ("90s", "90s"),
        ("'7'", "7"),
        ("7", 7),
        ("-7", -7),
        ("0", 0),
        ("true", True),
        ("False", False),
        ("'true'", "true"),
        ("~", None),
        ("null", None),
        ("''", ""),
        ("{a: , 1: b}", {"a": None, "1": "b"}),
        ("- a\n- [b, {c: d}]", ["a", ["b", {"c": "d"}]]),
        ("|\n a\n b\n", "a\nb\n"),
        ("{a: &x [1], b: *x}", {"a": [1], "b": [1]}),
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}", {"a": {"p": 1, "q": 2}, "b": {"p": 1, "q": 3}}),
    ],
)
def test_what_looks_like_text_is_text(text: str, value: Any) -> None:
    (found,) = read_yaml(text)
    assert (found, type(found)) == (value, type(value))


def test_documents_are_told_apart() -> None:
    assert read_yaml("---\na: 1\n---\n---\nb") == [{"a": 1}, None, "b"]
    assert read_yaml("# nothing\n") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "line "),
        ("a:\n\tb: 1", "line 2"),
        ("a: 1\na: 2", "line 2, column 1: a key is there twice"),
        ("&x [*x]", "aliases repeat too much"),
        ("{[a]: b}", "a key should be a word"),
        ("a: !!python/name:os.system x", "is not known here"),
        ("a: !!int x", "is not known here"),
        ("a: *nothing", "undefined alias"),
        ("a: \0", "character 4 is not allowed"),
        ('"\\UFFFFFFFF"', "escape"),
        ('"\\ud800"', "s"),
        ("[" * 5000, "in each other"),
        ("[" * 100_000, "in each other"),
        ("- " * 100_000, "in each other"),
        ("? " * 100_000, "a key should be a word"),
        ("".join(" " * depth + "a:\n" for depth in range(1500)), "in each other"),
        ("a: &x 1\nb: &x 2", "twice"),
        ("<<: 7", "<< wants a mapping"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, words: str) -> None:
    with pytest.raises(NotYamlError, match=r"^is not YAML|^has half") as caught:
        read_yaml(text)
    assert words in str(caught.value)


def test_copies_of_copies_end_before_the_memory_does() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(NotYamlError, match="aliases repeat too much"):
        read_yaml("\n".join(rows))


def test_the_text_is_never_shown() -> None:
    with pytest.raises(NotYamlError) as caught:
        read_yaml("peers:\n- password: s3cret: s3cret\n")
    assert "s3cret" not in str(caught.value)


def test_without_pyyaml_it_is_said_what_would_help(monkeypatch: pytest.MonkeyPatch) -> None:
    there = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "yaml":
            raise ImportError(name)
        return there(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(NotYamlError, match="pip install 'vipcast\\[cli\\]'"):
        read_yaml("a: 1")


@given(
    st.recursive(st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("ab: -\"'é"), st.lists)
)
def test_json_is_read_as_json(value: Any) -> None:
    assert read_yaml(json.dumps({"x": value})) == [{"x": value}]


@given(st.text("abc:-[]{}&*!|>'\"#%@`, \n\t?~<0\\Ux"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        json.dumps(read_yaml(text))
    except NotYamlError as error:
        assert str(error)
