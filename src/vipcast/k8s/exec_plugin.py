# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins of a kubeconfig (``user.exec``): a program that prints a token or a certificate.

The interface is client.authentication.k8s.io: what the program prints is an ExecCredential. It is asked once,
and again when what it gave has expired.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from vipcast.jsontext import BadDocumentError, read_json
from vipcast.k8s.credentials import CredentialFile
from vipcast.k8s.errors import AccessError
from vipcast.model.texts import cut, echo, plain

__all__ = ["Plugin"]

GROUP = "client.authentication.k8s.io/"
PATIENCE_SECONDS = 60.0  # somebody may have to log in
MAX_OUTPUT = 1024 * 1024
EARLY_SECONDS = 10.0  # asked anew so long before what it gave expires

Json = dict[str, Any]


class Plugin:
    """The program, and what it gave last; called, it gives the token, or an empty text."""

    def __init__(self, path: Path, said: Any, server: str, cluster: Json) -> None:
        self._path = path
        self._said: Json = said if isinstance(said, dict) else {}
        command = self._said.get("command")
        if not isinstance(command, str) or not command:
            raise AccessError(f"{path}: exec has {echo(command)} as command, which should name a program")
        # As kubectl does: with a slash it is a file, relative to the kubeconfig.
        self._command = str(path.parent / command) if "/" in command else command
        self._server, self._cluster = server, cluster
        self._given: Json | None = None
        self._until = float("inf")

    def __call__(self) -> str:
        """The token as it is now."""
        return self._text("token")

    def pair(self) -> tuple[CredentialFile, CredentialFile] | None:
        """Certificate and key, where it gives them; None where it gives a token."""
        certificate, key = self._text("clientCertificateData"), self._text("clientKeyData")
        if not certificate or not key:
            return None
        return CredentialFile(data=certificate.encode()), CredentialFile(data=key.encode())

    def _text(self, name: str) -> str:
        if self._given is None or time.time() > self._until - EARLY_SECONDS:
            self._given = self._ask()
            self._until = _expires(self._given)
        value = self._given.get(name) or ""
        if not isinstance(value, str):
            raise self._refuse(f"gave {echo(value, 40)} as {name}, which should be text")
        return value

    def _ask(self) -> Json:
        try:
            done = subprocess.run(
                [self._command, *self._arguments()],
                env=self._environment(),
                stdout=subprocess.PIPE,
                timeout=PATIENCE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise self._refuse(f"gave no answer in {PATIENCE_SECONDS:g} seconds") from None
        except (OSError, ValueError) as error:
            hint = cut(plain(str(self._said.get("installHint") or "")))
            raise self._refuse(f"can not be run: {error}" + (f". {hint}" if hint else "")) from error
        if done.returncode:
            raise self._refuse(f"ended with status {done.returncode}")
        return self._status(done.stdout)

    def _status(self, output: bytes) -> Json:
        try:
            found = read_json(output[:MAX_OUTPUT].decode())
            given = found["status"]
            if found["kind"] != "ExecCredential" or not isinstance(given, dict):
                raise TypeError
        except (ValueError, BadDocumentError, TypeError, KeyError):
            raise self._refuse("did not print an ExecCredential with a status") from None
        if not given.get("token") and not given.get("clientCertificateData"):
            raise self._refuse("gave neither a token nor a certificate")
        return given

    def _arguments(self) -> list[str]:
        given = self._said.get("args") or []
        if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
            raise AccessError(
                f"{self._path}: exec has {echo(given)} as args, which should be a list of texts"
            )
        return given

    def _environment(self) -> dict[str, str]:
        given = self._said.get("env") or []
        pairs = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
        added = {str(each.get("name")): str(each.get("value", "")) for each in pairs}
        return {**os.environ, **added, "KUBERNETES_EXEC_INFO": json.dumps(self._question())}

    def _question(self) -> Json:
        version = self._said.get("apiVersion")
        if not isinstance(version, str) or not version.startswith(GROUP):
            raise AccessError(f"{self._path}: exec has {echo(version)} as apiVersion, not {GROUP}v1")
        question: Json = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
        if self._said.get("provideClusterInfo") is True:
            names = ("tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data")
            known = {name: self._cluster[name] for name in names if name in self._cluster}
            question["spec"]["cluster"] = {"server": self._server, **known}
        return question

    def _refuse(self, why: str) -> AccessError:
        return AccessError(f"{self._path}: the exec plugin {echo(self._command)} {why}")


def _expires(given: Json) -> float:
    """The time in seconds since 1970; infinite where none is given or it can not be read."""
    try:
        return datetime.fromisoformat(str(given["expirationTimestamp"])).timestamp()
    except (KeyError, ValueError):
        return float("inf")
