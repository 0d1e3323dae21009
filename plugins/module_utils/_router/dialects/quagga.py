# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""quagga 1.2: bgpd and zebra with a configuration each, lines on vtysh's standard input, and text.

vtysh merges the configurations of its daemons line by line, so that an entry of one looks like one of both;
and it tells them in turn until one refuses, zebra first. So each daemon is read and told alone. The settings
of zebra have the name of the daemon in front of their keys: ("zebra", "vty", "access-class").
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .. import delta, facts, settings
from .. import plan as plans
from ..errors import Reason, Refusal
from ..intent import Intent, Neighbor
from ..settings import Config, Settings
from ..shell import Result
from ..startup import Startup
from ..syntax import mask, mask_text
from . import quagga_text as texts
from .base import Dialect, Sessions, Tables

Json = dict[str, Any]

BGPD, ZEBRA = "bgpd", "zebra"
# A comment, between bgpd's part of a configuration or of lines and zebra's.
MARK = "!! zebra"
# First words of the keys of what zebra has of ours: what a person who types it in vtysh gives to both.
_SHARED = ("prefix-list", "route-map", "access-list", "vty")
_PASSWORD = ("vty", "password")
# bgpd/bgp_mpath.h, BGP_DEFAULT_MAXPATHS: without a line a route has one next hop.
_DEFAULT_PATHS = 1

_RUNNING = "show running-config"
_SUMMARIES = {"ipv4Unicast": "show ip bgp summary", "ipv6Unicast": "show bgp ipv6 unicast summary"}
_NEIGHBORS = "show ip bgp neighbors"
# "prefix-counts" would be enough, and ends bgpd 1.2.3.
_RECEIVED = {
    "ipv4": "show ip bgp neighbors {} received-routes",
    "ipv6": "show bgp ipv6 neighbors {} received-routes",
}
# Of a neighbor that has more than so many routes they are not counted: bgpd prints all of them for it.
_COUNTED = 10000
_WHOLE = {
    "show ip bgp": texts.table,
    "show bgp ipv6 unicast": texts.table,
    "show ip route bgp": texts.fib,
    "show ipv6 route bgp": texts.fib,
}

# What vtysh is told: to start no pager, and to configure. It keeps every line, passwords too, in a file of
# the user's, which is put back. On a narrow terminal it would echo a part of a line only, maybe a password.
_BEFORE = ("terminal length 0", "configure terminal")
_AFTER = ("end",)
_TELL = """umask 077; h=$(eval echo "~$(id -un)")/.history_quagga; k=$(mktemp /tmp/vipcast.XXXXXX) || exit 99
if [ -e "$h" ]; then cp -p "$h" "$k"; else rm -f "$k"; fi
back() {{ if [ -e "$k" ]; then cp -p "$k" "$h"; rm -f "$k"; else rm -f "$h"; fi; }}
trap back EXIT; trap 'exit 1' HUP INT TERM
TERM=dumb COLUMNS=2000 INPUTRC=/dev/null {vtysh} -d {daemon}"""

# The same from a file of the router's, in a shell of its own.
_FEED = """( {{ printf '%s\\n' 'terminal length 0' 'configure terminal'
sed '{half}' {path} | sed "s/?/$(printf '\\026')&/g"; echo end; }} | ( {tell} ) )"""

# vtysh's prompt with what was typed, and how the answer to a line begins that was not taken.
_PROMPT = re.compile(r"^\S*\((?:config|[\w-]+)\)# ?(.*)$|^\S*# (.*)$")
_REFUSED = (
    "% ",
    "%BGP",
    "BGP is already running",
    "BGP view name and AS number mismatch",
    "BGP instance is already running",
    "Please specify 'bgp multiple-instance' first",
)

FOLDER = "/etc/quagga"
_STORED = """cd /etc/quagga || exit 3; b=bgpd.conf; z=zebra.conf
if grep -q '^ *service integrated-vtysh-config' vtysh.conf 2>/dev/null; then b=Quagga.conf; z=Quagga.conf; fi
[ -r $b ] || exit 3; cat $b; echo; echo '{mark}'; cat $z 2>/dev/null; true"""


