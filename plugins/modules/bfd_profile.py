# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: bfd_profile
short_description: Manage timers of BFD
version_added: 0.1.0
description:
  - Has a BFDProfile of C(metallb.io/v1beta1), which says how fast a dead router is noticed, for the peers
    that name it.
  - What the speaker does not do yet is said in RV(problems), and the object is accepted.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.managing_module
  - vipcast.baremetal.attributes.actiongroup_cluster
  - vipcast.baremetal.cluster
  - vipcast.baremetal.cluster_object
options:
  receive_interval:
    description: Shortest time between two packets of the peer that we take, from 10 to 60000 milliseconds.
    type: int
  transmit_interval:
    description: Shortest time between two packets of ours, from 10 to 60000 milliseconds.
    type: int
  detect_multiplier:
    description: After how many missing packets the peer is down, from 2 to 255.
    type: int
  echo_interval:
    description: Shortest time between two echo packets, from 10 to 60000 milliseconds.
    type: int
  echo_mode:
    description: Whether to use echo packets. Not for IPv6.
    type: bool
  passive_mode:
    description: Whether to wait for the peer's first packet.
    type: bool
  minimum_ttl:
    description: Smallest TTL of the peer's packets over several hops, from 1 to 254.
    type: int
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Notice a dead router within 300 milliseconds
  vipcast.baremetal.bfd_profile:
    name: fast
    receive_interval: 100
    transmit_interval: 100
    detect_multiplier: 3
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
      sample: BFDProfile metallb-system/fast
    field:
      description: The field.
      type: str
      sample: spec.detectMultiplier
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
      sample: BFDProfile/metallb-system/fast
    where:
      description: The field.
      type: str
      sample: spec.detectMultiplier
    expected:
      description: What is declared.
      type: str
      sample: "3"
    found:
      description: What was there.
      type: str
      sample: "5"
"""

from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.kinds import BFD_PROFILE
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.object_module import run_for


def main() -> None:
    run_for(BFD_PROFILE)


if __name__ == "__main__":
    main()
