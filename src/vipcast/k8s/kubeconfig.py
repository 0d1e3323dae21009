# SPDX-License-Identifier: GPL-3.0-or-later
"""kubeconfig files, as kubectl reads them; what we don't do in them is refused by name."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import Any

from vipcast.k8s.access import Access, Material, Tls, Token
from vipcast.k8s.errors import AccessError

__all__ = ["read_kubeconfig"]

_UNSUPPORTED_USER = ("exec", "auth-provider", "username", "as", "as-groups", "as-uid")
_UNSUPPORTED_CLUSTER = ("proxy-url",)


def read_kubeconfig(path: Path, context: str | None = None) -> Access:
    """The access that one context of the file describes (the current one by default). Raises AccessError."""
    document = _load(path)
    name = context or document.get("current-context")
    if not name:
        raise AccessError(f"{path}: no current-context, and none was named")
    chosen = _entry(path, document, "contexts", name, "context")
    cluster = _entry(path, document, "clusters", chosen.get("cluster"), "cluster")
    user = _entry(path, document, "users", chosen["user"], "user") if chosen.get("user") else {}
    _refuse(path, f"user {chosen.get('user')}", user, _UNSUPPORTED_USER)
    _refuse(path, f"cluster {chosen.get('cluster')}", cluster, _UNSUPPORTED_CLUSTER)
    return _access(path, cluster, user, chosen.get("namespace"))


def _access(path: Path, cluster: dict[str, Any], user: dict[str, Any], namespace: str | None) -> Access:
    server = cluster.get("server")
    if not isinstance(server, str) or not server.startswith(("https://", "http://")):
        raise AccessError(f"{path}: the cluster's server is {server!r}, not an http(s) URL")
    token = _token(path, user)
    return Access(server, _tls(path, cluster, user), token, namespace)


def _token(path: Path, user: dict[str, Any]) -> Token | None:
    if user.get("token"):  # kubectl's order: a token beats a file
        return Token(Material(data=str(user["token"]).encode()))
    return Token(Material(_beside(path, user["tokenFile"]))) if user.get("tokenFile") else None


def _tls(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Tls | None:
    if cluster["server"].startswith("http://"):
        return None
    return Tls(
        authority=_material(path, cluster, "certificate-authority"),
        certificate=_material(path, user, "client-certificate"),
        key=_material(path, user, "client-key"),
        server_name=cluster.get("tls-server-name"),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
    )


def _material(path: Path, section: dict[str, Any], name: str) -> Material | None:
    inline = section.get(f"{name}-data")
    if inline:
        try:
            return Material(data=base64.b64decode(inline, validate=True))
        except (binascii.Error, TypeError) as error:
            raise AccessError(f"{path}: {name}-data is not base64") from error
    return Material(_beside(path, section[name])) if section.get(name) else None


def _beside(path: Path, name: str) -> Path:
    """Relative names are relative to the kubeconfig."""
    return path.parent / Path(name).expanduser()


def _entry(path: Path, document: dict[str, Any], section: str, name: object, inner: str) -> dict[str, Any]:
    for each in document.get(section) or []:
        if isinstance(each, dict) and each.get("name") == name:
            return each.get(inner) or {}
    raise AccessError(f"{path}: no {inner} named {name!r} in it")


def _refuse(path: Path, where: str, section: dict[str, Any], unsupported: tuple[str, ...]) -> None:
    for name in unsupported:
        if section.get(name):
            raise AccessError(
                f"{path}: {where} uses {name}, which is not supported: use a token or a certificate"
            )


def _load(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AccessError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    document = json.loads(text) if _is_json(text) else _yaml(path, text)
    if not isinstance(document, dict):
        raise AccessError(f"{path}: not a kubeconfig")
    return document


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _yaml(path: Path, text: str) -> Any:
    try:
        import yaml  # noqa: PLC0415 - a daemon in a pod has none and needs none
    except ImportError as error:
        raise AccessError(f"{path}: reading YAML needs PyYAML (pip install 'vipcast[cli]')") from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise AccessError(f"{path}: not YAML: {error}") from error
