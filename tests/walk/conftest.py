# SPDX-License-Identifier: GPL-3.0-or-later
"""The walks run on a lab that is up and rolled out: molecule sees to that, or a person."""

from __future__ import annotations

import pytest
from support.lab import Lab


@pytest.fixture(scope="session")
def lab() -> Lab:
    return Lab()
