# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The attributes of modules: each names these fragments and adds its own ``support``."""

from __future__ import annotations


class ModuleDocFragment:
    """C(attributes) for all modules, C(attributes.actiongroup_*) for the members of a group."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: In check mode nothing is changed, and the result says what would be.
  diff_mode:
    description: In diff mode the result holds the managed state before and after.
  idempotent:
    description: A second run with the same options finds nothing to do.
  platform:
    description: Where the module's work takes effect.
    platforms: posix
"""

    # Modules that work against the API server of a cluster.
    ACTIONGROUP_CLUSTER = r"""
options: {}
attributes:
  action_group:
    description: C(group/vipcast.baremetal.cluster) in C(module_defaults) sets options for all of them.
    support: full
    membership:
      - vipcast.baremetal.cluster
"""

    # Modules that work on a router through nothing but a shell.
    ACTIONGROUP_ROUTER = r"""
options: {}
attributes:
  action_group:
    description: C(group/vipcast.baremetal.router) in C(module_defaults) sets options for all of them.
    support: full
    membership:
      - vipcast.baremetal.router
"""

    # Modules that make something as it is declared.
    MANAGING_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
"""

    # Modules that read and never write.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details: The module changes nothing, so check mode makes no difference.
  diff_mode:
    support: N/A
    details: The module changes nothing.
  idempotent:
    support: full
    details: The module changes nothing.
"""

    # Modules whose work is done in the task's own process where that is possible.
    HERE = r"""
options: {}
attributes:
  action:
    description: An action plugin of this name runs on the control node.
    support: partial
    details:
      - It does the module's work itself where the connection is local, and neither C(become),
        C(environment) nor C(async) is used. Everywhere else it starts the module.
"""

    # Modules whose work is done by an action plugin of the same name.
    ACTION = r"""
options: {}
attributes:
  action:
    description: An action plugin of this name runs on the control node.
    support: full
    details: The managed host needs a POSIX shell and no Python.
"""
