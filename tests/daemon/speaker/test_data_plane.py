# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of the node's service proxy, and what follows of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from daemon.speaker.cluster import Cluster, Speaker
from daemon.speaker.router import Router
from support.following import until
from support.ports import free_port

from vipcast.cli import main
from vipcast.speaker import data_plane_watch
from vipcast.speaker.data_plane import FAIL_SECONDS, FORGET_SECONDS, Answer, Judgement
from vipcast.speaker.data_plane_watch import DataPlaneWatch, ask

WORKS, FAILS, SILENT, ABSENT = Answer
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def judged(*answers: Answer, demanded: bool = False, every: float = 5.0) -> list[bool]:
    """Return after each answer whether nothing would be announced."""
    judgement, found = Judgement(demanded=demanded), []
    for number, answer in enumerate(answers):
        judgement.hear(answer, 100.0 + number * every)
        found.append(judgement.problem is not None)
    return found


@pytest.mark.parametrize("bad", [FAILS, SILENT])
def test_what_is_wrong_for_half_a_minute_counts_and_not_a_moment_of_it(bad: Answer) -> None:
    enough = int(FAIL_SECONDS / 5)
    assert judged(WORKS, *[bad] * enough, WORKS) == [False] * (enough + 2)
    assert judged(WORKS, *[bad] * (enough + 1))[-1]
    assert not any(judged(*[bad, bad, WORKS] * 20)), "a restart now and then"


def test_two_good_answers_in_a_row_end_it() -> None:
    ill = [FAILS] * 8
    assert judged(*ill, WORKS, FAILS, WORKS)[-3:] == [True, True, True]
    assert judged(*ill, WORKS, WORKS)[-2:] == [True, False]


def test_that_nobody_listens_counts_only_where_an_answer_is_demanded() -> None:
    assert not any(judged(*[ABSENT] * 100))
    assert not any(judged(WORKS, *[ABSENT] * 100))
    assert judged(*[ABSENT] * 8, demanded=True)[-1]


def test_who_failed_and_is_gone_is_forgotten_after_a_while() -> None:
    """The kube-proxy of the node was taken away.

    No routes for ever would be wrong, and routes at once would be wrong as well.
    """
    soon = int(FORGET_SECONDS / 5)
    found = judged(*[FAILS] * 8, *[ABSENT] * (soon + 1))
    assert found[7:-1] == [True] * (soon + 1)
    assert not found[-1]


async def _answer(text: bytes) -> Handler:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        writer.close()

    return answer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n{}", WORKS),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n{}", FAILS),
        (b"SSH-2.0-OpenSSH\r\n", FAILS),
        (b"x" * 5000, FAILS),
        (b"", FAILS),
    ],
)
async def test_what_is_answered(text: bytes, expected: Answer) -> None:
    server = await asyncio.start_server(await _answer(text), "127.0.0.1", 0)
    async with server:
        assert await ask(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/healthz") is expected


async def test_who_does_not_answer_and_who_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_plane_watch, "TIMEOUT_SECONDS", 0.2)
    assert await ask(f"http://127.0.0.1:{free_port()}/healthz") is ABSENT
    assert await ask(f"http://a..{'b' * 70}/healthz") is ABSENT
    server = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(5), "127.0.0.1", 0)
    async with server:
        assert await ask(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/healthz") is SILENT


async def test_a_change_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_plane_watch, "INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr("vipcast.speaker.data_plane.FAIL_SECONDS", 0.1)
    status = [b"503"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 " + status[0] + b" x\r\n\r\n")
        writer.close()

    told: list[str | None] = []
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        watch = DataPlaneWatch(
            f"http://127.0.0.1:{port}/healthz", on_change=lambda: told.append(watch.problem)
        )
        task = asyncio.create_task(watch.run())
        await until(lambda: len(told) == 1)
        status[0] = b"200"
        await until(lambda: len(told) == 2)
        task.cancel()
    assert told == ["this node's service proxy (kube-proxy) is not well: it says that it does not work", None]


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "127.0.0.1:10256", "http://", "http://127.0.0.1:x/", "yes"]
)
def test_a_flag_that_is_no_url_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["speaker", f"--data-plane-health={url}"])
    assert "is no URL of a health check" in capsys.readouterr().err


@pytest.mark.apiserver
@pytest.mark.thorough
async def test_a_node_whose_service_proxy_fails_withdraws_and_comes_back(
    cluster: Cluster, router: Router
) -> None:
    status = [b"200"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 " + status[0] + b" x\r\n\r\n")
        writer.close()

    kubeconfig = await cluster.prepare_web(router.port)
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/healthz"
        async with Speaker(cluster, kubeconfig, f"--data-plane-health={url}") as speaker:
            await until(lambda: "10.9.0.1/32" in router.routes)
            status[0] = b"503"
            await until(lambda: not router.routes, 60)
            assert (await speaker.verdict())["reason"] == "dataPlaneUnhealthy"
            status[0] = b"200"
            await until(lambda: "10.9.0.1/32" in router.routes, 30)
    assert router.sessions == 1
