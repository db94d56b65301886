# SPDX-License-Identifier: GPL-2.0-only
"""Attributes of an inode: links, times, owner, flags (the second half of fs/inode.c, fs/attr.c's small helpers, include/linux/fs.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN, WARN_ON, WARN_ON_ONCE
from kemu.linux.cred import current_cred
from kemu.linux.gfp import GFP_USER
from kemu.linux.honesty import custom, dup, names
from kemu.linux.stat import S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT, S_ISBLK, S_ISCHR, S_ISDIR, S_ISFIFO, S_ISGID, S_ISSOCK
from kemu.linux.super_types import (
    SB_I_VERSION,
    SB_NOATIME,
    SB_NODIRATIME,
    SB_NOSEC,
    SB_POSIXACL,
    SB_RDONLY,
    SB_SYNCHRONOUS,
)
from kemu.linux.time64 import NSEC_PER_SEC, _coarse, ktime_get_coarse_real_ts64, timespec64
from kemu.linux.vfs.basic import Path
from kemu.linux.vfs.constants import (
    FS_UPD_ATIME,
    I_DIRTY,
    I_DIRTY_SYNC,
    I_LINKABLE,
    IOP_CACHED_LINK,
    IOP_MGTIME,
    S_APPEND,
    S_AUTOMOUNT,
    S_DAX,
    S_DEAD,
    S_IMMUTABLE,
    S_NOATIME,
    S_NOSEC,
    S_PRIVATE,
    S_SYNC,
)
from kemu.linux.vfs.mounts import mnt_get_write_access, mnt_get_write_access_file, mnt_put_write_access, mnt_put_write_access_file
from kemu.linux.vfs.sb_write import sb_end_write, sb_start_write_trylock
from kemu.linux.vfs.types import File, Inode
from kemu.machine.current import this

INVALID_ID = 0xFFFF_FFFF

# ------------------------------------------------------------------------- links


@dup("fs/inode.c")
def drop_nlink(inode: Inode) -> None:
    """``void drop_nlink(struct inode *inode)``"""
    WARN_ON(inode.i_nlink == 0)
    inode.i_nlink = (inode.i_nlink - 1) & 0xFFFF_FFFF
    if not inode.i_nlink:
        inode.i_sb.s_remove_count += 1


@dup("fs/inode.c")
def clear_nlink(inode: Inode) -> None:
    """``void clear_nlink(struct inode *inode)``"""
    if inode.i_nlink:
        inode.i_nlink = 0
        inode.i_sb.s_remove_count += 1


@dup("fs/inode.c")
def set_nlink(inode: Inode, nlink: int) -> None:
    """``void set_nlink(struct inode *inode, unsigned int nlink)``"""
    if not nlink:
        clear_nlink(inode)
    else:
        if inode.i_nlink == 0:
            inode.i_sb.s_remove_count -= 1
        inode.i_nlink = nlink


@dup("fs/inode.c")
def inc_nlink(inode: Inode) -> None:
    """``void inc_nlink(struct inode *inode)``"""
    if inode.i_nlink == 0:
        WARN_ON(not inode.i_state & I_LINKABLE)
        inode.i_sb.s_remove_count -= 1
    inode.i_nlink += 1


@dup("include/linux/fs.h")
def special_file(m: int) -> bool:
    """``special_file(m)``"""
    return S_ISCHR(m) or S_ISBLK(m) or S_ISFIFO(m) or S_ISSOCK(m)


@dup("include/linux/fs.h")
def inode_inc_link_count(inode: Inode) -> None:
    """``void inode_inc_link_count(struct inode *inode)``"""
    inc_nlink(inode)
    mark_inode_dirty(inode)


@dup("include/linux/fs.h")
def inode_dec_link_count(inode: Inode) -> None:
    """``void inode_dec_link_count(struct inode *inode)``"""
    drop_nlink(inode)
    mark_inode_dirty(inode)


@custom("fs/fs-writeback.c", "__mark_inode_dirty", "sets the state bits; there is no writeback")
def __mark_inode_dirty(inode: Inode, flags: int) -> None:
    """``void __mark_inode_dirty(struct inode *inode, int flags)``"""
    if inode.i_sb.s_op.dirty_inode is not None:
        inode.i_sb.s_op.dirty_inode(inode, flags)


@dup("include/linux/fs.h")
def mark_inode_dirty(inode: Inode) -> None:
    """``void mark_inode_dirty(struct inode *inode)``"""
    __mark_inode_dirty(inode, I_DIRTY)


# ------------------------------------------------------------------------- owner

@dup("include/linux/fs.h")
def i_uid_write(inode: Inode, uid: int) -> None:
    """``void i_uid_write(struct inode *inode, uid_t uid)``"""
    inode.i_uid = uid


@dup("include/linux/fs.h")
def i_gid_write(inode: Inode, gid: int) -> None:
    """``void i_gid_write(struct inode *inode, gid_t gid)``"""
    inode.i_gid = gid


@dup("include/linux/fs.h")
def i_uid_read(inode: Inode) -> int:
    """``uid_t i_uid_read(const struct inode *inode)``"""
    return inode.i_uid


@dup("include/linux/fs.h")
def i_gid_read(inode: Inode) -> int:
    """``gid_t i_gid_read(const struct inode *inode)``"""
    return inode.i_gid


@custom("include/linux/fs.h", "HAS_UNMAPPED_ID", "mounts are not idmapped")
def HAS_UNMAPPED_ID(idmap: Any, inode: Inode) -> bool:
    """``bool HAS_UNMAPPED_ID(struct mnt_idmap *idmap, struct inode *inode)``"""
    return inode.i_uid == INVALID_ID or inode.i_gid == INVALID_ID


@dup("fs/inode.c")
def inode_init_owner(idmap: Any, inode: Inode, dir: Inode | None, mode: int) -> None:
    """``void inode_init_owner(idmap, inode, dir, mode)``: uid, gid and mode of a new inode, POSIX rules."""
    cred = current_cred()
    inode.i_uid = cred.fsuid
    if dir is not None and dir.i_mode & S_ISGID:
        inode.i_gid = dir.i_gid
        if S_ISDIR(mode):
            mode |= S_ISGID
    else:
        inode.i_gid = cred.fsgid
    inode.i_mode = mode


# ------------------------------------------------------------------------- times

@dup("include/linux/fs.h")
def inode_set_mtime(inode: Inode, sec: int, nsec: int) -> timespec64:
    """``struct timespec64 inode_set_mtime(struct inode *inode, time64_t sec, long nsec)``: ``sec`` converts to s64."""
    inode.i_mtime_sec = sec = ((sec + (1 << 63)) & 0xFFFF_FFFF_FFFF_FFFF) - (1 << 63)
    inode.i_mtime_nsec = nsec & 0xFFFF_FFFF
    return timespec64(sec, nsec)


@dup("include/linux/fs.h")
def inode_set_mtime_to_ts(inode: Inode, ts: timespec64) -> timespec64:
    """``struct timespec64 inode_set_mtime_to_ts(struct inode *inode, struct timespec64 ts)``"""
    inode.i_mtime_sec, inode.i_mtime_nsec = ts
    return ts


@dup("include/linux/fs.h")
def inode_set_atime(inode: Inode, sec: int, nsec: int) -> timespec64:
    """``struct timespec64 inode_set_atime(struct inode *inode, time64_t sec, long nsec)``"""
    ts = timespec64(sec, nsec)
    inode.i_atime_sec, inode.i_atime_nsec = ts
    return ts


@dup("include/linux/fs.h")
def inode_set_atime_to_ts(inode: Inode, ts: timespec64) -> timespec64:
    """``struct timespec64 inode_set_atime_to_ts(struct inode *inode, struct timespec64 ts)``"""
    inode.i_atime_sec, inode.i_atime_nsec = ts
    return ts


@dup("fs/inode.c")
def inode_set_ctime_to_ts(inode: Inode, ts: timespec64) -> timespec64:
    """``struct timespec64 inode_set_ctime_to_ts(struct inode *inode, struct timespec64 ts)``: normalised and stored.

    Return: the normalised time.
    """
    sec, nsec = ts
    if not 0 <= nsec < NSEC_PER_SEC:
        ts = timespec64(sec + nsec // NSEC_PER_SEC, nsec % NSEC_PER_SEC)
    inode.i_ctime_sec, inode.i_ctime_nsec = ts
    return ts


@dup("include/linux/fs.h")
def inode_set_ctime(inode: Inode, sec: int, nsec: int) -> timespec64:
    """``struct timespec64 inode_set_ctime(struct inode *inode, time64_t sec, long nsec)``"""
    return inode_set_ctime_to_ts(inode, timespec64(sec, nsec))


@dup("include/linux/fs.h")
def inode_get_mtime(inode: Inode) -> timespec64:
    """``struct timespec64 inode_get_mtime(const struct inode *inode)``"""
    return timespec64(inode.i_mtime_sec, inode.i_mtime_nsec)


@dup("include/linux/fs.h")
def inode_get_atime(inode: Inode) -> timespec64:
    """``struct timespec64 inode_get_atime(const struct inode *inode)``"""
    return timespec64(inode.i_atime_sec, inode.i_atime_nsec)


@dup("include/linux/fs.h")
def inode_get_ctime(inode: Inode) -> timespec64:
    """``struct timespec64 inode_get_ctime(const struct inode *inode)``"""
    return timespec64(inode.i_ctime_sec, inode.i_ctime_nsec)


@dup("fs/inode.c")
def timestamp_truncate(t: timespec64, inode: Inode) -> timespec64:
    """``struct timespec64 timestamp_truncate(struct timespec64 t, struct inode *inode)``: to what the file system can store."""
    sb = inode.i_sb
    gran = sb.s_time_gran
    sec, nsec = t
    if gran == 1 and sb.s_time_min < sec < sb.s_time_max:
        return t
    sec = min(max(sec, sb.s_time_min), sb.s_time_max)
    if sec == sb.s_time_max or sec == sb.s_time_min:
        nsec = 0
    if gran == NSEC_PER_SEC:
        nsec = 0
    elif 1 < gran < NSEC_PER_SEC:
        nsec -= nsec % gran
    elif gran != 1:
        WARN(1, "invalid file time granularity: %u", gran)
    return timespec64(sec, nsec)


@dup("fs/inode.c")
def current_time(inode: Inode) -> timespec64:
    """``struct timespec64 current_time(struct inode *inode)``: the coarse time, truncated for the file system."""
    clock = this.machine.clock
    now: timespec64 = _coarse[2] if _coarse[0] == clock.now_ns // 10_000_000 and _coarse[1] == clock.boot_epoch else ktime_get_coarse_real_ts64()
    sb = inode.i_sb
    if sb.s_time_gran == 1 and sb.s_time_min < now[0] < sb.s_time_max:
        return now
    return timestamp_truncate(now, inode)


@custom("fs/inode.c", "inode_set_ctime_current", "timestamps are coarse also on multigrain file systems")
def inode_set_ctime_current(inode: Inode) -> timespec64:
    """``struct timespec64 inode_set_ctime_current(struct inode *inode)``"""
    inode.i_ctime_sec, inode.i_ctime_nsec = now = current_time(inode)
    return now


@dup("fs/libfs.c")
def simple_inode_init_ts(inode: Inode) -> timespec64:
    """``struct timespec64 simple_inode_init_ts(struct inode *inode)``: all three times are now."""
    inode.i_atime_sec, inode.i_atime_nsec = inode.i_mtime_sec, inode.i_mtime_nsec = inode.i_ctime_sec, inode.i_ctime_nsec = ts = current_time(inode)
    return ts


@dup("fs/inode.c")
def atime_needs_update(path: Path, inode: Inode) -> bool:
    """``bool atime_needs_update(const struct path *path, struct inode *inode)``: also with relatime's rules."""
    if inode.i_flags & S_NOATIME or HAS_UNMAPPED_ID(None, inode):
        return False
    sb_flags = inode.i_sb.s_flags
    if sb_flags & (SB_RDONLY | SB_NOATIME):
        return False
    if sb_flags & SB_NODIRATIME and S_ISDIR(inode.i_mode):
        return False
    mnt_flags = path.mnt.mnt_flags
    if mnt_flags & 0x08:                        # MNT_NOATIME
        return False
    if mnt_flags & 0x10 and S_ISDIR(inode.i_mode):      # MNT_NODIRATIME
        return False
    now = current_time(inode)
    atime = inode_get_atime(inode)
    if mnt_flags & 0x20:                        # MNT_RELATIME: relatime_need_update()
        if inode_get_mtime(inode) < atime and inode_get_ctime(inode) < atime and now.tv_sec - atime.tv_sec < 24 * 60 * 60:
            return False
    return atime != now


