# SPDX-License-Identifier: GPL-2.0-only
"""The inline functions of include/linux/fs.h."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON, WARN_ON, WARN_ON_ONCE
from kemu.linux.errno import ETXTBSY
from kemu.linux.fcntl import __O_SYNC, O_ACCMODE, O_APPEND, O_DIRECT, O_DSYNC
from kemu.linux.fs.fs_writeback import __mark_inode_dirty
from kemu.linux.include.dcache import Dentry
from kemu.linux.include.fs.constants import (
    ATTR_GID,
    ATTR_UID,
    FMODE_BACKING,
    I_DIRTY,
    INVALID_ID,
    IOCB_APPEND,
    IOCB_DIRECT,
    IOCB_DSYNC,
    IOCB_SYNC,
    IOP_CACHED_LINK,
    IOP_MGTIME,
    MAY_READ,
    MAY_WRITE,
    S_APPEND,
    S_AUTOMOUNT,
    S_DAX,
    S_DEAD,
    S_IMMUTABLE,
    S_NOSEC,
    S_PRIVATE,
    S_SYNC,
    WHITEOUT_DEV,
    WHITEOUT_MODE,
)
from kemu.linux.include.fs.types import AddressSpace, DirContext, File, FileRaState, Inode, Kiocb, iattr
from kemu.linux.include.fs_dirent import DT_DIR, S_DT_MASK
from kemu.linux.include.pagemap import _invalidate_lock
from kemu.linux.include.path import Path
from kemu.linux.include.rwsem import rw_semaphore
from kemu.linux.include.slab import kmem_cache_alloc
from kemu.linux.kernel.locking.rwsem import down_read, down_read_trylock, down_write, down_write_killable, up_read, up_write
from kemu.linux.port.honesty import custom, dup, names
from kemu.linux.stat import S_IFCHR, S_IFMT, S_ISBLK, S_ISCHR, S_ISFIFO, S_ISGID, S_ISREG, S_ISSOCK, S_ISUID
from kemu.linux.super_types import (
    SB_I_VERSION,
    SB_NOATIME,
    SB_NOSEC,
    SB_POSIXACL,
    SB_RDONLY,
    SB_SYNCHRONOUS,
    SuperBlock,
    sb_end_write,
    sb_start_write,
)
from kemu.linux.time64 import timespec64
from kemu.machine.current import this
from kemu.machine.splat import KernelBug, caller_function

P = "include/linux/fs.h"


def is_uncached_acl(acl: Any) -> bool:
    return type(acl) is int


def inode_wake_up_bit(inode: Inode) -> None:
    """Wake those who wait for I_NEW to clear or for a dying inode to leave the hash."""
    if inode.waiters is not None:
        inode.waiters.wake()


def file_inode(f: File) -> Inode:
    """``struct inode *file_inode(const struct file *f)``"""
    return f.f_inode


def file_dentry(file: File) -> Any:
    """``struct dentry *file_dentry(const struct file *file)``"""
    dentry = file.f_path.dentry
    WARN_ON_ONCE(dentry.d_inode is not file.f_inode)
    return dentry


@dup(P)
def file_mnt_idmap(file: File) -> Any:
    """``struct mnt_idmap *file_mnt_idmap(const struct file *file)``"""
    return file.f_path.mnt.mnt_idmap


@dup(P)
def file_user_path(f: File) -> Path:
    """``const struct path *file_user_path(const struct file *f)``: of a backing file, the path that the user opened."""
    return f.user_path if f.user_path is not None and f.f_mode & FMODE_BACKING else f.f_path


@dup(P)
def ra_has_index(ra: FileRaState, index: int) -> bool:
    """``int ra_has_index(struct file_ra_state *ra, pgoff_t index)``"""
    return ra.start <= index < ra.start + ra.size


@dup(P)
def mapping_writably_mapped(mapping: AddressSpace) -> bool:
    """``bool mapping_writably_mapped(const struct address_space *mapping)``"""
    return mapping.i_mmap_writable > 0


@dup(P)
def filemap_invalidate_lock(mapping: AddressSpace) -> None:
    """``void filemap_invalidate_lock(struct address_space *mapping)``: keeps the cache from being filled."""
    down_write(_invalidate_lock(mapping))


@dup(P)
def filemap_invalidate_unlock(mapping: AddressSpace) -> None:
    """``void filemap_invalidate_unlock(struct address_space *mapping)``"""
    up_write(_invalidate_lock(mapping))


@dup(P)
def filemap_invalidate_lock_shared(mapping: AddressSpace) -> None:
    """``void filemap_invalidate_lock_shared(struct address_space *mapping)``: keeps the cache from being truncated."""
    down_read(_invalidate_lock(mapping))


@dup(P)
def filemap_invalidate_trylock_shared(mapping: AddressSpace) -> bool:
    """``int filemap_invalidate_trylock_shared(struct address_space *mapping)``"""
    return bool(down_read_trylock(_invalidate_lock(mapping)))


@dup(P)
def filemap_invalidate_unlock_shared(mapping: AddressSpace) -> None:
    """``void filemap_invalidate_unlock_shared(struct address_space *mapping)``"""
    up_read(_invalidate_lock(mapping))


def name_is_dot_dotdot(name: bytes) -> bool:
    return name in (b".", b"..")


def __iget(inode: Inode) -> None:
    inode.i_count += 1
    if this.watch is not None:
        this.watch.ref("inode", inode, 1)


@dup(P)
def iocb_flags(file: File) -> int:
    """``int iocb_flags(struct file *file)``: IOCB_* from the open flags."""
    flags = file.f_flags
    if not flags & (O_APPEND | O_DIRECT | O_DSYNC | __O_SYNC):
        return 0
    return ((IOCB_APPEND if flags & O_APPEND else 0) | (IOCB_DIRECT if flags & O_DIRECT else 0)
            | (IOCB_DSYNC if flags & O_DSYNC else 0)
            | (IOCB_SYNC if flags & __O_SYNC else 0))


@dup(P)
def get_file(f: File) -> File:
    """``struct file *get_file(struct file *f)``: one more reference."""
    if f.f_ref <= 0:
        func = caller_function()[0]
        raise KernelBug(f"VFS: BUG: get_file() of a file without references in {func}", [repr(f)], function=func)
    f.f_ref += 1
    if this.watch is not None:
        this.watch.ref("file", f, 1)
    return f


@dup(P)
def file_count(f: File) -> int:
    """``file_count(f)``"""
    return f.f_ref


@dup(P)
def put_write_access(inode: Inode) -> None:
    """``void put_write_access(struct inode *inode)``"""
    inode.i_writecount -= 1


@dup(P)
def deny_write_access(file: File) -> int:
    """``int deny_write_access(struct file *file)``: it is executed. Return: 0, or -ETXTBSY while it is open for writing."""
    if file.f_inode.i_writecount > 0:
        return -ETXTBSY
    file.f_inode.i_writecount -= 1
    return 0


@dup(P)
def allow_write_access(file: File | None) -> None:
    """``void allow_write_access(struct file *file)``: undo deny_write_access(). NULL is fine."""
    if file is not None:
        file.f_inode.i_writecount += 1


@dup(P)
def icount_read(inode: Inode) -> int:
    """``int icount_read(const struct inode *inode)``"""
    return inode.i_count


icount_read_once = icount_read


@dup(P)
def inode_state_read_once(inode: Inode) -> int:
    """``enum inode_state_flags_enum inode_state_read_once(struct inode *inode)``: I_* bits."""
    return inode.i_state


inode_state_read = inode_state_read_once


@dup(P)
def inode_state_set(inode: Inode, flags: int) -> None:
    """``void inode_state_set(struct inode *inode, enum inode_state_flags_enum flags)``"""
    inode.i_state |= flags


@dup(P)
def inode_state_clear(inode: Inode, flags: int) -> None:
    """``void inode_state_clear(struct inode *inode, enum inode_state_flags_enum flags)``"""
    inode.i_state &= ~flags


@dup(P)
def inode_generic_drop(inode: Inode) -> bool:
    """``int inode_generic_drop(struct inode *inode)``: drop what is unlinked or unhashed."""
    return not inode.i_nlink or inode.i_hash is None


@dup(P)
def alloc_inode_sb(sb: SuperBlock, cache: Any, gfp: int) -> Any:
    """``void *alloc_inode_sb(sb, cache, gfp)``: an inode of the file system's own cache; None on failure."""
    return kmem_cache_alloc(cache, gfp)


