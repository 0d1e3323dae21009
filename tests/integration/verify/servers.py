# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers as services do: one port says who it is, others say 503, reset, close, or stay silent.

``python servers.py ADDRESS`` serves until it is killed. Every third connection to PORT_FLAKY is reset.
"""

from __future__ import annotations

import http.server
import socket
import struct
import sys
import threading

PORT_GOOD, PORT_BUSY, PORT_FLAKY, PORT_SILENT, PORT_CLOSING, PORT_GARBAGE = range(8001, 8007)
PODS = ("web-a", "web-b", "web-c")


class Handler(http.server.BaseHTTPRequestHandler):
    """Each connection is another pod's, by the client's port: as a hash over ports would have it."""

    protocol_version = "HTTP/1.1"
    status = 200

    def do_GET(self) -> None:
        pod = PODS[self.client_address[1] % len(PODS)]
        body = f"{self.client_address[0]} {self.client_address[1]} {self.headers['Host']}\n".encode()
        self.send_response(self.status)
        self.send_header("X-Node-Name", f"node-{pod[-1]}")
        self.send_header("X-Pod-Name", pod)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Busy(Handler):
    status = 503


def listener(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=128)


def serve_http(address: str, port: int, handler: type[Handler]) -> None:
    server = http.server.ThreadingHTTPServer((address, port), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener(address, port)
    server.serve_forever()


def serve_flaky(address: str, port: int) -> None:
    """Every third connection ends with a reset (SO_LINGER of zero), the others with an answer."""
    server, count = listener(address, port), 0
    while True:
        connection, _peer = server.accept()
        count += 1
        if count % 3 == 0:
            connection.recv(1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        connection.close()


def serve_bytes(address: str, port: int, data: bytes) -> None:
    """Read the request, send this, close."""
    server = listener(address, port)
    while True:
        connection, _peer = server.accept()
        connection.recv(4096)
        connection.sendall(data)
        connection.close()


def serve_silence(address: str, port: int) -> None:
    """Accept, and say nothing."""
    server, kept = listener(address, port), []
    while True:
        kept.append(server.accept())


def main() -> None:
    address = sys.argv[1]
    for target in (
        (serve_http, PORT_GOOD, Handler),
        (serve_http, PORT_BUSY, Busy),
        (serve_flaky, PORT_FLAKY),
        (serve_silence, PORT_SILENT),
        (serve_bytes, PORT_CLOSING, b""),
        (serve_bytes, PORT_GARBAGE, b"SSH-2.0-x\r\n"),
    ):
        function, port, *rest = target
        threading.Thread(target=function, args=(address, port, *rest), daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
