# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: vip_probe
short_description: Ask the address of a service as a client does
version_added: 0.1.0
description:
  - Opens many new connections to an address, each from a source port of its own, and says how they went.
    Routers choose among several next hops by a hash over addresses and ports, so this is how one client meets
    every node.
  - Runs on the host from which the address should be reachable, which has to be outside the cluster. It needs
    nothing but Python's standard library there.
  - Counts who answered by the response headers C(X-Node-Name) and C(X-Pod-Name), where the server sends them.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.info_module
attributes:
  platform:
    support: full
options:
  address:
    description: The address to ask, IPv4 or IPv6.
    type: str
    required: true
  port:
    description: The port to ask.
    type: int
    default: 80
  protocol:
    description:
      - V(http) sends a GET request and judges the answer.
      - V(tcp) only connects.
    type: str
    choices: [http, tcp]
    default: http
  path:
    description: What to GET.
    type: str
    default: /
  host:
    description: The C(Host) header, if it should be something else than the address.
    type: str
  status:
    description: HTTP status codes that count as good.
    type: list
    elements: int
    default: [200]
  requests:
    description:
      - How many connections to make.
      - Without it, so many that each of O(answerers) is met except with the probability O(miss_probability),
        and at least 10.
    type: int
  answerers:
    description: How many nodes or pods should answer, each equally likely.
    type: int
    default: 1
  miss_probability:
    description: How likely it may be that one of the O(answerers) is not met although all is well.
    type: float
    default: 0.0001
  concurrency:
    description: How many connections are open at the same time, at most.
    type: int
    default: 8
  timeout:
    description: Seconds after which a request has failed.
    type: float
    default: 3.0
  must_succeed:
    description:
      - Fail unless every request was answered well. With V(false) the counts are returned, whatever they are.
    type: bool
    default: true
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Ask a service from outside the cluster, often enough to meet each of three nodes
  vipcast.baremetal.vip_probe:
    address: 10.9.1.1
    answerers: 3
  delegate_to: client

- name: See whether a port accepts connections
  vipcast.baremetal.vip_probe:
    address: 2001:db8::10
    port: 5432
    protocol: tcp
    must_succeed: false
  register: database
"""

RETURN = r"""
requests:
  description: How many connections were tried.
  returned: always
  type: int
  sample: 26
ok:
  description: How many of them were answered well.
  returned: always
  type: int
  sample: 26
statuses:
  description: How often each HTTP status code came.
  returned: always
  type: dict
  sample: {"200": 26}
errors:
  description: The kinds of failures, in the order in which they first occurred.
  returned: always
  type: list
  elements: dict
  contains:
    kind:
      description:
        - The kind, one of C(refused), C(timeout), C(reset), C(closed), C(unreachable), C(malformed)
          and C(other).
      type: str
      sample: timeout
    count:
      description: How often it occurred.
      type: int
      sample: 2
    first_request:
      description: The number of the first request that failed in this way, from 1.
      type: int
      sample: 7
    first_after:
      description: When that request began, in seconds from the start.
      type: float
      sample: 0.012
    message:
      description: What the operating system said.
      type: str
      sample: timed out
latency:
  description:
    - Milliseconds from the start of a connection to the end of the answer, of the good ones.
    - The values are V(none) where there is no good one.
  returned: always
  type: dict
  sample: {"min": 0.6, "median": 0.9, "p99": 3.1, "max": 3.1}
nodes:
  description: How often each node answered, by C(X-Node-Name).
  returned: always
  type: dict
  sample: {"node1": 9, "node2": 8, "node3": 9}
pods:
  description: How often each pod answered, by C(X-Pod-Name).
  returned: always
  type: dict
  sample: {"web-7d4b9-abcde": 9, "web-7d4b9-fghij": 17}
unnamed:
  description: How many good answers did not say who they are from.
  returned: always
  type: int
  sample: 0
source_ports:
  description: How many different source ports were used.
  returned: always
  type: int
  sample: 26
duration:
  description: Seconds that it took.
  returned: always
  type: float
  sample: 0.041
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.probe import Target, probe, summary
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.sampling import requests_to_meet

ARGUMENTS: dict[str, dict[str, Any]] = {
    "address": {"type": "str", "required": True},
    "port": {"type": "int", "default": 80},
    "protocol": {"type": "str", "choices": ["http", "tcp"], "default": "http"},
    "path": {"type": "str", "default": "/"},
    "host": {"type": "str"},
    "status": {"type": "list", "elements": "int", "default": [200]},
    "requests": {"type": "int"},
    "answerers": {"type": "int", "default": 1},
    "miss_probability": {"type": "float", "default": 0.0001},
    "concurrency": {"type": "int", "default": 8},
    "timeout": {"type": "float", "default": 3.0},
    "must_succeed": {"type": "bool", "default": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        target, requests = read_target(module.params), read_requests(module.params)
    except ValueError as exc:
        module.fail_json(msg=str(exc))
    answers = probe(target, requests=requests, concurrency=module.params["concurrency"])
    result = summary(target, answers)
    if module.params["must_succeed"] and result["ok"] < result["requests"]:
        module.fail_json(msg=complaint(target, result), **result)
    module.exit_json(changed=False, **result)


def read_target(params: dict[str, Any]) -> Target:
    """Return what the options mean. Raises ValueError with the option's name."""
    if not 1 <= params["port"] <= 65535:
        raise ValueError(f"port is {params['port']}; it has to be from 1 to 65535")
    if params["timeout"] <= 0:
        raise ValueError(f"timeout is {params['timeout']}; it has to be above 0 seconds")
    target = Target(
        address=params["address"],
        port=params["port"],
        http=params["protocol"] == "http",
        path=params["path"] if params["path"].startswith("/") else f"/{params['path']}",
        host=params["host"],
        statuses=tuple(params["status"]),
        timeout=params["timeout"],
    )
    try:
        target.family  # noqa: B018  # judges the address
    except ValueError:
        raise ValueError(f"address is {params['address']!r}, which is not an IP address") from None
    return target


def read_requests(params: dict[str, Any]) -> int:
    """Return how many connections to make. Raises ValueError with the option's name."""
    for name in ("requests", "concurrency", "answerers"):
        if params[name] is not None and params[name] < 1:
            raise ValueError(f"{name} is {params[name]}; it has to be at least 1")
    return params["requests"] or requests_to_meet(params["answerers"], params["miss_probability"])


def complaint(target: Target, result: dict[str, Any]) -> str:
    """Return what went wrong, in one line."""
    parts = [f"{entry['count']} x {entry['kind']} ({entry['message']})" for entry in result["errors"]]
    bad = {
        status: count for status, count in result["statuses"].items() if int(status) not in target.statuses
    }
    parts += [f"{count} x HTTP {status}" for status, count in bad.items()]
    where = f"{target.address} port {target.port}"
    return (
        f"{result['ok']} of {result['requests']} requests to {where} were answered well: {', '.join(parts)}"
    )


if __name__ == "__main__":
    main()
