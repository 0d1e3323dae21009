# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a start of many costs, and that what is told comes to an end."""

from __future__ import annotations

from collections import Counter

from daemon.membership.simulation import KEY, Segment, addresses, want
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vipcast.membership.entries import Kind
from vipcast.membership.packet import Packet, decode
from vipcast.membership.topology import Topology
from vipcast.membership.versions import codec

TWELVE = tuple(f"node-{number:02d}" for number in range(12))
SIXTY = addresses(60)
HEARTBEATS = 15  # in the time that is looked at, of one member to another


def told(made: Segment) -> Counter[int]:
    """Count the entries that were told since the trace began, by kind."""
    found: Counter[int] = Counter()
    for _at, _sender, _receiver, data in made.trace or ():
        packet = decode(data, (KEY,))
        if isinstance(packet, Packet):
            found.update(int(key[0]) for key, _value in codec(packet.version)[1](packet.body).entries)
    return found


def starting(spread: float) -> Segment:
    """Start twelve within so many seconds, and run for a second and a half."""
    made = Segment(TWELVE)
    made.trace = []
    made.want({address: want(address, TWELVE) for address in SIXTY})
    for name in TWELVE:
        made.start(name)
        made.run(spread / len(TWELVE))
    made.run(1.5)
    assert all(len(made.owners(address)) == 1 for address in SIXTY)
    return made


def test_those_that_start_together_choose_their_pairs_once() -> None:
    """Each sends its heartbeats, to eight at most, and few packets besides."""
    made = starting(0.0)
    assert made.sent.total() / len(TWELVE) < 8 * HEARTBEATS + 80
    assert told(made)[Kind.VOTES] / len(TWELVE) < 8 * len(TWELVE) * 1.5


def test_one_whose_pairs_are_all_away_finds_the_others_before_it_claims_anything() -> None:
    """It counts on its pairs at first; where none of them is there it tries others in time."""
    pairs = Topology(TWELVE).neighbors(TWELVE[0], lambda _name: True)
    rest = [name for name in TWELVE if name not in {TWELVE[0], *pairs}]
    assert len(rest) >= 3
    made = Segment(TWELVE)
    made.want({address: want(address, TWELVE) for address in SIXTY})
    made.start(*rest)
    made.run(3.0)
    moves = len(made.moves())
    made.start(TWELVE[0])
    made.run(2.0)
    assert len(made.moves()) == moves
    assert all(len(made.owners(address)) == 1 for address in SIXTY)


def test_those_that_start_one_after_the_other_tell_news_together() -> None:
    made = starting(1.0)
    assert made.sent.total() / len(TWELVE) < 2 * 8 * HEARTBEATS + 250


# ---- it comes to an end ----

CHANGES = st.lists(
    st.tuples(st.sampled_from(["kill", "start", "split", "heal", "want"]), st.integers(0, 4095)), max_size=8
)


def disturb(made: Segment, what: str, how: int) -> None:
    """Do something to a segment; the number says to whom, or how."""
    name = made.names[how % len(made.names)]
    running = name in made.nodes
    if what == "kill" and running:
        made.kill(name)
    elif what == "start" and not running:
        made.start(name)
    elif what == "split":
        side = {each: how >> number & 1 for number, each in enumerate(made.names)}
        made.cut = lambda sender, receiver: side[sender] != side[receiver]
    elif what == "heal":
        made.heal()
    elif what == "want":
        wanted = SIXTY[how % 60 :]
        made.want({address: want(address, made.names) for address in wanted}, name)
    made.run(0.1 + how % 16 / 10)


@settings(max_examples=5, deadline=None)
@example(3, 1, [("kill", 0), ("start", 0)])
@given(st.sampled_from([2, 3, 4, 10]), st.integers(0, 1000), CHANGES)
def test_whatever_happened_those_that_hear_each_other_agree_and_then_tell_nothing(
    count: int, seed: int, changes: list[tuple[str, int]]
) -> None:
    made = Segment(TWELVE[:count], seed=seed)
    made.want({address: want(address, made.names) for address in SIXTY})
    made.start()
    made.run(1.0)
    for what, how in changes:
        disturb(made, what, how)
    made.heal()
    made.run(35.0)  # who was away often is let in again
    claims = [node.members.claims for node in made.nodes.values()]
    assert all(one == claims[0] for one in claims)
    made.trace = []
    made.run(3.0)
    made.trace = [each for each in made.trace if each[2] in made.nodes]
    assert not told(made), "nothing is told any more"
