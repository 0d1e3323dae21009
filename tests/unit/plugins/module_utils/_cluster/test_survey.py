# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a cluster, as its API server gives them."""

from __future__ import annotations

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.discovery import version_of


@pytest.mark.parametrize(
    ("major", "minor", "text", "found"),
    [
        ("1", "34", "v1.34.4", (1, 34)),
        ("1", "27+", "v1.27.3-gke.100", (1, 27)),
        ("", "", "v1.24.17", (1, 24)),
        ("1", "", "v1.24.17+k3s1", (1, 24)),
        ("", "", "devel", (0, 0)),
    ],
)
def test_the_version_is_read_though_its_numbers_are_not_there(
    major: str, minor: str, text: str, found: tuple[int, int]
) -> None:
    read = version_of({"major": major, "minor": minor, "gitVersion": text})
    assert (read["major"], read["minor"], read["text"]) == (*found, text)
