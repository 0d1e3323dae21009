# SPDX-License-Identifier: GPL-3.0-or-later
"""BIRD 2, asked by ``birdc``."""

from __future__ import annotations

import re

from daemon.interop.network import eventually, run
from daemon.interop.peers.base import Path, Program, Setup, float_of

_LINE = re.compile(r"^\t(\S+?): ?(.*)$", re.MULTILINE)
# BIRD has no name for it: type and subtype in one, the AS number, the float as if it were a number.
_BANDWIDTH = re.compile(r"\(unknown 0x(?:4|4004), \d+, (\d+)\)")


def config(setup: Setup, log: str) -> str:
    def block(condition: bool, line: str) -> list[str]:
        return [line] if condition else []

    remote = "external" if setup.remote_asn is None else f"as {setup.remote_asn}"
    gateway = "extended next hop on; " if setup.next_hop_ipv6 else ""
    return "\n".join(
        (
            f'log "{log}" all;',
            "router id 10.99.0.2;",
            "protocol device {}",
            "protocol direct { ipv4; ipv6; }",  # an internal peer's next hop is looked up
            *block(
                setup.network is not None, f"protocol static {{ ipv4; route {setup.network} blackhole; }}"
            ),
            *block(setup.over == "link-local", 'protocol radv { interface "eth0"; }'),
            f"protocol bgp {'any' if setup.over == 'link-local' else 'node'} {{",
            *_ends(setup, remote),
            f" hold time {setup.hold_time}; keepalive time {setup.keepalive_time};",
            " connect retry time 1; connect delay time 1; error wait time 1, 2; error forget time 1;",
            " enable extended messages on;",
            *block(not setup.dials, " passive on;"),
            *block(setup.ttl_security, " ttl security on;"),
            *block(setup.password is not None, f' password "{setup.password}";'),
            f" ipv4 {{ {gateway}import all; export where source = RTS_STATIC; }};",
            " ipv6 { import all; export none; };",
            "}\n",
        )
    )


def _ends(setup: Setup, remote: str) -> list[str]:
    """Unnumbered: BIRD advertises itself, and takes whoever calls over link-local addresses."""
    if setup.over == "link-local":
        return [
            f' local as {setup.asn}; interface "eth0"; dynamic name "node";',
            f" neighbor range fe80::/10 {remote};",
        ]
    return [f" local {setup.router} as {setup.asn};", f" neighbor {setup.node} {remote};"]


class Bird(Program):
    name, package, program = "BIRD", "bird2", "bird"

    def _run(self) -> None:
        folder = self.cable.folder
        text = config(self.setup, f"{folder}/bird.log")
        (folder / "bird.conf").write_text(text)
        control = folder / "bird.ctl"
        control.unlink(missing_ok=True)
        self.cable.spawn("bird", "bird", "-f", "-c", f"{folder}/bird.conf", "-s", str(control))
        eventually(lambda: control.exists() and "BGP" in self._ask("show protocols"), "BIRD answers")

    def _ask(self, *words: str) -> str:
        return run("birdc", "-s", str(self.cable.folder / "bird.ctl"), *words, check=False)

    def established(self) -> bool:
        return "Established" in self._ask("show", "protocols")

    def paths(self, prefix: str) -> list[Path]:
        text = self._ask("show", "route", "for", prefix, "all")
        found = re.split(r"^(?=\S+\s+unicast )", text, flags=re.MULTILINE)[1:]
        return [_path(entry) for entry in found if entry.startswith(f"{prefix} ")]

    def accepted(self) -> int:
        found = re.search(
            r"^ +Routes: +(\d+) imported", self._ask("show", "protocols", "all", "node"), re.MULTILINE
        )
        return int(found[1]) if found else 0

    def shut(self, message: str) -> str:
        self._ask("disable", "node", f'"{message}"')
        return message

    def refresh(self) -> None:
        self._ask("reload", "in", "node")

    def said(self) -> str:
        return (self.cable.folder / "bird.log").read_text(errors="replace")


def _path(text: str) -> Path:
    fields = dict(_LINE.findall(text))
    # The global address, then the link-local one; "::" where there is no global one.
    hops = [hop for hop in fields["BGP.next_hop"].split() if hop != "::"]
    return Path(
        next_hop=hops[0],
        as_path=tuple(int(asn) for asn in fields["BGP.as_path"].split()),
        origin=fields["BGP.origin"],
        local_pref=int(fields["BGP.local_pref"]),
        communities=_tuples(fields.get("BGP.community", "")),
        large_communities=_tuples(fields.get("BGP.large_community", "")),
        bandwidth=_bandwidth(fields.get("BGP.ext_community", "")),
        stale=bool(re.search(r"\(\d+s", text.partition("\n")[0])),
    )


def _tuples(text: str) -> frozenset[str]:
    """``(64512,3) (64512, 7, 1)``: large communities have blanks, others don't."""
    return frozenset(":".join(re.findall(r"\d+", numbers)) for numbers in re.findall(r"\(([\d, ]+)\)", text))


def _bandwidth(text: str) -> float | None:
    found = _BANDWIDTH.search(text)
    return float_of(int(found[1])) if found else None
