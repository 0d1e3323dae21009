# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: kube_proxy
short_description: Manage kube-proxy's configuration in a cluster
version_added: 0.1.0
description:
  - Sets values in the KubeProxyConfiguration inside the ConfigMap that kubeadm makes for kube-proxy. Values
    that are not given, their order and comments stay as they are written.
  - Replaces kube-proxy's pods when something changed, and waits until they run.
  - Skips where there is no kube-proxy, as on k3s or with Cilium in its place.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.here
  - vipcast.baremetal.attributes.managing_module
  - vipcast.baremetal.attributes.actiongroup_cluster
  - vipcast.baremetal.cluster
options:
  strict_arp:
    description:
      - Whether nodes in IPVS mode answer ARP only for addresses of the asked interface. C(ipvs.strictARP),
        needed by load balancers that answer ARP themselves.
    type: bool
  strict_arp_in:
    description:
      - Where O(strict_arp) is set. V(ipvs) leaves a kube-proxy of any other mode as it is, because the field
        has no effect there and a change replaces all pods. The mode is that of O(mode), else the one that is
        found.
    type: str
    choices: [any, ipvs]
    default: any
  mode:
    description: How kube-proxy forwards. C(mode).
    type: str
    choices: [iptables, ipvs, nftables]
  settings:
    description: Further fields of KubeProxyConfiguration. Mappings are merged, anything else is replaced.
    type: dict
    default: {}
  wait:
    description: Whether to wait until all pods run with the new configuration.
    type: bool
    default: true
  timeout:
    description: How long to wait while no more pods are replaced or available, in seconds.
    type: int
    default: 300
  namespace:
    description: Namespace of kube-proxy.
    type: str
    default: kube-system
  configmap:
    description: Name of the ConfigMap.
    type: str
    default: kube-proxy
  key:
    description: Key of the configuration in the ConfigMap.
    type: str
    default: config.conf
  daemonset:
    description: Name of the DaemonSet.
    type: str
    default: kube-proxy
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Let no node but one answer ARP for a load balancer's address
  vipcast.baremetal.kube_proxy:
    strict_arp: true

- name: Do the same, but leave a kube-proxy alone to which it makes no difference
  vipcast.baremetal.kube_proxy:
    strict_arp: true
    strict_arp_in: ipvs

- name: Forward by nftables, and synchronise faster
  vipcast.baremetal.kube_proxy:
    mode: nftables
    settings:
      nftables:
        minSyncPeriod: 500ms
"""

RETURN = r"""
configuration:
  description:
    - The whole KubeProxyConfiguration as the API server has it after the call, or in check mode would have
      it.
  returned: when there is a kube-proxy
  type: dict
  sample: {mode: ipvs, ipvs: {strictARP: true}}
rolled_out:
  description: Whether pods were replaced.
  returned: when there is a kube-proxy
  type: bool
  sample: true
pods:
  description: How many pods should run and how many are available.
  returned: when pods were waited for
  type: dict
  sample: {desired: 3, available: 3}
drift:
  description: Each difference that was found.
  returned: success
  type: list
  elements: dict
  contains:
    what:
      description: Kind, namespace and name of the object.
      type: str
      sample: ConfigMap/kube-system/kube-proxy
    where:
      description: The key and the field.
      type: str
      sample: config.conf ipvs.strictARP
    expected:
      description: What is declared.
      type: str
      sample: "true"
    found:
      description: What was there.
      type: str
      sample: "false"
