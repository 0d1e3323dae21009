# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: router_sysctl
short_description: Set kernel parameters on a router that has only a shell
version_added: '0.1.0'
description:
  - Sets sysctls in the running kernel, and in a file so that they survive a restart.
  - Notes on the router what was there before (C(/etc/vipcast-before/sysctl.json)), for O(state=absent).
  - Needs a POSIX shell on the router, and no Python; no C(sysctl) command either.
author:
  - The vipcast founders (@vipcast)
options:
  values:
    description:
      - Names and values, for example C(net.ipv4.fib_multipath_hash_policy) and V(1).
      - Names under C(net.ipv6) are skipped where the kernel has no IPv6.
      - Needed with O(state=present).
    type: dict
  path:
    description:
      - The file to keep them in; other lines of it stay.
      - The default is C(/etc/sysctl.d/99-vipcast.conf). OpenWrt reads C(/etc/sysctl.conf) after it, so a name
        that is in there is set in there as well.
    type: str
  state:
    description:
      - V(present) sets O(values).
      - V(absent) puts back what was there before the first change, in the kernel and in the file, as far as
        nobody has changed it since.
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
"""

EXAMPLES = r"""
- name: Choose among equal next hops by address and port, not by address alone
  vipcast.baremetal.router_sysctl:
    values:
      net.ipv4.fib_multipath_hash_policy: 1
      net.ipv6.fib_multipath_hash_policy: 1

- name: The kernel's parameters as they were found
  vipcast.baremetal.router_sysctl:
    state: absent
"""

RETURN = r"""
drift:
  description: One entry for each difference between what was declared and what was found.
  type: list
  elements: dict
  returned: success
  sample:
    - what: net.ipv4.fib_multipath_hash_policy
      where: kernel
      expected: '1'
      found: '0'
  contains:
    what:
      description: The name of the sysctl.
      type: str
    where:
      description: V(kernel), or the path of the file.
      type: str
    expected:
      description: What was declared.
      type: str
    found:
      description: What is there.
      type: str
path:
  description: The file that keeps the values.
  type: str
  returned: success
  sample: /etc/sysctl.d/99-vipcast.conf
reason:
  description: The name of the reason why nothing was done.
  type: str
  returned: failure
  sample: no_sysctl
left_out:
  description: Names that this kernel does not need.
  type: list
  elements: str
  returned: success
"""
