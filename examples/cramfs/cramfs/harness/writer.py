# SPDX-License-Identifier: GPL-2.0-only
"""Makes cramfs images, for the experiments. It shares nothing with the port: the format is spelt out here once more, after
fs/cramfs/README.

``build(root, plan)`` gives an :class:`Image`: its bytes, the manifest of what was written, and where its fields are.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kemu.report.manifest import Entry, entry, ordered

SUPER, INODE = 76, 12
VERSION_2, SORTED, HOLES, SHIFTED_ROOT, EXT_POINTERS = 1, 2, 0x100, 0x400, 0x800
UNCOMPRESSED, DIRECT = 1 << 31, 1 << 30
TYPES = {
    "file": 0o100000,
    "dir": 0o040000,
    "symlink": 0o120000,
    "char": 0o020000,
    "block": 0o060000,
    "fifo": 0o010000,
    "socket": 0o140000,
}
FORMS = ("zlib", "stored", "direct zlib", "direct stored")  # the first without, the others with EXT_POINTERS


@dataclass
class Node:
    """An inode. ``data``: of a file, or a symlink's target; ``forms``: how each of its blocks is kept (a zero block may be a
    "hole")."""

    type: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    data: bytes = b""
    forms: list[str] = field(default_factory=list)
    entries: dict[bytes, Node] = field(default_factory=dict)
    rdev: tuple[int, int] = (0, 0)
    stray: int = 0  # offset of an inode that has no data: some mkcramfs wrote one for devices


@dataclass
class Plan:
    """The rest of an image: where the superblock is (0 or 512), flags, how far the root is shifted (in words), gaps between the
    data (in words)."""

    block: int = 4096
    at: int = 0
    flags: int = VERSION_2 | SORTED
    shift: int = 0
    gap: int = 0
    level: int = 9
    name: bytes = b"Compressed"


@dataclass
class Image:
    """An image. ``fields``: (name, offset) of every 32-bit word of superblock, inodes and block pointers."""

    data: bytes
    root: Node
    plan: Plan
    fields: list[tuple[str, int]]

    def walk(self) -> Iterator[tuple[bytes, Node]]:
        stack = [(b"/", self.root)]
        while stack:
            path, node = stack.pop()
            yield path, node
            stack += [(path.rstrip(b"/") + b"/" + name, child) for name, child in node.entries.items()]

    def manifest(self) -> list[Entry]:
        """What a kernel must show: the inodes that were written. Links are counted as 1, times are 0, the root can be read by
        everybody."""
        return ordered(_entry(path, node, path == b"/") for path, node in self.walk())

    def describe(self) -> str:
        p = self.plan
        lines = [
            f"cramfs image, {len(self.data)} bytes: superblock at {p.at}, flags {p.flags:#x}, root shifted by {4 * p.shift} bytes"
        ]
        for path, node in self.walk():
            what = (
                f"{len(node.data)} bytes"
                if node.type in ("file", "symlink")
                else f"{len(node.entries)} names"
                if node.type == "dir"
                else f"{node.rdev}"
            )
            lines.append(
                f"  {os.fsdecode(path)!a}: {node.type} {node.mode:o}, {what}"
                + (f": {', '.join(node.forms)}" if node.forms else "")
            )
        return "\n".join(lines)


def _entry(path: bytes, node: Node, root: bool) -> Entry:
    fields: dict[str, Any] = {
        "type": node.type,
        "mode": node.mode | (0o555 if root else 0),
        "uid": node.uid,
        "gid": node.gid,
        "size": 0,
        "nlink": 1,
        "mtime": [0, 0],
        "xattrs": {},
    }
    if node.type == "file":
        fields |= {"size": len(node.data), "sha256": hashlib.sha256(node.data).hexdigest()}
    elif node.type == "symlink":
        fields |= {"size": len(node.data), "target": os.fsdecode(node.data)}
    elif node.type == "dir":
        fields["size"] = _dir_size(node)
    elif node.type in ("char", "block"):
        fields["rdev"] = list(node.rdev)
    return entry(os.fsdecode(path), **fields)


def _padded(name: bytes) -> bytes:
    return name + bytes(-len(name) % 4)


def _dir_size(node: Node) -> int:
    return sum(INODE + len(_padded(name)) for name in node.entries)


class _Writer:
    def __init__(self, plan: Plan):
        self.plan = plan
        self.out = bytearray()
        self.fields: list[tuple[str, int]] = []
        self.blocks = 0

    def word(self, name: str, at: int, value: int) -> None:
        struct.pack_into("<I", self.out, at, value)
        self.fields.append((name, at))

    def inode(self, at: int, node: Node, namelen: int, offset: int) -> None:
        size = _dir_size(node) if node.type == "dir" else len(node.data)
        if node.type in ("char", "block"):
            size = node.rdev[0] << 8 | node.rdev[1]
        self.word("mode_uid", at, TYPES[node.type] | node.mode | node.uid << 16)
        self.word("size_gid", at + 4, size | node.gid << 24)
        self.word("namelen_offset", at + 8, namelen >> 2 | (offset or node.stray) >> 2 << 6)

    def align(self, gap: int = 0) -> int:
        self.out += bytes(-len(self.out) % 4 + 4 * gap)
        return len(self.out)

    def directories(self, root: Node) -> tuple[int, list[tuple[Node, int, int]]]:
        """Room for every directory's entries, width first; where the root's are, and (node, at, namelen) of every inode but the
        root's."""
        inodes: list[tuple[Node, int, int]] = []
        self.starts: dict[int, int] = {}
        queue = [root]
        while queue:
            d = queue.pop(0)
            self.starts[id(d)] = at = len(self.out)
            names = sorted(d.entries) if self.plan.flags & SORTED else list(d.entries)
            for name in names:
                self.out += bytes(INODE) + _padded(name)
                inodes.append((d.entries[name], at, len(_padded(name))))
                at = len(self.out)
            queue += [d.entries[n] for n in names if d.entries[n].type == "dir"]
        return self.starts[id(root)], inodes

    def file(self, node: Node) -> int:
        """A file's pointers and blocks; where the pointers are."""
        block = self.plan.block
        start = self.align(self.plan.gap)
        pieces = [node.data[i : i + block] for i in range(0, len(node.data), block)]
        self.out += bytes(4 * len(pieces))
        follows = len(self.out)  # where a block starts that says only where it ends
        for i, (piece, form) in enumerate(zip(pieces, node.forms)):
            data = b"" if form == "hole" else piece if "stored" in form else zlib.compress(piece, self.plan.level)
            flags = UNCOMPRESSED if "stored" in form else 0
            if form.startswith("direct"):
                at = self.align(self.plan.gap)
                self.out += data if "stored" in form else struct.pack("<H", len(data)) + data
                pointer = at >> 2 | DIRECT
                # the next block is looked for behind a whole block, however long this one is
                follows = at + block if "stored" in form else len(self.out)
            else:
                if follows > len(self.out):
                    self.out += bytes(follows - len(self.out))
                assert follows == len(self.out)
                self.out += data
                pointer = follows = len(self.out)
            self.word("block pointer", start + 4 * i, pointer | flags)
            self.blocks += 1
        return start


