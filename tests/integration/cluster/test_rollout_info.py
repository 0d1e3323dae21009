# SPDX-License-Identifier: GPL-3.0-or-later
"""The module rollout_info: pods that are waited for, that do not come up, and that cannot.

No controllers run beside this API server: the test says how far the pods are.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.apiserver import ApiServer

Json = dict[str, Any]
Far = Callable[..., None]
LABELS = {"app": "x"}
POD = {"containers": [{"name": "main", "image": "localhost/x:1"}]}
# Seconds without progress: a busy machine takes some for a step.
LIMIT = 6
WORKLOAD = {"kind": "DaemonSet", "name": "x"}


def patch(api: ApiServer, kind: str, name: str, status: Json, *where: str) -> None:
    text = json.dumps({"status": status})
    api.kubectl("patch", kind, name, *where, "--subresource=status", "--type=merge", "-p", text)


@pytest.fixture
def far(api_server: ApiServer, namespace: str) -> Far:
    """``far(available=..., updated=...)``: how far a DaemonSet of two pods is."""
    template = {"metadata": {"labels": LABELS}, "spec": POD}
    spec = {"selector": {"matchLabels": LABELS}, "template": template}
    metadata = {"name": "x", "namespace": namespace}
    api_server.apply({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec})

    def said(*, available: int = 2, updated: int = 2, generation: int = 1) -> None:
        counts = {"updatedNumberScheduled": updated, "numberAvailable": available, "numberReady": available}
        always = {"desiredNumberScheduled": 2, "currentNumberScheduled": 2, "numberMisscheduled": 0}
        status = {**counts, **always, "observedGeneration": generation}
        patch(api_server, "daemonset", "x", status, "-n", namespace)

    return said


@pytest.fixture
def dead(api_server: ApiServer, namespace: str) -> Iterator[str]:
    """A node that is not ready."""
    name = f"node-{namespace}"
    api_server.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    unknown = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
    patch(api_server, "node", name, {"conditions": [unknown]})
    yield name
    api_server.kubectl("delete", "node", name)


def add_pod(api: ApiServer, namespace: str, name: str, **spec: Any) -> None:
    metadata = {"name": name, "namespace": namespace, "labels": LABELS}
    api.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**POD, **spec}})


def test_pods_that_are_all_there_are_counted(call: Any, far: Far, namespace: str) -> None:
    far()
    found = call("rollout_info", namespace=namespace, timeout=0, check=True, **WORKLOAD)
    assert (found["desired"], found["available"], found["problems"]) == (2, 2, [])
    assert not found["changed"]


def test_a_pod_of_an_older_template_is_not_the_newest(call: Any, far: Far, namespace: str) -> None:
    far(updated=1)
    found = call("rollout_info", namespace=namespace, timeout=0, **WORKLOAD)
    assert found["failed"]
    assert "1 of 2 pods updated, 2 available, and nothing more for 0 s" in found["msg"]


def test_a_rollout_that_gets_on_has_as_long_as_it_takes(call: Any, far: Far, namespace: str) -> None:
    """Updates go from node to node: the time is for each step and not for all of them."""
    steps = [{"updated": updated, "available": available} for updated in range(3) for available in range(3)]
    far(**steps[0])
    begin = time.monotonic()
    with meanwhile(far, steps[1:]):
        found = call("rollout_info", namespace=namespace, timeout=LIMIT, **WORKLOAD)
    assert found.get("available") == 2, found
    assert time.monotonic() - begin > LIMIT


def test_pods_that_come_and_go_are_no_progress(call: Any, far: Far, namespace: str) -> None:
    far(updated=1, available=1)
    begin = time.monotonic()
    with meanwhile(far, [{"updated": 1, "available": number % 2} for number in range(9 * LIMIT)]):
        found = call("rollout_info", namespace=namespace, timeout=LIMIT, **WORKLOAD)
    assert "1 of 2 pods updated" in found["msg"]
    assert time.monotonic() - begin < 3 * LIMIT


@contextlib.contextmanager
def meanwhile(far: Far, steps: list[Json]) -> Iterator[None]:
    """Take a step each second, until the block is left."""
    left = threading.Event()

    def walk() -> None:
        for step in steps:
            if left.wait(1):
                return
            far(**step)

    walker = threading.Thread(target=walk)
    walker.start()
    try:
        yield
    finally:
        left.set()
        walker.join(30)


def test_a_status_of_an_older_generation_does_not_count(call: Any, far: Far, namespace: str) -> None:
    far(generation=0)
    found = call("rollout_info", namespace=namespace, timeout=0, **WORKLOAD)
    assert found["failed"]
    assert "does kube-controller-manager run?" in found["msg"]


def test_a_pod_that_does_not_come_up_is_named_with_its_reason(
    call: Any, api_server: ApiServer, far: Far, namespace: str
) -> None:
    far(available=1)
    add_pod(api_server, namespace, "x-abcde")
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}
    container = {"name": "main", "image": "x", "imageID": "", "ready": False, "restartCount": 3}
    status = {"containerStatuses": [{**container, "state": waiting}]}
    patch(api_server, "pod", "x-abcde", status, "-n", namespace)
    found = call("rollout_info", namespace=namespace, timeout=0, **WORKLOAD)
    assert found["failed"]
    assert found["problems"] == ["pod x-abcde: container main: CrashLoopBackOff: back-off 40s"]


def test_a_pod_on_a_node_that_is_not_ready_is_a_warning(
    call: Any, api_server: ApiServer, far: Far, namespace: str, dead: str
) -> None:
    far(available=1)
    add_pod(api_server, namespace, "x-fghij", nodeName=dead)
    found = call("rollout_info", namespace=namespace, timeout=60, **WORKLOAD)
    assert "failed" not in found, found
    assert (found["desired"], found["available"]) == (2, 1)
    assert found["problems"] == [f"pod x-fghij on {dead}: its node is not ready"]
    assert f"x-fghij on {dead}" in str(found["warnings"])


def test_a_workload_that_does_not_exist_is_named(call: Any, namespace: str) -> None:
    found = call("rollout_info", kind="Deployment", name="nothing", namespace=namespace, timeout=60)
    assert found["failed"]
    assert found["msg"] == f"Deployment/{namespace}/nothing: does not exist"
