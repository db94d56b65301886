# SPDX-License-Identifier: GPL-2.0-only
"""Where the bytes of a file are, as the kernel's C says: erofs_map_blocks() and z_erofs_map_blocks_iter(), many offsets at once.

    with kernel.mounted(image) as k:
        f = MappedFile(k, "/f")
        f.maps([0, 4096], flags=0)
"""
from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import NamedTuple

from kemu.rung.c.kernel import Instance

_MAP = struct.Struct("<QQQQIIii")       # struct kemu_map
FIEMAP, READMORE, FINDTAIL = 1, 2, 4    # EROFS_GET_BLOCKS_*
MAPPED = 1                              # of EROFS_MAP_*


class Mapped(NamedTuple):
    """struct erofs_map_blocks after the call, and what that returned (0 or -errno)."""

    m_la: int
    m_pa: int
    m_llen: int
    m_plen: int
    m_flags: int
    m_deviceid: int
    m_algorithmformat: int
    error: int


class MappedFile:
    """One inode of the file system that is mounted. ``OSError``: there is none of that name."""

    def __init__(self, k: Instance, path: str):
        self.k = k
        p = k.ffi.new("void **")
        error = k.check(k.lib.kemu_erofs_open(os.fsencode(path), p))
        if error:
            raise OSError(-error, os.strerror(-error), path)
        self.inode = p[0]
        self.size = int(k.lib.kemu_erofs_size(self.inode))

    def maps(self, offsets: Sequence[int], flags: int = 0) -> list[Mapped]:
        """What is said of each logical offset. ``Trap``."""
        n = len(offsets)
        out = self.k.ffi.new("struct kemu_map[]", n)
        self.k.check(self.k.lib.kemu_erofs_maps(self.inode, self.k.ffi.new("unsigned long long[]", offsets), n, flags, out))
        return [Mapped(*row) for row in _MAP.iter_unpack(bytes(self.k.ffi.buffer(out)))] if n else []

    def edges(self, most: int = 1 << 20) -> list[int]:
        """Every logical offset at which an extent starts or ends, one beside it or in its middle; of the first ``most`` extents
        and the last one.
        """
        found = {0, 1, self.size, self.size + 1, self.size + 4096, max(self.size, 1) - 1}
        at, limit = 0, self.size
        for _ in range(most):
            if at >= limit:
                break
            [m] = self.maps([at], FIEMAP)
            first, end = m.m_la, m.m_la + m.m_llen
            if m.error or end <= at:            # nothing can be said of it: go on behind the block
                first, end = at, at + 4096
            found |= {first - 1, first, first + 1, (first + end) // 2, end - 1, end, end + 1}
            at = end
        [tail] = self.maps([max(self.size, 1) - 1])
        found |= {tail.m_la - 1, tail.m_la, tail.m_la + 1}
        return sorted(x for x in found if 0 <= x < 1 << 63)
