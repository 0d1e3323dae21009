# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: tree_digest_info
short_description: Tell whether files or a recipe are what they were
version_added: 0.1.0
description:
  - Returns one digest for the content of folders and files and for a recipe. It is the same on every
    machine where names, content, executable bits and the recipe are the same. Times and owners do not
    count.
  - Changes nothing.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.here
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: Nothing is changed.
  idempotent:
    support: full
  platform:
    support: full
options:
  paths:
    description: Folders and files.
    type: list
    elements: path
    required: true
  exclude:
    description:
      - Patterns of paths in folders to leave out, written from the folder's top with a leading slash. An
        asterisk crosses slashes.
    type: list
    elements: str
    default: ['*/__pycache__']
  recipe:
    description: Anything else that decides what is made of them.
    type: dict
    default: {}
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Tell which version of the program this is
  vipcast.baremetal.tree_digest_info:
    paths: [src/web]
    recipe:
      packages: [python3-h11]
  register: source
"""

RETURN = r"""
digest:
  description: SHA-256, in hexadecimal.
  returned: success
  type: str
  sample: 5b6f0c8d7e21d3f0b5a0b2ff6b4ac6f0a6d2e8b14b8f5d9ad09e0ff3f0f8d001
"""

import hashlib
import json
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vipcast.baremetal.plugins.module_utils._image.layer import (
    ImageError,
    Source,
    write_layer,
)

SPEC: dict[str, t.Any] = {
    "paths": {"type": "list", "elements": "path", "required": True},
    "exclude": {"type": "list", "elements": "str", "default": ["*/__pycache__"]},
    "recipe": {"type": "dict", "default": {}},
}


def digest_of(paths: list[str], exclude: list[str], recipe: dict[str, t.Any]) -> str:
    """One digest of it all; symbolic links count as what they point to."""
    total = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
    for path in paths:
        if not os.path.exists(path):
            raise ImageError(f"{path}: does not exist")
        dest = "/" if os.path.isdir(path) else "/file"
        source = Source(dest, path, exclude=tuple(exclude), dereference=True)
        write_layer(source, total.update)
    return total.hexdigest()


def outcome(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the result, or why there is none."""
    try:
        digest = digest_of(params["paths"], params["exclude"], params["recipe"])
    except (ImageError, OSError) as exc:
        return {"failed": True, "msg": str(exc)}
    return {"changed": False, "digest": digest}


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    result = outcome(module.params)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
