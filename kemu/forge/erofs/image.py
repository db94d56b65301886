# SPDX-License-Identifier: GPL-2.0-only
"""A forged image: its bytes, and everything that its maker knows about them."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kemu.forge import tree as t
from kemu.forge.erofs.plan import FLAWS, ImagePlan


def _short(path: bytes) -> str:
    text = ascii(t.manifest_path(path))
    return text if len(text) <= 60 else f"{text[:50]}...({len(path)} bytes)"


@dataclass(frozen=True, slots=True)
class Extent:
    """``length`` bytes of a file at ``la`` are encoded in ``plen`` bytes of the image at ``pa`` (None for a hole).

    how: plain, inline, chunk, hole, lz4, shifted, interlaced, inline-lz4, inline-shifted; "+partial" where only the start of what
    the pcluster holds is used.
    """

    la: int
    length: int
    pa: int | None
    plen: int
    how: str


@dataclass(eq=False, slots=True)
class InodeTruth:
    """What was written for one inode. ``pos``: byte offset; ``body``: bytes from there that belong to it; ``layout``: i_format's;
    ``lcluster``: bytes of an lcluster and ``big``: pcluster types that may have several blocks, for compressed ones."""

    node: t.Node
    nid: int
    pos: int
    body: int
    extended: bool
    layout: str
    size: int
    nlink: int
    xattr_isize: int
    index_pos: int | None
    flaw: str
    extents: list[Extent]
    lcluster: int = 0
    big: int = 0
    dir_blocks: list[list[bytes]] | None = None


@dataclass(eq=False)
class ErofsImage:
    """Bytes and ground truth. ``inodes`` is keyed by ``id(node)``.

    ``data`` is the flat image: extra devices lie behind the primary one, and it mounts as it is. :meth:`split` gives the devices
    apart, for ``-o device=...``. ``devices``: (first block, blocks) of each extra one.
    """

    data: bytes
    root: t.Dir
    plan: ImagePlan
    inodes: dict[int, InodeTruth]
    features: dict[str, int]
    label: str = ""
    notes: list[str] = field(default_factory=list)
    devices: list[tuple[int, int]] = field(default_factory=list)

    def split(self) -> tuple[bytes, list[bytes]]:
        """The primary device and the extra ones, each on its own."""
        bs = self.block_size
        return self.data[:self.features["blocks"] * bs], [self.data[first * bs:(first + n) * bs] for first, n in self.devices]

    @property
    def block_size(self) -> int:
        """Bytes of a block."""
        return 1 << self.plan.blkszbits

    def mount_error(self, page_size: int = 4096) -> str | None:
        """The errno name that mount must answer on a kernel with this page size, or None."""
        if self.block_size > page_size:
            return "EINVAL"
        flaw = self.inodes[id(self.root)].flaw
        return FLAWS[flaw] if flaw else None

    def walk(self) -> list[tuple[bytes, t.Node]]:
        """Paths and nodes that a walk reaches: below a flawed directory there is nothing."""
        out: list[tuple[bytes, t.Node]] = []
        hidden: list[bytes] = []
        for path, node in t.walk(self.root):
            if any(path.startswith(h) for h in hidden):
                continue
            out.append((path, node))
            if isinstance(node, t.Dir) and self.inodes[id(node)].flaw:
                hidden.append(path + b"/")
        return out

    def manifest(self) -> list[dict[str, Any]]:
        """What any reader of this image must come to, in the manifest's format, expected errors included."""
        out = []
        for path, node in self.walk():
            truth = self.inodes[id(node)]
            if truth.flaw:
                out.append(t.error_entry(path, FLAWS[truth.flaw]))
            else:
                out.append(t.manifest_entry(path, node, truth.nlink, truth.size))
        return t.sort_manifest(out)

    def contents(self) -> dict[str, bytes]:
        """For each path of a regular file, its bytes."""
        return {t.manifest_path(path): bytes(node.data) for path, node in self.walk() if isinstance(node, t.File)}

    def extents(self) -> dict[str, list[Extent]]:
        """For each path, where every extent lies."""
        return {t.manifest_path(path): self.inodes[id(node)].extents for path, node in self.walk()}

    def describe(self, inodes: int = 24, extents: int = 6) -> str:
        """The image as a table of its fields that matter: the first ``inodes`` names, the first ``extents`` of each."""
        p = self.plan
        lines = [f"EROFS image {self.label or '(built)'}: {len(self.data)} bytes, block size {self.block_size}, order {p.order}, "
                 + ", ".join(f"{k} {v:#x}" if k.startswith("feature") else f"{k} {v}" for k, v in self.features.items())]
        lines += [f"  device {k}: blocks {first} to {first + n}" for k, (first, n) in enumerate(self.devices, 1)]
        for number, (path, node) in enumerate(t.walk(self.root)):
            if number == inodes:
                lines.append("  ... more names")
                break
            i = self.inodes[id(node)]
            lines.append(f"  nid {i.nid:<6} @ {i.pos:#08x}+{i.body:<5} {'ext' if i.extended else 'cmp'} {i.layout:<7} "
                         f"{t.kind_of(node):<7} {node.mode:04o} size {i.size:<7} {_short(path)}"
                         + (f" = {node.origin}" if isinstance(node, t.File) and node.origin else "")
                         + (f" [{len(node.xattrs)} xattrs]" if node.xattrs else "")
                         + (f" FLAW {i.flaw}" if i.flaw else ""))
            for e in i.extents[:extents]:
                where = "-" if e.pa is None else f"{e.pa:#x}"
                lines.append(f"      {e.la:#08x}+{e.length:<7} <- {where}+{e.plen} {e.how}")
            if len(i.extents) > extents:
                lines.append(f"      ... {len(i.extents) - extents} more")
        lines += [f"  note: {n}" for n in self.notes]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.describe()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How Hypothesis prints it."""
        printer.text(self.describe())
