# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: ip_address_pool
short_description: Manage a pool of addresses for services
version_added: 0.1.0
description:
  - Has an IPAddressPool of C(metallb.io/v1beta1), addresses that services of type LoadBalancer get.
  - Services whose address is in no pool any more get another one.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.managing_module
  - vipcast.baremetal.attributes.actiongroup_cluster
  - vipcast.baremetal.cluster
  - vipcast.baremetal.cluster_object
options:
  addresses:
    description:
      - CIDRs and ranges C(FIRST-LAST) that include both ends, IPv4 and IPv6. A single address is
        C(192.0.2.1/32).
      - Required with O(state=present).
    type: list
    elements: str
  auto_assign:
    description: Whether services that ask for no pool or address get one of these. The API's default
      is V(true).
    type: bool
  avoid_buggy_ips:
    description: Whether to leave out IPv4 addresses that end in .0 and .255. The API's default is V(false).
    type: bool
  service_allocation:
    description: Which services may use the pool, and how early it is tried.
    type: dict
    suboptions:
      priority:
        description: A pool with a lower number is tried first, V(0) last.
        type: int
      namespaces:
        description: Names of namespaces whose services may use the pool. Without it and without
          O(service_allocation.namespace_selectors), those of all namespaces.
        type: list
        elements: str
      namespace_selectors:
        description: Labels of namespaces whose services may use the pool.
        type: list
        elements: dict
        suboptions: &selector
          match_labels:
            description: Labels with the values that they must have.
            type: dict
          match_expressions:
            description: Conditions on labels; all of them must be met.
            type: list
            elements: dict
            suboptions:
              key:
                description: Name of the label.
                type: str
                required: true
              operator:
                description: How the label is compared.
                type: str
                required: true
                choices: [In, NotIn, Exists, DoesNotExist]
              values:
                description: What V(In) and V(NotIn) compare with. The others take none.
                type: list
                elements: str
      service_selectors:
        description: Labels of services that may use the pool. One must match, and the namespace
          too where namespaces are said.
        type: list
        elements: dict
        suboptions: *selector
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Have a pool for everybody
  vipcast.baremetal.ip_address_pool:
    name: default
    addresses:
      - 203.0.113.0/25
      - 203.0.113.200-203.0.113.220

- name: Have a small pool for the web shop, tried before all others
  vipcast.baremetal.ip_address_pool:
    name: shop
    labels: {zone: outside}
    addresses: [198.51.100.16/28]
    avoid_buggy_ips: true
    service_allocation:
      priority: 10
      namespaces: [shop]
      service_selectors:
        - match_expressions:
            - {key: tier, operator: In, values: [front, api]}

- name: Say what removing a pool would leave dangling
  vipcast.baremetal.ip_address_pool:
    name: shop
    state: absent
  check_mode: true
"""

RETURN = r"""
object:
  description: The object as it is now, or in check mode would be, without its status; empty where there is
    none.
  returned: success
  type: dict
problems:
  description: What is wrong with the object among the others, and what others have because of it.
  returned: success, and failure where the object itself is wrong
  type: list
  elements: dict
  contains:
    object:
      description: Kind, namespace and name.
      type: str
      sample: IPAddressPool metallb-system/default
    field:
      description: The field.
      type: str
      sample: spec.addresses[0]
    reason:
      description: Why, in one word.
      type: str
      sample: DanglingReference
    effect:
      description: V(Refused) where the object is not in force as it is written, V(Ineffective) where only the
        field is not.
      type: str
      sample: Ineffective
    text:
      description: All of it for people, and what would be right.
      type: str
drift:
  description: Each difference that was found; secret values are hidden.
  returned: success
  type: list
  elements: dict
  contains:
    what:
      description: Kind, namespace and name of the object.
      type: str
      sample: IPAddressPool/metallb-system/default
    where:
      description: The field.
      type: str
      sample: spec.addresses[0]
    expected:
      description: What is declared.
      type: str
      sample: "203.0.113.0/24"
    found:
      description: What was there.
      type: str
      sample: "203.0.113.0/25"
"""

from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.kinds import IP_ADDRESS_POOL
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.object_module import run_for


def main() -> None:
    run_for(IP_ADDRESS_POOL)


if __name__ == "__main__":
    main()
