# SPDX-License-Identifier: GPL-2.0-only
"""Changes to a case: bits, bytes, whole fields, ranges, pieces of another case, the end, and how it is mounted."""
from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from kemu.forge.erofs import ondisk as d
from kemu.forge.erofs.writer import fix_checksum
from kemu.rung.c.cover.case import Case
from kemu.rung.c.kernel import FAIL_MORE

OPTIONS = ("", "cache_strategy=disabled", "cache_strategy=readahead", "cache_strategy=readaround", "noacl", "nouser_xattr",
           "acl,user_xattr", "dax=never", "dax=always", "dax", "nonsense", "directio", "inode_share,domain_id=d", "domain_id=d",
           "fsid=x", "fsoffset=4096", "fsoffset=512", "fsoffset=1", "cache_strategy=bad", "nodirectio",
           "inode_share", "directio,cache_strategy=disabled", "device=/dev", "device=/none", "dax=always,inode_share,domain_id=d")
STREAMS = "lzma_streams=3 zstd_streams=2 deflate_streams=2 reserved_pages=4"
PARAMETERS = (STREAMS, "reserved_pages=4 global_buffers=1", "lzma_streams=x")
CMDLINES = ("retain_initrd", "retain_initrd=1", "initramfs_async=0", "initramfs_async=x", "initrdmem=@",
            "retain_initrd initrdmem=@", "initrdmem=0,4096", "initrd=0x700000000000,4096", "initrdmem=1")
