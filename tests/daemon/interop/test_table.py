# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from daemon.interop.features import CANNOT, TESTED, Feature
from daemon.interop.peers import PEERS
from daemon.interop.table import features, shown, versions

ANEW = "write it anew: PYTHONPATH=src:tests python -m daemon.interop.table"


def test_the_document_shows_what_was_run() -> None:
    head, *others = shown().splitlines()
    assert others == features(), ANEW
    assert [column.split()[0] for column in head.split("|")[2:-1]] == list(PEERS), ANEW


@pytest.mark.thorough
def test_the_document_shows_the_versions_that_are_installed() -> None:
    """Another release of the system has others: only who writes the document needs these."""
    assert shown().splitlines()[0] == versions(), ANEW


def test_every_feature_of_the_table_has_a_test() -> None:
    for path in Path(__file__).parent.glob("test_peer*.py"):
        importlib.import_module(f"daemon.interop.{path.stem}")
    assert set(Feature) == TESTED


def test_who_has_no_part_in_something_is_a_peer_of_the_suite() -> None:
    assert {name for _feature, name in CANNOT} <= set(PEERS)
