# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure whether anybody alive is taken for dead while every core is busy: `vipcast layer2` on three nodes.

    sudo .venv/bin/python tests/bench/layer2_hold.py [--seconds N] [--profile NAME ...] [--load N]

Each profile has a segment of its own (namespaces, veth), all at the same time, with real processes of the
priority that they have in a cluster. The load is one busy process for each core and one more, of ordinary
priority. Printed are, for each profile, how often a member was found dead, how often an address moved, and
how many questions in a row a client, which shares the load, asked in vain (it asks every 20 ms).
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from bench.burning import ONE_TOO_MANY, loaded  # noqa: E402
from daemon.interop.network import lacking  # noqa: E402
from daemon.layer2_agent.harness import Asking, Cluster, Net  # noqa: E402

PROFILES = ("default", "fast", "calm")


class Held:
    """A profile's three nodes, and a client."""

    def __init__(self, profile: str, stack: contextlib.ExitStack) -> None:
        self.profile = profile
        net = stack.enter_context(Net())
        self.cluster = stack.enter_context(Cluster(net, profile=profile))
        self.cluster.settle()
        self.asking = stack.enter_context(Asking(net))
        self._moves = self._moved()
        self._deaths = self._dead()

    def _moved(self) -> int:
        return sum(len(speaker.moves) for speaker in self.cluster.speakers.values())

    def _dead(self) -> int:
        """Return the changes that the processes say in their logs."""
        events = (event for process in self.cluster.processes.values() for event in process.events())
        return sum(event["event"] == "member_changed" and event["new"] == "dead" for event in events)

    def report(self, seconds: float, load: int) -> str:
        spent = sum(each.processor_time() for each in self.cluster.processes.values())
        return (
            f"{self.profile}: {seconds:g} s, {load} busy; found dead {self._dead() - self._deaths} times, "
            f"{self._moved() - self._moves} moves; {len(self.asking.asked)} questions, at most "
            f"{self.asking.most_in_vain()} in a row in vain; {spent:.1f} s of a core for three processes"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--profile", choices=PROFILES, nargs="+", default=list(PROFILES))
    parser.add_argument("--load", type=int, default=ONE_TOO_MANY)
    options = parser.parse_args()
    if (lack := lacking()) is not None:
        sys.exit(lack)
    with contextlib.ExitStack() as stack:
        held = [Held(profile, stack) for profile in options.profile]
        loaded(options.seconds, options.load)
        for each in held:
            print(each.report(options.seconds, options.load), flush=True)


if __name__ == "__main__":
    main()
