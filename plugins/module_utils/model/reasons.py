# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every refusal has a name: the reasons that events, conditions, metrics and the command line show.

The values are CamelCase words, as Kubernetes wants the ``reason`` of a condition to be.
"""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """The reason why a part of a configuration is not in force."""

    MISSING_FIELD = "MissingField"
    UNKNOWN_FIELD = "UnknownField"
    UNKNOWN_KIND = "UnknownKind"
    UNKNOWN_PROTOCOL = "UnknownProtocol"
    UNREADABLE = "Unreadable"
    UNSUPPORTED = "Unsupported"
    WRONG_TYPE = "WrongType"
    WRONG_NAMESPACE = "WrongNamespace"
    OUT_OF_RANGE = "OutOfRange"
    BAD_ADDRESS = "BadAddress"
    UNUSABLE_ADDRESSES = "UnusableAddresses"
    BAD_NAME = "BadName"
    BAD_DURATION = "BadDuration"
    BAD_TIMERS = "BadTimers"
    BAD_SELECTOR = "BadSelector"
    BAD_COMMUNITY = "BadCommunity"
    EXCLUSIVE_FIELDS = "ExclusiveFields"
    DUPLICATE_VALUE = "DuplicateValue"
    DUPLICATE_NAME = "DuplicateName"
    DUPLICATE_ALIAS = "DuplicateAlias"
    DUPLICATE_PEER = "DuplicatePeer"
    DUPLICATE_ADVERTISEMENT = "DuplicateAdvertisement"
    OVERLAPPING_ADDRESSES = "OverlappingAddresses"
    IMMUTABLE_FIELD = "ImmutableField"
    ECHO_NOT_POSSIBLE = "EchoNotPossible"
    DANGLING_REFERENCE = "DanglingReference"
    CONFLICTING_ADVERTISEMENT = "ConflictingAdvertisement"
    AGGREGATION_TOO_SHORT = "AggregationTooShort"


class Effect(Enum):
    """The effect of a problem on the object that has it."""

    REFUSED = "Refused"  # the object as it is now is not in force
    INEFFECTIVE = "Ineffective"  # the object is in force, without the field that is named
    DOUBTFUL = "Doubtful"  # the object is in force as it is written, and that is probably not what is meant


class RefusalReason(Enum):
    """The reason why a service has no address."""

    NO_POOLS = "NoPools"
    NO_AUTOMATIC_POOL = "NoAutomaticPool"
    NO_POOL_OF_FAMILY = "NoPoolOfFamily"
    POOL_EXHAUSTED = "PoolExhausted"
    POOL_NOT_FOUND = "PoolNotFound"
    POOL_NOT_ALLOWED = "PoolNotAllowed"
    ADDRESS_NOT_IN_ANY_POOL = "AddressNotInAnyPool"
    ADDRESS_NOT_IN_POOL = "AddressNotInRequestedPool"
    ADDRESS_IN_USE = "AddressInUse"
    ADDRESS_AVOIDED = "AddressAvoided"
    SHARING_NOT_ALLOWED = "SharingNotAllowed"
    ADDRESSES_OF_TWO_POOLS = "AddressesOfTwoPools"
    BAD_REQUEST = "BadRequest"
    CONFLICTING_REQUESTS = "ConflictingRequests"
    WRONG_FAMILY = "WrongFamily"
    NO_CLUSTER_IP = "NoClusterIP"
    UNSUPPORTED = "Unsupported"


__all__ = ["Effect", "Reason", "RefusalReason"]
