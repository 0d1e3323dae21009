# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what an answer costs in the process itself, without its socket: microseconds for each frame.

Each figure is the best of several runs, with one address and with 5,000. Also: how long the process is busy
with saying that it has 2,000 addresses, how long the kernel's filter for 5,000 is in the making, and (in
virtual time) how long it takes to announce the addresses of a node that died at several rates.

    python tests/bench/layer2_codec.py
"""

from __future__ import annotations

import itertools
import sys
import timeit
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from time import process_time

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from daemon.layer2.wire_cases import ARP, NDP, OURS, THEIR4, THEIRS, VIP, VIP6  # noqa: E402

from vipcast.layer2 import arp  # noqa: E402
from vipcast.layer2.announcer import Announcer, AnnouncerSettings  # noqa: E402
from vipcast.layer2.kernel_filter import arp_filter, encode, ndp_filter  # noqa: E402
from vipcast.layer2.responder import Responder  # noqa: E402

FRAMES = {
    "ARP request": ARP["request"][0],
    "ARP request to us alone": replace(ARP["request"][1], destination=OURS).encode(),
    "neighbor solicitation": NDP["solicitation"][0],
    "duplicate address detection": NDP["duplicate address detection"][0],
    "ARP request for another's": replace(ARP["request"][1], target=THEIR4).encode(),
    "another announces ours": arp.announcements(THEIRS, VIP)[1],
}
MANY, TAKEN_OVER = 5000, 2000
# Frames a second that are no limit, and frames of an address that was said six times.
UNPOLICED, SIX_TIMES = 10_000, 12
OTHERS, OTHERS6 = IPv4Address("10.31.0.0"), IPv6Address("fd00::")


def responder(count: int) -> Responder:
    one = Responder(OURS, {OURS})
    one.own(VIP)
    one.own(VIP6)
    for number in range(1, count):
        one.own(OTHERS + number)
        one.own(OTHERS6 + number)
    return one


def microseconds(work: Callable[[], object], times: int = 500, repeat: int = 60) -> float:
    """Return the median of short runs, since other processes come between."""
    return min(timeit.repeat(work, timer=process_time, number=times, repeat=repeat)) / times * 1e6


def announcing() -> float:
    """Seconds of CPU for the first announcement of each."""
    one = announcer(UNPOLICED)
    start = process_time()
    for number in range(TAKEN_OVER):
        one.claim(OTHERS + number, 0.0)
    frames, now = 0, 0.0
    while frames < 2 * TAKEN_OVER:
        now = one.timer() or now
        frames += len(one.handle_timer(now))
    return process_time() - start


def announcer(rate: float) -> Announcer:
    one = Announcer(AnnouncerSettings(frames_per_second=rate))
    one.set_interfaces({"eth0": OURS}, 0.0)
    return one


def taken_over(count: int, rate: float) -> tuple[float, float]:
    """Return after how many seconds the last of so many has been said once, and everything six times."""
    one = announcer(rate)
    for number in range(count):
        one.claim(OTHERS + number, 0.0)
    said: set[bytes] = set()
    first = now = 0.0
    while any(sent < SIX_TIMES for sent in one.sent.values()):
        now = one.timer() or now
        frames = {frame[38:42] for _interface, frame in one.handle_timer(now)}
        first = now if frames - said else first
        said |= frames
    return first, now


def main() -> None:
    for rate, successors in itertools.product((250, 1000, UNPOLICED), (1, 2, 9)):
        first, all_of_it = taken_over(1000 // successors, rate)
        print(
            f"a node with 1,000 addresses dies, {successors} others have them, {rate} frames a second each:"
            f" all said once after {first:.2f} s, six times after {all_of_it:.1f} s"
        )
    few, many = responder(1), responder(MANY)
    print(f"{'microseconds a frame':<30}{'1 address':>12}{f'{MANY} addresses':>18}")
    for name, frame in FRAMES.items():
        figures = [microseconds(lambda one=one, frame=frame: one.answer(frame)) for one in (few, many)]
        print(f"{name:<30}{figures[0]:>12.1f}{figures[1]:>18.1f}")
    took = min(announcing() for _again in range(3))
    print(f"{TAKEN_OVER} addresses announced: {took * 1000:.0f} ms of CPU")
    four = [OTHERS + 3 * number for number in range(MANY)]
    six = [OTHERS6 + 3 * number for number in range(MANY)]
    for name, build in (
        ("ARP", lambda: encode(arp_filter(four))),
        ("neighbor discovery", lambda: encode(ndp_filter(six))),
    ):
        took, size = microseconds(build, 1, 9) / 1000, len(build()) // 8
        print(f"filter for {name}, {MANY} addresses: {size} instructions in {took:.0f} ms")


if __name__ == "__main__":
    main()
