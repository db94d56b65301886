# SPDX-License-Identifier: GPL-2.0-only
"""Images whose files share their page cache: an extended attribute of each file says what its contents are (a fingerprint)."""
from __future__ import annotations

import struct

from kemu.forge import tree as t
from kemu.forge.erofs.choose import ErofsOptions, _ImageChooser
from kemu.forge.erofs.ondisk import EROFS_SUPER_OFFSET
from kemu.forge.erofs.plan import PlanError
from kemu.forge.erofs.writer import build, fix_checksum
from kemu.forge.erofs.xattr import split_name
from kemu.forge.pick import Pick

#: the attribute, and the mount options that make the kernel look at it
FINGERPRINT = b"user.fingerprint"
MOUNT_OPTIONS = "inode_share,domain_id=d"

_COMPAT, _INCOMPAT, _COUNT, _START, _ID = (EROFS_SUPER_OFFSET + at for at in (8, 80, 91, 92, 105))
EROFS_FEATURE_COMPAT_PLAIN_XATTR_PFX = 0x10
EROFS_FEATURE_COMPAT_ISHARE_XATTRS = 0x20
EROFS_FEATURE_INCOMPAT_XATTR_PREFIXES = 0x40


def share_by(image: bytes, name: bytes) -> bytes:
    """The image with a table of one long prefix behind its end, which is this attribute's name, and with the features that make
    the attribute's values the fingerprints. An image that has such a table already cannot be given another: ``PlanError``.
    """
    data = bytearray(image + bytes(-len(image) % 4096))
    if data[_COUNT]:
        raise PlanError("the image has long prefixes already")
    index, infix = split_name(name)
    item = bytes([index]) + infix
    struct.pack_into("<I", data, _COMPAT, struct.unpack_from("<I", data, _COMPAT)[0] | EROFS_FEATURE_COMPAT_PLAIN_XATTR_PFX
                     | EROFS_FEATURE_COMPAT_ISHARE_XATTRS)
    struct.pack_into("<I", data, _INCOMPAT, struct.unpack_from("<I", data, _INCOMPAT)[0] | EROFS_FEATURE_INCOMPAT_XATTR_PREFIXES)
    data[_COUNT], data[_ID] = 1, 0
    struct.pack_into("<I", data, _START, len(data) // 4)
    data += (struct.pack("<H", len(item)) + item).ljust(4096, b"\0")
    if data[_COMPAT] & 1:
        fix_checksum(data)
    return bytes(data)


def choose_shared(pick: Pick, options: ErofsOptions = ErofsOptions()) -> bytes:
    """An image of which most files have one of two fingerprints, whatever is in them."""
    chooser = _ImageChooser(pick, options)
    root = chooser.tree()
    for _, node in t.walk(root):
        if isinstance(node, t.File) and not pick.rare("no fingerprint", 4):
            node.xattrs[FINGERPRINT] = pick.one_of("fingerprint", (b"a" * 32, b"b" * 32))
    try:
        image = build(root, chooser.plan)
    except PlanError:
        for p in chooser.plan.inodes.values():
            p.data, p.at, p.gap = "plain", "next", 0
        chooser.plan.order, chooser.plan.meta = "meta-first", None
        image = build(root, chooser.plan)
    return share_by(image.data, FINGERPRINT)
