# SPDX-License-Identifier: GPL-3.0-or-later
"""A segment: nodes, a client and a switch in namespaces, with `vipcast layer2` as a real process on each.

"vl-..-n1"  eth0 10.31.8.11, fd31::11  ---+
"vl-..-n2"  eth0 10.31.8.12, fd31::12  ---+--- br0 in "vl-..-s" ---  eth0 10.31.8.1, fd31::1  "vl-..-c"
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import select
import shutil
import socket
import struct
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from daemon.bfd.client_thread import ClientThread
from daemon.bfd.harness import BfdProcess
from daemon.interop.network import eventually, run, wait_carrier
from daemon.interop.speaker import enter

from vipcast.election import AddressWant, Electorate
from vipcast.layer2.api import (
    AddressStatus,
    Holding,
    Layer2Wants,
    Move,
    Settings,
)
from vipcast.model.addresses import IPAddress
from vipcast.net.layer2 import Layer2Client

__all__ = ["KEY", "VIP", "VIP6", "Asking", "Layer2Process", "Net", "Speaker", "eventually", "run", "wants_of"]

VIP, VIP6 = "10.31.8.100", "fd31::100"
KEY = b"0123456789abcdef0123456789abcdef"
# The first of the addresses that nobody has, from which the client asks.
_FIRST_SENDER = int(ip_address("10.31.128.0"))

_numbers = itertools.count()


class Layer2Process(BfdProcess):
    """The program on a node."""

    command = "layer2"
    port = 17474

    def status(self) -> dict[str, Any]:
        """The status page's."""
        found: dict[str, Any] = json.loads(self.get("/status")[1])["status"]
        return found

    def processor_time(self) -> float:
        return processor_time(self.process.pid)


def processor_time(pid: int) -> float:
    """Seconds, of user and kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Net:
    """The namespaces, and a folder for logs. Everything is gone when the context ends."""

    def __init__(self, nodes: int = 3) -> None:
        self.tag = f"vl-{os.getpid()}-{next(_numbers)}"
        self.switch, self.client = f"{self.tag}-s", f"{self.tag}-c"
        self.nodes = [f"{self.tag}-n{number}" for number in range(1, nodes + 1)]
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.tag}-"))

    def __enter__(self) -> Net:
        try:
            self._wire()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for namespace in (self.switch, self.client, *self.nodes):
            run("ip", "netns", "del", namespace, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wire(self) -> None:
        for namespace in (self.switch, self.client, *self.nodes):
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        run("ip", "-n", self.switch, "link", "add", "br0", "type", "bridge", "forward_delay", "0")
        run("ip", "-n", self.switch, "link", "set", "br0", "up")
        self.plug(self.client, "c", 1)
        for number, node in enumerate(self.nodes, 1):
            self.plug(node, f"n{number}", 10 + number)

    def plug(self, namespace: str, port: str, number: int, index: str | None = None) -> None:
        """``index``: the number that the kernel is to give to the interface."""
        veth = (
            "eth0",
            *(("index", index) if index else ()),
            "type",
            "veth",
            "peer",
            port,
            "netns",
            self.switch,
        )
        run("ip", "-n", namespace, "link", "add", *veth)
        # A switch's port says nothing itself; Linux would ask for IPv6 routers there.
        run("ip", "-n", self.switch, "link", "set", port, "addrgenmode", "none")
        run("ip", "-n", self.switch, "link", "set", port, "master", "br0", "up")
        run("ip", "-n", namespace, "addr", "add", f"10.31.8.{number}/16", "dev", "eth0")
        run("ip", "-n", namespace, "addr", "add", f"fd31::{number}/64", "dev", "eth0", "nodad")
        run("ip", "-n", namespace, "link", "set", "eth0", "up")
        wait_carrier(namespace)
        wait_carrier(self.switch, port)

    # ---- what happens to a node ----

    def name(self, node: str) -> str:
        """Return the name by which the members know a node: n1."""
        return node.rpartition("-")[2]

    def cut(self, node: str) -> None:
        """Silently: the switch forwards nothing of it any more, and the node's own link stays up."""
        run("ip", "-n", self.switch, "link", "set", self.name(node), "nomaster")

    def mend(self, node: str) -> None:
        run("ip", "-n", self.switch, "link", "set", self.name(node), "master", "br0")

    def deafen(self, node: str) -> None:
        """Let nothing get to the node any more; what it sends is forwarded, and its link stays up."""
        port = self.name(node)
        rules = [f"add table bridge {port}"]
        for hook in ("forward", "output"):
            rules.append(f"add chain bridge {port} {hook} {{ type filter hook {hook} priority 0; }}")
            rules.append(f'add rule bridge {port} {hook} oifname "{port}" drop')
        run("ip", "netns", "exec", self.switch, "nft", "; ".join(rules))

    def undeafen(self, node: str) -> None:
        run("ip", "netns", "exec", self.switch, "nft", "delete", "table", "bridge", self.name(node))

    def mac(self, node: str) -> str:
        return str(re.findall(r"link/ether (\S+)", run("ip", "-n", node, "link", "show", "eth0"))[0])

    def owner(self, mac: str | None) -> str | None:
        """Return whose MAC it is."""
        return next((self.name(node) for node in self.nodes if self.mac(node) == mac), None)

    # ---- oracles ----

    def arping(self, address: str = VIP, *, count: int = 1) -> list[str]:
        """The MACs that answered, each once."""
        command = ("arping", "-c", str(count), "-w", "1", "-I", "eth0", address)
        found = re.findall(r"\[([0-9A-Fa-f:]{17})\]", self._in_client(*command))
        return sorted({mac.lower() for mac in found})

    def ndisc(self, address: str = VIP6) -> list[str]:
        found = re.findall(
            r"[Tt]arget link-layer address: (\S+)",
            self._in_client("ndisc6", "-m", "-w", "500", "-r", "1", address, "eth0"),
        )
        return sorted({mac.lower() for mac in found})

    def neighbor(self, address: str = VIP) -> str | None:
        """Return what the client's kernel has in its table."""
        shown = run("ip", "-n", self.client, "neigh", "show", address, "dev", "eth0")
        found = re.findall(r"lladdr (\S+)", shown)
        return str(found[0]) if found else None

    def resolve(self, address: str = VIP) -> str | None:
        """Have the client's kernel ask, if it does not know."""

        def send() -> None:
            enter(self.client)
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"?", (address, 9))

        thread = threading.Thread(target=send)
        thread.start()
        thread.join()
        eventually(lambda: self.neighbor(address), f"the client's kernel finds {address}", 3)
        return self.neighbor(address)

    def _in_client(self, *command: str) -> str:
        return run("ip", "netns", "exec", self.client, *command, check=False)


