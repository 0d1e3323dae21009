# SPDX-License-Identifier: GPL-3.0-or-later
"""The contents of an etcd, read and put back through its JSON gateway."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

_EVERYTHING = base64.b64encode(b"\0").decode()
_AT_ONCE = 100  # etcd takes 128 operations in one transaction

Contents = dict[str, str]
"""Values by key, both in base64."""


class Etcd:
    """One etcd, by its port on loopback."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/v3"

    def contents(self) -> Contents:
        """Return all that it holds."""
        found = self._ask("kv/range", {"key": _EVERYTHING, "range_end": _EVERYTHING}).get("kvs", [])
        return {entry["key"]: entry.get("value", "") for entry in found}

    def put_back(self, before: Mapping[str, str]) -> None:
        """Hold what it held before, and nothing else."""
        now = self.contents()
        gone = [{"requestDeleteRange": {"key": key}} for key in now if key not in before]
        put = [
            {"requestPut": {"key": key, "value": value}}
            for key, value in before.items()
            if now.get(key) != value
        ]
        for some in _batches([*gone, *put]):
            self._ask("kv/txn", {"success": some})

    def compact(self) -> None:
        """Forget every revision but the latest."""
        revision = self._ask("kv/range", {"key": _EVERYTHING})["header"]["revision"]
        self._ask("kv/compaction", {"revision": revision, "physical": True})

    def _ask(self, what: str, body: dict[str, object]) -> Any:
        data = json.dumps(body).encode()
        with urllib.request.urlopen(f"{self._url}/{what}", data=data, timeout=30) as answer:
            return json.load(answer)


def _batches(changes: list[dict[str, dict[str, str]]]) -> Iterator[list[dict[str, dict[str, str]]]]:
    for start in range(0, len(changes), _AT_ONCE):
        yield changes[start : start + _AT_ONCE]
