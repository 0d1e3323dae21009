# SPDX-License-Identifier: GPL-3.0-or-later
"""A server on loopback with release files of Kubernetes and etcd, and the faults that servers have."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KUBERNETES = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
)


class ReleaseServer(ThreadingHTTPServer):
    """Serve the files of `published`, by their paths.

    `cut` are the bytes after which the next connections for a path end, one for each; `rate` is how many
    bytes a second a path is sent with, a part of them every `pause` seconds; `requests` are the paths that
    were asked for, each with its first byte.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.published: dict[str, bytes] = {}
        self.cut: dict[str, list[int]] = {}
        self.rate: dict[str, int] = {}
        self.pause = 0.05
        self.requests: list[tuple[str, int]] = []

    @property
    def url(self) -> str:
        """The address of this server."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def publish(
        self, version: str, etcd: str, programs: dict[str, bytes], architecture: str = "amd64"
    ) -> None:
        """Publish a release of Kubernetes below /kubernetes, and one of etcd below /etcd, with checksums."""
        for name in KUBERNETES:
            path = f"/kubernetes/{version}/bin/linux/{architecture}/{name}"
            self.published[path] = programs[name]
            self.published[f"{path}.sha256"] = hashlib.sha256(programs[name]).hexdigest().encode()
        name = f"etcd-{etcd}-linux-{architecture}"
        packed = _archive(f"{name}/etcd", programs["etcd"])
        self.published[f"/etcd/{etcd}/{name}.tar.gz"] = packed
        sums = (
            f"{'0' * 64}  etcd-{etcd}-darwin-amd64.zip\n{hashlib.sha256(packed).hexdigest()}  {name}.tar.gz\n"
        )
        self.published[f"/etcd/{etcd}/SHA256SUMS"] = sums.encode()


class _Handler(BaseHTTPRequestHandler):
    server: ReleaseServer

    def do_GET(self) -> None:
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.server.requests.append((self.path, begin))
        content = self.server.published.get(self.path)
        if content is None:
            self.send_error(404)
        elif begin and begin >= len(content):
            self.send_error(416)
        else:
            self._send(content, begin)

    def _send(self, content: bytes, begin: int) -> None:
        rest = content[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        cuts = self.server.cut.get(self.path, [])
        self._write(rest[: cuts.pop(0)] if cuts else rest, self.server.rate.get(self.path, 0))
        self.close_connection = True

    def _write(self, content: bytes, rate: int) -> None:
        step = max(int(rate * 0.05), 1) if rate else max(len(content), 1)
        for start in range(0, len(content), step):
            self.wfile.write(content[start : start + step])
            if rate:
                time.sleep(self.server.pause)

    def handle(self) -> None:
        """Serve a client; one that goes away in the middle is no fault of ours."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _archive(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o755
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


@contextmanager
def serving() -> Iterator[ReleaseServer]:
    """Run a server for as long as the block lasts."""
    server = ReleaseServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
