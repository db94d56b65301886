# SPDX-License-Identifier: GPL-2.0-only
"""Attributes and link texts for user space (fs/stat.c, the last part of fs/namei.c). Ports import it from kemu.linux.fs."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON
from kemu.linux.dcache import Dentry, d_is_symlink
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EFAULT, EINVAL, ENOENT
from kemu.linux.fcntl import AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_STATX_SYNC_TYPE, AT_SYMLINK_NOFOLLOW
from kemu.linux.filemap import read_mapping_folio
from kemu.linux.gfp import __GFP_HIGHMEM
from kemu.linux.honesty import custom, dup
from kemu.linux.mm import folio_address, folio_put
from kemu.linux.path import path_put
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.linux.stat import STATX_BASIC_STATS
from kemu.linux.super_types import SB_NOATIME
from kemu.linux.time64 import timespec64
from kemu.linux.types import arch, ulong
from kemu.linux.vfs.basic import Path
from kemu.linux.vfs.constants import IOP_CACHED_LINK, IOP_DEFAULT_READLINK, S_APPEND, S_DAX, S_IMMUTABLE
from kemu.linux.vfs.inode_attr import touch_atime
from kemu.linux.vfs.types import File, Inode, Kstat, inode_operations
from kemu.linux.vfs.walk import (
    LOOKUP_AUTOMOUNT,
    LOOKUP_EMPTY,
    LOOKUP_FOLLOW,
    delayed_call,
    do_delayed_call,
    filename_lookup,
    getname,
    link_text,
    set_delayed_call,
)
from kemu.machine.current import this

STATX_ATIME = 0x20
STATX_ATTR_APPEND, STATX_ATTR_AUTOMOUNT, STATX_ATTR_DAX, STATX_ATTR_IMMUTABLE = 0x20, 0x1000, 0x200000, 0x10
OVERFLOW_ID = 65534


@dup("fs/stat.c")
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


@dup("fs/stat.c")
def generic_fill_statx_attr(inode: Inode, stat: Kstat) -> None:
    """``void generic_fill_statx_attr(struct inode *inode, struct kstat *stat)``"""
    if inode.i_flags & S_IMMUTABLE:
        stat.attributes |= STATX_ATTR_IMMUTABLE
    if inode.i_flags & S_APPEND:
        stat.attributes |= STATX_ATTR_APPEND
    stat.attributes_mask |= STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND


@dup("fs/stat.c")
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


@custom("fs/stat.c", "cp_new_stat", "the kstat itself, with ids that are not mapped replaced")
def cp_new_stat(stat: Kstat) -> Kstat:
    """``static int cp_new_stat(struct kstat *stat, struct stat __user *statbuf)``: what user space sees."""
    if stat.uid == 0xFFFF_FFFF:
        stat.uid = OVERFLOW_ID
    if stat.gid == 0xFFFF_FFFF:
        stat.gid = OVERFLOW_ID
    return stat


@custom("fs/stat.c", "vfs_fstat", "takes the file instead of its number")
def vfs_fstat(file: File, stat: Kstat) -> int:
    """``int vfs_fstat(int fd, struct kstat *stat)``: of an open file."""
    return vfs_getattr(file.f_path, stat, STATX_BASIC_STATS, 0)


@dup("fs/stat.c")
def vfs_fstatat(dfd: int | File, filename: str | bytes, stat: Kstat, flags: int) -> int:
    """``int vfs_fstatat(int dfd, const char __user *filename, struct kstat *stat, int flags)``. Return: 0, a walk's error, ->getattr's."""
    lookup_flags = (0 if flags & AT_SYMLINK_NOFOLLOW else LOOKUP_FOLLOW) | (0 if flags & AT_NO_AUTOMOUNT else LOOKUP_AUTOMOUNT)
    path = Path()
    error = filename_lookup(dfd, getname(filename, LOOKUP_EMPTY if flags & AT_EMPTY_PATH else 0), lookup_flags, path)
    if error:
        return error
    error = vfs_getattr(path, stat, STATX_BASIC_STATS, flags)
    path_put(path)
    return error


# ------------------------------------------------------------------------- links

@custom("fs/namei.c", "readlink_copy", "the user's memory is a Python buffer")
def readlink_copy(buffer: Any, buflen: int, link: Any, linklen: int) -> int:
    """``int readlink_copy(char __user *buffer, int buflen, const char *link, int linklen)``: bytes copied; longer texts are cut."""
    from kemu.linux.uaccess import copy_to_user

    copylen = min(linklen, buflen)
    if isinstance(link, int):
        if copy_to_user(buffer, link, copylen):
            return -EFAULT
    else:
        buffer[:copylen] = link_text(link)[:copylen]
    return copylen


@dup("fs/namei.c")
def vfs_readlink(dentry: Dentry, buffer: Any, buflen: int) -> int:
    """``int vfs_readlink(struct dentry *dentry, char __user *buffer, int buflen)``. Return: bytes, -EINVAL, ->get_link's error."""
    inode = dentry.d_inode
    if inode.i_opflags & IOP_CACHED_LINK:
        return readlink_copy(buffer, buflen, inode.i_link, inode.i_linklen)
    if not inode.i_opflags & IOP_DEFAULT_READLINK:
        if inode.i_op.readlink is not None:
            return int(inode.i_op.readlink(dentry, buffer, buflen))
        if not d_is_symlink(dentry):
            return -EINVAL
        spin_lock(inode.i_lock)
        inode.i_opflags |= IOP_DEFAULT_READLINK
        spin_unlock(inode.i_lock)
    done = delayed_call()
    link = inode.i_link
    if not link:
        link = inode.i_op.get_link(dentry, inode, done)
        if IS_ERR(link):
            return PTR_ERR(link)
    res = readlink_copy(buffer, buflen, link, len(link_text(link)))
    do_delayed_call(done)
    return res


