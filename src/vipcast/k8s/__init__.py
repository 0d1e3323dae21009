# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes API: how to reach it (`access`), to speak with it (`client`), to keep a copy (`informer`),
to say something in it (`events`), to ask who may (`review`), to agree on who leads (`elector`, `lease`).
Below them `http`, which is h11 over asyncio.
"""

from vipcast.k8s.access import find_access, in_cluster
from vipcast.k8s.client import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    Client,
    Listing,
    WatchEvent,
)
from vipcast.k8s.credentials import Access
from vipcast.k8s.errors import API_ERRORS, AccessError, ApiError, UnreachableError
from vipcast.k8s.events import Recorder
from vipcast.k8s.informer import Informer
from vipcast.k8s.resource import Json, Key, Resource, key_of

__all__ = [
    "API_ERRORS",
    "APPLY_PATCH",
    "JSON_PATCH",
    "MERGE_PATCH",
    "STRATEGIC_PATCH",
    "Access",
    "AccessError",
    "ApiError",
    "Client",
    "Informer",
    "Json",
    "Key",
    "Listing",
    "Recorder",
    "Resource",
    "UnreachableError",
    "WatchEvent",
    "find_access",
    "in_cluster",
    "key_of",
]