class Quagga(Dialect):
    """quagga, translated to and from FRR's words."""

    name = "quagga"
    since = (1, 2)
    why_since = "it is older than what its answers are known of. quagga 1.2 is needed, or FRR 7.4"

    def fit(self, intent: Intent) -> tuple[Intent, list[str]]:
        """Leave out BFD and listen ranges; graceful restart needs no line. IPv4 routes over an IPv6 session
        cannot be had."""
        for neighbor in intent.neighbors:
            _demand_possible(neighbor)
        kept = tuple(
            dataclasses.replace(one, bfd_profile=None, graceful_restart=False) for one in intent.neighbors
        )
        left = dataclasses.replace(intent, neighbors=kept, bfd_profiles=(), listen_ranges=())
        return left, _left_out(intent) if intent.present else []

    def running(self) -> str:
        """The running configuration of bgpd, then that of zebra."""
        daemons = self.vtysh.show("show daemons")["show daemons"].stdout.split()
        missing = [daemon for daemon in (BGPD, ZEBRA) if daemon not in daemons]
        if missing:
            raise Refusal(
                Reason.DAEMON_DOWN,
                f"{' and '.join(missing)} of quagga not running on the router "
                f"(running: {' '.join(daemons) or 'none'}); start it first",
            )
        scripts = {daemon: self.vtysh.one(_RUNNING, daemon) for daemon in (BGPD, ZEBRA)}
        results = self.vtysh.shell.batch(scripts)
        bgpd, zebra = (_current(results[daemon], daemon) for daemon in scripts)
        return f"{bgpd}\n{MARK}\n{zebra}"

    def stored(self, running: str) -> Startup:
        """The configuration that C(write memory) writes: a file for each daemon, or the integrated one if
        that is asked for."""
        del running
        result = self.vtysh.shell.run(_STORED.format(mark=MARK))
        files = (f"{FOLDER}/{BGPD}.conf", f"{FOLDER}/{ZEBRA}.conf")
        return Startup(result.stdout if result.rc == 0 else None, files, files)

    def read(self, text: str) -> Config:
        """bgpd's settings, and those of zebra that are of kinds which we manage."""
        bgpd, zebra = (settings.read(_numbered(half)) for half in _halves(text))
        found = {(ZEBRA, *key): value for key, value in zebra.settings.items() if _is_shared(key)}
        return Config({**bgpd.settings, **found}, [*bgpd.other, *zebra.other])

    def parts(self, settings: Settings) -> dict[str, Settings]:
        """bgpd's without a name, and zebra's."""
        found: dict[str, Settings] = {"": {}, ZEBRA: {}}
        for key, value in settings.items():
            if key[0] == ZEBRA:
                found[ZEBRA][key[1:]] = value
            else:
                found[""][key] = value
        return found

    def plan(
        self, config: Config, intent: Intent, replace_as: bool, earlier: Settings | None = None
    ) -> Settings:
        """bgpd's target, and for zebra what is of kinds that it has too."""
        bgpd, zebra = self.parts(config.settings).values()
        # One for both, in case that it is needed.
        password = secrets.token_hex(16)
        known = None if earlier is None else self.parts(earlier)
        whole, shared = (
            plans.plan(
                half,
                intent,
                self.limit,
                replace_as,
                _DEFAULT_PATHS,
                earlier=None if known is None else known[name],
            )
            for name, half in (("", Config(bgpd, config.other)), (ZEBRA, Config(zebra, [])))
        )
        target = _with_password(bgpd, whole, password)
        for key, value in _with_password(zebra, shared, password).items():
            if _is_shared(key):
                target[(ZEBRA, *key)] = value
        return target

    def commands(self, before: Settings, after: Settings) -> list[str]:
        """Lines for bgpd, and behind a mark those for zebra."""
        olds, news = self.parts(before), self.parts(after)
        for_zebra = _commands(olds[ZEBRA], news[ZEBRA])
        return [*_commands(olds[""], news[""]), *([MARK, *for_zebra] if for_zebra else [])]

    def check(self, text: str, lines: Sequence[str]) -> list[str]:
        """Have vtysh parse the lines about BGP while it reaches zebra alone, which none of them is for.

        vtysh knows the grammar of every daemon and hands a line to those that it is connected to. Lines that
        zebra would take are left out.
        """
        del text
        asked = _of_bgp(lines[: lines.index(MARK)] if MARK in lines else lines)
        said = self._tell(ZEBRA, asked) if asked else []
        if said:
            raise Refusal(
                Reason.SYNTAX, f"vtysh does not accept the lines; nothing was changed. {_first_of(said)}"
            )
        return []

    def enter(self, lines: Sequence[str]) -> None:
        """Tell bgpd, then zebra. Each goes on after a line that it refuses."""
        halves = dict(zip((BGPD, ZEBRA), _halves("\n".join(lines))))
        said = [
            f"{daemon}: {reason}"
            for daemon, half in halves.items()
            if half.strip()
            for reason in self._tell(daemon, half.splitlines())
        ]
        if said:
            raise Refusal(Reason.REFUSED, _first_of(said))

    def entering(self, path: str) -> str:
        """The halves of the file on the standard input of vtysh, told to a daemon each."""
        halves = {BGPD: f"/^{MARK}$/,$d", ZEBRA: f"1,/^{MARK}$/d"}
        return "; ".join(
            _FEED.format(half=half, path=path, tell=_TELL.format(vtysh=self.vtysh.command, daemon=daemon))
            for daemon, half in halves.items()
        )

    def _tell(self, daemon: str, lines: Iterable[str]) -> list[str]:
        """Sentences on the lines that were refused."""
        # A question mark asks for help; behind ^V it is a letter.
        typed = "".join(f"{line}\n" for line in (*_BEFORE, *lines, *_AFTER)).replace("?", "\x16?")
        result = self.vtysh.shell.run(_TELL.format(vtysh=self.vtysh.command, daemon=daemon), typed)
        if result.rc != 0:
            down = "failed to connect to any daemons" in result.text
            said = "it does not answer" if down else mask_text(result.text) or f"exit status {result.rc}"
            raise Refusal(Reason.DAEMON_DOWN if down else Reason.REFUSED, f"{daemon}: {said}")
        return refusals(result.stdout)

    def settle(self, before: Settings, after: Settings) -> list[str]:
        """Apply changed filters to routes that are there: quagga uses a filter on what comes and goes later.

        The neighbor's session goes on; one that is not established is left alone by quagga itself.
        """
        old, new = self.parts(before)[""], self.parts(after)[""]
        commands = refreshing(old, new)
        scripts = {str(number): self.vtysh.one(command) for number, command in enumerate(commands)}
        results = self.vtysh.shell.batch(scripts) if scripts else {}
        return [
            f"The new filter does not act yet on routes that are there: '{command}' said {result.text}"
            for command, result in zip(commands, results.values())
            if result.text
        ]

    def save(self) -> None:
        """Let each daemon write its file. vtysh says C([OK]) in any case."""
        result = self.vtysh.shell.run(self.vtysh.one("write memory"))
        paths = re.findall(r"onfiguration saved to (\S+)", result.stdout)
        files = {path.rpartition("/")[2] for path in paths}
        missing = sorted({f"{BGPD}.conf", f"{ZEBRA}.conf"} - files)
        if result.rc != 0 or (missing and "Quagga.conf" not in files):
            said = mask_text(result.text) or "no output"
            raise Refusal(Reason.NOT_SAVED, f"'write memory' did not save {' and '.join(missing)}: {said}")

    def sessions(self, wanted: Sequence[str] | None) -> Sessions:
        """Text, with one question more for each session that keeps what was received before the filter."""
        results = self.vtysh.show(*_SUMMARIES.values(), _NEIGHBORS)
        neighbors = texts.neighbors(results[_NEIGHBORS].stdout)
        summary = {
            name: found
            for name, command in _SUMMARIES.items()
            if (found := texts.summary(results[command].stdout, neighbors))
        }
        asked = {
            (family, address): _RECEIVED[family].format(address)
            for family, address in facts.wants_counts(neighbors)
            if (wanted is None or address in wanted) and _accepted(neighbors[address]) <= _COUNTED
        }
        ends = self.vtysh.show(*asked.values(), last=3) if asked else {}
        counts = {session: texts.counts(ends[command].stdout) for session, command in asked.items()}
        return Sessions(summary, neighbors, counts)

    def tables(self, prefixes: Sequence[str] | None) -> Tables:
        """The whole tables, which name no neighbor of a path, or one question for each prefix and table."""
        questions: Mapping[str, Any] = _WHOLE if prefixes is None else _questions(prefixes)
        results = self.vtysh.show(*questions, *_SUMMARIES.values())
        found: dict[Any, Json] = {texts.table: {}, texts.paths: {}, texts.fib: {}}
        for command, parse in questions.items():
            found[parse].update(parse(results[command].stdout))
        summaries = [texts.summary(results[command].stdout, {}) for command in _SUMMARIES.values()]
        identifier = facts.router_id(dict(enumerate(summaries)))
        return Tables({**found[texts.table], **found[texts.paths]}, found[texts.fib], identifier)


