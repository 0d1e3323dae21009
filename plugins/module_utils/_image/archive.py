# SPDX-License-Identifier: GPL-3.0-or-later
"""Container images without a container engine: private to this collection.

An archive in docker's format is a tar file of

    manifest.json          [{"Config": "ID.json", "RepoTags": [...], "Layers": ["DIGEST.tar", ...]}]
    ID.json                the configuration; ID is the SHA-256 of these bytes and names the image
    DIGEST.tar             one tar file per layer; DIGEST is the SHA-256 of the uncompressed tar

``ctr images import``, ``docker load`` and ``podman load`` read it. Times, owners and order are normalised,
so the same content always has the same digest. Layers are produced twice, once to learn digest and size and
once to write them: nothing is held in memory and nothing is spooled.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import typing as t
from dataclasses import dataclass, field

from .layer import Blob, Digest, ImageError, Source, write_layer

BLOCK = 512
CHUNK = 1 << 20
# A reference's parts, as registries accept them: the distribution specification, "Pulling manifests".
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
# Image configurations name processors in Go's way, the kernel's `uname -m` does not.
GO_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}


@dataclass(frozen=True)
class Image:
    """All that is known of an image before a byte of it is written."""

    config: bytes
    name: str
    layers: tuple[Blob, ...]
    sources: tuple[Source, ...] = field(compare=False, default=())
    mtime: int = field(compare=False, default=0)

    @property
    def id(self) -> str:
        """The image's identity: the SHA-256 of its configuration, in hexadecimal."""
        return hashlib.sha256(self.config).hexdigest()

    @property
    def manifest(self) -> bytes:
        """The content of manifest.json."""
        layers = [layer.digest + ".tar" for layer in self.layers]
        entry = {"Config": self.id + ".json", "RepoTags": [self.name], "Layers": layers}
        return json.dumps([entry], sort_keys=True).encode()


def plan(sources: t.Sequence[Source], config: dict[str, t.Any], name: str, *, mtime: int = 0) -> Image:
    """Read all sources and say which image comes of them, without writing anything.

    `name` may contain ``{digest}``, which becomes the first 12 digits of the image's identity.
    """
    layers = tuple(write_layer(source, _discard, mtime=mtime) for source in sources)
    full = dict(config, rootfs={"type": "layers", "diff_ids": ["sha256:" + layer.digest for layer in layers]})
    encoded = json.dumps(full, sort_keys=True, separators=(",", ":")).encode()
    image = Image(encoded, name.replace("{digest}", hashlib.sha256(encoded).hexdigest()[:12]), layers)
    _check_name(image.name)
    return Image(image.config, image.name, layers, tuple(sources), mtime)


def _discard(_data: bytes) -> None:
    """Writes nothing: a plan needs digest and size only."""


def _check_name(name: str) -> None:
    repository, _colon, tag = name.rpartition(":")
    if not repository or "/" in tag or not TAG.match(tag):
        raise ImageError(
            f"image name {name!r}: expected REPOSITORY:TAG, for example registry.example/web:1.0"
        )
    if repository != repository.lower():
        raise ImageError(f"image name {name!r}: a repository has no capital letters")


def image_config(
    *,
    architecture: str,
    created: str = "1970-01-01T00:00:00Z",
    entrypoint: t.Sequence[str] = (),
    cmd: t.Sequence[str] = (),
    env: t.Mapping[str, str] | None = None,
    user: str = "",
    working_dir: str = "",
    labels: t.Mapping[str, str] | None = None,
    exposed_ports: t.Sequence[str] = (),
) -> dict[str, t.Any]:
    """The configuration without its layers: the OCI image specification, "Image Configuration"."""
    run: dict[str, t.Any] = {
        "Entrypoint": list(entrypoint),
        "Cmd": list(cmd),
        "Env": [f"{key}={value}" for key, value in sorted((env or {}).items())],
        "User": user,
        "WorkingDir": working_dir,
        "Labels": dict(labels or {}),
        "ExposedPorts": {port: {} for port in exposed_ports},
    }
    return {
        "architecture": architecture,
        "os": "linux",
        "created": created,
        "config": {key: value for key, value in run.items() if value},
    }


def write_archive(image: Image, path: str) -> None:
    """Write the planned image; raises when a source is no longer what it was when it was planned."""
    with open(path, "wb") as archive:
        _add(archive, "manifest.json", image.manifest)
        _add(archive, image.id + ".json", image.config)
        for source, layer in zip(image.sources, image.layers):
            archive.write(_header(layer.digest + ".tar", layer.size))
            if write_layer(source, archive.write, mtime=image.mtime) != layer:
                raise ImageError(f"layer source {source.src}: changed while the image was being written")
            archive.write(_padding(layer.size))
        archive.write(bytes(2 * BLOCK))


def _add(archive: t.IO[bytes], name: str, data: bytes) -> None:
    archive.write(_header(name, len(data)) + data + _padding(len(data)))


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.USTAR_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)


def read_identity(path: str) -> tuple[bytes, tuple[Blob, ...]] | None:
    """The manifest of an existing archive and what its layers really are; None where it is not whole."""
    try:
        with tarfile.open(path, "r:") as archive:
            manifest = _read(archive, "manifest.json")
            entry = json.loads(manifest)[0]
            blobs = [_hashed(archive, name) for name in [entry["Config"], *entry["Layers"]]]
    except (OSError, tarfile.TarError, KeyError, ValueError, IndexError, TypeError):
        return None
    names = [blob.digest for blob in blobs]
    if names != [str(name).rsplit(".", 1)[0] for name in [entry["Config"], *entry["Layers"]]]:
        return None
    return manifest, tuple(blobs[1:])


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    data = archive.extractfile(name)
    if data is None:
        raise KeyError(name)
    return data.read()


def _hashed(archive: tarfile.TarFile, name: str) -> Blob:
    data = archive.extractfile(name)
    if data is None:
        raise KeyError(name)
    digest = Digest()
    while True:
        chunk = data.read(CHUNK)
        if not chunk:
            return digest.blob()
        digest.write(chunk)


def names_in(manifest: bytes) -> tuple[str, str]:
    """The image's identity and first name, as an archive's manifest gives them."""
    entry = json.loads(manifest)[0]
    tags = entry.get("RepoTags") or [""]
    return str(entry["Config"]).rsplit(".", 1)[0], str(tags[0])


__all__ = [
    "GO_ARCHITECTURES",
    "Blob",
    "Image",
    "ImageError",
    "Source",
    "image_config",
    "names_in",
    "plan",
    "read_identity",
    "write_archive",
    "write_layer",
]
