# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All interfaces of the node: which ones layer 2 may use, and those that it uses, with their sockets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set

from vipcast.daemon.log import log_for
from vipcast.layer2.frames import Mac, mac_text
from vipcast.layer2.responder import Foreign
from vipcast.layer2.wants import Address, LinkStatus
from vipcast.layer2d.segment import HeirSegment, Segment
from vipcast.net.links import Link, Links, Refusal, refusal
from vipcast.punctual.loop import Loop

__all__ = ["Segments"]

_log = log_for("layer2")


class Segments:
    """``by_name``: those in use. ``changed`` is called when they, or their MACs, have changed."""

    def __init__(self, loop: Loop, changed: Callable[[], None]) -> None:
        self.by_name: dict[str, Segment] = {}
        self.refused: dict[str, Refusal] = {}
        self.own_macs: set[Mac] = set()
        self._loop, self._changed = loop, changed
        self._excluded: tuple[re.Pattern[str], ...] = ()
        self._links = Links()
        loop.read(self._links.sock, lambda _now: self._read())

    @property
    def links(self) -> Mapping[int, Link]:
        return self._links.links

    @property
    def macs(self) -> dict[str, Mac]:
        """Of those in use."""
        return {name: segment.link.mac for name, segment in self.by_name.items()}

    def exclude(self, patterns: tuple[str, ...]) -> None:
        """Regular expressions; what is none was refused before."""
        self._excluded = tuple(re.compile(pattern) for pattern in patterns)
        self._sort()

    def allowed(self, interfaces: Set[str] | None) -> frozenset[str]:
        """Those in use among the named ones; None: all in use."""
        return frozenset(self.by_name if interfaces is None else self.by_name.keys() & interfaces)

    def adopt(self, index: int, inherited: HeirSegment) -> None:
        """An interface's sockets from another process; of what is not used any more they are closed."""
        for segment in self.by_name.values():
            if segment.link.index == index:
                segment.groups.adopt(inherited.groups, inherited.joined)
                segment.adopt(inherited.sockets, inherited.past)
                return
        inherited.close()

    def leave_others(self) -> None:
        """Groups of an inheritance that nobody needs any more."""
        for segment in self.by_name.values():
            segment.groups.leave_others()

    def want(self, owned: Mapping[str, Set[Address]], watched: Mapping[str, Set[Address]]) -> None:
        """By the name of the interface: what is answered for there, and what is listened for."""
        for name, segment in self.by_name.items():
            segment.want(owned.get(name, frozenset()), watched.get(name, frozenset()))

    def send(self, name: str, frame: bytes) -> None:
        if (segment := self.by_name.get(name)) is not None:
            segment.send(frame)

    def take_foreign(self) -> Iterator[tuple[str, Foreign]]:
        """What was heard, with the interface's name."""
        for name, segment in self.by_name.items():
            if segment.fresh:
                segment.fresh = False
                for foreign in segment.responder.take_foreign():
                    yield name, foreign

    def statuses(self) -> dict[str, LinkStatus]:
        """Of all interfaces."""
        found = {}
        for link in self.links.values():
            why, segment = self.refused.get(link.name), self.by_name.get(link.name)
            problem = segment.problem if segment is not None else None
            found[link.name] = LinkStatus(mac_text(link.mac), why.name if why else "", problem)
        return found

    def close(self) -> None:
        self._loop.forget(self._links.sock)
        self._links.close()
        for segment in self.by_name.values():
            segment.close()
        self.by_name.clear()

    def _read(self) -> None:
        if self._links.read():
            self._sort()

    def _sort(self) -> None:
        """Into those that are used and those that are not, with the reason."""
        self.own_macs.clear()
        self.own_macs.update(link.mac for link in self.links.values() if len(link.mac) == 6)
        before = self.macs
        judged = {link.name: (link, refusal(link, self._excluded)) for link in self.links.values()}
        self.refused = {name: why for name, (_link, why) in judged.items() if why is not None}
        fit = {name: link for name, (link, why) in judged.items() if why is None}
        for name in [name for name, segment in self.by_name.items() if not _is_same(segment, fit.get(name))]:
            self._drop(name)
        for name, link in fit.items():
            self._keep(name, link)
        if self.macs != before:
            self._changed()

    def _drop(self, name: str) -> None:
        self.by_name.pop(name).close()
        why = self.refused.get(name)
        _log.info("interface_lost", interface=name, why=why.value if why else "it has gone")

    def _keep(self, name: str, link: Link) -> None:
        segment = self.by_name.get(name)
        if segment is None:
            made = Segment(link, self.own_macs, watch=self._loop.read_quickly, unwatch=self._loop.forget)
            self.by_name[name] = made
            _log.info("interface_found", interface=name, mac=mac_text(link.mac))
        elif segment.link != link:
            segment.set_link(link)


def _is_same(segment: Segment, link: Link | None) -> bool:
    """An interface that comes back under its name may be another one."""
    return link is not None and link.index == segment.link.index
