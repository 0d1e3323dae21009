# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: object_set
short_description: Manage many Kubernetes objects as one desired state
version_added: 0.1.0
description:
  - Applies a set of objects by server-side apply, as field manager C(vipcast), in an order in which they
    can exist.
  - All objects are tried as a dry run first. Where the API server refuses one, none is applied.
  - A declared field that somebody else changed is set back. A field that somebody else added and that is not
    declared stays.
  - An object that the set created and that is no longer declared is removed. It is known by the label
    C(vipcast.io/set), which only objects that the set created carry. Others are never removed.
  - Namespaces and CustomResourceDefinitions are removed with O(state=absent) only.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.here
  - vipcast.baremetal.attributes.managing_module
  - vipcast.baremetal.attributes.actiongroup_cluster
  - vipcast.baremetal.cluster
options:
  name:
    description: The name of the set, a valid label value.
    type: str
    required: true
  state:
    description:
      - V(present) makes the set what O(objects) says.
      - V(absent) removes every object that the set created, of the kinds in O(objects) and O(prune_kinds).
    type: str
    choices: [present, absent]
    default: present
  objects:
    description:
      - The objects, as in manifests.
      - Ansible shows and logs what they contain. Texts of Secrets belong into O(secret_data), and a password
        of a BGPPeer into a Secret that its C(passwordSecret) names.
    type: list
    elements: dict
    default: []
  secret_data:
    description:
      - Texts of Secrets of O(objects), by the Secret's name and the key. They are neither shown nor logged.
    type: dict
    default: {}
  namespace:
    description: Namespace of the objects that name none.
    type: str
  if_served:
    description:
      - Kinds, as C(API_VERSION/KIND), that a set goes without where the API server does not serve them. An
        object of another kind that is not served is a failure.
    type: list
    elements: str
    default: []
  prune:
    description: Whether to remove objects that are no longer declared.
    type: bool
    default: true
  prune_kinds:
    description:
      - Kinds in which to look for objects that are no longer declared, as C(API_VERSION/KIND), besides the
        kinds of O(objects). A kind that the API server does not serve has no objects.
    type: list
    elements: str
    default: []
  timeout:
    description: How long to wait for removed objects to be gone, in seconds.
    type: int
    default: 120
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Have exactly these pools
  vipcast.baremetal.object_set:
    name: pools
    namespace: metallb-system
    objects:
      - apiVersion: metallb.io/v1beta1
        kind: IPAddressPool
        metadata:
          name: default
        spec:
          addresses: [10.9.0.0/16]

- name: Have a Secret whose text nobody sees
  vipcast.baremetal.object_set:
    name: passwords
    namespace: metallb-system
    objects:
      - apiVersion: v1
        kind: Secret
        metadata:
          name: router1-password
        type: kubernetes.io/basic-auth
    secret_data:
      router1-password:
        password: "{{ vault_bgp_password }}"

- name: Remove what the set created
  vipcast.baremetal.object_set:
    name: pools
    state: absent
    prune_kinds: [metallb.io/v1beta1/IPAddressPool]
"""

RETURN = r"""
objects:
  description: What became of each object, or in check mode would, in the order of the work.
  returned: success
  type: list
  elements: dict
  contains:
    object:
      description: Kind, namespace and name.
      type: str
      sample: IPAddressPool/metallb-system/default
    action:
      description:
        - What was done. V(adopt) is said of an object that was there before and that this set does not
          remove.
      type: str
      sample: repair
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
      sample: 10.9.0.0/16
    found:
      description: What was there.
      type: str
      sample: 10.8.0.0/16
