# SPDX-License-Identifier: GPL-3.0-or-later
"""UPDATEs put together from hexadecimal parts."""

from __future__ import annotations

from daemon.bgp.wire_cases import octets

from vipcast.bgp.framing import Frame, MessageType
from vipcast.bgp.messages import Update, decode


def update(
    attributes: str = "", nlri: str = "", withdrawn: str = "", *, internal: bool | None = None
) -> Update:
    parts = [octets(part) for part in (withdrawn, attributes, nlri)]
    body = (
        len(parts[0]).to_bytes(2, "big") + parts[0] + len(parts[1]).to_bytes(2, "big") + parts[1] + parts[2]
    )
    message = decode(Frame(MessageType.UPDATE, body), internal=internal)
    assert isinstance(message, Update)
    return message


GOOD = "40010100 4002060201 0000fc01 4003040a630001"
PREFIX = "200a090001"
