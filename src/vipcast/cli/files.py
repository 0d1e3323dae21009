# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of the API from files, as people and `kubectl get -o yaml` write them: YAML or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vipcast.daemon.yamltext import NotYamlError, read_yaml

__all__ = ["UnreadableError", "parse_text", "read_documents", "read_objects"]


class UnreadableError(Exception):
    """A file that is missing or neither YAML nor JSON."""


def read_objects(file: str) -> Iterator[dict[str, Any]]:
    """The objects of a file (`-` is standard input), those in a List too; raises UnreadableError."""
    for document in read_documents(file):
        if document is not None:  # an empty document between two `---`
            yield from _flat(file, document)


def read_documents(file: str) -> list[Any]:
    """What a file says, document by document; raises UnreadableError."""
    return parse_text(file, _read(file))


def parse_text(name: str, text: str) -> list[Any]:
    """The documents of a text; errors call it by this name."""
    try:
        return [json.loads(text)]
    except ValueError:
        return _yaml(name, text)


def _flat(file: str, document: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(document, dict):
        raise UnreadableError(f"{file}: has {document!r} where an object of the API should be")
    if isinstance(document.get("items"), list) and str(document.get("kind", "")).endswith("List"):
        for item in document["items"]:
            yield from _flat(file, item)
    else:
        yield document


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise UnreadableError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{file}: is not UTF-8 text") from error


def _yaml(file: str, text: str) -> list[Any]:
    try:
        return read_yaml(text)
    except NotYamlError as error:
        raise UnreadableError(f"{file}: {error}") from error
