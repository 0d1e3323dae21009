# SPDX-License-Identifier: GPL-3.0-or-later
"""The number of requests that meets everyone who should answer. **PRIVATE** to the collection."""

from __future__ import annotations

import math
from collections.abc import Sequence

# Fewer say nothing about latency or about errors that come now and then.
FEWEST = 10


def requests_to_meet(answerers: int, miss: float) -> int:
    """Requests after which each of so many equally likely answerers was met, but for probability `miss`."""
    return requests_for_share(1 / max(answerers, 1), max(answerers, 1), miss)


def requests_for_share(share: float, answerers: int, miss: float) -> int:
    """The same where the least likely one answers with probability `share`.

    n requests miss one of them with probability (1 - share)^n, any with at most `answerers` times that.
    """
    if not 0 < miss < 1:
        raise ValueError(
            f"the probability of missing one is {miss}; it has to be between 0 and 1, such as 0.0001"
        )
    if share >= 1:
        return FEWEST
    return max(FEWEST, math.ceil(math.log(miss / answerers) / math.log(1 - share)))


def percentile(values: Sequence[float], fraction: float) -> float | None:
    """The smallest value that this fraction of the values does not exceed (nearest rank); None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(fraction * len(values)) - 1)]
