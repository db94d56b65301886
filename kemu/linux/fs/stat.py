# SPDX-License-Identifier: GPL-2.0-only
"""What stat says, and reading symbolic links (fs/stat.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import EINVAL, ENOENT
from kemu.linux.fcntl import AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_STATX_SYNC_TYPE, AT_SYMLINK_NOFOLLOW
from kemu.linux.fs.inode import touch_atime
from kemu.linux.fs.internal import path_mounted
from kemu.linux.fs.libfs import simple_get_link
from kemu.linux.fs.namei import filename_lookup, getname, page_get_link, path_put, vfs_readlink
from kemu.linux.include.dcache import d_is_symlink
from kemu.linux.include.fs.constants import S_APPEND, S_DAX, S_IMMUTABLE
from kemu.linux.include.fs.types import File, Inode, inode_operations
from kemu.linux.include.namei import LOOKUP_AUTOMOUNT, LOOKUP_EMPTY, LOOKUP_FOLLOW, LOOKUP_REVAL, retry_estale
from kemu.linux.include.path import Path
from kemu.linux.port.honesty import custom, dup
from kemu.linux.stat import (
    STATX_ATIME,
    STATX_ATTR_APPEND,
    STATX_ATTR_AUTOMOUNT,
    STATX_ATTR_DAX,
    STATX_ATTR_IMMUTABLE,
    STATX_ATTR_MOUNT_ROOT,
    STATX_BASIC_STATS,
    Kstat,
)
from kemu.linux.super_types import SB_NOATIME
from kemu.linux.time64 import timespec64

C = "fs/stat.c"

OVERFLOW_ID = 65534


@dup(C)
def generic_fillattr(idmap: Any, request_mask: int, inode: Inode, stat: Kstat) -> None:
    """``void generic_fillattr(struct mnt_idmap *idmap, u32 request_mask, struct inode *inode, struct kstat *stat)``"""
    stat.dev = inode.i_sb.s_dev
    stat.ino = inode.i_ino
    stat.mode = inode.i_mode
    stat.nlink = inode.i_nlink
    stat.uid = inode.i_uid
    stat.gid = inode.i_gid
    stat.rdev = inode.i_rdev
    stat.size = inode.i_size
    stat.atime = timespec64(inode.i_atime_sec, inode.i_atime_nsec)
    stat.mtime = timespec64(inode.i_mtime_sec, inode.i_mtime_nsec)
    stat.ctime = timespec64(inode.i_ctime_sec, inode.i_ctime_nsec)
    stat.blksize = 1 << inode.i_blkbits
    stat.blocks = inode.i_blocks


@dup(C)
def generic_fill_statx_attr(inode: Inode, stat: Kstat) -> None:
    """``void generic_fill_statx_attr(struct inode *inode, struct kstat *stat)``"""
    if inode.i_flags & S_IMMUTABLE:
        stat.attributes |= STATX_ATTR_IMMUTABLE
    if inode.i_flags & S_APPEND:
        stat.attributes |= STATX_ATTR_APPEND
    stat.attributes_mask |= STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND


@dup(C)
def vfs_getattr_nosec(path: Path, stat: Kstat, request_mask: int, query_flags: int) -> int:
    """``int vfs_getattr_nosec(const struct path *path, struct kstat *stat, u32 request_mask, unsigned int query_flags)``"""
    inode = path.dentry.d_inode
    stat.clear()
    stat.result_mask = STATX_BASIC_STATS
    query_flags &= AT_STATX_SYNC_TYPE
    if inode.i_sb.s_flags & SB_NOATIME:
        stat.result_mask &= ~STATX_ATIME
    if inode.i_flags & S_DAX:
        stat.attributes |= STATX_ATTR_DAX
    stat.attributes_mask |= STATX_ATTR_AUTOMOUNT | STATX_ATTR_DAX
    idmap = path.mnt.mnt_idmap
    if inode.i_op.getattr is not None:
        return int(inode.i_op.getattr(idmap, path, stat, request_mask, query_flags))
    generic_fillattr(idmap, request_mask, inode, stat)
    return 0


vfs_getattr = vfs_getattr_nosec


@custom(C, "cp_new_stat", "the kstat itself, with ids that are not mapped replaced")
def cp_new_stat(stat: Kstat) -> Kstat:
    """``static int cp_new_stat(struct kstat *stat, struct stat __user *statbuf)``: what user space sees."""
    if stat.uid == 0xFFFF_FFFF:
        stat.uid = OVERFLOW_ID
    if stat.gid == 0xFFFF_FFFF:
        stat.gid = OVERFLOW_ID
    return stat


@custom(C, "vfs_fstat", "takes the file instead of its number")
def vfs_fstat(file: File, stat: Kstat) -> int:
    """``int vfs_fstat(int fd, struct kstat *stat)``: of an open file."""
    return vfs_getattr(file.f_path, stat, STATX_BASIC_STATS, 0)


def statx_lookup_flags(flags: int) -> int:
    """``int statx_lookup_flags(int flags)``"""
    lookup_flags = 0

    if not flags & AT_SYMLINK_NOFOLLOW:
        lookup_flags |= LOOKUP_FOLLOW
    if not flags & AT_NO_AUTOMOUNT:
        lookup_flags |= LOOKUP_AUTOMOUNT
    return lookup_flags


@custom(C, "vfs_statx_path", "no mount has a number")
def vfs_statx_path(path: Path, flags: int, stat: Kstat, request_mask: int) -> int:
    """``static int vfs_statx_path(const struct path *path, int flags, struct kstat *stat, u32 request_mask)``"""
    error = vfs_getattr(path, stat, request_mask, flags)
    if error:
        return error
    if path_mounted(path):
        stat.attributes |= STATX_ATTR_MOUNT_ROOT
    stat.attributes_mask |= STATX_ATTR_MOUNT_ROOT
    return 0


@dup(C)
def vfs_statx(dfd: int | File, filename: bytes, flags: int, stat: Kstat, request_mask: int) -> int:
    """``static int vfs_statx(int dfd, struct filename *filename, int flags, struct kstat *stat, u32 request_mask)``.

    Return: 0; -EINVAL for flags that there are not; a walk's error; ->getattr's.
    """
    path = Path()
    lookup_flags = statx_lookup_flags(flags)

    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE):
        return -EINVAL
    while True:                                     # retry:
        error = filename_lookup(dfd, filename, lookup_flags, path)
        if error:
            return error
        error = vfs_statx_path(path, flags, stat, request_mask)
        path_put(path)
        if retry_estale(error, lookup_flags):
            lookup_flags |= LOOKUP_REVAL
            continue                                # goto retry
        return error


@custom(C, "vfs_fstatat", "an empty name is looked up too: there is no vfs_fstat() of a number")
def vfs_fstatat(dfd: int | File, filename: str | bytes, stat: Kstat, flags: int) -> int:
    """``int vfs_fstatat(int dfd, const char __user *filename, struct kstat *stat, int flags)``.

    Return: 0, a walk's error, ->getattr's.
    """
    name = getname(filename, LOOKUP_EMPTY if flags & AT_EMPTY_PATH else 0)
    return vfs_statx(dfd, name, flags | AT_NO_AUTOMOUNT, stat, STATX_BASIC_STATS)


@dup(C)
def do_readlinkat(dfd: int | File, pathname: str | bytes, buf: Any, bufsiz: int) -> int:
    """``static int do_readlinkat(int dfd, const char __user *pathname, char __user *buf, int bufsiz)``"""
    path = Path()
    lookup_flags = 0

    if bufsiz <= 0:
        return -EINVAL

    name = getname(pathname)
    while True:                                     # retry:
        error = filename_lookup(dfd, name, lookup_flags, path)
        if error:
            return error

        # AFS mountpoints allow readlink(2) but are not symlinks
        if d_is_symlink(path.dentry) or path.dentry.d_inode.i_op.readlink is not None:
            touch_atime(path)
            error = vfs_readlink(path.dentry, buf, bufsiz)
        else:
            error = -ENOENT if not name else -EINVAL
        path_put(path)
        if retry_estale(error, lookup_flags):
            lookup_flags |= LOOKUP_REVAL
            continue                                # goto retry
        return error


page_symlink_inode_operations = inode_operations(get_link=page_get_link)

simple_symlink_inode_operations = inode_operations(get_link=simple_get_link)
