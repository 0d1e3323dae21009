# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: frr_daemon
short_description: Install FRR on a router and keep its daemons running
version_added: '0.1.0'
description:
  - Installs FRR from the router's own package sources where it is missing, and never upgrades it.
  - Switches daemons on in FRR's C(daemons) file and leaves everything else in it as it is.
  - Starts FRR, and with the machine too. FRR is restarted only when that file changed or one of the daemons
    is down.
  - Needs a POSIX shell on the router, and no Python.
author:
  - The vipcast founders (@vipcast)
options:
  daemons:
    description: Daemons that must run. FRR always starts C(zebra) and C(staticd).
    type: list
    elements: str
    default: [bgpd]
  install:
    description: Whether to install FRR where there is no C(vtysh).
    type: bool
    default: true
  packages:
    description:
      - Packages to install. The default is C(frr), and on OpenWrt those of C(frr), C(frr-zebra),
        C(frr-watchfrr), C(frr-staticd),
        C(frr-bgpd) and C(frr-vtysh) that its release has.
    type: list
    elements: str
  daemons_file:
    description: Path of FRR's C(daemons) file.
    type: str
    default: /etc/frr/daemons
  service:
    description:
      - What starts FRR. V(auto) looks for it.
      - V(script) is FRR's own C(frrinit.sh), for a system without a service manager.
    type: str
    default: auto
    choices: [auto, systemd, openwrt, openrc, script]
  local_terminals:
    description:
      - Whether the terminals of zebra, staticd and O(daemons) must be bound to a loopback address, by C(-A)
        in their options.
    type: bool
    default: true
  timeout:
    description: How many seconds the daemons have to answer after a start.
    type: int
    default: 30
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.action
  - vipcast.baremetal.attributes.actiongroup_router
attributes:
  check_mode:
    support: full
    details: Where FRR is missing, its files and services are reported as missing without being looked at.
  diff_mode:
    support: full
    details: Shows the C(daemons) file.
  idempotent:
    support: full
  platform:
    platforms: posix
    support: full
    details: Systems with apt, dnf, yum, opkg or apk; others need FRR installed already.
seealso:
  - module: vipcast.baremetal.bgp_router
"""

EXAMPLES = r"""
- name: FRR with BGP
  vipcast.baremetal.frr_daemon:

- name: FRR with BGP and BFD, from a package source of our own
  vipcast.baremetal.frr_daemon:
    daemons: [bgpd, bfdd]
    packages: [frr-stable]
"""

RETURN = r"""
drift:
  description: One entry for each difference between what was declared and what was found.
  type: list
  elements: dict
  returned: success
  sample:
    - what: bgpd
      where: /etc/frr/daemons
      expected: 'yes'
      found: 'no'
  contains:
    what:
      description: The thing that differs.
      type: str
    where:
      description: The place it was found in.
      type: str
    expected:
      description: What was declared.
      type: str
    found:
      description: What is there.
      type: str
installed:
  description: Whether packages were installed.
  type: bool
  returned: success
platform:
  description: What was found on the router; C(manager), C(service), C(openwrt), C(vtysh) and C(quagga),
    before anything was done.
  type: dict
  returned: success
reason:
  description: The name of the reason why nothing was done.
  type: str
  returned: failure
  sample: no_packages
restarted:
  description: Whether FRR ran before and was restarted.
  type: bool
  returned: success
"""
