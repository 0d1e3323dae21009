# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast check`: what is wrong with a configuration, before a cluster sees it; one line per problem."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from vipcast.cli.files import UnreadableError, read_objects
from vipcast.model.configuration import GROUP, parse
from vipcast.model.problems import ObjectRef, reference
from vipcast.model.texts import plain

__all__ = ["check"]


def check(files: Sequence[str], namespace: str | None = None) -> int:
    """Print the problems; 0: none, 1: some, 2: a file that could not be read."""
    objects: list[dict[str, Any]] = []
    places: dict[ObjectRef, str] = {}
    skipped = 0
    try:
        for file in files:
            for item in read_objects(file):
                if str(item.get("apiVersion", "")).startswith(f"{GROUP}/"):
                    objects.append(item)
                    places.setdefault(reference(item), file)
                else:
                    skipped += 1
    except UnreadableError as error:
        print(error, file=sys.stderr)
        return 2
    found = parse(objects, namespace=namespace)
    for problem in found.problems:
        print(f"{plain(places[problem.object])}: {problem}")
    others = f", {skipped} of other groups not looked at" if skipped else ""
    print(f"{len(objects)} objects of {GROUP}, {len(found.problems)} problems{others}", file=sys.stderr)
    return 1 if found.problems else 0
