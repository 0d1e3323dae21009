# SPDX-License-Identifier: GPL-3.0-or-later
"""A vtysh that behaves as quagga 1.2.3's was recorded to: quagga_vtysh.py FOLDER ARGUMENTS...

No package of quagga can be had where the tests run. The folder has what the two daemons are configured to
(state.json), and is told what was asked. A daemon keeps lines: one for each thing, "no" takes away. All else
is answered from the recorded files. A line that matches what is in the file "refuse" is not known.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

FIXTURES = Path(__file__).parents[2] / "fixtures" / "quagga" / "1.2.3"
FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
STATE = FOLDER / "state.json"
# What OpenWrt's build has.
LIMIT = 8
BLOCK = re.compile(r"router bgp \d+$|route-map \S+ (permit|deny) \d+$|line vty$")
# Lines that begin with the same so many words replace each other, the first fitting one counts.
KEYS = (
    (re.compile(r"neighbor \S+ timers connect "), 4),
    (re.compile(r"neighbor \S+ (remote-as|description|password|ebgp-multihop|maximum-prefix|timers) "), 3),
    (re.compile(r"(bgp router-id|ipv6 access-class) "), 2),
    (re.compile(r"(maximum-paths|access-class|password) "), 1),
)
# Lines of which zebra has a copy; a block that it has not is bgpd's.
SHARED = re.compile(r"(no )?(ip |ipv6 )?(prefix-list|access-list|route-map|password|line vty|access-class) ?")
# Words that quagga 1.2 has no command for.
UNKNOWN = re.compile(r"\bbfd\b|graceful-restart-helper|access-list \S+ seq|extended-nexthop|^no password")


def key_of(line: str) -> tuple[str, ...]:
    """Return the words that name the thing which a line configures."""
    words = line.split()
    direction = words[-1:] if " route-map " in line else []
    for pattern, length in KEYS:
        if pattern.match(line):
            return tuple(words[:length])
    return (*words[:3], *direction) if direction else tuple(words)


class Daemon:
    """A configuration by its blocks; the block "" is the top."""

    def __init__(self, name: str, blocks: dict[str, list[str]]) -> None:
        self.name, self.blocks, self.place = name, blocks, ""

    def feed(self, line: str) -> str:
        """Take a line, and return what the daemon says about it."""
        instance = self.place.partition(" / ")[0]
        if line in ("exit", "end"):
            self.place = ""
        elif line == "exit-address-family":
            self.place = instance
        elif line.startswith("address-family "):
            self.place = instance if "ipv4" in line else f"{instance} / ipv6"
        elif BLOCK.match(line):
            return self._enter(line)
        elif line.startswith("no "):
            return self._remove(line[3:])
        else:
            self._add(line)
        return ""

    def _enter(self, line: str) -> str:
        for one in [one for one in self.blocks if one.startswith("router bgp ") and " / " not in one]:
            if line.startswith("router bgp ") and one != line:
                return f"BGP is already running; AS is {one.split()[-1]}"
        self.blocks.setdefault(line, [])
        self.place = line
        return ""

    def _add(self, line: str) -> None:
        lines = self.blocks.setdefault(self.place, [])
        same = [one for one in lines if key_of(one) == key_of(line) or one == f"no {line}"]
        if same:
            lines[lines.index(same[0])] = line
        elif line not in lines:
            lines.append(line)

    def _remove(self, line: str) -> str:
        if line.startswith(("router bgp ", "route-map ")):
            self.blocks = {name: one for name, one in self.blocks.items() if not f"{name} ".startswith(line)}
            return ""
        if re.fullmatch(r"neighbor \S+ activate", line) and not self.place.endswith("ipv6"):
            self._add(f"no {line}")
            return ""
        # "no neighbor X" is about every family of the instance.
        whole = re.fullmatch(r"neighbor \S+", line)
        places = [one for one in self.blocks if one.startswith(self.place)] if whole else [self.place]
        gone = [one for place in places for one in self.blocks[place] if self._is_meant(one, line)]
        for place in places:
            self.blocks[place] = [one for one in self.blocks[place] if one not in gone]
        return "" if gone or "-list " not in line else "% Can't find specified prefix-list"

    @staticmethod
    def _is_meant(line: str, removed: str) -> bool:
        bare = line[3:] if line.startswith("no ") else line
        meant = bare == removed or bare.startswith(f"{removed} ")
        return meant and not (removed.endswith(" timers") and " connect " in line)

    def show(self) -> None:
        """Print the running configuration as quagga does."""
        print("Building configuration...\n\nCurrent configuration:\n!")
        for name, lines in sorted(self.blocks.items()):
            if name.endswith(" / ipv6"):
                continue
            print(*([name] if name else []), *[f" {line}" if name else line for line in lines], "!", sep="\n")
            if name.startswith("router bgp "):
                inside = [f" {line}" for line in self.blocks.get(f"{name} / ipv6", [])]
                print(" address-family ipv6", *inside, " exit-address-family", " exit", "!", sep="\n")
        print("end")


def load() -> dict[str, Daemon]:
    """Both daemons, zebra first as vtysh has them."""
    state = json.loads(STATE.read_text())
    return {name: Daemon(name, state[name]) for name in ("zebra", "bgpd")}


def is_known(line: str) -> bool:
    """Return whether vtysh's own grammar has the line."""
    paths = re.match(r"maximum-paths(?: ibgp)? (\d+)$", line)
    refused = FOLDER / "refuse"
    if refused.exists() and re.search(refused.read_text(), line):
        return False
    return not UNKNOWN.search(line) and (not paths or int(paths.group(1)) <= LIMIT)


