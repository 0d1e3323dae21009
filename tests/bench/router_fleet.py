# SPDX-License-Identifier: GPL-3.0-or-later
"""Many routers on one machine: FRR and dropbear in namespaces, on one segment with this process.

All of them share one tree of Debian's packages; what a router writes is its own. Each has busybox for a
shell and its tools, and no Python.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from integration.machines import packages
from integration.router import tree
from integration.router.tree import run

# The kernel ends what we started when we end, however that happens.
_BOUND_TO_US = ("setpriv", "--pdeathsig", "KILL", "--")
_OWN = ("unshare", "--net", "--pid", "--mount", "--fork", "--kill-child=KILL")
_BRIDGE = "segment"
NODES = {f"n{number}": f"10.31.8.{number}" for number in (1, 2, 3)}
# The first process of a router: its disk, its cable, what init would start; then it waits.
_BOOT = """set -e
mount -t tmpfs tmpfs {disk}
mkdir {disk}/upper {disk}/work {disk}/root
mount -t overlay overlay -o lowerdir={tree},upperdir={disk}/upper,workdir={disk}/work {disk}/root
mount -t proc proc {disk}/root/proc
mkdir -p {disk}/root/dev/pts
mount -t devpts devpts {disk}/root/dev/pts -o newinstance,ptmxmode=0666
until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
ip link set lo up
ip link set eth0 up
ip addr add {address}/16 dev eth0
echo 1 > /proc/sys/net/ipv4/ip_forward
chroot {disk}/root /usr/sbin/dropbear -s -r /etc/dropbear/key
chroot {disk}/root /usr/lib/frr/frrinit.sh start >/dev/null
touch {disk}/root/ready
trap : TERM
while :; do sleep 60 & wait; done
"""


class Router:
    """One router: its namespaces, and what can go wrong with it."""

    def __init__(self, number: int, work: Path) -> None:
        self.name = f"r{number:02}"
        self.address = f"10.31.{200 + number // 250}.{number % 250 + 1}"
        self._disk = work / self.name
        self._keeper: subprocess.Popen[bytes] | None = None

    def start(self, shared: Path, log: Path) -> None:
        """Start it; `wait` says when it is there."""
        self._disk.mkdir()
        script = _BOOT.format(disk=self._disk, tree=shared, address=self.address)
        with log.open("ab") as out:
            self._keeper = subprocess.Popen(
                [*_BOUND_TO_US, *_OWN, "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        peer = ("peer", "name", "eth0", "netns", str(self._first()))
        run("ip", "link", "add", f"to-{self.name}", "type", "veth", *peer)
        run("ip", "link", "set", f"to-{self.name}", "master", _BRIDGE, "up")

    def _first(self) -> int:
        """Wait for the process that is the first one in the router's namespaces."""
        assert self._keeper is not None
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            children = run("pgrep", "-P", str(self._keeper.pid), check=False).stdout.split()
            if children:
                return int(children[0])
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} did not start")

    def sh(self, script: str, check: bool = True) -> str:
        """Run a script on the router."""
        enter = ("nsenter", "-t", str(self._first()), "-n", "-p", "-m", "chroot", f"{self._disk}/root")
        return run(*enter, "/bin/sh", "-c", script, check=check).stdout

    def is_ready(self) -> bool:
        """Return whether it has booted, and its BGP answers."""
        return "bgpd" in self.sh("[ -e /ready ] && vtysh -c 'show daemons'", check=False)

    def slow(self, seconds: float) -> None:
        """Let each command that comes by ssh wait."""
        shell = f'#!/bin/sh\nsleep {seconds}\nexec /bin/sh "$@"\n'
        self.sh(
            f"printf '%s' '{shell}' > /bin/slow; chmod 755 /bin/slow; echo /bin/slow > /etc/shells; "
            "sed -i '1s|/bin/sh|/bin/slow|' /etc/passwd"
        )

    def hang(self) -> None:
        """Stop bgpd, which makes vtysh wait for ever."""
        self.sh("kill -STOP $(pidof bgpd)")

    def forget_key(self) -> None:
        """Let nobody log in."""
        self.sh("rm /root/.ssh/authorized_keys")

    def stop(self) -> None:
        """Switch it off."""
        if self._keeper is not None:
            self._keeper.kill()
            self._keeper.wait(10)


