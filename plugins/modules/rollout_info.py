# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_info
short_description: Wait for the pods of a Deployment or DaemonSet
version_added: 0.1.0
description:
  - Waits until all pods of a workload are of its newest template and available. Where they don't come up,
    says for each of them why.
  - A pod on a node that is not ready cannot come up. It is a warning, and is not waited for.
  - Changes nothing.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.here
  - vipcast.baremetal.attributes.actiongroup_cluster
  - vipcast.baremetal.cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: Nothing is changed.
  idempotent:
    support: full
  platform:
    support: full
options:
  kind:
    description: The workload's kind.
    type: str
    choices: [Deployment, DaemonSet]
    required: true
  name:
    description: Its name.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
  timeout:
    description:
      - How long to wait without progress, in seconds. Each pod that is replaced or becomes available more
        than ever before begins it anew, since updates go from node to node.
      - With V(0) it fails at once when a pod is missing.
    type: int
    default: 120
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Wait for the speakers
  vipcast.baremetal.rollout_info:
    kind: DaemonSet
    namespace: metallb-system
    name: speaker
"""

RETURN = r"""
desired:
  description: How many pods there should be.
  returned: success
  type: int
  sample: 3
available:
  description: How many are available.
  returned: success
  type: int
  sample: 3
problems:
  description: Why pods are not available, a line for each.
  returned: always
  type: list
  elements: str
  sample: ["pod speaker-x2v7k on node2: container speaker: ErrImageNeverPull: Container image is not present"]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.api import Api
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.module import CLUSTER_SPEC, run
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.rollout import Rollout

SPEC: dict[str, t.Any] = {
    **CLUSTER_SPEC,
    "kind": {"type": "str", "choices": ["Deployment", "DaemonSet"], "required": True},
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "timeout": {"type": "int", "default": 120},
}


def wait(module: AnsibleModule, api: Api) -> dict[str, t.Any]:
    """Wait, and say how it went."""
    params = module.params
    rollout = Rollout(api, params["kind"], params["namespace"], params["name"])
    progress, problems = rollout.wait(params["timeout"])
    for problem in problems:
        module.warn(problem)
    counts = {"desired": progress.desired, "available": progress.available}
    return {"changed": False, "problems": problems, **counts}


def main() -> None:
    run(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), wait)


if __name__ == "__main__":
    main()
