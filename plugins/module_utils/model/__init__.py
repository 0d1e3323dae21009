# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of a configuration: pools, peers, advertisements and what they name, and their problems.

Ansible modules and the daemons judge a configuration with these same files. They do no I/O and need nothing
but the standard library. Reading order: ``reasons``, ``problems``, ``fields``, ``addresses``, ``selectors``,
a file for each kind (``pools``, ``communities``, ``peers``, ``bfd``, ``advertisements``,
``layer2``); ``objects`` (each by itself), ``relations`` (among each other), ``configuration``. ``legacy`` has
the same in MetalLB's old ConfigMap.
"""
