# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Print lines as they are
version_added: 0.1.0
description:
  - Prints text to the terminal without quotes and escapes, so that a table stays a table.
  - Where the output is made for programs (the callbacks V(json), V(jsonl) and the like) nothing is printed.
    The lines are in the task's result.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.info_module
attributes:
  action:
    description: An action plugin of this name runs on the control node.
    support: full
  platform:
    support: full
options:
  lines:
    description: What to print.
    type: list
    elements: str
    required: true
  unreachable:
    description:
      - Count the host as unreachable afterwards, so that C(ansible-playbook) ends with status 4. A playbook
        that fails ends with status 2, and has no other way to say that it could not find out.
    type: bool
    default: false
  path:
    description:
      - A file on the control node that gets O(content), before anything is printed. Folders above it are
        made.
      - It differs each time, by the time in it alone, so writing it is no change.
    type: path
  content:
    description: The text for O(path).
    type: str
    default: ""
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Show what the verification found
  vipcast.baremetal.report:
    lines: "{{ verify_result.lines }}"
"""

RETURN = r"""
lines:
  description: The lines.
  returned: success
  type: list
  elements: str
  sample: ["OK: 3 sessions Established, 1 routes, 26 of 26 requests good"]
"""
