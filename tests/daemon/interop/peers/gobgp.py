# SPDX-License-Identifier: GPL-3.0-or-later
"""GoBGP, asked by ``gobgp`` over a Unix socket."""

from __future__ import annotations

import json
from typing import Any

from daemon.interop.network import eventually, run
from daemon.interop.peers.base import GRACEFUL_SECONDS, Path, Program, Setup

_ESTABLISHED = 6
_ORIGINS = ("IGP", "EGP", "Incomplete")


def config(setup: Setup) -> str:
    """GoBGP takes JSON as well as TOML: what is true for one is true for the other."""
    families = [
        {
            "config": {"afi-safi-name": name},
            "mp-graceful-restart": {"config": {"enabled": True}},
        }
        for name in ("ipv4-unicast", "ipv6-unicast")
    ]
    neighbor: dict[str, Any] = {
        "config": {"neighbor-address": setup.node, "peer-as": setup.remote_asn},
        "transport": {"config": {"passive-mode": not setup.dials}},
        "timers": {
            "config": {
                "hold-time": setup.hold_time,
                "keepalive-interval": setup.keepalive_time,
                "connect-retry": 1,
                "idle-hold-time-after-reset": 1,
            }
        },
        "graceful-restart": {"config": {"enabled": True, "restart-time": GRACEFUL_SECONDS}},
        "afi-safis": families,
    }
    if setup.password is not None:
        neighbor["config"]["auth-password"] = setup.password
    if setup.ttl_security:
        neighbor["ttl-security"] = {"config": {"enabled": True, "ttl-min": 255}}
    return json.dumps(
        {"global": {"config": {"as": setup.asn, "router-id": "10.99.0.2"}}, "neighbors": [neighbor]}
    )


class GoBgp(Program):
    name, package, program = "GoBGP", "gobgpd", "gobgpd"

    def _run(self) -> None:
        folder = self.cable.folder
        (folder / "gobgp.json").write_text(config(self.setup))
        socket = folder / "gobgp.sock"
        socket.unlink(missing_ok=True)
        options = [
            "-t",
            "json",
            "-l",
            "debug",
            "--log-plain",
            "--pprof-disable",
            "--api-hosts",
            f"unix://{socket}",
        ]
        self.cable.spawn("gobgpd", "gobgpd", "-f", f"{folder}/gobgp.json", *options)
        eventually(lambda: socket.exists() and self._neighbor(), "GoBGP has its neighbor")
        if self.setup.network is not None:
            self._gobgp("global", "rib", "add", self.setup.network, "nexthop", self.setup.router)

    def _gobgp(self, *words: str) -> str:
        return run("gobgp", "--target", f"unix://{self.cable.folder}/gobgp.sock", *words, check=False)

    def _json(self, *words: str) -> Any:
        try:
            return json.loads(self._gobgp("-j", *words) or "{}")
        except ValueError:  # an error is said in words
            return {}

    def _neighbor(self) -> dict[str, Any]:
        found: dict[str, Any] = self._json("neighbor", self.setup.node)
        return found

    def established(self) -> bool:
        return bool(self._neighbor().get("state", {}).get("session_state") == _ESTABLISHED)

    def paths(self, prefix: str) -> list[Path]:
        family = "ipv6" if ":" in prefix else "ipv4"
        found = self._json("global", "rib", "-a", family, prefix)
        return [_path(entry) for entry in found.get(prefix, [])]

    def accepted(self) -> int:
        families = self._neighbor().get("afi_safis", [])
        return sum(
            family["state"].get("accepted", 0)
            for family in families
            if family["config"]["family"]["afi"] == 1
        )

    def shut(self, message: str) -> str:
        self._gobgp("neighbor", self.setup.node, "shutdown", "--reason", message)
        return message

    def refresh(self) -> None:
        """Its own command for it. GoBGP keeps all that it received, and looks at that again."""
        self._gobgp("neighbor", self.setup.node, "softresetin")

    def said(self) -> str:
        return self.output


def _path(entry: dict[str, Any]) -> Path:
    """Attributes are named by their type codes."""
    attributes = {each["type"]: each for each in entry["attrs"]}
    segments = attributes[2].get("as_paths", [])
    return Path(
        next_hop=attributes[14]["nexthop"] if 14 in attributes else attributes[3]["nexthop"],
        as_path=tuple(asn for segment in segments for asn in segment["asns"]),
        origin=_ORIGINS[attributes[1]["value"]],
        local_pref=attributes.get(5, {}).get("value"),
        communities=frozenset(
            f"{number >> 16}:{number & 0xFFFF}" for number in attributes.get(8, {}).get("communities", ())
        ),
        large_communities=frozenset(
            "{ASN}:{LocalData1}:{LocalData2}".format(**each)
            for each in attributes.get(32, {}).get("value", ())
        ),
        bandwidth=next(
            (each["bandwidth"] for each in attributes.get(16, {}).get("value", ()) if "bandwidth" in each),
            None,
        ),
        stale=entry["stale"],
    )
