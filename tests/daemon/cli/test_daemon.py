# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell that both daemons live in."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections.abc import Awaitable, Callable

import pytest
from support.ports import free_port

from vipcast.daemon import run as shell
from vipcast.daemon.log import JsonFormatter, log_for
from vipcast.daemon.metrics import Registry
from vipcast.daemon.options import Options
from vipcast.daemon.run import Daemon
from vipcast.daemon.server import BadAddressError, Server, json_page, parse_address, text_page

CONFIG = (
    '{"clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:9"}}],'
    '"contexts":[{"name":"x","context":{"cluster":"c"}}],"current-context":"x"}'
)


@pytest.fixture
def options(tmp_path: object) -> Options:
    with open(f"{tmp_path}/config", "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(CONFIG)
    health = f"127.0.0.1:{free_port()}"
    return Options(kubeconfig=f"{tmp_path}/config", health_address=health, metrics_address="none")


async def ask(address: str, request: str) -> str:
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"{request} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = (await asyncio.wait_for(reader.read(), 5)).decode()
    writer.close()
    return answer


def run(options: Options, program: Callable[[Daemon], Awaitable[None]]) -> int:
    return shell.run("speaker", options, program)


def test_sigterm_lets_the_program_close_in_order(options: Options) -> None:
    steps: list[str] = []

    async def program(daemon: Daemon) -> None:
        daemon.spawn("forever", asyncio.sleep(1000))
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)
        await daemon.stopping.wait()
        assert "503" in await ask(options.health_address, "GET /readyz")
        steps.append("closed")

    assert run(options, program) == 0
    assert steps == ["closed"]


def test_a_part_that_fails_ends_the_process_by_name(
    options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail() -> None:
        raise RuntimeError("a bug")

    async def program(daemon: Daemon) -> None:
        daemon.spawn("decisions", fail())
        await daemon.stopping.wait()

    assert run(options, program) == 1
    last = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (last["event"], last["level"], last["what"]) == ("failed", "error", "decisions ended")
    assert "a bug" in last["traceback"]


def test_a_part_that_just_returns_is_no_better(options: Options) -> None:
    async def program(daemon: Daemon) -> None:
        daemon.spawn("services", asyncio.sleep(0))
        await daemon.stopping.wait()

    assert run(options, program) == 1


def test_a_part_that_may_end_or_is_cancelled_ends_nothing(options: Options) -> None:
    async def program(daemon: Daemon) -> None:
        daemon.spawn("farewell", asyncio.sleep(0), lasting=False)
        daemon.spawn("secret", asyncio.sleep(1000)).cancel()
        await asyncio.sleep(0.05)

    assert run(options, program) == 0


def test_closing_has_an_end(
    options: Options, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shell, "CLOSE_SECONDS", 0.1)

    async def program(daemon: Daemon) -> None:
        daemon.stopping.set()
        await asyncio.sleep(1000)

    assert run(options, program) == 1
    assert "closing took more than" in capsys.readouterr().err


def test_probes_and_status_answer(options: Options) -> None:
    async def program(daemon: Daemon) -> None:
        assert "503" in (before := await ask(options.health_address, "GET /readyz"))
        assert "starting" in before
        daemon.readiness, daemon.status = lambda: None, lambda: {"x": 1}
        assert "200" in await ask(options.health_address, "GET /readyz?verbose")
        assert (await ask(options.health_address, "GET /healthz")).endswith("ok\n")
        body = (await ask(options.health_address, "GET /status")).split("\r\n\r\n")[1]
        assert json.loads(body)["status"] == {"x": 1}

    assert run(options, program) == 0


def test_a_status_that_is_not_known_yet_is_no_answer(options: Options) -> None:
    async def program(_daemon: Daemon) -> None:
        answer = await ask(options.health_address, "GET /status")
        assert answer.startswith("HTTP/1.1 503 ") and answer.endswith("starting\n")

    assert run(options, program) == 0


async def test_the_server_minds_methods_paths_and_nonsense() -> None:
    server = Server({"/a": lambda _request: text_page("yes"), "/j": lambda _request: json_page([1])})
    await server.start("127.0.0.1", 0)
    address = f"127.0.0.1:{server.port}"
    head = await ask(address, "HEAD /a")
    assert "200" in head
    assert head.endswith("\r\n\r\n")
    assert "405" in await ask(address, "POST /a")
    assert "404" in await ask(address, "GET /b")
    assert "application/json" in await ask(address, "GET /j")
    assert await ask(address, "\x00\x01 nonsense") == ""
    assert "200" in await ask(address, "GET /a")  # and lives on
    await server.close()


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("127.0.0.1:17472", ("127.0.0.1", 17472)),
        (":9120", (None, 9120)),
        ("[::1]:1", ("::1", 1)),
        ("none", None),
    ],
)
def test_addresses_to_listen_on(text: str, parsed: tuple[str | None, int] | None) -> None:
    assert parse_address(text) == parsed


@pytest.mark.parametrize("text", ["", "9120", "host:", "host:port", "::1:80", "host:65536", "host:-1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadAddressError, match=r"127\.0\.0\.1:17472"):
        parse_address(text)


def test_the_exposition_escapes_labels_and_drops_what_was_cleared() -> None:
    registry = Registry()
    gauge = registry.gauge("x_bool", "A \\ and\na line.", ("peer",))
    gauge.set(1, peer='a"b\\c\nd')
    counter = registry.counter("y_total", "Plain.")
    counter.inc()
    counter.inc(0.5)
    assert registry.render() == (
        "# HELP x_bool A \\\\ and\\na line.\n# TYPE x_bool gauge\n"
        'x_bool{peer="a\\"b\\\\c\\nd"} 1\n'
        "# HELP y_total Plain.\n# TYPE y_total counter\ny_total 1.5\n"
    )
    gauge.clear()
    assert "x_bool{" not in registry.render()


def test_metrics_refuse_wrong_labels_and_names_that_are_taken() -> None:
    registry = Registry()
    gauge = registry.gauge("x", "X.", ("peer",))
    with pytest.raises(ValueError, match="labels"):
        gauge.set(1, node="n")
    with pytest.raises(ValueError, match="already"):
        registry.counter("x", "X.")


def test_a_log_line_is_one_json_object_whatever_is_in_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="vipcast"):
        try:
            raise ValueError("two\nlines")
        except ValueError as error:
            log_for("test").error("failed", error, peer='quote "', address=object)
    line = JsonFormatter().format(caplog.records[-1])
    assert "\n" not in line
    fields = json.loads(line)
    assert (fields["event"], fields["level"], fields["peer"]) == ("failed", "error", 'quote "')
    assert "two\nlines" in fields["traceback"]
    assert fields["ts"].endswith("Z")
