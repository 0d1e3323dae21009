# SPDX-License-Identifier: GPL-3.0-or-later
"""BFD for the peers that have a profile: what sessions there should be, and which were lost. Pure.

Single hop or multihop is what FRR makes of the same neighbor, for the two have different ports: multihop is
eBGP that may go over several hops or has TTL security (for one hop too: FRR keeps both as one number), and
iBGP with a router that is not on a network of this node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from vipcast.model.addresses import IPAddress
from vipcast.model.bfd import BfdProfile
from vipcast.net.bfd import BadSettingsError, BfdSettings, BfdStatus
from vipcast.net.settings import PeerSettings

__all__ = ["Losses", "bfd_sessions", "bfd_settings"]


def bfd_sessions(
    profiles: Mapping[str, BfdProfile],
    settings: Iterable[PeerSettings],
    address: Callable[[PeerSettings], IPAddress | None],
    on_link: Callable[[IPAddress], bool],
) -> tuple[dict[str, BfdSettings], dict[str, str]]:
    """Sessions by the peer's name, and what is wrong with those that can not be.

    `profiles`: by the peer's name. `address`: where a router is, which over an interface is known only while
    there is a session with it.
    """
    found: dict[str, BfdSettings] = {}
    problems: dict[str, str] = {}
    for each in settings:
        profile, where = profiles.get(each.name), address(each)
        if profile is None or where is None:
            continue
        try:
            found[each.name] = bfd_settings(profile, each, where, on_link)
        except BadSettingsError as error:
            problems[each.name] = str(error)
    return found, problems


def bfd_settings(
    profile: BfdProfile, peer: PeerSettings, address: IPAddress, on_link: Callable[[IPAddress], bool]
) -> BfdSettings:
    """One session. Raises BadSettingsError."""
    external = peer.multihop or peer.ttl_security_hops is not None
    # Of a VRF the kernel's main table knows nothing; an internal router there is taken for a neighbor.
    multihop = (peer.vrf is None and not on_link(address)) if peer.internal else external
    # RFC 5883 section 1: no echo over several hops; FRR has none for IPv6.
    echo = profile.echo_mode and not multihop and address.version == 4
    return BfdSettings(
        peer=address,
        local=peer.source_address,
        interface=peer.interface,
        multihop=multihop,
        transmit_interval=profile.transmit_interval,
        receive_interval=profile.receive_interval,
        detect_multiplier=profile.detect_multiplier,
        echo_interval=profile.echo_interval if echo else None,
        passive=profile.passive_mode,
        minimum_ttl=profile.minimum_ttl,
        vrf=peer.vrf,
    )


class Losses:
    """Tells which peers BFD has lost since it was asked last: each loss once.

    What was lost before a session was first seen here is not told: another speaker has acted on that.
    """

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def take(self, statuses: Mapping[str, BfdStatus]) -> dict[str, str]:
        """Peers by name, and what to say of it."""
        lost = {
            name: f"BFD: {status.diagnostic}"
            for name, status in statuses.items()
            if status.went_down > self._seen.get(name, status.went_down)
        }
        # A BFD process that was started again counts from nothing.
        self._seen = {name: status.went_down for name, status in statuses.items()}
        return lost
