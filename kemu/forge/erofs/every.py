# SPDX-License-Identifier: GPL-2.0-only
"""Images in which every kind of difference between two inodes occurs: what a wrong line of a file system cannot hide from.

:func:`every_difference` is not drawn: these are the same images in every run. Owners and groups are never the same number, every
name prefix of extended attributes is there alone and with others, each layout has files that end before, at and behind a block's
end.
"""
from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial

from kemu.forge import tree as t
from kemu.forge.content import content
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.erofs.plan import LAYOUTS, ImagePlan, InodePlan, PlanError, ZPlan
from kemu.forge.erofs.writer import build

_ACL = (struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e)
                                        for e in ((1, 7, 2**32 - 1), (2, 5, 1001), (2, 4, 1002), (4, 5, 2**32 - 1), (8, 1, 77),
                                                  (16, 5, 2**32 - 1), (32, 5, 2**32 - 1))))
XATTRS: tuple[dict[bytes, bytes], ...] = (
    {b"user.a": b"1"}, {b"trusted.b": b"22"}, {b"security.c": b"333"}, {b"system.posix_acl_access": _ACL},
    {b"system.posix_acl_default": _ACL},
    {b"user.empty": b""}, {b"user." + b"n" * 250: b"v"}, {b"user.large": b"L" * 2000},
    {b"user.a": b"1", b"trusted.a": b"2", b"security.a": b"3", b"system.posix_acl_access": _ACL},
    {b"security.capability": b"\x01\x00\x00\x02" + bytes(range(16))},
    {b"trusted.overlay.opaque": b"y", b"trusted.overlay.redirect": b"/x"})
OWNERS = ((1, 2), (1000, 100), (0, 5), (6, 0), (65535, 65534), (70000, 80000), (0xFFFFFFFE, 0x7FFFFFFF))
MODES = (0o644, 0o755, 0, 0o7777, 0o4755, 0o2755, 0o1777, 0o421)
TIMES = ((0, 0), (1, 1), (1_600_000_000, 123_456_789), (0x7FFFFFFF, 999_999_999), (0xFFFFFFFF, 2), (5_000_000_000, 3), (-5, 4))
RDEVS = ((1, 3), (0, 0), (5, 1), (8, 255), (255, 256), (4095, 1048575), (4, 300))


def every_difference() -> Iterator[tuple[str, ErofsImage]]:
    """(what it is, the image), from the smallest on."""
    for extended in (False, True):
        for filtered in (False, True):
            yield from _built(f"attributes, {'extended' if extended else 'compact'} inodes"
                              f"{', a name filter' if filtered else ''}",
                              partial(attributes, extended, filtered))
    for bits in (12, 9):
        for layout in LAYOUTS:
            for n in (0, 1, 2, 5):
                for d in (-1, 0, 1):
                    size = (n << bits) + d
                    if size >= 0:
                        yield from _built(f"{layout}, a file of {n} blocks {d:+d} byte", partial(last_block, layout, size, bits))
        for entries in (1, 40, 400):
            yield from _built(f"a directory of {entries} names", partial(directory, entries, bits))
        for length in (1, 59, (1 << bits) - 33, (1 << bits) - 1):
            yield from _built(f"a link of {length} bytes", partial(link, length, bits))


def _built(label: str, make: Callable[[], ErofsImage]) -> Iterator[tuple[str, ErofsImage]]:
    try:
        image = make()
    except PlanError:
        return                                          # not every layout has every size
    image.label = label
    yield label, image


