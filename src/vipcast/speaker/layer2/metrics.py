# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of layer 2: MetalLB's names, and a few more."""

from __future__ import annotations

from collections import Counter

from vipcast.daemon.metrics import Registry
from vipcast.layer2.api import Layer2Status
from vipcast.speaker.layer2.reporter import Layer2Reporter

__all__ = ["Layer2Metrics"]


class Layer2Metrics:
    """Filled from what is known when somebody asks."""

    def __init__(self, registry: Registry) -> None:
        gauge, counter = registry.gauge, registry.counter
        text = "Requests for addresses of ours that were answered."
        self._requests = counter("metallb_layer2_requests_received", text, ("ip",))
        self._responses = counter("metallb_layer2_responses_sent", "Answers to requests.", ("ip",))
        text = "Announcements that nobody asked for."
        self._gratuitous = counter("metallb_layer2_gratuitous_sent", text, ("ip",))
        text = "Times that somebody who is no member answered for an address of ours."
        self._foreign = counter("vipcast_layer2_foreign_answers_total", text, ("ip",))
        text = "What happened to addresses, seen from this node."
        self._moves = counter("vipcast_layer2_moves_total", text, ("kind",))
        text = "Addresses that another node owned at the same time, and kept."
        self._splits = counter("vipcast_layer2_owned_twice_total", text)
        text = "Nodes that may run the program, by what is known of them."
        self._members = gauge("vipcast_layer2_members", text, ("state",))
        text = "Nodes that are heard here, and do not hear this node."
        self._one_way = gauge("vipcast_layer2_members_one_way", text)
        text = "1 while nothing is received, neither from other nodes nor else."
        self._deaf = gauge("vipcast_layer2_deaf", text)
        text = "Heartbeats between the nodes."
        self._heartbeats = counter("vipcast_layer2_heartbeats_total", text, ("direction",))
        text = "Heartbeats that were not believed."
        self._dropped = counter("vipcast_layer2_heartbeats_dropped_total", text, ("reason",))
        text = "1 while the process that answers at layer 2 is there."
        self._connected = gauge("vipcast_layer2_process_up", text)

    def update(self, status: Layer2Status, reporter: Layer2Reporter, *, connected: bool) -> None:
        """Update the metrics from the agent's status and what was reported of it."""
        self._connected.set(connected)
        self._splits.set(reporter.splits)
        for kind, count in reporter.moves.items():
            self._moves.set(count, kind=kind)
        for metric in (self._requests, self._responses, self._gratuitous, self._foreign, self._members):
            metric.clear()
        for address, each in status.counters.items():
            ip = str(address)
            self._requests.set(each.answered, ip=ip)
            self._responses.set(each.answered, ip=ip)
            self._gratuitous.set(each.gratuitous, ip=ip)
            self._foreign.set(each.foreign, ip=ip)
        for state, count in Counter(each.state for each in status.members.values()).items():
            self._members.set(count, state=state)
        self._one_way.set(sum(each.one_way for each in status.members.values()))
        self._deaf.set(status.deaf)
        self._traffic(status)

    def _traffic(self, status: Layer2Status) -> None:
        self._heartbeats.set(status.traffic.sent, direction="sent")
        self._heartbeats.set(status.traffic.received, direction="received")
        for reason, count in status.traffic.dropped.items():
            self._dropped.set(count, reason=reason)
