# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast check`: what is wrong with a configuration, before a cluster sees it; one line per problem."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vipcast.model.configuration import GROUP, parse
from vipcast.model.problems import ObjectRef, reference

__all__ = ["check"]


class UnreadableError(Exception):
    """A file that is missing or neither YAML nor JSON."""


def check(files: Sequence[str], namespace: str | None = None) -> int:
    """Print the problems; 0: none, 1: some, 2: a file that could not be read."""
    objects: list[dict[str, Any]] = []
    places: dict[ObjectRef, str] = {}
    skipped = 0
    try:
        for file in files:
            for item in _objects(file):
                if str(item.get("apiVersion", "")).startswith(f"{GROUP}/"):
                    objects.append(item)
                    places.setdefault(reference(item), file)
                else:
                    skipped += 1
    except UnreadableError as error:
        print(error, file=sys.stderr)
        return 2
    problems = parse(objects, namespace=namespace).problems
    for problem in problems:
        print(f"{places[problem.object]}: {problem}")
    others = f", {skipped} of other groups not looked at" if skipped else ""
    print(f"{len(objects)} objects of {GROUP}, {len(problems)} problems{others}", file=sys.stderr)
    return 1 if problems else 0


def _objects(file: str) -> Iterator[dict[str, Any]]:
    for document in _documents(file):
        if document is None:
            continue  # an empty document between two `---`
        if not isinstance(document, dict):
            raise UnreadableError(f"{file}: has {document!r} where an object of the API should be")
        if isinstance(document.get("items"), list) and str(document.get("kind", "")).endswith("List"):
            yield from document["items"]
        else:
            yield document


def _documents(file: str) -> list[Any]:
    text = _read(file)
    try:
        return [json.loads(text)]
    except ValueError:
        return _yaml(file, text)


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise UnreadableError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{file}: is not UTF-8 text") from error


def _yaml(file: str, text: str) -> list[Any]:
    try:
        import yaml  # noqa: PLC0415 - JSON needs none, and the daemons' image has none
    except ImportError as error:
        raise UnreadableError(
            f"{file}: is not JSON, and YAML needs PyYAML: pip install 'vipcast[cli]'"
        ) from error
    try:
        return list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise UnreadableError(f"{file}: is not YAML: {' '.join(str(error).split())}") from error
