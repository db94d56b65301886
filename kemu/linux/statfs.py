# SPDX-License-Identifier: GPL-2.0-only
"""File system statistics (include/linux/statfs.h)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom, dup

P = "include/linux/statfs.h"

ST_RDONLY, ST_NOSUID, ST_NODEV, ST_NOEXEC = 0x0001, 0x0002, 0x0004, 0x0008
ST_SYNCHRONOUS, ST_VALID, ST_MANDLOCK, ST_NOATIME = 0x0010, 0x0020, 0x0040, 0x0400
ST_NODIRATIME, ST_RELATIME, ST_NOSYMFOLLOW = 0x0800, 0x1000, 0x2000


@dup(P)
class kstatfs:
    """``struct kstatfs``; ``f_fsid`` is a pair of u32."""

    __slots__ = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_ffree", "f_files", "f_flags", "f_frsize", "f_fsid", "f_namelen",
                 "f_type")

    def __init__(self) -> None:
        self.zero()

    def zero(self) -> None:
        """``memset(buf, 0, sizeof(*buf))``"""
        self.f_type = self.f_bsize = self.f_blocks = self.f_bfree = self.f_bavail = self.f_files = self.f_ffree = 0
        self.f_namelen = self.f_frsize = self.f_flags = 0
        self.f_fsid = (0, 0)


@dup(P)
def u64_to_fsid(v: int) -> tuple[int, int]:
    """``__kernel_fsid_t u64_to_fsid(u64 v)``"""
    return v & 0xFFFF_FFFF, (v >> 32) & 0xFFFF_FFFF


@custom(P, "uuid_to_fsid", "the 16 bytes are Python bytes")
def uuid_to_fsid(uuid: bytes) -> tuple[int, int]:
    """``__kernel_fsid_t uuid_to_fsid(__u8 *uuid)``: the two halves folded together."""
    return u64_to_fsid(int.from_bytes(uuid[:8], "little") ^ int.from_bytes(uuid[8:16], "little"))
