# SPDX-License-Identifier: GPL-3.0-or-later
"""Three programs that announce the same routes to the same router: ours, ExaBGP and GoBGP.

Each runs in the node's namespace. ``start(prefixes)`` returns when the program has the routes and would send
them to a router that comes; ``give(prefixes)`` gives them to one whose session is up.
"""

from __future__ import annotations

import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from daemon.interop.network import NODE, ROUTER, Cable, eventually, run

ASN, ROUTER_ASN = 64513, 64512
HOLD_TIME = 90
_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE = 300
_ROOT = Path(__file__).parents[2]


class Announcer(ABC):
    name: str

    def __init__(self, cable: Cable) -> None:
        self.cable, self.folder = cable, cable.folder
        self.process: subprocess.Popen[bytes]

    @abstractmethod
    def start(self, prefixes: Sequence[IPv4Network]) -> None: ...

    @abstractmethod
    def give(self, prefixes: Sequence[IPv4Network]) -> None: ...

    @abstractmethod
    def prepare(self, prefixes: Sequence[IPv4Network]) -> None:
        """Whatever ``give`` needs that is not the program's own work: a file in the form that it reads."""

    def cpu_seconds(self) -> float:
        """Return the processor time of the program since it was started."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def peak_memory(self) -> float:
        """Resident, in MiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmHWM:")[2].split()[0]) / 1024


