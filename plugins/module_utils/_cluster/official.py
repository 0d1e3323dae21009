# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in by the official client, which knows every way, and requests over its connection pool."""

from __future__ import annotations

import typing as t

try:
    from kubernetes import client, config
    from kubernetes.client import rest
    from urllib3.exceptions import HTTPError
    from urllib3.util import Retry, Timeout

    MISSING: ImportError | None = None
except ImportError as exc:
    MISSING = exc

from .transport import BUSY_RETRIES, CONNECT_SECONDS, READ_SECONDS, Answer, TransportError


class LoginError(Exception):
    """A kubeconfig that nobody can log in with; the message says what is wrong."""


class PoolTransport:
    """Requests over a pool of urllib3."""

    def __init__(self, pool: t.Any) -> None:
        self._pool = pool

    def send(self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None) -> Answer:
        """Return the answer; see `Transport`."""
        try:
            answer = self._pool.request(
                method,
                url,
                headers=headers,
                body=body,
                timeout=Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                retries=_retries(),
            )
        except HTTPError as exc:
            raise TransportError(_root(exc)) from exc
        return Answer(answer.status, answer.data)


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


def _root(exc: BaseException) -> str:
    """The innermost reason: urllib3 wraps 'connection refused' three times."""
    reason = getattr(exc, "reason", None)
    if isinstance(reason, BaseException):
        return _root(reason)
    inner = exc.__cause__ or exc.__context__
    text = str(inner if isinstance(inner, OSError) else exc)
    return text.rsplit(": ", 1)[-1] if "Connection" in text else text


def log_in(kubeconfig: str | None, context: str | None) -> tuple[PoolTransport, str, dict[str, str]]:
    """Return a transport, the API server's URL and the headers of each request; raise LoginError.

    Raises ImportError where the Python package kubernetes is missing.
    """
    if MISSING is not None:
        raise MISSING
    configuration = client.Configuration()
    try:
        config.load_kube_config(
            config_file=kubeconfig, context=context, client_configuration=configuration, persist_config=False
        )
        pool = rest.RESTClientObject(configuration).pool_manager
    except Exception as exc:
        # The loader raises whatever its parser, its plugins and the TLS library raise.
        raise LoginError(_login_problem(kubeconfig, context, exc)) from exc
    return PoolTransport(pool), configuration.host, _login_headers(configuration)


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


__all__ = ["LoginError", "PoolTransport", "log_in"]