@dup("fs/inode.c")
def touch_atime(path: Path) -> None:
    """``void touch_atime(const struct path *path)``: the inode has been read."""
    inode = path.dentry.d_inode
    if not atime_needs_update(path, inode):
        return
    if not sb_start_write_trylock(inode.i_sb):
        return
    if mnt_get_write_access(path.mnt) == 0:
        if inode.i_op.update_time is not None:
            inode.i_op.update_time(inode, FS_UPD_ATIME, 0)
        else:
            inode_set_atime_to_ts(inode, current_time(inode))
            __mark_inode_dirty(inode, I_DIRTY_SYNC)
        mnt_put_write_access(path.mnt)
    sb_end_write(inode.i_sb)


@dup("include/linux/fs.h")
def file_accessed(file: File) -> None:
    """``void file_accessed(struct file *file)``"""
    if not file.f_flags & 1 << 18 and not file.f_inode.i_sb.s_flags & (SB_RDONLY | SB_NOATIME):      # O_NOATIME
        touch_atime(file.f_path)


@custom("fs/inode.c", "file_update_time",
        "the times are always set: one task's clock does not say that nothing has changed; file systems have no ->update_time for it")
def file_update_time(file: File) -> int:
    """``int file_update_time(struct file *file)``: mtime and ctime are now. Return: 0."""
    inode = file.f_inode
    if mnt_get_write_access_file(file):
        return 0
    inode.i_mtime_sec, inode.i_mtime_nsec = inode.i_ctime_sec, inode.i_ctime_nsec = current_time(inode)
    if inode.i_sb.s_op.dirty_inode is not None:
        __mark_inode_dirty(inode, I_DIRTY_SYNC)
    mnt_put_write_access_file(file)
    return 0