@dup(P)
def insert_inode_hash(inode: Inode) -> None:
    """``void insert_inode_hash(struct inode *inode)``: under its inode number."""
    from kemu.linux.fs.inode import __insert_inode_hash  # noqa: PLC0415  (up into fs/inode.c)

    __insert_inode_hash(inode, inode.i_ino)


@dup(P)
def remove_inode_hash(inode: Inode) -> None:
    """``void remove_inode_hash(struct inode *inode)``"""
    from kemu.linux.fs.inode import FAKE_HASH  # noqa: PLC0415  (up into fs/inode.c)

    if inode.i_hash is not None and inode.i_hash != FAKE_HASH:
        from kemu.linux.fs.inode import __remove_inode_hash  # noqa: PLC0415  (up into fs/inode.c)

        __remove_inode_hash(inode)


@dup(P)
def inode_unhashed(inode: Inode) -> bool:
    """``int inode_unhashed(struct inode *inode)``"""
    return inode.i_hash is None


@dup(P)
def i_readcount_inc(inode: Inode) -> None:
    """``void i_readcount_inc(struct inode *inode)``"""
    inode.i_readcount += 1


@dup(P)
def i_readcount_dec(inode: Inode) -> None:
    """``void i_readcount_dec(struct inode *inode)``"""
    inode.i_readcount -= 1
    BUG_ON(inode.i_readcount < 0)


