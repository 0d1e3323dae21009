# SPDX-License-Identifier: GPL-3.0-or-later
"""The speaker's cache of the world: informers on one side, types on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial

from vipcast.daemon.change_filter import ChangeFilter
from vipcast.daemon.legacy import LegacySource
from vipcast.daemon.options import Options
from vipcast.k8s import Client, Informer, Json, Key, Resource
from vipcast.k8s import resource as resources
from vipcast.speaker.kube_types import (
    Endpoint,
    Node,
    Service,
    read_endpoints,
    read_node,
    read_service,
    service_of,
    trim_node,
    trim_service,
    trim_slice,
)

__all__ = ["WITHOUT", "Cache", "Part"]


class Part(Enum):
    """A part of what a speaker does.

    What was not read stops a part from changing anything, but it goes on with what it did before.
    """

    ALL = "everything"
    BGP = "BGP"  # sessions and routes: a session without its routes would take them from the routers
    LAYER2 = "layer 2"  # what the process beside us may answer for
    BFD = "BFD"  # the BFD sessions of the peers; BGP goes without them


# Which part waits for a kind that was not read yet. The old ConfigMap may have anything in it, and what was
# in force of it is in a ConfigurationState, which is waited for where the text has a mistake.
WITHOUT: dict[Resource, Part] = {
    resources.NODES: Part.ALL,
    resources.SERVICES: Part.ALL,
    resources.ENDPOINT_SLICES: Part.ALL,
    resources.IP_ADDRESS_POOLS: Part.ALL,
    resources.CONFIG_MAPS: Part.ALL,
    resources.CONFIGURATION_STATES: Part.ALL,
    resources.BGP_PEERS: Part.BGP,
    resources.BGP_ADVERTISEMENTS: Part.BGP,
    resources.COMMUNITIES: Part.BGP,
    resources.L2_ADVERTISEMENTS: Part.LAYER2,
    resources.BFD_PROFILES: Part.BFD,
}


class Cache:
    """Calls `on_change` when something that matters changed; `updates` counts every change that came."""

    def __init__(self, client: Client, options: Options, on_change: Callable[[], None]) -> None:
        self.node: Node | None = None
        self.services: dict[Key, Service] = {}
        self.endpoints: dict[Key, tuple[Endpoint, ...]] = {}
        self.configuration_changed = True
        self.updates = 0
        self._on_change = on_change
        self._change_filter = ChangeFilter()
        self._slices: dict[Key, dict[Key, tuple[Endpoint, ...]]] = {}  # by service, by slice
        self._owners: dict[Key, Key] = {}  # the service of a slice
        self._make_informers(client, options)

    def _make_informers(self, client: Client, options: Options) -> None:
        itself = f"metadata.name={options.node_name}"
        self.nodes = Informer(
            client, resources.NODES, on_change=self._node, field_selector=itself, trim=trim_node
        )
        self.service_items = Informer(client, resources.SERVICES, on_change=self._service, trim=trim_service)
        self.slices = Informer(client, resources.ENDPOINT_SLICES, on_change=self._slice, trim=trim_slice)
        kinds = (resources.IP_ADDRESS_POOLS, resources.BGP_PEERS, resources.BGP_ADVERTISEMENTS)
        pools, self.peers, advertisements = (
            Informer(client, kind, on_change=partial(self._configuration, kind), namespace=options.namespace)
            for kind in kinds
        )
        # These are read where they are there; without them nothing else is wrong.
        named = tuple(
            Informer(
                client,
                kind,
                on_change=partial(self._configuration, kind),
                namespace=options.namespace,
                optional=True,
            )
            for kind in (resources.COMMUNITIES, resources.BFD_PROFILES, resources.L2_ADVERTISEMENTS)
        )
        self.configuration = (pools, self.peers, advertisements, *named)
        self.legacy = LegacySource(client, options, on_change=self._legacy)

    @property
    def informers(self) -> tuple[Informer, ...]:
        """Return all informers."""
        return (self.nodes, self.service_items, self.slices, *self.configuration, *self.legacy.informers)

    @property
    def _waiting(self) -> list[Informer]:
        needed = (self.nodes, self.service_items, self.slices, *self.configuration, *self.legacy.needed)
        return [each for each in needed if not each.synced.is_set()]

    @property
    def missing(self) -> str | None:
        """Return what was not read yet, and why; None once everything was."""
        return _words(self._waiting)

    def lacks(self, part: Part) -> str | None:
        """Return what this part needs and was not read yet, and why; None once all of it was."""
        return _words([each for each in self._waiting if WITHOUT[each.resource] in (part, Part.ALL)])

    @property
    def node_uid(self) -> str | None:
        """Return the Node's uid; None while the cluster has none of that name."""
        item = self.node_item()
        return item["metadata"]["uid"] if item else None

    def node_item(self) -> Json | None:
        """Return the Node as it came, for Events on it."""
        return next(iter(self.nodes.items.values()), None)

    def configuration_objects(self) -> Iterator[Json]:
        """Everything that the configuration is made of, besides the old ConfigMap (`legacy`).

        An object that may name one that was not read yet is left out: it would be judged wrongly.
        """
        for informer in self.configuration:
            if self.lacks(WITHOUT[informer.resource]) is None:
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

    def _configuration(self, kind: Resource, key: Key, item: Json | None) -> None:
        """The controller's counters and conditions come here too, and change nothing."""
        changed = self._change_filter.changed(kind, key, item)
        self.configuration_changed |= changed
        self._compare(False, changed)

    def _legacy(self, _key: Key, _item: Json | None) -> None:
        self.configuration_changed = True
        self._compare(False, True)

    def _compare(self, old: object, new: object) -> None:
        self.updates += 1
        if old != new:
            self._on_change()


def _words(waiting: list[Informer]) -> str | None:
    words = (f"{each.resource.plural} ({each.problem or 'not answered yet'})" for each in waiting)
    return "not read yet: " + ", ".join(words) if waiting else None
