# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: bgp_advertisement
short_description: Manage what is announced by BGP
version_added: 0.1.0
description:
  - Has a BGPAdvertisement of C(metallb.io/v1beta1), which says which pools are announced to which peers,
    from which nodes and with which attributes.
  - The routers have to accept it. In the inventory one declaration does both ends.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.managing_module
  - vipcast.baremetal.attributes.actiongroup_cluster
  - vipcast.baremetal.cluster
  - vipcast.baremetal.cluster_object
  - vipcast.baremetal.advertisement
options:
  peers:
    description: Names of the peers that it goes to. Without it, all of them.
    type: list
    elements: str
  aggregation_length:
    description:
      - Length of the announced IPv4 prefixes, from 1 to 32. The API's default is V(32),
        each address by itself. Not together with O(service_selectors).
    type: int
  aggregation_length_v6:
    description:
      - Length of the announced IPv6 prefixes, from 1 to 128. The API's default is V(128). Not together with
        O(service_selectors).
    type: int
  local_pref:
    description: LOCAL_PREF for iBGP peers. Routes with a higher one win.
    type: int
  communities:
    description:
      - Communities, as C(64512:100) or C(large:64512:1:2), and names out of
        M(vipcast.baremetal.community).
    type: list
    elements: str
  weighted_by_endpoints:
    description:
      - Tell the routers how many endpoints each node has, as the link bandwidth extended community,
        so that a router with weighted ECMP sends every node its share.
      - For services with C(externalTrafficPolicy) C(Local); others have no weight.
      - An extension of vipcast; MetalLB does not have it.
    type: bool
  med:
    description:
      - MULTI_EXIT_DISC of the routes. Of several routes of one neighboring AS routers prefer a lower one.
      - An extension of vipcast; MetalLB does not have it.
    type: int
  as_path_prepend:
    description:
      - How many times more than once the AS of the cluster stands in the path, from 0 to 10. Routers prefer a
        shorter path. For eBGP peers; on iBGP the path is empty.
      - An extension of vipcast; MetalLB does not have it.
    type: int
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Announce each address of every pool to every peer
  vipcast.baremetal.bgp_advertisement:
    name: default

- name: Announce one pool as a whole to the upstream router, and tag it
  vipcast.baremetal.bgp_advertisement:
    name: upstream
    ip_address_pools: [shop]
    peers: [router1]
    aggregation_length: 28
    communities: ["64513:100", no-export]
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
      sample: BGPAdvertisement metallb-system/upstream
    field:
      description: The field.
      type: str
      sample: spec.communities[0]
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
      sample: BGPAdvertisement/metallb-system/upstream
    where:
      description: The field.
      type: str
      sample: spec.communities[0]
    expected:
      description: What is declared.
      type: str
      sample: "64513:100"
    found:
      description: What was there.
      type: str
      sample: "64513:99"
"""

from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.kinds import BGP_ADVERTISEMENT
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.object_module import run_for


def main() -> None:
    run_for(BGP_ADVERTISEMENT)


if __name__ == "__main__":
    main()
