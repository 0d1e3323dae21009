# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: bgp_peer
short_description: Manage a router that the speakers have BGP sessions with
version_added: 0.1.0
description:
  - Has a BGPPeer of C(metallb.io/v1beta2), a router as seen from the nodes.
  - The router has to know the nodes too. In the inventory one declaration does both ends.
  - What the speaker does not do yet is said in RV(problems), and the object is accepted.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.managing_module
  - vipcast.baremetal.attributes.actiongroup_cluster
  - vipcast.baremetal.cluster
  - vipcast.baremetal.cluster_object
options:
  my_asn:
    description: AS number of the cluster. Required with O(state=present).
    type: int
  peer_asn:
    description:
      - AS number of the router; the same as O(my_asn) for iBGP.
      - With O(state=present), one of O(peer_asn) and O(dynamic_asn) is required.
    type: int
  dynamic_asn:
    description: Take any AS number of the router, the same as ours (V(internal)) or another (V(external)).
    type: str
    choices: [internal, external]
  local_asn:
    description: Another AS number of the cluster, for this session only.
    type: int
  peer_address:
    description:
      - Address of the router.
      - With O(state=present), one of O(peer_address) and O(interface) is required.
    type: str
  interface:
    description: Interface to the router, for a session without addresses (unnumbered).
    type: str
  peer_port:
    description: TCP port of the router. The API's default is V(179), which V(0) means too.
    type: int
  source_address:
    description: Address of the node that the session is made from.
    type: str
  router_id:
    description: BGP identifier of the speaker, an IPv4 address. Without it, the node's address.
    type: str
  hold_time:
    description:
      - After so much silence the peer is given up; V(0s) never. A duration such as V(90s) or V(1m30s), or a
        number of seconds.
      - Without it, V(90s), or three times O(keepalive_time).
    type: str
  keepalive_time:
    description: How often to say that we are alive. Without it, a third of O(hold_time).
    type: str
  connect_time:
    description: Time between two attempts to connect, in whole seconds.
    type: str
  node_selectors:
    description: Labels of the nodes that have the session; one selector that matches is enough. Without it,
      all nodes.
    type: list
    elements: dict
    suboptions: &selector
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
  password:
    description:
      - Password of TCP MD5, at most 80 bytes. Whoever may read the object may read it. Better use
        O(password_secret).
    type: str
  password_secret:
    description: The Secret that has the password, as its key C(password).
    type: dict
    suboptions:
      name:
        description: Name of the Secret.
        type: str
        required: true
      namespace:
        description: Its namespace, which has to be that of the peer.
        type: str
  bfd_profile:
    description: Name of the BFD profile for the session.
    type: str
  enable_graceful_restart:
    description: Whether the router keeps the routes while the speaker restarts. It cannot be changed later.
    type: bool
    aliases: [graceful_restart]
  graceful_restart_time:
    description:
      - How long the router keeps the routes, in whole seconds up to V(4095s). For
        O(enable_graceful_restart=true).
      - Without it, V(120s).
    type: str
  ebgp_multi_hop:
    description: Whether the router may be more than one hop away. For eBGP only.
    type: bool
    aliases: [ebgp_multihop]
  ttl_security_hops:
    description:
      - Take packets of the router from at most so many hops away (RFC 5082), from 1 (the next one) to 254.
        Excludes O(ebgp_multi_hop).
      - The router has to do the same.
    type: int
  passive:
    description: Never connect to the router, wait for it. The speaker has to listen.
    type: bool
  vrf:
    description: Name of the nodes' VRF that the session is in.
    type: str
  dual_stack_address_family:
    description: Announce IPv4 and IPv6 over this one session. Without it, the family of O(peer_address).
    type: bool
  disable_mp:
    description: Without effect, as it asks for what is so without O(dual_stack_address_family).
    type: bool
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Peer with a router
  vipcast.baremetal.bgp_peer:
    name: router1
    my_asn: 64513
    peer_asn: 64512
    peer_address: 192.0.2.1
    hold_time: 9s
    password_secret:
      name: router1-password

- name: Peer with a router of the second rack, from the nodes there
  vipcast.baremetal.bgp_peer:
    name: router2
    my_asn: 64513
    peer_asn: 64512
    peer_address: 192.0.2.2
    node_selectors:
      - match_labels: {rack: "2"}
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
      sample: BGPPeer metallb-system/router1
    field:
      description: The field.
      type: str
      sample: spec.peerASN
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
      sample: BGPPeer/metallb-system/router1
    where:
      description: The field.
      type: str
      sample: spec.peerASN
    expected:
      description: What is declared.
      type: str
      sample: "64512"
    found:
      description: What was there.
      type: str
      sample: "64511"
"""

from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.kinds import BGP_PEER
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.object_module import run_for


def main() -> None:
    run_for(BGP_PEER)


if __name__ == "__main__":
    main()