def is_zebras(line: str, place: str) -> bool:
    """Return whether zebra is told a line."""
    inside = place.startswith(("route-map", "line")) and not line.startswith("match ipv6")
    return inside or bool(SHARED.match(line)) or line in ("exit", "end")


def terminal(name: str) -> None:
    """Take lines from standard input, and answer as in a terminal."""
    daemons, place = load(), ""
    daemon = daemons[name]
    with Path("~/.history_quagga").expanduser().open("a") as history:
        for raw in sys.stdin:
            line = raw.strip().replace("\x16", "")
            history.write(f"{line}\n")
            print(f"OpenWrt(config)# {line}")
            place = line if BLOCK.match(line) else "" if line in ("exit", "end") else place
            if not is_known(line):
                print("% Unknown command.")
            elif line not in ("terminal length 0", "configure terminal") and (
                name == "bgpd" or is_zebras(line, place)
            ):
                said = daemon.feed(line)
                print(*([said] if said else []), sep="\n", end="")
                print()
    STATE.write_text(json.dumps({one: daemons[one].blocks for one in daemons}))


def ask(command: str) -> int:
    """Answer a command; the exit status is vtysh's."""
    with (FOLDER / "asked").open("a") as asked:
        asked.write(f"{command}\n")
    recorded = FIXTURES / (re.sub(r"[ ./]", "_", command) + ".txt")
    if command == "show daemons":
        print(" zebra bgpd")
    elif command == "write memory":
        lost = "bgpd.conf" if (FOLDER / "lost").exists() else "\0"
        print(*[line for line in answer(recorded).splitlines() if lost not in line], sep="\n")
    elif recorded.exists():
        print(answer(recorded))
    elif not command.startswith("clear "):
        print("% Unknown command.")
        return 1
    return 0


def answer(recorded: Path) -> str:
    """Read a recorded answer, without the line about the exit status."""
    return re.sub(r"\n?exit \d+\s*$", "", recorded.read_text())


if __name__ == "__main__":
    if sys.argv[2] == "-c":
        sys.exit(ask(sys.argv[3]))
    if "-c" in sys.argv:
        load()[sys.argv[3]].show()
    else:
        os.umask(0o077)
        terminal(sys.argv[3])
