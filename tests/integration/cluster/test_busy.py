# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that is busy for a moment: it is asked again when it says, and not for ever."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.api import (
    APPLY_PATCH,
    Api,
    RefusedError,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.direct import DirectTransport
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.official import PoolTransport
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.transport import (
    BUSY_RETRIES,
    Transport,
)


class Busy(ThreadingHTTPServer):
    """Refuses the first `refusals` requests as an API server does that has just learnt a kind."""

    refusals = 0
    asked = 0


class Handler(BaseHTTPRequestHandler):
    def answer(self) -> None:
        server = self.server
        assert isinstance(server, Busy)
        server.asked += 1
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        busy = server.asked <= server.refusals
        body = json.dumps({"message": "storage is (re)initializing"} if busy else {"kind": "List"}).encode()
        self.send_response(429 if busy else 200)
        if busy:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PATCH = answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silent."""


@pytest.fixture
def server() -> Iterator[Busy]:
    with Busy(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join(10)


@pytest.fixture(params=["direct", "official"])
def way(request: pytest.FixtureRequest) -> Transport:
    """Both ways to a server."""
    return DirectTransport() if request.param == "direct" else PoolTransport(urllib3.PoolManager())


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_busy_server_is_asked_again(server: Busy, way: Transport, method: str) -> None:
    server.refusals = 2
    api = Api(way, f"http://127.0.0.1:{server.server_port}", {})
    if method == "GET":
        assert api.get("/apis") == {"kind": "List"}
    else:
        assert api.patch("/apis", {}, APPLY_PATCH) == {"kind": "List"}
    assert server.asked == 3


def test_a_server_that_stays_busy_is_a_refusal_with_its_own_words(server: Busy, way: Transport) -> None:
    server.refusals = 100
    api = Api(way, f"http://127.0.0.1:{server.server_port}", {})
    with pytest.raises(RefusedError, match="initializing") as caught:
        api.get("/apis")
    assert (caught.value.status, server.asked) == (429, BUSY_RETRIES + 1)
