# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a lab that are away for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support.lab import Lab, eventually


def control_plane(lab: Lab) -> str:
    """Return the host with the API server."""
    hosts = [*lab.group("nodes")]
    return next(host for host in hosts if lab.variables(host).get("lab_control_plane"))


@contextmanager
def without_api(lab: Lab) -> Iterator[None]:
    """Stop the API server, and start it again at the end."""
    host = control_plane(lab)
    try:
        # In good order it would wait a minute for whoever watches something.
        lab.run(host, "systemctl kill --signal KILL kube-apiserver; systemctl stop kube-apiserver")
        yield
    finally:
        lab.run(host, "systemctl start kube-apiserver")
        assert eventually(lambda: answers(lab), timeout=60), "the API server did not come back"


def answers(lab: Lab) -> bool:
    """Tell whether the API server does."""
    try:
        return lab.kubectl("get", "--raw", "/readyz") == "ok"
    except AssertionError:
        return False


def reachable(lab: Lab, host: str) -> bool:
    """Tell whether the host lets somebody in."""
    try:
        return lab.run(host, "echo yes").strip() == "yes"
    except AssertionError:
        return False
