# SPDX-License-Identifier: GPL-3.0-or-later
"""The topology of a lab, as the inventory says it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_network,
)
from pathlib import Path
from typing import Any

import programs
from shell import LabError

MANAGEMENT = "mgmt"
# Interface names are 15 characters at most (IFNAMSIZ, with its final zero); a bridge is called br-SEGMENT.
SEGMENT_NAME = 12
# A kind with this before it is the same host with a kernel of its own.
VIRTUAL = "virtual_"
# Room for NAME-mgmt; and a dash would make one lab's names begin like another's.
NAME = re.compile("[a-z0-9]{1,10}")


Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Interface:
    """One network card of a host and the segment that its cable leads to."""

    name: str
    segment: str
    address: IPv4Interface
    address6: IPv6Interface | None = None


@dataclass(frozen=True)
class Host:
    """One machine. `number` is its place in the inventory, from 1; `kind` is what it is for.

    A `virtual` one has a kernel of its own; the others share this machine's.
    """

    name: str
    number: int
    kind: str
    management: Interface
    interfaces: tuple[Interface, ...]
    gateways: tuple[IPv4Address, ...]
    gateway6: IPv6Address | None
    pod_ranges: tuple[Network, ...]
    control_plane: bool
    virtual: bool

    @property
    def tree(self) -> str:
        """The name of the file system that it boots, which is its kind in the inventory."""
        return f"{VIRTUAL}{self.kind}" if self.virtual else self.kind

    def mac(self, card: Interface) -> str:
        """The same card has the same address after every boot; 02 marks it as locally administered."""
        return f"02:76:69:70:{self.number:02x}:{self.cables.index(card):02x}"

    @property
    def address(self) -> IPv4Address:
        """The address by which other hosts find it: of its first card that is not for management."""
        return self.interfaces[0].address.ip

    @property
    def addresses(self) -> tuple[IPv4Address | IPv6Address, ...]:
        """The same in each family that it has there."""
        six = self.interfaces[0].address6
        return (self.address, *((six.ip,) if six else ()))

    def reached_at(self, version: int) -> IPv4Address | IPv6Address:
        """Its address of that family; topologies without one are refused (see _pod_problems)."""
        return next(address for address in self.addresses if address.version == version)

    def gateways_on(self, card: Interface) -> list[IPv4Address]:
        """Return the default gateways that this card leads to; several are equal paths."""
        return [gateway for gateway in self.gateways if gateway in card.address.network]

    @property
    def cables(self) -> tuple[Interface, ...]:
        """All its cards; management comes first."""
        return (self.management, *self.interfaces)


@dataclass(frozen=True)
class Kubernetes:
    """The cluster: its version, ranges and the folder of its programs."""

    version: str
    programs: Path
    pods: tuple[Network, ...]
    services: tuple[Network, ...]
    proxy_mode: str
    proxy_image: str
    pause_image: str
    grace: int

    @property
    def minor(self) -> int:
        """The second number of its version: some settings came or went with one."""
        return int(self.version.split(".")[1])


@dataclass(frozen=True)
class Site:
    """The place of a lab, also of a former one: the prefix of its names, and the folder of its state."""

    name: str
    folder: Path


@dataclass(frozen=True)
class Lab(Site):
    """A whole lab.

    `trees` are its hosts' file systems by kind, `images` the folder of its images' archives, `tools` that of
    the programs for its clients, `operator_password` that of the user who is not root (without one nobody can
    become root as that user), `text` what it was read from, and `identity` a digest of all that goes into it:
    with another it is another lab.
    """

    control: IPv4Interface
    segments: tuple[str, ...]
    hosts: tuple[Host, ...]
    kubernetes: Kubernetes
    trees: dict[str, Path]
    images: Path
    tools: Path
    templates: Path
    operator_password: str
    identity: str
    text: str

    def host(self, name: str) -> Host:
        """The host of that name; LabError names those that there are."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise LabError(f"no host {name!r} in this lab; it has {', '.join(h.name for h in self.hosts)}")

    @property
    def nodes(self) -> tuple[Host, ...]:
        """The hosts that run a kubelet."""
        return tuple(host for host in self.hosts if host.kind == "node")

    @property
    def control_plane(self) -> Host:
        """The host that runs the API server."""
        return next(host for host in self.hosts if host.control_plane)


def load(text: str) -> Lab:
    """A lab from the role's JSON; LabError says what in the inventory does not fit together."""
    data = json.loads(text)
    lab = _lab(data, _identity(data), text)
    for problem in _problems(lab):
        raise LabError(f"the inventory's lab does not fit together: {problem}")
    return lab


def _lab(data: dict[str, Any], identity: str, text: str) -> Lab:
    return Lab(
        name=data["name"],
        folder=Path(data["folder"]),
        control=IPv4Interface(data["control"]),
        segments=tuple(data["segments"]),
        hosts=tuple(_host(number, host, data) for number, host in enumerate(data["hosts"], 1)),
        kubernetes=_kubernetes(data["kubernetes"]),
        trees={kind: Path(tree) for kind, tree in data["trees"].items()},
        images=Path(data["images"]),
        tools=Path(data["tools"]),
        templates=Path(data["templates"]),
        operator_password=data.get("operator_password") or "",
        identity=identity,
        text=text,
    )


