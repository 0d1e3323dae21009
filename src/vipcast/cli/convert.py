# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast convert`: the ConfigMap of MetalLB 0.12 and older, as the objects that say the same.

Objects are printed as YAML, in an order in which they can be applied while the ConfigMap is still in force.
What is wrong goes to standard error; what is refused is left out, so that everything printed can be applied.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from vipcast.cli.files import UnreadableError, flat, read_documents
from vipcast.daemon.legacy import KEY, read_config_map
from vipcast.model.configuration import parse
from vipcast.model.defaults import NAMESPACE
from vipcast.model.legacy import convert as convert_document
from vipcast.model.legacy import object_name
from vipcast.model.legacy_objects import Conversion, Entry, Manifest, parse_both
from vipcast.model.problems import reference
from vipcast.model.reasons import Reason

__all__ = ["convert"]

# Every reader of YAML takes these for text without quotes: words, and what has two dots or more.
_SAFE = re.compile(r"[A-Za-z][A-Za-z0-9./-]*|\d+\.\d+\.\d+\.[\d./-]+")
_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")


def convert(files: Sequence[str], namespace: str | None = None) -> int:
    """Print the objects; 0: no problems, 1: some, 2: a file or a ConfigMap in it could not be read."""
    count = problems = 0
    try:
        for file in files:
            for conversion in _conversions(file, namespace):
                found = parse_both([], conversion)
                for problem in found.problems:
                    print(f"{file}: {problem}", file=sys.stderr)
                objects = _good(conversion).objects
                _print(objects)
                count, problems = count + len(objects), problems + len(found.problems)
    except UnreadableError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{count} objects, {problems} problems", file=sys.stderr)
    return 1 if problems else 0


def _conversions(file: str, namespace: str | None) -> Iterator[Conversion]:
    """Yield the text of every ConfigMap in a file that has our key, or of the key's content alone."""
    found = 0
    for document in read_documents(file):
        for item in _items(file, document):
            conversion = _conversion(item, namespace)
            if conversion is None:
                continue
            found += 1
            _refuse_unreadable(file, conversion)
            yield conversion
    if not found:
        raise UnreadableError(file, f"has no ConfigMap with a key {KEY}, nor what should be in that key")


def _items(file: str, document: Any) -> Iterator[Any]:
    """The objects, or what is in the key alone, which may be anything."""
    if isinstance(document, dict):
        yield from flat(file, document)
    elif document is not None:
        yield document


def _conversion(item: Any, namespace: str | None) -> Conversion | None:
    """Return the object, or None for one that is something else."""
    if not isinstance(item, dict) or "kind" not in item:
        return convert_document(item, namespace=namespace or NAMESPACE, rename=object_name)
    data, metadata = item.get("data"), item.get("metadata")
    if item["kind"] != "ConfigMap" or not isinstance(data, dict) or KEY not in data:
        return None
    metadata = metadata if isinstance(metadata, dict) else {}
    where = namespace or metadata.get("namespace") or NAMESPACE
    known = {"name": str(metadata.get("name") or "config"), "namespace": str(where)}
    return read_config_map({"metadata": known, "data": data}, rename=object_name)


def _refuse_unreadable(file: str, conversion: Conversion) -> None:
    for problem in conversion.problems:
        if problem.reason is Reason.UNREADABLE:
            raise UnreadableError(file, str(problem))


def _good(conversion: Conversion) -> Conversion:
    """Return the objects without the refused ones; a refused pool's advertisements go with it."""
    refused = {problem.object for problem in parse(conversion.objects).refused}

    def unwanted(entry: Entry, item: Manifest) -> bool:
        return reference(item) in refused or reference(entry.objects[0][0]) in refused

    return conversion.without(unwanted)


def _print(objects: Sequence[Manifest]) -> None:
    import yaml  # noqa: PLC0415 - what was read just now was read with it

    class Dumper(yaml.SafeDumper):
        """Quotes everything that some reader of YAML could take for something other than text."""

        def ignore_aliases(self, _data: Any) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        plain = _SAFE.fullmatch(value) and value.lower() not in _WORDS
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')

    Dumper.add_representer(str, text)
    for item in objects:
        print("---")
        print(yaml.dump(item, Dumper=Dumper, sort_keys=False, allow_unicode=True), end="")
