# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what a client notices when something fails or is taken out: requests lost, and for how long.

    .venv/bin/python tests/bench/failover.py [--rounds N] [--scenario NAME ...] [--inventory FOLDER]

On a running lab that is rolled out (`lab_up`, `lab_services`, `site`). A client on the lab's client host
sends 250 requests a second, each over a new connection, while one of these happens:

  power-off   a node loses its power: nothing says good-bye. Until the router's kernel dropped its next hop
  drain       playbooks/drain.yml takes a node out, and puts it back
  upgrade     the speakers are rolled out anew, node by node
  kill        a speaker gets SIGKILL; Kubernetes starts it again
  bgpd        the router's bgpd is restarted. Until all next hops are back

Times are from timestamps of one clock: all hosts of the lab share the machine's. The moment of a power cut is
the one at which the switch's port went down; next hops are watched by `ip monitor` on the router. `--load N`
keeps N processes busy on every node meanwhile. The table is printed; the rounds are in report/failover.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.asking import Client, Events, changes, routes_seen
from support.lab import CHECKOUT, Lab, eventually

RATE = 250
# Seconds after which a session counts as one that works (vipcast.bgp.backoff).
STABLE = 31
NAMESPACE = "metallb-system"
SPEAKER = "daemonset/speaker"


@dataclass
class Round:
    """One time that something happened. `seconds`: until the router's kernel was as it should be."""

    scenario: str
    requests: int
    failed: int
    seconds: float | None = None
    outage: float | None = None  # from what happened to the beginning of the last request that failed
    hidden: bool | None = None  # whether the next hop stayed in the kernel all the time
    longest: float = 0.0  # milliseconds of the slowest good request
    errors: dict[str, int] = field(default_factory=dict)


