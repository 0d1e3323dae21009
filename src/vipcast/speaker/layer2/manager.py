# SPDX-License-Identifier: GPL-3.0-or-later
"""The speaker's layer 2: tells the process beside it (`vipcast layer2`) who may answer, and hears who does.

    snapshot + all nodes ──decide_layer2──> candidates ──> Layer2Client ──> vipcast layer2
                                                 └──> verdicts <──who owns what──┘

While the API server or the process is away nothing is said, and so nothing moves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from vipcast.daemon.options import Options
from vipcast.election import AddressWant
from vipcast.k8s import Client, Informer, Key
from vipcast.layer2.api import Layer2Status, Layer2Wants, Move
from vipcast.model.addresses import IPAddress
from vipcast.net.layer2 import Layer2Client
from vipcast.net.layer2_protocol import MAX_ADDRESSES
from vipcast.speaker.absence_timer import AbsenceTimer
from vipcast.speaker.decide import Snapshot
from vipcast.speaker.layer2.cache import Layer2Cache
from vipcast.speaker.layer2.decide import Layer2Decision, decide_layer2
from vipcast.speaker.layer2.membership_keys import MembershipKeys
from vipcast.speaker.layer2.verdicts import Layer2Verdict, layer2_verdicts

__all__ = ["Layer2Manager"]

# The kubelet puts a changed Secret into the folder within a minute or two.
KEYS_SECONDS = 10.0
_Spawn = Callable[[str, Coroutine[Any, Any, None]], asyncio.Task[None]]


class Layer2Manager:
    """Layer 2 of this node.

    `on_input` is called when there is something new to decide, `on_status` when the process says something.
    """

    def __init__(
        self,
        client: Client,
        options: Options,
        *,
        spawn: _Spawn,
        on_input: Callable[[], None],
        on_status: Callable[[], None],
    ) -> None:
        self.decision = Layer2Decision()
        self.cache = Layer2Cache(client, options, on_input)
        self._options, self._spawn = options, spawn
        self._on_input, self._on_status = on_input, on_status
        self._client = Layer2Client(self._process_changed, namespace=options.namespace)
        self._keys = MembershipKeys(options.layer2_key_dir)
        self._read: tuple[bytes, ...] = ()  # decisions come many times a second, and keys change once a year
        self._wanted: Mapping[IPAddress, AddressWant] = {}  # what the process was told
        self._needed = True
        self._following = False
        self._task: asyncio.Task[None] | None = None
        self._absence = AbsenceTimer(self._process_absent)

    def want(self, snapshot: Snapshot) -> None:
        """Decide, and say it. Nothing is said before everything was read: what was said before counts."""
        self._needed = bool(snapshot.configuration.layer2_advertisements)
        if self._needed and not self._following:
            self._follow()
        if not self._needed:
            self.decision = Layer2Decision()
            self._tell({})
        elif self.cache.synced:
            self.decision = decide_layer2(replace(snapshot, nodes=self.cache.nodes))
            self._tell({name: node.addresses for name, node in self.cache.nodes.items()})
        self._look_for_process()

    def verdicts(self) -> dict[Key, tuple[Layer2Verdict, ...]]:
        """Return what becomes of each address of each service of ours that is for layer 2."""
        return layer2_verdicts(
            self.decision, self._options.node_name, self._client.statuses(), absent=self.absent
        )

    @property
    def absent(self) -> str | None:
        """Return why the process has not been heard for too long.

        None while it is there, or not missed yet.
        """
        return self._client.problem if self._absence.absent else None

    @property
    def known(self) -> bool:
        """Return whether `verdicts` is so. While the process is missed another node may have taken over."""
        return self._client.connected or self._absence.absent or not self._needed

    @property
    def connected(self) -> bool:
        """Return whether the process is there."""
        return self._client.connected

    @property
    def informers(self) -> tuple[Informer, ...]:
        """Return what is followed besides, once anything is for layer 2."""
        return self.cache.informers if self._following else ()

    @property
    def needed(self) -> bool:
        """Return whether anything is for layer 2."""
        return self._needed

    def status(self) -> Layer2Status:
        """Return what the process says of itself."""
        return self._client.status if self._needed else Layer2Status()

    def problems(self) -> list[str]:
        """Return what is wrong as a whole, in words."""
        if not self._needed:
            return []
        told = (self.absent, self._keys.problem, self.cache.problem, self._too_many())
        return [each for each in (*told, *self._client.status.problems) if each]

    def moves(self) -> list[Move]:
        """Return what has happened to addresses since the last time."""
        return self._client.take_moves()

    # ---- the process ----

    def _tell(self, members: Mapping[str, tuple[Any, ...]]) -> None:
        settings = self._options.layer2
        excluded = (*settings.excluded_interfaces, *self.cache.excluded)
        self._client.want(
            Layer2Wants(
                node=self._options.node_name,
                members=members,
                addresses=self._bounded(),
                settings=replace(settings, excluded_interfaces=excluded),
                keys=self._read if self._needed else (),
            )
        )
        if self._task is None:
            # Also where nothing is for layer 2: an earlier speaker may have said otherwise.
            self._task = self._spawn("layer2", self._client.run())

    def _bounded(self) -> Mapping[IPAddress, AddressWant]:
        """Not more addresses than the process takes: it refuses the whole. Those that it has go first."""
        wanted = self.decision.addresses
        if len(wanted) > MAX_ADDRESSES:
            order = sorted(wanted, key=lambda each: (each not in self._wanted, each.version, int(each)))
            wanted = {address: wanted[address] for address in order[:MAX_ADDRESSES]}
        self._wanted = wanted
        return wanted

    def _too_many(self) -> str | None:
        left = len(self.decision.addresses) - MAX_ADDRESSES
        if left <= 0:
            return None
        return f"{left} addresses are not answered for: a node answers for {MAX_ADDRESSES} at most"

    def _follow(self) -> None:
        self._following, self._read = True, self._keys.read()
        for informer in self.cache.informers:
            self._spawn(f"layer2 {informer.resource.plural}", informer.run())
        self._spawn("layer2 first", self._tell_when_read())
        self._spawn("layer2 keys", self._follow_keys())

    async def _tell_when_read(self) -> None:
        """A collection without objects is read without a change."""
        for informer in self.cache.informers:
            await informer.synced.wait()
        self._on_input()

    async def _follow_keys(self) -> None:
        while True:
            await asyncio.sleep(KEYS_SECONDS)
            before = self._read, self._keys.problem
            self._read = self._keys.read()
            if self._needed and (self._read, self._keys.problem) != before:
                self._on_input()

    def _process_changed(self) -> None:
        self._look_for_process()
        self._on_status()

    def _look_for_process(self) -> None:
        self._absence.update(missed=not self._client.connected and self._task is not None)
        if self._absence.absent and not self._needed:
            self._stop_asking()

    def _process_absent(self) -> None:
        if self._needed:
            self._on_status()
        else:
            self._stop_asking()

    def _stop_asking(self) -> None:
        """There is no process, and nothing is for layer 2."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._absence.update(missed=False)
