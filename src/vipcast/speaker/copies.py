# SPDX-License-Identifier: GPL-3.0-or-later
"""The speaker's copies of the world: informers on one side, types on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vipcast.daemon.legacy import LegacySource
from vipcast.daemon.options import Options
from vipcast.k8s import Client, Informer, Json, Key
from vipcast.k8s import resource as resources
from vipcast.speaker.world import (
    Endpoint,
    Node,
    Service,
    read_endpoints,
    read_node,
    read_service,
    service_of,
    slim_node,
    slim_service,
    slim_slice,
)

__all__ = ["Copies"]


class Copies:
    """Calls `on_change` when something that matters changed; `updates` counts every change that came."""

    def __init__(self, client: Client, options: Options, on_change: Callable[[], None]) -> None:
        self.node: Node | None = None
        self.services: dict[Key, Service] = {}
        self.endpoints: dict[Key, tuple[Endpoint, ...]] = {}
        self.configuration_changed = True
        self.updates = 0
        self._on_change = on_change
        self._slices: dict[Key, dict[Key, tuple[Endpoint, ...]]] = {}  # by service, by slice
        self._owners: dict[Key, Key] = {}  # the service of a slice
        self._make_informers(client, options)

    def _make_informers(self, client: Client, options: Options) -> None:
        itself = f"metadata.name={options.node_name}"
        self.nodes = Informer(
            client, resources.NODES, on_change=self._node, field_selector=itself, slim=slim_node
        )
        self.service_items = Informer(client, resources.SERVICES, on_change=self._service, slim=slim_service)
        self.slices = Informer(client, resources.ENDPOINT_SLICES, on_change=self._slice, slim=slim_slice)
        kinds = (resources.IP_ADDRESS_POOLS, resources.BGP_PEERS, resources.BGP_ADVERTISEMENTS)
        pools, self.peers, advertisements = (
            Informer(client, kind, on_change=self._configuration, namespace=options.namespace)
            for kind in kinds
        )
        # These are read where they are there; without them nothing else is wrong.
        named = tuple(
            Informer(client, kind, on_change=self._configuration, namespace=options.namespace, optional=True)
            for kind in (resources.COMMUNITIES, resources.BFD_PROFILES, resources.L2_ADVERTISEMENTS)
        )
        self.configuration = (pools, self.peers, advertisements, *named)
        self.legacy = LegacySource(client, options, on_change=self._configuration)

    @property
    def informers(self) -> tuple[Informer, ...]:
        """All of them."""
        return (self.nodes, self.service_items, self.slices, *self.configuration, *self.legacy.informers)

    @property
    def missing(self) -> str | None:
        """What was not read yet, and why; None once everything was."""
        waiting = [each for each in self.informers if not each.synced.is_set()]
        words = (f"{each.resource.plural} ({each.problem or 'not answered yet'})" for each in waiting)
        return "not read yet: " + ", ".join(words) if waiting else None

    @property
    def node_uid(self) -> str | None:
        """The Node's uid; None while the cluster has none of that name."""
        item = self.node_item()
        return item["metadata"]["uid"] if item else None

    def node_item(self) -> Json | None:
        """The Node as it came, for Events on it."""
        return next(iter(self.nodes.items.values()), None)

    def configuration_objects(self) -> Iterator[Json]:
        """Everything that the configuration is made of, besides the old ConfigMap (`legacy`)."""
        for informer in self.configuration:
            yield from informer.items.values()

    def _node(self, _key: Key, item: Json | None) -> None:
        self._compare(self.node, node := read_node(item) if item else None)
        self.node = node

    def _service(self, key: Key, item: Json | None) -> None:
        new = read_service(key, item) if item else None
        self._compare(self.services.get(key), new)
        if new:
            self.services[key] = new
        else:
            self.services.pop(key, None)

    def _slice(self, key: Key, item: Json | None) -> None:
        before, after = self._owners.get(key), service_of(item) if item else None
        if before and before != after:
            self._put_slice(before, key, None)
            del self._owners[key]
        if after and item:
            self._owners[key] = after
            self._put_slice(after, key, read_endpoints(item))
        self.updates += 1

    def _put_slice(self, service: Key, key: Key, endpoints: tuple[Endpoint, ...] | None) -> None:
        slices = self._slices.setdefault(service, {})
        if endpoints is None:
            slices.pop(key, None)
        else:
            slices[key] = endpoints
        if not slices:
            del self._slices[service]
        together = tuple(each for one in slices.values() for each in one)
        if together != self.endpoints.get(service, ()):
            self._on_change()
        if together:
            self.endpoints[service] = together
        else:
            self.endpoints.pop(service, None)

    def _configuration(self, _key: Key, _item: Json | None) -> None:
        self.configuration_changed = True
        self._compare(None, True)

    def _compare(self, old: object, new: object) -> None:
        self.updates += 1
        if old != new:
            self._on_change()
