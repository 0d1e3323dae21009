# SPDX-License-Identifier: GPL-3.0-or-later
"""The sequences of a thorough run are others each time, and can be had again."""

from __future__ import annotations

import pytest
from daemon import sequences


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (sequences.SEQUENCES, sequences.SEED):
        monkeypatch.delenv(name, raising=False)


def asked() -> dict[str, str]:
    environment: dict[str, str] = {}
    sequences.be_thorough(environment)
    return environment


def test_a_run_tries_the_same_thousand_each_time() -> None:
    assert (sequences.count(), sequences.seed()) == (1_000, 0)


def test_a_thorough_run_tries_ten_thousand_others() -> None:
    seeds = {asked()[sequences.SEED] for _run in range(5)}
    assert len(seeds) == 5
    assert asked()[sequences.SEQUENCES] == "10000"


def test_the_head_of_the_report_says_what_repeats_them(monkeypatch: pytest.MonkeyPatch) -> None:
    given = asked()
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert f"VIPCAST_SEED={given[sequences.SEED]}" in sequences.report()
    again = dict(given)
    sequences.be_thorough(again)
    assert again == given
