# SPDX-License-Identifier: GPL-3.0-or-later
"""Read kubeconfig files as kubectl reads them; what we don't do in them is refused by name.

Several files ($KUBECONFIG) are one: of two entries with one name the first counts, and so does the first
current context. Names of files in them are relative to the file that has them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from vipcast.jsontext import BadDocumentError, read_json
from vipcast.k8s.credentials import Access, CredentialFile, Tls, Token
from vipcast.k8s.errors import AccessError
from vipcast.k8s.exec_plugin import Plugin
from vipcast.k8s.proxies import refuse_proxy
from vipcast.model.texts import echo, listed
from vipcast.yamltext import NotYamlError, read_yaml

__all__ = ["read_kubeconfig"]

_UNSUPPORTED_USER = ("auth-provider", "username", "as", "as-groups", "as-uid", "as-user-extra")
_UNSUPPORTED_CLUSTER = ("proxy-url",)
MAX_BYTES = 16 * 1024 * 1024

Json = dict[str, Any]


class _Entry(NamedTuple):
    """A context, cluster or user, and the file that it is in."""

    path: Path
    name: str
    said: Json

    def refuse(self, why: str) -> AccessError:
        """Return the error that says what is wrong with this entry."""
        return AccessError(f"{self.path}: {self.name} {why}")

    def text(self, name: str) -> str | None:
        """Return a field's text; None where it is absent or empty. Raises AccessError if it is not text."""
        value = self.said.get(name)
        if value is None or isinstance(value, str):
            return value or None
        raise self.refuse(f"has {echo(value)} as {name}, which should be text")

    def beside(self, name: str) -> Path | None:
        """Return the file that a field names; None where it names none."""
        text = self.text(name)
        return self.path.parent / Path(text).expanduser() if text else None


def read_kubeconfig(paths: Path | Sequence[Path], context: str | None = None) -> Access:
    """Return the access that one context describes (the current one by default). Raises AccessError."""
    files = [paths] if isinstance(paths, Path) else list(paths)
    documents = _load_all(files)
    current = (document.get("current-context") for document in documents.values())
    name = context or next((each for each in current if each), None)
    if not name:
        raise AccessError(f"{_names(files)}: no current-context, and none was named")
    chosen = _entry(documents, "contexts", name, "context")
    cluster = _entry(documents, "clusters", chosen.text("cluster"), "cluster")
    user = _entry(documents, "users", chosen.text("user"), "user") if chosen.text("user") else None
    user = user or _Entry(chosen.path, "user", {})
    _refuse(user, _UNSUPPORTED_USER)
    _refuse(cluster, _UNSUPPORTED_CLUSTER)
    return _access(cluster, user, chosen.text("namespace"))


def _names(files: Sequence[Path]) -> str:
    return listed(map(str, files))


def _access(cluster: _Entry, user: _Entry, namespace: str | None) -> Access:
    server = _server(cluster)
    if user.said.get("exec") and not user.text("token"):
        plugin = Plugin(user.path, user.said["exec"], server, cluster.said)
        pair = plugin.pair()
        return Access(server, _tls(server, cluster, user, pair), plugin, namespace)
    return Access(server, _tls(server, cluster, user, None), _token(user), namespace)


def _server(cluster: _Entry) -> str:
    server = cluster.text("server") or ""
    try:
        url = urlsplit(server)
        fine = url.scheme in ("https", "http") and url.hostname and (url.port is None or url.port > 0)
    except ValueError:
        fine = None
    if not fine or not server.isascii() or not server.isprintable() or " " in server:
        raise cluster.refuse(f"has {echo(cluster.said.get('server'))} as server, not an http(s) URL")
    refuse_proxy(server)
    return server


def _token(user: _Entry) -> Token | None:
    text = user.text("token")  # kubectl's order: a token beats a file
    if text:
        return Token(CredentialFile(data=text.encode()))
    file = user.beside("tokenFile")
    return Token(CredentialFile(file)) if file else None


def _tls(
    server: str, cluster: _Entry, user: _Entry, pair: tuple[CredentialFile, CredentialFile] | None
) -> Tls | None:
    if server.startswith("http://"):
        return None
    return Tls(
        authority=_material(cluster, "certificate-authority"),
        certificate=pair[0] if pair else _material(user, "client-certificate"),
        key=pair[1] if pair else _material(user, "client-key"),
        server_name=cluster.text("tls-server-name"),
        insecure=cluster.said.get("insecure-skip-tls-verify") is True,
    )


def _material(section: _Entry, name: str) -> CredentialFile | None:
    inline = section.text(f"{name}-data")
    if inline:
        try:
            return CredentialFile(data=base64.b64decode(inline, validate=True))
        except (binascii.Error, ValueError) as error:
            raise section.refuse(f"has {name}-data that is not base64") from error
    file = section.beside(name)
    return CredentialFile(file) if file else None


# -- the files -----------------------------------------------------------------------------------------------


def _entry(documents: dict[Path, Json], section: str, name: object, inner: str) -> _Entry:
    for path, document in documents.items():
        entries = document.get(section)
        for each in entries if isinstance(entries, list) else ():
            if isinstance(each, dict) and each.get("name") == name:
                return _Entry(path, f"{inner} {echo(name)}", _said(path, each.get(inner), inner, name))
    raise AccessError(f"{_names(list(documents))}: no {inner} named {echo(name)} in it")


def _said(path: Path, said: Any, inner: str, name: object) -> Json:
    if said is None:
        return {}
    if isinstance(said, dict):
        return said
    raise AccessError(f"{path}: {inner} {echo(name)} is {echo(said)}, which should be a mapping")


def _refuse(section: _Entry, unsupported: tuple[str, ...]) -> None:
    for name in unsupported:
        if section.said.get(name):
            raise section.refuse(f"uses {name}, which is not supported: use a token or a certificate")


def _load_all(files: Sequence[Path]) -> dict[Path, Json]:
    """Load the files as kubectl does: of several files some may be missing."""
    there = [path for path in files if len(files) == 1 or path.exists()]
    if not there:
        raise AccessError(f"{_names(files)}: no such file")
    return {path: _load(path) for path in there}


def _load(path: Path) -> Json:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode()
    except (OSError, ValueError) as error:
        raise AccessError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if len(text) > MAX_BYTES:
        raise AccessError(f"{path}: not a kubeconfig: more than {MAX_BYTES} bytes")
    document = _parsed(path, text)
    if not isinstance(document, dict):
        raise AccessError(f"{path}: not a kubeconfig")
    return document


def _parsed(path: Path, text: str) -> Any:
    try:
        return read_json(text)
    except BadDocumentError as error:
        raise AccessError(f"{path}: {error}") from error
    except ValueError:
        pass
    try:
        documents = read_yaml(text)
    except NotYamlError as error:
        raise AccessError(f"{path}: {error}") from error
    return documents[0] if documents else None
