# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's metrics, under the names that dashboards and alerts made for MetalLB know."""

from __future__ import annotations

from vipcast.daemon.metrics import Metric, Registry
from vipcast.ipam.decide import Decider
from vipcast.model.addresses import MAX_COUNT
from vipcast.model.configuration import Configuration

__all__ = ["LEASE_NAME", "Metrics"]

LEASE_NAME = "vipcast-controller"

MOST_WRITERS = 16  # names of other programs in one metric
_POOL = ("pool",)
# MetalLB's families of names: "" counts both.
_FAMILIES = {"": (4, 6), "ipv4_": (4,), "ipv6_": (6,)}


class Metrics:
    """Counts what is written; what is decided is read when somebody asks.

    What only the leader knows, only the leader shows: a sum over the replicas is right.
    """

    def __init__(self, registry: Registry) -> None:
        self.updates = registry.counter(
            "metallb_k8s_client_updates_total", "Objects of the API that were looked at."
        )
        self.errors = registry.counter(
            "metallb_k8s_client_update_errors_total", "Objects that could not be written and are tried again."
        )
        self._overwritten = registry.counter(
            "vipcast_service_status_overwritten_total",
            "Times that another program has undone what was written to a service, by its field manager.",
            ("by",),
        )
        self.set_aside = registry.gauge(
            "vipcast_services_set_aside", "Services for which nothing is decided: they can not be changed."
        )
        self.not_written = registry.gauge(
            "vipcast_objects_not_written", "Objects that the API server did not take; they are tried again."
        )
        self._loaded = registry.gauge(
            "metallb_k8s_client_config_loaded_bool", "Whether a configuration is in force."
        )
        self._stale = registry.gauge(
            "metallb_k8s_client_config_stale_bool", "Whether an object is in force as it was before."
        )
        self._problems = registry.gauge(
            "vipcast_configuration_problems", "What is wrong in the configuration.", ("kind", "reason")
        )
        self._waiting = registry.gauge(
            "vipcast_services_waiting", "Services that wait for an address, or for a second one."
        )
        self._leads = registry.gauge(
            "leader_election_master_status", "Whether this replica leads.", ("name",)
        )
        self._leads.set(0, name=LEASE_NAME)
        self._writers: set[str] = set()
        self._pools = _pool_gauges(registry)
        self._services = registry.gauge(
            "metallb_allocator_services_allocated_total", "Services with an address of the pool.", _POOL
        )

    def overwritten(self, by: str) -> None:
        """Count a write that was undone.

        A client of the API chooses its name, so no more than MOST_WRITERS are told apart.
        """
        known = self._overwritten.value(by=by) is not None
        if not known and len(self._writers) >= MOST_WRITERS:
            by = "other"
        self._writers.add(by)
        self._overwritten.inc(by=by)

    def collect(self, decider: Decider | None, configuration: Configuration | None, *, leads: bool) -> None:
        """Bring the gauges up to date; a standby has no `decider`."""
        self._leads.set(1 if leads else 0, name=LEASE_NAME)
        self._loaded.set(1 if configuration is not None else 0)
        self._stale.set(1 if configuration is not None and configuration.stale else 0)
        self._waiting.set(len(decider.waiting) if decider else 0)
        self._collect_problems(configuration if configuration and decider else Configuration())
        self._clear_pools()
        if decider is not None:
            self._collect_pools(decider)

    def _collect_problems(self, configuration: Configuration) -> None:
        self._problems.clear()
        for problem in configuration.problems:
            self._problems.inc(kind=problem.object.kind, reason=problem.reason.value)

    def _clear_pools(self) -> None:
        for metric in (*self._pools.values(), self._services):
            metric.clear()

    def _collect_pools(self, decider: Decider) -> None:
        allocator = decider.allocator
        for pool in allocator.pools:
            self._services.set(0, pool=pool.name)
            for prefix, families in _FAMILIES.items():
                counts = [allocator.usage(pool.name, family) for family in families]
                held, size = sum(count[0] for count in counts), sum(sum(count) for count in counts)
                self._pools[f"{prefix}addresses_in_use_total"].set(held, pool=pool.name)
                self._pools[f"{prefix}addresses_total"].set(min(size, MAX_COUNT), pool=pool.name)
        for allocation in allocator.book.allocations.values():
            self._services.inc(pool=allocation.pool)


def _pool_gauges(registry: Registry) -> dict[str, Metric]:
    texts = {
        "addresses_total": "Addresses that the pool can give.",
        "addresses_in_use_total": "Addresses of the pool that services hold.",
    }
    return {
        f"{prefix}{name}": registry.gauge(f"metallb_allocator_{prefix}{name}", text, _POOL)
        for prefix in _FAMILIES
        for name, text in texts.items()
    }
