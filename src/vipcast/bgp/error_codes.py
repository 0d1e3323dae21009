# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NOTIFICATION codes and what they mean to a person.

RFC 4271 section 4.5 with RFC 4486 (Cease), 5492 (capabilities), 6608 (FSM), 7313 (route refresh), 8538 (hard
reset), 9003 (shutdown communication), 9384 (BFD) and 9687 (send hold timer).
"""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    HEADER = 1
    OPEN = 2
    UPDATE = 3
    HOLD_TIMER_EXPIRED = 4
    FSM = 5
    CEASE = 6
    ROUTE_REFRESH = 7
    SEND_HOLD_TIMER_EXPIRED = 8


class HeaderError(IntEnum):
    NOT_SYNCHRONIZED = 1
    BAD_LENGTH = 2
    BAD_TYPE = 3


class OpenError(IntEnum):
    UNSPECIFIC = 0
    UNSUPPORTED_VERSION = 1
    BAD_PEER_AS = 2
    BAD_BGP_IDENTIFIER = 3
    UNSUPPORTED_PARAMETER = 4
    UNACCEPTABLE_HOLD_TIME = 6
    UNSUPPORTED_CAPABILITY = 7


class UpdateError(IntEnum):
    MALFORMED_ATTRIBUTE_LIST = 1
    UNRECOGNIZED_WELL_KNOWN = 2
    MISSING_WELL_KNOWN = 3
    ATTRIBUTE_FLAGS = 4
    ATTRIBUTE_LENGTH = 5
    INVALID_ORIGIN = 6
    INVALID_NEXT_HOP = 8
    OPTIONAL_ATTRIBUTE = 9
    INVALID_NETWORK = 10
    MALFORMED_AS_PATH = 11


class FsmError(IntEnum):
    UNSPECIFIC = 0
    IN_OPEN_SENT = 1
    IN_OPEN_CONFIRM = 2
    IN_ESTABLISHED = 3


class Cease(IntEnum):
    UNSPECIFIC = 0
    MAX_PREFIXES = 1
    ADMINISTRATIVE_SHUTDOWN = 2
    PEER_DECONFIGURED = 3
    ADMINISTRATIVE_RESET = 4
    CONNECTION_REJECTED = 5
    CONFIGURATION_CHANGE = 6
    COLLISION = 7
    OUT_OF_RESOURCES = 8
    HARD_RESET = 9
    BFD_DOWN = 10


_CODE_WORDS = {
    ErrorCode.HEADER: "Message Header Error",
    ErrorCode.OPEN: "OPEN Message Error",
    ErrorCode.UPDATE: "UPDATE Message Error",
    ErrorCode.HOLD_TIMER_EXPIRED: "Hold Timer Expired",
    ErrorCode.FSM: "Finite State Machine Error",
    ErrorCode.CEASE: "Cease",
    ErrorCode.ROUTE_REFRESH: "ROUTE-REFRESH Message Error",
    ErrorCode.SEND_HOLD_TIMER_EXPIRED: "Send Hold Timer Expired",
}

_SUBCODE_WORDS = {
    (1, 1): "Connection Not Synchronized",
    (1, 2): "Bad Message Length",
    (1, 3): "Bad Message Type",
    (2, 1): "Unsupported Version Number",
    (2, 2): "Bad Peer AS",
    (2, 3): "Bad BGP Identifier",
    (2, 4): "Unsupported Optional Parameter",
    (2, 5): "Authentication Failure",
    (2, 6): "Unacceptable Hold Time",
    (2, 7): "Unsupported Capability",
    (2, 11): "Role Mismatch",
    (3, 1): "Malformed Attribute List",
    (3, 2): "Unrecognized Well-known Attribute",
    (3, 3): "Missing Well-known Attribute",
    (3, 4): "Attribute Flags Error",
    (3, 5): "Attribute Length Error",
    (3, 6): "Invalid ORIGIN Attribute",
    (3, 8): "Invalid NEXT_HOP Attribute",
    (3, 9): "Optional Attribute Error",
    (3, 10): "Invalid Network Field",
    (3, 11): "Malformed AS_PATH",
    (5, 1): "Unexpected Message in OpenSent",
    (5, 2): "Unexpected Message in OpenConfirm",
    (5, 3): "Unexpected Message in Established",
    (6, 1): "Maximum Number of Prefixes Reached",
    (6, 2): "Administrative Shutdown",
    (6, 3): "Peer De-configured",
    (6, 4): "Administrative Reset",
    (6, 5): "Connection Rejected",
    (6, 6): "Other Configuration Change",
    (6, 7): "Connection Collision Resolution",
    (6, 8): "Out of Resources",
    (6, 9): "Hard Reset",
    (6, 10): "BFD Down",
    (7, 1): "Invalid Message Length",
}

# RFC 9003 section 2: these two carry a length octet and that many octets of UTF-8.
WITH_MESSAGE = {
    (ErrorCode.CEASE, Cease.ADMINISTRATIVE_SHUTDOWN),
    (ErrorCode.CEASE, Cease.ADMINISTRATIVE_RESET),
}
SHUTDOWN_MESSAGE_MAX = 255


def describe(code: int, subcode: int, data: bytes = b"") -> str:
    """``Cease/Administrative Shutdown: "rack 4 moves"``: a NOTIFICATION for a person."""
    code_words = _CODE_WORDS.get(code, f"error code {code}")  # type: ignore[call-overload]
    subcode_words = _SUBCODE_WORDS.get((code, subcode), f"subcode {subcode}" if subcode else "")
    words = f"{code_words}/{subcode_words}" if subcode_words else code_words
    if (code, subcode) == (ErrorCode.CEASE, Cease.HARD_RESET) and len(data) > 1 and data[1] != subcode:
        # RFC 8538 section 3.1: the true reason is inside.
        return f"{words}: {describe(data[0], data[1], data[2:])}"
    message = shutdown_message(code, subcode, data)
    return f'{words}: "{message}"' if message else words


def encode_shutdown_message(message: str) -> bytes:
    """RFC 9003 section 2. A longer message is cut between characters; none at all is no octets at all."""
    encoded = message.encode("utf-8", "replace")[:SHUTDOWN_MESSAGE_MAX]
    whole = encoded.decode("utf-8", "ignore").encode("utf-8")
    return bytes([len(whole)]) + whole if whole else b""


def shutdown_message(code: int, subcode: int, data: bytes) -> str:
    """Return what the peer's operator wrote. Never an error: a NOTIFICATION cannot be answered.

    Control characters are replaced, because this ends in logs and terminals (RFC 9003 section 5).
    """
    if (code, subcode) not in WITH_MESSAGE or not data:
        return ""
    text = data[1 : 1 + data[0]].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
