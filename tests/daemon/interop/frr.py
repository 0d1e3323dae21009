# SPDX-License-Identifier: GPL-3.0-or-later
"""A router of Debian's frr package in a network namespace of its own, with its own vty folder.

    host namespace "vb-..-n"   veth   namespace "vb-..-r"
    10.99.0.1, fd99::1        ------  10.99.0.2, fd99::2: zebra, bgpd

``Router`` is started and stopped by the test; everything it made is gone afterwards.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

DAEMONS = Path("/usr/lib/frr")
NODE, ROUTER = "10.99.0.1", "10.99.0.2"
NODE6, ROUTER6 = "fd99::1", "fd99::2"

_numbers = itertools.count()


def missing() -> str | None:
    """What has to be there and isn't, as an instruction."""
    if os.geteuid() != 0:
        return "these tests make network namespaces: run them as root"
    if shutil.which("ip") is None:
        return "no ip command: apt-get install iproute2"
    if not (DAEMONS / "bgpd").exists() or shutil.which("vtysh") is None:
        return "no FRR: apt-get install frr"
    return None


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


class Router:
    """Two namespaces with a cable between them, and FRR in the second."""

    def __init__(self) -> None:
        tag = f"vb-{os.getpid()}-{next(_numbers)}"
        self.node, self.router = f"{tag}-n", f"{tag}-r"
        self.folder = Path(tempfile.mkdtemp(prefix=f"{tag}-"))
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._config = ""

    def __enter__(self) -> Router:
        try:
            self._wire()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for namespace in (self.node, self.router):
            run("ip", "netns", "del", namespace, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wire(self) -> None:
        for namespace in (self.node, self.router):
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        run(
            "ip", "-n", self.node, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", self.router
        )
        for namespace, four, six in ((self.node, NODE, NODE6), (self.router, ROUTER, ROUTER6)):
            run("ip", "-n", namespace, "addr", "add", f"{four}/24", "dev", "eth0")
            run("ip", "-n", namespace, "addr", "add", f"{six}/64", "dev", "eth0", "nodad")
            run("ip", "-n", namespace, "link", "set", "eth0", "up")

    # ---- daemons ----

    def start(self, config: str) -> None:
        """``config``: what comes after ``hostname`` in frr.conf."""
        self._config = f"hostname r\nlog file {self.folder}/bgpd.log informational\n{config}\n"
        (self.folder / "bgpd.conf").write_text(self._config)
        (self.folder / "zebra.conf").write_text("hostname r\n")
        shutil.chown(self.folder, "frr", "frr")
        for path in self.folder.iterdir():
            if path.is_file():
                shutil.chown(path, "frr", "frr")
        self._start("zebra")
        self._start("bgpd")
        self.until(lambda: "summary" in self.vtysh("show bgp summary").lower())

    def _start(self, daemon: str) -> None:
        folder = str(self.folder)
        command = [
            str(DAEMONS / daemon),
            "-f", f"{folder}/{daemon}.conf",
            "-i", f"{folder}/{daemon}.pid",
            "-z", f"{folder}/zserv.api",
            "--vty_socket", folder,
            "-A", "127.0.0.1", "-P", "0",
        ]  # fmt: skip
        self._daemons[daemon] = subprocess.Popen(
            ["ip", "netns", "exec", self.router, *command],
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / f"{daemon}.err").open("wb"),
        )
        self.until((self.folder / f"{daemon}.vty").exists)

    def stop(self) -> None:
        for daemon in reversed(list(self._daemons)):
            process = self._daemons.pop(daemon)
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)

    def restart_bgpd(self) -> None:
        """As a crash: the kernel closes its connections."""
        process = self._daemons.pop("bgpd")
        process.kill()
        process.wait(5)
        (self.folder / "bgpd.vty").unlink(missing_ok=True)
        self._start("bgpd")

    def signal_bgpd(self, number: int) -> None:
        """SIGSTOP and SIGCONT. ``ip netns exec`` has become the daemon, so the id is bgpd's own."""
        self._daemons["bgpd"].send_signal(number)

    # ---- questions ----

    def vtysh(self, *commands: str) -> str:
        arguments = itertools.chain.from_iterable(("-c", command) for command in commands)
        return run("vtysh", "--vty_socket", str(self.folder), *arguments, check=False)

    def show(self, command: str) -> Any:
        return json.loads(self.vtysh(f"show {command} json") or "{}")

    def neighbor(self, address: str = NODE) -> dict[str, Any]:
        return self.show(f"bgp neighbors {address}").get(address, {})

    def paths(self, prefix: str) -> list[dict[str, Any]]:
        version = "ipv6" if ":" in prefix else "ipv4"
        return self.show(f"bgp {version} unicast {prefix}").get("paths", [])

    def accepted(self) -> int:
        """IPv4 prefixes that the neighbour's policy has let in."""
        families = self.neighbor().get("addressFamilyInfo", {})
        return int(families.get("ipv4Unicast", {}).get("acceptedPrefixCounter", 0))

    def log(self) -> str:
        path = self.folder / "bgpd.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @staticmethod
    def until(condition: Any, seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError("FRR did not come up in time")
            time.sleep(0.05)
