# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of the API from files, as people and `kubectl get -o yaml` write them: YAML or JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vipcast.jsontext import BadDocumentError, read_json
from vipcast.model.texts import cut, echo, plain
from vipcast.yamltext import NotYamlError, read_yaml

__all__ = ["UnreadableError", "parse_text", "read_documents", "read_objects"]

MAX_CHARACTERS = 256 * 1024 * 1024  # of a file: a cluster with ten thousand services has a tenth of it


class UnreadableError(Exception):
    """A file that is missing, or is neither YAML nor JSON, or has something else than objects in it."""

    def __init__(self, file: str, why: str) -> None:
        super().__init__(cut(plain(f"{file}: {why}")))


def read_objects(file: str) -> Iterator[dict[str, Any]]:
    """The objects of a file (`-` is standard input), those in a List too; raises UnreadableError."""
    for document in read_documents(file):
        if document is not None:  # an empty document between two `---`
            yield from flat(file, document)


def read_documents(file: str) -> list[Any]:
    """Return what a file says, document by document; raises UnreadableError."""
    return parse_text(file, _read(file))


def parse_text(name: str, text: str) -> list[Any]:
    """The documents of a text; errors call it by this name."""
    try:
        return [read_json(text)]
    except BadDocumentError as error:
        raise UnreadableError(name, str(error)) from error
    except ValueError:
        return _yaml(name, text)


def flat(file: str, document: Any) -> Iterator[dict[str, Any]]:
    """The items of a List, however deep, or the document itself; raises UnreadableError."""
    if not isinstance(document, dict):
        raise UnreadableError(file, f"has {echo(document)} where an object of the API should be")
    if not str(document.get("kind", "")).endswith("List"):
        yield document
        return
    items = document.get("items")
    if not isinstance(items, list) and items is not None:
        raise UnreadableError(file, f"has a List whose items are {echo(items)}, not a list")
    for item in items or ():
        yield from flat(file, item)


def _read(file: str) -> str:
    try:
        if file == "-":
            return _bounded(file, sys.stdin.read(MAX_CHARACTERS + 1))
        with Path(file).open(encoding="utf-8") as source:
            return _bounded(file, source.read(MAX_CHARACTERS + 1))
    except OSError as error:
        raise UnreadableError(file, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise UnreadableError(file, "is not UTF-8 text") from error
    except ValueError as error:  # a name with a NUL in it
        raise UnreadableError(file, str(error)) from error


def _bounded(file: str, text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise UnreadableError(file, f"has more than {MAX_CHARACTERS} characters")
    return text


def _yaml(file: str, text: str) -> list[Any]:
    try:
        return read_yaml(text)
    except NotYamlError as error:
        raise UnreadableError(file, str(error)) from error
