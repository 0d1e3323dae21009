# SPDX-License-Identifier: GPL-3.0-or-later
"""What the process says often, and what is news to a speaker: it decides anew for every piece of it."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from vipcast.layer2.wants import AddressCounters, AddressStatus, Holding, Layer2Status, MemberStatus, Traffic
from vipcast.net.layer2 import Layer2Client
from vipcast.net.layer2_protocol import write_status, write_status_change

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