# ------------------------------------------------------------------------- kinds and flags

@dup("fs/inode.c")
def init_special_inode(inode: Inode, mode: int, rdev: int) -> None:
    """``void init_special_inode(struct inode *inode, umode_t mode, dev_t rdev)``: open() of it goes to the device."""
    from kemu.linux.vfs.char_dev import def_chr_fops, pipefifo_fops

    inode.i_mode = mode
    kind = mode & S_IFMT
    if kind == S_IFCHR:
        inode.i_fop = def_chr_fops
        inode.i_rdev = rdev
    elif kind == S_IFBLK:
        from kemu.linux.blkdev import def_blk_fops

        inode.i_fop = def_blk_fops
        inode.i_rdev = rdev
    elif kind == S_IFIFO:
        inode.i_fop = pipefifo_fops


@dup("fs/inode.c")
def inode_nohighmem(inode: Inode) -> None:
    """``void inode_nohighmem(struct inode *inode)``: cached pages have a kernel address."""
    inode.i_mapping.gfp_mask = GFP_USER


@dup("include/linux/fs.h")
def inode_set_cached_link(inode: Inode, link: Any, linklen: int) -> None:
    """``void inode_set_cached_link(struct inode *inode, char *link, int linklen)``: readlink() needs no ->get_link."""
    WARN_ON(inode.i_opflags & IOP_CACHED_LINK)
    inode.i_link = link
    inode.i_linklen = linklen
    inode.i_opflags |= IOP_CACHED_LINK


