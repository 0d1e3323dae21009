# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: allocation_plan_info
short_description: Say which services a change of the pools would move
version_added: 0.1.0
description:
  - Reads services, namespaces and pools of a cluster, lays other pools over them, and returns what the
    controller would do with each service of type LoadBalancer, and by which rule.
  - It is the controller's own code that decides. Nothing is written.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.here
  - vipcast.baremetal.attributes.actiongroup_cluster
  - vipcast.baremetal.attributes.info_module
  - vipcast.baremetal.cluster
attributes:
  diff_mode:
    support: full
  platform:
    support: full
options:
  objects:
    description:
      - Objects that would be applied, as in manifests. Pools count, and services and namespaces too; other
        kinds are passed over.
      - An object takes the place of the cluster's of the same kind and name.
    type: list
    elements: dict
    default: []
  prune:
    description:
      - Which pools of the cluster, of those that O(objects) lacks, would be gone.
      - V(none) for additions and changes only.
      - V(set) for those that M(vipcast.baremetal.object_set) created as O(set_name), and would remove.
      - V(all) where O(objects) has all the pools that there should be.
    type: str
    choices: [none, set, all]
    default: none
  set_name:
    description: The name of the set, for O(prune=set).
    type: str
    default: configuration
  namespace:
    description: The namespace that the controller reads its pools from.
    type: str
    default: metallb-system
  config_map:
    description:
      - Name of the ConfigMap of MetalLB 0.12 and older in O(namespace), of which pools are read too. Empty to
        look at none.
    type: str
    default: config
  lb_class:
    description: The C(loadBalancerClass) that the controller serves. Without it, services that have none.
    type: str
  within_namespace:
    description: Whether services share an address with services of their own namespace only.
    type: bool
    default: false
seealso:
  - module: vipcast.baremetal.object_set
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Ask what a smaller pool would do
  vipcast.baremetal.allocation_plan_info:
    objects:
      - apiVersion: metallb.io/v1beta1
        kind: IPAddressPool
        metadata:
          name: default
        spec:
          addresses: [10.9.0.0/24]
  register: plan

- name: Refuse to take an address away
  ansible.builtin.assert:
    that: not plan.moved + plan.lost
    fail_msg: "{{ plan.story }}"
"""

RETURN = r"""
services:
  description: What becomes of each service of type LoadBalancer, by namespace and name.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: The service's namespace.
      type: str
      sample: shop
    name:
      description: The service's name.
      type: str
      sample: web
    before:
      description: What it has now, C(addresses) and C(pool).
      type: dict
      sample: {"addresses": ["10.9.4.1"], "pool": "default"}
    after:
      description: What it would have.
      type: dict
      sample: {"addresses": ["10.9.0.1"], "pool": "default"}
    happens:
      description:
        - C(kept), C(assigned), C(extended) by an address of the other family, C(moved), C(lost), C(waits),
          or C(not ours) for a service of another class.
      type: str
      sample: moved
    reason:
      description: The rule or the refusal in one word.
      type: str
      sample: AutomaticPool
    why:
      description: The same in a sentence.
      type: str
      sample: "10.9.4.1 is in no pool; instead: first free address of pool default"
    certain:
      description:
        - V(false) where the address depends on which of several that are freed is free first.
      type: bool
pools:
  description: The use of each pool afterwards, a line for each family.
  returned: success
  type: list
  elements: dict
  sample: [{"pool": "default", "family": 4, "used": 12, "free": 244}]
moved:
  description: C(namespace/name) of the services that would have another address, or one less.
  returned: success
  type: list
  elements: str
  sample: [shop/web]
lost:
  description: Those that would have none any more.
  returned: success
  type: list
  elements: str
waiting:
  description: Those that have none and would get none.
  returned: success
  type: list
  elements: str
story:
  description: A line for each service of RV(moved) and RV(lost), with the reason.
  returned: success
  type: list
  elements: str
  sample: ["shop/web: 10.9.4.1 -> nothing: there is no pool 'gone' in force; the pools are default"]
problems:
  description: What is wrong with pools or services.
  returned: success
  type: list
  elements: str
notes:
  description: What was assumed.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.allocation import plan, read_cluster
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.api import Api
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.module import CLUSTER_SPEC, run
from ansible_collections.vipcast.baremetal.plugins.module_utils.model.defaults import NAMESPACE

SPEC: dict[str, t.Any] = {
    **CLUSTER_SPEC,
    "objects": {"type": "list", "elements": "dict", "default": []},
    "prune": {"type": "str", "choices": ["none", "set", "all"], "default": "none"},
    "set_name": {"type": "str", "default": "configuration"},
    "namespace": {"type": "str", "default": NAMESPACE},
    "config_map": {"type": "str", "default": "config"},
    "lb_class": {"type": "str"},
    "within_namespace": {"type": "bool", "default": False},
}


def read(module: AnsibleModule, api: Api) -> dict[str, t.Any]:
    """The result of the module."""
    params = module.params
    live = read_cluster(api, params["namespace"], params["config_map"])
    return plan(live, params["objects"], params)


def main() -> None:
    run(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), read)


if __name__ == "__main__":
    main()
