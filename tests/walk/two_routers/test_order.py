# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout changes one router after the other, and none after one that failed or is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from support.lab import Lab, eventually
from support.outage import reachable

pytestmark = pytest.mark.timeout(600)
HASH = "net.ipv4.fib_multipath_hash_policy"
# What happens to the first router as soon as one setting was changed, and the rollout's exit status.
FATES = {
    "fails": ("systemctl stop frr; sleep 6; systemctl start frr", 2),
    "is gone": ("systemctl stop ssh; pkill -KILL -x sshd; sleep 6; systemctl start ssh", 4),
}


@pytest.fixture
def drifted(lab: Lab, whole: Callable[[], None]) -> Iterator[None]:
    """Change one setting of both routers, and repair it afterwards."""
    for router in lab.group("routers"):
        lab.run(router, f"sysctl -qw {HASH}=0")
    yield
    for router in lab.group("routers"):
        assert eventually(lambda host=router: reachable(lab, host), timeout=60), router
    lab.playbook("site").expect()
    whole()


def hash_policy(lab: Lab, router: str) -> int:
    """Return how the router's kernel chooses among next hops."""
    return int(lab.run(router, f"sysctl -n {HASH}"))


def when_changed(lab: Lab, router: str, command: str) -> None:
    """Let the router do something as soon as its setting is changed; it watches for five minutes."""
    same = f"[ $(sysctl -n {HASH}) = 0 ]"
    watch = f"for i in $(seq 6000); do {same} || break; sleep 0.05; done; {same} && exit 1; {command}"
    lab.run(router, f"systemd-run --quiet --collect --unit=fate bash -c '{watch}'")


@pytest.mark.usefixtures("drifted")
@pytest.mark.parametrize(("fate", "status"), FATES.values(), ids=FATES)
def test_where_the_first_router(lab: Lab, first: str, second: str, fate: str, status: int) -> None:
    when_changed(lab, first, fate)
    run = lab.playbook("site").expect(status)
    assert hash_policy(lab, second) == 0, "the second router was changed after the first was lost"
    assert run.recap[second]["changed"] == 0
    assert "TASK [vipcast.baremetal.verify" not in run.output, "a rollout that stopped has nothing to prove"
    assert eventually(lambda: reachable(lab, first), timeout=60)
    assert hash_policy(lab, first) == 1
