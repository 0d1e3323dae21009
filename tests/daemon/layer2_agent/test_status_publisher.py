# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what the process says often, and what is news to a speaker: it decides anew for every piece of it."""

from __future__ import annotations

import ipaddress
from collections import deque
from dataclasses import replace
from types import SimpleNamespace

import pytest
from support.bounds import at_most

from vipcast.layer2.api import (
    AddressCounters,
    AddressStatus,
    Holding,
    Layer2Status,
    MemberStatus,
    Move,
    MoveKind,
    Traffic,
)
from vipcast.layer2_agent.status_publisher import REPORT_SECONDS, StatusPublisher
from vipcast.net.ipc import Json, read_line
from vipcast.net.layer2 import Layer2Client
from vipcast.net.layer2_protocol import PIECE, read_status, write_status, write_status_change

VIP = ipaddress.ip_address("10.31.8.100")
MEMBER = MemberStatus("alive", 1.0, "10.31.8.12", 0.0004)
PLAIN = Layer2Status({VIP: AddressStatus(Holding.STANDBY, "n2")}, {"n2": MEMBER})


@pytest.mark.parametrize(
    ("after", "news"),
    [
        (replace(PLAIN, counters={VIP: AddressCounters(7, 3)}), 0),
        (replace(PLAIN, traffic=Traffic(sent=100)), 0),
        (replace(PLAIN, members={"n2": replace(MEMBER, round_trip=0.0005)}), 0),
        (replace(PLAIN, members={"n2": replace(MEMBER, state="dead")}), 1),
        (replace(PLAIN, addresses={VIP: AddressStatus(Holding.OWNER, "n1")}), 1),
        (replace(PLAIN, problems=("there is no key",)), 1),
    ],
)
def test_what_changes_all_the_time_is_kept_and_is_no_news(after: Layer2Status, news: int) -> None:
    calls: list[None] = []
    client = Layer2Client(lambda: calls.append(None))
    client._hear({"status": write_status(PLAIN)})
    calls.clear()
    client._hear({"change": write_status_change(PLAIN, after)})
    assert len(calls) == news
    assert client.status == after


# ---- in pieces ----


def many(count: int, owner: str = "n1") -> Layer2Status:
    statuses = {VIP + number: AddressStatus(Holding.STANDBY, owner) for number in range(count)}
    return replace(PLAIN, addresses=statuses)


class Told:
    """A client's end of the control socket, and the publisher that sends to it."""

    def __init__(self, status: Layer2Status, *, pieces: bool) -> None:
        self.lines: list[Json] = []
        owned = SimpleNamespace(touched=set(), moves=deque())
        node = SimpleNamespace(news=False, owned_addresses=owned)
        self.report = SimpleNamespace(status=status, more=False, look=lambda counters: None)
        self.publisher = StatusPublisher(node, self.report)  # type: ignore[arg-type]
        self.publisher.wants_all(self, pieces=pieces)  # type: ignore[arg-type]

    def send(self, data: bytes) -> None:
        self.lines.append(read_line(data))

    def publish(self) -> int:
        """Tell until there is nothing more to tell; return how many lines that took."""
        self.lines.clear()
        now, more = 0.0, at_most(1000)
        while more() and (not now or self.publisher.timer() != now + REPORT_SECONDS):
            now += 1.0
            self.publisher.publish(now)
        return len(self.lines)


def test_a_status_of_many_addresses_comes_in_pieces_and_counts_when_all_are_there() -> None:
    told, calls = Told(many(3 * PIECE + 1), pieces=True), list[None]()
    client = Layer2Client(lambda: calls.append(None))
    assert told.publish() == 4
    for number, message in enumerate(told.lines):
        assert not calls and not client.status.addresses
        assert message.get("more", False) is (number < 3)
        client._hear(message)
    assert calls and client.status == told.report.status
    told.report.status = many(2 * PIECE, "n2")
    assert told.publish() == 4, "a third is gone, and the others have another owner"
    for message in told.lines:
        client._hear(message)
    assert client.status == told.report.status


def test_a_client_that_does_not_say_that_it_takes_pieces_gets_the_first_status_whole() -> None:
    """Release 0.1.0 would take a piece for everything."""
    told = Told(many(3 * PIECE), pieces=False)
    told.report.more = True  # not everything was looked at yet
    told.publisher.publish(1.0)
    assert not told.lines
    told.report.more = False
    assert told.publish() == 1
    assert read_status(told.lines[0]["status"]) == told.report.status


def test_what_ends_without_news_ends_all_the_same() -> None:
    told = Told(many(1), pieces=True)
    told.report.more = True
    told.publisher.publish(1.0)
    client = Layer2Client(lambda: None)
    client._hear(told.lines[0])
    assert not client.status.addresses
    told.report.more = False
    told.publish()
    client._hear(told.lines[0])
    assert client.status == told.report.status


def test_a_move_among_the_pieces_does_not_end_them() -> None:
    """A speaker would take the addresses that were not told yet for such that nobody has."""
    told = Told(many(2), pieces=True)
    told.report.more = True
    told.publisher.publish(1.0)
    told.publisher._node.owned_addresses.moves.append(Move(VIP, MoveKind.GAINED, "n1", None, "", 1.0))
    told.publisher.publish(2.0)
    client = Layer2Client(lambda: None)
    for message in told.lines:
        client._hear(message)
    assert [move.address for move in client.take_moves()] == [VIP]
    assert not client.status.addresses
    told.report.more = False
    told.publish()
    client._hear(told.lines[0])
    assert client.status == told.report.status


def test_a_connection_that_breaks_among_the_pieces_leaves_nothing_behind() -> None:
    told = Told(many(2 * PIECE), pieces=True)
    told.publish()
    client = Layer2Client(lambda: None)
    client._hear(told.lines[0])
    client._tell()
    client._hear({"status": write_status(PLAIN)})
    assert client.status == PLAIN
