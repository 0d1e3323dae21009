# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what comes between: turns of the loop, in which heartbeats are read and sent, while much is said.

The process's own loop, control socket and membership, in this process.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from support.bounds import at_most

from vipcast.agent.limits import Limits
from vipcast.agent.loop import Loop
from vipcast.election import AddressWant
from vipcast.layer2.api import Layer2Wants, Settings
from vipcast.layer2_agent.handover_state import Layer2HandoverState
from vipcast.layer2_agent.node import Node
from vipcast.layer2_agent.server import Layer2Server
from vipcast.net.ipc import Json, line, read_line
from vipcast.net.layer2_protocol import PIECE, write_change, write_wants

VIP = ip_address("10.31.8.1")
NODES = frozenset({"a", "b"})
PIECES = 4


def wants(count: int, owner: str = "a") -> Layer2Wants:
    electorate = ((10, frozenset({owner})), (0, NODES))
    return Layer2Wants(
        "a",
        members={"b": (ip_address("127.0.0.2"),)},
        addresses={VIP + number: AddressWant(electorate, str(number)) for number in range(count)},
        settings=Settings(port=17946),
        keys=(b"a key for tests, of thirty-two octets",),
    )


class OverError(Exception):
    """The loop is left."""


class Counted(Loop):
    """``turns`` so far; before each ``before`` is called, which may raise OverError."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0
        self.before: Callable[[], None] = lambda: None

    def run_once(self, until: float | None) -> float:
        self.turns += 1
        self.before()
        return super().run_once(until)


class Client:
    """The other end of the control socket."""

    def __init__(self, path: Path) -> None:
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self._sock.connect(str(path))
        self._sock.setblocking(False)
        self._rest = b""

    def say(self, **message: Json | bool) -> None:
        self._sock.sendall(line(dict(message)))

    def heard(self) -> list[Json]:
        """Return the lines that have come since the last time."""
        more = at_most(1000)
        try:
            while more() and (data := self._sock.recv(1 << 20)):
                self._rest += data
        except BlockingIOError:
            pass
        *lines, self._rest = self._rest.split(b"\n")
        return [read_line(each) for each in lines]

    def close(self) -> None:
        self._sock.close()


class Scene:
    """A process in charge, and a client."""

    def __init__(self, folder: Path) -> None:
        path = folder / "control"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        self.loop = Counted()
        self.server = Layer2Server(self.loop, Limits(600.0), Layer2HandoverState(control=listener), None)
        self.client = Client(path)
        self.lines: list[tuple[int, Json]] = []  # with the turn before which they had come

    def until(self, condition: Callable[[], object]) -> int:
        """Serve until the condition holds; return how many turns that took."""
        first, more = self.loop.turns, at_most(20_000)

        def look() -> None:
            self.lines += [(self.loop.turns, each) for each in self.client.heard()]
            more()
            if condition():
                raise OverError

        self.loop.before = look
        with pytest.raises(OverError):
            self.server.serve()
        return self.loop.turns - first

    def wanted(self) -> Layer2Wants | None:
        return self.server._requests.said

    @property
    def node(self) -> Node:
        assert self.server._member is not None
        return self.server._member.node

    def close(self) -> None:
        self.client.close()
        self.server.close()
        self.loop.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    made = Scene(tmp_path)
    yield made
    made.close()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_many_addresses_are_read_and_told_with_turns_in_between(scene: Scene) -> None:
    everything = wants(PIECES * PIECE)
    scene.client.say(want={**write_wants(everything), "pieces": True})
    scene.until(lambda: scene.server._jobs)
    assert scene.wanted() is None, "the rest has yet to be read"
    assert scene.until(lambda: scene.wanted() == everything) >= PIECES - 1
    scene.until(lambda: scene.lines and not scene.lines[-1][1].get("more"))
    told = [(turn, each) for turn, each in scene.lines if "status" in each or "addresses" in each["change"]]
    assert len(told) >= PIECES
    assert len({turn for turn, _each in told}) == len(told), "each piece in a turn of its own"


def test_a_speaker_that_comes_back_and_wants_the_same_makes_no_work_but_reading(scene: Scene) -> None:
    everything = wants(2 * PIECE)
    scene.client.say(want={**write_wants(everything), "pieces": True})
    scene.until(lambda: scene.wanted() == everything and not scene.node.owned_addresses.touched)
    touched: list[int] = []

    def job() -> bool:
        touched.append(len(scene.node.owned_addresses.touched))
        return bool(scene.server._jobs)

    scene.client.say(want={**write_wants(everything), "pieces": True})
    scene.until(job)
    scene.until(lambda: not job())
    assert max(touched) == 0 and not scene.node.members._manager._queue


def test_what_is_said_while_something_is_read_comes_after_it(scene: Scene) -> None:
    many, few = wants(PIECES * PIECE), wants(1, "b")
    scene.client.say(want={**write_wants(many), "pieces": True})
    scene.until(lambda: scene.server._jobs)
    scene.client.say(change=write_change(many, few))
    scene.until(lambda: scene.wanted() == few)


def test_of_a_client_that_goes_while_it_is_read_nothing_is_followed(scene: Scene) -> None:
    scene.client.say(want={**write_wants(wants(PIECES * PIECE)), "pieces": True})
    scene.until(lambda: scene.server._jobs)
    scene.client.close()
    scene.client = Client(Path(str(scene.server._control.listener.getsockname())))
    assert scene.until(lambda: not scene.server._jobs) <= 2
    assert scene.wanted() is None
    scene.client.say(want={**write_wants(wants(1)), "pieces": True})
    scene.until(lambda: scene.wanted() == wants(1))


def test_what_cannot_be_read_is_refused_and_the_next_is_read(scene: Scene) -> None:
    bad = write_wants(wants(PIECES * PIECE))
    bad["addresses"][str(VIP + 3 * PIECE)] = ["no row"]
    scene.client.say(want=bad)
    scene.client.say(want=write_wants(wants(2)))
    scene.until(lambda: scene.wanted() == wants(2))
    assert any("error" in each for _turn, each in scene.lines)
