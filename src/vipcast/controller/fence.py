# SPDX-License-Identifier: GPL-3.0-or-later
"""The fence against writes of a former leader that still arrive: they are made to fail.

A patch names the resourceVersion that it was made for. So whoever takes over first changes every service that
has no address: an address that was on its way to one of them is refused by the API server then, and can be
given to another. Services that have an address need no such change. They keep it, and what was on its way to
them was decided from the same services and pools.

The change adds nothing to a service that waits already: the condition that says so gets another time. The API
server may refuse even that, for one service and for as long as its owner likes (an admission policy, an
object that is not valid any more). Such a service is set aside, and delays nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from vipcast.controller.cache import Cache
from vipcast.controller.change import CONDITION
from vipcast.controller.quarantine import Waiter
from vipcast.controller.trim import trim_service
from vipcast.ipam.service import Relation
from vipcast.k8s import API_ERRORS, STRATEGIC_PATCH, ApiError, Client, Json, Key
from vipcast.k8s.resource import SERVICES

__all__ = ["change_one", "fence"]

AT_ONCE = 8
TRIES = 3
PAUSE_SECONDS = 0.2  # before the second try; doubled before each further one
TRY_SECONDS = 5.0  # for one request: an admission webhook may hang
FENCE_SECONDS = 10.0  # for all of it; what was not changed by then is set aside
# Another try may do: too many requests, somebody else's change, a timeout.
_PASSING = (404, 408, 409, 429)
_UNCHANGED = "the API server made no new version of it"

_Open = dict[Key, Waiter]


async def fence(client: Client, cache: Cache, keys: Iterable[Key] | None = None) -> tuple[int, _Open]:
    """Change every service of ours that has no address, or those of `keys` only.

    Return how many there were, and those that could not be changed. What `cache` has of all services is
    current afterwards where there were any.
    """
    todo, quarantine = _without_address(cache, keys), _Open()
    count, until = len(todo), _time() + FENCE_SECONDS
    for number in range(TRIES):
        if not todo:
            break
        await asyncio.sleep(PAUSE_SECONDS * number)
        failed = await _change_all(client, cache, todo, until)
        await cache.services.refresh()
        # One that was changed meanwhile, by whomever, is as good as changed by us.
        failed = {key: each for key, each in failed.items() if each.is_like(cache.services.items.get(key))}
        quarantine |= {key: each for key, each in failed.items() if each.final}
        todo = {key: each for key, each in failed.items() if not each.final}
    return count, quarantine | todo


def _without_address(cache: Cache, keys: Iterable[Key] | None) -> _Open:
    items = cache.services.items
    looked_at = items.keys() if keys is None else keys & items.keys()
    return {key: Waiter.of(items[key]) for key in looked_at if _waits(cache, items[key])}


def _waits(cache: Cache, item: Json) -> bool:
    view = cache.view(item)
    return view.relation is Relation.OURS and not view.shown


async def _change_all(client: Client, cache: Cache, todo: _Open, until: float) -> _Open:
    """Return those that could not be changed, and why."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def change(key: Key, waiter: Waiter) -> Waiter | None:
        async with slots:
            item = cache.services.items.get(key)
            if item is None:
                return None
            if _time() > until:
                return replace(waiter, why="there was no time left to change it", final=True)
            return await _try(client, key, waiter, item)

    found = await asyncio.gather(*(change(key, waiter) for key, waiter in todo.items()))
    return {key: waiter for key, waiter in zip(todo, found, strict=True) if waiter is not None}


async def _try(client: Client, key: Key, waiter: Waiter, item: Json) -> Waiter | None:
    try:
        async with asyncio.timeout(TRY_SECONDS):
            await change_one(client, key, item)
    except TimeoutError:
        return replace(waiter, why=f"no answer within {TRY_SECONDS:g} s")
    except API_ERRORS as error:
        final = isinstance(error, ApiError) and error.status not in _PASSING and error.status < 500
        return replace(waiter, why=str(error), final=final)
    return None


async def change_one(client: Client, key: Key, item: Json) -> Json:
    """Make a new version of a service that waits; the API server's answer.

    Raises ApiError, UnreachableError or AccessError, ApiError 409 where it was changed meanwhile.
    """
    named = {name: item["metadata"][name] for name in ("uid", "resourceVersion")}
    patch = {"metadata": named, "status": {"conditions": [_condition(item)]}}
    answer = await client.patch(SERVICES.path(*key, "status"), patch, content_type=STRATEGIC_PATCH)
    if answer["metadata"]["resourceVersion"] == named["resourceVersion"]:
        raise ApiError(422, "Unchanged", _UNCHANGED)
    return trim_service(answer)


def _condition(item: Json) -> Json:
    """The change: another time of the condition that is there, or one that says what happens."""
    conditions = (item.get("status") or {}).get("conditions") or ()
    before = next((each for each in conditions if each.get("type") == CONDITION), None)
    now = datetime.now(UTC).replace(microsecond=0)
    if before is not None:
        then = before.get("lastTransitionTime")
        other = now if _word(now) != then else now - timedelta(seconds=1)
        return {"type": CONDITION, "lastTransitionTime": _word(other)}
    return {
        "type": CONDITION,
        "status": "Unknown",
        "reason": "TakenOver",
        "message": "another replica of the controller leads from now on, and decides next",
        "lastTransitionTime": _word(now),
    }


def _word(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _time() -> float:
    return asyncio.get_running_loop().time()