def wants_of(
    node: str, nodes: Iterable[str], addresses: Iterable[str] = (VIP,), **settings: Any
) -> Layer2Wants:
    """Every node is everywhere a candidate; who has an address keeps it, whoever begins later."""
    names = list(nodes)
    settings = {"rebalance": "sticky", **settings}
    electorate: Electorate = ((0, frozenset(names)),)
    return Layer2Wants(
        node=node,
        members={name: (ip_address(f"10.31.8.1{name[1:]}"),) for name in names},
        addresses={ip_address(each): AddressWant(electorate, each) for each in addresses},
        settings=Settings(**settings),
        keys=(KEY,),
    )


class Speaker(ClientThread[Layer2Client]):
    """A speaker's wants."""

    def __init__(self, namespace: str, wants: Layer2Wants) -> None:
        self.moves: list[Move] = []
        self.wants = wants
        super().__init__(namespace, Layer2Client(self._changed), lambda: self._client.want(self.wants))

    def _changed(self) -> None:
        self.moves += self._client.take_moves()

    def want(self, **changes: Any) -> None:
        self.wants = replace(self.wants, **changes)
        self.call(lambda client: client.want(self.wants))

    def statuses(self) -> Mapping[IPAddress, AddressStatus]:
        found: Mapping[IPAddress, AddressStatus] = self.call(lambda client: client.statuses())
        return found

    def status(self, address: str = VIP) -> AddressStatus:
        return self.statuses().get(ip_address(address), AddressStatus(Holding.WAITING))

    def wait(self, condition: Callable[[AddressStatus], object], seconds: float = 30) -> AddressStatus:
        end = time.monotonic() + seconds
        while not condition(status := self.status()):
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {status} {self._client.problem}")
            time.sleep(0.01)
        return status


