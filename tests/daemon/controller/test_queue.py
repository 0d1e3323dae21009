# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from vipcast.controller import queue as module
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


async def test_what_hangs_keeps_nobody_else_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A namespace whose webhook hangs has more services than there are workers; another has one."""
    monkeypatch.setattr(module, "SLOW_SECONDS", 0.05)
    hanging, done = asyncio.Event(), []

    async def process(key: tuple[str, int]) -> bool:
        if key[0] == "hangs":
            await hanging.wait()
        done.append(key)
        return True

    queue: WorkQueue[tuple[str, int]] = WorkQueue(process, group=lambda key: key[0], at_once=4)
    tasks = [asyncio.create_task(queue.work()) for _worker in range(12)]
    for number in range(50):
        queue.add(("hangs", number))
    await asyncio.sleep(0.15)
    for number in range(20):
        queue.add(("good", number))
        queue.add(("fine", number))
    async with asyncio.timeout(5):
        while len(done) < 40:
            await asyncio.sleep(0.01)
    assert {key[0] for key in done} == {"good", "fine"}
    assert sum(key[0] == "hangs" for key in queue._working) <= 4 + module.MOST_SLOW
    hanging.set()
    async with asyncio.timeout(10):
        while len(done) < 90:
            await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_groups_take_turns_and_no_more_are_in_work_than_may_be() -> None:
    order: list[str] = []
    most = 0

    async def process(key: tuple[str, int]) -> bool:
        nonlocal most
        most = max(most, len(queue._working))
        order.append(key[0])
        await asyncio.sleep(0.001)
        return True

    queue: WorkQueue[tuple[str, int]] = WorkQueue(process, group=lambda key: key[0], at_once=2)
    for number in range(100):
        queue.add(("many", number))
    queue.add(("few", 0))
    tasks = [asyncio.create_task(queue.work()) for _worker in range(8)]
    async with asyncio.timeout(10):
        while len(queue):
            await asyncio.sleep(0.005)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order.index("few") < 4 and most == 2


async def test_a_key_that_comes_later_comes_once_and_can_be_hurried() -> None:
    done: list[str] = []

    async def process(key: str) -> bool:
        done.append(key)
        return True

    queue: WorkQueue[str] = WorkQueue(process)
    queue.later("a", 60.0)
    queue.later("a", 0.05)
    queue.later("b", 60.0)
    assert len(queue) == 2
    queue.add("b")
    await until_idle(queue)
    assert sorted(done) == ["a", "b"]
