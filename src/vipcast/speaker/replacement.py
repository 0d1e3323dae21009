# SPDX-License-Identifier: GPL-3.0-or-later
"""The question whether a speaker that ends is replaced: then routers may keep its routes for a while."""

from __future__ import annotations

import asyncio

from vipcast.daemon.log import log_for
from vipcast.daemon.options import Options
from vipcast.k8s import API_ERRORS, Client
from vipcast.k8s.resource import PODS

__all__ = ["is_replaced"]

# A node that is switched off does not wait long, and its API server may be on the way down too.
_PATIENCE = 0.5

_log = log_for("speaker")


async def is_replaced(client: Client, options: Options) -> bool:
    """A rollout deletes a Pod before its container is told to end; a node that is shut down deletes nothing.

    Where the API server doesn't say, nobody is expected: routes that are withdrawn too early cost little as
    long as other nodes have them, and routes to a node that is off are a black hole for the restart time.
    """
    if not options.pod_name:
        return True  # a unit of systemd, a person: what is ended there is mostly started again
    try:
        async with asyncio.timeout(_PATIENCE):
            pod = await client.get(PODS.path(options.namespace, options.pod_name))
    except (TimeoutError, *API_ERRORS) as error:
        _log.warning("pod_unknown", pod=options.pod_name, why=str(error) or "no answer in time")
        return False
    return "deletionTimestamp" in pod["metadata"]
