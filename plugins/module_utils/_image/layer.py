# SPDX-License-Identifier: GPL-3.0-or-later
"""One layer of a container image: a tar file that depends on its content alone. Private to the collection."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import os
import re
import stat
import tarfile
import typing as t
from dataclasses import dataclass

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")

Writer = t.Callable[[bytes], t.Any]


class ImageError(Exception):
    """The image cannot be made from what was asked for."""


@dataclass(frozen=True)
class Source:
    """The source of one layer: a folder, a tar file, a single file, given text, or an empty folder."""

    dest: str = "/"
    src: str | None = None
    content: str | None = None
    mode: int | None = None
    exclude: tuple[str, ...] = ()
    dereference: bool = False


@dataclass(frozen=True)
class Blob:
    """The identity of a file inside the archive."""

    digest: str
    size: int


class Digest:
    """Counts and hashes what is written to it, and passes it on."""

    def __init__(self, passed_to: Writer | None = None) -> None:
        self._hash = hashlib.sha256()
        self._passed_to = passed_to
        self.size = 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.size += len(data)
        if self._passed_to is not None:
            self._passed_to(data)
        return len(data)

    def blob(self) -> Blob:
        return Blob(self._hash.hexdigest(), self.size)


def write_layer(source: Source, write: Writer, *, mtime: int = 0) -> Blob:
    """Write the layer's tar file piece by piece; returns its digest and size."""
    digest = Digest(write)
    with tarfile.open(fileobj=t.cast(t.Any, digest), mode="w|", format=tarfile.PAX_FORMAT) as layer:
        for member, data in _members(source):
            member.mtime = mtime
            layer.addfile(member, data)
    return digest.blob()


def _members(source: Source) -> t.Iterator[tuple[tarfile.TarInfo, t.IO[bytes] | None]]:
    """The layer's members, each with what its content is read from, parents before children."""
    if source.content is not None:
        yield _file_member(source, source.content.encode(), 0o644)
    elif source.src is None:
        yield _folder_member(source.dest, source.mode)
    elif os.path.isdir(source.src):
        yield from _from_folder(source, source.src)
    elif source.src.endswith(TAR_SUFFIXES):
        yield from _from_tar(source, source.src)
    else:
        yield from _from_file(source, source.src)


def _file_member(source: Source, data: bytes, mode: int) -> tuple[tarfile.TarInfo, t.IO[bytes]]:
    member = tarfile.TarInfo(_inside(source.dest, ""))
    member.mode = mode if source.mode is None else source.mode
    member.size = len(data)
    return member, io.BytesIO(data)


def _folder_member(dest: str, mode: int | None) -> tuple[tarfile.TarInfo, None]:
    member = tarfile.TarInfo(_inside(dest, ""))
    member.type = tarfile.DIRTYPE
    member.mode = 0o755 if mode is None else mode
    return member, None


def _from_file(source: Source, path: str) -> t.Iterator[tuple[tarfile.TarInfo, t.IO[bytes]]]:
    member = tarfile.TarInfo(_inside(source.dest, ""))
    try:
        with open(path, "rb") as data:
            status = os.fstat(data.fileno())
            member.size = status.st_size
            member.mode = _plain_mode(status.st_mode) if source.mode is None else source.mode
            yield member, data
    except OSError as exc:
        raise ImageError(f"layer source {path}: {exc.strerror}") from exc


def _from_folder(source: Source, top: str) -> t.Iterator[tuple[tarfile.TarInfo, t.IO[bytes] | None]]:
    excluded = _matcher(source.exclude)
    for path in _walk(top, excluded, source.dereference):
        name = _inside(source.dest, os.path.relpath(path, top))
        if not name:
            continue
        member = _describe(path, name, source.dereference)
        if member.isreg():
            with open(path, "rb") as data:
                yield member, data
        else:
            yield member, None


