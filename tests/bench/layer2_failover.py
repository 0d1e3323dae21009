# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how long a client gets no answer when the owner of an address goes, beside keepalived (VRRP).

    sudo .venv/bin/python tests/bench/layer2_failover.py [--rounds N] [--holder NAME ...] [--event NAME ...]

Three nodes, a client and a switch in namespaces. On each node a web server; the address is on its loopback,
where the kernel does not answer for it, as behind kube-proxy. The client asks 200 times a second over new
connections. Holders: `default`, `fast` and `calm` are the profiles of `vipcast layer2`; `keepalived-1s` and
`keepalived-0.1s` are Debian's keepalived with its default and its shortest advertisement interval. Events:

  power-off   the owner is gone from one moment to the next
  link-cut    its cable is out, and it sees that
  kill        the holder's processes get SIGKILL; the node goes on
  upgrade     another process takes over on the same node (keepalived has none: it is restarted)
  drain       the node is no candidate any more (keepalived: it is told to stop)

Printed are the longest time after the event in which no question was answered that was asked after it, the
questions without an answer within two seconds, and apart from them those that were cut off: their connection
was open at the old owner, and the new one knows nothing of it. A round begins when all agree on one owner; of
the others one may have been cut off a moment ago, and be waiting until it counts again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from daemon.interop.network import lacking  # noqa: E402
from daemon.interop.speaker import enter  # noqa: E402
from daemon.layer2_agent.harness import VIP, Cluster, Net, eventually, run  # noqa: E402

RATE, PATIENCE, PORT = 200, 2.0, 80
_SERVER = f"""
import contextlib, socket
with socket.create_server(("", {PORT}), backlog=256) as server:
    while True:
        connection, _address = server.accept()
        connection.settimeout(0.1)  # of a node that is cut off nobody sends any more
        with connection, contextlib.suppress(OSError):
            connection.recv(64)
            connection.sendall(b"yes")
"""


@dataclass(frozen=True)
class Round:
    """Seconds without an answer; of the questions that were asked, those in vain, and those cut off."""

    holder: str
    event: str
    seconds: float
    asked: int
    failed: int
    cut: int


@dataclass
class Question:
    """The times of one failure on the monotonic clock; ``answered`` None: never."""

    asked: float
    answered: float | None = None
    cut: bool = False


class Client:
    """Asks all the time, in a thread of its own in the client's namespace."""

    def __init__(self, net: Net) -> None:
        self.questions: list[Question] = []
        self.ended = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(net.client,), daemon=True)

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended = time.monotonic()
        self._over.set()
        self._thread.join(PATIENCE + 5)

    def answered_since(self, moment: float) -> list[float]:
        """Return when questions asked after the moment were answered."""
        return sorted(each.answered for each in list(self.questions) if each.asked > moment and each.answered)

    def _run(self, namespace: str) -> None:
        enter(namespace)
        asyncio.run(self._ask_for_ever())

    async def _ask_for_ever(self) -> None:
        pending: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not self._over.is_set():
            self.questions.append(Question(time.monotonic()))
            task = asyncio.create_task(self._ask(self.questions[-1]))
            pending.add(task)
            task.add_done_callback(pending.discard)
            due += 1 / RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*pending)

    async def _ask(self, question: Question) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection(VIP, PORT)
                try:
                    await self._talk(question, reader, writer)
                except ConnectionError:
                    question.cut = True

    async def _talk(
        self, question: Question, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"?")
        if await reader.read(8) == b"yes":
            question.answered = time.monotonic()
        writer.close()


class Holder(ABC):
    """The programs that announce the address, one on each node."""

    def __init__(self, net: Net) -> None:
        self.net = net

    @abstractmethod
    def owner(self) -> str | None:
        """The only node that has it, as all see it; None while it is not settled."""

    @abstractmethod
    def kill(self, name: str) -> None: ...

    @abstractmethod
    def upgrade(self, name: str) -> None: ...

    @abstractmethod
    def drain(self, name: str) -> None: ...

    @abstractmethod
    def restore(self, name: str) -> None:
        """Bring the segment back to how it was at the beginning, whatever happened."""

    @abstractmethod
    def close(self) -> None: ...


