# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast plan`: which address each service would get, and why, before a cluster sees any of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from vipcast.cli.files import UnreadableError, read_objects
from vipcast.cli.table import table
from vipcast.daemon.legacy import read_config_map
from vipcast.ipam.preview import Preview, Row, Usage, preview
from vipcast.ipam.snapshot import Source, combine
from vipcast.model.defaults import NAMESPACE
from vipcast.model.texts import plain

__all__ = ["plan"]


def plan(
    files: Sequence[str],
    pools: Sequence[str] = (),
    *,
    lb_class: str | None = None,
    namespace: str | None = None,
    config_map: str = "",
    within_namespace: bool = False,
    as_json: bool = False,
) -> int:
    """Print it; 0: all is well, 1: a service waits or loses an address, or a problem, 2: unreadable file.

    ``files`` add up, later ones take the place of earlier ones; ``pools`` are files besides which there are
    no pools. ``config_map`` is the name of the ConfigMap that has pools too. ``within_namespace``: an address
    is shared by services of one namespace only.
    """
    try:
        sources = [Source(file, list(read_objects(file))) for file in files]
        sources += [Source(file, list(read_objects(file)), whole=True) for file in pools]
    except UnreadableError as error:
        print(error, file=sys.stderr)
        return 2
    snapshot = combine(sources, config_map=(namespace or NAMESPACE, config_map))
    found = preview(
        snapshot,
        lb_class=lb_class,
        namespace=namespace,
        within_namespace=within_namespace,
        read=read_config_map,
    )
    print(json.dumps(found.document(), indent=2) if as_json else "\n".join(_lines(found)))
    if not as_json:
        print("".join(f"note: {plain(note)}\n" for note in found.notes), end="", file=sys.stderr)
    return 0 if found.good else 1


def _lines(found: Preview) -> Iterator[str]:
    yield from _services(found.rows)
    yield ""
    yield from _pools(found.usage)
    yield ""
    yield f"{_summary(found)}"
    yield from (f"\n{problem}" for problem in found.problems)


def _services(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        yield "No LoadBalancer services."
        return
    yield from table(("SERVICE", "NOW", "THEN", "POOL", "", "WHY"), [_service(row) for row in rows])


def _service(row: Row) -> tuple[str, ...]:
    now, then = (", ".join(each) or "-" for each in (row.before, row.after))
    return row.name, now, then, row.pool or "-", row.change.value, f"{row.reason}: {row.why}"


def _pools(usage: Sequence[Usage]) -> Iterator[str]:
    if not usage:
        yield "No IPAddressPool is in force."
        return
    heads = ("POOL", "FAMILY", "USED", "FREE")
    yield from table(
        heads, [(each.pool, f"IPv{each.family}", str(each.used), str(each.free)) for each in usage]
    )


def _summary(found: Preview) -> str:
    counts: dict[str, Any] = found.counts()
    words = ", ".join(f"{count} {what}" for what, count in counts.items())
    return f"{len(found.rows)} services{': ' if words else ''}{words}; {len(found.problems)} problems"