@dup(P)
def i_uid_update(idmap: Any, attr: iattr, inode: Inode) -> None:
    """``void i_uid_update(struct mnt_idmap *idmap, const struct iattr *attr, struct inode *inode)``"""
    if attr.ia_valid & ATTR_UID:
        inode.i_uid = attr.ia_uid


@dup(P)
def i_gid_update(idmap: Any, attr: iattr, inode: Inode) -> None:
    """``void i_gid_update(struct mnt_idmap *idmap, const struct iattr *attr, struct inode *inode)``"""
    if attr.ia_valid & ATTR_GID:
        inode.i_gid = attr.ia_gid


@dup(P)
def is_sxid(mode: int) -> bool:
    """``bool is_sxid(umode_t mode)``"""
    return bool(mode & (S_ISUID | S_ISGID))


@dup(P)
def setattr_vfsuid(attr: iattr, kuid: int) -> bool:
    """``bool setattr_vfsuid(struct iattr *attr, kuid_t kuid)``"""
    if kuid == INVALID_ID:
        return False
    attr.ia_valid |= ATTR_UID
    attr.ia_uid = kuid
    return True


@dup(P)
def setattr_vfsgid(attr: iattr, kgid: int) -> bool:
    """``bool setattr_vfsgid(struct iattr *attr, kgid_t kgid)``"""
    if kgid == INVALID_ID:
        return False
    attr.ia_valid |= ATTR_GID
    attr.ia_gid = kgid
    return True


@dup(P)
def special_file(m: int) -> bool:
    """``special_file(m)``"""
    return S_ISCHR(m) or S_ISBLK(m) or S_ISFIFO(m) or S_ISSOCK(m)


@dup(P)
def mark_inode_dirty(inode: Inode) -> None:
    """``void mark_inode_dirty(struct inode *inode)``"""
    __mark_inode_dirty(inode, I_DIRTY)


@dup(P)
def i_uid_write(inode: Inode, uid: int) -> None:
    """``void i_uid_write(struct inode *inode, uid_t uid)``"""
    inode.i_uid = uid


@dup(P)
def i_gid_write(inode: Inode, gid: int) -> None:
    """``void i_gid_write(struct inode *inode, gid_t gid)``"""
    inode.i_gid = gid


