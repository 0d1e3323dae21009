# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to an API server, with the credentials of a kubeconfig.

The official client reads the kubeconfig, since it knows every way to log in; requests are plain JSON over its
connection pool, since its generated models cost more time than a whole module call has.
"""

from __future__ import annotations

import json
import os
import typing as t
from urllib.parse import quote, urlencode

try:
    from kubernetes import client, config
    from kubernetes.client import rest
    from urllib3.exceptions import HTTPError
    from urllib3.util import Retry, Timeout

    MISSING: ImportError | None = None
except ImportError as exc:
    MISSING = exc

Json = t.Dict[str, t.Any]

APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
# A control plane on the other side of the world answers in a second; a dead one must not hold a playbook up.
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
# An API server that is busy, or has just learnt a kind, says 429 and when to ask again: nothing was done yet.
BUSY_RETRIES = 5


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

    def __init__(self, pool: t.Any, host: str, headers: t.Mapping[str, str]) -> None:
        self._pool = pool
        self.host = host.rstrip("/")
        self._headers = dict(headers)

    def get(self, path: str, **query: str) -> Json:
        return self.request("GET", path, query=query)

    def find(self, path: str, **query: str) -> Json | None:
        """As `get`; None where there is nothing."""
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
        answer = self._send(method, url, headers, data)
        return _decoded(answer.status, answer.data, f"{method} {path}")

    def _send(self, method: str, url: str, headers: dict[str, str], data: bytes | None) -> t.Any:
        try:
            return self._pool.request(
                method,
                url,
                headers=headers,
                body=data,
                timeout=Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                retries=_retries(),
            )
        except HTTPError as exc:
            raise ClusterError(f"cannot reach the API server at {self.host}: {_root(exc)}") from exc


def _retries() -> t.Any:
    """Once more where no connection was made; later where the server asks for that (`Retry-After`)."""
    return Retry(
        total=BUSY_RETRIES + 1,
        connect=1,
        read=0,
        redirect=0,
        status=BUSY_RETRIES,
        allowed_methods=None,
        raise_on_status=False,
    )


def _decoded(status: int, data: bytes, asked: str) -> Json:
    try:
        answer = json.loads(data)
    except ValueError:
        answer = {"message": data.decode(errors="replace").strip()[:300]}
    if status < 400:
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


def _root(exc: BaseException) -> str:
    """The innermost reason: urllib3 wraps 'connection refused' three times."""
    reason = getattr(exc, "reason", None)
    if isinstance(reason, BaseException):
        return _root(reason)
    inner = exc.__cause__ or exc.__context__
    text = str(inner if isinstance(inner, OSError) else exc)
    return text.rsplit(": ", 1)[-1] if "Connection" in text else text


# -- logging in --------------------------------------------------------------------------------------------


def connect(kubeconfig: str | None, context: str | None) -> Api:
    """An Api for a kubeconfig's context; raises ClusterError saying what is wrong with either.

    Raises ImportError where the Python package kubernetes is missing.
    """
    if MISSING is not None:
        raise MISSING
    _check_file(kubeconfig)
    configuration = client.Configuration()
    try:
        config.load_kube_config(
            config_file=kubeconfig, context=context, client_configuration=configuration, persist_config=False
        )
        pool = rest.RESTClientObject(configuration).pool_manager
    except Exception as exc:
        # The loader raises whatever its parser, its plugins and the TLS library raise.
        raise ClusterError(_login_problem(kubeconfig, context, exc)) from exc
    return Api(pool, configuration.host, _login_headers(configuration))


def _check_file(kubeconfig: str | None) -> None:
    if kubeconfig is None:
        return
    if not os.path.exists(kubeconfig):
        raise ClusterError(f"kubeconfig {kubeconfig}: there is no such file; vipcast_kubeconfig names it")
    if not os.access(kubeconfig, os.R_OK):
        raise ClusterError(f"kubeconfig {kubeconfig}: not readable by this user")


def _login_problem(kubeconfig: str | None, context: str | None, exc: Exception) -> str:
    file = f"kubeconfig {kubeconfig}" if kubeconfig else "the default kubeconfig"
    reason = " ".join(str(exc).split()) or type(exc).__name__
    if not isinstance(exc, config.ConfigException) and isinstance(exc, (TypeError, AttributeError)):
        return f"{file}: is not a kubeconfig"
    if context and context in reason:
        return f"{file}: has no context {context!r}; vipcast_context names it"
    return f"{file}: {reason}"


def _login_headers(configuration: t.Any) -> dict[str, str]:
    settings = configuration.auth_settings().values()
    return {
        each["key"]: each["value"] for each in settings if each.get("in") == "header" and each.get("value")
    }


__all__ = ["APPLY_PATCH", "MERGE_PATCH", "Api", "ClusterError", "Json", "RefusedError", "connect"]
