# SPDX-License-Identifier: GPL-3.0-or-later
"""A kubeconfig that says nothing but certificates, a token or a password, read without the official client.

What is not in the lists of keys below (exec plugins, auth providers, proxies), what is missing or wrong, and
a default made of several files is the official client's business: it knows every way, and what to say.
"""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
import typing as t
from dataclasses import dataclass

try:
    import yaml
except ImportError:
    yaml = None  # type: ignore[assignment]

Json = t.Dict[str, t.Any]

CERTIFICATE, KEY, AUTHORITY = "client-certificate", "client-key", "certificate-authority"
CLUSTER_KEYS = {
    "server",
    AUTHORITY,
    AUTHORITY + "-data",
    "insecure-skip-tls-verify",
    "tls-server-name",
    "extensions",
}
USER_KEYS = {
    *(CERTIFICATE, CERTIFICATE + "-data", KEY, KEY + "-data"),
    *("token", "tokenFile", "username", "password", "extensions"),
}
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


class NotSimpleError(Exception):
    """The kubeconfig says more than is understood here."""


@dataclass(frozen=True)
class Login:
    """The API server's URL, and how to log in."""

    host: str
    headers: dict[str, str]
    tls: ssl.SSLContext | None
    server_name: str | None


def read(kubeconfig: str | None, context: str | None) -> Login | None:
    """Return how to log in; None where the official client has to say."""
    if yaml is None or any(name.lower() in PROXIES for name in os.environ):
        return None
    try:
        path = os.path.expanduser(kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config")
        with open(path, encoding="utf-8") as file:
            document = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return _login(document, context, os.path.dirname(os.path.abspath(path)))
    except (NotSimpleError, OSError, ValueError, yaml.YAMLError, TypeError, KeyError, AttributeError):
        return None


def _login(document: Json, context: str | None, folder: str) -> Login:
    chosen = _named(document["contexts"], context or document["current-context"])["context"]
    cluster = _known(_named(document["clusters"], chosen["cluster"])["cluster"], CLUSTER_KEYS)
    user = _known(_named(document["users"], chosen["user"])["user"], USER_KEYS)
    host = cluster["server"].rstrip("/")
    if not host.startswith(("https://", "http://")):
        raise NotSimpleError
    tls = _tls(cluster, user, folder) if host.startswith("https") else None
    return Login(host, _headers(user, folder), tls, cluster.get("tls-server-name"))


def _named(entries: list[Json], name: str) -> Json:
    found = [entry for entry in entries if entry["name"] == name]
    if len(found) != 1:
        raise NotSimpleError
    return found[0]


def _known(entry: Json, keys: set[str]) -> Json:
    """Return the entry if all of it is understood; what is said and empty is not."""
    if not set(entry) <= keys or any(value in ("", None) for value in entry.values()):
        raise NotSimpleError
    return entry


def _headers(user: Json, folder: str) -> dict[str, str]:
    text = _authorization(user, folder)
    if not (text.isascii() and text.isprintable()):
        raise NotSimpleError
    return {"authorization": text} if text else {}


def _authorization(user: Json, folder: str) -> str:
    if "token" in user:
        return f"Bearer {user['token']}"
    if "tokenFile" in user:
        with open(os.path.join(folder, user["tokenFile"]), encoding="utf-8") as file:
            return f"Bearer {file.read().strip()}"
    if "username" in user and "password" in user:
        pair = f"{user['username']}:{user['password']}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"
    return ""


# -- certificates ------------------------------------------------------------------------------------------


def _tls(cluster: Json, user: Json, folder: str) -> ssl.SSLContext:
    """Verify as kubectl does: without VERIFY_X509_STRICT, which many a cluster's own authority fails."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    else:
        _trust(tls, _bytes(cluster, AUTHORITY, folder))
    _show_certificate(tls, _bytes(user, CERTIFICATE, folder), _bytes(user, KEY, folder))
    return tls


def _trust(tls: ssl.SSLContext, authority: bytes | None) -> None:
    if authority is None:
        tls.load_default_certs()
    else:
        tls.load_verify_locations(cadata=authority.decode())


def _show_certificate(tls: ssl.SSLContext, certificate: bytes | None, key: bytes | None) -> None:
    """Log in by a certificate; the TLS library reads it from a file only, which nobody else can read."""
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        raise NotSimpleError
    with tempfile.NamedTemporaryFile(prefix="vipcast-") as file:
        file.write(certificate.rstrip() + b"\n" + key)
        file.flush()
        # A key with a password of its own would be asked for at the terminal.
        tls.load_cert_chain(file.name, password="")


def _bytes(entry: Json, name: str, folder: str) -> bytes | None:
    """Return what is in the kubeconfig itself, or in a file that it names; None where nothing is."""
    if name + "-data" in entry:
        return base64.b64decode(entry[name + "-data"])
    if name not in entry:
        return None
    with open(os.path.join(folder, entry[name]), "rb") as file:
        return file.read()


__all__ = ["Login", "read"]
