# SPDX-License-Identifier: GPL-3.0-or-later
"""The observations of a client and a router of the lab while something happens to it."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import threading
import time
from typing import Any

from support.lab import Lab

# `ip -ts monitor`: [2026-11-22T08:15:00.123456] and the event; more next hops follow on lines of their own.
STAMPED = re.compile(r"^\[(?P<time>[^\]]+)\]\s*(?P<event>.*)$")
LINK_ADDRESS = re.compile(r"\blladdr (\S+)")
# How late `ip monitor` may stamp an event; seconds.
LATE = 0.1
# The watchers' clocks judge the lab, so no process of the lab may keep them from running.
AHEAD = 'chrt --rr 1 true 2>/dev/null && exec chrt --rr 1 "$@"; exec nice -n -20 "$@"'


def ahead(lab: Lab, host: str, *command: str) -> list[str]:
    """Return a command that runs on this machine in a host's network, before all that is not as urgent.

    A host itself may not give its processes a real-time priority.
    """
    namespace = f"/run/netns/{lab.description['name']}-{host}"
    return ["nsenter", f"--net={namespace}", "sh", "-c", AHEAD, "sh", *command]


class Events:
    """Lines of a running command with the time that each carries (Unix seconds)."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        self.seen: list[tuple[float, str]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found = STAMPED.match(line)
            if found:
                moment = datetime.datetime.fromisoformat(found["time"]).astimezone()
                self.seen.append((moment.timestamp(), found["event"].strip()))
            elif self.seen:
                last, event = self.seen[-1]
                self.seen[-1] = (last, f"{event} {line.strip()}")

    def stop(self) -> list[tuple[float, str]]:
        time.sleep(0.3)
        self._process.terminate()
        self._process.wait(10)
        self._reader.join(10)
        return self.seen


class Client:
    """The client that asks all the time."""

    def __init__(self, lab: Lab, *urls: str, rate: int = 250, host: str | None = None) -> None:
        program = f"{lab.description['tools']}/load"
        command = ahead(lab, host or lab.client, program, "-rate", str(rate), *urls)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        started = self._process.stderr.readline()
        if "started" not in started:
            raise RuntimeError(f"the client did not start: {started}{self._process.stderr.read()}")

    def stop(self) -> dict[str, Any]:
        """Return what it saw: see roles/lab/files/programs/load."""
        said, complaint = self._process.communicate(timeout=60)
        if self._process.returncode:
            raise RuntimeError(f"the client failed: {complaint}")
        found: dict[str, Any] = json.loads(said)
        return found


def routes_seen(lab: Lab) -> Events:
    """Every change of the router's kernel routes from now on."""
    seen = Events(ahead(lab, lab.router, "ip", "-ts", "monitor", "route"))
    time.sleep(0.5)
    return seen


def neighbors_seen(lab: Lab, host: str) -> Events:
    """Everything that the host's kernel learns of its neighbors from now on."""
    seen = Events(ahead(lab, host, "ip", "-ts", "monitor", "neigh"))
    time.sleep(0.5)
    return seen


def moves(events: list[tuple[float, str]], address: str, mac: str) -> list[tuple[float, str]]:
    """Return the MAC addresses of the neighbor entry after ``mac``, and when each came."""
    found: list[tuple[float, str]] = []
    for moment, event in changes(events, address):
        heard = LINK_ADDRESS.search(event)
        if heard and heard[1] != mac:
            mac = heard[1]
            found.append((moment, mac))
    return found


def changes(events: list[tuple[float, str]], address: str) -> list[tuple[float, str]]:
    """Return what happened to the route of an address, and when."""
    return [(moment, event) for moment, event in events if address in event.split()]


def unexplained(failures: list[dict[str, Any]], changed: list[tuple[float, str]]) -> list[dict[str, Any]]:
    """Requests that failed and were not under way when a route changed, or the neighbor's MAC address.

    Those that were may be reset: some or all of their packets go to another node from then on.
    """
    return [
        one
        for one in failures
        if not any(one["at"] <= moment <= one["at"] + one["seconds"] + LATE for moment, _event in changed)
    ]
