# SPDX-License-Identifier: GPL-3.0-or-later
"""The shares of several workers in the tests of the daemons: the same each time, and the longest first.

A worker takes one share after the other. Tests with namespaces of their own, and parts of one search, are
shares by themselves; other tests stay with their file. Files that need an API server are in as few shares as
there are workers, because each worker starts a server of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xdist.scheduler import LoadScopeScheduling

ROOT = "tests/daemon/"
ONE_BY_ONE = ("bfd/", "interop/", "layer2_agent/", "ipam/test_decide_properties.py")

# Routers and processes that miss each other where the machine has much else to do: they run by themselves.
TIMED = (
    "bfd/test_bird.py",
    "bfd/test_frr.py",
    "bfd/test_hostile.py",
    "bfd/test_process.py",
    "bfd/test_watch.py",
    "interop/",
    "layer2_agent/test_process.py",
    "layer2_agent/test_trouble.py",
)

# About as long as each other. A file is in one of them if it needs an API server, and only then.
API_SERVER: Mapping[str, tuple[str, ...]] = {
    "controllers": (
        "controller/test_configuration.py",
        "controller/test_failover.py",
        "controller/test_legacy.py",
        "controller/test_nodeports.py",
        "controller/test_preview_comes_true.py",
        "controller/test_role.py",
        "controller/test_run.py",
        "controller/test_scale.py",
    ),
    "speakers": (
        "cli/test_convert.py",
        "cli/test_metrics_access.py",
        "k8s/test_access.py",
        "k8s/test_client.py",
        "k8s/test_events.py",
        "model/test_crds.py",
        "speaker/test_cluster_status.py",
        "speaker/test_layer2.py",
        "speaker/test_legacy.py",
        "speaker/test_missing.py",
        "speaker/test_objects.py",
        "speaker/test_publisher.py",
        "speaker/test_reports.py",
        "speaker/test_run.py",
        "suite/test_reset.py",
    ),
    "speakers with FRR, clients": (
        "controller/test_tenants.py",
        "k8s/test_informer.py",
        "k8s/test_kubeconfig.py",
        "k8s/test_lease.py",
        "k8s/test_review.py",
        "speaker/test_frr.py",
        "speaker/test_frr_features.py",
        "speaker/test_frr_restarts.py",
        "speaker/test_reports_frr.py",
        "speaker/test_rights.py",
    ),
}
_SHARE_OF = {f"{ROOT}{file}": share for share, files in API_SERVER.items() for file in files}


def share_of(nodeid: str) -> str:
    """Return the name of the share that a test is in."""
    file = nodeid.partition("::")[0]
    if file.removeprefix(ROOT).startswith(ONE_BY_ONE):
        return nodeid
    return _SHARE_OF.get(file, file)


def is_timed(nodeid: str) -> bool:
    """Return whether a test is judged by time."""
    return nodeid.partition("::")[0].removeprefix(ROOT).startswith(TIMED)


def has_api_server(nodeid: str) -> bool:
    """Return whether a test is in a share whose worker has an API server."""
    return nodeid.partition("::")[0] in _SHARE_OF


def rank(nodeid: str) -> int:
    """Return the place of a test's share: API servers are first, then the other shares as they come."""
    share = share_of(nodeid)
    return list(API_SERVER).index(share) if share in API_SERVER else len(API_SERVER)


class Shares(LoadScopeScheduling):  # type: ignore[misc]
    """Give a worker one share at a time."""

    def __init__(self, config: Any, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # it puts first what has most tests, not what takes longest

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)
