# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what membership costs, and how soon it knows: the tables of docs/design/0017-layer2.md.

    .venv/bin/python tests/bench/members_scale.py [--sizes 3,10,100,1000] [--deaths 200] [--hours 1]
        [--parts cost,death,loss,size,partial,start] [--starts 30x500,20x5000]

Virtual time: the members are real, the segment between them is `tests/daemon/membership/simulation.py`, where
a packet takes 0.2 to 0.3 ms. Prints the time of a core for a packet; for each profile how long after the
death of one of three its addresses are owned again, and how often somebody alive is found dead while
packets are lost; for each size what a member sends in a second, and how long after a death its addresses
are owned and all know it.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from daemon.membership.simulation import Cable, Node, Segment, addresses, want  # noqa: E402

from vipcast.membership import PROFILES, MemberChanged, MemberState  # noqa: E402
from vipcast.model.addresses import IPAddress  # noqa: E402

# So many are started all at once; more begin as some time after it, or it would take an hour.
STARTED = 200


def segment(count: int, profile: str, wanted: list[IPAddress], seed: int = 1, loss: float = 0.0) -> Segment:
    names = [f"node-{number:04}" for number in range(count)]
    made = Segment(names, profile, seed=seed, cable=Cable(loss=loss))
    made.want({address: want(address, names) for address in wanted})
    if count <= STARTED:
        made.start()
    else:
        made.start_settled()
    made.run(8 * PROFILES[profile].dead_after)
    return made


def dead(node: Node, name: str) -> bool:
    return not node.members._state.is_present(name)


def spread(values: list[float]) -> str:
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    median, most = statistics.median(ordered), ordered[-1]
    return f"median {1000 * median:.0f} ms, p99 {1000 * p99:.0f}, max {1000 * most:.0f}"


# ---- sizes ----


def size(count: int, deaths: int) -> None:
    wanted = addresses(50)
    begin = time.process_time()
    made = segment(count, "default", wanted)
    sent, octets, seconds = made.sent.total(), made.octets, 2.0
    made.run(seconds)
    rate = (made.sent.total() - sent) / seconds / count
    length = (made.octets - octets) / (made.sent.total() - sent)
    owned, known = [], []
    for _again in range(min(deaths, count - 2)):
        one, everyone = death(made, wanted)
        owned.append(one)
        known.append(everyone)
    print(
        f"| {count} | {rate:.0f} | {length:.0f} | {1000 * max(owned):.0f} ms | {1000 * max(known):.0f} ms |"
        f" {len(owned)} deaths, {time.process_time() - begin:.0f} s of a core",
        flush=True,
    )


def death(made: Segment, wanted: list[IPAddress]) -> tuple[float, float]:
    """Return the seconds until everything is owned again, and until everyone knows."""
    made.run(made.random.uniform(1.0, 1.5))
    victim = made.owners(made.random.choice(wanted))[0]
    lost = [address for address in wanted if made.owners(address) == [victim]]
    made.kill(victim)
    others = list(made.nodes.values())
    owned = made.run_until(lambda: all(len(made.owners(address)) == 1 for address in lost), 5, 0.001)
    known = made.run_until(lambda: all(dead(node, victim) for node in others), 5, 0.001)
    return owned, owned + known


# ---- a start of all at once ----


def start(count: int, wanted: int) -> None:
    """Print what each has sent a second and a half after all were started, and the time of a core for it."""
    names, all_wanted = [f"node-{number:04}" for number in range(count)], addresses(wanted)
    made = Segment(names)
    made.want({address: want(address, names) for address in all_wanted})
    begin = time.process_time()
    made.start()
    made.run(1.5)
    spent = (time.process_time() - begin) / count
    done = all(len(made.owners(address)) == 1 for address in all_wanted)
    print(
        f"| {count} | {wanted} | {made.sent.total() / count:.0f} | {made.octets / count / 1000:.0f} kB |"
        f" {spent:.2f} s | {'all owned' if done else 'not all owned'}",
        flush=True,
    )


# ---- profiles ----


def failover(profile: str, deaths: int, loss: float) -> None:
    """One of three dies; it comes back in between."""
    wanted = addresses(6)
    made, found = segment(3, profile, wanted, loss=loss), []
    for _again in range(deaths):
        made.run(made.random.uniform(1, 1.2) * 4 * PROFILES[profile].dead_after)
        victim = next(owners[0] for address in wanted if (owners := made.owners(address)))
        made.kill(victim)
        found.append(made.run_until(lambda: all(len(made.owners(one)) == 1 for one in wanted), 30))
        made.start(victim)
    print(f"{profile:8} {loss:4.0%} lost: owned again after {spread(found)} ({deaths} deaths)", flush=True)


def false_positives(profile: str, loss: float, hours: float) -> None:
    made = segment(3, profile, addresses(6), loss=loss)
    moves = len(made.moves())
    made.run(hours * 3600)
    found = [
        event
        for node in made.nodes.values()
        for _at, event in node.events
        if isinstance(event, MemberChanged) and event.new is MemberState.DEAD
    ]
    print(
        f"{profile:8} {loss:4.0%} lost: found dead {len(found)} times in {hours:g} h,"
        f" {len(made.moves()) - moves} moves",
        flush=True,
    )


