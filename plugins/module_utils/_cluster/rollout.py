# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting until the pods of a Deployment or DaemonSet run what it says, and why they don't."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from .api import Api, ClusterError, Json
from .entries import title_of

COLLECTIONS = {"Deployment": "deployments", "DaemonSet": "daemonsets"}
POLL_SECONDS = 0.5
NOTHING = (-1, -1)
MAX_EVENTS = 3  # per object; the newest say why it is stuck now


class RolloutError(ClusterError):
    """Pods don't come up; the message has a line for each of them."""

    def __init__(self, headline: str, problems: t.Sequence[str]) -> None:
        super().__init__("\n- ".join([headline, *problems]))
        self.details = {"problems": list(problems)}


@dataclass(frozen=True)
class Progress:
    """The progress of a rollout: pods that should be, that are of the newest kind, and that are available."""

    desired: int
    updated: int
    available: int
    observed: bool
    leftover: int = 0

    @property
    def complete(self) -> bool:
        return self.replaced and self.available >= self.desired

    @property
    def way(self) -> tuple[int, int]:
        """Return how much is done: pods of the newest kind count first."""
        return (
            (min(self.updated, self.desired), min(self.available, self.desired)) if self.observed else NOTHING
        )

    @property
    def replaced(self) -> bool:
        """Return whether no pod of an older kind is left."""
        return self.observed and self.updated >= self.desired and not self.leftover


def progress_of(workload: Json) -> Progress:
    """Return what a Deployment's or DaemonSet's status says."""
    status, spec = workload.get("status") or {}, workload["spec"]
    observed = status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
    if workload["kind"] == "DaemonSet":
        desired, available = status.get("desiredNumberScheduled", 0), status.get("numberAvailable", 0)
        return Progress(desired, status.get("updatedNumberScheduled", 0), available, observed)
    updated = status.get("updatedReplicas", 0)
    desired, available = spec.get("replicas", 1), status.get("availableReplicas", 0)
    return Progress(desired, updated, available, observed, status.get("replicas", 0) - updated)


class Rollout:
    """One workload whose rollout is followed."""

    def __init__(self, api: Api, kind: str, namespace: str, name: str) -> None:
        self._api = api
        self.title = title_of(kind, namespace, name)
        self._kind, self._namespace, self._name = kind, namespace, name
        self._path = f"/apis/apps/v1/namespaces/{namespace}/{COLLECTIONS[kind]}/{name}"

    def read(self) -> Json:
        """The workload; raises ClusterError where there is none."""
        found = self._api.find(self._path)
        if found is None:
            raise ClusterError(f"{self.title}: does not exist")
        return dict(found, kind=self._kind)

    def wait(self, seconds: float) -> tuple[Progress, list[str]]:
        """Wait until all pods are replaced and available; returns how it went, and what was not waited for.

        `seconds` are those without progress: updates go from node to node, and a larger cluster takes longer.
        A pod on a node that is not ready cannot become available: it is not waited for. Raises RolloutError.
        """
        furthest, deadline = NOTHING, time.monotonic() + seconds
        while True:
            workload = self.read()
            progress = progress_of(workload)
            # Further than ever before: what comes and goes without end is no progress.
            if progress.way > furthest:
                furthest, deadline = progress.way, time.monotonic() + seconds
            if progress.complete:
                return progress, []
            if progress.replaced and not self._waited_for(workload):
                return progress, self._problems(workload)
            if time.monotonic() > deadline:
                raise self._failure(progress, workload, seconds)
            time.sleep(POLL_SECONDS)

    def _failure(self, progress: Progress, workload: Json, seconds: float) -> RolloutError:
        problems = self._problems(workload) or [_silence(progress)]
        have = f"{progress.updated} of {progress.desired} pods updated, {progress.available} available"
        return RolloutError(f"{self.title}: {have}, and nothing more for {seconds:.0f} s", problems)

    def _waited_for(self, workload: Json) -> list[Json]:
        """The pods that are not ready though their node is."""
        dead = self._dead_nodes()
        pods = [pod for pod in self._pods(workload) if not is_ready(pod)]
        return [pod for pod in pods if pod["spec"].get("nodeName") not in dead] if pods else [workload]

    def _problems(self, workload: Json) -> list[str]:
        dead = self._dead_nodes()
        problems = [pod_problem(pod, dead) for pod in self._pods(workload) if not is_ready(pod)]
        missing = [] if problems else self._events(self._kind, self._name)
        return [problem for problem in problems if problem] + missing

    def _dead_nodes(self) -> set[str]:
        nodes = self._api.get("/api/v1/nodes").get("items") or ()
        return {node["metadata"]["name"] for node in nodes if not is_ready(node)}

    def _pods(self, workload: Json) -> list[Json]:
        labels = workload["spec"]["selector"].get("matchLabels") or {}
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        listed = self._api.get(f"/api/v1/namespaces/{self._namespace}/pods", labelSelector=selector)
        return list(listed.get("items") or ())

    def _events(self, kind: str, name: str) -> list[str]:
        """The newest warnings about an object: why a controller makes no pods at all."""
        selector = f"involvedObject.kind={kind},involvedObject.name={name},type=Warning"
        listed = self._api.get(f"/api/v1/namespaces/{self._namespace}/events", fieldSelector=selector)
        found = sorted(listed.get("items") or (), key=lambda each: str(each.get("lastTimestamp") or ""))
        return [f"{each.get('reason')}: {each.get('message')}" for each in found[-MAX_EVENTS:]]


