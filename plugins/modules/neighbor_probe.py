# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: neighbor_probe
short_description: Ask a segment who has an address
version_added: 0.1.0
description:
  - Asks for addresses by broadcast ARP (IPv4) or by a multicast neighbor solicitation (IPv6), and returns
    everyone who answered. A kernel believes one answer and does not tell of a second; this does.
  - Answers the question that a layer 2 load balancer leaves open - which node has this address, and is it the
    only one?
  - Runs on any Linux host of the segment that is not the owner. Nothing is changed on the host.
requirements:
  - scapy on the host (Debian and Ubuntu - python3-scapy)
  - iproute2 on the host
  - root, or the capability CAP_NET_RAW
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.info_module
attributes:
  platform:
    support: full
options:
  addresses:
    description: The addresses to ask for, IPv4 and IPv6.
    type: list
    elements: str
    required: true
    aliases: [address]
  interface:
    description:
      - Where to ask. Without it, on the interface of the route to the address, which must not lead over a
        gateway.
    type: str
  source:
    description:
      - The address to ask from; all of O(addresses) have to be of its family.
      - Without it, an address of the interface in the same network, for IPv6 the link-local one; where there
        is none, C(0.0.0.0) or C(::), as one who looks for duplicates does.
    type: str
  count:
    description: How often to ask for each address.
    type: int
    default: 3
  interval:
    description: Seconds between one time and the next.
    type: float
    default: 0.2
  timeout:
    description: Seconds to wait for answers after the last time.
    type: float
    default: 1.0
  known:
    description: Names of MAC addresses, which answers are given as RV(neighbors[].answers[].name).
    type: dict
    default: {}
  expect:
    description:
      - V(one) fails unless exactly one answers for each address, V(none) if anybody does.
      - V(any) returns what was found, whatever it is.
    type: str
    choices: [any, one, none]
    default: any
  off_segment:
    description:
      - What to do about an address that is on no segment of this host, if O(interface) is not given.
      - V(skip) returns it with RV(neighbors[].on_segment=false).
    type: str
    choices: [fail, skip]
    default: fail
seealso:
  - module: vipcast.baremetal.vip_probe
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Have exactly one node answer for an address
  vipcast.baremetal.neighbor_probe:
    addresses: 10.31.8.100
    expect: one
  delegate_to: client

- name: Make sure that nobody uses what is to be a pool
  vipcast.baremetal.neighbor_probe:
    addresses: "{{ range(100, 201) | map('regex_replace', '^', '10.31.8.') }}"
    expect: none
  delegate_to: client

- name: Find the node by its MAC address
  vipcast.baremetal.neighbor_probe:
    addresses: [10.31.8.100, "fd00:31:8::100"]
    interface: eth0
    known:
      "52:54:00:0a:1f:01": node1
      "52:54:00:0a:1f:02": node2
  delegate_to: client
  register: segment

- name: Show it
  ansible.builtin.debug:
    msg: "{{ item.address }} is at {{ item.answers | map(attribute='name') | join(' and at ') }}"
  loop: "{{ segment.neighbors }}"
"""

RETURN = r"""
neighbors:
  description: What was found, in the order of O(addresses).
  returned: always, but where the options or the host are not usable
  type: list
  elements: dict
  contains:
    address:
      description: The address that was asked for.
      type: str
      sample: 10.31.8.100
    on_segment:
      description: Whether the host has an interface where it could ask.
      type: bool
      sample: true
    why:
      description: Why it could not; empty where it could.
      type: str
      sample: ""
    interface:
      description: Where it asked; V(none) where it could not.
      type: str
      sample: eth0
    source:
      description: The address that it asked from; V(none) where it could not.
      type: str
      sample: 10.31.200.10
    network:
      description: The network of that interface which the address is in; V(none) where it is in none.
      type: str
      sample: 10.31.0.0/16
    asked:
      description: How many times.
      type: int
      sample: 3
    answers:
      description: Everyone who answered, by their MAC addresses.
      type: list
      elements: dict
      contains:
        mac:
          description: The MAC address that a neighbor would use from then on.
          type: str
          sample: "52:54:00:0a:1f:01"
        name:
          description: What O(known) calls it; empty where it does not.
          type: str
          sample: node1
        times:
          description: How many answers came from it.
          type: int
          sample: 3
        latency_ms:
          description: Milliseconds from the request to the answer; of several, the median.
          type: float
          sample: 0.21
    duplicate:
      description: Whether more than one answered.
      type: bool
      sample: false
    kernel:
      description:
        - What the host's own neighbor table has for the address, C(mac) (V(none) where it did not find any)
          and C(state) in the kernel's word. V(none) where there is no entry.
      type: dict
      sample: {"mac": "52:54:00:0a:1f:01", "state": "REACHABLE"}