@dup("fs/stat.c")
def do_readlinkat(dfd: int | File, pathname: str | bytes, buf: Any, bufsiz: int) -> int:
    """``static int do_readlinkat(int dfd, const char __user *pathname, char __user *buf, int bufsiz)``"""
    if bufsiz <= 0:
        return -EINVAL
    path = Path()
    name = getname(pathname)
    error = filename_lookup(dfd, name, 0, path)
    if error:
        return error
    if d_is_symlink(path.dentry) or path.dentry.d_inode.i_op.readlink is not None:
        touch_atime(path)
        error = vfs_readlink(path.dentry, buf, bufsiz)
    else:
        error = -ENOENT if not name else -EINVAL
    path_put(path)
    return error


@dup("fs/namei.c")
def vfs_get_link(dentry: Dentry, done: delayed_call) -> Any:
    """``const char *vfs_get_link(struct dentry *dentry, struct delayed_call *done)``. Return: or ERR_PTR(-EINVAL, ...)."""
    if not d_is_symlink(dentry):
        return ERR_PTR(-EINVAL)
    return dentry.d_inode.i_op.get_link(dentry, dentry.d_inode, done)


@dup("fs/namei.c")
def page_put_link(arg: Any) -> None:
    """``void page_put_link(void *arg)``: of a folio."""
    folio_put(arg)


@dup("fs/namei.c")
def page_get_link_raw(dentry: Dentry | None, inode: Inode, callback: delayed_call) -> Any:
    """``const char *page_get_link_raw(dentry, inode, callback)``: the first page, as it is."""
    mapping = inode.i_mapping
    folio = read_mapping_folio(mapping, 0, None)
    if IS_ERR(folio):
        return folio
    set_delayed_call(callback, page_put_link, folio)
    BUG_ON(mapping.gfp_mask & __GFP_HIGHMEM)
    return folio_address(folio)


@dup("include/linux/namei.h")
def nd_terminate_link(name: int, length: int, maxlen: int) -> None:
    """``void nd_terminate_link(void *name, size_t len, size_t maxlen)``"""
    this.mem.st8(name + min(ulong(length), maxlen), 0)


@dup("fs/namei.c")
def page_get_link(dentry: Dentry | None, inode: Inode, callback: delayed_call) -> Any:
    """``const char *page_get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *callback)``

    A link whose text is in the page cache; it is terminated there. Return: an address, or the error of reading the page.
    """
    kaddr = page_get_link_raw(dentry, inode, callback)
    if not IS_ERR(kaddr):
        nd_terminate_link(kaddr, inode.i_size, arch.PAGE_SIZE - 1)
    return kaddr


page_symlink_inode_operations = inode_operations(get_link=page_get_link)


@dup("fs/libfs.c")
def simple_get_link(dentry: Dentry | None, inode: Inode, done: delayed_call) -> Any:
    """``const char *simple_get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done)``"""
    return inode.i_link


simple_symlink_inode_operations = inode_operations(get_link=simple_get_link)


__all__ = ["OVERFLOW_ID", "STATX_ATIME", "STATX_ATTR_APPEND", "STATX_ATTR_AUTOMOUNT", "STATX_ATTR_DAX", "STATX_ATTR_IMMUTABLE",
           "cp_new_stat", "do_readlinkat", "generic_fill_statx_attr", "generic_fillattr", "nd_terminate_link", "page_get_link",
           "page_get_link_raw", "page_put_link", "page_symlink_inode_operations", "readlink_copy", "simple_get_link",
           "simple_symlink_inode_operations", "vfs_fstat", "vfs_fstatat", "vfs_get_link", "vfs_getattr", "vfs_getattr_nosec",
           "vfs_readlink"]
