# SPDX-License-Identifier: GPL-2.0-only
"""Extended attributes: the inline body behind an inode and the shared area."""
from __future__ import annotations

import struct

from kemu.forge.erofs.plan import PlanError

#: (prefix of the whole name, e_name_index); ACLs have the whole name as prefix (include/uapi/linux/xattr.h)
PREFIXES = ((b"system.posix_acl_access", 2), (b"system.posix_acl_default", 3), (b"user.", 1), (b"trusted.", 4), (b"security.", 6))

_SEED = 0x25BBE08F
_P1, _P2, _P3, _P4, _P5 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1
_M = 0xFFFFFFFF


def xxh32(data: bytes, seed: int) -> int:
    """``uint32_t xxh32(const void *input, size_t len, uint32_t seed)``"""
    def rotl(x: int, r: int) -> int:
        return (x << r | x >> (32 - r)) & _M

    pos = 0
    if len(data) >= 16:
        acc = [(seed + _P1 + _P2) & _M, (seed + _P2) & _M, seed & _M, (seed - _P1) & _M]
        while pos + 16 <= len(data):
            for i, word in enumerate(struct.unpack_from("<4I", data, pos)):
                acc[i] = rotl((acc[i] + word * _P2) & _M, 13) * _P1 & _M
            pos += 16
        h = (rotl(acc[0], 1) + rotl(acc[1], 7) + rotl(acc[2], 12) + rotl(acc[3], 18)) & _M
    else:
        h = (seed + _P5) & _M
    h = (h + len(data)) & _M
    while pos + 4 <= len(data):
        h = rotl((h + struct.unpack_from("<I", data, pos)[0] * _P3) & _M, 17) * _P4 & _M
        pos += 4
    for b in data[pos:]:
        h = rotl((h + b * _P5) & _M, 11) * _P1 & _M
    h = (h ^ h >> 15) * _P2 & _M
    h = (h ^ h >> 13) * _P3 & _M
    return h ^ h >> 16


def split_name(name: bytes) -> tuple[int, bytes]:
    """(e_name_index, the rest of the name). Raises PlanError for a name that EROFS has no prefix for."""
    for prefix, index in PREFIXES:
        if name.startswith(prefix):
            return index, name[len(prefix):]
    raise PlanError(f"no EROFS prefix for the xattr {name!r}")


def encode_entry(name: bytes, value: bytes) -> bytes:
    """``struct erofs_xattr_entry`` with name and value, padded to 4 bytes."""
    index, rest = split_name(name)
    if len(rest) > 255 or len(value) > 65535:
        raise PlanError(f"xattr {name!r} with {len(value)} bytes")
    raw = struct.pack("<BBH", len(rest), index, len(value)) + rest + value
    return raw + bytes(-len(raw) % 4)


class SharedXattrs:
    """The shared area: each distinct entry once; ids count 4-byte units from ``xattr_blkaddr``."""

    def __init__(self) -> None:
        self.blob = bytearray()
        self.ids: dict[bytes, int] = {}

    def add(self, entry: bytes) -> int:
        """The id of ``entry``, appended if it is new."""
        if entry not in self.ids:
            self.ids[entry] = len(self.blob) // 4
            self.blob += entry
        return self.ids[entry]


def encode_ibody(xattrs: dict[bytes, bytes], shared: SharedXattrs | None, name_filter: bool) -> bytes:
    """``struct erofs_xattr_ibody_header`` and what follows it; b"" without xattrs. Every other entry is shared if ``shared``."""
    if not xattrs:
        return b""
    bits = _M
    inline = bytearray()
    ids = []
    for i, name in enumerate(sorted(xattrs)):
        entry = encode_entry(name, xattrs[name])
        index, rest = split_name(name)
        if name_filter:
            bits &= ~(1 << (xxh32(rest, _SEED + index) & 31))
        if shared is not None and i % 2 == 0:
            ids.append(shared.add(entry))
        else:
            inline += entry
    head = struct.pack("<IB7x", bits if name_filter else 0, len(ids))
    return head + struct.pack(f"<{len(ids)}I", *ids) + bytes(inline)
