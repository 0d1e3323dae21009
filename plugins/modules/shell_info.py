# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: shell_info
short_description: Ask a host by a shell command, whatever comes of it
version_added: 0.1.0
description:
  - Runs a command in the host's shell and returns what it says. The command must not change anything.
  - A host that cannot be reached, or on which Ansible does not become root, is a result like any other
    (RV(answered)), and neither failed nor unreachable. Whoever asks many hosts gets all their answers.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.action
  - vipcast.baremetal.attributes.info_module
attributes:
  platform:
    support: full
options:
  command:
    description: What the shell is given.
    type: str
    required: true
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Ask each node who Ansible is on it
  vipcast.baremetal.shell_info:
    command: id -u
  delegate_to: "{{ item }}"
  loop: "{{ groups['nodes'] }}"
  register: users

- name: Show which could not be asked
  ansible.builtin.debug:
    msg: "{{ users.results | rejectattr('answered') | map(attribute='reason') }}"
"""

RETURN = r"""
answered:
  description: Whether the shell was run. A shell that fails has answered.
  returned: always
  type: bool
  sample: true
connected:
  description: Whether there was a connection to the host at all.
  returned: always
  type: bool
  sample: true
reason:
  description: Why there is no answer.
  returned: when there is none
  type: str
  sample: "Failed to connect to the host via ssh: Permission denied (publickey)."
rc:
  description: The shell's exit status.
  returned: when there is an answer
  type: int
  sample: 0
stdout:
  description: What it wrote.
  returned: when there is an answer
  type: str
  sample: "0"
stderr:
  description: What it wrote to standard error.
  returned: when there is an answer
  type: str
"""
