# SPDX-License-Identifier: GPL-2.0-only
"""File capabilities as getxattr() shows them (security/commoncap.c): checked, and in the form that the reader's user namespace wants."""
from __future__ import annotations

import struct
from typing import Any

from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EINVAL, ENOMEM, EOPNOTSUPP, EOVERFLOW, ERANGE
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.honesty import custom, dup
from kemu.linux.slab import kfree, kzalloc
from kemu.linux.string import mem_read, mem_write
from kemu.linux.vfs.types import Inode

XATTR_NAME_CAPS = b"security.capability"
XATTR_CAPS_SZ_2, XATTR_CAPS_SZ_3 = 20, 24
VFS_CAP_REVISION_2, VFS_CAP_REVISION_3 = 0x02000000, 0x03000000
VFS_CAP_FLAGS_EFFECTIVE = 1
_ROOT, _NOBODY = 0, 0xFFFF_FFFF


@custom("fs/xattr.c", "vfs_getxattr_alloc", "gives the bytes instead of filling a buffer of the caller's")
def vfs_getxattr_alloc(dentry: Any, name: bytes) -> int | bytes:
    """``int vfs_getxattr_alloc(idmap, dentry, name, char **xattr_value, size_t xattr_size, gfp_t flags)``: the value, or a negative errno."""
    from kemu.linux.xattr import xattr_resolve_name

    found = xattr_resolve_name(dentry.d_inode, name)
    if IS_ERR(found):
        return PTR_ERR(found)
    handler, rest = found
    if handler.get is None:
        return -EOPNOTSUPP
    error = int(handler.get(handler, dentry, dentry.d_inode, rest, 0, 0))
    if error < 0:
        return error
    value = kzalloc(error + 1, GFP_KERNEL)
    if not value:
        return -ENOMEM
    error = int(handler.get(handler, dentry, dentry.d_inode, rest, value, error))
    out = mem_read(value, error) if error > 0 else b""
    kfree(value)
    return error if error < 0 else out


@custom("security/commoncap.c", "cap_inode_getsecurity", "one user namespace, no idmapped mounts; gives the bytes")
def cap_inode_getsecurity(dentry: Any, inode: Inode, name: bytes) -> int | bytes:
    """``int cap_inode_getsecurity(idmap, inode, name, void **buffer, bool alloc)``

    Return: the capability, as version 2 if root is its root; -EOPNOTSUPP for another attribute; -EINVAL for what is no capability;
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


@dup("fs/xattr.c")
def xattr_getsecurity(dentry: Any, inode: Inode, name: bytes, value: int, size: int) -> int:
    """``static ssize_t xattr_getsecurity(idmap, inode, name, void *value, size_t size)``: -EOPNOTSUPP where no module knows the attribute."""
    found = cap_inode_getsecurity(dentry, inode, name)
    if isinstance(found, int):
        return found
    if value and size:
        if size < len(found):
            return -ERANGE
        mem_write(value, found)
    return len(found)


@dup("security/commoncap.c")
def cap_inode_need_killpriv(dentry: Any) -> int:
    """``int cap_inode_need_killpriv(struct dentry *dentry)``: 1 if changing the file takes its capabilities away, else 0."""
    from kemu.linux.xattr import __vfs_getxattr

    return int(__vfs_getxattr(dentry, dentry.d_inode, XATTR_NAME_CAPS, 0, 0) > 0)


@dup("security/commoncap.c")
def cap_inode_killpriv(idmap: Any, dentry: Any) -> int:
    """``int cap_inode_killpriv(struct mnt_idmap *idmap, struct dentry *dentry)``. Return: 0, or what removing the attribute says."""
    from kemu.linux.xattr import XATTR_REPLACE
    from kemu.linux.xattr_set import __vfs_setxattr

    error = __vfs_setxattr(idmap, dentry, dentry.d_inode, XATTR_NAME_CAPS, None, XATTR_REPLACE)
    return 0 if error == -EOPNOTSUPP else error


__all__ = ["cap_inode_getsecurity", "cap_inode_killpriv", "cap_inode_need_killpriv", "vfs_getxattr_alloc", "xattr_getsecurity"]
