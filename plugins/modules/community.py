# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: community
short_description: Manage names for BGP communities
version_added: 0.1.0
description:
  - Has a Community of C(metallb.io/v1beta1), names that advertisements may use instead of numbers.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.managing_module
  - vipcast.baremetal.attributes.actiongroup_cluster
  - vipcast.baremetal.cluster
  - vipcast.baremetal.cluster_object
options:
  communities:
    description: The names. Required with O(state=present).
    type: list
    elements: dict
    suboptions:
      name:
        description: The name. No other Community may define it too.
        type: str
        required: true
      value:
        description: What it means, as C(64512:100) or C(large:64512:1:2).
        type: str
        required: true
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Name the well-known communities
  vipcast.baremetal.community:
    name: well-known
    communities:
      - {name: no-export, value: "65535:65281"}
      - {name: no-advertise, value: "65535:65282"}
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
      sample: Community metallb-system/well-known
    field:
      description: The field.
      type: str
      sample: spec.communities[0].value
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
      sample: Community/metallb-system/well-known
    where:
      description: The field.
      type: str
      sample: spec.communities[0].value
    expected:
      description: What is declared.
      type: str
      sample: "65535:65281"
    found:
      description: What was there.
      type: str
      sample: "65535:65280"
"""

from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.kinds import COMMUNITY
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.object_module import run_for


def main() -> None:
    run_for(COMMUNITY)


if __name__ == "__main__":
    main()
