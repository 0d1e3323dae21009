# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module in the task's own process where that is enough."""

from __future__ import annotations

from ansible_collections.vipcast.baremetal.plugins.modules import allocation_plan_info as module
from ansible_collections.vipcast.baremetal.plugins.plugin_utils._here import ClusterAction


class ActionModule(ClusterAction):
    """The work of the module C(allocation_plan_info)."""

    SPEC = module.SPEC
    WORK = staticmethod(module.read)
