# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure a rollout and a look for drift on many routers, and what they do with some that are broken.

    sudo .venv/bin/python tests/bench/router_scale.py [--routers 50] [--forks 5,25] [--broken]

Real FRR and dropbear in namespaces, a real API server, ansible-playbook by ssh with no connection open
before. `site.yml --tags router` configures all of them first; then it has to change nothing, and `drift.yml`
to find nothing on them. Measured are the time on the wall, the CPU time of ansible-playbook with its
children, and the most memory that they had together (PSS, asked once a second). The routers run on the same
cores. With `--broken` one router takes a second more for each command, one has a bgpd that hangs, one is
dead, and one has another key; then all the others have to be done, and the last three to be named.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
sys.path[:0] = [str(CHECKOUT / "tests"), str(CHECKOUT / "src")]

from bench.router_fleet import NODES, Fleet, demand_own_network  # noqa: E402
from support.apiserver import ApiServer  # noqa: E402
from support.controllers import define_kinds  # noqa: E402


@dataclass(frozen=True)
class Run:
    """One run: its exit status, seconds on the wall and of CPU, MiB at most, and what it printed."""

    status: int
    wall: float
    cpu: float
    memory: float
    text: str


def memory_of(process: int) -> float:
    """Return MiB of a process and all below it; what they share is counted once."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    total, todo = 0, [process]
    while todo:
        one = todo.pop()
        todo += children.get(one, [])
        with contextlib.suppress(OSError, IndexError):
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
            total += int(re.findall(r"^Pss: +(\d+)", text, re.MULTILINE)[0])
    return total / 1024


@contextlib.contextmanager
def watched(process: int) -> Iterator[list[float]]:
    """Ask once a second for the memory of a process."""
    seen, over = [0.0], threading.Event()

    def ask() -> None:
        while not over.wait(1):
            seen.append(memory_of(process))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def play(fleet: Fleet, forks: int, playbook: str, *arguments: str) -> Run:
    """Run a playbook of this checkout, with connections of its own."""
    program = str(Path(sys.executable).parent / "ansible-playbook")
    with tempfile.TemporaryDirectory(dir=fleet.work) as sockets, tempfile.TemporaryFile("w+") as out:
        environment = {"ANSIBLE_FORKS": str(forks), "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets}
        start = time.monotonic()
        command = [program, "-i", str(fleet.inventory), f"playbooks/{playbook}", *arguments]
        process = subprocess.Popen(
            command, cwd=CHECKOUT, env={**os.environ, **environment}, stdout=out, stderr=subprocess.STDOUT
        )
        with watched(process.pid) as memory:
            _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - start
        out.seek(0)
        cpu = used.ru_utime + used.ru_stime
        return Run(process.returncode, wall, cpu, max(memory), out.read())


def rollout(fleet: Fleet, forks: int, *arguments: str) -> Run:
    return play(fleet, forks, "site.yml", "--tags", "router", *arguments)


def drift(fleet: Fleet, forks: int) -> tuple[Run, dict[str, object]]:
    report = fleet.work / "drift.json"
    found = play(fleet, forks, "drift.yml", "-e", f"drift_report_path={report}")
    return found, json.loads(report.read_text()) if report.exists() else {}


def demand(right: bool, what: str, run: Run) -> None:
    """End the bench where it does not measure what it says."""
    if not right:
        raise SystemExit(f"{what}:\n{run.text[-6000:]}")


def changed(run: Run) -> int:
    """Return how many hosts something was changed on."""
    return len(re.findall(r"changed=[1-9]", run.text))


def show(name: str, forks: int, run: Run) -> None:
    print(f"{name:<34} {forks:>5} {run.wall:>7.1f} {run.cpu:>7.1f} {run.memory:>6.0f}", flush=True)


def of_routers(report: dict[str, object], fleet: Fleet) -> list[object]:
    """Return the differences on routers; the cluster is an API server alone, and lacks the load balancer."""
    names = {router.name for router in fleet.routers}
    return [row for row in report["drift"] if row.get("host") in names]  # type: ignore[attr-defined]


def add_nodes(api: ApiServer) -> None:
    """Let the cluster have the inventory's nodes: preflight looks for them."""
    for name, address in NODES.items():
        api.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        status = {
            "addresses": [{"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}],
        }
        patch = json.dumps({"status": status})
        api.kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", patch)


def measure(fleet: Fleet, forks: Sequence[int]) -> None:
    """Print the table of routers that are as they should be."""
    print(f"{len(fleet.routers)} routers{'':<24} forks  wall s   CPU s    MiB")
    first = rollout(fleet, forks[-1])
    everywhere = [3] * len(fleet.routers)
    demand(first.status == 0 and fleet.sessions() == everywhere, "the first rollout failed", first)
    show("site.yml --tags router, first", forks[-1], first)
    for number in forks:
        again = rollout(fleet, number)
        demand(again.status == 0 and changed(again) == 0, "the second rollout changed something", again)
        show("site.yml --tags router, again", number, again)
        looked, report = drift(fleet, number)
        demand(bool(report) and not of_routers(report, fleet), "there is drift on a router", looked)
        show("drift.yml", number, looked)


def broken(fleet: Fleet, forks: int) -> None:
    """Break four routers, let drift arise on all that can be reached, and see what is done and said."""
    slow, hung, dead, locked, *others = fleet.routers
    for router in (slow, *others):
        router.sh("vtysh -c 'configure terminal' -c 'no route-map VIPCAST-OUT'")
    slow.slow(1)
    hung.hang()
    locked.forget_key()
    dead.stop()
    looked, report = drift(fleet, forks)
    differing = {row["host"] for row in of_routers(report, fleet)}  # type: ignore[index]
    demand(differing == {router.name for router in (slow, *others)}, "drift was not found", looked)
    show("drift.yml, four broken", forks, looked)
    bad = sorted(router.name for router in (hung, dead, locked))
    errors = [str(error) for error in report["errors"]]  # type: ignore[attr-defined]
    demand(all(any(name in error for error in errors) for name in bad), f"not named: {bad}", looked)
    print("\n".join(errors))
    done = rollout(fleet, forks, "-e", "preflight_leave_out_routers=true")
    show("site.yml, four broken", forks, done)
    wrong = [one.name for one in (slow, *others) if "VIPCAST-OUT deny" not in one.sh("vtysh -c 'sh run'")]
    demand(not wrong, f"not repaired: {wrong}", done)
    said = re.findall(r"(\S.*): left out, and not as declared", done.text)
    demand(bool(said) and said[0].endswith(", ".join(bad)), f"not named: {bad}", done)
    print(said[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--routers", type=int, default=50)
    parser.add_argument("--forks", default="5,25", help="how many hosts Ansible asks at the same time")
    parser.add_argument("--broken", action="store_true", help="also with routers that are broken")
    options = parser.parse_args()
    demand_own_network()
    forks = [int(number) for number in options.forks.split(",")]
    with tempfile.TemporaryDirectory(prefix="vipcast-fleet-") as folder, ApiServer() as api:
        fleet = Fleet(Path(folder), options.routers)
        try:
            fleet.start()
            define_kinds(api)
            add_nodes(api)
            fleet.write_inventory(api.kubeconfig)
            measure(fleet, forks)
            if options.broken:
                broken(fleet, forks[-1])
        finally:
            fleet.stop()


if __name__ == "__main__":
    main()
