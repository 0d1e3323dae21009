# SPDX-License-Identifier: GPL-3.0-or-later
"""ExaBGP: it keeps no table, so one is made here of the JSON that it writes for its helper process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from daemon.interop.network import eventually
from daemon.interop.peers.base import Path, Program, Setup, float_of

# The helper writes down what ExaBGP says, and says what is written into the pipe.
_HELPER = """cat <>{folder}/commands &
exec cat >>{folder}/events
"""


def config(setup: Setup, folder: str) -> str:
    lines = [
        "process record {",
        f" run /bin/sh {folder}/helper.sh;",
        " encoder json;",
        "}",
        f"neighbor {setup.node} {{",
        f" router-id 10.99.0.2; local-address {setup.router}; local-as {setup.asn};",
        f" peer-as {setup.remote_asn}; hold-time {setup.hold_time};",
        f" passive {'false' if setup.dials else 'true'};",
        " capability { route-refresh enable; asn4 enable; extended-message enable;",
        f"  nexthop {'enable' if setup.next_hop_ipv6 else 'disable'}; }}",
        " family { ipv4 unicast; ipv6 unicast; }",
        " api { processes [ record ]; neighbor-changes; receive { parsed; packets; update; notification; } }",
    ]
    if setup.next_hop_ipv6:
        lines.append(" nexthop { ipv4 unicast ipv6; }")
    if setup.password is not None:
        lines.append(f" md5-password '{setup.password}';")
    if setup.ttl_security:
        lines.append(" incoming-ttl 255;")
    if setup.network is not None:
        lines.append(f" static {{ route {setup.network} next-hop {setup.router}; }}")
    return "\n".join((*lines, "}\n"))


class ExaBgp(Program):
    name, package, program = "ExaBGP", "exabgp", "exabgp"

    def _run(self) -> None:
        folder = self.cable.folder
        (folder / "exabgp.conf").write_text(config(self.setup, str(folder)))
        (folder / "helper.sh").write_text(_HELPER.format(folder=folder))
        (folder / "events").unlink(missing_ok=True)
        (folder / "commands").unlink(missing_ok=True)
        os.mkfifo(folder / "commands")
        environment = {
            "exabgp.daemon.user": "root",
            "exabgp.daemon.drop": "false",
            "exabgp.api.cli": "false",
            "exabgp.log.destination": "stdout",
            "exabgp.log.level": "INFO",
        }
        if not self.setup.dials:
            environment["exabgp.tcp.bind"] = "::" if self.setup.over == "link-local" else self.setup.router
        self.cable.spawn("exabgp", "exabgp", f"{folder}/exabgp.conf", environment=environment)
        eventually((folder / "events").exists, "ExaBGP started its helper")

    def _events(self) -> Iterator[dict[str, Any]]:
        path = self.cable.folder / "events"
        if path.exists():
            for line in path.read_text().splitlines():
                if line.endswith("}"):
                    yield json.loads(line)

    def _command(self, text: str) -> None:
        with (self.cable.folder / "commands").open("w") as pipe:
            pipe.write(f"{text}\n")

    def established(self) -> bool:
        return self._states()[-1:] == ["up"]

    def _states(self) -> list[str]:
        return [event["neighbor"]["state"] for event in self._events() if event["type"] == "state"]

    def paths(self, prefix: str) -> list[Path]:
        found = self._table().get(prefix)
        return [] if found is None else [found]

    def _table(self) -> dict[str, Path]:
        table: dict[str, Path] = {}
        for event in self._events():
            if event["type"] == "state" and event["neighbor"]["state"] == "down":
                table.clear()
            if event["type"] == "update" and "update" in event["neighbor"]["message"]:
                _take(table, event["neighbor"]["message"]["update"])
        return table

    def accepted(self) -> int:
        return sum(":" not in prefix for prefix in self._table())

    def shut(self, message: str) -> str:
        self._command(f"neighbor {self.setup.node} teardown 2")
        return "Administrative Shutdown"

    def refresh(self) -> None:
        self._command(f"neighbor {self.setup.node} announce route-refresh ipv4 unicast")

    def said(self) -> str:
        """NOTIFICATIONs as octets: this version fails to decode a shutdown message (RFC 9003)."""
        return "\n".join(
            bytes.fromhex(event["neighbor"]["message"]["body"][2:]).decode(errors="replace")
            for event in self._events()
            if event["type"] == "notification" and "body" in event["neighbor"].get("message", {})
        )


def _take(table: dict[str, Path], update: dict[str, Any]) -> None:
    for entries in update.get("withdraw", {}).values():
        for entry in entries:
            table.pop(entry["nlri"], None)
    for hops in update.get("announce", {}).values():
        for hop, entries in hops.items():
            for entry in entries:
                table[entry["nlri"]] = _path(hop, update["attribute"])


def _path(hop: str, attributes: dict[str, Any]) -> Path:
    return Path(
        next_hop=hop,
        as_path=tuple(attributes.get("as-path", ())),
        origin=attributes["origin"].upper(),
        local_pref=attributes.get("local-preference"),
        communities=_joined(attributes.get("community", ())),
        large_communities=_joined(attributes.get("large-community", ())),
        bandwidth=_bandwidth(attributes.get("extended-community", [])),
    )


def _bandwidth(found: list[dict[str, int]]) -> float | None:
    """Eight octets as a number: type, subtype, two octets of the AS number, the float."""
    kinds = (0x0004, 0x4004)
    return next(
        (float_of(each["value"] & 0xFFFFFFFF) for each in found if each["value"] >> 48 in kinds), None
    )


def _joined(numbers: Any) -> frozenset[str]:
    return frozenset(":".join(str(number) for number in each) for each in numbers)