def attributes(extended: bool, xattr_filter: bool) -> ErofsImage:
    """Owners, modes, times, numbers of links, devices, and every prefix of extended attributes."""
    plan = ImagePlan(epoch=1_650_000_000, fixed_nsec=987_654_321, xattr_filter=xattr_filter)
    root = t.Dir(mode=0o711, uid=11, gid=12)

    def put(name: str, node: t.Node, i: int, shared: bool = False, nlink1: bool = False) -> None:
        owner = OWNERS[i % (len(OWNERS) if extended else 5)]
        node.uid, node.gid = owner[::-1] if i // len(OWNERS) % 2 else owner
        node.mtime, node.mtime_nsec = TIMES[i % len(TIMES)] if extended else (plan.epoch + i, plan.fixed_nsec)
        if not isinstance(node, t.Symlink):
            node.mode = MODES[i % len(MODES)]
        plan.inodes[id(node)] = InodePlan(extended=extended,
                                          data="inline" if isinstance(node, t.File | t.Symlink | t.Dir) else "plain",
                                           xattr_shared=shared, nlink1=nlink1)
        root.entries[name.encode()] = node

    for i in range(len(OWNERS) * 2):
        put(f"owner{i}", t.File(data=b"%d" % i), i)
    for i, (major, minor) in enumerate(RDEVS):
        for block in (False, True):
            put(f"dev{i}{'b' * block}", t.Device(block=block, major=major, minor=minor), i)
    put("fifo", t.Fifo(), 1)
    put("socket", t.Socket(), 2)
    put("link", t.Symlink(target=b"owner0"), 3)
    for links in (1, 2, 3):
        twin = t.File(data=b"links")
        put(f"links{links}", twin, links, nlink1=links == 1)
        for k in range(1, links):
            root.entries[b"links%d.%d" % (links, k)] = twin
    for i, xattrs in enumerate(XATTRS):
        for shared in (False, True):
            node: t.Node = t.Dir() if b"system.posix_acl_default" in xattrs else t.File(data=b"x")
            put(f"xattr{i}{'s' * shared}", node, i, shared=shared)
            node.mode = 0o750                           # as the ACLs have it
            node.xattrs = dict(xattrs)
    return build(root, plan)


def last_block(layout: str, size: int, bits: int) -> ErofsImage:
    """A file of so many bytes between two others, in one layout; its neighbours' data are not zeros, and neither is what fills
    its last block.
    """
    plan = ImagePlan(blkszbits=bits, fill=0xA5, bits48=layout == "extents")
    root = t.Dir(uid=1, gid=2)
    for name, n, kind in ((b"a", 100, "text"), (b"b", size, "text"), (b"c", size, "noise"), (b"d", size, "zeros"),
                          (b"e", 100, "text")):
        hole = layout == "hole" and name in (b"b", b"c", b"d")
        node = t.File(data=content("zeros" if hole else kind, 1, n), uid=3, gid=4)
        p = InodePlan(data=layout if name in (b"b", b"c", b"d") else "plain", slack=0x5A, chunk_indexes=name == b"c")
        if p.data in ("full", "compact", "extents"):
            p.z = ZPlan(cuts=(3 << bits, 1 << bits), tail=name == b"c", big=3 if name == b"b" else 0,
                        max_blocks=4 if name == b"b" else 1)
        plan.inodes[id(node)] = p
        root.entries[name] = node
    return build(root, plan)


def directory(entries: int, bits: int) -> ErofsImage:
    """A directory of several blocks, with names of all lengths."""
    plan = ImagePlan(blkszbits=bits)
    root = t.Dir(uid=1, gid=2)
    for i in range(entries):
        root.entries[b"%03d" % i + b"n" * (i * 7 % 120)] = t.File(data=b"", uid=i,
                                                                  gid=i + 1) if i % 3 else t.Dir(uid=i, gid=i + 1)
    return build(root, plan)


def link(length: int, bits: int) -> ErofsImage:
    """A symbolic link, inline and not."""
    plan = ImagePlan(blkszbits=bits)
    root = t.Dir(uid=1, gid=2)
    for name, data in ((b"inline", "inline"), (b"plain", "plain")):
        node = t.Symlink(target=(b"../target/" * (length // 10 + 1))[:length], uid=5, gid=6)
        plan.inodes[id(node)] = InodePlan(data=data)
        root.entries[name] = node
    return build(root, plan)


__all__ = ["every_difference"]
