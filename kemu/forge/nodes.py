# SPDX-License-Identifier: GPL-2.0-only
"""Choices that every tree needs: names, attributes, link targets, devices."""
from __future__ import annotations

import struct

from kemu.forge import tree as t
from kemu.forge.pick import Pick

_PLAIN = [b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h", b"i", b"j", b"k", b"l", b"m", b"n", b"o", b"p"]
_ODD = [b"-dash", b"!bang", b"...", b".hidden", b"/"[:0] + b"with space", b"caf\xc3\xa9", b"\xff\xfe", b"\x01ctl", b"new\nline",
        b"abc", b"ab",
        b"abcd", b"~", b"TRAILER", b"\xf0\x9f\x90\xa7", b"back\\slash"]
_LONG = [b"L" * 255, b"L" * 254, b"M" * 200, b"N" * 100, b"L" * 100 + b"x", b"L" * 253, b"O" * 64, b"P" * 128,
         b"Q" * 31, b"R" * 32, b"S" * 33, b"T" * 240, b"U" * 180, b"V" * 90, b"W" * 77, b"X" * 66]


def names_for(pick: Pick) -> list[bytes]:
    """Sixteen distinct names to take from: plain ones, odd bytes (before ``.`` in the sort order, not UTF-8), or long ones."""
    return list(pick.one_of("names", (_PLAIN, _PLAIN, _PLAIN, _ODD, _LONG)))


def pick_target(pick: Pick, bs: int) -> bytes:
    """Where a symlink points: short, long, and around a block."""
    length = pick.one_of("target", (1, 10, 59, 255, bs - 65, bs - 33, bs - 32, bs - 1, bs))
    return (b"../target/" * (length // 10 + 1))[:min(length, 4095)]


def pick_special(pick: Pick) -> t.Node:
    """A device, a fifo or a socket."""
    kind = pick.int("special", 0, 3)
    if kind == 2:
        return t.Fifo()
    if kind == 3:
        return t.Socket()
    major, minor = pick.one_of("rdev", ((1, 3), (0, 0), (4, 300), (4095, 1048575), (255, 256), (8, 255)))
    return t.Device(block=kind == 1, major=major, minor=minor)


def _acl(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, perm, uid & 0xFFFFFFFF) for tag, perm, uid in entries)


_ACL = _acl((0x01, 7, -1), (0x02, 5, 1000), (0x04, 5, -1), (0x10, 5, -1), (0x20, 5, -1))

_XATTRS: tuple[dict[bytes, bytes], ...] = (
    {b"user.a": b"1"},
    {b"user.a": b"1", b"user.b": b"x" * 40, b"trusted.c": b""},
    {b"security.capability": b"\x01\x00\x00\x02" + bytes(16)},
    {b"security.selinux": b"system_u:object_r:bin_t:s0\0"},
    {b"user." + b"n" * 100: b"v" * 100, b"trusted.overlay.opaque": b"y"},
    {b"system.posix_acl_access": _ACL},
    {b"user.big": b"B" * 700, b"user.big2": b"C" * 3000},
)


def pick_attributes(pick: Pick, node: t.Node, xattrs: bool) -> None:
    """Mode, owner, times and xattrs; often the plain ones."""
    if pick.rare("attributes", 2):
        if not isinstance(node, t.Symlink):
            node.mode = pick.one_of("mode", (node.mode, 0o600, 0o4755, 0o2711, 0o1777, 0, 0o7777))
        node.uid = pick.one_of("uid", (0, 1000, 65535, 65536, 0xFFFFFFFE))
        node.gid = pick.one_of("gid", (0, 100, 65535, 70000))
        node.mtime = pick.one_of("mtime", (0, 1_600_000_000, 1, 0xFFFFFFFF, 5_000_000_000, -5))
        node.mtime_nsec = pick.one_of("nsec", (0, 123_456_789, 999_999_999))
    if xattrs and pick.rare("xattrs", 6):
        limit = 2 if isinstance(node, t.Symlink) or not isinstance(node, t.File | t.Dir) else len(_XATTRS)
        chosen = _XATTRS[2:4] if limit == 2 else _XATTRS
        node.xattrs = dict(pick.one_of("xattr set", chosen))
        acl = node.xattrs.get(b"system.posix_acl_access")
        if acl:                                       # an ACL's entries for owner, mask and others repeat the mode
            node.mode = node.mode & 0o7000 | 0o755
