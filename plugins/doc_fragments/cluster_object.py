# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that the modules for one object of the configuration have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Pairs with C(module_utils/_cluster/object_module.py)."""

    DOCUMENTATION = r"""
options:
  name:
    description: Name of the object.
    type: str
    required: true
  namespace:
    description: Namespace of the load balancer, which reads its configuration there only.
    type: str
    default: metallb-system
  state:
    description:
      - V(present) has the object with the given options. An option that is not given is not declared; a field
        that the collection set before goes back to its default, and one that somebody else set stays.
      - V(absent) has no such object, whoever made it.
    type: str
    choices: [present, absent]
    default: present
  labels:
    description: Labels of the object. Others stay.
    type: dict
notes:
  - The object is applied by server-side apply, as field manager C(vipcast), which is the one of
    M(vipcast.baremetal.object_set) and of the role P(vipcast.baremetal.load_balancer#role) too. A declared
    field that somebody else changed is set back.
  - What is wrong with the object by itself fails before anything is written, in the controller's words.
    What is wrong between several objects does not fail, since they may come in any order; it is a warning,
    and in RV(ignore:problems).
  - In check mode the API server tries the object as a dry run. Where it does not serve the kind yet, the
    object is judged only, and a warning says so.
seealso:
  - module: vipcast.baremetal.object_set
"""
