# SPDX-License-Identifier: GPL-3.0-or-later
"""vip_probe against real servers, through the kernel: every kind of answer, and every kind of none."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import ADDRESS, ADDRESS6, Played, Probe
from .servers import PODS, PORT_BUSY, PORT_CLOSING, PORT_FLAKY, PORT_GARBAGE, PORT_GOOD, PORT_SILENT


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS6])
def test_every_request_has_a_port_of_its_own_and_everyone_answers(played: Played, address: str) -> None:
    found = played(address=address, port=PORT_GOOD, answerers=3)
    assert not found["failed"], found
    assert found["requests"] == found["ok"] == found["source_ports"] == 26
    assert found["statuses"] == {"200": 26}
    assert list(found["pods"]) == list(PODS)
    assert list(found["nodes"]) == ["node-a", "node-b", "node-c"]
    assert sum(found["nodes"].values()) == 26
    latency = found["latency"]
    assert 0 < latency["min"] <= latency["median"] <= latency["p99"] <= latency["max"] < 3000


def test_nothing_is_changed_and_check_mode_asks_as_well(played: Played) -> None:
    found = played(check=True, address=ADDRESS, port=PORT_GOOD, requests=4)
    assert (found["changed"], found["ok"]) == (False, 4)


def test_many_connections_at_once_all_arrive(probe: Probe) -> None:
    found = probe(address=ADDRESS, port=PORT_GOOD, requests=400, concurrency=50)
    assert (found["ok"], found["source_ports"]) == (400, 400), found["errors"]


def test_a_bad_status_fails_and_is_counted(probe: Probe) -> None:
    found = probe(address=ADDRESS, port=PORT_BUSY, requests=5)
    assert found["failed"]
    assert found["statuses"] == {"503": 5}
    assert found["msg"].startswith(
        f"0 of 5 requests to {ADDRESS} port {PORT_BUSY} were answered well: 5 x HTTP 503"
    )


def test_a_status_can_be_what_is_wanted(probe: Probe) -> None:
    assert probe(address=ADDRESS, port=PORT_BUSY, requests=5, status=[503])["ok"] == 5


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"address": ADDRESS, "port": 9}, "refused"),
        ({"address": ADDRESS, "port": PORT_SILENT, "timeout": 0.5}, "timeout"),
        ({"address": "198.51.100.1", "port": 80}, "unreachable"),
        ({"address": ADDRESS, "port": PORT_CLOSING}, "closed"),
        ({"address": ADDRESS, "port": PORT_GARBAGE}, "malformed"),
    ],
)
def test_each_kind_of_failure_has_its_name(probe: Probe, options: dict[str, Any], kind: str) -> None:
    found = probe(requests=3, **options)
    (error,) = found["errors"]
    assert found["failed"]
    assert (error["kind"], error["count"], found["ok"]) == (kind, 3, 0)


def test_failures_among_successes_are_counted_and_the_first_is_dated(probe: Probe) -> None:
    found = probe(address=ADDRESS, port=PORT_FLAKY, requests=12, concurrency=1, must_succeed=False)
    assert not found["failed"]
    assert (found["ok"], found["unnamed"]) == (8, 8)
    (error,) = found["errors"]
    assert (error["kind"], error["count"], error["first_request"]) == ("reset", 4, 3)


def test_a_port_that_does_not_speak_http_is_connected_to(probe: Probe) -> None:
    found = probe(address=ADDRESS, port=PORT_SILENT, protocol="tcp", requests=5)
    assert (found["ok"], found["statuses"], found["nodes"]) == (5, {}, {})
    assert probe(address=ADDRESS, port=9, protocol="tcp", requests=5)["errors"][0]["kind"] == "refused"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"address": "nowhere"}, "address is 'nowhere', which is not an IP address"),
        ({"address": ADDRESS, "port": 0}, "port is 0; it has to be from 1 to 65535"),
        ({"address": ADDRESS, "concurrency": 0}, "concurrency is 0; it has to be at least 1"),
        (
            {"address": ADDRESS, "miss_probability": 2},
            "the probability of missing one is 2.0; it has to be between",
        ),
    ],
)
def test_a_wrong_option_is_named(probe: Probe, options: dict[str, Any], message: str) -> None:
    found = probe(**options)
    assert found["failed"]
    assert found["msg"].startswith(message)
