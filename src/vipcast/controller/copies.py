# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller knows of the cluster, leading or not: copies, and the configuration that they make.

A standby keeps them too. Then nothing has to be read for the first time when it takes over, and it remembers
which form of an object was in force before a bad one came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Protocol

from vipcast.controller.conditions import about_pools
from vipcast.controller.metrics import Metrics
from vipcast.daemon.legacy import LegacySource
from vipcast.daemon.log import log_for
from vipcast.daemon.options import Options
from vipcast.ipam.service import View, read_service, slim
from vipcast.k8s import Client, Informer, Json, Key, Resource
from vipcast.k8s.resource import (
    BFD_PROFILES,
    BGP_ADVERTISEMENTS,
    BGP_PEERS,
    COMMUNITIES,
    CONFIGURATION_STATES,
    IP_ADDRESS_POOLS,
    L2_ADVERTISEMENTS,
    NAMESPACES,
    SERVICES,
)
from vipcast.model.configuration import Configuration
from vipcast.model.legacy_objects import parse_both

__all__ = ["STATE_NAME", "Copies", "Listener"]

# The kinds that the configuration is made of.
KINDS = (IP_ADDRESS_POOLS, BGP_PEERS, BGP_ADVERTISEMENTS, L2_ADVERTISEMENTS, BFD_PROFILES, COMMUNITIES)
STATE_NAME = "controller"  # of the ConfigurationState that is ours
# Objects of a configuration often come in a burst (kubectl apply -f of a folder); they are judged together.
SETTLE_SECONDS = 0.1

_log = log_for("controller")


class Listener(Protocol):
    """Who leads, and hears of every change."""

    def service_changed(self, key: Key, item: Json | None) -> None:
        """A service was made, changed or deleted."""

    def namespace_changed(self, name: str) -> None:
        """The labels of a namespace may have changed."""

    def configured(self) -> None:
        """`Copies.configuration` was read again."""

    def state_changed(self) -> None:
        """Our ConfigurationState was changed or deleted."""


class Copies:
    """Always-current copies; `listener` hears of changes while there is one."""

    def __init__(self, client: Client, options: Options, metrics: Metrics) -> None:
        self.configuration: Configuration | None = None
        self.listener: Listener | None = None
        # Set once it is known what was in force. It is not while no pool is in force and the old ConfigMap,
        # which remembers nothing itself, has broken ones: addresses that come from them must not be taken.
        self.known = asyncio.Event()
        self.namespace = options.namespace  # of the configuration
        self._options, self._metrics = options, metrics
        self._changed = asyncio.Event()
        self.services = Informer(client, SERVICES, on_change=self._on_service, slim=slim)
        self.namespaces = Informer(client, NAMESPACES, on_change=self._on_namespace, slim=_slim_namespace)
        self.config: dict[Resource, Informer] = {
            resource: Informer(
                client,
                resource,
                on_change=self._on_config,
                namespace=options.namespace,
                # Without pools there is nothing to do; without the others addresses can still be given.
                optional=resource is not IP_ADDRESS_POOLS,
            )
            for resource in KINDS
        }
        self.legacy = LegacySource(client, options, on_change=self._on_config)
        self._state = self._state_informer(client)

    def _state_informer(self, client: Client) -> Informer:
        return Informer(
            client,
            CONFIGURATION_STATES,
            on_change=self._on_state,
            namespace=self.namespace,
            field_selector=f"metadata.name={STATE_NAME}",
            optional=True,
        )

    @property
    def informers(self) -> list[Informer]:
        """All of them, what others depend on first."""
        return [
            *self.config.values(),
            *self.legacy.informers,
            self._state,
            self.namespaces,
            self.services,
        ]

    @property
    def missing(self) -> str | None:
        """What was not read yet, and why; None once everything was."""
        waiting = [each for each in self.informers if not each.synced.is_set()]
        problems = "; ".join(each.problem for each in waiting if each.problem)
        names = ", ".join(each.resource.plural for each in waiting)
        return f"waiting for {names}{': ' if problems else ''}{problems}" if waiting else None

    @property
    def lost(self) -> str | None:
        """Why it is not known which pools there were, see `known`."""
        if self.configuration is None or self.configuration.pools or self.legacy.conversion is None:
            return None
        ours = self.legacy.conversion.ref
        found = (each for each in self.configuration.refused if each.object == ours and about_pools(each))
        return next((f"no pool is in force, and it is not known which were: {each}" for each in found), None)

    @property
    def state(self) -> Json | None:
        """Our ConfigurationState."""
        return self._state.items.get((self.namespace, STATE_NAME))

    def views(self) -> list[View]:
        """Every service, as the rules see it."""
        return [self.view(item) for item in self.services.items.values()]

    def view(self, item: Json) -> View:
        """A service, as the rules see it."""
        namespace = self.namespaces.items.get(("", item["metadata"]["namespace"]))
        labels = (namespace["metadata"].get("labels") or {}) if namespace else {}
        return read_service(item, self._options.lb_class, labels)

    # -- keeping up ------------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Everything is read once more; nothing older than this call is believed after it."""
        await asyncio.gather(*(informer.refresh() for informer in self.informers))
        self.read_configuration()

    async def follow_configuration(self) -> None:
        """Read the configuration again whenever something of it changed, until cancelled."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            self._changed.clear()
            if self.missing is None:
                self.read_configuration()
                if self.listener is not None:
                    self.listener.configured()

    def read_configuration(self) -> Configuration:
        """From the copies as they are."""
        found = parse_both(
            self._objects(),
            self.legacy.conversion,
            previous=self.configuration,
            namespace=self.namespace,
        )
        known = set(self.configuration.problems) if self.configuration else set()
        for problem in found.problems:
            if problem not in known:
                _log.warning("configuration_problem", what=str(problem), effect=problem.effect.value)
        self.configuration = found
        if self.lost is None:
            self.known.set()
        return found

    def _objects(self) -> Iterator[Json]:
        for informer in self.config.values():
            yield from informer.items.values()

    def _on_service(self, key: Key, item: Json | None) -> None:
        self._metrics.updates.inc()
        if self.listener is not None:
            self.listener.service_changed(key, item)

    def _on_namespace(self, key: Key, item: Json | None) -> None:
        if self.listener is not None and item is not None:
            self.listener.namespace_changed(key[1])

    def _on_config(self, _key: Key, _item: Json | None) -> None:
        self._metrics.updates.inc()
        self._changed.set()

    def _on_state(self, _key: Key, _item: Json | None) -> None:
        if self.listener is not None:
            self.listener.state_changed()


def _slim_namespace(item: Json) -> Json:
    metadata = item["metadata"]
    kept = {name: metadata[name] for name in ("name", "resourceVersion", "labels") if name in metadata}
    return {"metadata": kept}