class Vipcast(Holder):
    def __init__(self, net: Net, profile: str) -> None:
        super().__init__(net)
        self._cluster = Cluster(net, (VIP,), profile=profile)
        self._cluster.__enter__()

    def owner(self) -> str | None:
        owners = self._cluster.owners()
        told = {each.status(VIP).owner for each in self._cluster.speakers.values()}
        states = {
            (name, member.state)
            for each in self._cluster.speakers.values()
            for name, member in each.call(lambda client: dict(client.members())).items()
        }
        agreed = len(states) == 3 and told == set(owners)
        return owners[0] if agreed and len(owners) == 1 else None

    def kill(self, name: str) -> None:
        self._cluster.processes[name].process.kill()

    def upgrade(self, name: str) -> None:
        old = self._cluster.processes[name]
        self._cluster.processes[name] = successor = self._cluster.process(name)
        eventually(lambda: successor.said("taken_over"), "the successor has it")
        old.process.send_signal(signal.SIGTERM)
        old.process.wait(10)

    def drain(self, name: str) -> None:
        self._elect(frozenset(self._cluster.namespaces) - {name})

    def _elect(self, names: frozenset[str]) -> None:
        for speaker in self._cluster.speakers.values():
            (address, want), *_rest = speaker.wants.addresses.items()
            speaker.want(addresses={address: replace(want, electorate=((0, names),))})

    def restore(self, name: str) -> None:
        self._elect(frozenset(self._cluster.namespaces))
        if self._cluster.processes[name].process.poll() is not None:
            self._cluster.processes[name] = self._cluster.process(name)

    def close(self) -> None:
        self._cluster.__exit__()


class Keepalived(Holder):
    def __init__(self, net: Net, interval: float) -> None:
        super().__init__(net)
        self._interval = interval
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        for node in net.nodes:
            self._start(net.name(node))

    def _node(self, name: str) -> str:
        return next(node for node in self.net.nodes if self.net.name(node) == name)

    def _start(self, name: str) -> None:
        folder = self.net.folder / f"keepalived-{name}"
        folder.mkdir(exist_ok=True)
        for left in ("pid", "vrrp"):  # of one that was killed; the number may be another program's by now
            (folder / left).unlink(missing_ok=True)
        (folder / "conf").write_text(
            "global_defs {\n vrrp_version 3\n}\nvrrp_instance v {\n state BACKUP\n nopreempt\n"
            f" interface eth0\n virtual_router_id 51\n priority {100 + int(name[1:])}\n"
            f" advert_int {self._interval}\n virtual_ipaddress {{\n  {VIP}/16\n }}\n}}\n"
        )
        command = ["keepalived", "--dont-fork", "--vrrp", "--use-file", str(folder / "conf")]
        command += ["--pid", str(folder / "pid"), "--vrrp_pid", str(folder / "vrrp")]
        with (folder / "log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                ["ip", "netns", "exec", self._node(name), *command],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def owner(self) -> str | None:
        has = [node for node in self.net.nodes if VIP in run("ip", "-n", node, "addr", "show", "dev", "eth0")]
        alive = [each for each in self._running.values() if each.poll() is None]
        return self.net.name(has[0]) if len(has) == 1 and len(alive) == 3 else None

    def kill(self, name: str) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._running[name].pid, signal.SIGKILL)
        self._running.pop(name).wait(5)

    def upgrade(self, name: str) -> None:
        self.drain(name)
        self._start(name)

    def drain(self, name: str) -> None:
        self._running[name].terminate()
        self._running.pop(name).wait(10)

    def restore(self, name: str) -> None:
        if name not in self._running:
            run("ip", "-n", self._node(name), "addr", "del", f"{VIP}/16", "dev", "eth0", check=False)
            self._start(name)

    def close(self) -> None:
        for name in list(self._running):
            self.drain(name)


HOLDERS: dict[str, Callable[[Net], Holder]] = {
    "default": lambda net: Vipcast(net, "default"),
    "fast": lambda net: Vipcast(net, "fast"),
    "calm": lambda net: Vipcast(net, "calm"),
    "keepalived-1s": lambda net: Keepalived(net, 1),
    "keepalived-0.1s": lambda net: Keepalived(net, 0.1),
}


def power_off(holder: Holder, name: str) -> None:
    port = ("ip", "-n", holder.net.switch, "link", "set", name)
    run(*port, "nomaster")
    holder.kill(name)


