# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast status`: asks the daemon on this machine and prints what a person wants to know first."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from vipcast.cli.bfd_lines import bfd_lines
from vipcast.cli.layer2_lines import answers, layer2_lines, process_lines
from vipcast.cli.sessions import age, details, sessions
from vipcast.cli.table import table
from vipcast.daemon.server import BadAddressError, parse_address

__all__ = ["controller_lines", "speaker_lines", "status"]

_Json = dict[str, Any]
_PATIENCE = 5.0
_WORDS = 400  # bytes of an answer that is no status


class _RefusedError(Exception):
    """A daemon answered, and not with its status."""


def status(address: str, output: str) -> int:
    """Print the status as a table, `wide` or as `json`; 0, or 2 where nobody answers."""
    try:
        document = _ask(address)
    except _RefusedError as refused:
        print(f"no status from {address}: {refused}", file=sys.stderr)
        return 2
    except (OSError, BadAddressError, ValueError, http.client.HTTPException) as error:
        print(f"no status from {address}: {error}; is a vipcast daemon running here?", file=sys.stderr)
        return 2
    if output == "json":
        print(json.dumps(document, indent=2))
    elif document.get("program") == "speaker":
        print("\n".join(speaker_lines(document, datetime.now(UTC), wide=output == "wide")))
    elif document.get("program") == "bfd":
        print("\n".join(bfd_lines(document, datetime.now(UTC))))
    elif document.get("program") == "layer2":
        print("\n".join(process_lines(document, datetime.now(UTC))))
    else:
        print("\n".join(controller_lines(document, datetime.now(UTC))))
    return 0


def _ask(address: str) -> _Json:
    where = parse_address(address)
    if where is None:
        raise BadAddressError("the address is `none`")
    connection = http.client.HTTPConnection(where[0] or "127.0.0.1", where[1], timeout=_PATIENCE)
    try:
        connection.request("GET", "/status")
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        words = body[:_WORDS].decode("utf-8", "replace").strip()
        raise _RefusedError(f"HTTP status {answer.status}: {words}")
    document: _Json = json.loads(body)
    return document


def speaker_lines(document: _Json, now: datetime, *, wide: bool = False) -> Iterator[str]:
    """A speaker's status as lines of text; `wide` with the details of every session."""
    speaker = document["status"]
    yield f"speaker on {speaker['node']}, vipcast {document['version']}"
    if speaker.get("drain"):
        yield f"the node is leaving: {speaker['drain']}"
    yield ""
    if speaker["peers"]:
        yield from sessions(speaker["peers"], now)
    else:
        yield "No BGPPeer selects this node."
    for peer in speaker["peers"] if wide else ():
        yield ""
        yield from details(peer)
    yield ""
    yield from _services(speaker["services"], now)
    yield from layer2_lines(speaker.get("layer2"), speaker["services"], now, wide=wide)
    yield from _troubles(speaker)
    yield from _strangers(speaker.get("strangers", []), now)


def controller_lines(document: _Json, now: datetime) -> Iterator[str]:
    """The controller's status as lines of text."""
    controller = document["status"]
    yield f"controller, vipcast {document['version']}, {_lead(controller['lead'], now)}"
    yield ""
    if controller["services"]:
        yield from _decisions(controller)
    yield from (f"\n{problem}" for problem in controller["problems"])
    if controller["lead"]["problem"]:
        yield f"\ntrouble with the Lease: {controller['lead']['problem']}"
    yield from (f"\nmay be old: {name}: {problem}" for name, problem in controller["informers"].items())


def _lead(lead: _Json, now: datetime) -> str:
    since = f", since {age(lead['since'], now)}"
    if lead["leading"]:
        return f"leader{since}" if lead["started"] else f"taking over{since}"
    return f"standby; {lead['leader']} leads{since}" if lead["leader"] else "standby; nobody leads"


def _decisions(controller: _Json) -> Iterator[str]:
    heads = ("POOL", "IPV4 ASSIGNED", "IPV4 FREE", "IPV6 ASSIGNED", "IPV6 FREE")
    names = ("assignedIPv4", "availableIPv4", "assignedIPv6", "availableIPv6")
    pools = controller["pools"].items()
    yield from table(heads, [(pool, *(str(counts.get(name, 0)) for name in names)) for pool, counts in pools])
    yield ""
    services = controller["services"]
    yield f"{services['allocated']} services have an address, {services['waiting']} wait for one"
    unwritten = services["unwritten"] + services["objectsUnwritten"]
    if unwritten:
        yield f"{unwritten} objects do not show yet what was decided"


def _services(services: Sequence[_Json], now: datetime) -> Iterator[str]:
    if not services:
        yield "No LoadBalancer services of ours."
        return
    rows = [_service(service, each, now) for service in services for each in service["addresses"]]
    layer2 = any(each.get("protocol") == "layer2" for one in services for each in one["addresses"])
    head = "PREFIXES AND PEERS, OR OWNER, OR WHY NOT" if layer2 else "PREFIXES AND PEERS, OR WHY NOT"
    yield from table(("SERVICE", "ADDRESS", "ANNOUNCED", head), rows)


def _service(service: _Json, entry: _Json, now: datetime) -> tuple[str, ...]:
    name = f"{service['namespace']}/{service['name']}"
    if entry.get("protocol") == "layer2":
        return name, entry["address"], *answers(entry, now)
    if not entry["announced"]:
        return name, entry["address"] or "-", "no", f"{entry['reason']}: {entry['message']}"
    prefixes, waiting = ", ".join(entry["prefixes"]), sorted(set(entry["peers"]) - set(entry["sentTo"]))
    to = f"{prefixes} to {', '.join(entry['sentTo'])}" if entry["sentTo"] else prefixes
    notes = f"{to}; waits for {', '.join(waiting)}" if waiting else to
    if entry.get("unweighted"):
        notes += f"; without a weight: {entry['unweighted']}"
    return name, entry["address"], "yes" if entry["sentTo"] else "waits", notes


def _troubles(speaker: _Json) -> Iterator[str]:
    for problem in speaker["configuration"]["problems"]:
        where = f"{problem['kind']} {problem['name']}: {problem['field']}"
        yield f"\n{problem['effect'].lower()}: {where}: {problem['message']}"
    for name in speaker["configuration"]["stale"]:
        yield f"\nin force as it was before: {name}"
    for copy in speaker["copies"]:
        if copy["problem"]:
            yield f"\nmay be old: {copy['resource']}: {copy['problem']}"
    if speaker["reports"]["problem"]:
        yield f"\nnot written into the API: {speaker['reports']['problem']}"


def _strangers(strangers: Sequence[_Json], now: datetime) -> Iterator[str]:
    for each in strangers:
        last = age(each["lastAt"], now)
        yield (
            f"\nrefused: {each['address']} dialled {each['connections']} times, last {last} ago, and no"
            " BGPPeer of this node has that address; does the router use another source address?"
        )
