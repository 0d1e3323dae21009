# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to an API server, with the credentials of a kubeconfig.

Certificates, tokens and passwords are used directly, by Python's own library: to import the official client
costs half a second, in each of the dozen module calls of a rollout. The official client logs in where a
kubeconfig says anything else, since it knows every way, and says what is wrong with one. Requests are plain
JSON in both cases: generated models cost more time than a whole module call has.
"""

from __future__ import annotations

import json
import os
import typing as t
from urllib.parse import quote, urlencode

from . import kubeconfig as kubeconfigs
from .direct import DirectTransport
from .transport import Transport, TransportError

Json = t.Dict[str, t.Any]

APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"


class ClusterError(Exception):
    """The cluster cannot be worked with; the message says what was tried and what to do."""


class RefusedError(ClusterError):
    """The API server answered, with a refusal."""

    def __init__(self, status: int, reason: str, message: str, causes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes

    def explain(self) -> str:
        """The refusal for a person: the fields that are wrong where the API names them."""
        return "; ".join(self.causes) if self.causes else self.message


class Api:
    """A connection to one API server. `get` and the others take a path and return the decoded answer."""

    def __init__(self, transport: Transport, host: str, headers: t.Mapping[str, str]) -> None:
        self._transport = transport
        self.host = host.rstrip("/")
        self._headers = dict(headers)

    def get(self, path: str, **query: str) -> Json:
        return self.request("GET", path, query=query)

    def find(self, path: str, **query: str) -> Json | None:
        """Return what `get` returns; None where there is nothing."""
        try:
            return self.get(path, **query)
        except RefusedError as exc:
            if exc.status == 404:
                return None
            raise

    def post(self, path: str, body: Json, **query: str) -> Json:
        return self.request("POST", path, body=body, query=query)

    def patch(self, path: str, body: Json, content_type: str, **query: str) -> Json:
        return self.request("PATCH", path, body=body, query=query, content_type=content_type)

    def delete(self, path: str, body: Json | None = None, **query: str) -> Json:
        return self.request("DELETE", path, body=body, query=query)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        query: t.Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Json:
        """One request; raises RefusedError for a refusal and ClusterError when the server cannot be asked."""
        url = self.host + quote(path) + ("?" + urlencode(query) if query else "")
        headers = dict(self._headers, Accept="application/json")
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), content_type
        try:
            answer = self._transport.send(method, url, headers, data)
        except TransportError as exc:
            raise ClusterError(f"cannot reach the API server at {self.host}: {exc}") from exc
        return _decoded(answer.status, answer.data, f"{method} {path}")


def _decoded(status: int, data: bytes, asked: str) -> Json:
    try:
        answer = json.loads(data)
    except ValueError:
        answer = {"message": data.decode(errors="replace").strip()[:300]}
    if status < 300:
        return t.cast(Json, answer)
    raise _refusal(status, answer, asked)


def _refusal(status: int, answer: Json, asked: str) -> RefusedError:
    """The API's Status object as an exception."""
    if status == 401:
        text = "the API server does not accept the kubeconfig's credentials (expired, or of another cluster)"
        return RefusedError(status, "Unauthorized", text)
    details = answer.get("details") or {}
    causes = tuple(_cause(cause) for cause in details.get("causes") or ())
    message = answer.get("message") or f"{asked}: HTTP {status}"
    return RefusedError(status, answer.get("reason") or "", message, causes)


def _cause(cause: Json) -> str:
    where, message = cause.get("field") or "", cause.get("message") or cause.get("reason") or ""
    return f"{where}: {message}" if where else message


# -- logging in --------------------------------------------------------------------------------------------


def connect(kubeconfig: str | None, context: str | None) -> Api:
    """Return an Api for a kubeconfig's context; ClusterError says what is wrong with either.

    Raises ImportError where the Python package kubernetes is needed and missing.
    """
    _check_file(kubeconfig)
    login = kubeconfigs.read(kubeconfig, context)
    if login is not None:
        return Api(DirectTransport(login.tls, login.server_name), login.host, login.headers)
    from . import official  # noqa: PLC0415  (imports for half a second)

    try:
        return Api(*official.log_in(kubeconfig, context))
    except official.LoginError as exc:
        raise ClusterError(str(exc)) from exc


def _check_file(kubeconfig: str | None) -> None:
    if kubeconfig is None:
        return
    if not os.path.exists(kubeconfig):
        raise ClusterError(f"kubeconfig {kubeconfig}: there is no such file; vipcast_kubeconfig names it")
    if not os.access(kubeconfig, os.R_OK):
        raise ClusterError(f"kubeconfig {kubeconfig}: not readable by this user")


__all__ = ["APPLY_PATCH", "MERGE_PATCH", "Api", "ClusterError", "Json", "RefusedError", "connect"]
