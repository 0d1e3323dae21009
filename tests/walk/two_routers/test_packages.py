# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages that a router without FRR gets: those that are said, by its own package manager."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from support.lab import Lab

pytestmark = pytest.mark.timeout(600)
INSTALLED = "dpkg-query -f '${db:Status-Abbrev}' -W frr 2>/dev/null || true"


@pytest.fixture
def without(lab: Lab, second: str, whole: Callable[[], None]) -> Iterator[str]:
    """Take FRR off the second router, and have it back at the end."""
    lab.run(second, "DEBIAN_FRONTEND=noninteractive apt-get purge -qy frr", timeout=120)
    yield second
    lab.playbook("site").expect()
    whole()


def test_a_router_gets_the_packages_that_are_said(lab: Lab, first: str, without: str) -> None:
    failed = lab.playbook("site", router_packages=["no-such-frr"]).expect(2)
    assert "installing no-such-frr failed" in failed.output
    assert not lab.run(without, INSTALLED).startswith("ii")
    run = lab.playbook("site", router_packages=["frr"]).expect()
    assert lab.run(without, INSTALLED).strip() == "ii"
    assert run.changed.keys() == {without}, "a router that has FRR gets nothing"
