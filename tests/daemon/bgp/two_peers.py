# SPDX-License-Identifier: GPL-3.0-or-later
"""Two peers on a simulated network, and the routes that they exchange."""

from __future__ import annotations

from daemon.bgp.simulated_network import Host, SimulatedNetwork, neighbor

from vipcast.bgp.peer import PeerSessions


def hosts(left: PeerSessions | None = None, right: PeerSessions | None = None) -> tuple[Host, Host]:
    return (
        Host("left", "10.99.0.1", left or neighbor(64513, 64512, 1)),
        Host("right", "10.99.0.2", right or neighbor(64512, 64513, 2)),
    )


def simulated_network(left: Host, right: Host, *latencies: float) -> SimulatedNetwork:
    given_out = list(latencies)
    return SimulatedNetwork(left, right, lambda: given_out.pop(0) if given_out else 0.001)


def one_session(made: SimulatedNetwork) -> bool:
    left, right = made.hosts
    if len(left.established) != 1 or len(right.established) != 1:
        return False
    return left.tcp[left.established[0]] is right.tcp[right.established[0]]
