# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks an address as a client would: many new connections, each from a source port of its own.

**PRIVATE** to the collection. It runs on the client, which has nothing but Python's standard library.

A router with several next hops chooses one by a hash over addresses and ports: other ports see other nodes.
"""

from __future__ import annotations

import errno
import http.client
import ipaddress
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .sampling import percentile

NODE_HEADER, POD_HEADER = "X-Node-Name", "X-Pod-Name"
LONGEST_BODY = 65536  # an answer is read to its end, but not for ever
PORT_TRIES = 50


class Kind(Enum):
    """The reason why a request got no answer."""

    REFUSED = "refused"  # the host is there, and nothing listens (or kube-proxy rejects: no endpoint)
    TIMEOUT = "timeout"  # packets vanish
    RESET = "reset"  # the connection was there, and somebody ended it
    CLOSED = "closed"  # ended in good order, but without an answer
    UNREACHABLE = "unreachable"  # a router or the client itself knows no way
    MALFORMED = "malformed"  # an answer that is not HTTP
    OTHER = "other"


ERRNOS = {
    errno.ECONNREFUSED: Kind.REFUSED,
    errno.ETIMEDOUT: Kind.TIMEOUT,
    errno.ECONNRESET: Kind.RESET,
    errno.EPIPE: Kind.RESET,
    errno.ECONNABORTED: Kind.RESET,
    errno.EHOSTUNREACH: Kind.UNREACHABLE,
    errno.ENETUNREACH: Kind.UNREACHABLE,
    errno.EADDRNOTAVAIL: Kind.UNREACHABLE,
}


@dataclass(frozen=True)
class Target:
    """The target of requests.

    `statuses`: HTTP status codes that are good; `timeout` in seconds, for one request.
    """

    address: str
    port: int
    http: bool = True
    path: str = "/"
    host: str | None = None
    statuses: tuple[int, ...] = (200,)
    timeout: float = 3.0

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ipaddress.ip_address(self.address).version == 6 else socket.AF_INET

    @property
    def host_header(self) -> str:
        """RFC 9110, 7.2: host and, where it is not the scheme's own, port."""
        name = self.host or (f"[{self.address}]" if self.family == socket.AF_INET6 else self.address)
        return name if self.port == 80 or self.host else f"{name}:{self.port}"


@dataclass(frozen=True)
class Answer:
    """The outcome of one request. `started` and `seconds` from the run's start and for the request."""

    number: int
    started: float
    seconds: float
    source_port: int | None = None
    status: int | None = None
    node: str | None = None
    pod: str | None = None
    error: Kind | None = None
    message: str = ""


@dataclass
class SourcePorts:
    """Hands out sockets that are bound to ports which this run has not used."""

    used: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def bound(self, family: socket.AddressFamily) -> socket.socket:
        """A new socket. The kernel chooses at random among its free ports; one that we had is given back."""
        for _try in range(PORT_TRIES):
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 0))
            port = sock.getsockname()[1]
            with self.lock:
                if port not in self.used:
                    self.used.add(port)
                    return sock
            sock.close()
        raise OSError(errno.EADDRNOTAVAIL, f"no new source port in {PORT_TRIES} tries; make fewer requests")


def probe(target: Target, *, requests: int, concurrency: int) -> list[Answer]:
    """All answers, in the order of the requests. Takes at most about requests / concurrency * timeout."""
    ports, begin = SourcePorts(), time.monotonic()
    with ThreadPoolExecutor(max_workers=min(concurrency, requests)) as pool:
        return list(pool.map(lambda number: _ask(target, ports, begin, number), range(1, requests + 1)))


def _ask(target: Target, ports: SourcePorts, begin: float, number: int) -> Answer:
    start = time.monotonic()
    found: dict[str, Any] = {}
    try:
        with ports.bound(target.family) as sock:
            found["source_port"] = sock.getsockname()[1]
            sock.settimeout(target.timeout)
            sock.connect((target.address, target.port))
            if target.http:
                found.update(_get(target, sock))
    except (OSError, http.client.HTTPException) as exc:
        found.update(error=kind_of(exc), message=str(exc) or type(exc).__name__)
    seconds = time.monotonic() - start
    return Answer(number=number, started=start - begin, seconds=seconds, **found)


def _get(target: Target, sock: socket.socket) -> dict[str, Any]:
    """One HTTP/1.1 GET on a connected socket."""
    connection = http.client.HTTPConnection(target.address, target.port)
    connection.sock = sock
    headers = {"Host": target.host_header, "Connection": "close", "User-Agent": "vipcast-probe"}
    connection.request("GET", target.path, headers=headers)
    with connection.getresponse() as response:
        response.read(LONGEST_BODY)
        return {
            "status": response.status,
            "node": response.getheader(NODE_HEADER),
            "pod": response.getheader(POD_HEADER),
        }


def kind_of(exc: Exception) -> Kind:
    """The name of a failure. (socket.timeout is TimeoutError only from Python 3.10 on.)"""
    if isinstance(exc, socket.timeout):
        return Kind.TIMEOUT
    if isinstance(exc, (http.client.RemoteDisconnected, http.client.IncompleteRead)):
        return Kind.CLOSED
    if isinstance(exc, http.client.HTTPException):
        return Kind.MALFORMED
    return ERRNOS.get(getattr(exc, "errno", None) or 0, Kind.OTHER)


def is_good(target: Target, answer: Answer) -> bool:
    """A connection is enough where HTTP is not spoken."""
    return answer.error is None and (not target.http or answer.status in target.statuses)


def summary(target: Target, answers: list[Answer]) -> dict[str, Any]:
    """Counts and times of a run, as plain data; times in milliseconds."""
    good = [answer for answer in answers if is_good(target, answer)]
    return {
        "requests": len(answers),
        "ok": len(good),
        "statuses": _counts(str(answer.status) for answer in answers if answer.status is not None),
        "errors": _errors(answers),
        "latency": _latency([answer.seconds for answer in good]),
        "nodes": _counts(answer.node for answer in good if answer.node),
        "pods": _counts(answer.pod for answer in good if answer.pod),
        "unnamed": sum(1 for answer in good if not answer.node and not answer.pod),
        "source_ports": len({answer.source_port for answer in answers if answer.source_port}),
        "duration": round(max((answer.started + answer.seconds for answer in answers), default=0.0), 3),
    }


def _counts(names: Any) -> dict[str, int]:
    """Return how often each was there, sorted by name."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))


def _latency(seconds: list[float]) -> dict[str, float | None]:
    def milliseconds(fraction: float) -> float | None:
        value = percentile(seconds, fraction)
        return None if value is None else round(value * 1000, 2)

    return {
        "min": milliseconds(0),
        "median": milliseconds(0.5),
        "p99": milliseconds(0.99),
        "max": milliseconds(1),
    }


def _errors(answers: list[Answer]) -> list[dict[str, Any]]:
    """One entry for each kind, in the order in which they first occurred."""
    entries: dict[Kind, dict[str, Any]] = {}
    for answer in sorted((a for a in answers if a.error), key=lambda a: a.started):
        kind = answer.error or Kind.OTHER
        entry = entries.setdefault(
            kind,
            {
                "kind": kind.value,
                "count": 0,
                "first_request": answer.number,
                "first_after": round(answer.started, 3),
                "message": answer.message,
            },
        )
        entry["count"] += 1
    return list(entries.values())
