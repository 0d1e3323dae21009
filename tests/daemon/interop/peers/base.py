# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of every router that the suite asks, whoever wrote it."""

from __future__ import annotations

import shutil
import signal
import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from daemon.interop.network import NODE, NODE6, ROUTER, ROUTER6, Cable, lacking

GRACEFUL_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The configuration of the router's end; each peer writes its own file from it.

    ``over`` link-local: neither side is told the other's address (unnumbered).
    ``dials``: the router opens the connection, and does not wait. ``hold_time`` in seconds.
    ``remote_asn`` None: any external one. ``network``: a prefix that the router announces.
    """

    asn: int = 64512
    remote_asn: int | None = 64513
    over: Literal["ipv4", "ipv6", "link-local"] = "ipv4"
    hold_time: int = 9
    password: str | None = None
    dials: bool = False
    ttl_security: bool = False
    next_hop_ipv6: bool = False
    enhanced_refresh: bool = False
    network: str | None = None

    @property
    def node(self) -> str:
        return NODE if self.over == "ipv4" else NODE6

    @property
    def router(self) -> str:
        return ROUTER if self.over == "ipv4" else ROUTER6

    @property
    def internal(self) -> bool:
        return self.asn == self.remote_asn

    @property
    def keepalive_time(self) -> int:
        return self.hold_time // 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A route as the router shows it. ``bandwidth`` in octets per second (link bandwidth community).

    ``local_pref`` is None where the router shows none, ``stale`` a route kept over a restart of ours.
    """

    next_hop: str
    as_path: tuple[int, ...]
    origin: str
    local_pref: int | None = None
    communities: frozenset[str] = frozenset()
    large_communities: frozenset[str] = frozenset()
    bandwidth: float | None = None
    stale: bool = False


def float_of(number: int) -> float:
    """The IEEE 754 single that has these 32 bits."""
    value: float = struct.unpack("!f", number.to_bytes(4))[0]
    return value


class Peer(ABC):
    """A router at the far end of a cable. ``with Peer() as peer: peer.start(Setup())``."""

    name: ClassVar[str]
    package: ClassVar[str]
    program: ClassVar[str]

    def __init__(self) -> None:
        self.cable = self._cable()
        self.setup = Setup()

    def _cable(self) -> Cable:
        return Cable()

    @classmethod
    def missing(cls) -> str | None:
        """Return what has to be there and isn't, as an instruction."""
        if (lack := lacking()) is not None:
            return lack
        if shutil.which(cls.program, path="/usr/bin:/usr/sbin:/usr/lib/frr") is None:
            return f"no {cls.name}: .ci/packages {cls.package}"
        return None

    @classmethod
    def version(cls) -> str:
        """Return the version of Debian's package, without Debian's own revision."""
        from daemon.interop.network import run

        text = run("dpkg-query", "-W", "-f=${Version}", cls.package)
        return text.partition("-")[0]

    def __enter__(self) -> Peer:
        self.cable.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.cable.__exit__()

    @property
    def node(self) -> str:
        """The namespace of the speaker."""
        return self.cable.node

    @abstractmethod
    def start(self, setup: Setup) -> None:
        """Configure and start it; returns when it answers and listens."""

    @abstractmethod
    def restart(self) -> None:
        """Kill it, as a crash would."""

    def pause(self) -> None:
        """Stand still; TCP lives on in the kernel."""
        self.cable.signal_daemon(self.program, signal.SIGSTOP)

    def resume(self) -> None:
        self.cable.signal_daemon(self.program, signal.SIGCONT)

    @abstractmethod
    def established(self) -> bool: ...

    @abstractmethod
    def paths(self, prefix: str) -> list[Path]:
        """Return what it has of a prefix and could use."""

    @abstractmethod
    def accepted(self) -> int:
        """Return how many IPv4 prefixes of the speaker it has let in; cheap."""

    @abstractmethod
    def shut(self, message: str) -> str:
        """Its operator ends the session; the message that it sends, which some routers choose themselves."""

    @abstractmethod
    def refresh(self) -> None:
        """Ask for the IPv4 routes again (RFC 2918)."""

    @abstractmethod
    def said(self) -> str:
        """Its own words about how sessions ended, oldest first."""


class Program(Peer):
    """A peer that is one daemon with one configuration file."""

    def start(self, setup: Setup) -> None:
        self.setup = setup
        self._run()

    def restart(self) -> None:
        self.cable.kill(self.program)
        self._run()

    @abstractmethod
    def _run(self) -> None: ...

    @property
    def output(self) -> str:
        return (self.cable.folder / f"{self.program}.out").read_text(errors="replace")
