# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: image_archive
short_description: Make a container image without a container engine
version_added: 0.1.0
description:
  - Writes a container image as an archive in docker's format, which C(ctr images import), C(docker load) and
    C(podman load) read. Needs Python only, neither root nor a container engine.
  - The same content always gives the same image. Times are set to O(mtime), owners of files from folders to
    root, and their modes to V(0755) or V(0644); tar files keep owners and modes.
extends_documentation_fragment:
  - vipcast.baremetal.attributes
  - vipcast.baremetal.attributes.managing_module
options:
  path:
    description: The archive to write. Its folder must exist.
    type: path
    required: true
  name:
    description:
      - The image's name with its tag.
      - V({digest}) in it becomes the first 12 hexadecimal digits of the image's identity, so that another
        content gets another name.
    type: str
    required: true
  layers:
    description: The layers, lowest first.
    type: list
    elements: dict
    required: true
    suboptions:
      src:
        description:
          - What the layer is made of. A folder gives its content. A file that ends in C(.tar), C(.tar.gz),
            C(.tgz), C(.tar.xz) or C(.tar.bz2) gives its members. Any other file gives itself.
          - Without O(layers[].src) and O(layers[].content) the layer is an empty folder O(layers[].dest).
        type: path
      content:
        description: The text of a file. Excludes O(layers[].src).
        type: str
      dest:
        description:
          - The folder in the image that takes the content of a folder or tar file, or the path of a single
            file.
        type: str
        default: /
      mode:
        description:
          - The mode of a single file or of an empty folder, in octal. Without it, that of the source, or
            V(0644) and V(0755).
        type: str
      exclude:
        description:
          - Patterns of paths to leave out, written from the source's top with a leading slash. An asterisk
            crosses slashes, so C(*/__pycache__) matches anywhere. What matches takes everything below it
            along.
        type: list
        elements: str
        default: []
      dereference:
        description: Put what symbolic links point to in the image, instead of the links. For folders only.
        type: bool
        default: false
  entrypoint:
    description: The program that a container runs, with its first arguments.
    type: list
    elements: str
    default: []
  cmd:
    description: Default arguments of the program.
    type: list
    elements: str
    default: []
  env:
    description: Environment variables.
    type: dict
    default: {}
  user:
    description: Numeric user, or C(user:group), that a container runs as.
    type: str
    default: ''
  working_dir:
    description: Working folder of a container.
    type: str
    default: ''
  labels:
    description: Labels of the image.
    type: dict
    default: {}
  exposed_ports:
    description: Ports the program listens on, such as V(80/tcp).
    type: list
    elements: str
    default: []
  architecture:
    description:
      - Processor the image is for, in Go's words (V(amd64), V(arm64)). Default is that of the machine the
        module runs on.
    type: str
  mtime:
    description: Time of every file, in seconds since 1970.
    type: int
    default: 0
author:
  - The vipcast founders (@vipcast)
"""

EXAMPLES = r"""
- name: Make an image of one static program
  vipcast.baremetal.image_archive:
    path: /var/cache/images/pause.tar
    name: registry.example/pause:1.0
    layers:
      - src: /usr/local/bin/pause
        dest: /pause
    entrypoint: [/pause]
    user: "65534:65534"

