# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: l2_advertisement
short_description: Manage what is announced by ARP and NDP
version_added: 0.1.0
description:
  - Has an L2Advertisement of C(metallb.io/v1beta1), which says which pools are announced on the segment,
    from which nodes and interfaces.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.managing_module
  - vipcast.baremetal.attributes.actiongroup_cluster
  - vipcast.baremetal.cluster
  - vipcast.baremetal.cluster_object
  - vipcast.baremetal.advertisement
options:
  interfaces:
    description: Names of the nodes' interfaces that answer. Without it, all of them.
    type: list
    elements: str
  preferred_node_selectors:
    description: Which of the nodes should rather announce; the weights of those that match are added up.
    type: list
    elements: dict
    suboptions:
      weight:
        description: From 1 to 100.
        type: int
        required: true
      preference:
        description: Labels of the nodes.
        type: dict
        required: true
        suboptions:
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
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Announce all pools on the segment, from all nodes
  vipcast.baremetal.l2_advertisement:
    name: default

- name: Announce the pools of the office from two nodes, on one interface
  vipcast.baremetal.l2_advertisement:
    name: office
    ip_address_pool_selectors:
      - match_labels: {zone: office}
    node_selectors:
      - match_expressions:
          - {key: kubernetes.io/hostname, operator: In, values: [node1, node2]}
    interfaces: [eth1]
    preferred_node_selectors:
      - weight: 100
        preference:
          match_labels: {kubernetes.io/hostname: node2}
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
      sample: L2Advertisement metallb-system/office
    field:
      description: The field.
      type: str
      sample: spec.interfaces[0]
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
      sample: L2Advertisement/metallb-system/office
    where:
      description: The field.
      type: str
      sample: spec.interfaces[0]
    expected:
      description: What is declared.
      type: str
      sample: "eth1"
    found:
      description: What was there.
      type: str
      sample: "eth0"
"""

from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.kinds import L2_ADVERTISEMENT
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.object_module import run_for


def main() -> None:
    run_for(L2_ADVERTISEMENT)


if __name__ == "__main__":
    main()
