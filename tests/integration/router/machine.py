# SPDX-License-Identifier: GPL-3.0-or-later
"""A router in a network namespace of its own, with three BGP speakers on its segment.

Ansible reaches the router through a shell that enters the namespace and the tree. The speakers are FRR as
well, each in a namespace; they announce two host routes of the pool, one route inside it that is too short,
and one outside.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from integration.namespaces import named

from .tree import FRR, run

# The kernel ends what we started when we end, however that happens.
BOUND_TO_US = ("setpriv", "--pdeathsig", "KILL", "--")
ROUTER = "10.31.254.251"
NODES = {"n1": "10.31.8.1", "n2": "10.31.8.11", "n3": "10.31.8.12"}
SERVICES = ("10.9.1.1/32", "10.9.1.2/32")
REFUSED = ("10.9.2.0/24", "172.16.5.1/32")
_SPEAKER = """frr defaults traditional
hostname {name}
router bgp 64513
 bgp router-id {address}
 no bgp ebgp-requires-policy
 no bgp network import-check
 timers bgp 3 9
 neighbor {router} remote-as 64512
 neighbor {router} timers connect 2
 address-family ipv4 unicast
{networks}
 exit-address-family
exit
"""


HASH_POLICIES = tuple(f"/proc/sys/net/{family}/fib_multipath_hash_policy" for family in ("ipv4", "ipv6"))
# Everything that runs in it ends with its first process.
_OWN_PROCESSES = ("unshare", "--pid", "--mount", "--uts", "--fork", "--kill-child=KILL")
WAIT = "trap : TERM; while :; do sleep 60 & wait; done"
# watchfrr would start again what ends before it does.
_END = """
for name in watchfrr bgpd bfdd staticd zebra mgmtd; do
    for pid in $(pidof $name); do kill -9 $pid; done
    for try in $(seq 100); do pidof $name > /dev/null || break; sleep 0.1; done
