# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: node_drain
short_description: Take a node's speaker out of service, or put it back
version_added: 0.1.0
description:
  - Annotates a node with C(vipcast.io/drain). Its speaker then announces its routes as ones that will go
    (graceful shutdown, RFC 8326), waits, withdraws them and ends its sessions. Nothing is lost where routers
    have another way.
  - Says it and does not wait; C(playbooks/drain.yml) does, and refuses where there is no other way.
  - Pods stay where they are. O(cordon) only keeps new ones away.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.managing_module
  - vipcast.baremetal.attributes.actiongroup_cluster
  - vipcast.baremetal.cluster
attributes:
  platform:
    platforms: all
options:
  name:
    description: The node's name in the cluster.
    type: str
    required: true
  state:
    description: Whether the node is to be out of service.
    type: str
    choices: [drained, undrained]
    default: drained
  wait:
    description:
      - How long the speaker announces the routes as ones that will go, for example V(30s) or V(1m30s).
      - A number is seconds. An hour is the most.
      - A node that is out already keeps what it was told first.
    type: str
    default: 10s
  cordon:
    description:
      - Whether no new pods are to be put on the node while it is out.
      - V(undrained) makes it schedulable again where this module had cordoned it, and only there.
    type: bool
    default: false
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Let a node's traffic go elsewhere
  vipcast.baremetal.node_drain:
    kubeconfig: ~/.kube/config
    name: node1
    wait: 30s
    cordon: true
  delegate_to: localhost
"""

RETURN = r"""
patch:
  description: What is changed of the node.
  returned: success
  type: dict
  sample: {"metadata": {"annotations": {"vipcast.io/drain": "30s"}}}
seconds:
  description:
    - How long the node's speaker announces the routes as ones that will go, from when it was told first.
    - Zero for a node that is put back.
  returned: success
  type: float
  sample: 30.0
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster import node as nodes
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.api import Api
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.module import CLUSTER_SPEC, run

SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["drained", "undrained"], "default": "drained"},
    "wait": {"type": "str", "default": "10s"},
    "cordon": {"type": "bool", "default": False},
}


def main() -> None:
    """One node, at most one patch."""
    run(AnsibleModule(argument_spec={**CLUSTER_SPEC, **SPEC}, supports_check_mode=True), drain)


def drain(module: AnsibleModule, api: Api) -> dict[str, Any]:
    """The result of the module."""
    wanted = module.params
    node = nodes.find(api, wanted["name"])
    leave = wanted["state"] == "drained"
    if leave:
        nodes.seconds(wanted["wait"])
    change = nodes.out(node, wanted["wait"], wanted["cordon"]) if leave else nodes.back(node)
    if change and not module.check_mode:
        nodes.apply(api, wanted["name"], change)
    result = {"changed": bool(change), "patch": change.patch(), "seconds": nodes.left(node, change)}
    if module._diff:
        result["diff"] = {"before": _shown(node), "after": _shown(node, change)}
    return result


def _shown(node: dict[str, Any], change: nodes.Change | None = None) -> dict[str, Any]:
    """The two things that are managed here."""
    found = dict(node["metadata"].get("annotations") or {})
    cordoned = bool((node.get("spec") or {}).get("unschedulable"))
    if change is not None:
        found.update(change.annotations)
        cordoned = cordoned if change.unschedulable is None else change.unschedulable
    kept = {name: found[name] for name in (nodes.DRAIN, nodes.CORDONED) if found.get(name) is not None}
    return {"annotations": kept, "unschedulable": cordoned}


if __name__ == "__main__":
    main()
