# SPDX-License-Identifier: GPL-2.0-only
"""What a file system says of itself (fs/statfs.c)."""
from __future__ import annotations

from kemu.linux.errno import ENOSYS
from kemu.linux.include.dcache import Dentry
from kemu.linux.include.path import Path
from kemu.linux.port.honesty import custom, dup
from kemu.linux.statfs import kstatfs

C = "fs/statfs.c"


@dup(C)
def statfs_by_dentry(dentry: Dentry, buf: kstatfs) -> int:
    """``int statfs_by_dentry(struct dentry *dentry, struct kstatfs *buf)``. Return: 0, -ENOSYS, what the file system says."""
    if not dentry.d_sb.s_op.statfs:
        return -ENOSYS

    buf.zero()                              # memset(buf, 0, sizeof(*buf))
    retval = int(dentry.d_sb.s_op.statfs(dentry, buf))
    if retval == 0 and buf.f_frsize == 0:
        buf.f_frsize = buf.f_bsize
    return retval


@custom(C, "vfs_statfs", "f_flags stays 0")
def vfs_statfs(path: Path, buf: kstatfs) -> int:
    """``int vfs_statfs(const struct path *path, struct kstatfs *buf)``. Return: 0, -ENOSYS, what the file system says."""
    return statfs_by_dentry(path.dentry, buf)
