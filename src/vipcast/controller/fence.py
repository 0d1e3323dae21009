# SPDX-License-Identifier: GPL-3.0-or-later
"""What a leader that went without a word has sent may still arrive; here it is made to fail.

A patch names the resourceVersion that it was made for. So whoever takes over first changes every service that
has no address: an address that was on its way to one of them is refused by the API server then, and can be
given to another. Services that have an address need no such change. They keep it, and what was on its way to
them was decided from the same services and pools.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from vipcast.controller.change import TAKEN_OVER
from vipcast.controller.copies import Copies
from vipcast.daemon.log import log_for
from vipcast.ipam.service import Relation
from vipcast.k8s import TROUBLE, ApiError, Client, Json, Key
from vipcast.k8s.resource import SERVICES

__all__ = ["fence"]

AT_ONCE = 8
PAUSE_SECONDS = 0.2

_log = log_for("controller")
_Open = dict[Key, str]  # a service without an address, and its uid


async def fence(client: Client, copies: Copies, mark: str) -> int:
    """Change every service of ours that has no address; how many those were. `mark` says who and when.

    Everything in `copies` is current before and after.
    """
    todo = _without_address(copies)
    count = len(todo)
    while todo:
        changed = await _change_all(client, copies, todo, mark)
        await copies.services.refresh()
        # A service that has an address now got it from what was under way: it was seen in time.
        todo = {key: uid for key, uid in _without_address(copies).items() if todo.get(key) == uid}
        for key in changed:
            todo.pop(key, None)
    return count


def _without_address(copies: Copies) -> _Open:
    return {
        key: item["metadata"]["uid"] for key, item in copies.services.items.items() if _waits(copies, item)
    }


def _waits(copies: Copies, item: Json) -> bool:
    view = copies.view(item)
    return view.relation is Relation.OURS and not view.shown


async def _change_all(client: Client, copies: Copies, keys: Iterable[Key], mark: str) -> list[Key]:
    slots = asyncio.Semaphore(AT_ONCE)

    async def change(key: Key) -> bool:
        async with slots:
            return await _change(client, key, copies.services.items.get(key), mark)

    order = list(keys)
    done = await asyncio.gather(*(change(key) for key in order))
    return [key for key, changed in zip(order, done, strict=True) if changed]


async def _change(client: Client, key: Key, item: Json | None, mark: str) -> bool:
    if item is None:
        return False
    named = {name: item["metadata"][name] for name in ("uid", "resourceVersion")}
    patch = {"metadata": {**named, "annotations": {TAKEN_OVER: mark}}}
    try:
        await client.patch(SERVICES.path(*key, "status"), patch)
    except TROUBLE as error:
        if not (isinstance(error, ApiError) and error.status in (404, 409)):  # changed or deleted meanwhile
            _log.warning("write_failed", kind="Service", object="/".join(key), why=str(error))
            await asyncio.sleep(PAUSE_SECONDS)
        return False
    return True
