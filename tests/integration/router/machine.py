# SPDX-License-Identifier: GPL-3.0-or-later
"""A router in a network namespace of its own, with three BGP speakers on its segment.

Ansible reaches the router through a shell that enters the namespace and the tree. The speakers are FRR as
well, each
in a namespace; they announce two host routes of the pool, one route inside it that is too short, and one
outside.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from .tree import FRR, run

PREFIX = "vr-"
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


class Machine:
    """The router: its namespace, its tree, and what a person would look at on it."""

    def __init__(self, root: Path, work: Path) -> None:
        self.root = root
        self.shell_path = work / "router-shell"
        self._keeper: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Namespaces, cables, the tree's kernel file systems, and the shell that Ansible uses."""
        self.stop()
        run("ip", "netns", "add", f"{PREFIX}router")
        _ip("router", "link", "set", "lo", "up")
        _ip("router", "link", "add", "br0", "type", "bridge")
        _ip("router", "link", "set", "br0", "up")
        _ip("router", "addr", "add", f"{ROUTER}/16", "dev", "br0")
        for name, address in NODES.items():
            _cable(name, address)
        first = self._start_first_process()
        self.shell_path.write_text(
            f'#!/bin/sh\nexec nsenter -t {first} -n -p -m chroot {self.root} /bin/sh "$@"\n'
        )
        self.shell_path.chmod(0o755)
        seen = self.sh("ls -d /proc/[0-9]*").split()
        if len(seen) > 5:
            raise RuntimeError(f"the router sees processes of this machine: {seen}")
        self.sh("echo 1 > /proc/sys/net/ipv4/ip_forward")

    def _start_first_process(self) -> int:
        """Processes of its own, as a machine has: what a test kills on the router by name is the router's.

        The first one collects what others leave behind, and everything ends with it.
        """
        wait = f"mount -t proc proc {self.root}/proc && trap : TERM && while :; do sleep 60 & wait; done"
        enter = ["ip", "netns", "exec", f"{PREFIX}router"]
        self._keeper = subprocess.Popen(
            [*enter, "unshare", "--pid", "--mount", "--fork", "--kill-child=KILL", "bash", "-c", wait]
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            children = run("pgrep", "-P", str(self._keeper.pid), check=False).stdout.split()
            mounts = Path(f"/proc/{children[0]}/mounts").read_text() if children else ""
            if f"{self.root}/proc" in mounts:
                return int(children[0])
            time.sleep(0.05)
        raise RuntimeError("the router's first process did not start")

    def stop(self) -> None:
        """End every process in our namespaces, and take the namespaces away."""
        if self._keeper is not None:
            self._keeper.kill()
            self._keeper.wait(10)
        for name in ("router", *NODES):
            listed = run("ip", "netns", "pids", f"{PREFIX}{name}", check=False).stdout.split()
            for pid in listed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            run("ip", "netns", "del", f"{PREFIX}{name}", check=False)

    def sh(self, script: str, check: bool = True) -> str:
        """Run a shell script on the router."""
        return run(str(self.shell_path), "-c", script, check=check).stdout

    def vtysh(self, *commands: str) -> str:
        """What a person would type on the router."""
        flags = " ".join(f"-c '{command}'" for command in commands)
        return self.sh(f"vtysh {flags}", check=False)

    def configure(self, *commands: str) -> None:
        """Change the router behind Ansible's back."""
        self.vtysh("configure terminal", *commands)

    def running(self) -> str:
        """The running configuration."""
        return self.vtysh("show running-config")

    def sessions(self) -> dict[str, Any]:
        """Neighbours by address, as FRR summarises them."""
        text = self.vtysh("show bgp summary json")
        return dict(json.loads(text).get("ipv4Unicast", {}).get("peers", {}))

    def wait_established(self, *addresses: str, accepted: int = len(SERVICES), timeout: float = 40) -> None:
        """Until these neighbours are up and their routes were accepted."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            peers = self.sessions()
            if all(peers.get(address, {}).get("pfxRcd") == accepted for address in addresses):
                return
            time.sleep(0.5)
        raise AssertionError(f"not established in {timeout} s: {json.dumps(self.sessions(), indent=1)}")

    def start_speakers(self) -> None:
        """Three nodes that announce the same routes."""
        for name, address in NODES.items():
            self.start_speaker(name, address)

    def start_speaker(self, name: str, address: str, extra: str = "") -> None:
        """One node; C(extra) are more lines of its C(router bgp)."""
        folder = self.root / "etc/frr" / name
        folder.mkdir(exist_ok=True)
        (self.root / "run/frr" / name).mkdir(exist_ok=True)
        networks = "\n".join(f"  network {prefix}" for prefix in (*SERVICES, *REFUSED))
        text = _SPEAKER.format(name=name, address=address, router=ROUTER, networks=networks)
        (folder / "bgpd.conf").write_text(text.replace(" timers bgp", f"{extra} timers bgp"))
        for path in (folder, folder / "bgpd.conf", self.root / "run/frr" / name):
            os.chown(path, FRR, FRR)
        daemon = ("/usr/lib/frr/bgpd", "-d", "-Z", "-n", "-N", name, "-f", f"/etc/frr/{name}/bgpd.conf")
        run("ip", "netns", "exec", f"{PREFIX}{name}", "chroot", str(self.root), *daemon)


def _ip(name: str, *words: str) -> None:
    run("ip", "-n", f"{PREFIX}{name}", *words)


def _cable(name: str, address: str) -> None:
    run("ip", "netns", "add", f"{PREFIX}{name}")
    _ip(
        "router",
        "link",
        "add",
        f"to-{name}",
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        f"{PREFIX}{name}",
    )
    _ip("router", "link", "set", f"to-{name}", "master", "br0", "up")
    _ip(name, "link", "set", "lo", "up")
    _ip(name, "link", "set", "eth0", "up")
    _ip(name, "addr", "add", f"{address}/16", "dev", "eth0")
