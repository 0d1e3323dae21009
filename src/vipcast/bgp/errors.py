# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two families of errors: we were wrong, or they were. Any other exception out of this package is a bug."""

from __future__ import annotations

from vipcast.bgp.error_codes import ErrorCode, describe

# A NOTIFICATION has 4096 octets, or the peer's consent to more (RFC 8654 section 4): what is longer is cut.
_MAX_DATA = 4096 - 21


class BgpError(Exception):
    """Whatever this package raises on purpose."""


class LocalError(BgpError, ValueError):
    """Our side asked for something that BGP cannot carry."""


class RemoteError(BgpError):
    """The peer broke the protocol.

    It carries the NOTIFICATION that answers it: ``code``, ``subcode`` and ``data`` (RFC 4271 section 4.5).
    ``detail`` says in words what was found; the text of the exception is made of both.
    """

    def __init__(self, code: ErrorCode, subcode: int, data: bytes = b"", *, detail: str = "") -> None:
        self.code = code
        self.subcode = subcode
        self.data = data[:_MAX_DATA]
        self.detail = detail
        words = describe(code, subcode)
        super().__init__(f"{words}: {detail}" if detail else words)
