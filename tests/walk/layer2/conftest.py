# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of a walk through the lab at layer 2; then the lab is as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.lab import Lab, eventually
from support.owners import DEMO, VIP, answering, read_macs
from support.web import PLACE, SERVICE, WEB, apply, deployment, service


@pytest.fixture(scope="module")
def macs(lab: Lab) -> dict[str, str]:
    return read_macs(lab)


@pytest.fixture(scope="module", autouse=True)
def shop(lab: Lab) -> Iterator[None]:
    """The document's service, and the demonstration's with other addresses."""
    wish = f"metallb.io/loadBalancerIPs={DEMO[4]},{DEMO[6]}"
    lab.kubectl("annotate", "service", "web-1", "-n", "demo", "--overwrite", wish)
    place = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PLACE}}
    apply(lab, place, deployment(lab), service())
    lab.kubectl("rollout", "status", "-n", PLACE, f"deployment/{WEB}", "--timeout=120s")
    assert eventually(lambda: lab.address(SERVICE, PLACE) == VIP, timeout=30)
    assert eventually(lambda: all(len(answering(lab, one)) == 1 for one in (VIP, *DEMO.values())), timeout=30)
    yield
    lab.kubectl("delete", "namespace", PLACE, "--wait=true")
    lab.kubectl("annotate", "service", "web-1", "-n", "demo", "metallb.io/loadBalancerIPs-")