_VALUES = (0, 1, 2, 3, 4, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x1ff, 0x200, 0xfff, 0x1000, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff,
           0x80000000, 0xffffffff, 0x100000000, 1 << 47, 1 << 48, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
_STRUCTS = (d.INODE_EXTENDED_FIELDS, d.INODE_COMPACT_FIELDS, d.DIRENT_FIELDS, d.MAP_HEADER_FIELDS, d.LCLUSTER_INDEX_FIELDS,
            d.EXTENT_FIELDS, d.CHUNK_INDEX_FIELDS)
_SIZE = {"B": 1, "H": 2, "I": 4, "Q": 8}
_LONGEST = 1 << 20
_SUPER = d.EROFS_SUPER_OFFSET
_COMPR_CFGS = 2
_MORE = (0, 0, 1, 2, 5, 1000)          # calls behind the n-th that fail, too


def places(data: bytes, most: int = 4096) -> list[int]:
    """Where something is: the first byte of each eight of which one is not zero."""
    out: list[int] = []
    for block in range(0, len(data), 512):
        if len(out) < most and data[block:block + 512].strip(b"\0"):
            out += [at for at in range(block, min(block + 512, len(data)), 8) if data[at:at + 8].strip(b"\0")]
    return out or [0]


def made_good(data: bytearray) -> None:
    """The checksum is right again, if the superblock says that it has one."""
    if data[_SUPER + 8:_SUPER + 9] and data[_SUPER + 8] & 1:
        fix_checksum(data)


class Mutator:
    """All choices come from one seed."""

    def __init__(self, rng: random.Random):
        self.rng = rng

    def mutate(self, case: Case, written: Sequence[int], other: Case) -> Case:
        """A case like this one. ``written``: its ``places()``; ``other``: one that pieces are taken of."""
        rng = self.rng
        if rng.random() < 0.06:
            return self.mounted_otherwise(case)
        data = bytearray(case.data)
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4, 8))):
            if not data:
                break
            self._step(data, case, written, other)
        if case.kind == "erofs" and rng.random() < 0.9 and data[_SUPER:_SUPER + 4096] != case.data[_SUPER:_SUPER + 4096]:
            made_good(data)
        out = replace(case, data=bytes(data[:_LONGEST]), fail_nth=0, facts=rng.random() < 0.1 and case.kind == "erofs",
                      doors=rng.random() < 0.05 and case.kind == "erofs")
        return self.mounted_otherwise(out) if rng.random() < 0.03 else out

    def mounted_otherwise(self, case: Case) -> Case:
        """The same bytes, mounted in another way."""
        rng = self.rng
        kind = rng.randrange(6)
        if kind == 0:
            return replace(case, at=rng.choice((0, 1, 8, 64, 512, 2048, 4095)))
        if kind == 1:
            return replace(case, memory=rng.choice(("linear", "vmalloc", "slab")))
        if kind == 2:
            return replace(case, fail_nth=rng.randint(1, 300) + FAIL_MORE * rng.choice(_MORE))
        if case.kind == "cpio":
            if rng.random() < 0.05:
                return replace(case, options=rng.choice(CMDLINES))
            if rng.random() < 0.3:
                return replace(case, devices=() if case.devices else (case.data,))
            return replace(case, fail_nth=rng.randint(1, 60) + FAIL_MORE * rng.choice(_MORE))
        if kind == 3:
            return replace(case, backend="file" if case.backend == "disk" else "disk")
        if kind == 4 and len(case.data) > 4096:
            if case.devices:
                return replace(case, data=case.data + b"".join(case.devices), devices=())
            at = rng.randrange(1, len(case.data) // 512) * 512
            return replace(case, data=case.data[:at], devices=(case.data[at:],))
        return replace(case, options=rng.choice(OPTIONS))

    def _at(self, data: bytearray, written: Sequence[int]) -> int:
        at = self.rng.choice(written) + self.rng.randrange(8) if self.rng.random() < 0.85 else self.rng.randrange(len(data))
        return min(at, len(data) - 1)

    def _step(self, data: bytearray, case: Case, written: Sequence[int], other: Case) -> None:
        rng = self.rng
        kind = rng.randrange(100)
        at = self._at(data, written)
        if kind < 15:
            data[at] ^= 1 << rng.randrange(8)
        elif kind < 25:
            data[at] = rng.choice((0, 1, 0x7f, 0x80, 0xff, rng.randrange(256)))
        elif kind < 45:
            self._word(data, at, rng.choice((1, 2, 4, 8)))
        elif kind < 65 and case.kind == "erofs":
            self._field(data, at)
        elif kind < 55:
            self._digits(data, at)
        elif kind < 65:
            self._link(data, at)
        elif kind < 75:                # a range of itself somewhere else
            n = rng.choice((1, 2, 4, 8, 12, 16, 32, 64, 128, 512, 4096))
            piece = bytes(data[at:at + n])
            to = self._at(data, written)
            data[to:to + len(piece)] = piece
        elif kind < 85 and other.data: # of another case, mostly from the same place
            n = rng.choice((8, 32, 64, 128, 512, 1024, 4096, 1 << 16))
            if rng.random() < 0.7 and at < len(other.data):
                start, to = at & -8, at & -8
            else:
                start, to = rng.randrange(len(other.data)), at
            piece = other.data[start:start + n]
            data[to:to + len(piece)] = piece
        elif kind < 90:
            del data[rng.choice((at, len(data) & -512, rng.randrange(len(data)))):]
        elif kind < 94:
            n = rng.choice((1, 4, 32, 512, 4096))
            if case.kind == "cpio":
                data[at:at] = data[at:at + n] if rng.random() < 0.5 else bytes(n)
            else:
                data += bytes(n)
        elif kind < 96:
            del data[at:at + rng.choice((1, 4, 32, 512))]
        else:
            n = rng.choice((4, 8, 32, 64, 512))
            data[at:at + n] = bytes([rng.choice((0, 0xff, 0x41))]) * len(data[at:at + n])

    def _word(self, data: bytearray, at: int, size: int) -> None:
        at &= -size
        if at + size > len(data):
            return
        old = int.from_bytes(data[at:at + size], "little")
        how = self.rng.randrange(4)
        if how == 0:
            new = old + self.rng.choice((1, -1, 2, -2, 4, 8, 16, 32, -32, 512, -512, 4096, -4096))
        elif how == 1:
            new = old ^ 1 << self.rng.randrange(size * 8)
        elif how == 2:
            new = self.rng.choice(_VALUES)
        else:
            new = self.rng.choice((len(data), len(data) - 1, len(data) >> 9, len(data) >> 12, self.rng.randrange(64),
                                   self.rng.getrandbits(size * 8)))
        data[at:at + size] = (new & ((1 << size * 8) - 1)).to_bytes(size, "little")

    def _field(self, data: bytearray, at: int) -> None:
        """A field of the superblock, or what would be a field if a structure began at this place."""
        base, table = (_SUPER, d.SUPER_FIELDS) if self.rng.random() < 0.35 else (at & -32 if self.rng.random() < 0.7 else at & -4,
                                                                                 self.rng.choice(_STRUCTS))
        if data[_SUPER + 80:_SUPER + 81] and data[_SUPER + 80] & _COMPR_CFGS and self.rng.random() < 0.08:
            # the algorithms' configurations, which follow the superblock
            where = _SUPER + 128 + 16 * data[_SUPER + 13] + self.rng.randrange(40)
            if where < len(data):
                data[where] = self.rng.choice((0, 1, 2, 4, 9, 10, 13, 14, 15, 16, 0x7f, 0xff, self.rng.randrange(256)))
            return
        name, offset, code = self.rng.choice(table)
        size = _SIZE.get(code, 1)
        if name in ("checksum", "magic") and self.rng.random() < 0.9:
            return
        where = base + offset
        if where + size <= len(data):
            self._word(data, where, size) if where % size == 0 else self._bytes(data, where, size)

    def _bytes(self, data: bytearray, at: int, size: int) -> None:
        data[at:at + size] = (self.rng.choice(_VALUES) & ((1 << size * 8) - 1)).to_bytes(size, "little")

    def _link(self, data: bytearray, at: int) -> None:
        """Two members of an archive with one inode, or with two that are looked for in the same place."""
        found = data.rfind(b"07070", 0, at + 6)
        other = data.find(b"07070", found + 110) if found >= 0 else -1
        if other < 0 or other + 110 > len(data):
            return
        try:
            ino, major, minor = (int(data[found + i:found + i + 8], 16) for i in (6, 62, 70))
        except ValueError:
            return
        ino, major, minor = self.rng.choice(((ino, major, minor), (ino + 1, major, minor - 1), (ino, major + 1, minor - 8),
                                             (ino - 8, major + 1, minor), (ino + 32, major, minor)))
        for header in (found, other):
            data[header + 38:header + 46] = b"%08x" % self.rng.choice((2, 2, 2, 1))
        for where, value in ((6, ino), (62, major), (70, minor)):
            data[other + where:other + where + 8] = b"%08x" % (value & 0xffffffff)

    def _digits(self, data: bytearray, at: int) -> None:
        """A field of eight hexadecimal digits of a cpio header."""
        found = data.rfind(b"07070", 0, at + 6)
        if found < 0:
            return
        where = found + 6 + 8 * self.rng.randrange(13)
        value = self.rng.choice((*_VALUES[:22], 0o100644, 0o040755, 0o120777, 0o060600, 0o010644, self.rng.randrange(1 << 16)))
        if where + 8 <= len(data):
            data[where:where + 8] = b"%08x" % (value & 0xffffffff)
