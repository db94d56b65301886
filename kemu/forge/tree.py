# SPDX-License-Identifier: GPL-2.0-only
"""The tree that an input holds, and the manifest that a reader of the input must come to.

A tree is made of nodes; the same node under two names is a hard link. Formats (EROFS, cpio) write trees; what they wrote is the
ground truth of a property, beside "the back ends agree".
"""
from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

(S_IFIFO, S_IFCHR, S_IFDIR, S_IFBLK, S_IFREG, S_IFLNK,
 S_IFSOCK) = 0o010000, 0o020000, 0o040000, 0o060000, 0o100000, 0o120000, 0o140000

# dirent file types (include/linux/fs_types.h)
FT_REG_FILE, FT_DIR, FT_CHRDEV, FT_BLKDEV, FT_FIFO, FT_SOCK, FT_SYMLINK = range(1, 8)


@dataclass(eq=False, slots=True)
class Node:
    """What every inode has. ``mode`` holds the permission bits only."""

    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    mtime_nsec: int = 0
    xattrs: dict[bytes, bytes] = field(default_factory=dict)

    KIND = "?"
    IFMT = 0
    FT = 0

    @property
    def size(self) -> int:
        """i_size, where the tree alone decides it."""
        return 0


@dataclass(eq=False, slots=True)
class File(Node):
    """A regular file. ``origin`` says how ``data`` was made, for people who read a failure."""

    data: bytes = field(default=b"", repr=False)
    origin: str = ""

    KIND = "file"
    IFMT = S_IFREG
    FT = FT_REG_FILE

    @property
    def size(self) -> int:
        """``i_size``, in bytes."""
        return len(self.data)


@dataclass(eq=False, slots=True)
class Symlink(Node):
    """A symbolic link; ``target`` is not empty and has no NUL."""

    target: bytes = b"x"
    mode: int = 0o777

    KIND = "symlink"
    IFMT = S_IFLNK
    FT = FT_SYMLINK

    @property
    def size(self) -> int:
        """``i_size``, in bytes."""
        return len(self.target)


@dataclass(eq=False, slots=True)
class Device(Node):
    """A character or block device."""

    block: bool = False
    major: int = 1
    minor: int = 3

    KIND = "char"

    @property
    def IFMT(self) -> int:  # type: ignore[override]
        """S_IFBLK or S_IFCHR."""
        return S_IFBLK if self.block else S_IFCHR

    @property
    def FT(self) -> int:  # type: ignore[override]
        """FT_BLKDEV or FT_CHRDEV."""
        return FT_BLKDEV if self.block else FT_CHRDEV

    def rdev(self) -> int:
        """``u32 new_encode_dev(dev_t dev)``"""
        return (self.minor & 0xff) | (self.major << 8) | ((self.minor & ~0xff) << 12)


@dataclass(eq=False, slots=True)
class Fifo(Node):
    """A named pipe."""

    KIND = "fifo"
    IFMT = S_IFIFO
    FT = FT_FIFO


@dataclass(eq=False, slots=True)
class Socket(Node):
    """A socket."""

    KIND = "socket"
    IFMT = S_IFSOCK
    FT = FT_SOCK


@dataclass(eq=False, slots=True)
class Dir(Node):
    """A directory: names to nodes."""

    mode: int = 0o755
    entries: dict[bytes, Node] = field(default_factory=dict, repr=False)

    KIND = "dir"
    IFMT = S_IFDIR
    FT = FT_DIR

    def nlink(self) -> int:
        """2, and one more for each directory in it."""
        return 2 + sum(isinstance(n, Dir) for n in self.entries.values())


def kind_of(node: Node) -> str:
    """The manifest's ``type``."""
    if isinstance(node, Device):
        return "block" if node.block else "char"
    return node.KIND


def walk(root: Dir) -> Iterator[tuple[bytes, Node]]:
    """Every path with its node, directories before what is in them, names in bytewise order. Paths start with ``/``."""
    def below(path: bytes, node: Dir) -> Iterator[tuple[bytes, Node]]:
        for name in sorted(node.entries):
            child = node.entries[name]
            here = path + b"/" + name
            yield here, child
            if isinstance(child, Dir):
                yield from below(here, child)

    yield b"/", root
    yield from below(b"", root)


def nlinks(root: Dir) -> dict[int, int]:
    """``id(node)`` to st_nlink: names for what is not a directory, 2 + subdirectories for directories."""
    count: dict[int, int] = {}
    for _, node in walk(root):
        if isinstance(node, Dir):
            count[id(node)] = node.nlink()
        else:
            count[id(node)] = count.get(id(node), 0) + 1
    return count


def manifest_path(path: bytes) -> str:
    """A path as the manifest spells it: UTF-8, other bytes as surrogates."""
    return path.decode("utf-8", "surrogateescape")


def manifest_entry(path: bytes, node: Node, nlink: int, size: int | None = None) -> dict[str, Any]:
    """One line of a manifest (docs/reference/manifest.md): what stat, readlink, listxattr and read must give.

    ``size`` overrides the node's own where the format decides it (directories).
    """
    return {
        "path": manifest_path(path),
        "type": kind_of(node),
        "mode": node.mode,
        "uid": node.uid,
        "gid": node.gid,
        "size": node.size if size is None else size,
        "nlink": nlink,
        "mtime": [node.mtime, node.mtime_nsec],
        "rdev": [node.major, node.minor] if isinstance(node, Device) else None,
        "target": manifest_path(node.target) if isinstance(node, Symlink) else None,
        "xattrs": {manifest_path(k): v.hex() for k, v in sorted(node.xattrs.items())},
        "sha256": hashlib.sha256(node.data).hexdigest() if isinstance(node, File) else None,
        "error": None,
    }


def error_entry(path: bytes, error: str) -> dict[str, Any]:
    """The line for an inode that lookup refuses with ``error``."""
    entry: dict[str, Any] = dict.fromkeys(
        ("path", "type", "mode", "uid", "gid", "size", "nlink", "mtime", "rdev", "target", "xattrs", "sha256", "error"))
    entry["path"] = manifest_path(path)
    entry["error"] = error
    return entry


def sort_manifest(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sorted by path, bytewise, ``/`` first."""
    return sorted(entries, key=lambda e: b"" if e["path"] == "/" else e["path"].encode("utf-8", "surrogateescape"))
