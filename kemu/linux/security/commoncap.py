# SPDX-License-Identifier: GPL-2.0-only
"""File capabilities as getxattr() shows them (security/commoncap.c): checked, and in the form that the reader's user namespace
wants.
"""
from __future__ import annotations

import struct
from typing import Any

from kemu.linux.errno import EINVAL, EOPNOTSUPP, EOVERFLOW
from kemu.linux.fs.xattr import __vfs_getxattr, __vfs_setxattr, vfs_getxattr_alloc
from kemu.linux.include.capability import (
    VFS_CAP_FLAGS_EFFECTIVE,
    VFS_CAP_REVISION_2,
    VFS_CAP_REVISION_3,
    XATTR_CAPS_SZ_2,
    XATTR_CAPS_SZ_3,
)
from kemu.linux.include.fs.types import Inode
from kemu.linux.include.xattr import XATTR_NAME_CAPS, XATTR_REPLACE
from kemu.linux.port.honesty import custom, dup

C = "security/commoncap.c"

_ROOT, _NOBODY = 0, 0xFFFF_FFFF


@custom(C, "cap_inode_getsecurity", "one user namespace, no idmapped mounts; gives the bytes")
def cap_inode_getsecurity(dentry: Any, inode: Inode, name: bytes) -> int | bytes:
    """``int cap_inode_getsecurity(idmap, inode, name, void **buffer, bool alloc)``

    Return: the capability, as version 2 if root is its root; -EOPNOTSUPP for another attribute; -EINVAL for what is no
    capability;
    -EOVERFLOW for a root that no namespace has; what reading it says.
    """
    if name != b"capability":
        return -EOPNOTSUPP
    data = vfs_getxattr_alloc(dentry, XATTR_NAME_CAPS)
    if isinstance(data, int):
        return data
    magic = int.from_bytes(data[:4], "little")
    if len(data) == XATTR_CAPS_SZ_2 and magic & ~VFS_CAP_FLAGS_EFFECTIVE == VFS_CAP_REVISION_2:
        return bytes(data)
    if len(data) != XATTR_CAPS_SZ_3 or magic & ~VFS_CAP_FLAGS_EFFECTIVE != VFS_CAP_REVISION_3:
        return -EINVAL
    root = int.from_bytes(data[20:24], "little")
    if root == _NOBODY:
        return -EOVERFLOW
    if root != _ROOT:
        return bytes(data)
    return struct.pack("<I", VFS_CAP_REVISION_2 | magic & VFS_CAP_FLAGS_EFFECTIVE) + bytes(data[4:20])


@dup(C)
def cap_inode_need_killpriv(dentry: Any) -> int:
    """``int cap_inode_need_killpriv(struct dentry *dentry)``: 1 if changing the file takes its capabilities away, else 0."""
    return int(__vfs_getxattr(dentry, dentry.d_inode, XATTR_NAME_CAPS, 0, 0) > 0)


@dup(C)
def cap_inode_killpriv(idmap: Any, dentry: Any) -> int:
    """``int cap_inode_killpriv(struct mnt_idmap *idmap, struct dentry *dentry)``.

    Return: 0, or what removing the attribute says.
    """
    error = __vfs_setxattr(idmap, dentry, dentry.d_inode, XATTR_NAME_CAPS, None, XATTR_REPLACE)
    return 0 if error == -EOPNOTSUPP else error