class Vipcast(Announcer):
    """A Peering in a process of its own: what the speaker runs for each router."""

    name = "vipcast"

    def start(self, prefixes: Sequence[IPv4Network]) -> None:
        self._write(prefixes)
        settings = {"address": ROUTER, "local_asn": ASN, "remote_asn": ROUTER_ASN, "hold_time": HOLD_TIME}
        command = [sys.executable, str(Path(__file__).with_name("bgp_worker.py")), json.dumps(settings)]
        self.process = self.cable.spawn(
            "vipcast",
            *command,
            environment={"PYTHONPATH": str(_ROOT / "src")},
            inside=self.cable.node,
            stdin=subprocess.PIPE,
        )
        if prefixes:
            self._tell()
        word = "given" if prefixes else "ready"
        eventually(lambda: self._said(word) or self._failed(), f"the worker says {word}", _PATIENCE)

    def prepare(self, prefixes: Sequence[IPv4Network]) -> None:
        self._write(prefixes)

    def give(self, prefixes: Sequence[IPv4Network]) -> None:
        self._tell()

    def _write(self, prefixes: Sequence[IPv4Network]) -> None:
        (self.folder / "prefixes").write_text("\n".join(map(str, prefixes)))

    def _tell(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{self.folder}/prefixes\n".encode())
        self.process.stdin.flush()

    def _said(self, word: str) -> bool:
        return word in (self.folder / "vipcast.out").read_text()

    def _failed(self) -> bool:
        if self.process.poll() is None:
            return False
        raise AssertionError((self.folder / "vipcast.out").read_text())


class ExaBgp(Announcer):
    """Routes that it begins with are in its configuration, later ones are given by its API in bulk."""

    name = "ExaBGP"

    def start(self, prefixes: Sequence[IPv4Network]) -> None:
        helper = self.folder / "helper.sh"
        helper.write_text(f"cat <>{self.folder}/commands &\nexec cat >/dev/null\n")
        os.mkfifo(self.folder / "commands")
        (self.folder / "exabgp.conf").write_text(self._config(helper, prefixes))
        environment = {
            "exabgp.daemon.user": "root",
            "exabgp.daemon.drop": "false",
            "exabgp.api.cli": "false",
            "exabgp.log.destination": "stdout",
        }
        self.process = self.cable.spawn(
            "exabgp", "exabgp", f"{self.folder}/exabgp.conf", environment=environment, inside=self.cable.node
        )
        eventually(lambda: "loaded new configuration" in self._output(), "ExaBGP is ready", _PATIENCE)

    def _config(self, helper: Path, prefixes: Sequence[IPv4Network]) -> str:
        routes = "".join(f"  route {prefix} next-hop {NODE};\n" for prefix in prefixes)
        return (
            f"process helper {{ run /bin/sh {helper}; encoder json; }}\n"
            f"neighbor {ROUTER} {{\n"
            f" router-id {NODE}; local-address {NODE}; local-as {ASN}; peer-as {ROUTER_ASN};\n"
            f" hold-time {HOLD_TIME}; family {{ ipv4 unicast; }} group-updates true;\n"
            " api { processes [ helper ]; }\n"
            f" static {{\n{routes} }}\n}}\n"
        )

    def _output(self) -> str:
        return (self.folder / "exabgp.out").read_text()

    def prepare(self, prefixes: Sequence[IPv4Network]) -> None:
        """A thousand prefixes with common attributes in each command."""
        with (self.folder / "bulk").open("w") as file:
            for at in range(0, len(prefixes), 1000):
                nlri = " ".join(map(str, prefixes[at : at + 1000]))
                file.write(f"announce attributes next-hop {NODE} nlri {nlri}\n")

    def give(self, prefixes: Sequence[IPv4Network]) -> None:
        subprocess.Popen(
            ["sh", "-c", f"cat {self.folder}/bulk >{self.folder}/commands"], start_new_session=True
        )


class GoBgp(Announcer):
    """Routes go into its table as an MRT file, the quickest way that its tool has."""

    name = "GoBGP"

    def start(self, prefixes: Sequence[IPv4Network]) -> None:
        neighbor = {
            "config": {"neighbor-address": ROUTER, "peer-as": ROUTER_ASN},
            "transport": {"config": {"passive-mode": True}},
            "timers": {"config": {"hold-time": HOLD_TIME}},
            "afi-safis": [{"config": {"afi-safi-name": "ipv4-unicast"}}],
        }
        document = {"global": {"config": {"as": ASN, "router-id": NODE}}, "neighbors": [neighbor]}
        (self.folder / "gobgpd.json").write_text(json.dumps(document))
        options = ["-t", "json", "--pprof-disable", "--api-hosts", f"unix://{self.folder}/gobgpd.sock"]
        self.process = self.cable.spawn(
            "gobgpd", "gobgpd", "-f", f"{self.folder}/gobgpd.json", *options, inside=self.cable.node
        )
        eventually(lambda: self._ask("neighbor"), "GoBGP answers")
        if prefixes:
            self.prepare(prefixes)
            self.give(prefixes)
            self._wait(len(prefixes))

    def _ask(self, *words: str) -> str:
        return run("gobgp", "--target", f"unix://{self.folder}/gobgpd.sock", *words, check=False)

    def _wait(self, count: int) -> None:
        """Ask for the count rarely: to count costs it more than to take routes."""
        deadline = time.monotonic() + _PATIENCE
        while (found := self._count()) != count:
            if time.monotonic() > deadline:
                raise SystemExit(f"GoBGP has {found} of {count} routes after {_PATIENCE} s")
            time.sleep(2)

    def _count(self) -> int:
        """``Destination: 100000, Path: 100000``."""
        return int(self._ask("global", "rib", "summary").partition("Destination: ")[2].partition(",")[0] or 0)

    def prepare(self, prefixes: Sequence[IPv4Network]) -> None:
        self._groups = mrt(prefixes, NODE)

    def give(self, prefixes: Sequence[IPv4Network]) -> None:
        """The tool leaves without waiting for the daemon: so its input stays open."""
        target = f"unix://{self.folder}/gobgpd.sock"
        command = [
            "gobgp",
            "--target",
            target,
            "mrt",
            "inject",
            "global",
            "/dev/stdin",
            "--no-ipv6",
            "--nexthop",
            NODE,
        ]
        process = self.cable.spawn("inject", *command, stdin=subprocess.PIPE)
        threading.Thread(target=self._feed, args=(process,), daemon=True).start()

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            for group in self._groups:
                os.write(process.stdin.fileno(), group)


def mrt(prefixes: Sequence[IPv4Network], next_hop: str) -> list[bytes]:
    """A table dump (RFC 6396 section 4.3): one peer, and one entry for each prefix.

    In groups of whole records that a pipe takes and gives as one: a record that comes in parts is lost.
    """
    address = IPv4Address(next_hop).packed
    peer = struct.pack("!B4s4sI", 2, address, address, ASN)
    groups = [bytearray(_record(1, address + struct.pack("!HH", 0, 1) + peer))]
    # ORIGIN IGP, an empty AS_PATH, NEXT_HOP
    attributes = bytes.fromhex("40010100400200400304") + address
    entry = struct.pack("!HIH", 0, 0, len(attributes)) + attributes
    for number, prefix in enumerate(prefixes):
        octets = prefix.network_address.packed[: (prefix.prefixlen + 7) // 8]
        head = struct.pack("!IB", number, prefix.prefixlen) + octets + struct.pack("!H", 1)
        record = _record(2, head + entry)
        if len(groups[-1]) + len(record) > select.PIPE_BUF:
            groups.append(bytearray())
        groups[-1] += record
    return [bytes(group) for group in groups]


def _record(subtype: int, body: bytes) -> bytes:
    return struct.pack("!IHHI", int(time.time()), 13, subtype, len(body)) + body


ANNOUNCERS: tuple[type[Announcer], ...] = (Vipcast, ExaBgp, GoBgp)
