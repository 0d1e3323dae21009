# SPDX-License-Identifier: GPL-3.0-or-later
"""The phases of a drain, and what is announced in each."""

from __future__ import annotations

import pytest
from daemon.speaker.snapshots import advertisement, configuration, only, peer, pool, snapshot
from hypothesis import given
from hypothesis import strategies as st

from vipcast.bgp.route import GRACEFUL_SHUTDOWN, Route
from vipcast.speaker.decide import Decision, decide
from vipcast.speaker.drain import Drain, Phase, Request, follow, judge, read_wait
from vipcast.speaker.reasons import NotAnnounced

ORDER = [None, Phase.SHUTTING_DOWN, Phase.WITHDRAWN, Phase.ENDED]


def phase(request: Request | None, now: float) -> Phase | None:
    drain = judge(request, now)
    return drain.phase if drain else None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 10), ("30s", 30), ("30", 30), ("1m30s", 90), ("0s", 0), ("0", 0), (" 5s ", 5), ("1h", 3600)],
)
def test_the_value_is_how_long_routers_have_to_look_for_another_way(text: str, seconds: float) -> None:
    assert read_wait(text) == (seconds, None)


@pytest.mark.parametrize(("text", "seconds"), [("yes", 10), ("-3s", 10), ("2h", 3600), ("true", 10)])
def test_a_value_that_makes_no_sense_drains_all_the_same_and_is_named(text: str, seconds: float) -> None:
    wait, problem = read_wait(text)
    assert wait == seconds
    assert problem and repr(text) in problem
    request = follow(None, text, 0.0, first=False)
    assert (drain := judge(request, 1.0)) and drain.problem == problem


def test_the_phases_follow_each_other_and_each_says_when_it_ends() -> None:
    request = follow(None, "20s", 100.0, first=False)
    assert judge(request, 100.0) == Drain(Phase.SHUTTING_DOWN, 120.0)
    assert judge(request, 119.9) == Drain(Phase.SHUTTING_DOWN, 120.0)
    assert judge(request, 120.0) == Drain(Phase.WITHDRAWN, 121.0)
    assert judge(request, 121.0) == Drain(Phase.ENDED)
    assert judge(request, 1e9) == Drain(Phase.ENDED)


def test_no_annotation_is_no_drain_also_after_one() -> None:
    assert judge(follow(None, None, 0.0, first=True), 0.0) is None
    request = follow(None, "", 0.0, first=False)
    assert judge(follow(request, None, 50.0, first=False), 50.0) is None


def test_another_value_does_not_begin_the_drain_again() -> None:
    request = follow(None, "5s", 0.0, first=False)
    later = follow(request, "60s", 30.0, first=False)
    assert phase(later, 30.0) is Phase.ENDED


def test_a_speaker_that_starts_in_a_drain_announces_nothing() -> None:
    request = follow(None, "60s", 0.0, first=True)
    assert phase(request, 0.0) is Phase.WITHDRAWN
    assert phase(request, 9.9) is Phase.WITHDRAWN
    assert phase(request, 10.0) is Phase.ENDED


@given(
    st.lists(st.tuples(st.floats(0, 30), st.sampled_from(["", "3s", "x", "0"])), min_size=1, max_size=20),
    st.booleans(),
)
def test_while_the_annotation_stays_a_drain_only_goes_on(
    looks: list[tuple[float, str]], at_start: bool
) -> None:
    request, now, before = None, 0.0, 0
    for step, text in looks:
        now += step
        request = follow(request, text, now, first=at_start and request is None)
        found = ORDER.index(phase(request, now))
        assert found >= max(before, 1)
        before = found


# -- what is announced ---------------------------------------------------------------------------------------

CONFIG = configuration(
    pool(),
    peer(),
    peer("inside", "10.31.254.252", peerASN=64513),
    advertisement(communities=["1:1"], localPref=300),
)


def decided(drain: Drain | None) -> Decision:
    return decide(snapshot(configuration=CONFIG, drain=drain))


def only_route(decision: Decision, name: str) -> Route:
    (route,) = decision.routes[name]
    return route


def test_while_it_shuts_down_every_route_asks_for_another_way() -> None:
    leaving = decided(Drain(Phase.SHUTTING_DOWN, 10.0))
    outside, inside = only_route(leaving, "tor"), only_route(leaving, "inside")
    assert outside.communities == inside.communities == {1 << 16 | 1, GRACEFUL_SHUTDOWN}
    assert (outside.local_pref, inside.local_pref) == (None, 0)
    assert only(leaving).announced
    assert leaving.sessions == leaving.peers


def test_then_nothing_is_announced_and_the_sessions_stay() -> None:
    withdrawn = decided(Drain(Phase.WITHDRAWN, 10.0))
    assert withdrawn.routes == {"tor": frozenset(), "inside": frozenset()}
    assert only(withdrawn).reason is NotAnnounced.NODE_DRAINED
    assert withdrawn.sessions == withdrawn.peers != ()


def test_in_the_end_there_are_no_sessions_and_it_is_known_which_there_would_be() -> None:
    ended = decided(Drain(Phase.ENDED))
    assert ended.sessions == ()
    assert [each.name for each in ended.peers] == ["inside", "tor"]
    assert ended.drain == Drain(Phase.ENDED)


def test_when_the_drain_is_over_all_is_as_before() -> None:
    assert decided(None) == decide(snapshot(configuration=CONFIG))
    assert only_route(decided(None), "inside").local_pref == 300
