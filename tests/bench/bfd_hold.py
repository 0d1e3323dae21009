# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how short an interval holds: `vipcast bfd` against FRR's bfdd while every core is busy.

    sudo .venv/bin/python tests/bench/bfd_hold.py [--seconds N] [--intervals 100,50,30] [--load N]
                                                  [--sessions N] [--realtime] [--router-realtime]

For each interval (milliseconds, three times) it holds the sessions for the given seconds and prints how often
Up was lost, on which side, and the longest gaps between two of our packets as tcpdump saw them leave. The
load is one busy process for each core and one more, of ordinary priority. A router is another machine, which
has not this load: with `--router-realtime` FRR's bfdd does not share it. Needs root, namespaces, Debian's frr
and tcpdump.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from ipaddress import ip_address
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from bench.burning import ONE_TOO_MANY, loaded  # noqa: E402
from daemon.bfd.harness import NODE, ROUTER, Asker, BfdProcess, BfdRouter, eventually, settings  # noqa: E402
from daemon.interop.frr import missing  # noqa: E402
from daemon.interop.network import run  # noqa: E402

_ORDINARY = ("setpriv", "--inh-caps=-sys_nice", "--bounding-set=-sys_nice")


def addresses(cable: BfdRouter, sessions: int) -> list[tuple[str, str]]:
    """Pairs (ours, the router's), each for one session."""
    pairs = [(NODE, ROUTER)]
    for number in range(1, sessions):
        ours, theirs = f"10.99.0.{100 + number}", f"10.99.0.{175 + number}"
        run("ip", "-n", cable.node, "addr", "add", f"{ours}/24", "dev", "eth0")
        run("ip", "-n", cable.router, "addr", "add", f"{theirs}/24", "dev", "eth0")
        pairs.append((ours, theirs))
    return pairs


def profile(pairs: list[tuple[str, str]], milliseconds: int) -> str:
    peers = (
        f" peer {ours} interface eth0 local-address {theirs}\n"
        f"  receive-interval {milliseconds}\n  transmit-interval {milliseconds}\n exit"
        for ours, theirs in pairs
    )
    return "bfd\n" + "\n".join(peers) + "\nexit"


def gaps(capture: Path) -> list[float]:
    """Return the gaps between packets of one source port, in seconds, the longest first."""
    shown = run("tcpdump", "-r", str(capture), "-tt", "-n", "-q")
    last: dict[str, float] = {}
    found = []
    for line in shown.splitlines():
        words = line.split()
        at, source = float(words[0]), words[2]
        if source in last:
            found.append(at - last[source])
        last[source] = at
    return sorted(found, reverse=True)


def hold(milliseconds: int, options: argparse.Namespace) -> None:
    prefix = () if options.realtime else _ORDINARY
    with BfdRouter() as router:
        pairs = addresses(router, options.sessions)
        router.start_all(profile(pairs, milliseconds))
        if options.router_realtime:
            pid = int((router.folder / "bfdd.pid").read_text())
            os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(10))
        interval = milliseconds / 1000
        wanted = {
            f"r{number}": settings(
                theirs, local=ip_address(ours), transmit_interval=interval, receive_interval=interval
            )
            for number, (ours, theirs) in enumerate(pairs)
        }
        with (
            BfdProcess(router.node, router.folder, prefix=prefix) as process,
            Asker(router.node, wanted) as asker,
        ):
            eventually(lambda: all(asker.status(name).up for name in wanted), "all are up", 30)
            eventually(lambda: all(router.bfd_up(ours) for ours, _theirs in pairs), "FRR too", 10)
            time.sleep(3)
            report(milliseconds, options, router, process, asker)


def capturing(router: BfdRouter, capture: Path) -> subprocess.Popen[bytes]:
    expression = f"udp dst port 3784 and src net 10.99.0.0/24 and not src host {ROUTER}"
    command = ("tcpdump", "-i", "eth0", "-Q", "out", "-w", str(capture), "-U", "-s", "80", expression)
    return subprocess.Popen(["ip", "netns", "exec", router.node, *command], stderr=subprocess.DEVNULL)


def report(
    milliseconds: int, options: argparse.Namespace, router: BfdRouter, process: BfdProcess, asker: Asker
) -> None:
    capture = router.folder / "bfd.pcap"
    tcpdump = capturing(router, capture)
    time.sleep(1)
    before = seconds_of(process)
    loaded(options.seconds, options.load)
    spent = seconds_of(process) - before
    time.sleep(1)
    tcpdump.terminate()
    tcpdump.wait()
    longest = gaps(capture)
    figures = (
        f"3 x {milliseconds} ms, {options.sessions} sessions, {options.seconds:g} s, {options.load} busy",
        f"lost here {sum(asker.status(name).went_down for name in asker.names)}",
        f"lost at FRR {sum(int(counters['session-down']) for counters in router.all_bfd_counters())}",
        f"our longest gaps {', '.join(f'{1000 * gap:.0f}' for gap in longest[:3])} of {3 * milliseconds} ms",
        f"{len(longest)} packets, CPU {100 * spent / options.seconds:.1f} %",
        f"{process.memory() / 2**20:.1f} MiB",
    )
    print("; ".join(figures), flush=True)


def seconds_of(process: BfdProcess) -> float:
    fields = Path(f"/proc/{process.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--intervals", default="100,50,30")
    parser.add_argument("--load", type=int, default=ONE_TOO_MANY)
    parser.add_argument("--sessions", type=int, default=1)
    parser.add_argument("--realtime", action="store_true", help="leave it CAP_SYS_NICE, which it uses")
    parser.add_argument("--router-realtime", action="store_true", help="FRR does not share the load")
    options = parser.parse_args()
    if (lack := missing()) is not None:
        sys.exit(lack)
    for milliseconds in options.intervals.split(","):
        hold(int(milliseconds), options)


if __name__ == "__main__":
    main()
