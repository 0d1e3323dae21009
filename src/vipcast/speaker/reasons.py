# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a node does not announce an address: MetalLB's names where it has one."""

from __future__ import annotations

from enum import Enum

__all__ = ["NotAnnounced"]


class NotAnnounced(Enum):
    """The value is the name that events, metrics and the status show."""

    NO_ADDRESS = "noAddress"
    BAD_ADDRESS = "badAddress"
    ADDRESS_NOT_IN_POOL = "addressNotInPool"
    NODE_NOT_FOUND = "nodeNotFound"
    NOT_OWNER = "notOwner"
    NO_MATCHING_ADVERTISEMENT = "noMatchingAdvertisement"
    CONFLICTING_ADVERTISEMENTS = "conflictingAdvertisements"
    NODE_NETWORK_UNAVAILABLE = "nodeNetworkUnavailable"
    NODE_EXCLUDED = "nodeLabeledExcludeBalancers"
    NO_LOCAL_ENDPOINTS = "noLocalEndpoints"
    NO_ENDPOINTS = "noEndpoints"
    NO_MATCHING_PEER = "noMatchingPeer"
    NO_PEER_OF_FAMILY = "noPeerOfFamily"
    UNSUPPORTED_PEER = "unsupportedPeer"
    UNSUPPORTED_ADVERTISEMENT = "unsupportedAdvertisement"

    @property
    def usual(self) -> bool:
        """Whether this is right for a node that is not meant to announce: nothing to warn of."""
        return self in (NotAnnounced.NOT_OWNER, NotAnnounced.NO_LOCAL_ENDPOINTS, NotAnnounced.NO_ADDRESS)
