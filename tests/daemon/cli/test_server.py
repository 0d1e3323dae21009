# SPDX-License-Identifier: GPL-3.0-or-later
"""The server of the daemons: TLS, who may have a page, and clients that mean no good."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from support.pki import Authority, Pair

from vipcast.daemon import certificate, server
from vipcast.daemon.authorization import local_only
from vipcast.daemon.certificate import CertificateError, from_folder, self_signed
from vipcast.daemon.server import Page, Request, Server, text_page

LONG = "x" * 3_000_000  # more than every buffer between a server and its client


async def fetch(port: int, trust: ssl.SSLContext | None = None, page: str = "/a") -> str:
    name = "localhost" if trust else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname=name)
    writer.write(f"GET {page} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    try:
        return (await asyncio.wait_for(reader.read(), 20)).decode()
    finally:
        writer.close()


def trusting(path: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(path))


def careless() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def shown(port: int) -> str:
    """The certificate, PEM."""
    _reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=careless())
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return ssl.DER_cert_to_PEM_cert(der)


def mount(pair: Pair, folder: Path) -> None:
    """Mount a certificate as the kubelet does: a folder beside, and a link that moves in one step."""
    fresh = folder / f"..{pair.certificate.stem}"
    fresh.mkdir(parents=True)
    shutil.copy(pair.certificate, fresh / "tls.crt")
    shutil.copy(pair.key, fresh / "tls.key")
    (folder / "..new").symlink_to(fresh.name)
    (folder / "..new").rename(folder / "..data")
    for name in ("tls.crt", "tls.key"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    (tmp_path / "authority").mkdir()
    return Authority(tmp_path / "authority")


@pytest.fixture
async def serving() -> AsyncIterator[Callable[..., object]]:
    servers: list[Server] = []

    async def serve(**options: object) -> Server:
        pages = {"/a": lambda _request: text_page("yes"), "/long": lambda _request: text_page(LONG)}
        servers.append(Server(pages, **options))  # type: ignore[arg-type]
        await servers[-1].start("127.0.0.1", 0)
        return servers[-1]

    yield serve
    for each in servers:
        await each.close()


async def test_a_certificate_in_files_is_what_clients_verify(
    authority: Authority, tmp_path: Path, serving: Callable[..., asyncio.Future[Server]]
) -> None:
    mount(authority.server("one", "DNS:localhost"), tmp_path / "tls")
    served = await serving(tls=from_folder(tmp_path / "tls"))
    assert (await fetch(served.port, trusting(authority.own.certificate))).endswith("yes\n")
    with pytest.raises(ssl.SSLCertVerificationError):
        await fetch(served.port, ssl.create_default_context())


async def test_renewed_files_are_shown_to_the_next_client(
    authority: Authority, tmp_path: Path, serving: Callable[..., asyncio.Future[Server]]
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "other-ca")
    mount(authority.server("one", "DNS:localhost"), tmp_path / "tls")
    served = await serving(tls=from_folder(tmp_path / "tls"))
    await fetch(served.port, trusting(authority.own.certificate))
    mount(other.server("two", "DNS:localhost"), tmp_path / "tls")
    await fetch(served.port, trusting(other.own.certificate))
    with pytest.raises(ssl.SSLCertVerificationError):
        await fetch(served.port, trusting(authority.own.certificate))


async def test_files_that_are_no_pair_leave_the_last_good_ones_in_force(
    authority: Authority,
    tmp_path: Path,
    serving: Callable[..., asyncio.Future[Server]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = (authority.server(name, "DNS:localhost") for name in ("one", "two"))
    mount(first, tmp_path / "tls")
    served = await serving(tls=from_folder(tmp_path / "tls"))
    mount(Pair(second.certificate, first.key), tmp_path / "tls")
    for _number in range(3):
        await fetch(served.port, trusting(authority.own.certificate))
    assert [record.message for record in caplog.records] == ["certificate_not_usable"]
    (tmp_path / "tls/tls.crt").unlink()
    await fetch(served.port, trusting(authority.own.certificate))


@pytest.mark.parametrize(
    ("crt", "key", "word"),
    [
        (None, None, "tls.crt: No such file"),
        ("certificate", None, "tls.key: No such file"),
        ("certificate", "nonsense", "no certificate with its key"),
        ("certificate", "locked", "no certificate with its key"),
    ],
)
def test_a_folder_without_a_pair_is_refused_at_the_start(
    authority: Authority, tmp_path: Path, crt: str | None, key: str | None, word: str
) -> None:
    folder, pair = tmp_path / "tls", authority.server("one", "DNS:localhost")
    folder.mkdir()
    locked = tmp_path / "locked"
    lock = ["openssl", "ec", "-in", str(pair.key), "-aes256", "-passout", "pass:x", "-out", str(locked)]
    subprocess.run(lock, check=True, capture_output=True)
    contents = {"certificate": pair.certificate.read_text(), "nonsense": "x", "locked": locked.read_text()}
    for name, what in (("tls.crt", crt), ("tls.key", key)):
        if what:
            (folder / name).write_text(contents[what])
    with pytest.raises(CertificateError, match=word):
        from_folder(folder)


@pytest.mark.parametrize(
    "name", ["node-1", "n.example", "under_score", "-", "x" * 253, "a/CN=b,DNS:*", "", "[::1]"]
)
async def test_a_certificate_of_our_own_is_a_servers_and_names_the_host(
    name: str, tmp_path: Path, serving: Callable[..., asyncio.Future[Server]]
) -> None:
    served = await serving(tls=await self_signed(name))
    (tmp_path / "crt").write_text(await shown(served.port))
    show = ["openssl", "x509", "-in", str(tmp_path / "crt"), "-noout", "-text"]
    text = subprocess.run(show, check=True, capture_output=True, text=True).stdout
    assert "CA:FALSE" in text
    assert "prime256v1" in text
    assert "DNS:localhost" in text
    assert "DNS:*" not in text
    assert (f"DNS:{name}," in text) == (name in ("node-1", "n.example", "x" * 253))
    # Whoever copied it can verify it, by its name.
    assert (await fetch(served.port, trusting(tmp_path / "crt"))).endswith("yes\n")


async def test_two_certificates_of_our_own_have_two_keys(
    serving: Callable[..., asyncio.Future[Server]],
) -> None:
    first, second = [await serving(tls=await self_signed("node-1")) for _number in range(2)]
    assert await shown(first.port) != await shown(second.port)


async def test_without_openssl_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CertificateError, match=r"openssl: No such file.*--metrics-cert-dir.*open"):
        await self_signed("node-1")
    (tmp_path / "openssl").write_text("#!/bin/sh\necho first >&2; echo broken >&2; exit 3\n")
    (tmp_path / "openssl").chmod(0o755)
    with pytest.raises(CertificateError, match="openssl: broken"):
        await self_signed("node-1")


async def test_an_openssl_that_hangs_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "openssl").write_text("#!/bin/sh\nexec /bin/sleep 600\n")
    (tmp_path / "openssl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(certificate, "OPENSSL_SECONDS", 0.3)
    with pytest.raises(CertificateError, match="not done after"):
        await self_signed("node-1")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_tls_is_1_2_or_newer_and_nothing_is_said_without_it(
    serving: Callable[..., asyncio.Future[Server]],
) -> None:
    served = await serving(tls=await self_signed("node-1"))
    old = careless()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await fetch(served.port, old)
    with pytest.raises((AssertionError, ConnectionError)):
        assert "yes" in await fetch(served.port)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        exact = careless()
        exact.minimum_version = exact.maximum_version = version
        assert "yes" in await fetch(served.port, exact)


async def test_a_long_page_arrives_whole_with_and_without_tls(
    serving: Callable[..., asyncio.Future[Server]],
) -> None:
    for options, trust in (({}, None), ({"tls": await self_signed("node-1")}, careless())):
        served = await serving(**options)
        answer = await fetch(served.port, trust, "/long")
        assert answer.endswith(f"\r\n\r\n{LONG}\n")


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
async def test_connections_that_say_nothing_make_room_for_one_that_does(
    encrypted: bool, serving: Callable[..., asyncio.Future[Server]]
) -> None:
    served = await serving(tls=await self_signed("node-1") if encrypted else None)
    silent = [
        await asyncio.open_connection("127.0.0.1", served.port)
        for _number in range(server.MAX_CONNECTIONS + 5)
    ]
    for _number in range(3):
        assert "yes" in await fetch(served.port, careless() if encrypted else None)
    assert await asyncio.wait_for(silent[0][0].read(), 5) == b""  # the oldest was hung up on
    newest = asyncio.create_task(silent[-1][0].read())
    _done, waiting = await asyncio.wait({newest}, timeout=0.2)
    assert waiting  # and the newest not
    newest.cancel()
    for _reader, writer in silent:
        writer.close()


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses of this machine count as those of others."""
    monkeypatch.setattr(server, "is_local", lambda _client: False)


