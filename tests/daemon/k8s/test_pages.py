# SPDX-License-Identifier: GPL-3.0-or-later
"""A list's answer in pieces: whatever the pieces, the objects are the same, and there is one at a time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipcast.k8s import UnreachableError, pages
from vipcast.k8s.pages import PAGE_BYTES, Page, PageTooLargeError, next_limit

Json = dict[str, Any]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
ITEMS = st.lists(
    st.dictionaries(TEXTS, VALUES, max_size=4).map(lambda item: item | {"metadata": {"name": "n"}}),
    max_size=6,
)
METADATA = {"resourceVersion": "7", "continue": "token"}


def answer(items: list[Json] | None, order: str = "first") -> Json:
    """Built-in types have their metadata before their items, others after them."""
    head = {"kind": "ServiceList", "apiVersion": "v1"}
    if order == "first":
        return {**head, "metadata": METADATA, "items": items}
    return {"apiVersion": "v1", "items": items, "kind": "ServiceList", "metadata": METADATA}


def read(content: bytes, sizes: list[int], **options: Any) -> Page:
    page, at = Page(lambda item: item, **options), 0
    for size in sizes:
        page.feed(content[at : at + size])
        at += size
    page.feed(content[at:])
    page.end()
    return page


@given(ITEMS, st.sampled_from(["first", "last"]), st.lists(st.integers(1, 40), max_size=60), st.booleans())
def test_pieces_of_any_size_make_the_same_objects(
    items: list[Json], order: str, sizes: list[int], spaced: bool
) -> None:
    document = answer(items, order)
    text = json.dumps(document, ensure_ascii=False, indent=1 if spaced else None)
    page = read(text.encode("utf-8"), sizes)
    expected = [{"kind": "Service" if order == "first" else "", "apiVersion": "v1", **item} for item in items]
    assert [{**item} for item in page.items] == expected
    assert page.envelope["metadata"] == METADATA


@pytest.mark.parametrize("items", [None, []])
def test_a_list_without_items(items: list[Json] | None) -> None:
    page = read(json.dumps(answer(items)).encode(), [])
    assert page.items == [] and page.envelope["metadata"]["resourceVersion"] == "7"


def test_each_object_is_slimmed_before_the_next_is_decoded() -> None:
    alive = 0

    def each(item: Json) -> Json:
        nonlocal alive
        alive += 1
        return {"metadata": item["metadata"]}

    content = json.dumps(
        answer([{"metadata": {"name": str(n)}, "x": "y" * 1000} for n in range(50)])
    ).encode()
    page = Page(each)
    page.feed(content[: len(content) // 2])
    assert 15 < alive < 30
    assert all("x" not in item for item in page.items)


@given(st.integers(2, 60))
def test_a_page_above_its_budget_says_how_many_fitted(fitting: int) -> None:
    items = [{"metadata": {"name": str(number)}, "pad": "x" * 500} for number in range(100)]
    content = json.dumps(answer(items)).encode()
    budget = len(json.dumps(answer(items[:fitting])).encode())
    with pytest.raises(PageTooLargeError) as refusal:
        read(content, [64] * (len(content) // 64), budget=budget)
    assert fitting - 1 <= refusal.value.fitted <= fitting
    # Asked for again with that limit it is within the budget.
    again = json.dumps(answer(items[: refusal.value.fitted])).encode()
    assert len(read(again, [64] * 10, budget=budget).items) == refusal.value.fitted


def test_one_object_of_any_size_is_read_and_the_work_for_it_is_linear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is looked at a few times, not once per piece: what JSON makes of 1.5 MiB of control characters."""
    looks: list[int] = []

    class Counting(json.JSONDecoder):
        def raw_decode(self, s: str, idx: int = 0) -> tuple[Any, int]:
            looks.append(len(s) - idx)
            return super().raw_decode(s, idx)

    monkeypatch.setattr(pages, "_DECODER", Counting())
    item = {"metadata": {"name": "big"}, "pad": "\x01" * (3 * 512 * 1024)}
    content = json.dumps(answer([item])).encode()
    assert len(content) > 9_000_000
    page = read(content, [65536] * (len(content) // 65536), budget=None)
    assert page.items[0]["pad"] == item["pad"]
    assert sum(looks) < 4 * len(content)


def test_what_is_larger_than_any_object_is_refused_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_ITEM", 10_000)
    page = Page(lambda item: item, budget=None)
    page.feed(b'{"metadata":{},"items":[{"x":"')
    with pytest.raises(UnreachableError, match="larger than 10000"):
        for _number in range(100):
            page.feed(b"y" * 1000)
    assert len(page._text) < 12_000


@pytest.mark.parametrize(
    "content",
    [
        b"<html>",
        b"[]",
        b'{"metadata":{},"items":[{"a":1}',
        b'{"metadata":{},"items":[{"a":1},,]}x',
        b'{"metadata":{},"items":["text"]}',
        b'{"metadata":{},"items":[nonsense]}',
        b'{"metadata" {}}',
        b"\xff\xfe",
        b"",
    ],
)
def test_what_is_no_list_is_refused(content: bytes) -> None:
    with pytest.raises(UnreachableError):
        read(content, [3, 3])


def test_pages_grow_again_where_there_is_room() -> None:
    assert next_limit(10, PAGE_BYTES // 4, 500) == 20
    assert next_limit(10, PAGE_BYTES // 2 + 1, 500) == 10
    assert next_limit(400, 10, 500) == 500
