# SPDX-License-Identifier: GPL-3.0-or-later
"""A router of Debian's frr package at the far end of a cable, with its own vty folder.

``Router`` is started and stopped by the test; everything it made is gone afterwards.
"""

from __future__ import annotations

import itertools
import json
import shutil
import time
from pathlib import Path
from typing import Any

from daemon.interop.network import NODE, NODE6, ROUTER, ROUTER6, Cable, lacking, run

__all__ = ["NODE", "NODE6", "ROUTER", "ROUTER6", "Router", "missing", "run"]

DAEMONS = Path("/usr/lib/frr")


def missing() -> str | None:
    """Return what has to be there and isn't, as an instruction."""
    if (lack := lacking()) is not None:
        return lack
    if not (DAEMONS / "bgpd").exists() or shutil.which("vtysh") is None:
        return "no FRR: apt-get install frr"
    return None


class Router(Cable):
    """FRR in the router's namespace."""

    def __enter__(self) -> Router:
        super().__enter__()
        return self

    # ---- daemons ----

    def start(self, config: str) -> None:
        """``config``: what comes after ``hostname`` in frr.conf."""
        text = f"hostname r\nlog file {self.folder}/bgpd.log informational\n{config}\n"
        (self.folder / "bgpd.conf").write_text(text)
        (self.folder / "zebra.conf").write_text("hostname r\n")
        shutil.chown(self.folder, "frr", "frr")
        for path in self.folder.iterdir():
            if path.is_file():
                shutil.chown(path, "frr", "frr")
        self.start_daemon("zebra")
        self.start_daemon("bgpd")
        self.until(lambda: "summary" in self.vtysh("show bgp summary").lower())

    def start_daemon(self, daemon: str, *options: str, under: tuple[str, ...] = ()) -> None:
        """Start it and wait for its control socket; ``under``: the command that runs it.

        FRR leaves its sockets behind. Taken for the new zebra's, an old one lets the others ask before it
        listens, and they ask again after ten seconds.
        """
        folder, control = str(self.folder), self.folder / f"{daemon}.vty"
        command = [
            *under, str(DAEMONS / daemon),
            "-f", f"{folder}/{daemon}.conf",
            "-i", f"{folder}/{daemon}.pid",
            "-z", f"{folder}/zserv.api",
            "--vty_socket", folder,
            "-A", "127.0.0.1", "-P", "0",
        ]  # fmt: skip
        control.unlink(missing_ok=True)
        self.spawn(daemon, *command, *options)
        self.until(control.exists)

    def restart_bgpd(self) -> None:
        """Kill it as a crash does: the kernel closes its connections."""
        self.kill("bgpd")
        self.start_daemon("bgpd")

    def signal_bgpd(self, number: int) -> None:
        """SIGSTOP and SIGCONT."""
        self.signal_daemon("bgpd", number)

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
        """IPv4 prefixes that the neighbor's policy has let in."""
        families = self.neighbor().get("addressFamilyInfo", {})
        return int(families.get("ipv4Unicast", {}).get("acceptedPrefixCounter", 0))

    def log(self) -> str:
        path = self.folder / "bgpd.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @staticmethod
    def until(condition: Any, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError("FRR did not come up in time")
            time.sleep(0.05)
