# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's cache of the cluster, leading or not, and the configuration that its objects make.

A standby keeps them too. Then nothing has to be read for the first time when it takes over, and it remembers
which form of an object was in force before a bad one came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Protocol

from vipcast.controller.conditions import about_pools
from vipcast.controller.metrics import Metrics
from vipcast.controller.trim import MAX_KEPT, TOO_LARGE, trim_service
from vipcast.daemon.change_filter import ChangeFilter
from vipcast.daemon.legacy import STATE_NAME, LegacySource
from vipcast.daemon.log import log_for
from vipcast.daemon.options import Options
from vipcast.ipam.request import Refusal
from vipcast.ipam.service import Relation, View, read_service
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
    NODES,
    SERVICES,
)
from vipcast.model.configuration import Configuration
from vipcast.model.legacy_objects import parse_both
from vipcast.model.reasons import RefusalReason

__all__ = ["STATE_NAME", "Cache", "Listener"]

# The kinds that the configuration is made of. Addresses are given from pools alone: what could not be read of
# the others is judged later.
OTHERS = (BGP_PEERS, BGP_ADVERTISEMENTS, L2_ADVERTISEMENTS, BFD_PROFILES, COMMUNITIES)
KINDS = (IP_ADDRESS_POOLS, *OTHERS)
# Objects of a configuration often come in a burst (kubectl apply -f of a folder); they are judged together.
SETTLE_SECONDS = 0.1

_log = log_for("controller")


class Listener(Protocol):
    """The leader, which is told of every change."""

    def service_changed(self, key: Key, item: Json | None) -> None:
        """A service was made, changed or deleted."""

    def namespace_changed(self, name: str) -> None:
        """The labels of a namespace may have changed."""

    def configured(self) -> None:
        """`Cache.configuration` was read again."""

    def status_changed(self, resource: Resource, key: Key) -> None:
        """The status of an object of the configuration has changed, and nothing else of it."""

    def state_changed(self) -> None:
        """Our ConfigurationState was changed or deleted."""