refusals:
  description: What the API server said about each object that it refuses.
  returned: failure
  type: list
  elements: str
  sample: ["IPAddressPool/metallb-system/default: spec.addresses: Required value"]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.api import Api, ClusterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.entries import (
    Entry,
    Step,
    diff_of,
    drift_of,
    entries,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.module import CLUSTER_SPEC, run
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.resources import Kind, Kinds
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.secret_data import (
    passwords_of,
    with_data,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.sets import ObjectSet

SPEC: dict[str, t.Any] = {
    **CLUSTER_SPEC,
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "objects": {"type": "list", "elements": "dict", "default": []},
    "secret_data": {"type": "dict", "default": {}, "no_log": True},
    "namespace": {"type": "str"},
    "if_served": {"type": "list", "elements": "str", "default": []},
    "prune": {"type": "bool", "default": True},
    "prune_kinds": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 120},
}


def searched(kinds: Kinds, wanted: list[Entry], extra: list[str]) -> set[Kind]:
    """The kinds in which surplus objects are looked for; those that are not served have none."""
    found = {kinds.find(entry.kind.api_version, entry.kind.name) for entry in wanted}
    for name in extra:
        api_version, _slash, kind = name.rpartition("/")
        if not api_version:
            raise ClusterError(
                f"prune_kinds: {name!r}: expected API_VERSION/KIND, such as apps/v1/Deployment"
            )
        found.add(kinds.find(api_version, kind))
    return {kind for kind in found if kind is not None}


def served(kinds: Kinds, manifests: list[dict[str, t.Any]], optional: list[str]) -> list[dict[str, t.Any]]:
    """The manifests without those of the `optional` kinds that the API server does not serve."""
    return [
        each
        for each in manifests
        if f"{each.get('apiVersion')}/{each.get('kind')}" not in optional
        or kinds.find(each["apiVersion"], each["kind"]) is not None
    ]


def report(steps: list[Step], adopted: list[Step]) -> dict[str, t.Any]:
    """The module's result."""
    changes = [step for step in steps if step.verb != "keep"]
    kept = {id(step) for step in adopted}
    return {
        "changed": bool(changes),
        "objects": [
            {"object": step.entry.title, "action": "adopt" if id(step) in kept else step.verb}
            for step in steps
        ],
        "drift": [entry for step in changes for entry in drift_of(step)],
        "diff": [diff_of(step) for step in changes],
    }


def present(module: AnsibleModule, objects: ObjectSet, kinds: Kinds, wanted: list[Entry]) -> dict[str, t.Any]:
    """Make the set what is declared."""
    params = module.params
    steps = objects.compare(wanted)
    surplus = (
        objects.surplus(wanted, searched(kinds, wanted, params["prune_kinds"])) if params["prune"] else []
    )
    if not module.check_mode:
        objects.apply(steps)
        objects.remove(surplus, params["timeout"])
    adopted = [step for step in steps if step.verb == "repair" and not objects.is_ours(step.before)]
    return report([*steps, *surplus], adopted)


def absent(module: AnsibleModule, objects: ObjectSet, kinds: Kinds, wanted: list[Entry]) -> dict[str, t.Any]:
    """Remove all that the set created."""
    surplus = objects.surplus([], searched(kinds, wanted, module.params["prune_kinds"]), whole=True)
    if not module.check_mode:
        objects.remove(surplus, module.params["timeout"])
    return report(surplus, [])


def ensure(module: AnsibleModule, api: Api) -> dict[str, t.Any]:
    """One call of the module."""
    lenient = module.check_mode or module.params["state"] == "absent"
    kinds = Kinds(api, lenient=lenient)
    # The result repeats the options.
    module.no_log_values.update(passwords_of(module.params["objects"]))
    given = with_data(module.params["objects"], module.params["secret_data"])
    manifests = served(kinds, given, module.params["if_served"])
    wanted = entries(manifests, kinds, module.params["namespace"])
    objects = ObjectSet(api, kinds, module.params["name"], lenient=lenient)
    work = present if module.params["state"] == "present" else absent
    return work(module, objects, kinds, wanted)


def main() -> None:
    run(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)


if __name__ == "__main__":
    main()
