# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand-over between processes of different releases, over real sockets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vipcast.agent import handover
from vipcast.agent.handover import CannotTakeOverError, Handed, PredecessorGoneError
from vipcast.bfd.fsm import BfdState
from vipcast.bfd_agent import handover_state as bfd_handover
from vipcast.layer2_agent import handover_state as layer2_handover
from vipcast.membership import PROFILES, Membership
from vipcast.net.ipc import ProtocolError, line, read_line
from vipcast.versions import Versions

_TESTS = Path(__file__).parents[1]


def recorded(program: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_TESTS / program / "recorded" / "release-0.1.0.json").read_text())
    return found


class Predecessor:
    """A process in charge: reads what is asked, and says what it was given to say, with as many sockets."""

    def __init__(self, *said: dict[str, Any] | bytes) -> None:
        self.end, self._end = socket.socketpair()
        self._said = said
        self.asked: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._end.makefile("rb") as lines:
            self.asked = read_line(lines.readline())
            for each in self._said:
                roles = each.get("sockets", ()) if isinstance(each, dict) else ()
                sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _role in roles]
                data = line(each) if isinstance(each, dict) else each
                socket.send_fds(self._end, [data], [sock.fileno() for sock in sockets])
                for sock in sockets:
                    sock.close()
        self._end.close()

    def __enter__(self) -> Predecessor:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self.end.close()


@pytest.fixture
def open_files() -> Iterator[Callable[[], int]]:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    yield count
    assert count() == before, "each socket was closed"


def test_layer_2_takes_over_from_the_release_before(open_files: object) -> None:
    said = recorded("layer2_agent")["hand_over"]
    with Predecessor(*said) as before:
        state = layer2_handover.ask(before.end)
    assert before.asked["take_over"] == 1
    assert (state.handed.version, state.wants and state.wants.node) == (1, "n2")
    assert set(state.heartbeats) == {4, 6} and set(state.segments) == {2}
    members = Membership("n2", PROFILES["default"], 0.0, random=lambda: 1)
    members.restore(state.members, 0.0)
    assert {claim.owner for claim in members.claims.values()} == {"n2"} and len(members.claims) == 2
    state.close()


def test_bfd_takes_over_from_the_release_before(open_files: object) -> None:
    with Predecessor(*recorded("bfd")["hand_over"]) as before:
        state = bfd_handover.ask(before.end)
    (session,) = state.sessions
    assert session.variables.state is BfdState.UP and session.sender is not None
    assert len(state.receivers) == 1 and state.control is not None and state.health is not None
    session.sender.close()
    state.close()


@pytest.mark.parametrize("ask", [layer2_handover.ask, bfd_handover.ask])
def test_what_a_later_release_adds_is_left_out(ask: Any, open_files: object) -> None:
    said = (
        {"version": 2},
        {"sessions": {}},  # what clients are told
        {"sockets": [{"control": 1}, {"something": 1}]},
        {"records of a later release": [1]},
        {"end": 1},
    )
    with Predecessor(*said) as before:
        state = ask(before.end)
    assert state.control is not None and state.health is None
    state.close()


REFUSALS: tuple[tuple[type[ProtocolError], tuple[Any, ...]], ...] = (
    (CannotTakeOverError, (recorded("layer2_agent")["refusal"][0],)),
    (CannotTakeOverError, ({"version": 3}, {"end": 1})),
    (CannotTakeOverError, ({"version": "x"}, {"end": 1})),
    (CannotTakeOverError, (b"nonsense\n",)),
    (CannotTakeOverError, (b'{"sockets":[{"control":1}]}\n', {"end": 1})),  # without the socket
    (CannotTakeOverError, ({"sockets": [{"control": 1}]}, {"sessions": [{}], "demands": [{}]}, {"end": 1})),
    (PredecessorGoneError, ({"sockets": [{"control": 1}]},)),
    (PredecessorGoneError, ()),
)


@pytest.mark.parametrize(("kind", "said"), REFUSALS)
@pytest.mark.parametrize("ask", [layer2_handover.ask, bfd_handover.ask])
def test_each_failure_has_its_kind_and_keeps_nothing(
    ask: Any, kind: type[ProtocolError], said: tuple[Any, ...], open_files: object
) -> None:
    with Predecessor(*said) as before, pytest.raises(ProtocolError) as caught:
        ask(before.end)
    assert caught.type is kind


@pytest.mark.parametrize(
    ("asked", "version"),
    [
        ({"take_over": 1}, 1),
        ({"take_over": 1, "versions": [1, 1]}, 1),
        ({"take_over": 1, "versions": [1, 2]}, 2),
        ({"take_over": 2, "versions": [2, 9]}, 2),
    ],
)
def test_the_greatest_version_in_common_is_chosen(asked: dict[str, Any], version: int) -> None:
    assert handover.choose(asked) == version


@pytest.mark.parametrize(
    "asked",
    [
        {"take_over": 3},
        {"take_over": 3, "versions": [3, 4]},
        {"take_over": 1, "versions": [2, 1]},
        {"take_over": 1, "versions": [1]},
        {"take_over": 1, "versions": {}},
        {"take_over": None},
        {"take_over": True},
        {"take_over": "1"},
    ],
)
def test_without_one_in_common_it_is_said_which_there_are(asked: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match=r"versions 1 to 2|greatest version"):
        handover.choose(asked)


def test_to_a_successor_of_the_release_before_only_what_it_knows_is_written() -> None:
    """0.1.0 takes every word for a list of records, and closes sockets that it does not know."""
    records = {"sessions": [{"one": 1}]}
    words = [list(json.loads(data)) for data, _sockets in handover.write(1, [], records)]
    assert words == [["sessions"], ["end"]]
    assert next(json.loads(data) for data, _sockets in handover.write(2, [], records)) == {"version": 2}


def confirmed(version: int, *said: dict[str, Any]) -> None:
    with Predecessor(*said) as before:
        handover.confirm(before.end, Handed(version))
    assert before.asked == {"taken": 1}


def test_from_version_2_on_the_successor_waits_for_the_word_to_go() -> None:
    confirmed(1)
    confirmed(2, {"sessions": {}}, {"go": 1})
    with pytest.raises(PredecessorGoneError, match="too late"):
        confirmed(2, {"error": "too late"})
    with pytest.raises(PredecessorGoneError, match="not there any more"):
        confirmed(2)


def test_ranges() -> None:
    assert Versions(1, 3).common(Versions(2, 5)) == 3
    assert Versions(1, 3).common(Versions(4, 5)) is None
    assert str(Versions(1, 2)) == "versions 1 to 2" and str(Versions(2, 2)) == "version 2"