@dup("fs/inode.c")
def inode_set_flags(inode: Inode, flags: int, mask: int) -> None:
    """``void inode_set_flags(struct inode *inode, unsigned int flags, unsigned int mask)``"""
    WARN_ON_ONCE(flags & ~mask)
    inode.i_flags = inode.i_flags & ~mask | flags


@dup("include/linux/fs.h")
def inode_has_no_xattr(inode: Inode) -> None:
    """``void inode_has_no_xattr(struct inode *inode)``"""
    mode = inode.i_mode                         # is_sxid()
    if not (mode & 0o4000 or mode & 0o2010 == 0o2010) and inode.i_sb.s_flags & SB_NOSEC:
        inode.i_flags |= S_NOSEC


@dup("include/linux/posix_acl.h")
def cache_no_acl(inode: Inode) -> None:
    """``void cache_no_acl(struct inode *inode)``: there are no ACLs, no need to ask."""
    inode.i_acl = None
    inode.i_default_acl = None


@dup("include/linux/fs.h")
def i_blocksize(node: Inode) -> int:
    """``unsigned int i_blocksize(const struct inode *node)``"""
    return 1 << node.i_blkbits


@dup("include/linux/fs.h")
def i_size_read(inode: Inode) -> int:
    """``loff_t i_size_read(const struct inode *inode)``"""
    return inode.i_size


@dup("include/linux/fs.h")
def i_size_write(inode: Inode, i_size: int) -> None:
    """``void i_size_write(struct inode *inode, loff_t i_size)``"""
    inode.i_size = i_size


@dup("include/linux/fs.h")
def imajor(inode: Inode) -> int:
    """``unsigned imajor(const struct inode *inode)``"""
    return inode.i_rdev >> 20


@dup("include/linux/fs.h")
def iminor(inode: Inode) -> int:
    """``unsigned iminor(const struct inode *inode)``"""
    return inode.i_rdev & 0xFFFFF


@dup("include/linux/fs.h")
def i_user_ns(inode: Inode) -> Any:
    """``struct user_namespace *i_user_ns(const struct inode *inode)``"""
    return inode.i_sb.s_user_ns


