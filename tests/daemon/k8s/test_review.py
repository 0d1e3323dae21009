# SPDX-License-Identifier: GPL-3.0-or-later
"""Test whose token, and may they: asked of a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.apiserver import ApiServer

from vipcast.k8s import ApiError, Client, Json, UnreachableError, find_access
from vipcast.k8s import review as module
from vipcast.k8s.review import ALLOWED_SECONDS, DENIED_SECONDS, REMEMBERED, Decision, Reviewer, Verdict

pytestmark = pytest.mark.apiserver

RBAC = "rbac.authorization.k8s.io"


class Counting(Client):
    """A client that remembers what it was asked to create."""

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__(find_access(str(kubeconfig)))
        self.created: list[str] = []

    async def create(self, path: str, body: Json, **query: Any) -> Json:
        self.created.append(path.rpartition("/")[2])
        return await super().create(path, body, **query)


class World:
    """An API server, a reviewer with a clock of its own, and service accounts that may and may not."""

    def __init__(self, api: ApiServer, namespace: str) -> None:
        self.api, self.namespace = api, namespace
        self.client = Counting(api.kubeconfig)
        self.now = 1000.0
        self.reviewer = Reviewer(self.client, "/metrics", clock=lambda: self.now)

    def token(self, account: str) -> str:
        return self.api.token(self.namespace, account)

    def allow(self, account: str, path: str = "/metrics", verb: str = "get") -> None:
        name = f"{self.namespace}:{account}"
        subject = {"kind": "ServiceAccount", "name": account, "namespace": self.namespace}
        role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
        rule = {"nonResourceURLs": [path], "verbs": [verb]}
        common = {"apiVersion": f"{RBAC}/v1", "metadata": {"name": name}}
        self.api.apply(
            {**common, "kind": "ClusterRole", "rules": [rule]},
            {**common, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [subject]},
        )

    def revoke(self, account: str) -> None:
        self.api.kubectl("delete", "clusterrolebinding", f"{self.namespace}:{account}")

    async def becomes(self, token: str, verdict: Verdict) -> Decision:
        """RBAC is a copy in the API server, a moment old: ask until it is so, as if time passed."""
        async with asyncio.timeout(20):
            while (decision := await self.reviewer.review(token)).verdict is not verdict:
                await asyncio.sleep(0.1)
                self.now += ALLOWED_SECONDS
        return decision


@pytest.fixture
async def world(api_server: ApiServer, namespace: str) -> AsyncIterator[World]:
    for account in ("may", "may-not"):
        api_server.kubectl("create", "serviceaccount", account, "--namespace", namespace)
    world = World(api_server, namespace)
    world.allow("may")
    yield world
    await world.client.close()


@pytest.fixture
def stopped(world: World) -> Iterator[None]:
    world.api.stop_api(kill=True)
    yield
    world.api.start_api()


async def test_a_token_is_as_good_as_its_owners_rights(world: World) -> None:
    await world.becomes(world.token("may"), Verdict.ALLOWED)
    decision = await world.reviewer.review(world.token("may-not"))
    user = f"system:serviceaccount:{world.namespace}:may-not"
    assert decision == Decision(Verdict.FORBIDDEN, user)


@pytest.mark.parametrize(("path", "verb"), [("/metrics/more", "get"), ("/", "get"), ("/metrics", "post")])
async def test_a_right_to_something_else_is_none(path: str, verb: str, world: World) -> None:
    world.allow("may-not", path, verb)
    await world.becomes(world.token("may"), Verdict.ALLOWED)  # so that the copy has both
    assert (await world.reviewer.review(world.token("may-not"))).verdict is Verdict.FORBIDDEN


async def test_a_right_of_a_group_counts(world: World) -> None:
    group = f"system:serviceaccounts:{world.namespace}"
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": f"{world.namespace}:may"}
    world.api.apply(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": group},
            "roleRef": role,
            "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": group}],
        }
    )
    await world.becomes(world.token("may-not"), Verdict.ALLOWED)


async def test_what_is_no_token_is_unknown(world: World) -> None:
    assert (await world.reviewer.review("made-up")).verdict is Verdict.UNKNOWN
    head, body, _signature = world.token("may").split(".")
    assert (await world.reviewer.review(f"{head}.{body}.AAAA")).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("token", ["", "two words", "a\nb", "\xe4", "a=b", '"'])
async def test_what_cannot_be_a_token_is_not_even_asked_for(token: str, world: World) -> None:
    assert (await world.reviewer.review(token)).verdict is Verdict.UNKNOWN
    assert world.client.created == []


async def test_an_answer_is_remembered_for_its_time(world: World) -> None:
    tokens = [world.token("may"), world.token("may-not"), "made-up"]
    await world.becomes(tokens[0], Verdict.ALLOWED)
    decisions = [await world.reviewer.review(token) for token in tokens]
    for seconds, asked in (
        (0.0, []),
        (DENIED_SECONDS - 0.1, []),
        (0.2, ["tokenreviews", "subjectaccessreviews", "tokenreviews"]),
        (ALLOWED_SECONDS, ["tokenreviews", "subjectaccessreviews"] * 2 + ["tokenreviews"]),
    ):
        world.client.created.clear()
        world.now += seconds
        assert [await world.reviewer.review(token) for token in tokens] == decisions
        assert world.client.created == asked


async def test_a_right_that_is_taken_away_ends_with_the_memory_of_it(world: World) -> None:
    token = world.token("may")
    await world.becomes(token, Verdict.ALLOWED)
    world.revoke("may")
    assert (await world.reviewer.review(token)).verdict is Verdict.ALLOWED
    world.now += ALLOWED_SECONDS
    await world.becomes(token, Verdict.FORBIDDEN)


async def test_made_up_tokens_neither_fill_the_memory_nor_push_out_good_ones(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = world.token("may")
    await world.becomes(token, Verdict.ALLOWED)

    async def unknown(_token: str) -> Decision:  # what the API server says has been shown above
        return Decision(Verdict.UNKNOWN)

    monkeypatch.setattr(world.reviewer, "_decide", unknown)
    for number in range(REMEMBERED + 50):
        world.now += 1.0 if number % 10 == 0 else 0.0
        await world.reviewer.review(f"made-up-{number}", f"10.1.1.{number % 250}")
    assert len(world.reviewer._denied._known) == REMEMBERED
    assert (await world.reviewer.review(token)).verdict is Verdict.ALLOWED


async def test_a_flood_of_made_up_tokens_is_no_flood_at_the_api_server(world: World) -> None:
    token, second = world.token("may"), world.token("may")
    await world.becomes(token, Verdict.ALLOWED)
    world.now += ALLOWED_SECONDS  # what is known of it has ended
    world.client.created.clear()
    refused = 0
    for number in range(300):  # in one second
        world.now += 1 / 300
        try:
            await world.reviewer.review(f"made-up-{number}", "10.1.1.1")
        except UnreachableError as error:
            assert "too many tokens" in str(error)
            refused += 1
    asked = world.client.created.count("tokenreviews")
    assert asked == 300 - refused <= module.SOURCE_BURST + module.SOURCE_RATE
    # Neither a token that was good before nor a new one from another address waits for that.
    assert (await world.reviewer.review(token, "10.1.1.1")).verdict is Verdict.ALLOWED
    assert (await world.reviewer.review(second, "10.1.1.2")).verdict is Verdict.ALLOWED


async def test_floods_from_many_addresses_are_bounded_together(world: World) -> None:
    refused = 0
    for number in range(150):
        try:
            await world.reviewer.review(f"made-up-{number}", f"10.1.1.{number}")
        except UnreachableError:
            refused += 1
    assert refused == 150 - module.BURST
    world.now += 10.0
    assert (await world.reviewer.review("made-up", "10.1.1.1")).verdict is Verdict.UNKNOWN


async def test_a_token_is_not_kept(world: World) -> None:
    token = world.token("may")
    await world.becomes(token, Verdict.ALLOWED)
    assert token not in repr(vars(world.reviewer)) + repr(vars(world.reviewer._allowed))


@pytest.mark.usefixtures("stopped")
async def test_without_the_api_server_nobody_is_let_in_anew(world: World) -> None:
    with pytest.raises(UnreachableError):
        await world.reviewer.review("some-token")
    assert world.reviewer.problem
    assert "some-token" not in world.reviewer.problem


async def test_an_api_server_that_was_away_is_asked_again(world: World) -> None:
    token = world.token("may")
    await world.becomes(token, Verdict.ALLOWED)
    world.api.restart()  # the kept connections are dead now
    world.now += ALLOWED_SECONDS
    await world.becomes(token, Verdict.ALLOWED)
    assert world.reviewer.problem is None


async def test_an_api_server_that_is_silent_is_not_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REVIEW_SECONDS", 0.2)
    async with await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0) as deaf:
        port = deaf.sockets[0].getsockname()[1]
        config = world.api.kubeconfig.read_text().replace(world.api.url, f"http://127.0.0.1:{port}")
        path = world.api.folder / "deaf.kubeconfig"
        path.write_text(config)
        client = Client(find_access(str(path)))
        with pytest.raises(UnreachableError, match="no answer within"):
            await Reviewer(client, "/metrics").review("some-token")
        await client.close()


async def test_a_daemon_that_may_not_review_says_so(world: World) -> None:
    kubeconfig = world.api.write_kubeconfig("reviewer", token=world.token("may-not"))
    client = Client(find_access(str(kubeconfig)))
    reviewer = Reviewer(client, "/metrics")
    with pytest.raises(ApiError):
        await reviewer.review(world.token("may"))
    assert reviewer.problem is not None
    assert 'cannot create resource "tokenreviews"' in reviewer.problem
    await client.close()