# ---- cost ----


def cost(count: int) -> None:
    """Measure one member with an ordinary clock; the segment's own work is not in it."""
    made = segment(count, "default", addresses(50))
    name = made.names[0]
    node, inbox = made.nodes[name], []
    deliver = made.deliver
    made.deliver = lambda receiver, data, source: (  # type: ignore[method-assign]
        inbox.append((data, source)) if receiver == name else deliver(receiver, data, source)
    )
    received = sent = 0
    taking = making = 0.0
    for _again in range(300):
        inbox.clear()
        at = node.members.timer() - node.offset
        made._armed.pop(name, None)
        made.run(max(0.0, at - made.now))
        now = made.time(node)
        begin = time.process_time()
        for data, source in inbox:
            node.members.receive(data, source, now)
        between = time.process_time()
        node.members.handle_timer(now)
        making += time.process_time() - between
        taking += between - begin
        received += len(inbox)
        out = node.members.output()
        sent += len(out)
        for place, data in out:
            made._send(node, made._places.get(place), data)
    print(
        f"{count} members: {1e6 * taking / received:.0f} us for a packet received,"
        f" {1e6 * making / sent:.0f} us for one sent,"
        f" {(taking + making) / (300 * 0.095):.2%} of a core",
        flush=True,
    )


# ---- partial connectivity ----

Lost = set[tuple[str, str]]


def shapes() -> Iterator[tuple[str, list[str], Lost]]:
    """Yield segments that are hard: names, and which directions are lost."""
    four, five, six = (list("abcdef"[:count]) for count in (4, 5, 6))
    yield "4 nodes, a->b and a->c lost", four, {("a", "b"), ("a", "c")}
    ring = {(one, other) for one in five for other in five if (ord(one) - ord(other)) % 5 not in (0, 1, 4)}
    yield "ring of 5", five, ring
    halves = {pair for pair in crossing(six) if {*pair} not in ({"a", "d"}, {"b", "e"})}
    yield "abc and def, two good cables between", six, halves
    leaves = {(one, other) for one in six[1:] for other in six[1:] if one != other}
    yield "star of 6", six, leaves
    for count, share, number in itertools.product((4, 6, 8, 12), (0.25, 0.5), range(6)):
        names = [f"n{each:02}" for each in range(count)]
        chance = random.Random(f"{count} {share} {number}")
        lost = {pair for pair in sorted(crossing(names)) if chance.random() < share}
        yield f"{count} nodes, {share:.0%} of the crossing flows lost, drawing {number}", names, lost


def crossing(names: list[str]) -> Lost:
    half = names[: len(names) // 2]
    return {(one, other) for one in names for other in names if (one in half) != (other in half)}


def partial(seconds: float = 5.0) -> None:
    """Print what goes on when each has had ten seconds to come to rest."""
    for title, names, lost in shapes():
        wanted = addresses(8)
        made = segment_of(names, wanted)
        made.cut_between(*lost)
        made.run(10)
        moves, sent, twice, looks = len(made.moves()), made.sent.total(), 0, 0
        for _each in range(round(seconds * 20)):
            made.run(0.05)
            looks += len(wanted)
            twice += sum(len(made.owners(address)) > 1 for address in wanted)
        rate = (made.sent.total() - sent) / seconds / len(names)
        print(
            f"| {title} | {(len(made.moves()) - moves) / seconds:.1f} | {rate:.0f} | {twice / looks:.0%} |",
            flush=True,
        )


def segment_of(names: list[str], wanted: list[IPAddress]) -> Segment:
    made = Segment(names)
    made.want({address: want(address, names) for address in wanted})
    made.start()
    made.run(3)
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="3,10,100,1000")
    parser.add_argument("--deaths", type=int, default=200)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--starts", default="9x500,30x500,20x5000")
    parser.add_argument("--parts", default="cost,death,loss,size")
    options = parser.parse_args()
    parts = options.parts.split(",")
    for count in (3, 9, 30) if "cost" in parts else ():
        cost(count)
    for profile, loss in itertools.product(PROFILES, (0.0, 0.01)) if "death" in parts else ():
        failover(profile, options.deaths, loss)
    for profile, loss in itertools.product(PROFILES, (0.01, 0.05, 0.1)) if "loss" in parts else ():
        false_positives(profile, loss, options.hours)
    if "partial" in parts:
        print("| who does not hear whom | moves a second | packets a second of each | owned twice |")
        partial()
    if "start" in parts:
        print("| members | addresses | packets of each | octets of each | of a core for each |")
        for members, wanted in (each.split("x") for each in options.starts.split(",")):
            start(int(members), int(wanted))
    if "size" in parts:
        print("| members | packets a second | octets | owned again | known to all |")
        for count in map(int, options.sizes.split(",")):
            size(count, 20 if count <= 100 else 3)


if __name__ == "__main__":
    main()
