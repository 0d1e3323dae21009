# SPDX-License-Identifier: GPL-3.0-or-later
"""A new version of the load balancer, rolled out while a client asks all the time."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.asking import Client, Events, changes
from support.lab import CHECKOUT, Lab
from support.removal import NAMESPACE

VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)


@dataclass(frozen=True)
class Upgrade:
    """The traces of an upgrade that a client and the routers' kernels noticed."""

    seen: dict[str, Any]
    moved: list[tuple[float, str]]
    before: set[str]
    after: set[str]


def newer_source(folder: Path) -> Path:
    """Return a copy of the load balancer's source that differs from it in nothing but its version."""
    copy = folder / "vipcast"
    shutil.copytree(CHECKOUT / "src/vipcast", copy, ignore=shutil.ignore_patterns("__pycache__"))
    start = copy / "__init__.py"
    text, count = VERSION.subn(r'__version__ = "\1.post1"', start.read_text())
    assert count == 1
    start.write_text(text)
    return copy


def running(lab: Lab) -> set[str]:
    """Return the images of the load balancer's pods that are ready, as containerd names their content."""
    pods = lab.get("pods", "-n", NAMESPACE)["items"]
    return {
        one["imageID"] for pod in pods for one in pod["status"].get("containerStatuses", ()) if one["ready"]
    }


@contextmanager
def watched(lab: Lab, address: str) -> Iterator[list[tuple[float, str]]]:
    """Note every change of an address's route in the kernel of each router."""
    watchers = [Events([*lab.ssh, router, "ip -ts monitor route"]) for router in lab.group("routers")]
    moved: list[tuple[float, str]] = []
    try:
        yield moved
    finally:
        for watcher in watchers:
            moved += changes(watcher.stop(), address)


def there_and_back(lab: Lab, address: str, folder: Path) -> tuple[Upgrade, Upgrade]:
    """Roll out another version, and this one again; each time all pods have one image afterwards.

    The other version's image is nowhere afterwards: neither on a node nor in the cache.
    """
    before = stored(lab)
    try:
        there = roll_out(lab, address, _load_balancer_source=str(newer_source(folder)))
        back = roll_out(lab, address)
    finally:
        forget(lab, before)
    assert stored(lab) == before
    assert len(there.before) == len(there.after) == 1
    assert there.after != there.before == back.after
    assert all(one.seen["requests"] > 1000 for one in (there, back))
    return there, back


def roll_out(lab: Lab, address: str, **variables: Any) -> Upgrade:
    """Roll out under a client that asks all the time; the proof comes after it, without its requests."""
    before = running(lab)
    with watched(lab, address) as moved:
        client = Client(lab, f"http://{address}/")
        try:
            run = lab.playbook("site", "--skip-tags", "verify", **variables)
        finally:
            seen = client.stop()
    run.expect()
    assert run.changed.get("localhost"), "nothing was rolled out"
    return Upgrade(seen, moved, before, running(lab))


def stored(lab: Lab) -> dict[str, set[str]]:
    """Return what each node's containerd has of images: their names, and the digests that it adds itself."""
    return {node: set(lab.run(node, "ctr -n k8s.io images ls -q").split()) for node in lab.group("nodes")}


def forget(lab: Lab, before: dict[str, set[str]]) -> None:
    """Remove the images that came since, on each node and where the role has made them."""
    cache = Path(lab.description["images"]).parent
    for node, found in stored(lab).items():
        for name in found - before[node]:
            lab.run(node, f"ctr -n k8s.io images rm {name}")
            if name.startswith("localhost/vipcast:"):
                # As the role names it.
                (cache / f"{re.sub('[^A-Za-z0-9._-]', '-', name)}.tar").unlink(missing_ok=True)