done
/usr/lib/ip-full route flush proto 186
/usr/lib/ip-full nexthop flush proto 11
"""
_STATE = f"""
vtysh -c 'show running-config'
grep -H '' /etc/frr/daemons /etc/frr/frr.conf /etc/sysctl.d/* {" ".join(HASH_POLICIES)}
for name in watchfrr zebra bgpd bfdd staticd; do pidof $name > /dev/null && echo "$name runs"; done
"""


class Machine:
    """The router: its namespace, its tree, and what a person would look at on it."""

    # What its namespaces' names have, so that several kinds of router can be there at the same time.
    kind = "frr"

    def __init__(self, root: Path, work: Path, speakers: Path | None = None) -> None:
        self.root = root
        # The speakers are FRR of this tree, each with a folder of its own in it.
        self._speakers = speakers or root
        self.shell_path = work / "router-shell"
        self._fresh = work / "fresh-etc-frr"
        self._log = work / "speakers.log"
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Make namespaces and cables, mount the tree's kernel file systems, write the shell for Ansible."""
        run("ip", "netns", "add", self.named("router"))
        self._ip("router", "link", "set", "lo", "up")
        self._add_bridge("router", f"{ROUTER}/16")
        for name, address in NODES.items():
            self._cable(name, f"{address}/16", "router")
        self._enter()
        self.sh("echo 1 > /proc/sys/net/ipv4/ip_forward")
        run("cp", "-a", str(self.root / "etc/frr"), str(self._fresh))

    def _enter(self) -> None:
        """Start the router's first process, and write the shell that enters it."""
        first = self._start_first_process()
        self.shell_path.write_text(
            f'#!/bin/sh\nexec nsenter -t {first} -n -p -m -u chroot {self.root} /bin/sh "$@"\n'
        )
        self.shell_path.chmod(0o755)
        seen = self.sh("ls -d /proc/[0-9]*").split()
        if len(seen) > 5:
            raise RuntimeError(f"the router sees processes of this machine: {seen}")

    def _start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a program in a namespace; it ends when we end, and `stop` ends it."""
        enter = (*BOUND_TO_US, "ip", "netns", "exec", self.named(name))
        with self._log.open("ab") as log:
            started = subprocess.Popen([*enter, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._running.append(started)
        return started

    @property
    def first_process(self) -> str:
        """The script of the process that everything on the router ends with."""
        return f"mount -t proc proc {self.root}/proc && {WAIT}"

    def _start_first_process(self) -> int:
        """Processes of its own, as a machine has: what a test kills on the router by name is the router's.

        The first one collects what others leave behind, and everything ends with it.
        """
        keeper = self._start("router", *_OWN_PROCESSES, "bash", "-c", self.first_process)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            children = run("pgrep", "-P", str(keeper.pid), check=False).stdout.split()
            mounts = Path(f"/proc/{children[0]}/mounts").read_text() if children else ""
            if f"{self.root}/proc" in mounts:
                return int(children[0])
            time.sleep(0.05)
        raise RuntimeError("the router's first process did not start")

    def stop(self) -> None:
        """End what we started, and take the namespaces away."""
        for process in self._running:
            process.kill()
        for process in self._running:
            process.wait(10)
        for name in ("router", "segment", *NODES):
            run("ip", "netns", "del", self.named(name), check=False)

    def make_bare(self) -> None:
        """Leave the router as its packages leave it: nothing runs, nothing is configured."""
        self.sh(_END)
        shutil.rmtree(self.root / "etc/frr")
        run("cp", "-a", str(self._fresh), str(self.root / "etc/frr"))
        self.sh("rm -rf /etc/vipcast-before /etc/sysctl.d/*")
        self.sh("rm -rf /run/frr/*.pid /run/frr/*.vty /run/frr/*.sock /run/frr/*.api")
        self.sh(f"for name in {' '.join(HASH_POLICIES)}; do echo 0 > $name; done")

    def state(self) -> str:
        """Everything that the role decides, as one text that two states share only where they are equal."""
        said = self.sh(_STATE, check=False)
        # A route map that was made anew stands behind the others.
        return "\n".join(sorted(said.splitlines()))

    def sh(self, script: str, check: bool = True) -> str:
        """Run a shell script on the router."""
        return run(str(self.shell_path), "-c", script, check=check).stdout

    def vtysh(self, *commands: str) -> str:
        """Return what a person would type on the router."""
        flags = " ".join(f"-c '{command}'" for command in commands)
        return self.sh(f"vtysh {flags}", check=False)

    def configure(self, *commands: str) -> None:
        """Change the router behind Ansible's back."""
        self.vtysh("configure terminal", *commands)

    def running(self) -> str:
        """The running configuration."""
        return self.vtysh("show running-config")

    def sessions(self) -> dict[str, Any]:
        """Neighbors by address, as FRR summarises them."""
        text = self.vtysh("show bgp summary json")
        return dict(json.loads(text).get("ipv4Unicast", {}).get("peers", {}))

    def wait_established(self, *addresses: str, accepted: int = len(SERVICES), timeout: float = 40) -> None:
        """Wait until these neighbors are up and their routes were accepted."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            peers = self.sessions()
            if all(peers.get(address, {}).get("pfxRcd") == accepted for address in addresses):
                return
            time.sleep(0.2)
        raise AssertionError(f"not established in {timeout} s: {json.dumps(self.sessions(), indent=1)}")

    def start_speakers(self) -> None:
        """Start three nodes that announce the same routes."""
        for name, address in NODES.items():
            folder = self._speakers / "etc" / name
            socket = self._speakers / "run/frr" / name
            networks = "\n".join(f"  network {prefix}" for prefix in (*SERVICES, *REFUSED))
            for path in (folder, socket):
                path.mkdir(exist_ok=True)
            (folder / "bgpd.conf").write_text(
                _SPEAKER.format(name=name, address=address, router=ROUTER, networks=networks)
            )
            for path in (folder, folder / "bgpd.conf", socket):
                os.chown(path, FRR, FRR)
            bgpd = f"chroot {self._speakers} /usr/lib/frr/bgpd -Z -n -N {name} -f /etc/{name}/bgpd.conf"
            # bgpd changes its user, which makes the kernel forget what it ends with: its parent does not.
            self._start(name, *_OWN_PROCESSES, "sh", "-c", f"{bgpd} & wait")

    def named(self, name: str) -> str:
        """Return the name of a host's network namespace."""
        return named(name, self.kind)

    def _ip(self, name: str, *words: str) -> None:
        run("ip", "-n", self.named(name), *words)

    def _add_bridge(self, at: str, *addresses: str) -> None:
        """Make the segment's bridge in a namespace."""
        self._ip(at, "link", "add", "br0", "type", "bridge")
        self._ip(at, "link", "set", "br0", "up")
        for address in addresses:
            self._ip(at, "addr", "add", address, "dev", "br0")

    def _cable(self, name: str, address: str, at: str) -> None:
        """Make the namespace of a host where it is not yet, and its eth0, which leads to the bridge at
        C(at)."""
        if name != "router":
            run("ip", "netns", "add", self.named(name))
        peer = ("peer", "name", "eth0", "netns", self.named(name))
        self._ip(at, "link", "add", f"to-{name}", "type", "veth", *peer)
        self._ip(at, "link", "set", f"to-{name}", "master", "br0", "up")
        self._ip(name, "link", "set", "lo", "up")
        self._ip(name, "link", "set", "eth0", "up")
        if address:
            self._ip(name, "addr", "add", address, "dev", "eth0")
