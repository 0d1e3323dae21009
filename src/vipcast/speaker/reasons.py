# SPDX-License-Identifier: GPL-3.0-or-later
"""The reasons why a node does not announce an address, or not as asked: MetalLB's names where it has one."""

from __future__ import annotations

from enum import Enum

__all__ = ["NotAnnounced", "NotWeighted"]


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
    NODE_DRAINED = "nodeDrained"
    NODE_EXCLUDED = "nodeLabeledExcludeBalancers"
    DATA_PLANE = "dataPlaneUnhealthy"
    NO_LOCAL_ENDPOINTS = "noLocalEndpoints"
    NO_ENDPOINTS = "noEndpoints"
    NO_MATCHING_PEER = "noMatchingPeer"
    NO_PEER_OF_FAMILY = "noPeerOfFamily"
    # What follows is of layer 2 alone.
    NODE_NOT_READY = "nodeNotReady"
    NODE_OUT_OF_SERVICE = "nodeOutOfService"
    SHARED_WITH_SELECTORS = "sharedIPWithServiceSelector"
    SHARED_ELSEWHERE = "sharedIPElsewhere"
    NO_CANDIDATE = "noCandidate"
    NO_INTERFACE = "announceFailed"
    NO_KEY = "noMembersKey"
    NO_PROCESS = "noLayer2Process"
    STARTING = "starting"
    PROBING = "probingAddress"
    DUPLICATE = "duplicateAddress"

    @property
    def usual(self) -> bool:
        """Return whether this is right for a node that is not meant to announce: nothing to warn of."""
        return self in _USUAL


_USUAL = frozenset(
    {
        NotAnnounced.NOT_OWNER,
        NotAnnounced.NO_LOCAL_ENDPOINTS,
        NotAnnounced.NO_ADDRESS,
        NotAnnounced.NODE_DRAINED,
        NotAnnounced.STARTING,
        NotAnnounced.PROBING,
    }
)


class NotWeighted(Enum):
    """The reason why a route has no weight although an advertisement asks for it."""

    CLUSTER_POLICY = "clusterPolicy"  # externalTrafficPolicy of the service: every node reaches all endpoints
    SHARED_PREFIX = "sharedPrefix"  # the same of another service of this prefix
