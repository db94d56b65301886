# SPDX-License-Identifier: GPL-2.0-only
"""One inode on its way to disk: its effective layout, how long its body is, which blocks it needs, and finally its bytes."""
from __future__ import annotations

from kemu.forge import tree as t
from kemu.forge.erofs import ondisk as d
from kemu.forge.erofs.dirblocks import dir_size, split_names
from kemu.forge.erofs.extbody import ExtBody
from kemu.forge.erofs.image import Extent
from kemu.forge.erofs.plan import ImagePlan, ZPlan
from kemu.forge.erofs.space import Run
from kemu.forge.erofs.xattr import SharedXattrs, encode_ibody
from kemu.forge.erofs.zbody import PartialPool, ZBody
from kemu.forge.erofs.zdata import ZExtent

_LAYOUT_NR = {"plain": d.EROFS_INODE_FLAT_PLAIN, "hole": d.EROFS_INODE_FLAT_PLAIN, "inline": d.EROFS_INODE_FLAT_INLINE,
              "chunk": d.EROFS_INODE_CHUNK_BASED, "full": d.EROFS_INODE_COMPRESSED_FULL,
              "compact": d.EROFS_INODE_COMPRESSED_COMPACT, "extents": d.EROFS_INODE_COMPRESSED_FULL}