@dup(P)
def i_uid_read(inode: Inode) -> int:
    """``uid_t i_uid_read(const struct inode *inode)``"""
    return inode.i_uid


@dup(P)
def i_gid_read(inode: Inode) -> int:
    """``gid_t i_gid_read(const struct inode *inode)``"""
    return inode.i_gid


@custom(P, "HAS_UNMAPPED_ID", "mounts are not idmapped")
def HAS_UNMAPPED_ID(idmap: Any, inode: Inode) -> bool:
    """``bool HAS_UNMAPPED_ID(struct mnt_idmap *idmap, struct inode *inode)``"""
    return inode.i_uid == INVALID_ID or inode.i_gid == INVALID_ID


@dup(P)
def inode_set_mtime(inode: Inode, sec: int, nsec: int) -> timespec64:
    """``struct timespec64 inode_set_mtime(struct inode *inode, time64_t sec, long nsec)``: ``sec`` converts to s64."""
    inode.i_mtime_sec = sec = ((sec + (1 << 63)) & 0xFFFF_FFFF_FFFF_FFFF) - (1 << 63)
    inode.i_mtime_nsec = nsec & 0xFFFF_FFFF
    return timespec64(sec, nsec)


@dup(P)
def inode_set_mtime_to_ts(inode: Inode, ts: timespec64) -> timespec64:
    """``struct timespec64 inode_set_mtime_to_ts(struct inode *inode, struct timespec64 ts)``"""
    inode.i_mtime_sec, inode.i_mtime_nsec = ts
    return ts


@dup(P)
def inode_set_atime(inode: Inode, sec: int, nsec: int) -> timespec64:
    """``struct timespec64 inode_set_atime(struct inode *inode, time64_t sec, long nsec)``"""
    ts = timespec64(sec, nsec)
    inode.i_atime_sec, inode.i_atime_nsec = ts
    return ts


@dup(P)
def inode_set_atime_to_ts(inode: Inode, ts: timespec64) -> timespec64:
    """``struct timespec64 inode_set_atime_to_ts(struct inode *inode, struct timespec64 ts)``"""
    inode.i_atime_sec, inode.i_atime_nsec = ts
    return ts


@dup(P)
def inode_get_mtime(inode: Inode) -> timespec64:
    """``struct timespec64 inode_get_mtime(const struct inode *inode)``"""
    return timespec64(inode.i_mtime_sec, inode.i_mtime_nsec)


@dup(P)
def inode_get_atime(inode: Inode) -> timespec64:
    """``struct timespec64 inode_get_atime(const struct inode *inode)``"""
    return timespec64(inode.i_atime_sec, inode.i_atime_nsec)


@dup(P)
def inode_get_ctime(inode: Inode) -> timespec64:
    """``struct timespec64 inode_get_ctime(const struct inode *inode)``"""
    return timespec64(inode.i_ctime_sec, inode.i_ctime_nsec)


@dup(P)
def file_accessed(file: File) -> None:
    """``void file_accessed(struct file *file)``"""
    if not file.f_flags & 1 << 18 and not file.f_inode.i_sb.s_flags & (SB_RDONLY | SB_NOATIME):      # O_NOATIME
        from kemu.linux.fs.inode import touch_atime  # noqa: PLC0415  (up into fs/inode.c)

        touch_atime(file.f_path)


@dup(P)
def inode_set_cached_link(inode: Inode, link: Any, linklen: int) -> None:
    """``void inode_set_cached_link(struct inode *inode, char *link, int linklen)``: readlink() needs no ->get_link."""
    WARN_ON(inode.i_opflags & IOP_CACHED_LINK)
    inode.i_link = link
    inode.i_linklen = linklen
    inode.i_opflags |= IOP_CACHED_LINK


@dup(P)
def inode_has_no_xattr(inode: Inode) -> None:
    """``void inode_has_no_xattr(struct inode *inode)``"""
    mode = inode.i_mode                         # is_sxid()
    if not (mode & 0o4000 or mode & 0o2010 == 0o2010) and inode.i_sb.s_flags & SB_NOSEC:
        inode.i_flags |= S_NOSEC


