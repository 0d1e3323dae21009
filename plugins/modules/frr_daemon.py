# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: frr_daemon
short_description: Install FRR on a router and keep its daemons running
version_added: '0.1.0'
description:
  - Installs FRR from the router's own package sources where it is missing, and never upgrades it.
  - A router that has quagga and no FRR keeps it, and O(packages) with a name that begins with V(quagga)
    install it. Then its daemons are started, and O(daemons) that it does not have are left out, with a
    warning.
  - Switches daemons on in FRR's C(daemons) file and leaves everything else in it as it is.
  - Starts FRR, and with the machine too. FRR is restarted only when that file changed or one of the daemons
    is down.
  - Notes on the router what was there before (C(/etc/vipcast-before/daemon.json)), for O(state=absent).
  - Where there is no C(vtysh) and something speaks BGP all the same, nothing is installed beside it.
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
    description:
      - Whether to install FRR where there is no C(vtysh), and on OpenWrt the packages of daemons that are
        missing.
    type: bool
    default: true
  packages:
    description:
      - Packages to install. The default is C(frr). On OpenWrt, which has a package for each daemon, it is
        C(frr), C(frr-zebra), C(frr-watchfrr), C(frr-staticd), and C(frr-bgpd) or C(frr-bfdd) as O(daemons)
        says, as far as their programs are missing; C(frr-vtysh) where the release has it.
      - Package lists are fetched only where those on the router do not know one of them, or cannot be used
        any more.
    type: list
    elements: str
  ip_full:
    description:
      - Whether to install C(ip-full) on OpenWrt where C(ip) is busybox's, which hides the next hops of a
        route that has several.
    type: bool
    default: true
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
  own_neighbors:
    description:
      - BGP neighbors whose sessions a restart of FRR may end in any case.
      - In check mode they are there still when O(state=absent) looks whether somebody else needs C(bgpd).
    type: list
    elements: str
    default: []
  reset_sessions:
    description:
      - Whether a restart of FRR may end sessions of other neighbors, or of another protocol. Without it such
        a restart is refused before anything is changed.
    type: bool
    default: false
  vtysh_command:
    description:
      - How vtysh is called. With anything but V(vtysh), such as V(docker exec -i frr vtysh), FRR is not this
        system's. Then the module installs, edits and starts nothing, and fails where FRR or one of O(daemons)
        does not answer.
    type: str
    default: vtysh
  timeout:
    description: How many seconds the daemons have to answer after a start.
    type: int
    default: 30
  state:
    description:
      - V(present) is all of the above.
      - V(absent) puts back what was there before the first change, in the C(daemons) file and of the
        service. Packages stay. Nothing is put back while the running configuration has lines of others' that
        need C(bgpd) or C(bfdd), and FRR is not restarted while other daemons run in it.
    type: str
    default: present
    choices: [present, absent]
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

- name: FRR as it was found
  vipcast.baremetal.frr_daemon:
    daemons: [bgpd, bfdd]
    state: absent
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
in_use:
  description: Whether others' lines of the running configuration need C(bgpd) or C(bfdd); looked at with
    O(state=absent).
  type: bool
  returned: success
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
  description: Whether FRR ran before and was restarted, or in check mode would be.
  type: bool
  returned: success
"""
