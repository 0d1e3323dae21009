# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: router_firewall
short_description: Let BGP and BFD through the packet filter of an OpenWrt router
version_added: '0.1.0'
description:
  - Keeps rules in C(/etc/config/firewall) that accept TCP 179, and UDP 3784, 3785 and 4784 where BFD is used,
    from the zone that the neighbors are in; reloads the firewall when they changed.
  - The rules are sections with names of ours, for example C(vipcast_bgp_lan). All others stay as they are.
  - Does nothing on a router without OpenWrt's firewall, or where that does not start with the machine.
  - Refuses where somebody's changes of the firewall are entered and not committed, which it would commit as
    well.
  - Needs a POSIX shell on the router, and no Python.
author:
  - The vipcast founders (@vipcast)
options:
  name:
    description: What the rules' names begin with. Two clusters that share a router need two names.
    type: str
    default: VIPCAST
  services:
    description: What to let in.
    type: list
    elements: str
    default: [bgp]
    choices: [bgp, bfd]
  neighbors:
    description:
      - Addresses of the neighbors. The zones are those of the interfaces through which the router reaches
        them, as C(/etc/config/network) and C(/etc/config/firewall) say.
    type: list
    elements: str
    default: []
  zones:
    description: Names of zones, instead of those that follow from O(neighbors).
    type: list
    elements: str
  state:
    description:
      - V(absent) removes the rules. Where the file says the same then as before the first of them, it is put
        back as it was, comments included, which C(uci) does not keep.
    type: str
    default: present
    choices: [present, absent]
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.managing_module
  - vipcast.baremetal.attributes.action
  - vipcast.baremetal.attributes.actiongroup_router
attributes:
  platform:
    platforms: linux
    details: OpenWrt, with fw4 or fw3.
seealso:
  - module: vipcast.baremetal.bgp_router
"""

EXAMPLES = r"""
- name: Let BGP in from the zone that these nodes are in
  vipcast.baremetal.router_firewall:
    neighbors:
      - 10.31.8.1
      - 10.31.8.11

- name: Let BGP and BFD in from a zone
  vipcast.baremetal.router_firewall:
    services: [bgp, bfd]
    zones: [servers]
"""

RETURN = r"""
drift:
  description: One entry for each difference between what was declared and what was found.
  type: list
  elements: dict
  returned: success
  sample:
    - what: rule vipcast_bgp_lan
      where: firewall
      expected: 'tcp 179 from lan: ACCEPT'
      found: missing
  contains:
    what:
      description: The rule, or an option of it.
      type: str
    where:
      description: V(firewall) for the configuration, V(packet filter) for what is in force.
      type: str
    expected:
      description: What was declared.
      type: str
    found:
      description: What is there.
      type: str
firewall:
  description: Whether the router has a firewall of OpenWrt's.
  type: bool
  returned: success
reason:
  description: The name of the reason why nothing was done.
  type: str
  returned: failure
  sample: no_zone
zones:
  description: The zones that the rules are for.
  type: list
  elements: str
  returned: success
"""
