# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab with a router like OpenWrt, and three services on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.lab import CHECKOUT, Lab, eventually

SERVICES = 3


@pytest.fixture(scope="session")
def lab() -> Lab:
    """Return the lab, which molecule has started, or a person."""
    return Lab(CHECKOUT / "inventories/lab-openwrt")


@pytest.fixture(scope="session")
def services(lab: Lab) -> Iterator[dict[str, str]]:
    """Return the addresses of three services."""
    lab.playbook("lab_services", lab_services=SERVICES).expect()
    names = [f"web-{number}" for number in range(1, SERVICES + 1)]
    assert eventually(lambda: all(lab.address(name) for name in names), timeout=30)
    yield {name: str(lab.address(name)) for name in names}
    lab.playbook("lab_services", lab_services=1).expect()
