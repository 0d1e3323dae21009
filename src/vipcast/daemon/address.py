# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses to listen on, as the command line takes them."""

from __future__ import annotations

__all__ = ["BadAddressError", "parse_address"]


class BadAddressError(ValueError):
    """Not something to listen on."""


def parse_address(text: str) -> tuple[str | None, int] | None:
    """``HOST:PORT``, ``[V6]:PORT``, ``:PORT`` (host None: all), or ``none``. Raises BadAddressError."""
    if text == "none":
        return None
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if (
        not colon
        or not (port.isascii() and port.isdigit())
        or int(port) > 65535
        or (":" in host and not bracketed)
    ):
        raise BadAddressError(
            f"{text!r} is not an address to listen on; write 127.0.0.1:17472, [::1]:17472 or :17472"
        )
    return (host[1:-1] if bracketed else host) or None, int(port)
