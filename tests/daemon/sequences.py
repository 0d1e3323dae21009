# SPDX-License-Identifier: GPL-3.0-or-later
"""The number of sequences of events that the properties of allocation try, by variables of the environment.

Each process of a run reads them, so they are set before the first one starts. Without them a run tries 1,000,
the same each time, so that it says the same of the same code twice. ``--thorough`` tries 10,000 that no run
has tried before; their seed is printed, and ``VIPCAST_SEED`` repeats them.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import MutableMapping

SEQUENCES, SEED = "VIPCAST_SEQUENCES", "VIPCAST_SEED"
_ENOUGH, _THOROUGH = 1_000, 10_000


def be_thorough(environment: MutableMapping[str, str] | None = None) -> None:
    """Ask for ten times as many, at random; what the caller has set stays."""
    environment = os.environ if environment is None else environment
    environment.setdefault(SEQUENCES, str(_THOROUGH))
    environment.setdefault(SEED, str(secrets.randbelow(2**32)))


def count() -> int:
    """Return how many sequences are tried."""
    return int(os.environ.get(SEQUENCES, str(_ENOUGH)))


def seed() -> int:
    """Return the number from which all of them follow."""
    return int(os.environ.get(SEED, "0"))


def report() -> str:
    """Return the line of a run's head that says how to repeat it."""
    return f"allocation: {count():,} sequences, {SEED}={seed()}"
