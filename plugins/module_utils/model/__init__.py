# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a configuration says: pools, peers and advertisements, and what is wrong with them.

Ansible modules and the daemons judge a configuration with these same files. They do no I/O and need nothing
but the standard library. Reading order: ``reasons``, ``problems``, ``fields``, ``addresses``, ``selectors``,
``pools``, ``peers``, ``advertisements``, ``configuration``.
"""