def _walk(top: str, excluded: t.Callable[[str], bool], dereference: bool) -> t.Iterator[str]:
    """Every path below `top` that is wanted, `top` itself first, in an order that no file system decides."""

    def refuse(exc: OSError) -> t.NoReturn:
        raise ImageError(f"layer source {exc.filename}: {exc.strerror}") from exc

    for folder, folders, files in os.walk(top, onerror=refuse, followlinks=dereference):
        relative = os.path.relpath(folder, top)
        folders[:] = sorted(name for name in folders if not excluded(_join(relative, name)))
        yield folder
        # os.walk lists a link to a folder among the folders, but does not walk into it.
        links = [name for name in folders if os.path.islink(os.path.join(folder, name)) and not dereference]
        wanted = [name for name in files if not excluded(_join(relative, name))]
        for name in sorted(links + wanted):
            yield os.path.join(folder, name)


def _describe(path: str, name: str, dereference: bool) -> tarfile.TarInfo:
    """The header of a file in a folder: root's, and with a mode that the user's umask did not decide."""
    status = os.stat(path) if dereference else os.lstat(path)
    member = tarfile.TarInfo(name)
    member.mode = _plain_mode(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, os.readlink(path), 0o777
    elif stat.S_ISDIR(status.st_mode):
        member.type = tarfile.DIRTYPE
    elif stat.S_ISREG(status.st_mode):
        member.size = status.st_size
    else:
        raise ImageError(
            f"layer source {path}: neither a file, a folder nor a link, so it cannot be in an image"
        )
    return member


def _plain_mode(mode: int) -> int:
    """0755 or 0644, and /tmp's sticky bit: other bits of a checkout differ between machines."""
    if stat.S_ISDIR(mode):
        return 0o1777 if mode & stat.S_ISVTX else 0o755
    return 0o755 if mode & stat.S_IXUSR else 0o644


def _from_tar(source: Source, path: str) -> t.Iterator[tuple[tarfile.TarInfo, t.IO[bytes] | None]]:
    excluded = _matcher(source.exclude)
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = _inside("", member.name)
                if not name or excluded("/" + name):
                    continue
                data = archive.extractfile(member) if member.isreg() else None
                yield _moved(member, name, source, path, excluded), data
    except (OSError, tarfile.TarError) as exc:
        raise ImageError(f"layer source {path}: {exc}") from exc


def _moved(
    member: tarfile.TarInfo, name: str, source: Source, path: str, excluded: t.Callable[[str], bool]
) -> tarfile.TarInfo:
    """The member as it is to be in the layer; numeric owners only, since the image has its own user names."""
    member.name = _inside(source.dest, name)
    member.uname = member.gname = ""
    member.pax_headers = {
        key: value for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr.")
    }
    if member.islnk():
        target = _inside("", member.linkname)
        if excluded("/" + target):
            raise ImageError(f"layer source {path}: {name} is a hard link to {target}, which is excluded")
        member.linkname = _inside(source.dest, target)
    return member


def _matcher(patterns: t.Sequence[str]) -> t.Callable[[str], bool]:
    """A test for paths (with a leading slash); what matches takes all below it along. `*` crosses slashes."""
    compiled = [re.compile(fnmatch.translate(pattern)) for pattern in patterns]
    known: dict[str, bool] = {"/": False, "": False}

    def excluded(path: str) -> bool:
        if path not in known:
            parent = path.rsplit("/", 1)[0]
            known[path] = excluded(parent) or any(pattern.match(path) for pattern in compiled)
        return known[path]

    return excluded


def _join(relative: str, name: str) -> str:
    return "/" + name if relative == "." else f"/{relative}/{name}"


def _inside(dest: str, relative: str) -> str:
    """A member's name: no leading slash, no trailing one, nothing above the image's root."""
    path = os.path.normpath("/" + dest + "/" + relative)
    return path.lstrip("/")


__all__ = ["Blob", "Digest", "ImageError", "Source", "write_layer"]
