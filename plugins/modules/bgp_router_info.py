# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bgp_router_info
short_description: Ask an FRR or quagga router about its BGP sessions and routes
version_added: '0.1.0'
description:
  - Returns the BGP sessions with a verdict on each, and every route as the BGP table, FRR's zebra and the
    kernel have it.
  - A session that is established and carries nothing is told apart from a healthy one, with the reason.
  - Changes nothing, and runs only show commands that are known to be harmless on the router's version of FRR.
  - Needs a POSIX shell on the router, and no Python.
author:
  - The vipcast founders (@vipcast)
options:
  prefixes:
    description:
      - Ask only for these routes, for example V(10.9.1.1/32). An address without a length is a host route.
      - A prefix without a route is in the result as well, without next hops.
      - Without this option every BGP route is returned; do give it on a router that has many.
    type: list
    elements: str
  neighbors:
    description: Return only the sessions with these addresses.
    type: list
    elements: str
  vtysh_command:
    description: How to call vtysh on the router, for example V(vtysh -N blue) or a path.
    type: str
    default: vtysh
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.action
  - vipcast.baremetal.attributes.actiongroup_router
  - vipcast.baremetal.attributes.info_module
attributes:
  platform:
    platforms: posix
    support: full
    details: FRR 7.4 and later, quagga 1.2 and later.
seealso:
  - module: vipcast.baremetal.bgp_router
"""

EXAMPLES = r"""
- name: Ask the router for everything
  vipcast.baremetal.bgp_router_info:
  register: router

- name: Insist on a next hop per node in the kernel
  vipcast.baremetal.bgp_router_info:
    prefixes:
      - 10.9.1.1/32
  register: router
  failed_when:
    - router.routes[0].kernel.next_hops | map(attribute='gateway') | sort
      != ['10.31.8.1', '10.31.8.11', '10.31.8.12']
"""

RETURN = r"""
software:
  description: V(FRR) or V(quagga).
  type: str
  returned: success
  sample: FRR
version:
  description: Version of the router's FRR or quagga.
  type: str
  returned: success
  sample: 8.4.4
asn:
  description: AS number of C(router bgp); null where there is none.
  type: int
  returned: success
  sample: 64512
router_id:
  description: BGP identifier in use.
  type: str
  returned: success
  sample: 10.31.254.251
maximum_paths_limit:
  description: How many next hops a route can have at most in this build.
  type: int
  returned: success
  sample: 256
obstacles:
  description: Lines of the router with which no session of the instance can be, whatever is declared.
  type: list
  elements: dict
  returned: success
  contains:
    line:
      description: The line.
      type: str
      sample: bgp shutdown message planned
    where:
      description: The place it stands in.
      type: str
    why:
      description: What it does.
      type: str
sessions:
  description: One entry for each neighbor and address family.
  type: list
  elements: dict
  returned: success
  contains:
    address:
      description: Address of the neighbor.
      type: str
    family:
      description: V(ipv4) or V(ipv6).
      type: str
    remote_as:
      description: AS number of the neighbor.
      type: int
    description:
      description: The configured description.
      type: str
    state:
      description: State as FRR names it.
      type: str
    established:
      description: Whether the state is Established. That alone does not mean that routes are exchanged.
      type: bool
    since:
      description: When the session was established, in seconds since 1970; null where the router does not
        say.
      type: int
    uptime:
      description: How long the session has been established, in seconds.
      type: int
    prefixes_received:
      description: How many prefixes the neighbor announces, before the filter; null where the router does
        not know.
      type: int
    prefixes_accepted:
      description: How many of them passed the filter.
      type: int
    prefixes_sent:
      description: How many prefixes are announced to the neighbor; null where the router does not say.
      type: int
    connections_established:
      description: How often the session came up.
      type: int
    connections_dropped:
      description: How often the session ended.
      type: int
    hold_time:
      description: Negotiated hold time in seconds.
      type: int
    bfd:
      description:
        - BFD with the neighbor (RFC 5880); V(none) where it is not configured. C(state) is FRR's word, or
          C(missing) where C(bfdd) does not run.
        - C(detection_time) in seconds, V(none) unless it is up; C(receive_interval) and C(transmit_interval)
          in milliseconds, as agreed on; C(diagnostic) in FRR's words; C(ignored_in_restart), whether
          C(bfd check-control-plane-failure) is set.
      type: dict
      sample: {"state": "up", "detection_time": 0.9, "receive_interval": 300, "transmit_interval": 300,
        "ignored_in_restart": false, "diagnostic": "ok"}
    graceful_restart:
      description:
        - For how many seconds routes are kept while the neighbor restarts (RFC 4724), and of which families.
        - V(none) where they are not, because either end does not do it.
      type: dict
      sample: {"restart_time": 30, "families": ["ipv4Unicast"]}
    last_reset:
      description: Why the session ended the last time, in FRR's words.
      type: str
    healthy:
      description: Whether the session is established and at least one prefix was accepted.
      type: bool
    reason:
      description:
        - V(healthy), V(no_prefixes), V(filtered), V(family_not_negotiated), V(no_policy),
          V(not_established), V(shut_down)
          or V(prefix_limit).
      type: str
    explanation:
      description: The reason as a sentence.
      type: str
routes:
  description: One entry for each prefix.
  type: list
  elements: dict
  returned: success
  contains:
    prefix:
      description: The prefix.
      type: str
    paths:
      description: The paths in the BGP table, each with C(peer), C(valid), C(best), C(multipath),
        C(as_path), C(next_hops). quagga names C(peer) only where O(prefixes) are given.
      type: list
      elements: dict
    next_hops:
      description: Next hops of the best path and of those that count as equal.
      type: list
      elements: str
    fib:
      description: The selected route of zebra with C(installed), C(protocol), C(distance), C(next_hops);
        null without one.
      type: dict
    kernel:
      description:
        - The route in the kernel's main table with C(protocol), C(metric) and C(next_hops), each with
          C(gateway), C(device)
          and C(weight); null without one.
        - C(next_hops) is null where busybox's C(ip) hides them.
      type: dict
    consistent:
      description: Whether BGP, zebra and, where it can be known, the kernel have the same next hops.
      type: bool
kernel_source:
  description: Where the kernel's routes are from; V(json) or V(text) of iproute2, or V(busybox), which
    hides next hops.
  type: str
  returned: success
hash_policy_ipv4:
  description: Value of C(net.ipv4.fib_multipath_hash_policy). With V(0) one client always meets the same
    node.
  type: int
  returned: success
hash_policy_ipv6:
  description: Value of C(net.ipv6.fib_multipath_hash_policy).
  type: int
  returned: success
forwarding_ipv4:
  description: Value of C(net.ipv4.ip_forward).
  type: int
  returned: success
forwarding_ipv6:
  description: Value of C(net.ipv6.conf.all.forwarding).
  type: int
  returned: success
configuration:
  description: Names of what is configured (C(neighbors), C(route_maps), C(prefix_lists)), C(listen_ranges),
    C(maximum_paths) and other BGP lines.
  type: dict
  returned: success
reason:
  description: The name of the reason why nothing could be said.
  type: str
  returned: failure
  sample: daemon_down
"""