"""

import datetime
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.api import Api, ClusterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.kube_proxy import (
    NoKubeProxyError,
    Place,
    Situation,
    annotation,
    diff_of,
    drift_of,
    look,
    restart,
    unknown_fields,
    write,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.module import CLUSTER_SPEC, run
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.rollout import Rollout, progress_of
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.settings import merged

SPEC: dict[str, t.Any] = {
    **CLUSTER_SPEC,
    "strict_arp": {"type": "bool"},
    "strict_arp_in": {"type": "str", "choices": ["any", "ipvs"], "default": "any"},
    "mode": {"type": "str", "choices": ["iptables", "ipvs", "nftables"]},
    "settings": {"type": "dict", "default": {}},
    "wait": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 300},
    "namespace": {"type": "str", "default": "kube-system"},
    "configmap": {"type": "str", "default": "kube-proxy"},
    "key": {"type": "str", "default": "config.conf", "no_log": False},
    "daemonset": {"type": "str", "default": "kube-proxy"},
}


def wanted_of(params: dict[str, t.Any], mode: str) -> dict[str, t.Any]:
    """The options as fields of KubeProxyConfiguration; `mode` is the one that is found."""
    wanted: dict[str, t.Any] = dict(params["settings"])
    if params["mode"] is not None:
        wanted["mode"] = params["mode"]
    counts = params["strict_arp_in"] == "any" or wanted.get("mode", mode) == "ipvs"
    if params["strict_arp"] is not None and counts:
        wanted = merged(wanted, {"ipvs": {"strictARP": params["strict_arp"]}})
    return wanted


def change(module: AnsibleModule, api: Api, found: Situation) -> dict[str, t.Any]:
    """Write, replace the pods, wait, read back."""
    moment = found.owed or datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
    if found.differs:
        moment = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        write(api, found, moment)
    if found.daemonset is None:
        module.warn(f"{found.place.daemonset_title} does not exist: restart kube-proxy where it runs")
        return {"rolled_out": False}
    restart(api, found.place, moment)
    return {"rolled_out": True, **wait(module, api, found.place)}


def wait(module: AnsibleModule, api: Api, place: Place) -> dict[str, t.Any]:
    """Wait for the pods; what is amiss on nodes that are not ready is a warning."""
    if not module.params["wait"]:
        return {}
    rollout = Rollout(api, "DaemonSet", place.namespace, place.daemonset)
    progress, problems = rollout.wait(module.params["timeout"])
    for problem in problems:
        module.warn(problem)
    return {"pods": {"desired": progress.desired, "available": progress.available}}


def ensure(module: AnsibleModule, api: Api) -> dict[str, t.Any]:
    """One call of the module."""
    params = module.params
    place = Place(params["namespace"], params["configmap"], params["key"], params["daemonset"])
    for warning in unknown_fields(params["settings"]):
        module.warn(warning)
    try:
        wanted = wanted_of(params, str(look(api, place, {}).values.get("mode") or ""))
        found = look(api, place, wanted)
    except NoKubeProxyError as exc:
        return {"changed": False, "skipped": True, "msg": f"skipped, no kube-proxy: {exc}", "drift": []}
    drift = drift_of(found)
    result: dict[str, t.Any] = {
        "changed": bool(drift),
        "drift": drift,
        "diff": diff_of(found),
        "rolled_out": False,
    }
    if drift and not module.check_mode:
        result.update(change(module, api, found))
        return {**result, "configuration": read_back(api, place, wanted)}
    if was_interrupted(found) and not module.check_mode:
        result.update(wait(module, api, place))
    return {**result, "configuration": merged(found.values, wanted)}


def was_interrupted(found: Situation) -> bool:
    """Return whether pods that an earlier call replaced are not all replaced yet."""
    daemonset = found.daemonset
    if daemonset is None or annotation(daemonset["spec"]["template"]) is None:
        return False
    return not progress_of({**daemonset, "kind": "DaemonSet"}).replaced


def read_back(api: Api, place: Place, wanted: dict[str, t.Any]) -> dict[str, t.Any]:
    """The configuration as it is now; raises ClusterError when it is not what was written."""
    now = look(api, place, wanted)
    if now.differs:
        left = ", ".join(entry["where"] for entry in drift_of(now))
        raise ClusterError(f"{place.title}: changed back by somebody else at once: {left}")
    return now.values


def main() -> None:
    run(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), ensure)


if __name__ == "__main__":
    main()
