# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
from collections import Counter

from vipcast.controller.queue import WorkQueue


async def until_idle(queue: WorkQueue[str], workers: int = 4) -> None:
    tasks = [asyncio.create_task(queue.work()) for _worker in range(workers)]
    async with asyncio.timeout(5):
        while len(queue):
            await asyncio.sleep(0.001)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_key_is_never_in_work_twice_and_is_done_again_if_added_meanwhile() -> None:
    done: Counter[str] = Counter()
    busy: set[str] = set()

    async def process(key: str) -> bool:
        assert key not in busy
        busy.add(key)
        if done[key] < 3:
            queue.add(key)
            queue.add(key)
        await asyncio.sleep(0.001)
        busy.discard(key)
        done[key] += 1
        return True

    queue: WorkQueue[str] = WorkQueue(process)
    for key in "abcab":
        queue.add(key)
    await until_idle(queue)
    assert done == {"a": 4, "b": 4, "c": 4}


async def test_a_failed_key_is_tried_again_later_and_does_not_hold_up_others() -> None:
    order: list[str] = []

    async def process(key: str) -> bool:
        order.append(key)
        return key != "bad" or order.count("bad") == 3

    queue: WorkQueue[str] = WorkQueue(process, first_pause=0.01)
    for key in ("bad", "good"):
        queue.add(key)
    await until_idle(queue, workers=1)
    assert order == ["bad", "good", "bad", "bad"]


async def test_news_about_a_failed_key_are_not_kept_waiting() -> None:
    tries: list[float] = []

    async def process(key: str) -> bool:
        tries.append(asyncio.get_running_loop().time())
        return len(tries) == 2

    queue: WorkQueue[str] = WorkQueue(process, first_pause=60)
    queue.add("x")
    worker = asyncio.create_task(queue.work())
    async with asyncio.timeout(5):
        while not tries:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        queue.add("x")
        while len(queue):
            await asyncio.sleep(0.001)
    worker.cancel()
    assert len(tries) == 2


async def test_it_is_quiet_only_while_nothing_is_in_work_or_waits_for_a_worker() -> None:
    measured: list[float] = []

    async def process(_key: str) -> bool:
        measured.append(queue.quiet)
        await asyncio.sleep(0.001)
        return len(measured) > 1  # the first try fails: pausing before the second is quiet

    queue: WorkQueue[str] = WorkQueue(process, first_pause=0.2)
    queue.add("a")
    assert queue.quiet == 0
    worker = asyncio.create_task(queue.work())
    async with asyncio.timeout(5):
        while not queue.quiet:
            await asyncio.sleep(0.001)
    assert len(queue) == 1
    await asyncio.sleep(0)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert measured == [0.0]