@dup(P)
def i_blocksize(node: Inode) -> int:
    """``unsigned int i_blocksize(const struct inode *node)``"""
    return 1 << node.i_blkbits


@dup(P)
def i_size_read(inode: Inode) -> int:
    """``loff_t i_size_read(const struct inode *inode)``"""
    return inode.i_size


@dup(P)
def i_size_write(inode: Inode, i_size: int) -> None:
    """``void i_size_write(struct inode *inode, loff_t i_size)``"""
    inode.i_size = i_size


@dup(P)
def imajor(inode: Inode) -> int:
    """``unsigned imajor(const struct inode *inode)``"""
    return inode.i_rdev >> 20


@dup(P)
def iminor(inode: Inode) -> int:
    """``unsigned iminor(const struct inode *inode)``"""
    return inode.i_rdev & 0xFFFFF


@dup(P)
def i_user_ns(inode: Inode) -> Any:
    """``struct user_namespace *i_user_ns(const struct inode *inode)``"""
    return inode.i_sb.s_user_ns


@dup(P)
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


def _sem(inode: Inode) -> Any:
    sem = inode.i_rwsem
    if sem is None:
        sem = inode.i_rwsem = rw_semaphore(f"i_rwsem of inode {inode.i_ino} ({inode.i_sb.s_id})")
    return sem


@dup(P)
def inode_lock(inode: Inode) -> None:
    """``void inode_lock(struct inode *inode)``. Context: may sleep."""
    down_write(_sem(inode))


@dup(P)
def inode_lock_killable(inode: Inode) -> int:
    """``int inode_lock_killable(struct inode *inode)``. Context: may sleep. Return: 0, or -EINTR."""
    return down_write_killable(_sem(inode))


@dup(P)
def inode_unlock(inode: Inode) -> None:
    """``void inode_unlock(struct inode *inode)``"""
    up_write(inode.i_rwsem)


@dup(P)
def inode_lock_shared(inode: Inode) -> None:
    """``void inode_lock_shared(struct inode *inode)``. Context: may sleep."""
    down_read(_sem(inode))


@dup(P)
def inode_unlock_shared(inode: Inode) -> None:
    """``void inode_unlock_shared(struct inode *inode)``"""
    up_read(inode.i_rwsem)


@dup(P)
def inode_trylock_shared(inode: Inode) -> bool:
    """``int inode_trylock_shared(struct inode *inode)``"""
    return down_read_trylock(_sem(inode))


@dup(P)
def inode_is_locked(inode: Inode) -> bool:
    """``int inode_is_locked(struct inode *inode)``"""
    sem = inode.i_rwsem
    return sem is not None and (sem.writer is not None or sem.readers > 0)


@dup(P)
def vfs_whiteout(idmap: Any, dir: Inode, dentry: Dentry) -> int:
    """``int vfs_whiteout(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry)``: a character device 0:0."""
    from kemu.linux.fs.namei import vfs_mknod  # noqa: PLC0415  (up into fs/namei.c)

    return vfs_mknod(idmap, dir, dentry, S_IFCHR | WHITEOUT_MODE, WHITEOUT_DEV)


@dup(P)
def ACC_MODE(x: int) -> int:
    """``ACC_MODE(x)``"""
    return (MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE)[x & O_ACCMODE]


@dup(P)
def get_write_access(inode: Inode) -> int:
    """``int get_write_access(struct inode *inode)``. Return: 0, or -ETXTBSY while it is executed."""
    if inode.i_writecount < 0:
        return -ETXTBSY
    inode.i_writecount += 1
    return 0


@dup(P)
def init_sync_kiocb(kiocb: Kiocb, filp: File) -> None:
    """``void init_sync_kiocb(struct kiocb *kiocb, struct file *filp)``"""
    kiocb.ki_filp = filp
    kiocb.ki_flags = filp.f_iocb_flags
    kiocb.ki_complete = None
    kiocb.ki_pos = 0