class Fleet:
    """All routers, and an inventory of them."""

    def __init__(self, work: Path, count: int) -> None:
        self.work = work
        self.routers = [Router(number, work) for number in range(count)]
        self.inventory = work / "inventory.yml"
        self._key = work / "key"

    def start(self) -> None:
        """Make the tree, the segment and the routers; return when all of them answer."""
        shared = self._tree()
        run("ip", "link", "add", _BRIDGE, "type", "bridge")
        run("ip", "addr", "add", "10.31.0.1/16", "dev", _BRIDGE)
        run("ip", "link", "set", _BRIDGE, "up")
        for router in self.routers:
            router.start(shared, self.work / "routers.log")
        deadline = time.monotonic() + 60 + 3 * len(self.routers)
        for router in self.routers:
            while not router.is_ready():
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{router.name}: {(self.work / 'routers.log').read_text()[-2000:]}")
                time.sleep(0.2)

    def _tree(self) -> Path:
        root = self.work / "tree"
        wanted = (*tree.PACKAGES, "dropbear-bin")
        tree.build(root, tree.download(packages("fleet"), wanted))
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._key))
        for folder in ("root/.ssh", "etc/dropbear"):
            (root / folder).mkdir(mode=0o700, parents=True)
        (root / "root").chmod(0o700)
        (root / "root/.ssh/authorized_keys").write_text(Path(f"{self._key}.pub").read_text())
        run("chroot", str(root), "/usr/bin/dropbearkey", "-t", "ed25519", "-f", "/etc/dropbear/key")
        (root / "dev/ptmx").symlink_to("pts/ptmx")
        daemons = root / "etc/frr/daemons"
        daemons.write_text(daemons.read_text().replace("bgpd=no", "bgpd=yes"))
        (root / "etc/frr/frr.conf").write_text("frr defaults traditional\n")
        return root

    def write_inventory(self, kubeconfig: Path, **more: Any) -> None:
        """Write an inventory of all of them, as somebody would who has that many."""
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        hosts = {
            router.name: {"ansible_host": router.address, "vipcast_router_asn": 64512}
            for router in self.routers
        }
        nodes = {
            name: {"ansible_connection": "local", "vipcast_node_address": address}
            for name, address in NODES.items()
        }
        everything = {
            "vars": {
                "vipcast_kubeconfig": str(kubeconfig),
                "vipcast_cluster_asn": 64513,
                "vipcast_pools": [{"name": "default", "addresses": ["10.9.0.0/16"]}],
                "load_balancer_image": "registry.example/vipcast:1.0",
                "preflight_reach_routers": False,
                **more,
            },
            "children": {
                "nodes": {"hosts": nodes},
                "routers": {
                    "hosts": hosts,
                    "vars": {
                        "ansible_user": "root",
                        "ansible_become": False,
                        "ansible_ssh_private_key_file": str(self._key),
                        "ansible_ssh_common_args": options,
                        "router_service": "script",
                    },
                },
                "clients": {},
            },
        }
        self.inventory.write_text(yaml.safe_dump({"all": everything}))

    def sessions(self) -> Sequence[int]:
        """Return how many neighbors each router has that runs."""
        found = []
        for router in self.routers:
            said = router.sh("vtysh -c 'show bgp summary json'", check=False)
            found.append(len(json.loads(said or "{}").get("ipv4Unicast", {}).get("peers", {})))
        return found

    def stop(self) -> None:
        """Switch all of them off."""
        for router in self.routers:
            router.stop()


def demand_own_network() -> None:
    """Run this program again in a network and mounts of its own, unless it does so already."""
    if os.environ.get("VIPCAST_OWN_NETWORK") != "yes":
        own = ["unshare", "--net", "--mount", "--propagation", "private", sys.executable, *sys.argv]
        os.execvpe(own[0], own, {**os.environ, "VIPCAST_OWN_NETWORK": "yes"})
    run("ip", "link", "set", "lo", "up")