def _silence(progress: Progress) -> str:
    """Return what can be said when neither a pod nor an event says anything."""
    if not progress.observed:
        return "the cluster's controllers did not look at it yet: does kube-controller-manager run?"
    return "no pod and no event says why; kubectl describe may"


def is_ready(given: Json) -> bool:
    """Return whether a pod's or a node's condition Ready is true."""
    conditions = (given.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def pod_problem(pod: Json, dead_nodes: t.Container[str] = ()) -> str | None:
    """Return why a pod is not ready, in one line; None for one that is being deleted."""
    if pod["metadata"].get("deletionTimestamp"):
        return None
    node = pod["spec"].get("nodeName")
    title = f"pod {pod['metadata']['name']}" + (f" on {node}" if node else "")
    if node in dead_nodes:
        return f"{title}: its node is not ready"
    return f"{title}: {_reason(pod['status'])}"


def _reason(status: Json) -> str:
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for container in containers:
        reason = _container_reason(container)
        if reason:
            return f"container {container['name']}: {reason}"
    for condition in status.get("conditions") or ():
        if condition["status"] == "False" and condition.get("message"):
            return f"{condition.get('reason', condition['type'])}: {condition['message']}"
    return str(status.get("message") or status.get("reason") or status.get("phase") or "no status yet")


def _container_reason(container: Json) -> str | None:
    state = container.get("state") or {}
    waiting, terminated = state.get("waiting"), state.get("terminated")
    last = (container.get("lastState") or {}).get("terminated")
    if waiting and waiting.get("reason") not in ("ContainerCreating", "PodInitializing"):
        return _join(waiting.get("reason"), waiting.get("message"), _ended(last))
    if terminated and terminated.get("exitCode"):
        return _ended(terminated)
    if "running" in state and not container.get("ready"):
        return _join("runs, but its readiness probe fails", _ended(last))
    return None


def _ended(terminated: Json | None) -> str | None:
    if not terminated:
        return None
    text = _join(terminated.get("reason"), (terminated.get("message") or "").strip()[-300:])
    return f"last ended with exit status {terminated.get('exitCode')} ({text})"


def _join(*parts: str | None) -> str:
    return ": ".join(part for part in parts if part)


__all__ = ["COLLECTIONS", "Progress", "Rollout", "RolloutError", "is_ready", "pod_problem", "progress_of"]