def _accepted(neighbor: Json) -> int:
    return max(one["acceptedPrefixCounter"] for one in neighbor["addressFamilyInfo"].values())


def _first_of(sentences: Sequence[str]) -> str:
    """The first of them: what follows is often refused because of it."""
    more = len(sentences) - 3
    return "; ".join(sentences[:3]) + (f"; and {more} more" if more > 0 else "")


def _demand_possible(neighbor: Neighbor) -> None:
    if neighbor.carries_foreign_next_hops:
        raise Refusal(
            Reason.NOT_SUPPORTED,
            f"neighbors: {neighbor.address}: families: quagga cannot have IPv4 routes on an IPv6 session "
            "(RFC 8950); peer with the neighbor's IPv4 address for them, or say ipv6 alone",
        )


def _left_out(intent: Intent) -> list[str]:
    """A sentence on each thing that quagga does not have, with what is done instead."""
    with_bfd = [neighbor.address for neighbor in intent.neighbors if neighbor.bfd_profile]
    restarting = [neighbor.address for neighbor in intent.neighbors if neighbor.graceful_restart]
    found = []
    if intent.listen_ranges:
        found.append("quagga has no listen ranges: each declared node becomes a neighbor of its own.")
    hold = f"{intent.hold} s" if intent.hold else "180 s, unless the node says less"
    if with_bfd:
        found.append(
            f"quagga has no BFD, which is declared for {', '.join(with_bfd)}: the router notices a dead node "
            f"when the hold time is over ({hold}). Leave bfd_profile out of what this router's peers are "
            "declared with, or the proof goes on missing it."
        )
    if restarting:
        found.append(
            "quagga has no line for the graceful restart of one neighbor, which is declared for "
            f"{', '.join(restarting)}: it keeps the routes of every neighbor that offers it, without one."
        )
    return found


