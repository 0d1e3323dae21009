# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenBGPD, asked by ``bgpctl``."""

from __future__ import annotations

import json
import re
from pathlib import Path as FilePath
from typing import Any

from daemon.interop.network import eventually, run
from daemon.interop.peers.base import Path, Program, Setup, float_of

# It makes a socket in /run/openbgpd whatever its configuration says: each has a /run of its own.
_OWN_RUN = ("sh", "-ec", 'mount -t tmpfs tmpfs /run; mkdir /run/openbgpd; exec "$@"', "sh")


def config(setup: Setup, control: str) -> str:
    remote = "" if setup.remote_asn is None else f" remote-as {setup.remote_asn}"
    lines = [
        f"AS {setup.asn}",
        "router-id 10.99.0.2",
        f"holdtime {setup.hold_time}",
        f'socket "{control}"',
        "fib-update no",
        "log updates",
    ]
    if setup.over != "link-local":
        lines.append(f"listen on {setup.router}")
    if setup.network is not None:
        lines.append(f"network {setup.network}")
    lines += [f"neighbor {setup.node} {{", remote, " announce IPv4 unicast", " announce IPv6 unicast"]
    if not setup.dials:
        lines.append(" passive")
    if setup.ttl_security:
        lines.append(" ttl-security yes")
    if setup.password is not None:
        lines.append(f' tcp md5sig password "{setup.password}"')
    if setup.enhanced_refresh:
        lines.append(" announce enhanced refresh yes")
    lines += ["}", "allow from any", "allow to any", ""]
    return "\n".join(lines)


class OpenBgpd(Program):
    name, package, program = "OpenBGPD", "openbgpd", "bgpd"

    @classmethod
    def missing(cls) -> str | None:
        """FRR has a bgpd too, but not in /usr/sbin."""
        if not FilePath("/usr/sbin/bgpctl").exists():
            return f"no {cls.name}: .ci/packages {cls.package}"
        return super().missing()

    def _run(self) -> None:
        folder = self.cable.folder
        path, control = folder / "bgpd.conf", folder / "bgpd.sock"
        path.write_text(config(self.setup, str(control)))
        path.chmod(0o600)  # it refuses a configuration that others can read
        control.unlink(missing_ok=True)
        self.cable.spawn("bgpd", *_OWN_RUN, "/usr/sbin/bgpd", "-d", "-v", "-f", str(path))
        eventually(lambda: control.exists() and self._neighbor(), "OpenBGPD answers")
        eventually(lambda: self._neighbor()["state"] != "None", "OpenBGPD has begun")

    def _ask(self, *words: str) -> Any:
        text = run("bgpctl", "-s", str(self.cable.folder / "bgpd.sock"), "-j", *words, check=False)
        try:
            return json.loads(text or "{}")
        except ValueError:
            return {}

    def _neighbor(self) -> dict[str, Any]:
        found = self._ask("show", "neighbor", self.setup.node).get("neighbors", [])
        return found[0] if found else {}

    def established(self) -> bool:
        return self._neighbor().get("state") == "Established"

    def paths(self, prefix: str) -> list[Path]:
        found = self._ask("show", "rib", "detail").get("rib", [])
        return [_path(entry) for entry in found if entry["prefix"] == prefix and entry["valid"]]

    def accepted(self) -> int:
        return int(self._neighbor().get("stats", {}).get("prefixes", {}).get("received", 0))

    def shut(self, message: str) -> str:
        self._ask("neighbor", self.setup.node, "down", message)
        return message

    def refresh(self) -> None:
        self._ask("neighbor", self.setup.node, "refresh")

    def said(self) -> str:
        return self.output


def _path(entry: dict[str, Any]) -> Path:
    return Path(
        next_hop=entry["exit_nexthop"],
        as_path=tuple(int(asn) for asn in entry["aspath"].split()),
        origin=entry["origin"],
        local_pref=entry["localpref"],
        communities=frozenset(entry.get("communities", ())),
        large_communities=frozenset(entry.get("large_communities", ())),
        bandwidth=_bandwidth(entry.get("extended_communities", [])),
        stale=entry.get("stale", False),
    )


def _bandwidth(found: list[str]) -> float | None:
    """``[4] 64513:1234736768``: the subtype, the AS number, the float as if it were a number."""
    numbers = (re.fullmatch(r"\[4\] \d+:(\d+)", text) for text in found)
    return next((float_of(int(number[1])) for number in numbers if number), None)
