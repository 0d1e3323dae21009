# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords in Secrets, each read by its own name: a Role can name them, no other is asked for."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Coroutine
from typing import Any

from vipcast.k8s import Client, Informer, Json, Key
from vipcast.k8s.resource import SECRETS
from vipcast.model.defaults import MAX_PASSWORD

__all__ = ["STILL_READING", "Passwords", "UnusableSecretError", "read_password"]

STILL_READING = "readingSecret"  # the reason for a moment, nothing to tell anybody
SECRET_TYPE = "kubernetes.io/basic-auth"
_Spawn = Callable[[str, Coroutine[Any, Any, None]], asyncio.Task[None]]


class UnusableSecretError(Exception):
    """No password from that Secret; `reason` is the name of why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def read_password(secret: Json) -> str:
    """The password in a Secret. Raises UnusableSecretError."""
    name, kind = secret["metadata"]["name"], secret.get("type")
    if kind != SECRET_TYPE:
        raise UnusableSecretError(
            "secretWrongType", f"Secret {name} is of type {kind}; {SECRET_TYPE} is needed"
        )
    encoded = (secret.get("data") or {}).get("password")
    if not encoded:
        raise UnusableSecretError("secretWithoutPassword", f"Secret {name} has no key password")
    try:
        password = base64.b64decode(encoded).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise UnusableSecretError(
            "secretBadPassword", f"the password in Secret {name} is not text"
        ) from error
    if len(password.encode()) > MAX_PASSWORD:
        message = f"the password in Secret {name} is longer than the {MAX_PASSWORD} octets that TCP MD5 takes"
        raise UnusableSecretError("secretBadPassword", message)
    return password


class Passwords:
    """Follows exactly the Secrets that are needed."""

    def __init__(
        self, client: Client, namespace: str, *, spawn: _Spawn, on_change: Callable[[], None]
    ) -> None:
        self._client, self._namespace = client, namespace
        self._spawn, self._on_change = spawn, on_change
        self._informers: dict[str, tuple[Informer, asyncio.Task[None]]] = {}
        self._last_good: dict[str, str] = {}

    def need(self, names: frozenset[str]) -> None:
        """Follow these Secrets and no others."""
        for name in self._informers.keys() - names:
            self._informers.pop(name)[1].cancel()
            self._last_good.pop(name, None)
        for name in names - self._informers.keys():
            self._follow(name)

    def get(self, name: str) -> tuple[str, UnusableSecretError | None]:
        """The password, and what is wrong with the Secret if this is an older one of it.

        Raises UnusableSecretError where there never was one.
        """
        try:
            self._last_good[name] = self._read(name)
        except UnusableSecretError as error:
            if name not in self._last_good:
                raise
            return self._last_good[name], error
        return self._last_good[name], None

    def _read(self, name: str) -> str:
        informer, _task = self._informers[name]
        secret = informer.items.get((self._namespace, name))
        if secret is None and not informer.synced.is_set():
            if informer.problem is None:
                raise UnusableSecretError(STILL_READING, f"Secret {name} is being read")
            raise UnusableSecretError("secretNotRead", f"Secret {name} can not be read: {informer.problem}")
        if secret is None:
            raise UnusableSecretError("secretNotFound", f"there is no Secret {self._namespace}/{name}")
        return read_password(secret)

    def _follow(self, name: str) -> None:
        informer = Informer(
            self._client,
            SECRETS,
            namespace=self._namespace,
            field_selector=f"metadata.name={name}",
            on_change=self._changed,
            on_problem=lambda _: self._on_change(),
        )
        self._informers[name] = informer, self._spawn(f"secret {name}", self._run(informer))

    async def _run(self, informer: Informer) -> None:
        """A Secret that doesn't exist changes nothing when it is first looked for; tell of that too."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell_when_synced(informer))
            group.create_task(informer.run())

    async def _tell_when_synced(self, informer: Informer) -> None:
        await informer.synced.wait()
        self._on_change()

    def _changed(self, _key: Key, _item: Json | None) -> None:
        self._on_change()
