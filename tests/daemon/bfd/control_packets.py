# SPDX-License-Identifier: GPL-3.0-or-later
"""Control packets as a peer sends them, and what a process says of those that it dropped."""

from __future__ import annotations

import json

from daemon.bfd.harness import BfdProcess

from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.bfd.packet import ControlPacket


def control(**values: object) -> ControlPacket:
    plain: dict[str, object] = {
        "state": BfdState.DOWN,
        "diagnostic": Diagnostic.NONE,
        "detect_multiplier": 3,
        "my_discriminator": 0xABCDEF,
        "your_discriminator": 0,
        "desired_min_tx": 1.0,
        "required_min_rx": 0.3,
    }
    return ControlPacket(**{**plain, **values})  # type: ignore[arg-type]


def dropped(process: BfdProcess) -> dict[str, int]:
    found: dict[str, int] = json.loads(process.get("/status")[1])["status"]["dropped"]
    return found
