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
  - Reads nodes, services and endpoint slices. Of what the load balancer says it reads which node owns an
    address at layer 2 (ServiceL2Status), and the latest warning about a service that has no address. Of its
    configuration it reads which pools there are (IPAddressPool).
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.here
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
    complaint:
      description: Of a service without an address, its latest warning; empty where there is none.
      type: str
      sample: ""
    endpoints:
      description: Its endpoints, each with C(node), C(pod), C(ready) and C(serving).
      type: list
      elements: dict
      sample: [{"node": "node1", "pod": "web-7d4b9-abcde", "ready": true, "serving": true}]
pools:
  description: The pools of addresses, by namespace and name; none where the cluster has no such kind.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: The pool's namespace.
      type: str
      sample: metallb-system
    name:
      description: The pool's name.
      type: str
      sample: default
    labels:
      description: The pool's labels.
      type: dict
      sample: {"zone": "outside"}
    addresses:
      description: Its ranges, as they were written.
      type: list
      elements: str
      sample: [203.0.113.0/25]
owners:
  description: Which node says that it owns an address at layer 2, by service and address.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: The service, as NAMESPACE/NAME.
      type: str
      sample: default/web
    address:
      description: The address; V(none) means all of the service's.
      type: str
      sample: 10.31.8.100
    node:
      description: The node's name.
      type: str
      sample: node1
    interfaces:
      description: The interfaces on which it answers; none given means all.
      type: list
      elements: str
      sample: [eth0]
    macs:
      description: The MAC addresses of these interfaces, where the status says them.
      type: list
      elements: str
      sample: ["52:54:00:0a:1f:01"]
    foreign:
      description: MAC addresses that answered for the address too, as far as the owner heard.
      type: list
      elements: str
      sample: []
    since:
      description: Since when, as in RFC 3339; V(none) where the status does not say.
      type: str
      sample: "2026-01-02T12:00:00Z"
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.api import Api
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.module import CLUSTER_SPEC, run
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.services import (
    read_complaints,
    read_nodes,
    read_owners,
    read_pools,
    read_services,
    with_complaints,
)

NODES = "/api/v1/nodes"
SERVICES = "/api/v1/services"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
EVENTS = "/api/v1/events"
# A cluster without the kinds has no owners and no pools.
OWNERS = "/apis/metallb.io/v1beta1/servicel2statuses"
POOLS = "/apis/metallb.io/v1beta1/ipaddresspools"


def main() -> None:
    """One connection, a few lists."""
    run(AnsibleModule(argument_spec=CLUSTER_SPEC, supports_check_mode=True), read)


def read(_module: AnsibleModule, api: Api) -> dict[str, Any]:
    """The result of the module."""
    services = read_services(api.get(SERVICES)["items"], api.get(SLICES)["items"])
    return {
        "changed": False,
        "nodes": read_nodes(api.get(NODES)["items"]),
        "services": with_complaints(services, complaints(api, services)),
        "pools": read_pools(found(api, POOLS)),
        "owners": read_owners(found(api, OWNERS)),
    }


def found(api: Api, path: str) -> list[dict[str, Any]]:
    """Return the objects of a kind that the cluster may not have."""
    return (api.find(path) or {}).get("items") or []


def complaints(api: Api, services: list[dict[str, Any]]) -> dict[str, str]:
    """Warnings about services. There may be thousands: they are read where one of them can say something."""
    if all(service["addresses"] for service in services):
        return {}
    chosen = {"fieldSelector": "involvedObject.kind=Service,type=Warning"}
    return read_complaints(api.get(EVENTS, **chosen)["items"])


if __name__ == "__main__":
    main()
