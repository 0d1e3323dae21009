# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of ``make test`` and the parts of ``make test-all``: see docs/design/0019-testing.md."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Priority(Enum):
    """The priority of a stage; the value is the command that is put before the stage's own."""

    ALONE = ()
    BESIDE = ("nice", "-n", "10")
    FILLER = ("chrt", "--idle", "0")


@dataclass(frozen=True)
class Stage:
    """One command with what has to be done before it.

    Stages of the same lane never run at the same time. ``limit`` is the number of seconds after which the
    stage is ended and has failed; ``budget`` is the number that it should take on two cores with warm caches.
    A limit is several times the budget: it ends what hangs, also on a machine that computes at a third of the
    speed.
    """

    name: str
    command: tuple[str, ...]
    lane: str
    priority: Priority = Priority.ALONE
    needs: tuple[str, ...] = ()
    limit: int = 1200
    budget: int = 0


# What `make test` runs. The order is that in which stages of a lane begin.
TEST = (
    Stage("packages", ("make", "test-packages"), "packages", limit=600, budget=2),
    # On a clean machine the lab, which takes longest, waits for these: they go before what only fills gaps.
    Stage("build-api", ("make", "lab-build-api"), "build", Priority.BESIDE,
          ("packages",), limit=3000, budget=15),
    Stage("trees", ("make", "lab-trees"), "trees", Priority.BESIDE, ("packages",), limit=1800, budget=15),
    Stage("build", ("make", "lab-build"), "build", Priority.BESIDE, ("build-api",), limit=3000, budget=15),
    Stage("timed", ("make", "timed"), "machine", Priority.ALONE, ("packages",), limit=1800, budget=150),
    Stage("lint", ("make", "lint"), "filler", Priority.FILLER, limit=1800, budget=60),
    Stage("galaxy", ("make", "galaxy"), "filler", Priority.FILLER, limit=1800, budget=120),
    Stage("unit", ("make", "unit"), "filler", Priority.FILLER, limit=2400, budget=200),
    Stage("sanity", ("make", "sanity"), "filler", Priority.FILLER, limit=4000, budget=420),
    Stage("lab", ("make", "molecule", "SCENARIOS=default"), "machine", Priority.ALONE,
          ("timed", "build", "trees"), limit=4500, budget=1050),
    Stage("daemon", ("make", "daemon"), "beside", Priority.BESIDE,
          ("timed", "build"), limit=4000, budget=450),
    Stage("integration", ("make", "integration"), "beside", Priority.BESIDE,
          ("timed", "build"), limit=4000, budget=450),
)  # fmt: skip


def _one_by_one(*stages: tuple[str, tuple[str, ...], int]) -> tuple[Stage, ...]:
    return tuple(Stage(name, ("make", *words), "machine", limit=limit) for name, words, limit in stages)


# What `make test-all` runs besides, in parts of 80 minutes at most. The stages of a part run one by one.
PARTS = {
    # All five BGP routers, ten thousand random sequences, the features that a router is known to lack.
    "daemons": _one_by_one(
        ("timed", ("timed", "THOROUGH=yes"), 2400),
        ("daemon", ("daemon", "THOROUGH=yes"), 2400),
    ),
    "search": _one_by_one(
        ("search", ("search", "ROUNDS=3"), 2600),
        ("fuzz", ("fuzz", "SECONDS=30"), 2000),
    ),
    "topologies": _one_by_one(
        ("single-stack", ("molecule", "SCENARIOS=single-stack"), 900),
        ("dual-stack", ("molecule", "SCENARIOS=dual-stack"), 900),
        ("six-nodes", ("molecule", "SCENARIOS=six-nodes"), 900),
        ("two-routers", ("molecule", "SCENARIOS=two-routers"), 2000),
        ("openwrt", ("molecule", "SCENARIOS=openwrt"), 1200),
    ),
    "scenarios": _one_by_one(
        ("drift", ("molecule", "SCENARIOS=drift"), 1500),
        ("layer2", ("molecule", "SCENARIOS=layer2"), 1500),
        ("allocation", ("molecule", "SCENARIOS=allocation"), 1500),
    ),
    "ipvs": _one_by_one(("ipvs", ("molecule", "SCENARIOS=ipvs"), 4000)),
    "versions": _one_by_one(
        ("newer", ("test-versions", "VERSIONS=newer"), 1500),
        ("older", ("test-versions", "VERSIONS=older"), 2400),
        ("installed", ("installed",), 900),
        ("processors", ("processors",), 900),
    ),
    # The collection with each ansible-core that it is for.
    "ansible": _one_by_one(("ansible-versions", ("ansible-versions",), 4700)),
    "pythons": _one_by_one(
        ("pythons", ("pythons",), 4000),
        ("unit", ("unit", "PYTHONS=all"), 1500),
        ("sanity", ("sanity", "PYTHONS=all"), 1500),
    ),
    "benches": _one_by_one(("bench-once", ("bench-once",), 2400)),
}
