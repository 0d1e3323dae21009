# SPDX-License-Identifier: GPL-3.0-or-later
"""The speaker's BFD beside its BGP, with FRR: what a loss does, and what it doesn't."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from daemon.bfd.harness import NODE, ROUTER, BfdProcess, BfdRouter, cut, eventually
from daemon.interop.speaker import enter
from daemon.interop.speaker import peer as peer_of
from daemon.speaker.snapshots import configuration, peer, pool

from vipcast.net.bfd import BfdStatus
from vipcast.net.peering import Peering
from vipcast.speaker.bgp.bfd_manager import BfdManager

FAST = {
    "apiVersion": "metallb.io/v1beta1",
    "kind": "BFDProfile",
    "metadata": {"name": "fast", "namespace": "metallb-system"},
    "spec": {"receiveInterval": 100, "transmitInterval": 100},
}
BGP = f"""router bgp 64512
 no bgp ebgp-requires-policy
 neighbor {NODE} remote-as 64513
 neighbor {NODE} timers connect 1
 neighbor {NODE} bfd
exit"""


class Beside:
    """A Peering and a BfdManager in one event loop, as in the speaker; the Peering starts when it is told."""

    def __init__(self, namespace: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.peerings: dict[str, Peering] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._thread = threading.Thread(target=self._run, args=(namespace,), daemon=True)

    def _run(self, namespace: str) -> None:
        enter(namespace)
        self.loop.run_until_complete(self._main())

    async def _main(self) -> None:
        self._end = asyncio.Event()
        self.watch = BfdManager(
            "metallb-system", spawn=self._spawn, peerings=lambda: self.peerings, on_change=lambda: None
        )
        made = configuration(pool(), peer("r", ROUTER, bfdProfile="fast"), FAST)
        self.watch.want(made.peers, [peer_of(ROUTER)], made)
        await self._end.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, _name: str, work: Any) -> asyncio.Task[None]:
        self._tasks.append(asyncio.get_running_loop().create_task(work))
        return self._tasks[-1]

    def __enter__(self) -> Beside:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    def call(self, step: Callable[[], Any]) -> Any:
        async def inside() -> Any:
            return step()

        return asyncio.run_coroutine_threadsafe(inside(), self.loop).result(10)

    def begin(self) -> None:
        def start() -> None:
            self.peerings["r"] = Peering(peer_of(ROUTER), notify=lambda: None)
            self._spawn("r", self.peerings["r"].run())

        self.call(start)

    def bfd(self) -> BfdStatus:
        status: BfdStatus = self.call(lambda: self.watch.statuses().get("r", BfdStatus()))
        return status

    def established(self) -> bool:
        return bool(self.call(lambda: "r" in self.peerings and self.peerings["r"].status().established))


def has_our_address(router: BfdRouter) -> bool:
    """Return whether FRR's BFD session is the one that it makes, or keeps, when BGP is up."""
    return bool(router.bfd_peer().get("local") == ROUTER)


def test_bgp_is_soon_back_where_frr_makes_its_bfd_session_anew(
    router: BfdRouter, process: BfdProcess, record_property: Callable[[str, object], None]
) -> None:
    """FRR before 10.3 makes its session anew when BGP has shown it its own address, and ends BGP once."""
    router.start_all("bfd\nexit", BGP)
    with Beside(router.node) as speaker:
        eventually(lambda: speaker.bfd().up, "BFD is up before BGP")
        speaker.begin()
        eventually(lambda: has_our_address(router), "FRR's session has the address that BGP has shown it", 20)
        eventually(lambda: speaker.established() and speaker.bfd().up, "both are there", 20)
        losses = speaker.bfd().counters.down_events
        assert losses in (0, 1), "an FRR that keeps its session loses none"
        record_property("sessions that FRR made anew", losses)
        heard = speaker.bfd().counters.packets_in
        eventually(lambda: speaker.bfd().counters.packets_in >= heard + 20, "time passes")
        assert speaker.established() and speaker.bfd().counters.down_events == losses


def test_a_router_that_is_gone_later_is_given_up_at_once(router: BfdRouter, process: BfdProcess) -> None:
    router.start_all("bfd\nexit", BGP)
    with Beside(router.node) as speaker:
        speaker.begin()
        eventually(lambda: has_our_address(router), "FRR's session has the address that BGP has shown it", 20)
        eventually(lambda: speaker.established() and speaker.bfd().up, "both are up", 20)
        cut(router)
        eventually(lambda: not speaker.established(), "we have given it up", 6)  # the hold time is 9 s
