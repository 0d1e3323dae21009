# SPDX-License-Identifier: GPL-3.0-or-later
"""The view of a segment that a person on a host of the lab has, with the tools that are there."""

from __future__ import annotations

import json
import re

from support.lab import Lab

MAC = r"(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}"


def answering(lab: Lab, host: str, address: str) -> set[str]:
    """Return the MAC addresses of everyone who says to have an address: by arping or ndisc6, on eth0.

    Three questions a fifth of a second apart, so that one lost frame hides nobody.
    """
    asked = f"arping -I eth0 -c 3 -W 0.2 -w 1 {address}"
    if ":" in address:
        asked = f"ndisc6 -m -n -r 3 -w 200 {address} eth0"
    said = lab.run(host, f"{asked} || true")
    found = re.findall(rf"(?:from|link-layer address:) ({MAC})", said)
    return {mac.lower() for mac in found}


def remembered(lab: Lab, host: str, address: str) -> str | None:
    """Return where the host's kernel sends to. Looking asks nobody."""
    entries = json.loads(lab.run(host, f"ip -json neighbor show to {address} dev eth0") or "[]")
    return next((one["lladdr"] for one in entries if "lladdr" in one), None)


def curl(lab: Lab, host: str, address: str, port: int = 80) -> str:
    """The status of one request, 000 where nobody answers."""
    place = f"[{address}]" if ":" in address else address
    command = f"curl -s -g -m 5 -o /dev/null -w '%{{http_code}}\\n' http://{place}:{port}/ || true"
    return lab.run(host, command).strip()