class InodeBuild:
    """Made with everything but its place; ``pos`` and ``nid`` come later, ``encode()`` last."""

    def __init__(self, node: t.Node, image: ImagePlan, nlink: int, ino: int, shared: SharedXattrs, pool: PartialPool) -> None:
        self.node, self.image, self.nlink, self.ino = node, image, nlink, ino
        self.plan = image.inode(node)
        self.bs = 1 << image.blkszbits
        self.parent: t.Dir | None = None
        self.pos = self.nid = -1
        self.runs: list[Run] = []
        self.z: ZBody | ExtBody | None = None
        self.z_runs: list[tuple[ZExtent, Run, int]] = []
        self.chunks: list[tuple[Run, int] | None] = []
        self.dir_blocks: list[list[bytes]] = []
        self.data: bytes | None = None
        self.tail_len = 0
        self.index_off = 0
        self.extended = self._needs_extended()
        self.isize = 64 if self.extended else 32
        self.xattrs = encode_ibody(node.xattrs, shared if self.plan.xattr_shared else None, image.xattr_filter)
        self.fixed = self.isize + len(self.xattrs)          # bytes of the body before inline data
        self._content()
        self.layout = self._effective_layout()
        if self.layout == "chunk":
            self._size_chunk()
        elif self.layout in ("full", "compact", "extents"):
            self._size_z(pool)
        elif self.size and self.layout != "hole":
            self._size_flat()

    # sizes

    def _needs_extended(self) -> bool:
        n, p = self.node, self.image
        plain = (n.uid <= 0xFFFF and n.gid <= 0xFFFF and self.nlink <= 0xFFFF and n.size <= 0xFFFFFFFF
                 and 0 <= n.mtime - p.epoch <= 0xFFFFFFFF and n.mtime_nsec == p.fixed_nsec)
        return self.plan.extended or not plain or self.plan.flaw == "size"

    def _content(self) -> None:
        n = self.node
        if isinstance(n, t.Dir):
            names = [*n.entries, b".."] if self.plan.dot_omitted else [*n.entries, b"..", b"."]
            self.dir_blocks = split_names(names, self.bs, self.plan.dirents)
            self.size = dir_size(self.dir_blocks, self.bs, self.plan.dir_full)
            return
        self.data = n.data if isinstance(n, t.File) else n.target if isinstance(n, t.Symlink) else b""
        self.size = len(self.data)

    def _effective_layout(self) -> str:
        want = self.plan.data
        if not isinstance(self.node, t.File | t.Symlink | t.Dir) or want not in _LAYOUT_NR:
            return "plain"
        if want in ("full", "compact", "extents") and not self.size:
            return "plain"
        if want == "extents" and isinstance(self.node, t.Dir):
            return "full"
        if want == "hole" and (self.data is None or any(self.data)):
            return "plain"
        if want == "inline" and self.size and (self.size % self.bs or self.bs) + self.fixed % 32 > self.bs:
            return "plain"
        return want

    @property
    def body_size(self) -> int:
        """Bytes from the inode's slot that belong to it."""
        return self.fixed + self.tail_len

    def _padded(self, data: bytes, blocks: int) -> bytes:
        slack = 0 if isinstance(self.node, t.Dir) else self.plan.slack
        return data + bytes([slack]) * (blocks * self.bs - len(data))

    def _run(self, data: bytes | None, content: int, blocks: int, key: tuple[str, int] | None = None) -> Run:
        run = Run(blocks, None if data is None else self._padded(data, blocks), content, 0 if self.runs else self.plan.run_gap,
                  key,
                  self.plan.device if self.plan.device <= self.image.devices else 0)
        self.runs.append(run)
        return run

    def _size_flat(self) -> None:
        blocks = -(-self.size // self.bs)
        head = self.size
        if self.layout == "inline":
            blocks -= 1
            head = blocks * self.bs
            self.tail_len = self.size - head
        if blocks:
            self._run(None if self.data is None else self.data[:head], head, blocks)

    def _size_chunk(self) -> None:
        unit = 8 if self.plan.chunk_indexes else 4
        self.index_off = -(-self.fixed // unit) * unit
        cs = self.bs << self.plan.chunkbits
        for la in range(0, self.size, cs):
            length = min(cs, self.size - la)
            piece = None if self.data is None else self.data[la:la + length]
            blocks = -(-length // self.bs)
            if piece is not None and not any(piece):
                self.chunks.append(None)
            elif self.plan.scatter or not self.runs or self.chunks[-1] is None:
                self.chunks.append((self._run(piece, length, blocks), 0))
            else:
                run = self.runs[-1]
                self.chunks.append((run, run.blocks))
                if run.data is not None and piece is not None:
                    run.data += self._padded(piece, blocks)
                run.content = run.blocks * self.bs + length
                run.blocks += blocks
        self.fixed = self.index_off + unit * len(self.chunks)

    def _size_z(self, pool: PartialPool) -> None:
        plan = self.plan.z or ZPlan()
        if self.layout == "extents":
            assert self.data is not None
            self.z = ExtBody(self.size, self.data, plan, self.fixed, self.image, self.plan.slack)
        else:
            self.z = ZBody(self.size, self.data, plan, self.layout == "full", self.fixed, self.image, self.plan.slack, pool)
        self.index_off, self.fixed, self.tail_len = self.z.index_off, self.z.fixed, len(self.z.tail)
        for piece in self.z.pieces(self.plan.scatter):
            run = self._run(piece.data, piece.blocks * self.bs, piece.blocks, piece.key)
            self.z_runs += [(e, run, at) for e, at in piece.places]

    # bytes

    def set_dir_data(self, data: bytes) -> None:
        """The contents of a directory, now that every inode has its nid."""
        self.data = data
        blocks = self.z.set_data(data) if isinstance(self.z, ZBody) else data
        at = 0
        for run in self.runs:
            run.data = self._padded(blocks[at:at + run.blocks * self.bs], run.blocks)
            at += run.blocks * self.bs

    def encode(self, devices: list[tuple[int, int]]) -> bytes:
        """The whole body, for an inode at ``pos``. ``devices``: (first block, blocks) of the extra devices, in order."""
        out = self._inode() + self.xattrs
        if self.layout == "inline" and self.tail_len:
            assert self.data is not None
            out += self.data[self.size - self.tail_len:]
        elif self.layout == "chunk":
            out += bytes(self.index_off - len(out))
            for c in self.chunks:
                blk = d.EROFS_NULL_ADDR if c is None else c[0].block() + c[1]
                if not self.plan.chunk_indexes:
                    out += blk.to_bytes(4, "little")
                    continue
                device = 0
                if not self.plan.unified:
                    device, blk = next(((k, blk - first) for k, (first, n) in enumerate(devices, 1) if first <= blk < first + n),
                                       (0, blk))
                out += d.chunk_index(blk, device)
        elif self.z:
            for e, run, at in self.z_runs:
                e.pa = run.block() * self.bs + at
                e.pblk = e.pa // self.bs
            for e in self.z.extents:
                if e.alias:
                    e.pa, e.pblk = e.alias.pa, e.alias.pblk
            out += self.z.encode(len(out))
        return out

    def _i_u(self) -> int:
        n, p = self.node, self.plan
        if isinstance(n, t.Device):
            return n.rdev()
        if self.layout == "hole":
            return d.EROFS_NULL_ADDR
        if self.layout == "chunk":
            return p.chunkbits | (d.EROFS_CHUNK_FORMAT_INDEXES if p.chunk_indexes else 0)
        if self.z:
            return sum(e.blocks for e in self.z.extents)
        return self.runs[0].block() if self.runs else 0

    def _inode(self) -> bytes:
        n, p = self.node, self.plan
        isdir = isinstance(n, t.Dir)
        nlink1 = not isdir and p.nlink1 and self.nlink == 1 and not self.extended
        fmt = (1 if self.extended else 0) | _LAYOUT_NR[self.layout] << 1
        if nlink1 or (isdir and p.dot_omitted):
            fmt |= 1 << d.EROFS_I_NLINK_1_BIT
        u = self._i_u()
        nb = 0xFFFF if self.layout == "hole" else 0
        icount = (len(self.xattrs) - 12) // 4 + 1 if self.xattrs else 0
        mode, size = n.IFMT | n.mode, self.size
        if p.flaw == "format":
            fmt |= 0x40
        elif p.flaw == "layout":
            fmt |= 7 << 1
        elif p.flaw == "mode":
            mode &= 0o7777
        elif p.flaw == "size":
            size |= 1 << 63
        elif p.flaw == "chunk":
            fmt, u = fmt & ~(7 << 1) | d.EROFS_INODE_CHUNK_BASED << 1, 0x80
        if self.extended:
            return d.inode_extended(fmt, icount, mode, nb, size, u, self.ino, n.uid, n.gid, n.mtime, n.mtime_nsec, self.nlink)
        if not nlink1:
            nb = self.nlink
        return d.inode_compact(fmt, icount, mode, nb, size, n.mtime - self.image.epoch, u, self.ino, n.uid, n.gid)

    # truth

    def index_pos(self) -> int | None:
        """Byte offset of the chunk map or lcluster index."""
        return self.pos + self.index_off if self.index_off else None

    def truth(self) -> list[Extent]:
        """Where everything lies that the inode holds."""
        bs = self.bs
        out: list[Extent] = []
        if self.z:
            for e in self.z.extents:
                pa = None if e.hole else self.pos + self.fixed if e.inline else e.pa
                plen = len(e.encoded) if e.inline or self.layout == "extents" else e.blocks * bs
                out.append(Extent(e.la, e.length, pa, plen, e.how + ("+partial" if e.partial else "")))
            return out
        if self.layout == "chunk":
            cs = bs << self.plan.chunkbits
            for i, c in enumerate(self.chunks):
                length = min(cs, self.size - i * cs)
                pa = (c[0].block() + c[1]) * bs if c else None
                out.append(Extent(i * cs, length, pa, length if c else 0, "chunk" if c else "hole"))
            return out
        if self.layout == "hole" and self.size:
            return [Extent(0, self.size, None, 0, "hole")]
        if self.runs:
            length = self.size - self.tail_len
            out.append(Extent(0, length, self.runs[0].block() * bs, length, "plain"))
        if self.tail_len:
            out.append(Extent(self.size - self.tail_len, self.tail_len, self.pos + self.fixed, self.tail_len, "inline"))
        return out
