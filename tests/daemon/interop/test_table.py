# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import importlib
from pathlib import Path

from daemon.interop.features import CANNOT, TESTED, Feature
from daemon.interop.peers import PEERS
from daemon.interop.table import render, shown


def test_the_document_shows_what_was_run_with_which_version() -> None:
    assert shown() == render(), "write it anew: PYTHONPATH=src:tests python -m daemon.interop.table"


def test_every_feature_of_the_table_has_a_test() -> None:
    for path in Path(__file__).parent.glob("test_peer*.py"):
        importlib.import_module(f"daemon.interop.{path.stem}")
    assert set(Feature) == TESTED


def test_who_has_no_part_in_something_is_a_peer_of_the_suite() -> None:
    assert {name for _feature, name in CANNOT} <= set(PEERS)