@dup(P)
def kiocb_clone(kiocb: Kiocb, kiocb_src: Kiocb, filp: File) -> None:
    """``void kiocb_clone(struct kiocb *kiocb, struct kiocb *kiocb_src, struct file *filp)``"""
    kiocb.ki_filp = filp
    kiocb.ki_flags = kiocb_src.ki_flags
    kiocb.ki_ioprio = kiocb_src.ki_ioprio
    kiocb.ki_pos = kiocb_src.ki_pos
    kiocb.ki_complete = None


@dup(P)
def is_sync_kiocb(kiocb: Kiocb) -> bool:
    """``bool is_sync_kiocb(struct kiocb *kiocb)``"""
    return kiocb.ki_complete is None


@custom(P, "dir_emit", "name is bytes, or an address of namelen bytes")
def dir_emit(ctx: DirContext, name: bytes | int, namelen: int, ino: int, type: int) -> bool:
    """``bool dir_emit(struct dir_context *ctx, const char *name, int namelen, u64 ino, unsigned type)``.

    Return: False to stop.
    """
    if isinstance(name, int):
        name = this.mem.load(name, namelen)         # type: ignore[arg-type]
    return bool(ctx.actor(ctx, name, namelen, ctx.pos, ino, type & (S_DT_MASK | ctx.dt_flags_mask)))


@dup(P)
def dir_emit_dot(file: File, ctx: DirContext) -> bool:
    """``bool dir_emit_dot(struct file *file, struct dir_context *ctx)``"""
    return bool(ctx.actor(ctx, b".", 1, ctx.pos, file.f_path.dentry.d_inode.i_ino, DT_DIR))


@dup(P)
def dir_emit_dotdot(file: File, ctx: DirContext) -> bool:
    """``bool dir_emit_dotdot(struct file *file, struct dir_context *ctx)``"""
    return bool(ctx.actor(ctx, b"..", 2, ctx.pos, file.f_path.dentry.d_parent.d_inode.i_ino, DT_DIR))


@dup(P)
def dir_emit_dots(file: File, ctx: DirContext) -> bool:
    """``bool dir_emit_dots(struct file *file, struct dir_context *ctx)``: at positions 0 and 1."""
    if ctx.pos == 0:
        if not dir_emit_dot(file, ctx):
            return False
        ctx.pos = 1
    if ctx.pos == 1:
        if not dir_emit_dotdot(file, ctx):
            return False
        ctx.pos = 2
    return True


@dup(P)
def file_start_write(file: File) -> None:
    """``void file_start_write(struct file *file)``: for regular files."""
    if not S_ISREG(file.f_inode.i_mode):
        return
    sb_start_write(file.f_inode.i_sb)


@dup(P)
def file_end_write(file: File) -> None:
    """``void file_end_write(struct file *file)``"""
    if not S_ISREG(file.f_inode.i_mode):
        return
    sb_end_write(file.f_inode.i_sb)


@custom(P, "kiocb_start_write", "a lock that another task gives back is not hidden from the watch")
def kiocb_start_write(iocb: Kiocb) -> None:
    """``void kiocb_start_write(struct kiocb *iocb)``"""
    sb_start_write(iocb.ki_filp.f_inode.i_sb)


@custom(P, "kiocb_end_write", "a lock that another task gives back is not hidden from the watch")
def kiocb_end_write(iocb: Kiocb) -> None:
    """``void kiocb_end_write(struct kiocb *iocb)``"""
    sb_end_write(iocb.ki_filp.f_inode.i_sb)


names("dup", P, "file_inode", "file_dentry")
names("dup", P, "icount_read_once")
names("dup", P, "inode_state_read")
names("dup", P, "IS_RDONLY", "IS_SYNC", "IS_NOATIME", "IS_I_VERSION", "IS_POSIXACL", "IS_APPEND", "IS_IMMUTABLE", "IS_DEADDIR",
      "IS_PRIVATE", "IS_AUTOMOUNT", "IS_NOSEC", "IS_DAX", "IS_WHITEOUT")
