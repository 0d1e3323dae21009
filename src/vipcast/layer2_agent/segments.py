# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All interfaces of the node: which ones layer 2 may use, and those that it uses, with their sockets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set

from vipcast.agent.loop import Loop
from vipcast.daemon.log import log_for
from vipcast.layer2.api import LinkStatus
from vipcast.layer2.frames import Mac, mac_text
from vipcast.layer2.responder import Foreign
from vipcast.layer2_agent.address_interfaces import AddressInterfaces
from vipcast.layer2_agent.segment import Segment, SegmentState
from vipcast.model.addresses import IPAddress
from vipcast.net.interfaces import WITHOUT_LINK, Interface, InterfaceTable, Refusal, Rules, judge

__all__ = ["Segments"]

# Until what the kernel would not do is asked for again.
RETRY_SECONDS = 1.0
_log = log_for("layer2")


class Segments:
    """``by_name``: those in use. ``changed`` is called when they, or their MACs, have changed."""

    def __init__(self, loop: Loop, changed: Callable[[], None]) -> None:
        self.by_name: dict[str, Segment] = {}
        self.refused: dict[str, Refusal] = {}
        self.own_macs: set[Mac] = set()
        self._loop, self._changed = loop, changed
        self.retry_at: float | None = None  # what the kernel has not done yet is tried again
        self._rules = Rules()
        self._address_interfaces = AddressInterfaces({}, ())
        self._links = InterfaceTable()
        loop.read(self._links.sock, lambda _now: self._read())

    @property
    def links(self) -> Mapping[int, Interface]:
        return self._links.links

    @property
    def macs(self) -> dict[str, Mac]:
        """Return the MACs of the interfaces in use."""
        return {name: segment.link.mac for name, segment in self.by_name.items()}

    def set_rules(self, excluded: tuple[str, ...], allowed: tuple[str, ...]) -> None:
        """Set which interfaces may be used, by regular expressions; what is none was refused before."""
        self._rules = Rules(tuple(map(re.compile, excluded)), tuple(map(re.compile, allowed)))
        self._reconcile()

    def places(self, address: IPAddress, interfaces: Set[str] | None) -> frozenset[str]:
        """The interfaces in use on which an address is answered; ``interfaces``: the named ones, or None."""
        return self._address_interfaces.of(address, interfaces)

    def adopt(self, index: int, inherited: SegmentState) -> None:
        """Take over an interface's sockets from another process; close them if it is not used any more."""
        for segment in self.by_name.values():
            if segment.link.index == index:
                segment.groups.adopt(inherited.groups, inherited.joined)
                segment.adopt(inherited.sockets, inherited.past)
                return
        inherited.close()

    def leave_others(self) -> None:
        """Leave the groups of an inheritance that nobody needs any more."""
        for segment in self.by_name.values():
            segment.reach()

    def want(
        self, owned: Mapping[str, Set[IPAddress]], watched: Mapping[str, Set[IPAddress]], now: float
    ) -> None:
        """Set by the name of the interface what is answered for there, and what is listened for."""
        for name, segment in self.by_name.items():
            segment.want(owned.get(name, frozenset()), watched.get(name, frozenset()))
        self._plan(now)

    def retry(self, now: float) -> None:
        """Try again what the kernel has not done yet; to be called at ``retry_at``."""
        for segment in self.by_name.values():
            if not segment.complete:
                segment.reach()
        self._plan(now)

    def _plan(self, now: float) -> None:
        complete = all(segment.complete for segment in self.by_name.values())
        if complete:
            self.retry_at = None
        elif self.retry_at is None or self.retry_at <= now:
            self.retry_at = now + RETRY_SECONDS

    def deaf(self) -> dict[IPAddress, set[str]]:
        """Return the addresses for which questions do not get here, each with the interfaces."""
        found: dict[IPAddress, set[str]] = {}
        for name, segment in self.by_name.items():
            for address in segment.deaf:
                found.setdefault(address, set()).add(name)
        return found

    def send(self, name: str, frame: bytes) -> None:
        if (segment := self.by_name.get(name)) is not None:
            segment.send(frame)

    def take_foreign(self) -> Iterator[tuple[str, Foreign]]:
        """Yield what was heard, with the interface's name."""
        for name, segment in self.by_name.items():
            if segment.has_new:
                segment.has_new = False
                for foreign in segment.responder.take_foreign():
                    yield name, foreign

    def statuses(self) -> dict[str, LinkStatus]:
        """Return the statuses of all interfaces."""
        found = {}
        for link in self.links.values():
            why, segment = self.refused.get(link.name), self.by_name.get(link.name)
            problem = segment.problem if segment is not None else None
            found[link.name] = LinkStatus(mac_text(link.mac), why.name if why else "", problem)
        return found

    def close(self) -> None:
        self._loop.unregister(self._links.sock)
        self._links.close()
        for segment in self.by_name.values():
            segment.close()
        self.by_name.clear()

    def _read(self) -> None:
        if self._links.read():
            self._reconcile()

    def _reconcile(self) -> None:
        """Sort the interfaces into those that are used and those that are not, with the reason."""
        self.own_macs.clear()
        self.own_macs.update(link.mac for link in self.links.values() if len(link.mac) == 6)
        before, places = self.macs, self._address_interfaces
        reasons = judge(self.links, self._rules)
        judged = {link.name: (link, reasons[index]) for index, link in self.links.items()}
        self.refused = {name: why for name, (_link, why) in judged.items() if why is not None}
        fit = {name: link for name, (link, why) in judged.items() if why is None}
        able = {name: link for name, (link, why) in judged.items() if why is None or why in WITHOUT_LINK}
        self._address_interfaces = AddressInterfaces(
            {name: link.networks for name, link in able.items()}, fit.keys()
        )
        for name in [name for name, segment in self.by_name.items() if not _is_same(segment, fit.get(name))]:
            self._drop(name)
        for name, link in fit.items():
            self._keep(name, link)
        if self.macs != before or self._address_interfaces != places:
            self._changed()

    def _drop(self, name: str) -> None:
        self.by_name.pop(name).close()
        why = self.refused.get(name)
        _log.info("interface_lost", interface=name, why=why.value if why else "it has gone")

    def _keep(self, name: str, link: Interface) -> None:
        segment = self.by_name.get(name)
        if segment is None:
            made = Segment(link, self.own_macs, watch=self._loop.read_quickly, unwatch=self._loop.unregister)
            self.by_name[name] = made
            _log.info("interface_found", interface=name, mac=mac_text(link.mac))
        elif segment.link != link:
            segment.set_link(link)


def _is_same(segment: Segment, link: Interface | None) -> bool:
    """An interface that comes back under its name may be another one."""
    return link is not None and link.index == segment.link.index
