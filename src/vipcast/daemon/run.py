# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell around a daemon: logs, servers, signals, and an end with a name.

    def main(options: Options) -> int:
        return run("speaker", options, program)

    async def program(daemon: Daemon) -> None:
        daemon.spawn("services", informer.run())
        await daemon.stopping.wait()       # SIGTERM or SIGINT
        ...                                # close in order, then return

A task that ends by itself, with an error or without, ends the process: a daemon that lives on without one of
its parts is worse than one that is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from vipcast import __version__
from vipcast.daemon.authorization import Gate, local_only
from vipcast.daemon.certificate import CertificateError, Contexts, from_folder, self_signed
from vipcast.daemon.log import configure, log_for
from vipcast.daemon.metrics import CONTENT_TYPE, Registry
from vipcast.daemon.options import Options
from vipcast.daemon.server import (
    BadAddressError,
    Handler,
    Page,
    Server,
    json_page,
    parse_address,
    text_page,
)
from vipcast.k8s import AccessError, Client, find_access
from vipcast.k8s.review import Reviewer

__all__ = ["Daemon", "run"]

# From the signal to the end; a pod's terminationGracePeriodSeconds should be a little more.
CLOSE_SECONDS = 4.0

_METRICS = "/metrics"
_log = log_for("daemon")
_Program = Callable[["Daemon"], Awaitable[None]]


class TaskEndedError(Exception):
    """A part of the daemon ended by itself."""


class Daemon:
    """The resources of a program: client, options, registry and tasks."""

    def __init__(self, name: str, options: Options, client: Client) -> None:
        self.name, self.options, self.client = name, options, client
        self.registry = Registry()
        self.registry.add_process(__version__)
        self.stopping = asyncio.Event()
        # Why the daemon is not ready, or None; what it lacks though it is ready, or None; and what
        # `vipcast status` shows. A program sets them.
        self.readiness: Callable[[], str | None] = lambda: "starting"
        self.remark: Callable[[], str | None] = lambda: None
        self.status: Callable[[], object] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def spawn(
        self, name: str, work: Coroutine[Any, Any, None], *, lasting: bool = True
    ) -> asyncio.Task[None]:
        """Run a part. One that is `lasting` must not return; whoever may end it cancels it."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, lasting))
        return task

    def _ended(self, task: asyncio.Task[None], lasting: bool) -> None:
        self._tasks.discard(task)
        if task.cancelled() or self._failure.done() or (task.exception() is None and not lasting):
            return
        ended = TaskEndedError(f"{task.get_name()} ended")
        ended.__cause__ = task.exception()
        self._failure.set_exception(ended)

    async def _live(self, program: _Program) -> None:
        """The program, until it returns, a part fails, or the time to close is over."""
        body = asyncio.create_task(_coroutine(program(self)), name=self.name)
        deadline = asyncio.create_task(self._deadline())
        try:
            await asyncio.wait({body, self._failure, deadline}, return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                await self._failure
            if deadline.done() and not body.done():
                raise TaskEndedError(f"closing took more than {CLOSE_SECONDS:g} s")
            await body
        finally:
            await _cancel([body, deadline, *self._tasks])

    async def _deadline(self) -> None:
        await self.stopping.wait()
        await asyncio.sleep(CLOSE_SECONDS)

    def stop(self, number: int) -> None:
        """Begin to close."""
        _log.info("stopping", signal=signal.Signals(number).name)
        self.stopping.set()


def run(name: str, options: Options, program: _Program) -> int:
    """Run a daemon to its end; the process's exit status."""
    configure(options.log_level)
    try:
        return asyncio.run(_main(name, options, program))
    except (AccessError, BadAddressError, CertificateError) as error:
        _log.error("cannot_start", why=str(error))
        return 2


async def _main(name: str, options: Options, program: _Program) -> int:
    client = Client(
        find_access(options.kubeconfig, options.context), user_agent=f"vipcast-{name}/{__version__}"
    )
    daemon = Daemon(name, options, client)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stop, number)
    _log.info("started", program=name, version=__version__, namespace=options.namespace)
    try:
        async with _servers(daemon):
            await daemon._live(program)
    except TaskEndedError as error:
        _log.error("failed", error.__cause__ or error, what=str(error))
        return 1
    finally:
        await client.close()
    _log.info("stopped")
    return 0


@contextlib.asynccontextmanager
async def _servers(daemon: Daemon) -> AsyncIterator[None]:
    servers = []
    try:
        for start in (_health_server, _metrics_server):
            servers.append(await start(daemon))
        yield
    finally:
        for server in servers:
            await server.close()


async def _health_server(daemon: Daemon) -> Server:
    # Probes come from the node. What is configured is nothing that every pod of a cluster should read.
    remedy = (
        "the status is for clients on the loopback address; ask inside of the pod:"
        f" kubectl exec --namespace {daemon.options.namespace} POD -- vipcast status"
    )
    pages: dict[str, Handler] = {
        "/healthz": lambda _request: text_page("ok"),
        "/readyz": lambda _request: _ready(daemon),
        "/status": local_only(lambda: _status(daemon), remedy),
    }
    return await _listen(daemon.options.health_address, Server(pages))


async def _metrics_server(daemon: Daemon) -> Server:
    options = daemon.options

    def metrics() -> Page:
        return text_page(daemon.registry.render(), content_type=CONTENT_TYPE)

    if options.metrics_access == "open":
        _refuse_certificate(options)
        return await _listen(options.metrics_address, Server({_METRICS: lambda _request: metrics()}))
    remedy = f"may not get {_METRICS}; bind it to the ClusterRole {options.namespace}:metrics-reader"
    gate = Gate(Reviewer(daemon.client, _METRICS), remedy)
    server = Server({_METRICS: gate.guard(metrics)}, tls=await _certificate(options))
    return await _listen(options.metrics_address, server)


def _refuse_certificate(options: Options) -> None:
    if options.metrics_cert_dir:
        raise CertificateError(
            "--metrics-cert-dir is for --metrics-access=authorized: open metrics are plain HTTP"
        )


async def _certificate(options: Options) -> Contexts | None:
    if options.metrics_address == "none":
        return None
    if options.metrics_cert_dir:
        return from_folder(Path(options.metrics_cert_dir))
    return await self_signed(options.node_name or socket.gethostname())


async def _listen(address: str, server: Server) -> Server:
    where = parse_address(address)
    if where:
        try:
            await server.start(*where)
        except OSError as error:
            raise BadAddressError(f"cannot listen on {address}: {error.strerror}") from error
    return server


def _ready(daemon: Daemon) -> Page:
    why = "stopping" if daemon.stopping.is_set() else daemon.readiness()
    if why:
        return text_page(why, 503)
    remark = daemon.remark()
    return text_page(f"ok; {remark}" if remark else "ok")


def _status(daemon: Daemon) -> Page:
    if daemon.status is None:
        return text_page("starting", 503)
    return json_page({"program": daemon.name, "version": __version__, "status": daemon.status()})


async def _coroutine(awaitable: Awaitable[None]) -> None:
    await awaitable


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