@dup("include/linux/fs.h")
def is_mgtime(inode: Inode) -> bool:
    """``bool is_mgtime(const struct inode *inode)``"""
    return bool(inode.i_opflags & IOP_MGTIME)


def IS_RDONLY(inode: Inode) -> int:
    """``IS_RDONLY(inode)``: the file system is mounted read-only."""
    return inode.i_sb.s_flags & SB_RDONLY


def IS_SYNC(inode: Inode) -> int:
    """``IS_SYNC(inode)``: writes are synchronous."""
    return inode.i_sb.s_flags & SB_SYNCHRONOUS or inode.i_flags & S_SYNC


def IS_NOATIME(inode: Inode) -> int:
    """``IS_NOATIME(inode)``: atime is not updated."""
    return inode.i_sb.s_flags & (SB_RDONLY | SB_NOATIME)


def IS_I_VERSION(inode: Inode) -> int:
    """``IS_I_VERSION(inode)``: i_version counts changes."""
    return inode.i_sb.s_flags & SB_I_VERSION


def IS_POSIXACL(inode: Inode) -> int:
    """``IS_POSIXACL(inode)``: the file system has access control lists."""
    return inode.i_sb.s_flags & SB_POSIXACL


def IS_APPEND(inode: Inode) -> int:
    """``IS_APPEND(inode)``: writes only append."""
    return inode.i_flags & S_APPEND


def IS_IMMUTABLE(inode: Inode) -> int:
    """``IS_IMMUTABLE(inode)``: nothing may change it."""
    return inode.i_flags & S_IMMUTABLE


def IS_DEADDIR(inode: Inode) -> int:
    """``IS_DEADDIR(inode)``: a removed directory."""
    return inode.i_flags & S_DEAD


def IS_PRIVATE(inode: Inode) -> int:
    """``IS_PRIVATE(inode)``: internal to a file system."""
    return inode.i_flags & S_PRIVATE


def IS_AUTOMOUNT(inode: Inode) -> int:
    """``IS_AUTOMOUNT(inode)``: a directory where something is mounted when it is entered."""
    return inode.i_flags & S_AUTOMOUNT


def IS_NOSEC(inode: Inode) -> int:
    """``IS_NOSEC(inode)``: no set-id bits and no security attributes."""
    return inode.i_flags & S_NOSEC


def IS_DAX(inode: Inode) -> int:
    """``IS_DAX(inode)``: contents are not in the page cache."""
    return inode.i_flags & S_DAX


def IS_WHITEOUT(inode: Inode) -> bool:
    """``IS_WHITEOUT(inode)``: the mark of a removed name in an overlay."""
    return inode.i_mode & S_IFMT == S_IFCHR and inode.i_rdev == 0


names("dup", "include/linux/fs.h", "IS_RDONLY", "IS_SYNC", "IS_NOATIME", "IS_I_VERSION", "IS_POSIXACL", "IS_APPEND", "IS_IMMUTABLE", "IS_DEADDIR",
      "IS_PRIVATE", "IS_AUTOMOUNT", "IS_NOSEC", "IS_DAX", "IS_WHITEOUT")


__all__ = ["HAS_UNMAPPED_ID", "INVALID_ID", "IS_APPEND", "IS_AUTOMOUNT", "IS_DAX", "IS_DEADDIR", "IS_IMMUTABLE", "IS_I_VERSION",
           "IS_NOATIME", "IS_NOSEC", "IS_POSIXACL", "IS_PRIVATE", "IS_RDONLY", "IS_SYNC", "IS_WHITEOUT", "__mark_inode_dirty",
           "atime_needs_update", "cache_no_acl", "clear_nlink", "current_time", "drop_nlink", "file_accessed",
           "file_update_time", "i_blocksize", "i_gid_read", "i_gid_write", "i_size_read", "i_size_write", "i_uid_read",
           "i_uid_write", "i_user_ns", "imajor", "iminor", "inc_nlink", "init_special_inode", "inode_dec_link_count",
           "inode_get_atime", "inode_get_ctime", "inode_get_mtime", "inode_has_no_xattr", "inode_inc_link_count",
           "inode_init_owner", "inode_nohighmem", "inode_set_atime", "inode_set_atime_to_ts", "inode_set_cached_link",
           "inode_set_ctime", "inode_set_ctime_current", "inode_set_ctime_to_ts", "inode_set_flags", "inode_set_mtime",
           "inode_set_mtime_to_ts", "is_mgtime", "mark_inode_dirty", "set_nlink", "simple_inode_init_ts", "timestamp_truncate",
           "touch_atime"]