class Asking:
    """The client asks by ARP all the time, and writes down who answered when, and what was asked in vain.

    The sender's address in a question is its number, which the answer has as its target. So an answer belongs
    to a question however late it is read: on a busy machine this thread stands still, and nothing is lost.
    """

    LATE = 1.0
    """Seconds that answers to the last questions may take."""

    def __init__(self, net: Net, address: str = VIP, interval: float = 0.02) -> None:
        self.answers: list[tuple[float, str]] = []
        self.asked: list[float] = []
        self._answered: set[int] = set()
        self._address, self._interval = ip_address(address).packed, interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(net.client,), daemon=True)

    def __enter__(self) -> Asking:
        self._thread.start()
        eventually(lambda: self.asked, "it asks")
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(20)

    def _run(self, namespace: str) -> None:
        enter(namespace)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as sock:
            sock.bind(("eth0", 0x0806))
            mac = sock.getsockname()[4]
            head = struct.pack("!6s6sHHHBBH", b"\xff" * 6, mac, 0x0806, 1, 0x0800, 6, 4, 1) + mac
            while not self._over.is_set():
                sender = _FIRST_SENDER + len(self.asked)
                self.asked.append(time.monotonic())
                sock.send(head + sender.to_bytes(4) + bytes(6) + self._address)
                self._listen(sock, mac, self.asked[-1] + self._interval)
            self._listen(sock, mac, time.monotonic() + self.LATE, to_all=True)

    def _listen(self, sock: socket.socket, mac: bytes, until: float, *, to_all: bool = False) -> None:
        """``to_all``: no longer than until every question has an answer."""
        while (left := until - time.monotonic()) > 0 and not (to_all and not self.unanswered()):
            if select.select([sock], [], [], left)[0]:
                frame = sock.recv(2048)
                # A reply to us, not what is announced to everybody.
                if frame[:6] == mac and frame[20:22] == b"\0\2" and frame[28:32] == self._address:
                    self.answers.append((time.monotonic(), frame[22:28].hex(":")))
                    self._answered.add(int.from_bytes(frame[38:42]) - _FIRST_SENDER)

    def unanswered(self, since: float = 0.0) -> list[int]:
        """Return the numbers of the questions that nobody has answered."""
        later = bisect_left(self.asked, since)
        return [number for number in range(later, len(self.asked)) if number not in self._answered]

    def most_in_vain(self, since: float = 0.0) -> int:
        """Return how many questions in a row nobody has answered."""
        missing = set(self.unanswered(since))
        runs = itertools.groupby(range(len(self.asked)), missing.__contains__)
        return max((len(list(each)) for in_vain, each in runs if in_vain), default=0)

    def macs(self, since: float = 0.0) -> set[str]:
        return {mac for at, mac in self.answers if at >= since}


class Cluster:
    """The program and a speaker on each node, by the node's name."""

    def __init__(self, net: Net, addresses: Iterable[str] = (VIP,), *flags: str, **settings: Any) -> None:
        self.net = net
        self.namespaces = {net.name(node): node for node in net.nodes}
        self.processes: dict[str, Layer2Process] = {}
        self.speakers: dict[str, Speaker] = {}
        self._addresses, self._flags, self._settings = tuple(addresses), flags, settings
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Cluster:
        for name in self.namespaces:
            self.start(name)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def process(self, name: str) -> Layer2Process:
        """One more on that node."""
        made = Layer2Process(self.namespaces[name], self.net.folder, *self._flags)
        return self._stack.enter_context(made)

    def start(self, name: str) -> None:
        self.processes[name] = self.process(name)
        self.attend(name)

    def attend(self, name: str) -> None:
        """A speaker for what runs there."""
        wants = wants_of(name, self.namespaces, self._addresses, **self._settings)
        speaker = self._stack.enter_context(Speaker(self.namespaces[name], wants))
        self.speakers[name] = speaker

    def owners(self, address: str = VIP) -> list[str]:
        """Return who says that it is the owner."""
        holding = (Holding.OWNER, Holding.YIELDING)
        return [name for name, each in self.speakers.items() if each.status(address).holding in holding]

    def settle(self, address: str = VIP, seconds: float = 60) -> str:
        """Wait until one is the owner, for the others too."""

        def agreed() -> bool:
            told = {each.status(address).owner for each in self.speakers.values()}
            return len(self.owners(address)) == 1 and told == set(self.owners(address))

        eventually(agreed, f"one owner of {address}", seconds)
        return self.owners(address)[0]

    def others(self, name: str) -> list[str]:
        return [other for other in self.namespaces if other != name]
