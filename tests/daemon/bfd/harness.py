# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast bfd` as a real process in the node's namespace, its client, and FRR with bfdd at the other end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from daemon.bfd.client_thread import ClientThread
from daemon.interop.frr import Router
from daemon.interop.network import NODE, NODE6, ROUTER, ROUTER6, Cable, eventually, run

from vipcast.net.bfd import BfdClient, BfdSettings, BfdState, BfdStatus

__all__ = ["NODE", "NODE6", "ROUTER", "ROUTER6", "Asker", "BfdProcess", "BfdRouter", "eventually", "settings"]

_SOURCE = Path(__file__).parents[3] / "src"
PROGRAM = "import sys; from vipcast.cli import main; sys.exit(main())"
# A router has a processor of its own: on a busy machine it would miss us, and that is not what is asked here.
PUNCTUAL = ("chrt", "--rr", "1")
_BOUND_TO_US = ("setpriv", "--pdeathsig", "KILL", "--")


def settings(peer: str = ROUTER, **values: Any) -> BfdSettings:
    """100 ms and three times, unless told otherwise."""
    plain = {"transmit_interval": 0.1, "receive_interval": 0.1}
    return BfdSettings(ip_address(peer), **{**plain, **values})


class BfdProcess:
    """The program. ``namespace`` also names its control socket: an abstract one belongs to the network."""

    command, port, program = "bfd", 17473, PROGRAM

    def __init__(self, namespace: str, folder: Path, *flags: str, prefix: tuple[str, ...] = ()) -> None:
        self.log_path = folder / f"{self.command}-{time.monotonic_ns()}.log"
        command = [*prefix, sys.executable, "-c", self.program, self.command, *flags]
        with self.log_path.open("ab") as output:
            self.process = subprocess.Popen(
                [*_BOUND_TO_US, "ip", "netns", "exec", namespace, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONPATH": str(_SOURCE)},
            )
        self.namespace = namespace

    def __enter__(self) -> BfdProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(20)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_path.read_text().splitlines() if line.startswith("{")]

    def said(self, event: str) -> bool:
        return any(line["event"] == event for line in self.events())

    def memory(self) -> int:
        """Resident octets."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def shown(self, *arguments: str) -> str:
        """Return what another command of the program prints in the same namespace."""
        command = ("env", f"PYTHONPATH={_SOURCE}", sys.executable, "-c", PROGRAM, *arguments)
        return run("ip", "netns", "exec", self.namespace, *command)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of an answer from the probes' address."""
        program = (
            f"import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', {self.port}, timeout=5);"
            f"c.request('GET', {path!r}); r = c.getresponse(); print(r.status); print(r.read().decode())"
        )
        answer = run("ip", "netns", "exec", self.namespace, sys.executable, "-c", program)
        status, _line, body = answer.partition("\n")
        return int(status), body


class Asker(ClientThread[BfdClient]):
    """A speaker's sessions."""

    def __init__(self, namespace: str, sessions: Mapping[str, BfdSettings]) -> None:
        self.changes = 0
        self.history: list[tuple[float, BfdState]] = []
        self._sessions = dict(sessions)
        super().__init__(namespace, BfdClient(self._changed), lambda: self._client.want(self._sessions))

    def _changed(self) -> None:
        self.changes += 1
        for status in self._client.statuses().values():
            if not self.history or self.history[-1][1] is not status.state:
                self.history.append((time.monotonic(), status.state))

    def want(self, sessions: Mapping[str, BfdSettings]) -> None:
        self.call(lambda client: client.want(sessions))

    @property
    def names(self) -> list[str]:
        return list(self._sessions)

    def problem(self) -> str | None:
        return self._client.problem

    def connected(self) -> bool:
        return self._client.connected

    def status(self, name: str = "r") -> BfdStatus:
        status: BfdStatus = self.call(lambda client: client.statuses().get(name, BfdStatus()))
        return status

    def wait(self, condition: Callable[[BfdStatus], object], seconds: float = 30) -> BfdStatus:
        end = time.monotonic() + seconds
        while not condition(status := self.status()):
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {status} {self.problem()}")
            time.sleep(0.01)
        return status

    def wait_up(self, seconds: float = 30) -> BfdStatus:
        return self.wait(lambda status: status.up, seconds)


Ends = tuple[BfdProcess, Asker]


def both_up(one: Asker, two: Asker) -> None:
    one.wait_up()
    two.wait_up()
    one.wait(lambda status: status.detection_time == pytest.approx(0.3))
    two.wait(lambda status: status.detection_time == pytest.approx(0.3))


# The router's harness waits for a summary, which needs a neighbor.
_IDLE_BGP = "router bgp 64512\n neighbor 192.0.2.254 remote-as 64513\nexit"


class BfdRouter(Router):
    """zebra, bgpd and bfdd."""

    def start_all(self, bfd: str, bgp: str = _IDLE_BGP) -> None:
        self.start(bgp)
        (self.folder / "bfdd.conf").write_text(
            f"hostname r\nlog file {self.folder}/bfdd.log debugging\n{bfd}\n"
        )
        shutil.chown(self.folder / "bfdd.conf", "frr", "frr")
        self.start_bfdd()

    def start_bfdd(self) -> None:
        self.start_daemon("bfdd", "--bfdctl", f"{self.folder}/bfdd.sock", under=PUNCTUAL)

    def bfd_peer(self, address: str = NODE) -> dict[str, Any]:
        peers = json.loads(self.vtysh("show bfd peers json") or "[]")
        return next((peer for peer in peers if peer["peer"] == address), {})

    def all_bfd_counters(self) -> list[dict[str, Any]]:
        counters: list[dict[str, Any]] = json.loads(self.vtysh("show bfd peers counters json") or "[]")
        return counters

    def bfd_counters(self, address: str = NODE) -> dict[str, Any]:
        return next((peer for peer in self.all_bfd_counters() if peer["peer"] == address), {})

    def bfd_up(self, address: str = NODE) -> bool:
        return self.bfd_peer(address).get("status") == "up"

    def configure(self, *lines: str) -> None:
        self.vtysh("configure terminal", *lines)


NOWHERE = "02:00:00:00:00:99"


def cut(cable: Cable, *ends: str) -> None:
    """Silently: what the ends ("node", "router"; default both) send reaches nobody, and no link goes down."""
    for end in ends or ("node", "router"):
        for peer in {"node": (ROUTER, ROUTER6), "router": (NODE, NODE6)}[end]:
            neighbor = ("neigh", "replace", peer, "lladdr", NOWHERE, "nud", "permanent", "dev", "eth0")
            run("ip", "-n", getattr(cable, end), *neighbor)


def mend(cable: Cable) -> None:
    for end, peers in (("node", (ROUTER, ROUTER6)), ("router", (NODE, NODE6))):
        for peer in peers:
            run("ip", "-n", getattr(cable, end), "neigh", "del", peer, "dev", "eth0", check=False)
