# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BFD profiles: how quickly a peer that is gone is noticed (RFC 5880, RFC 5883)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .fields import Fields


@dataclass(frozen=True)
class BfdProfile:
    """A profile as it is in force. Intervals are seconds; the defaults are those of FRR."""

    name: str
    receive_interval: float = 0.3  # the shortest between two packets of the peer that we can take
    transmit_interval: float = 0.3  # the shortest between two packets of ours
    echo_interval: float = 0.05  # the shortest between two echo packets that we can take
    detect_multiplier: int = 3  # so many packets are missed before the peer is gone
    minimum_ttl: int = 254  # of received packets, for peers that are several hops away
    echo_mode: bool = False
    passive_mode: bool = False  # wait for the peer's first packet
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)


def read_bfd_profile(name: str, namespace: str, labels: Mapping[str, str], spec: Fields) -> BfdProfile:
    """A profile from ``spec`` of a BFDProfile, where intervals are milliseconds."""
    plain = BfdProfile(name)
    found = BfdProfile(
        name=name,
        namespace=namespace,
        labels=labels,
        receive_interval=_read_interval(spec, "receiveInterval", plain.receive_interval),
        transmit_interval=_read_interval(spec, "transmitInterval", plain.transmit_interval),
        echo_interval=_read_interval(spec, "echoInterval", plain.echo_interval),
        detect_multiplier=spec.integer("detectMultiplier", 2, 255) or plain.detect_multiplier,
        minimum_ttl=spec.integer("minimumTtl", 1, 254) or plain.minimum_ttl,
        echo_mode=spec.boolean("echoMode"),
        passive_mode=spec.boolean("passiveMode"),
    )
    spec.done()
    return found


def _read_interval(spec: Fields, name: str, default: float) -> float:
    milliseconds = spec.integer(name, 10, 60000)
    return default if milliseconds is None else milliseconds / 1000


__all__ = ["BfdProfile", "read_bfd_profile"]