class Bench:
    """A lab that is rolled out, a service, and ways to look and to break."""

    def __init__(self, lab: Lab, load: int) -> None:
        self.lab = lab
        self.folder = lab.kubeconfig.parent
        self.ssh = lab.ssh
        self.name = json.loads((self.folder / "topology.json").read_text())["name"]
        self.address = str(lab.address("web-1"))
        self._load = load
        cards = lab.variables(lab.group("nodes")[0])["lab_interfaces"]
        self._segment = cards[0]["segment"]

    def on(self, host: str, command: str, check: bool = True) -> str:
        done = subprocess.run(
            [*self.ssh, host, command], text=True, capture_output=True, timeout=60, check=False
        )
        if check and done.returncode:
            raise SystemExit(f"on {host}: {command}: {done.stderr}")
        return done.stdout

    # -- what is seen --------------------------------------------------------------------------------------

    def hops(self) -> set[str]:
        """Next hops of the service in the router's kernel."""
        routes = json.loads(self.on(self.lab.router, f"ip -j route show {self.address}") or "[]")
        return {hop["gateway"] for route in routes for hop in route.get("nexthops", [route])}

    def nodes(self) -> dict[str, str]:
        return {host: self.lab.node_address(host) for host in self.lab.group("nodes")}

    def settled(self) -> bool:
        """Return whether every node is Ready, runs its speakers, and is a next hop."""
        if self.hops() != set(self.nodes().values()):
            return False
        sets = self.lab.get("daemonsets", "-n", NAMESPACE)["items"]
        return all(
            one["status"].get("numberReady") == one["status"].get("desiredNumberScheduled") for one in sets
        )

    def settle(self, timeout: float = 180) -> None:
        if not eventually(self.settled, timeout=timeout):
            raise SystemExit(f"the lab does not settle: next hops {self.hops()}, nodes {self.nodes()}")
        time.sleep(2)

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Processes that use every cycle they get, on each node, for as long as a round takes."""
        names = [host for host in self.nodes() for _each in range(self._load)]
        spin = "exec timeout 600 sh -c 'while :; do :; done'"
        running = [
            subprocess.Popen([*self.ssh, "-tt", host, spin], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            for host in names
        ]
        try:
            yield
        finally:
            for one in running:
                one.terminate()
                one.wait(10)

    def watch_routes(self) -> Events:
        return routes_seen(self.lab)

    def watch_switch(self) -> Events:
        return Events(["ip", "-n", f"{self.name}-switch", "-ts", "monitor", "link"])

    # -- what happens --------------------------------------------------------------------------------------

    def power(self, host: str, state: str) -> None:
        tool = CHECKOUT / "roles/lab/files/lab"
        done = subprocess.run(
            [sys.executable, "-B", str(tool), "power", str(self.folder), host, state],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"power {state} of {host}: {done.stderr}")

    def port_of(self, host: str) -> str:
        """The switch's port of a host's first card (roles/lab/files/lab/cables.py)."""
        number = (self.lab.group("nodes") + self.lab.group("routers") + self.lab.group("clients")).index(host)
        return f"h{number + 1}-eth0"

    @contextlib.contextmanager
    def asked(self, scenario: str) -> Iterator[Round]:
        """The client asks while the block runs, a little before and a little after."""
        one = Round(scenario, 0, 0)
        with self.busy():
            client = Client(self.lab, f"http://{self.address}/", rate=RATE)
            time.sleep(1)
            began = time.time()
            try:
                yield one
                time.sleep(1)
            finally:
                said = client.stop()
        one.requests, one.failed = said["requests"], len(said["failures"])
        one.longest = said["longest"]
        for failure in said["failures"]:
            word = re.sub(r".*: ", "", failure["error"])
            one.errors[word] = one.errors.get(word, 0) + 1
        if said["failures"]:
            one.outage = round(said["failures"][-1]["at"] - began, 3)


def _is_without(address: str, hop: str) -> Callable[[str], bool]:
    """Return whether an event says that the address has a route without this hop, or none."""

    def judge(event: str) -> bool:
        words = event.split()
        if address not in words:
            return False
        return words[0] == "Deleted" or ("via" in words and hop not in words)

    return judge


def _first(events: list[tuple[float, str]], condition: Callable[[str], bool], after: float) -> float | None:
    return next((moment for moment, event in events if moment >= after and condition(event)), None)


def _victim(bench: Bench, number: int) -> tuple[str, str]:
    """A node other than the one with the API server, another one each time."""
    nodes = [host for host in bench.nodes() if not bench.lab.variables(host).get("lab_control_plane")]
    host = nodes[number % len(nodes)]
    return host, bench.nodes()[host]


def power_off(bench: Bench, number: int) -> Round:
    """Wait until the router's kernel has no next hop that is dead."""
    host, hop = _victim(bench, number)
    routes, switch = bench.watch_routes(), bench.watch_switch()
    time.sleep(0.5)
    with bench.asked("power-off") as one:
        before = time.time()
        bench.power(host, "off")
        eventually(lambda: hop not in bench.hops(), timeout=150, interval=0.2)
    seen, ports = routes.stop(), switch.stop()
    cut = _first(ports, lambda event: f"{bench.port_of(host)}@" in event and "state DOWN" in event, before)
    gone = _first(seen, _is_without(bench.address, hop), before)
    if cut is None or gone is None:
        raise SystemExit(f"nothing was seen of the cut ({cut}) or of the route ({gone})")
    one.seconds = round(gone - cut, 3)
    if one.outage is not None:
        one.outage = round(one.outage - (cut - before), 3)
    bench.power(host, "on")
    return one


def drain(bench: Bench, number: int) -> Round:
    """Take a node out and put it back, as an administrator does it."""
    host, hop = _victim(bench, number)
    with bench.asked("drain") as one:
        began = time.monotonic()
        bench.lab.playbook("drain", drain_nodes=host, drain_wait="3s").expect()
        one.seconds = round(time.monotonic() - began, 1)
        if hop in bench.hops():
            raise SystemExit(f"{hop} is a next hop after the drain of {host}")
        bench.lab.playbook("drain", drain_nodes=host, drain_state="undrained").expect()
        eventually(lambda: hop in bench.hops(), timeout=60)
    return one


def upgrade(bench: Bench, _number: int) -> Round:
    """All speakers, as a new image makes them start."""
    routes = bench.watch_routes()
    time.sleep(0.5)
    with bench.asked("upgrade") as one:
        began = time.monotonic()
        bench.lab.kubectl("-n", NAMESPACE, "rollout", "restart", SPEAKER)
        bench.lab.kubectl("-n", NAMESPACE, "rollout", "status", SPEAKER, "--timeout=170s")
        one.seconds = round(time.monotonic() - began, 1)
        eventually(bench.settled, timeout=60)
    one.hidden = not changes(routes.stop(), bench.address)
    return one


