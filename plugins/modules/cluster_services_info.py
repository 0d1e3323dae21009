# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_services_info
short_description: Read a cluster's nodes and LoadBalancer services
version_added: 0.1.0
description:
  - Returns what has to be known to say where the traffic of a LoadBalancer service should arrive - the nodes
    that are ready, the services' addresses and ports, and the nodes on which they have endpoints that serve.
  - Reads nodes, services and endpoint slices, and nothing of the load balancer's own.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.actiongroup_cluster
  - vipcast.baremetal.attributes.info_module
  - vipcast.baremetal.cluster
attributes:
  platform:
    support: full
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Read the services
  vipcast.baremetal.cluster_services_info:
    kubeconfig: ~/.kube/config
  delegate_to: localhost
  register: cluster

- name: Show the addresses that are in use
  ansible.builtin.debug:
    msg: "{{ cluster.services | map(attribute='addresses') | flatten }}"
"""

RETURN = r"""
nodes:
  description: The cluster's nodes, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The node's name.
      type: str
      sample: node1
    ready:
      description: Whether its condition Ready is true.
      type: bool
    drained:
      description: Whether its speaker was told to leave, by the annotation C(vipcast.io/drain).
      type: bool
    addresses:
      description: Its addresses in the cluster's network (C(InternalIP)), one of each family that it has.
      type: list
      elements: str
      sample: [10.31.8.1]
    excluded:
      description: Whether it is labelled C(node.kubernetes.io/exclude-from-external-load-balancers).
      type: bool
    network_unavailable:
      description: Whether its condition NetworkUnavailable is true.
      type: bool
    reason:
      description: Why it is not ready, in the API's word; empty where it is.
      type: str
      sample: NodeStatusUnknown
services:
  description: The services of type LoadBalancer, by namespace and name.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: The service's namespace.
      type: str
      sample: default
    name:
      description: The service's name.
      type: str
      sample: web
    labels:
      description: The service's labels.
      type: dict
      sample: {"tier": "front"}
    addresses:
      description: The addresses that it was given.
      type: list
      elements: str
      sample: [10.9.1.1]
    load_balancer_class:
      description: Its C(loadBalancerClass); V(none) means the cluster's default load balancer.
      type: str
    external_traffic_policy:
      description: Whether all nodes take its traffic (C(Cluster)) or only those with an endpoint (C(Local)).
      type: str
      sample: Cluster
    session_affinity:
      description: C(ClientIP) where a client always meets the same endpoint.
      type: str
      sample: None
    ports:
      description: Its ports, each with C(name), C(port), C(protocol) and C(app_protocol).
      type: list
      elements: dict
      sample: [{"name": "http", "port": 80, "protocol": "TCP", "app_protocol": ""}]
    endpoints:
      description: Its endpoints, each with C(node), C(pod), C(ready) and C(serving).
      type: list
      elements: dict
      sample: [{"node": "node1", "pod": "web-7d4b9-abcde", "ready": true, "serving": true}]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.api import Api
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.module import CLUSTER_SPEC, run
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.services import (
    read_nodes,
    read_services,
)

NODES = "/api/v1/nodes"
SERVICES = "/api/v1/services"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"


def main() -> None:
    """One connection, three lists."""
    run(AnsibleModule(argument_spec=CLUSTER_SPEC, supports_check_mode=True), read)


def read(_module: AnsibleModule, api: Api) -> dict[str, Any]:
    """The result of the module."""
    services, slices = api.get(SERVICES)["items"], api.get(SLICES)["items"]
    return {
        "changed": False,
        "nodes": read_nodes(api.get(NODES)["items"]),
        "services": read_services(services, slices),
    }


if __name__ == "__main__":
    main()
