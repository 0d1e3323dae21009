# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: everything of ours gone, everything of others kept, and a rollout from there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.lab import Lab
from support.removal import removed_and_back

pytestmark = pytest.mark.timeout(600)


def test_a_removal_leaves_nothing_and_a_rollout_restores_all(lab: Lab, whole: Callable[[], None]) -> None:
    removed_and_back(lab)
    whole()
