# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module in the task's own process where that is enough."""

from __future__ import annotations

from ansible_collections.vipcast.baremetal.plugins.modules import tree_digest_info as module
from ansible_collections.vipcast.baremetal.plugins.plugin_utils._here import Here, HereAction, Result


class ActionModule(HereAction):
    """The work of the module C(tree_digest_info)."""

    SPEC = module.SPEC

    def _work(self, here: Here) -> Result:
        return module.outcome(here.params)