- name: Make an image of a base tree and a Python package, named after its content
  vipcast.baremetal.image_archive:
    path: /var/cache/images/web.tar
    name: web:1.0-{digest}
    layers:
      - src: /var/cache/images/python.tar
        exclude: [/usr/share/doc/*, "*/__pycache__"]
      - src: src/web
        dest: /usr/lib/python3/dist-packages/web
        dereference: true
    entrypoint: [/usr/bin/python3, -m, web]
    exposed_ports: [80/tcp]
  register: image
"""

RETURN = r"""
name:
  description: The image's name, with V({digest}) replaced.
  returned: success
  type: str
  sample: web:1.0-5b6f0c8d7e21
image_id:
  description: The image's identity, as C(docker images --no-trunc) and C(crictl images) show it.
  returned: success
  type: str
  sample: sha256:5b6f0c8d7e21d3f0b5a0b2ff6b4ac6f0a6d2e8b14b8f5d9ad09e0ff3f0f8d001
path:
  description: The archive.
  returned: success
  type: str
  sample: /var/cache/images/web.tar
layers:
  description: The layers, lowest first.
  returned: success
  type: list
  elements: dict
  contains:
    digest:
      description: SHA-256 of the uncompressed layer.
      type: str
      sample: sha256:5b6f0c8d7e21d3f0b5a0b2ff6b4ac6f0a6d2e8b14b8f5d9ad09e0ff3f0f8d001
    size:
      description: Its size in bytes.
      type: int
      sample: 10240
drift:
  description: What the archive was and what it should be; empty when nothing changed.
  returned: success
  type: list
  elements: dict
  sample:
    - what: image archive
      where: /var/cache/images/web.tar
      expected: web:1.0-5b6f0c8d7e21 (sha256:5b6f0c8d7e21)
      found: absent
"""

import os
import platform
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vipcast.baremetal.plugins.module_utils._image.archive import (
    GO_ARCHITECTURES,
    Image,
    ImageError,
    Source,
    image_config,
    names_in,
    plan,
    read_identity,
    write_archive,
)

LAYER_SPEC: dict[str, t.Any] = {
    "src": {"type": "path"},
    "content": {"type": "str"},
    "dest": {"type": "str", "default": "/"},
    "mode": {"type": "str"},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "dereference": {"type": "bool", "default": False},
}
SPEC: dict[str, t.Any] = {
    "path": {"type": "path", "required": True},
    "name": {"type": "str", "required": True},
    "layers": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": LAYER_SPEC,
        "mutually_exclusive": [("src", "content")],
    },
    "entrypoint": {"type": "list", "elements": "str", "default": []},
    "cmd": {"type": "list", "elements": "str", "default": []},
    "env": {"type": "dict", "default": {}},
    "user": {"type": "str", "default": ""},
    "working_dir": {"type": "str", "default": ""},
    "labels": {"type": "dict", "default": {}},
    "exposed_ports": {"type": "list", "elements": "str", "default": []},
    "architecture": {"type": "str"},
    "mtime": {"type": "int", "default": 0},
}
CONFIG_OPTIONS = ("entrypoint", "cmd", "env", "user", "working_dir", "labels", "exposed_ports")


def source_of(layer: dict[str, t.Any]) -> Source:
    """One element of the option `layers`, checked."""
    src = layer["src"]
    if src is not None and not os.path.exists(src):
        raise ImageError(f"layer source {src}: does not exist")
    try:
        mode = None if layer["mode"] is None else int(layer["mode"], 8)
    except ValueError as exc:
        raise ImageError(
            f"mode {layer['mode']!r} of {layer['dest']}: expected octal digits such as 0755"
        ) from exc
    return Source(layer["dest"], src, layer["content"], mode, tuple(layer["exclude"]), layer["dereference"])


def planned(params: dict[str, t.Any]) -> Image:
    """The image that the options describe."""
    machine = platform.machine()
    config = image_config(
        architecture=params["architecture"] or GO_ARCHITECTURES.get(machine, machine),
        **{option: params[option] for option in CONFIG_OPTIONS},
    )
    return plan(
        [source_of(layer) for layer in params["layers"]], config, params["name"], mtime=params["mtime"]
    )


def found_at(path: str, image: Image) -> str | None:
    """Return what is at `path`, in words; None when it is the image already."""
    identity = read_identity(path)
    if identity is None:
        return "not a whole image archive" if os.path.exists(path) else "absent"
    if identity == (image.manifest, image.layers):
        return None
    found_id, name = names_in(identity[0])
    return f"{name} (sha256:{found_id[:12]})"


def replace(module: AnsibleModule, image: Image, path: str) -> None:
    """Write the archive beside its place first, so that no reader ever sees half of it."""
    partial = f"{path}.partial-{os.getpid()}"
    try:
        write_archive(image, partial)
        module.atomic_move(partial, path)
    finally:
        if os.path.exists(partial):
            os.unlink(partial)


def ensure(module: AnsibleModule) -> dict[str, t.Any]:
    """Make the archive where it is missing or different; returns what the module returns."""
    path = module.params["path"]
    image = planned(module.params)
    found = found_at(path, image)
    if found is not None and not module.check_mode:
        replace(module, image, path)
    expected = f"{image.name} (sha256:{image.id[:12]})"
    difference = {"what": "image archive", "where": path, "expected": expected, "found": found}
    return {
        "changed": found is not None,
        "name": image.name,
        "image_id": "sha256:" + image.id,
        "path": path,
        "layers": [{"digest": "sha256:" + layer.digest, "size": layer.size} for layer in image.layers],
        "drift": [] if found is None else [difference],
        "diff": {"before": f"{found or expected}\n", "after": f"{expected}\n"},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        result = ensure(module)
    except ImageError as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"{exc.filename or module.params['path']}: {exc.strerror or exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
