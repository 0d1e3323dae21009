# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_info
short_description: Tell what a cluster is, and what speaks against a load balancer in it
version_added: 0.1.0
description:
  - Reads version, permissions, nodes, ranges, CNI plugins and load balancers of a cluster, and compares
    them with what is to be rolled out.
  - Changes nothing, and does not fail for what it finds; RV(problems) says it.
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
  gather_subset:
    description:
      - What to read. With V(nodes) alone RV(cluster) has the nodes and nothing else, and nothing is compared.
    type: list
    elements: str
    choices: [all, nodes]
    default: [all]
  pools:
    description: Address pools to compare with the ranges that are in use, each with C(name) and C(addresses).
    type: list
    elements: dict
    default: []
  nodes:
    description: Nodes that the cluster is to have, each with C(name) and, for messages, C(host).
    type: list
    elements: dict
    default: []
  pod_cidrs:
    description: Ranges of pods, besides those that the nodes have.
    type: list
    elements: str
    default: []
  service_cidrs:
    description: Ranges of services, besides those that the API knows.
    type: list
    elements: str
    default: []
  tolerated_load_balancers:
    description: Names of other load balancers that may stay, as RV(cluster.load_balancers) gives them.
    type: list
    elements: str
    default: []
  peers:
    description:
      - BGPPeers that the cluster is to have, each with C(namespace), C(name) and C(enable_graceful_restart),
        which can not be changed in place.
    type: list
    elements: dict
    default: []
  layer2:
    description:
      - Whether addresses are to be announced at layer 2. Then a kube-proxy that would have every node answer
        for them, and that nothing in the API configures, is a problem.
    type: bool
    default: false
  secrets:
    description: Secrets that have to be there, each with C(namespace) and C(name).
    type: list
    elements: dict
    default: []
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Look at the cluster
  vipcast.baremetal.cluster_info:
    pools:
      - name: default
        addresses: [10.9.0.0/16]
  register: found

- name: Show what speaks against it
  ansible.builtin.debug:
    var: found.problems
"""

RETURN = r"""
problems:
  description: What has to be put right first; each with the name of the refusal and a sentence.
  returned: success
  type: list
  elements: dict
  sample:
    - [{name: kubernetes-too-old, text: "Kubernetes v1.20.2: 1.23 is the oldest that works; upgrade the
      cluster"}]
warnings_found:
  description: What works, with a reservation.
  returned: success
  type: list
  elements: dict
  sample:
    - [{name: no-cel, text: "Kubernetes v1.24.1: the API server does not check the rules in our
      definitions"}]
cluster:
  description: What was read.
  returned: success
  type: dict
  contains:
    version:
      description: Kubernetes' version.
      type: dict
      sample: {major: 1, minor: 34, text: v1.34.4}
    forbidden:
      description: What a rollout does and this login may not.
      type: list
      elements: str
      sample: [patch daemonsets.apps]
    nodes:
      description: The nodes.
      type: list
      elements: dict
      sample: [{name: node1, ready: true, addresses: [10.31.8.1], pod_cidrs: [10.8.64.0/24]}]
    service_cidrs:
      description: Ranges of services, where the API knows them.
      type: list
      elements: str
      sample: [10.8.0.0/18]
    service_addresses:
      description: Addresses of the service kubernetes.
      type: list
      elements: str
      sample: [10.8.0.1]
    load_balancers:
      description: Load balancers other than ours.
      type: list
      elements: dict
      sample:
        - [{name: MetalLB, where: DaemonSet/metallb-system/speaker, note: "remove it, its objects can
          stay"}]
    network_plugins:
      description: CNI plugins that were recognised.
      type: list
      elements: dict
      sample: [{name: Flannel, verdict: "yes", note: ""}]
    peers:
      description: BGPPeers, in all namespaces.
      type: list
      elements: dict
      sample: [{namespace: metallb-system, name: router1, enable_graceful_restart: false}]
    unread:
      description: Paths of the API that this login may not read, and that were left out.
      type: list
      elements: str
      sample: [/apis/networking.k8s.io/v1/servicecidrs]
    kube_proxy:
      description: How kube-proxy is configured by its ConfigMap; null where there is none.
      type: dict
      sample: {mode: ipvs, strict_arp: true, kept_by: ""}
    kube_proxies_elsewhere:
      description:
        - Each kube-proxy that is a part of k3s or microk8s, or a static pod of RKE2. The mode is null where
          nobody shows it.
      type: list
      elements: dict
      sample: [{node: node1, of: k3s, mode: iptables, strict_arp: false}]
    absent_secrets:
      description: Those of O(secrets) that are not there.
      type: list
      elements: str
      sample: [metallb-system/registry]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.api import Api, ClusterError
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.discovery import Survey
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.module import CLUSTER_SPEC, run
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.requirements import (
    Finding,
    Wanted,
    findings,
)

SPEC: dict[str, t.Any] = {
    **CLUSTER_SPEC,
    "gather_subset": {"type": "list", "elements": "str", "choices": ["all", "nodes"], "default": ["all"]},
    "pools": {"type": "list", "elements": "dict", "default": []},
    "nodes": {"type": "list", "elements": "dict", "default": []},
    "pod_cidrs": {"type": "list", "elements": "str", "default": []},
    "service_cidrs": {"type": "list", "elements": "str", "default": []},
    "tolerated_load_balancers": {"type": "list", "elements": "str", "default": []},
    "peers": {"type": "list", "elements": "dict", "default": []},
    "layer2": {"type": "bool", "default": False},
    "secrets": {"type": "list", "elements": "dict", "default": [], "no_log": False},
}


def look(module: AnsibleModule, api: Api) -> dict[str, t.Any]:
    """One call of the module."""
    params = module.params
    if "all" not in params["gather_subset"]:
        return {
            "changed": False,
            "cluster": {"nodes": Survey(api).nodes()},
            "problems": [],
            "warnings_found": [],
        }
    survey = Survey(api)
    cluster = {**survey.all(), "absent_secrets": survey.absent_secrets(params["secrets"])}
    wanted = Wanted(
        params["pools"],
        params["nodes"],
        params["pod_cidrs"],
        params["service_cidrs"],
        params["tolerated_load_balancers"],
        params["peers"],
        params["layer2"],
    )
    try:
        found = findings(cluster, wanted)
    except (ValueError, KeyError) as exc:
        raise ClusterError(f"pools, pod_cidrs, service_cidrs or peers: {exc}") from exc
    return {
        "changed": False,
        "cluster": cluster,
        "problems": plain(found, fatal=True),
        "warnings_found": plain(found, fatal=False),
    }


def plain(found: list[Finding], *, fatal: bool) -> list[dict[str, str]]:
    """Findings as data."""
    return [{"name": each.name, "text": each.text} for each in found if each.fatal == fatal]


def main() -> None:
    run(AnsibleModule(argument_spec=SPEC, supports_check_mode=True), look)


if __name__ == "__main__":
    main()