def build(root: Node, plan: Plan) -> Image:
    """An image of ``root``. Each block of a file that has no form is compressed."""
    w = _Writer(plan)
    w.out += bytes(plan.at + SUPER + 4 * plan.shift)
    first, inodes = w.directories(root)
    for node, at, namelen in inodes:
        offset = 0
        if node.type == "dir" and node.entries:
            offset = w.starts[id(node)]
        elif node.type in ("file", "symlink") and node.data:
            count = -(-len(node.data) // plan.block)
            node.forms = (node.forms + ["zlib"] * count)[:count]
            offset = w.file(node)
        w.inode(at, node, namelen, offset)
    w.out += bytes(-len(w.out) % plan.block)
    at = plan.at
    count = 1 + len(inodes)
    w.out[at : at + 16] = struct.pack("<4I", 0x28CD3D45, len(w.out), plan.flags, 0)
    w.out[at + 16 : at + 32] = b"Compressed ROMFS"
    w.out[at + 32 : at + 48] = struct.pack("<4I", 0, 0, w.blocks, count)
    w.out[at + 48 : at + 64] = plan.name.ljust(16, b"\0")
    w.inode(at + 64, root, 0, first if root.entries else 0)
    w.fields += [(name, at + 4 * i) for i, name in enumerate(("magic", "size", "flags", "future"))]
    struct.pack_into("<I", w.out, at + 32, zlib.crc32(w.out[at:]))
    return Image(bytes(w.out), root, plan, w.fields)