def _current(result: Result, daemon: str) -> str:
    if result.rc != 0 or "Current configuration:" not in result.stdout:
        said = mask_text(result.text) or "no output"
        raise Refusal(Reason.UNREADABLE, f"'{_RUNNING}' of {daemon} failed: {said}")
    return result.stdout.partition("Current configuration:")[2]


def _halves(text: str) -> tuple[str, str]:
    """bgpd's part and zebra's."""
    bgpd, _mark, zebra = text.partition(MARK)
    return bgpd, zebra


def _is_shared(key: tuple) -> bool:
    """Return whether zebra can have this setting. Its route maps know IPv4 only, and nothing uses them."""
    return key[0] in _SHARED and not (len(key) == 4 and str(key[3]).startswith("match ipv6 "))


_ENTRY = re.compile(r"^((?:ipv6 )?access-list \S+)( (?:permit|deny) .*)$")


def _numbered(text: str) -> str:
    """The lines of access lists with numbers, as FRR has them: quagga's entries have an order only."""
    seen: dict[str, int] = {}
    lines = []
    for line in text.splitlines():
        entry = _ENTRY.match(line)
        if entry:
            head = entry.group(1)
            seen[head] = seen.get(head, 0) + 5
            line = f"{head} seq {seen[head]}{entry.group(2)}"  # noqa: PLW2901 - the line as FRR has it
        lines.append(line)
    return "\n".join(lines)


def _with_password(before: Settings, after: Settings, password: str) -> Settings:
    """quagga cannot be without a password once it had one (lib/command.c): it gets one that nobody knows."""
    if _PASSWORD in before and _PASSWORD not in after:
        return {**after, _PASSWORD: password}
    return dict(after)


def _commands(before: Settings, after: Settings) -> list[str]:
    """The lines of C(delta), with those of access lists as quagga has them: new entries before terminals use
    them, old ones gone after."""
    added, removed = _access_lists(before, after)
    halves = (_without_remade(before, after), after)
    rest = delta.commands(
        *({key: value for key, value in one.items() if key[0] != "access-list"} for one in halves)
    )
    return [*added, *_with_active_first(rest), *removed]


