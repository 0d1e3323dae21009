# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that both kinds of advertisement have: which addresses, and from where."""

from __future__ import annotations


class ModuleDocFragment:
    """Pairs with C(module_utils/_cluster/kinds.py)."""

    DOCUMENTATION = r"""
options:
  ip_address_pools:
    description: Names of pools. Without it and without O(ip_address_pool_selectors), all pools.
    type: list
    elements: str
    aliases: [pools]
  ip_address_pool_selectors:
    description: Labels of pools, besides those that are named; one selector that matches is enough.
    type: list
    elements: dict
    aliases: [pool_selectors]
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
  node_selectors:
    description: Labels of the nodes that announce; one selector that matches is enough. Without it,
      all nodes.
    type: list
    elements: dict
    suboptions: *selector
  service_selectors:
    description: Labels of the services that are announced; one selector that matches is enough.
      Without it, all services.
    type: list
    elements: dict
    suboptions: *selector
"""