"""

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.neighbors import (
    SCAPY_ERROR,
    ask,
    tally,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.segment import (
    Link,
    OffSegmentError,
    Question,
    interface_towards,
    question,
    read_link,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils.model.addresses import (
    IPAddress,
    parse_address,
)

ARGUMENTS: dict[str, dict[str, Any]] = {
    "addresses": {"type": "list", "elements": "str", "required": True, "aliases": ["address"]},
    "interface": {"type": "str"},
    "source": {"type": "str"},
    "count": {"type": "int", "default": 3},
    "interval": {"type": "float", "default": 0.2},
    "timeout": {"type": "float", "default": 1.0},
    "known": {"type": "dict", "default": {}},
    "expect": {"type": "str", "choices": ["any", "one", "none"], "default": "any"},
    "off_segment": {"type": "str", "choices": ["fail", "skip"], "default": "fail"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        found = probe(module)
    except ValueError as exc:
        module.fail_json(msg=str(exc))
    except PermissionError as exc:
        module.fail_json(msg=f"cannot ask the segment: {exc}; it takes root, or the capability CAP_NET_RAW")
    except OSError as exc:
        module.fail_json(msg=f"cannot ask the segment: {exc}")
    complaints = [text for one in found if (text := complaint(one, module.params["expect"]))]
    if complaints:
        module.fail_json(msg="; ".join(complaints), neighbors=found)
    module.exit_json(changed=False, neighbors=found)


def probe(module: AnsibleModule) -> list[dict[str, Any]]:
    """The result for each address. Raises ValueError with what is wrong, and OSError."""
    addresses, names = read_addresses(module.params), read_names(module.params["known"])
    links: dict[str, Link] = {}
    places = [place(module, address, links) for address in addresses]
    questions = [one for one in places if isinstance(one, Question)]
    if questions and SCAPY_ERROR:
        module.fail_json(msg=missing_required_lib("scapy"), exception=SCAPY_ERROR)
    sent, answers = ask(
        questions, module.params["count"], module.params["interval"], module.params["timeout"]
    )
    entries = ip(module, "neighbor", "show")
    return [
        result(module.params["count"], one, tally(one, sent, answers), names, entries)
        if isinstance(one, Question)
        else unasked(address, one)
        for address, one in zip(addresses, places)
    ]


def read_addresses(params: dict[str, Any]) -> list[IPAddress]:
    """The addresses, each once. Raises ValueError with the name of an option that is wrong."""
    if params["count"] < 1:
        raise ValueError(f"count is {params['count']}; it has to be at least 1")
    for name in ("interval", "timeout"):
        if params[name] <= 0:
            raise ValueError(f"{name} is {params[name]}; it has to be above 0 seconds")
    if not params["addresses"]:
        raise ValueError("addresses is empty; it has to name at least one address")
    found = [_address("addresses", text) for text in params["addresses"]]
    return list(dict.fromkeys(found))


def _address(option: str, text: str) -> IPAddress:
    try:
        found = parse_address(text)
    except ValueError as exc:
        raise ValueError(f"{option}: {exc}") from None
    if found.is_multicast or found.is_unspecified or found.is_loopback:
        raise ValueError(f"{option}: {found} is no address that a host of a segment has")
    return found


def read_names(known: dict[str, Any]) -> dict[str, str]:
    """Name by MAC address as it is written here."""
    return {str(mac).lower().replace("-", ":"): str(name) for mac, name in known.items()}


def place(module: AnsibleModule, address: IPAddress, links: dict[str, Link]) -> Question | str:
    """Return how to ask for an address, or why it cannot be. Raises ValueError where that is an error.

    `links`: what was learnt of interfaces so far.
    """
    try:
        name = module.params["interface"] or interface_towards(address, route(module, address))
    except OffSegmentError as exc:
        if module.params["off_segment"] == "fail":
            raise
        return str(exc)
    if name not in links:
        links[name] = read_link(ip(module, "address", "show", "dev", name), name)
    source = module.params["source"]
    return question(address, links[name], _address("source", source) if source else None)


def route(module: AnsibleModule, address: IPAddress) -> list[dict[str, Any]]:
    """Return what the kernel would do with a packet to the address; nothing where it knows no way."""
    return ip(module, "route", "get", str(address))


def ip(module: AnsibleModule, *arguments: str) -> list[dict[str, Any]]:
    """Return what `ip -json` prints; nothing where it fails, for then there is nothing of the kind."""
    program = module.get_bin_path("ip", required=True, opt_dirs=["/sbin", "/usr/sbin"])
    status, output, _errors = module.run_command([program, "-json", *arguments])
    return list(json.loads(output or "[]")) if status == 0 else []


def result(
    count: int,
    asked: Question,
    answers: list[dict[str, Any]],
    names: dict[str, str],
    entries: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return what is returned of an address that was asked for."""
    return {
        "address": str(asked.address),
        "on_segment": True,
        "why": "",
        "interface": asked.interface,
        "source": str(asked.source),
        "network": asked.network,
        "asked": count,
        "answers": [{"name": names.get(one["mac"], ""), **one} for one in answers],
        "duplicate": len(answers) > 1,
        "kernel": kernel(asked, entries),
    }


def unasked(address: IPAddress, why: str) -> dict[str, Any]:
    """The same of one that is on no segment of this host."""
    return {
        "address": str(address),
        "on_segment": False,
        "why": why,
        "interface": None,
        "source": None,
        "network": None,
        "asked": 0,
        "answers": [],
        "duplicate": False,
        "kernel": None,
    }


def kernel(asked: Question, entries: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The address's entry of the host's neighbor table."""
    for one in entries:
        if (one.get("dst"), one.get("dev")) == (str(asked.address), asked.interface):
            return {"mac": one.get("lladdr"), "state": " ".join(one.get("state") or ()) or "NONE"}
    return None


def complaint(found: dict[str, Any], expect: str) -> str:
    """Return what is not as expected, in words; empty where all is well."""
    answers = found["answers"]
    if expect == "any" or not found["on_segment"] or len(answers) == {"one": 1, "none": 0}[expect]:
        return ""
    macs = [f"{one['mac']} ({one['name']})" if one["name"] else one["mac"] for one in answers]
    where = f"for {found['address']} on {found['interface']}"
    if not answers:
        return f"nobody answered {where}, asked {found['asked']} times"
    return f"{len(answers)} answered {where} where {expect} should: {', '.join(macs)}"


if __name__ == "__main__":
    main()