def _without_remade(before: Settings, after: Settings) -> Settings:
    """Leave out the lines of rules whose action changes: quagga makes such a rule anew (lib/routemap.c)."""
    remade = {
        key
        for key, action in before.items()
        if key[0] == "route-map" and len(key) == 3 and after.get(key, action) != action
    }
    return {key: value for key, value in before.items() if len(key) == 3 or key[:3] not in remade}


def _with_active_first(lines: Iterable[str]) -> list[str]:
    """Sort the lines of each family: neighbors are activated first and deactivated last, for between the two
    quagga takes their other lines."""
    found: list[str] = []
    block: list[str] = []
    for line in lines:
        if line.startswith("  "):
            block.append(line)
        else:
            found += [*sorted(block, key=_turn), line]
            block = []
    return found + sorted(block, key=_turn)


def _turn(line: str) -> int:
    if not line.endswith(" activate"):
        return 1
    return 2 if line.strip().startswith("no ") else 0


def _access_lists(before: Settings, after: Settings) -> tuple[list[str], list[str]]:
    old, new = _entries(before), _entries(after)
    added: list[str] = []
    removed: list[str] = []
    for head in sorted({*old, *new}):
        had, has = old.get(head, []), new.get(head, [])
        missing = [entry for entry in has if entry not in had]
        if [entry for entry in had if entry in has] + missing == has:
            added += [f"{head} {entry}" for entry in missing]
            removed += [f"no {head} {entry}" for entry in had if entry not in has]
        else:
            # In another order: an entry can only be added at the end.
            added += [f"no {head}", *[f"{head} {entry}" for entry in has]]
    return added, removed


def _entries(found: Settings) -> dict[str, list[str]]:
    """Entries in their order, by how the lines of their list begin."""
    keys = sorted((key for key in found if key[0] == "access-list"), key=lambda key: (key[1:3], int(key[3])))
    lists: dict[str, list[str]] = {}
    for key in keys:
        head = f"{'ipv6 ' if key[1] == 'ipv6' else ''}access-list {key[2]}"
        lists.setdefault(head, []).append(found[key])
    return lists


def _of_bgp(lines: Iterable[str]) -> list[str]:
    """The lines of C(router bgp) and those in it."""
    found, inside = [], False
    for line in lines:
        begins = line.startswith(("router bgp ", "no router bgp "))
        inside = begins or (inside and (line.startswith(" ") or line == "exit"))
        if inside:
            found.append(line)
    return found


def refusals(output: str) -> list[str]:
    """Sentences on the lines that vtysh or a daemon did not take, in a terminal's output; secrets masked."""
    typed, found = "", []
    for line in output.replace("\r", "").splitlines():
        prompt = _PROMPT.match(line)
        if prompt:
            typed = (prompt.group(1) or prompt.group(2) or "").strip()
        elif line.startswith(_REFUSED):
            found.append(f"'{mask(typed)}': {mask(line.strip())}")
    return list(dict.fromkeys(found))


_CLEAR = {"ipv4 unicast": "clear ip bgp {} soft {}", "ipv6 unicast": "clear bgp {} soft {}"}


def refreshing(before: Settings, after: Settings) -> list[str]:
    """Commands that apply changed filters, for neighbors that were there before and stay."""
    changed = set(delta.changed(before, after))
    lists = {str(key[2]) for key in changed if key[0] == "prefix-list"}
    maps = {str(key[1]) for key in changed if key[0] == "route-map"}
    maps |= {str(key[1]) for key in after if key[0] == "route-map" and lists & set(str(key[-1]).split())}
    found = []
    for key in sorted({*before, *after}):
        if key[0] != "family" or key[-1] not in ("route-map in", "route-map out"):
            continue
        stays = all(("neighbor", key[3], "remote-as") in one for one in (before, after))
        if stays and (key in changed or after[key] in maps):
            found.append(_CLEAR[key[1]].format(key[3], key[-1].split()[1]))
    return found


def _questions(prefixes: Sequence[str]) -> Mapping[str, Any]:
    """Show commands, each with what parses its answer."""
    found: dict[str, Any] = {}
    for prefix in prefixes:
        of_four = ipaddress.ip_network(prefix).version == 4
        found[f"show {'ip bgp' if of_four else 'bgp ipv6'} {prefix}"] = texts.paths
        found[f"show {'ip' if of_four else 'ipv6'} route {prefix}"] = texts.fib
    return found