async def connect(port: int, source: str) -> asyncio.StreamReader:
    """Open a connection from an address and say nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    _kept.append(writer)
    return reader


_kept: list[asyncio.StreamWriter] = []


async def is_open(reader: asyncio.StreamReader) -> bool:
    """Tell whether the connection is still open: the server has not hung up on it."""
    try:
        async with asyncio.timeout(0.3):
            return await reader.read(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


@pytest.mark.usefixtures("remote")
async def test_who_has_most_connections_loses_the_oldest_and_nobody_else(
    serving: Callable[..., asyncio.Future[Server]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 8)
    served = await serving()
    probe = await connect(served.port, "127.0.0.9")  # older than all of the flood
    flood = [await connect(served.port, "127.0.0.2") for _number in range(12)]
    other = await connect(served.port, "127.0.0.3")
    assert await is_open(probe) and await is_open(other)
    assert [await is_open(each) for each in flood] == [False] * 6 + [True] * 6
    assert len(served._connections) == 8


@pytest.mark.usefixtures("remote")
async def test_an_address_that_comes_too_often_is_not_answered_and_others_are(
    serving: Callable[..., asyncio.Future[Server]],
) -> None:
    served = await serving()
    flood = [await connect(served.port, "127.0.0.2") for _number in range(int(server.BURST) + 40)]
    assert "yes" in await fetch(served.port)  # from 127.0.0.1
    refused = [each for each in flood if not await is_open(each)]
    assert len(refused) > 30
    assert len(served._connections) <= server.MAX_CONNECTIONS


@pytest.mark.usefixtures("remote")
async def test_of_addresses_without_end_some_are_remembered(
    serving: Callable[..., asyncio.Future[Server]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_SOURCES", 10)
    served = await serving()
    for number in range(40):
        await connect(served.port, f"127.0.1.{number + 1}")
    assert "yes" in await fetch(served.port)
    assert len(served._rates) <= 10


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
async def test_a_client_that_is_too_slow_is_hung_up_on(
    encrypted: bool, serving: Callable[..., asyncio.Future[Server]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(server, "HANDSHAKE_SECONDS", 0.3)
    served = await serving(tls=await self_signed("node-1") if encrypted else None)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET /a")
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


async def test_a_client_that_takes_nothing_is_hung_up_on(
    serving: Callable[..., asyncio.Future[Server]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PATIENCE_SECONDS", 0.5)
    served = await serving()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", served.port))
        client.send(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(10):
            while served._connections:
                await asyncio.sleep(0.05)


async def test_clients_that_leave_at_any_moment_are_no_news(
    serving: Callable[..., asyncio.Future[Server]], caplog: pytest.LogCaptureFixture
) -> None:
    served = await serving(tls=await self_signed("node-1"))
    for _number in range(5):
        await shown(served.port)  # hangs up right after the handshake
        _reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"\x16\x03\x01 nonsense")
        writer.transport.abort()
    assert "yes" in await fetch(served.port, careless())
    assert caplog.records == []


async def test_a_page_that_fails_is_logged_and_the_server_lives_on(
    serving: Callable[..., asyncio.Future[Server]], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_request: Request) -> Page:
        raise RuntimeError("a bug")

    served = await serving()
    served._pages["/fails"] = fail
    assert await fetch(served.port, page="/fails") == ""
    assert "yes" in await fetch(served.port)
    assert [record.message for record in caplog.records] == ["page_failed"]


async def test_closing_does_not_wait_for_clients(serving: Callable[..., asyncio.Future[Server]]) -> None:
    served = await serving()
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    async with asyncio.timeout(10):
        while not served._connections:
            await asyncio.sleep(0.01)
    await asyncio.wait_for(served.close(), 2)
    assert await asyncio.wait_for(reader.read(), 2) == b""
    writer.close()


@pytest.mark.parametrize(
    ("client", "status"),
    [
        ("127.0.0.1", 200),
        ("127.8.9.10", 200),
        ("::1", 200),
        ("::ffff:127.0.0.1", 200),
        ("10.244.1.7", 403),
        ("fd00::7", 403),
        ("fe80::1%eth0", 403),
        ("::ffff:10.244.1.7", 403),
    ],
)
def test_a_local_page_is_for_the_loopback_address(client: str, status: int) -> None:
    handler = local_only(lambda: text_page("secret"), "ask inside")
    page = handler(Request("/status", {"x-forwarded-for": "127.0.0.1"}, client))
    assert isinstance(page, Page)
    assert page.status == status
    assert page.body == (b"secret\n" if status == 200 else b"ask inside\n")