def _host(number: int, data: dict[str, Any], lab: dict[str, Any]) -> Host:
    length = IPv4Interface(lab["control"]).network.prefixlen
    cards = enumerate(data["interfaces"])
    return Host(
        name=data["name"],
        number=number,
        kind=data["kind"].removeprefix(VIRTUAL),
        management=Interface(MANAGEMENT, MANAGEMENT, IPv4Interface(f"{data['management']}/{length}")),
        interfaces=tuple(_interface(f"eth{i}", card) for i, card in cards),
        gateways=_addresses(data.get("gateway")),
        gateway6=IPv6Address(data["gateway6"]) if data.get("gateway6") else None,
        pod_ranges=_networks(data.get("pod_range") or ""),
        control_plane=data["control_plane"],
        virtual=data["kind"].startswith(VIRTUAL),
    )


def _interface(name: str, data: dict[str, str]) -> Interface:
    six = data.get("address6")
    return Interface(
        name, data["segment"], IPv4Interface(data["address"]), IPv6Interface(six) if six else None
    )


def _addresses(value: str | list[str] | None) -> tuple[IPv4Address, ...]:
    """Read one address or a list of them."""
    texts = value if isinstance(value, list) else [value]
    return tuple(IPv4Address(text) for text in texts if text)


def _networks(text: str) -> tuple[Network, ...]:
    """One range, or one of each family with a comma between them, as Kubernetes writes it."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def _kubernetes(data: dict[str, Any]) -> Kubernetes:
    return Kubernetes(
        version=data["version"],
        programs=Path(data["programs"]),
        pods=_networks(data["pods"]),
        services=_networks(data["services"]),
        proxy_mode=data["proxy_mode"],
        proxy_image=data["proxy_image"],
        pause_image=data["pause_image"],
        grace=data["grace"],
    )


def _identity(data: dict[str, Any]) -> str:
    # The role may be reached by several paths (installed, checked out); only its content matters.
    content = {key: value for key, value in data.items() if key != "templates"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    templates = Path(data["templates"])
    for folder in (templates / "host", templates / "cluster", Path(__file__).parent):
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"):
            digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    notes = Path(data["kubernetes"]["programs"]) / programs.NOTES
    digest.update(notes.read_bytes() if notes.exists() else b"")
    # Images are large and deterministic: their size and time say enough.
    for path in sorted(Path(data["images"]).glob("*.tar")):
        digest.update(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}".encode())
    return digest.hexdigest()


def _problems(lab: Lab) -> list[str]:
    problems = [
        f"the segment name {s!r} is longer than {SEGMENT_NAME} characters"
        for s in lab.segments
        if len(s) > SEGMENT_NAME
    ]
    if not NAME.fullmatch(lab.name):
        problems.append(f"lab_name {lab.name!r} must be one to ten small letters and digits")
    if sum(host.control_plane for host in lab.hosts) != 1:
        problems.append("exactly one host must have lab_control_plane: true")
    seen: dict[object, str] = {lab.control.ip: "the control machine"}
    for host in lab.hosts:
        problems += _host_problems(host, lab)
        for address in [one.ip for card in host.cables for one in (card.address, card.address6) if one]:
            if address in seen:
                problems.append(f"{address} belongs to {seen[address]} and to {host.name}")
            seen[address] = host.name
    return problems


def _host_problems(host: Host, lab: Lab) -> list[str]:
    problems = [
        f"{host.name} is on segment {card.segment!r}, none of lab_segments: {', '.join(lab.segments)}"
        for card in host.interfaces
        if card.segment not in lab.segments
    ]
    if not host.interfaces:
        problems.append(f"{host.name} has no lab_interfaces")
    if host.tree not in lab.trees:
        problems.append(f"{host.name} has lab_kind {host.tree!r}, which is none of {', '.join(lab.trees)}")
    if host.control_plane and host.tree not in ("node", "control_plane"):
        problems.append(
            f"{host.name} has lab_control_plane, but lab_kind {host.tree!r}: it must be node or control_plane"
        )
    if host.management.address.ip not in lab.control.network:
        problems.append(
            f"{host.name}: ansible_host {host.management.address.ip} is outside {lab.control.network}"
        )
    for gateway in host.gateways:
        if not any(gateway in card.address.network for card in host.interfaces):
            problems.append(f"{host.name}: its lab_gateway {gateway} is on none of its segments")
    if host.gateway6 and not any(c.address6 and host.gateway6 in c.address6.network for c in host.interfaces):
        problems.append(f"{host.name}: its lab_gateway6 {host.gateway6} is on none of its segments")
    return problems + _pod_problems(host, lab.kubernetes)


def _is_inside(one: Network, other: Network) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.subnet_of(other)
    return isinstance(other, IPv6Network) and one.subnet_of(other)


def _pod_problems(host: Host, kubernetes: Kubernetes) -> list[str]:
    if host.kind != "node" or not host.interfaces:
        return []
    if not host.pod_ranges:
        return [f"{host.name} is a node without lab_pod_range"]
    problems = [
        f"{host.name}: its lab_pod_range {one} is not inside {', '.join(map(str, kubernetes.pods))}"
        for one in host.pod_ranges
        if not any(_is_inside(one, pods) for pods in kubernetes.pods)
    ]
    wanted = [network.version for network in kubernetes.pods]
    if wanted != [one.version for one in host.pod_ranges] or wanted != [a.version for a in host.addresses]:
        families = " and ".join(f"IPv{version}" for version in wanted)
        problems.append(
            f"{host.name}: lab_pods has {families}; its lab_pod_range and its first card need the same"
        )
    return problems
