# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell whether kubectl would use a proxy ($HTTPS_PROXY, $NO_PROXY); we don't, and say so by name.

To go around a proxy in silence could reach another machine, or none after a long wait.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from vipcast.k8s.errors import AccessError

__all__ = ["proxy_of", "refuse_proxy"]


def refuse_proxy(server: str, environment: Mapping[str, str] | None = None) -> None:
    """Raise AccessError where kubectl would reach the server through a proxy."""
    variable = proxy_of(server, os.environ if environment is None else environment)
    if variable:
        host = urlsplit(server).hostname
        raise AccessError(
            f"{server}: {variable} is set, and proxies are not supported: add {host} to NO_PROXY"
        )


def proxy_of(server: str, environment: Mapping[str, str]) -> str | None:
    """Return the variable that names a proxy for the server, or None; the rules are Go's (httpproxy)."""
    url = urlsplit(server)
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    name = f"{url.scheme}_proxy"
    variable = next((each for each in (name.upper(), name) if environment.get(each)), None)
    if variable is None or host == "localhost" or _is_loopback(host):
        return None
    excluded = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    around = (_is_around(each.strip().lower(), host.lower(), port) for each in excluded.split(","))
    return None if any(around) else variable


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_loopback


def _is_around(entry: str, host: str, port: int) -> bool:
    """Tell whether an entry of NO_PROXY is about the host: `*`, an address, a network or a domain."""
    if not entry:
        return False
    if entry == "*":
        return True
    address = _address(host)
    if "/" in entry:
        return address is not None and _in_network(address, entry)
    plain, colon, digits = entry.rpartition(":")
    if colon and digits.isdigit() and _address(entry) is None:
        if int(digits) != port:
            return False
        entry = plain.strip("[]")
    if address is not None:
        return _address(entry) == address
    domain = entry.removeprefix("*").removeprefix(".")
    return host.endswith(f".{domain}") or (host == domain and not entry.startswith((".", "*")))


def _in_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, entry: str) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