def link_cut(holder: Holder, name: str) -> None:
    run("ip", "-n", holder.net.switch, "link", "set", name, "down")


EVENTS: dict[str, Callable[[Holder, str], None]] = {
    "power-off": power_off,
    "link-cut": link_cut,
    "kill": lambda holder, name: holder.kill(name),
    "upgrade": lambda holder, name: holder.upgrade(name),
    "drain": lambda holder, name: holder.drain(name),
}


def _plug_again(holder: Holder, name: str) -> None:
    run("ip", "-n", holder.net.switch, "link", "set", name, "master", "br0", "up")


@contextlib.contextmanager
def servers(net: Net, *, bound: bool) -> Iterator[None]:
    """``bound``: the address is on every node's loopback, where nobody answers for it by himself."""
    running = []
    for node in net.nodes:
        if bound:
            for name, value in (("arp_ignore", 1), ("arp_announce", 2)):
                key = f"net.ipv4.conf.all.{name}={value}"
                run("ip", "netns", "exec", node, "sysctl", "-qw", key)
            run("ip", "-n", node, "addr", "add", f"{VIP}/32", "dev", "lo")
        command = ["ip", "netns", "exec", node, sys.executable, "-c", _SERVER]
        running.append(subprocess.Popen(command))
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait(5)


def measure(net: Net, holder: Holder, named: str, event: str) -> Round:
    eventually(holder.owner, "one owner", 60)
    name = holder.owner()
    assert name is not None
    with Client(net) as client:
        eventually(lambda: len(client.answered_since(0.0)) > RATE / 4, "the client gets answers", 20)
        began = time.monotonic()
        EVENTS[event](holder, name)
        over = time.monotonic()
        eventually(lambda: client.answered_since(over), "an answer again", 60)
        # The first answer may be the old owner's, whom a client still knows.
        time.sleep(4.5 if named in ("calm", "keepalived-1s") else 1.5)
    _plug_again(holder, name)
    holder.restore(name)
    asked, cut = len(client.questions), sum(each.cut for each in client.questions)
    failed = sum(each.answered is None for each in client.questions) - cut
    return Round(named, event, _longest(client, began), asked, failed, cut)


def _longest(client: Client, began: float) -> float:
    """Seconds after the event in which no question was answered that was asked after it."""
    times = [began, *client.answered_since(began), client.ended]
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def rounds(options: argparse.Namespace) -> Iterator[Round]:
    for named in options.holder:
        with Net() as net, servers(net, bound=not named.startswith("keepalived")):
            holder = HOLDERS[named](net)
            try:
                for event in options.event:
                    for _number in range(options.rounds):
                        yield measure(net, holder, named, event)
            finally:
                holder.close()


def table(found: list[Round]) -> list[str]:
    head = ("holder", "event", "rounds", "median", "p99", "max", "asked", "failed", "cut off")
    rows = [head]
    for named, event in dict.fromkeys((each.holder, each.event) for each in found):
        mine = [each for each in found if (each.holder, each.event) == (named, event)]
        seconds = sorted(each.seconds for each in mine)
        late = seconds[min(len(seconds), math.ceil(0.99 * len(seconds))) - 1]
        figures = (statistics.median(seconds), late, seconds[-1])
        counts = (sum(getattr(each, name) for each in mine) for name in ("asked", "failed", "cut"))
        rows.append((named, event, str(len(mine)), *(f"{each:.3f}" for each in figures), *map(str, counts)))
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--holder", choices=HOLDERS, nargs="+", default=list(HOLDERS))
    parser.add_argument("--event", choices=EVENTS, nargs="+", default=list(EVENTS))
    parser.add_argument("--report", type=Path, default=Path("report/layer2_failover.json"))
    options = parser.parse_args()
    if (lack := lacking()) is not None:
        sys.exit(lack)
    if shutil.which("keepalived") is None and any(each.startswith("keepalived") for each in options.holder):
        sys.exit("no keepalived: .ci/packages keepalived")
    found: list[Round] = []
    options.report.parent.mkdir(exist_ok=True)
    for each in rounds(options):
        found.append(each)
        print(each, file=sys.stderr, flush=True)
        options.report.write_text(json.dumps([asdict(one) for one in found], indent=1))
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