class Cache:
    """Always-current cache; `listener` hears of changes while there is one."""

    def __init__(self, client: Client, options: Options, metrics: Metrics) -> None:
        self.configuration: Configuration | None = None
        self.listener: Listener | None = None
        # Set once it is known what was in force. It is not while no pool is in force and the old ConfigMap,
        # which remembers nothing itself, has broken ones: addresses that come from them must not be taken.
        self.known = asyncio.Event()
        self.namespace = options.namespace  # of the configuration
        self._options, self._metrics = options, metrics
        self._changed = asyncio.Event()
        self._change_filter = ChangeFilter()
        self._read: set[Resource] = set()  # kinds that were listed
        self.services = Informer(client, SERVICES, on_change=self._on_service, trim=trim_service)
        self.namespaces = Informer(client, NAMESPACES, on_change=self._on_namespace, trim=_trim_namespace)
        # Advertisements are in each other's way only on a node that both select.
        self._node_labels: dict[Key, dict[str, str]] = {}
        self.nodes = Informer(client, NODES, on_change=self._on_node, trim=_trim_namespace, optional=True)
        self.config: dict[Resource, Informer] = {
            resource: self._config_informer(client, resource) for resource in KINDS
        }
        self.legacy = LegacySource(client, options, on_change=self._on_legacy)
        self._state = self._state_informer(client)

    def _config_informer(self, client: Client, resource: Resource) -> Informer:
        return Informer(
            client,
            resource,
            on_change=partial(self._on_config, resource),
            on_listed=partial(self._on_listed, resource),
            namespace=self.namespace,
            # Without pools there is nothing to do; a cluster may lack any other kind.
            optional=resource is not IP_ADDRESS_POOLS,
        )

    def _state_informer(self, client: Client) -> Informer:
        return Informer(
            client,
            CONFIGURATION_STATES,
            on_change=self._on_state,
            on_listed=self._on_state_listed,
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
            self.nodes,
            self.namespaces,
            self.services,
        ]

    @property
    def _needed(self) -> list[Informer]:
        """Return the informers without which no address can be given."""
        return [self.config[IP_ADDRESS_POOLS], *self.legacy.needed, self.namespaces, self.services]

    @property
    def missing(self) -> str | None:
        """Return which objects that addresses need were not read yet, and why; None once all were."""
        return _waiting(self._needed)

    @property
    def absent(self) -> str | None:
        """Return which other objects were not read yet, and why; addresses are given without them."""
        return _waiting([*(self.config[resource] for resource in OTHERS), self._state])

    @property
    def complete(self) -> bool:
        """Tell whether the whole configuration was read."""
        return all(informer.synced.is_set() for informer in self.config.values())

    @property
    def lost(self) -> str | None:
        """Return why it is not known which pools there were, see `known`."""
        if self.configuration is None or self.configuration.pools or self.legacy.conversion is None:
            return None
        ours = self.legacy.conversion.ref
        found = (each for each in self.configuration.refused if each.object == ours and about_pools(each))
        return next((f"no pool is in force, and it is not known which were: {each}" for each in found), None)

    @property
    def state(self) -> Json | None:
        """Our ConfigurationState."""
        return self._state.items.get((self.namespace, STATE_NAME))

    @property
    def state_known(self) -> bool:
        """Tell whether our ConfigurationState was looked for, even if there is none."""
        return self._state.synced.is_set()

    def views(self) -> list[View]:
        """Every service, as the rules see it."""
        return [self.view(item) for item in self.services.items.values()]

    def view(self, item: Json) -> View:
        """A service, as the rules see it."""
        namespace = self.namespaces.items.get(("", item["metadata"]["namespace"]))
        labels = (namespace["metadata"].get("labels") or {}) if namespace else None
        within = self._options.share_within_namespace
        view = read_service(item, self._options.lb_class, labels, within_namespace=within)
        if TOO_LARGE in item and view.relation is Relation.OURS:
            return replace(view, want=_too_large(item[TOO_LARGE]), needs=None)
        return view

    # -- keeping up ------------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Read once more what addresses need; nothing older than this call is believed after it."""
        read: list[Informer] = []
        # What was read may need more: a text with a mistake needs what it said before.
        while more := [each for each in self._needed if each not in read]:
            await asyncio.gather(*(informer.refresh() for informer in more))
            read += more
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
        """Read the configuration from the cache as it is."""
        found = parse_both(
            self._objects(),
            self.legacy.conversion,
            previous=self.configuration,
            namespace=self.namespace,
            nodes=list(self._node_labels.values()) if self.nodes.synced.is_set() else None,
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
        """Yield all objects of the configuration; only the pools while a kind is not read.

        An object that names another one is not judged before it is known whether that is there.
        """
        for resource, informer in self.config.items():
            if resource is IP_ADDRESS_POOLS or self.complete:
                yield from informer.items.values()

    def _on_service(self, key: Key, item: Json | None) -> None:
        self._metrics.updates.inc()
        if self.listener is not None:
            self.listener.service_changed(key, item)

    def _on_namespace(self, key: Key, item: Json | None) -> None:
        if self.listener is not None and item is not None:
            self.listener.namespace_changed(key[1])

    def _on_node(self, key: Key, item: Json | None) -> None:
        """Take the labels of a node; nothing else of what changes on it all the time counts."""
        labels = (item["metadata"].get("labels") or {}) if item is not None else None
        if labels == self._node_labels.get(key):
            return
        if labels is None:
            del self._node_labels[key]
        else:
            self._node_labels[key] = labels
        self._changed.set()

    def _on_config(self, resource: Resource, key: Key, item: Json | None) -> None:
        self._metrics.updates.inc()
        if self._change_filter.changed(resource, key, item):
            self._changed.set()
        elif self.listener is not None:
            self.listener.status_changed(resource, key)

    def _on_listed(self, resource: Resource) -> None:
        """Have the configuration read after the first list of a kind, which may have no objects."""
        if resource not in self._read:
            self._read.add(resource)
            self._changed.set()

    def _on_legacy(self, _key: Key, _item: Json | None) -> None:
        self._metrics.updates.inc()
        self._changed.set()

    def _on_state_listed(self) -> None:
        if self.listener is not None:
            self.listener.state_changed()

    def _on_state(self, _key: Key, _item: Json | None) -> None:
        if self.listener is not None:
            self.listener.state_changed()


def _trim_namespace(item: Json) -> Json:
    metadata = item["metadata"]
    kept = {name: metadata[name] for name in ("name", "resourceVersion", "labels") if name in metadata}
    return {"metadata": kept}


def _waiting(informers: list[Informer]) -> str | None:
    """Return which of the informers have not read their objects yet, and why; None if all have."""
    waiting = [each for each in informers if not each.synced.is_set()]
    problems = "; ".join(each.problem for each in waiting if each.problem)
    names = ", ".join(each.resource.plural for each in waiting)
    return f"waiting for {names}{': ' if problems else ''}{problems}" if waiting else None


def _too_large(size: int) -> Refusal:
    message = (
        f"the labels, the selector and the ports of the service have {size} bytes together; a load balancer"
        f" may have {MAX_KEPT}"
    )
    return Refusal(RefusalReason.UNSUPPORTED, message)
