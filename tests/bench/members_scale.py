# SPDX-License-Identifier: GPL-3.0-or-later
"""What membership costs, and how soon it knows: the tables of docs/design/0017-layer2.md.

    .venv/bin/python tests/bench/members_scale.py [--sizes 3,10,100,1000] [--deaths 200] [--hours 1]
        [--parts cost,death,loss,size]

Virtual time: the members are real, the segment between them is `tests/daemon/members/simulation.py`, where
a packet takes 0.2 to 0.3 ms. Prints the time of a core for a packet; for each profile how long after the
death of one of three its addresses are owned again, and how often somebody alive is found dead while
packets are lost; for each size what a member sends in a second, and how long after a death its addresses
are owned and all know it.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from daemon.members.simulation import Cable, Node, Segment, addresses, want  # noqa: E402

from vipcast.members import PROFILES, MemberChanged, MemberState  # noqa: E402
from vipcast.members.words import Address  # noqa: E402

# So many are started all at once; more begin as some time after it, or it would take an hour.
STARTED = 200


def segment(count: int, profile: str, wanted: list[Address], seed: int = 1, loss: float = 0.0) -> Segment:
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
    return not node.members._shared.there(name)


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


def death(made: Segment, wanted: list[Address]) -> tuple[float, float]:
    """Until everything is owned again, and until everyone knows."""
    made.run(made.random.uniform(1.0, 1.5))
    victim = made.owners(made.random.choice(wanted))[0]
    lost = [address for address in wanted if made.owners(address) == [victim]]
    made.kill(victim)
    others = list(made.nodes.values())
    owned = made.run_until(lambda: all(len(made.owners(address)) == 1 for address in lost), 5, 0.001)
    known = made.run_until(lambda: all(dead(node, victim) for node in others), 5, 0.001)
    return owned, owned + known


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
    """Of one member, with an ordinary clock; the segment's own work is not in it."""
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="3,10,100,1000")
    parser.add_argument("--deaths", type=int, default=200)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--parts", default="cost,death,loss,size")
    options = parser.parse_args()
    parts = options.parts.split(",")
    for count in (3, 9, 30) if "cost" in parts else ():
        cost(count)
    for profile, loss in itertools.product(PROFILES, (0.0, 0.01)) if "death" in parts else ():
        failover(profile, options.deaths, loss)
    for profile, loss in itertools.product(PROFILES, (0.01, 0.05, 0.1)) if "loss" in parts else ():
        false_positives(profile, loss, options.hours)
    if "size" in parts:
        print("| members | packets a second | octets | owned again | known to all |")
        for count in map(int, options.sizes.split(",")):
            size(count, 20 if count <= 100 else 3)


if __name__ == "__main__":
    main()
