# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens to a segment: when it has come to rest, each part of it has one owner for each address.

Hypothesis draws what happens: members die, start, leave, hand over, sleep, lose their interface; the API
lists other candidates, to all or to some; the segment is split, or a cable is bad in one direction. And
packets are lost, doubled and late all the time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from daemon.membership.simulation import Cable, Segment, addresses, want
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vipcast.membership import MemberState

ALL = addresses(8)
# What the worst damping of a node that was found dead again and again may take.
REST = 35.0
# After a disturbance; from then on two owners are a fault.
SETTLING = 1.0
# More of them: `VIPCAST_CHAOS=1000`.
EXAMPLES = int(os.environ.get("VIPCAST_CHAOS", "6"))

Step = tuple[str, int, int]

steps = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "kill",
                "start",
                "leave",
                "successor",
                "sleep",
                "split",
                "cable",
                "heal",
                "want",
                "skew",
                "unable",
                "able",
            ]
        ),
        st.integers(0, 15),
        st.integers(0, 63),
    ),
    max_size=12,
)
cables = st.builds(
    Cable,
    loss=st.sampled_from([0.0, 0.01, 0.1]),
    doubled=st.sampled_from([0.0, 0.1]),
    late=st.sampled_from([0.0, 0.1]),
)


class Chaos:
    def __init__(self, count: int, seed: int, cable: Cable, preempt: bool) -> None:
        self.names = [f"n{number}" for number in range(count)]
        self.segment = Segment(self.names, seed=seed, cable=cable)
        self.preempt = preempt
        self.side = dict.fromkeys(self.names, 0)
        self.candidates = {name: frozenset(self.names) for name in self.names}
        self.unable: set[str] = set()
        self._tell(self.names)
        self.segment.start(preempt=preempt)
        self.segment.run(1)

    # ---- what happens; numbers choose to whom, and how ----

    def step(self, what: str, who: int, how: int) -> None:
        name = self.names[who % len(self.names)]
        running = name in self.segment.nodes
        action: Callable[[str, int], None] = getattr(self, f"_{what}")
        if running or what in ("start", "split", "cable", "heal", "want", "skew"):
            action(name, how)
        self.segment.run(0.05 * (how % 16))

    def _kill(self, name: str, _how: int) -> None:
        self.segment.kill(name)

    def _start(self, name: str, _how: int) -> None:
        if name not in self.segment.nodes:
            self.unable.discard(name)
            self.segment.start(name, preempt=self.preempt)

    def _leave(self, name: str, _how: int) -> None:
        self.segment.do(name, lambda members, now: members.leave(now))
        self.segment.run(4)
        assert self.segment.nodes[name].members.left
        assert not self.segment.nodes[name].members.held
        self.segment.kill(name)

    def _successor(self, name: str, _how: int) -> None:
        self.segment.hand_over(name)
        self.segment.nodes[name].members.preempt = self.preempt
        if name in self.unable:
            self._unable(name, 0)

    def _sleep(self, name: str, how: int) -> None:
        self.segment.sleep(name, how / 16)

    def _split(self, _name: str, how: int) -> None:
        self.side = {name: how >> number & 1 for number, name in enumerate(self.names)}
        self.segment.cut = lambda sender, receiver: self.side[sender] != self.side[receiver]

    def _cable(self, name: str, how: int) -> None:
        other = self.names[how % len(self.names)]
        self.side = dict.fromkeys(self.names, 0)
        self.segment.cut_between((name, other))

    def _heal(self, _name: str, _how: int) -> None:
        self.side = dict.fromkeys(self.names, 0)
        self.segment.heal()

    def _tell(self, names: Iterable[str]) -> None:
        for name in names:
            self.segment.want({address: want(address, self.candidates[name]) for address in ALL}, name)

    def _some(self, how: int) -> frozenset[str]:
        return frozenset(name for number, name in enumerate(self.names) if how >> number & 1)

    def _skew(self, name: str, how: int) -> None:
        self.candidates[name] = self._some(how)
        self._tell([name])

    def _want(self, _name: str, how: int) -> None:
        self.candidates = dict.fromkeys(self.names, self._some(how))
        self._tell(self.names)

    def _unable(self, name: str, _how: int) -> None:
        self.unable.add(name)
        self.segment.do(name, lambda members, now: members.set_unable(ALL, now))

    def _able(self, name: str, _how: int) -> None:
        self.unable.discard(name)
        self.segment.do(name, lambda members, now: members.set_unable([], now))

    # ---- what holds ----

    def parts(self) -> list[set[str]]:
        running = set(self.segment.nodes)
        return [part for side in (0, 1) if (part := {name for name in running if self.side[name] == side})]

    def check_rest(self) -> None:
        for part in self.parts():
            able = {name for name in part - self.unable if name in self.candidates[name]}
            for address in ALL:
                owners = set(self.segment.owners(address)) & part
                if able:
                    assert len(owners) == 1, (part, able, owners)
                    assert owners <= able
                else:
                    assert len(owners) <= 1, "who had it goes on, for want of another"
                    assert not owners & self.unable
                said = {node.members.claims.get(address) for node in self._nodes(part)}
                assert len(said) == 1, "all of a part say the same"

    def _nodes(self, part: set[str]) -> list:  # type: ignore[type-arg]
        return [self.segment.nodes[name] for name in sorted(part)]


def play(count: int, seed: int, cable: Cable, preempt: bool, drawn: list[Step]) -> Chaos:
    chaos = Chaos(count, seed, cable, preempt)
    for step in drawn:
        chaos.step(*step)
    return chaos


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(2, 6), st.integers(0, 1000), cables, st.booleans(), steps)
def test_at_rest_each_part_has_one_owner_and_nothing_moves(
    count: int, seed: int, cable: Cable, preempt: bool, drawn: list[Step]
) -> None:
    chaos = play(count, seed, cable, preempt, [step for step in drawn if step[0] != "cable"])
    chaos.segment.cable.loss = min(cable.loss, 0.01)
    chaos.segment.run(REST)
    chaos.check_rest()
    moves = len(chaos.segment.moves())
    chaos.segment.run(10)
    assert len(chaos.segment.moves()) == moves


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(2, 6), st.integers(0, 1000), cables, steps)
def test_a_second_after_it_is_whole_again_no_address_has_two_owners(
    count: int, seed: int, cable: Cable, drawn: list[Step]
) -> None:
    cable.loss = min(cable.loss, 0.01)
    chaos = play(count, seed, cable, False, [step for step in drawn if step[0] != "skew"])
    chaos._heal("", 0)
    for node in chaos.segment.nodes.values():
        node.sleeps_until = min(node.sleeps_until, chaos.segment.now)
    chaos.segment.run(SETTLING)
    twice: list[object] = []
    chaos.segment.watch = lambda: twice.extend(
        (chaos.segment.now, owners) for address in ALL if len(owners := chaos.segment.owners(address)) > 1
    )
    chaos.segment.run(3)
    assert twice == []
    for node in chaos.segment.nodes.values():
        states = {name: member.state for name, member in node.members.members.items()}
        for name in chaos.segment.nodes:
            assert states[name] in (MemberState.ALIVE, MemberState.DEAD), "found dead too often: it waits"
