# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from vipcast.controller.latest_version import LatestVersions

KEY = ("web", "shop")


def item(version: int, uid: str = "u") -> dict[str, Any]:
    return {"metadata": {"namespace": "web", "name": "shop", "uid": uid, "resourceVersion": str(version)}}


def test_an_answer_counts_until_the_informer_has_caught_up() -> None:
    latest = LatestVersions()
    assert latest.get(KEY, item(9)) == item(9)
    latest.record(KEY, item(10))
    latest.record(KEY, item(11))
    assert latest.get(KEY, item(9)) == item(11)
    assert latest.get(KEY, item(10)) == item(11), "told of what we have changed since"
    assert latest.get(KEY, item(11)) == item(11)
    assert latest.get(KEY, item(9)) == item(9), "it is forgotten: informers do not go back"


def test_numbers_are_compared_not_texts() -> None:
    latest = LatestVersions()
    latest.record(KEY, item(100))
    assert latest.get(KEY, item(99)) == item(100)


def test_an_answer_that_comes_after_a_newer_change_or_after_the_end_is_not_believed() -> None:
    latest = LatestVersions()
    latest.record(KEY, item(10))
    assert latest.get(KEY, item(12)) == item(12)
    latest.record(KEY, item(11))
    assert latest.get(KEY, item(12)) == item(12)
    latest.record(KEY, item(13))
    assert latest.get(KEY, None) is None, "deleted"
    assert latest.get(KEY, item(20, "another")) == item(20, "another")