def kill(bench: Bench, number: int) -> Round:
    """Wait until the speaker's session is up again."""
    host, hop = _victim(bench, number)
    routes = bench.watch_routes()
    time.sleep(0.5)
    since = bench.lab.established()[hop]
    with bench.asked("kill") as one:
        began = time.monotonic()
        # The brackets keep the shell that runs this from finding itself.
        bench.on(host, "kill -KILL $(pgrep -f '[v]ipcast speaker')")
        if not eventually(lambda: bench.lab.established().get(hop, since) > since, timeout=90, interval=0.5):
            raise SystemExit(f"no new session with {hop}")
        one.seconds = round(time.monotonic() - began, 1)
        eventually(bench.settled, timeout=60)
    one.hidden = not changes(routes.stop(), bench.address)
    return one


def bgpd(bench: Bench, _number: int) -> Round:
    """Wait until every next hop is back."""
    everyone = set(bench.nodes().values())
    # A speaker takes a session that ends young for one that fails, and waits longer before it dials again.
    eventually(lambda: time.time() - max(bench.lab.established().values()) > STABLE, timeout=2 * STABLE)
    with bench.asked("bgpd") as one:
        began = time.time()
        routes = bench.watch_routes()
        time.sleep(0.5)
        killed = time.time()
        # Not a kill: FRR's watchdog waits seconds before it starts a daemon again, and minutes the next time.
        bench.on(bench.lab.router, "/usr/lib/frr/watchfrr.sh restart bgpd")
        eventually(lambda: bench.hops() == everyone, timeout=120, interval=0.2)
        seen = routes.stop()
    back = [moment for moment, _event in changes(seen, bench.address)]
    one.seconds = round(back[-1] - killed, 3) if back else 0.0
    one.hidden = not back
    if one.outage is not None:
        one.outage = round(one.outage - (killed - began), 3)
    return one


SCENARIOS: dict[str, Callable[[Bench, int], Round]] = {
    "power-off": power_off,
    "drain": drain,
    "upgrade": upgrade,
    "kill": kill,
    "bgpd": bgpd,
}
MEANING = {
    "power-off": "next hop gone from the router's kernel",
    "drain": "playbook drain.yml",
    "upgrade": "rollout of all speakers",
    "kill": "session up again",
    "bgpd": "last next hop back",
}


def table(rounds: list[Round]) -> list[str]:
    """One line for each scenario: medians and worst cases."""
    head = ("scenario", "rounds", "requests", "failed", "most", "outage s", "max", "seconds", "max", "until")
    rows = [head]
    for name in dict.fromkeys(one.scenario for one in rounds):
        mine = [one for one in rounds if one.scenario == name]
        outages = [one.outage for one in mine if one.outage is not None]
        seconds = [one.seconds for one in mine if one.seconds is not None]
        hidden = [one.hidden for one in mine if one.hidden is not None]
        until = MEANING[name] + (f"; route kept in {sum(hidden)} of {len(hidden)}" if hidden else "")
        counts = [one.failed for one in mine]
        rows.append(
            (
                name,
                str(len(mine)),
                str(sum(one.requests for one in mine)),
                f"{statistics.median(counts):g}",
                str(max(counts)),
                *_spread(outages),
                *_spread(seconds),
                until,
            )
        )
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _spread(values: list[float]) -> tuple[str, str]:
    return (f"{statistics.median(values):.2f}", f"{max(values):.2f}") if values else ("-", "-")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--scenario", choices=SCENARIOS, nargs="+", default=list(SCENARIOS))
    parser.add_argument("--inventory", type=Path, default=CHECKOUT / "inventories/lab-six-nodes")
    parser.add_argument("--load", type=int, default=0, help="processes on each node that use all they get")
    parser.add_argument("--report", type=Path, default=CHECKOUT / "report/failover.json")
    options = parser.parse_args()
    bench = Bench(Lab(options.inventory), options.load)
    rounds: list[Round] = []
    for name in options.scenario:
        for number in range(options.rounds):
            bench.settle()
            rounds.append(SCENARIOS[name](bench, number))
            print(f"{name} {number + 1}: {rounds[-1]}", file=sys.stderr, flush=True)
            options.report.parent.mkdir(exist_ok=True)
            options.report.write_text(json.dumps([asdict(one) for one in rounds], indent=1))
    bench.settle()
    print("\n".join(table(rounds)))


if __name__ == "__main__":
    main()
