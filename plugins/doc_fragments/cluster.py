# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of every module that asks an API server: how to reach the cluster."""

from __future__ import annotations


class ModuleDocFragment:
    """Pairs with C(module_utils/_cluster/module.py)."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Kubeconfig file on the machine that the module runs on.
      - Without it, the environment's E(KUBECONFIG), or C(~/.kube/config).
    type: path
  context:
    description: Context in the kubeconfig. Without it, the current one.
    type: str
requirements:
  - PyYAML, on the machine that the module runs on
  - kubernetes, the Python package, where the kubeconfig says more than certificates, a token or a password
"""
