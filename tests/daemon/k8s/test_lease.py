# SPDX-License-Identifier: GPL-3.0-or-later
"""Candidates in one process against a real API server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from support.apiserver import ApiServer
from support.following import until

from vipcast.k8s import Client, UnreachableError
from vipcast.k8s.lease import Candidate, Term
from vipcast.k8s.resource import LEASES

pytestmark = pytest.mark.apiserver


class Replica:
    """A candidate, and how often it has led."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.candidate = Candidate(client, namespace, "test")
        self.terms: list[Term] = []
        self.active = False

    async def lead(self, term: Term) -> None:
        assert not self.active, "a term began before the one before it had ended"
        self.terms.append(term)
        self.active = True
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)  # cleaning up takes a while
            self.active = False


@asynccontextmanager
async def standing(*replicas: Replica) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.candidate.run(each.lead)) for each in replicas]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_of_three_leads_and_hands_over(client: Client, namespace: str) -> None:
    replicas = [Replica(client, namespace) for _number in range(3)]
    async with standing(*replicas):
        await until(lambda: any(each.active for each in replicas))
        first = next(each for each in replicas if each.active)
        await until(lambda: all(each.candidate.leader == first.candidate.identity for each in replicas))
        assert [each.active for each in replicas].count(True) == 1
        await first.candidate.resign()
        assert not first.active and not first.candidate.leads()
        await until(lambda: any(each.active for each in replicas))
        second = next(each for each in replicas if each.active)
        assert second is not first and second.terms[0].clean
        assert [each.active for each in replicas].count(True) == 1
    lease = await client.get(LEASES.path(namespace, "test"))
    assert lease["spec"]["leaseTransitions"] == 1


async def test_without_the_api_server_nobody_leads_and_then_somebody_does(
    api_server: ApiServer, client: Client, namespace: str
) -> None:
    replicas = [Replica(client, namespace) for _number in range(2)]
    async with standing(*replicas):
        await until(lambda: any(each.active for each in replicas))
        first = next(each for each in replicas if each.active)
        await asyncio.to_thread(api_server.stop_api, kill=True)
        await until(lambda: not first.active)
        await until(lambda: first.candidate.problem)
        with pytest.raises(UnreachableError, match="not sent"):
            await first.terms[0].client.create(LEASES.path(namespace), {})
        await asyncio.to_thread(api_server.start_api)
        await until(lambda: any(each.active for each in replicas))
        leader = next(each for each in replicas if each.active)
        assert not leader.terms[-1].clean
        await until(lambda: leader.candidate.problem is None)
        assert [each.active for each in replicas].count(True) == 1


async def test_what_the_lead_raises_is_raised(client: Client, namespace: str) -> None:
    async def lead(_term: Term) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await asyncio.wait_for(Candidate(client, namespace, "test").run(lead), 30)


async def test_a_lead_that_returns_is_a_fault(client: Client, namespace: str) -> None:
    async def lead(_term: Term) -> None:
        return

    with pytest.raises(RuntimeError, match="ended by itself"):
        await asyncio.wait_for(Candidate(client, namespace, "test").run(lead), 30)


async def test_an_event_loop_that_stands_still_past_the_deadline_costs_the_lead(
    client: Client, namespace: str
) -> None:
    import time

    replica = Replica(client, namespace)
    sent: list[bool] = []

    async def write() -> None:
        """Woken in the same turn of the loop in which the deadline is found to be over."""
        await asyncio.sleep(1.0)
        with contextlib.suppress(UnreachableError):
            await replica.terms[0].client.get(LEASES.path(namespace, "test"))
            sent.append(True)

    async with standing(replica):
        await until(lambda: replica.active)
        writing = asyncio.create_task(write())
        await asyncio.sleep(0)
        time.sleep(3.0)
        await writing
        assert not sent
        await until(lambda: len(replica.terms) == 2)
        assert not replica.terms[1].clean
