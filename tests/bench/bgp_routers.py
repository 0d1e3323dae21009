# SPDX-License-Identifier: GPL-3.0-or-later
"""Routers of the benches, asked over their control sockets: that costs less than a tool."""

from __future__ import annotations

import json
import re
import socket
from abc import ABC, abstractmethod

from daemon.interop.network import NODE
from daemon.interop.peers import PEERS, Peer, Setup

ROUTERS = ("FRR", "BIRD")


class Counted(ABC):
    """A router that is running, and how many prefixes it has let in."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(peer.cable.folder / self.control))

    control: str

    def close(self) -> None:
        self._socket.close()

    @abstractmethod
    def accepted(self) -> int: ...

    def _ask(self, question: bytes, end: re.Pattern[bytes]) -> str:
        self._socket.sendall(question)
        answer = b""
        while not end.search(answer):
            if not (data := self._socket.recv(65536)):
                raise AssertionError("the router hung up")
            answer += data
        return answer.decode(errors="replace")


class Frr(Counted):
    control = "bgpd.vty"
    # vtysh's protocol: an answer ends with three zeros and the result.
    _END = re.compile(rb"\0\0\0.$", re.DOTALL)

    def accepted(self) -> int:
        answer = self._ask(b"show bgp ipv4 unicast summary json\0", self._END)
        peers = json.loads(answer.partition("\0")[0]).get("peers", {})
        return int(peers.get(NODE, {}).get("pfxRcd", 0))


class Bird(Counted):
    control = "bird.ctl"
    _END = re.compile(rb"^0000 ?\n?|^[89]\d{3} .*\n", re.MULTILINE)

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer)
        self._socket.recv(4096)  # it greets

    def accepted(self) -> int:
        answer = self._ask(b"show protocols all node\n", self._END)
        found = re.search(r"Routes: +(\d+) imported", answer)
        return int(found[1]) if found else 0


_COUNTED: dict[str, type[Counted]] = {"FRR": Frr, "BIRD": Bird}


def start(peer: Peer) -> Counted:
    """Start a router that also dials: whoever waits for it need not be asked how often it tries."""
    peer.start(Setup(hold_time=90, dials=True))
    return _COUNTED[peer.name](peer)


def missing() -> str | None:
    """Return what is not installed of all routers that take part."""
    lacks = [PEERS[name].missing() for name in (*ROUTERS, "GoBGP", "ExaBGP")]
    return next((lack for lack in lacks if lack is not None), None)
