# SPDX-License-Identifier: GPL-2.0-only
"""tmpfs (include/linux/shmem_fs.h, mm/shmem.c): ramfs with limits, without read_folio.

Not here: swap, huge pages, quotas, seals, casefolding; directories list as those of ramfs do.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EFAULT, EINVAL, ENAMETOOLONG, ENOMEM, ENOSPC, ENOTEMPTY
from kemu.linux.fs.attr import setattr_copy, setattr_prepare
from kemu.linux.fs.dcache import d_alloc, d_instantiate, d_make_persistent, d_make_root, dput
from kemu.linux.fs.filesystems import register_filesystem
from kemu.linux.fs.inode import (
    clear_inode,
    drop_nlink,
    inc_nlink,
    init_special_inode,
    inode_init_owner,
    inode_just_drop,
    inode_set_ctime_current,
    iput,
    new_inode,
)
from kemu.linux.fs.libfs import (
    noop_fsync,
    simple_dir_operations,
    simple_empty,
    simple_get_link,
    simple_inode_init_ts,
    simple_link,
    simple_lookup,
    simple_rename,
    simple_rename_timestamp,
    simple_unlink,
)
from kemu.linux.fs.open import finish_open
from kemu.linux.fs.posix_acl import posix_acl_chmod, simple_acl_create, simple_set_acl
from kemu.linux.fs.read_write import generic_file_llseek
from kemu.linux.fs.seq_file import seq_printf
from kemu.linux.fs.stat import generic_fillattr
from kemu.linux.fs.super import get_tree_nodev, kill_anon_super
from kemu.linux.fs.xattr import simple_xattr_get, simple_xattr_list, simple_xattr_set, simple_xattr_space, simple_xattrs_free
from kemu.linux.highmem import folio_zero_range, folio_zero_segments
from kemu.linux.include.cred import current_fsgid, current_fsuid
from kemu.linux.include.dcache import DCACHE_DONTCACHE, Dentry, Qstr
from kemu.linux.include.fs.calls import file_accessed, inode_get_ctime, inode_set_mtime_to_ts
from kemu.linux.include.fs.constants import (
    ATTR_MODE,
    ATTR_SIZE,
    FS_USERNS_MOUNT,
    MAX_LFS_FILESIZE,
    NAME_MAX,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    RENAME_WHITEOUT,
    WHITEOUT_DEV,
    WHITEOUT_MODE,
)
from kemu.linux.include.fs.types import (
    File,
    FileSystemType,
    Inode,
    Kiocb,
    address_space_operations,
    file_operations,
    inode_operations,
)
from kemu.linux.include.fs_context import FsContext, FsParameter, fs_context_operations, invalfc
from kemu.linux.include.fs_parser import (
    constant_table,
    fs_parse,
    fs_parse_result,
    fsparam_enum,
    fsparam_flag,
    fsparam_gid,
    fsparam_string,
    fsparam_u32oct,
    fsparam_uid,
)
from kemu.linux.include.gfp import GFP_KERNEL
from kemu.linux.include.mm import folio_put, totalram_pages
from kemu.linux.include.pagemap import FGP_CREAT, FGP_LOCK, folio_lock, mapping_set_exiting, mapping_set_unevictable
from kemu.linux.include.posix_acl import cache_no_acl
from kemu.linux.include.seq_file import SeqFile
from kemu.linux.include.slab import SLAB_PANIC, KmemCache, kmalloc, kmem_cache_alloc, kmem_cache_create, kzalloc_obj
from kemu.linux.include.uio import copy_folio_to_iter
from kemu.linux.include.xattr import xattr_handler
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.lib.cmdline import memparse
from kemu.linux.lib.iov_iter import iov_iter_zero
from kemu.linux.magic import TMPFS_MAGIC
from kemu.linux.mm.filemap import __filemap_get_folio, filemap_get_entry, folio_unlock, generic_file_write_iter
from kemu.linux.mm.page_writeback import noop_dirty_folio
from kemu.linux.mm.slub import kfree, kmem_cache_free
from kemu.linux.mm.truncate import truncate_inode_pages_final, truncate_pagecache
from kemu.linux.mnt_idmapping import nop_mnt_idmap
from kemu.linux.port.honesty import custom, dup, names, port_of
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.linux.stat import S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_ISDIR, S_ISREG, Kstat
from kemu.linux.statfs import kstatfs
from kemu.linux.super_types import SB_I_VERSION, SB_KERNMOUNT, SB_NOSEC, SB_NOUSER, SB_POSIXACL, SuperBlock, super_operations
from kemu.linux.types import Ref
from kemu.machine.current import NULL, arch, this
from kemu.machine.memory import PAGE_OFFSET
from kemu.machine.pages import Page, PG_dirty, PG_uptodate
from kemu.machine.statics import statics

C = "mm/shmem.c"

BOGO_DIRENT_SIZE = 20
BOGO_INODE_SIZE = 1024
SHORT_SYMLINK_LEN = 128
SGP_READ, SGP_NOALLOC, SGP_CACHE, SGP_WRITE, SGP_FALLOC = range(5)
SHMEM_SEEN_BLOCKS, SHMEM_SEEN_INODES, SHMEM_SEEN_HUGE, SHMEM_SEEN_INUMS, SHMEM_SEEN_NOSWAP = 1, 2, 4, 8, 16
LONG_MAX = (1 << 63) - 1

@statics
class g:
    shmem_inode_cachep: KmemCache = NULL

(Opt_gid, Opt_huge, Opt_mode, Opt_mpol, Opt_nr_blocks, Opt_nr_inodes, Opt_size, Opt_uid, Opt_inode32, Opt_inode64,
 Opt_noswap) = range(11)
shmem_param_enums_huge = [constant_table("never", 0), constant_table("always", 1), constant_table("within_size", 2),
                          constant_table("advise", 3)]
shmem_fs_parameters = [fsparam_gid("gid", Opt_gid), fsparam_enum("huge", Opt_huge, shmem_param_enums_huge),
                       fsparam_u32oct("mode", Opt_mode),
                       fsparam_string("mpol", Opt_mpol), fsparam_string("nr_blocks", Opt_nr_blocks),
                       fsparam_string("nr_inodes", Opt_nr_inodes),
                       fsparam_string("size", Opt_size), fsparam_uid("uid", Opt_uid), fsparam_flag("inode32", Opt_inode32),
                       fsparam_flag("inode64", Opt_inode64), fsparam_flag("noswap", Opt_noswap)]


@port_of(C, "shmem_default_max_blocks")
def shmem_default_max_blocks() -> int:
    """``unsigned long shmem_default_max_blocks(void)``: half of the physical ram"""
    return totalram_pages() // 2


@port_of(C, "shmem_default_max_inodes")
def shmem_default_max_inodes() -> int:
    """``unsigned long shmem_default_max_inodes(void)``: there is no high memory"""
    nr_pages = totalram_pages()

    return min(nr_pages, nr_pages // 2, arch.ULONG_MAX // BOGO_INODE_SIZE)


class shmem_inode_info(Inode):
    """``struct shmem_inode_info``"""

    __slots__ = ("alloced", "i_crtime", "lock", "xattrs")

    def __init__(self) -> None:
        super().__init__()
        self.lock = spinlock_t("shmem_inode_info.lock")
        self.alloced = 0
        self.i_crtime: Any = None
        self.xattrs: dict[bytes, Any] = {}


class shmem_sb_info:
    """``struct shmem_sb_info``"""

    __slots__ = ("free_ispace", "full_inums", "gid", "max_blocks", "max_inodes", "mode", "next_ino", "noswap", "stat_lock", "uid",
                 "used_blocks")

    def __init__(self) -> None:
        self.stat_lock = spinlock_t("stat_lock")
        self.max_blocks = self.used_blocks = self.max_inodes = self.free_ispace = 0
        self.mode = self.uid = self.gid = self.next_ino = 0
        self.full_inums = self.noswap = False


class shmem_options:
    """``struct shmem_options``"""

    __slots__ = ("blocks", "full_inums", "gid", "inodes", "mode", "noswap", "seen", "uid")

    def __init__(self) -> None:
        self.blocks = self.inodes = self.mode = self.uid = self.gid = self.seen = 0
        self.full_inums = self.noswap = False


@dup(C)
def SHMEM_SB(sb: SuperBlock) -> shmem_sb_info:
    """``struct shmem_sb_info *SHMEM_SB(struct super_block *sb)``"""
    return sb.s_fs_info             # type: ignore[no-any-return]


def shmem_inode_acct_blocks(inode: Inode, pages: int) -> int:
    """``int shmem_inode_acct_blocks(struct inode *inode, long pages)``: -ENOSPC: the size= of the mount is used up"""
    sbinfo = SHMEM_SB(inode.i_sb)
    if sbinfo.max_blocks:
        if sbinfo.used_blocks + pages > sbinfo.max_blocks:
            return -ENOSPC
        sbinfo.used_blocks += pages
    return 0


def shmem_inode_unacct_blocks(inode: Inode, pages: int) -> None:
    """``void shmem_inode_unacct_blocks(struct inode *inode, long pages)``"""
    sbinfo = SHMEM_SB(inode.i_sb)
    if sbinfo.max_blocks:
        sbinfo.used_blocks -= pages


def shmem_recalc_inode(inode: Any, alloced: int) -> None:
    """Bring alloced, i_blocks and the superblock's count in line with what the page cache holds."""
    spin_lock(inode.lock)
    inode.alloced += alloced
    freed = inode.alloced - inode.i_mapping.nrpages
    inode.i_blocks += alloced << arch.PAGE_SHIFT - 9
    if freed > 0:
        inode.alloced -= freed
    spin_unlock(inode.lock)
    if freed > 0:
        inode.i_blocks -= freed << arch.PAGE_SHIFT - 9
        shmem_inode_unacct_blocks(inode, freed)


@custom(C, "shmem_reserve_inode",
        "one tmpfs in memory: no swap, quota, memory policy or large folios, and inode numbers are not handed out in batches")
def shmem_reserve_inode(sb: SuperBlock, inop: Ref | None) -> int:
    """``static int shmem_reserve_inode(struct super_block *sb, ino_t *inop)``. Return: 0, or -ENOSPC."""
    sbinfo = SHMEM_SB(sb)
    spin_lock(sbinfo.stat_lock)
    if not sb.s_flags & SB_KERNMOUNT and sbinfo.max_inodes:
        if sbinfo.free_ispace < BOGO_INODE_SIZE:
            spin_unlock(sbinfo.stat_lock)
            return -ENOSPC
        sbinfo.free_ispace -= BOGO_INODE_SIZE
    if inop is not None:
        sbinfo.next_ino += 1
        if not sbinfo.full_inums and sbinfo.next_ino > 0xFFFF_FFFF:
            sbinfo.next_ino = 1
        inop.v = sbinfo.next_ino
    spin_unlock(sbinfo.stat_lock)
    return 0


@dup(C)
def shmem_free_inode(sb: SuperBlock, freed_ispace: int) -> None:
    """``static void shmem_free_inode(struct super_block *sb, size_t freed_ispace)``"""
    sbinfo = SHMEM_SB(sb)
    if sbinfo.max_inodes:
        spin_lock(sbinfo.stat_lock)
        sbinfo.free_ispace += BOGO_INODE_SIZE + freed_ispace
        spin_unlock(sbinfo.stat_lock)


@dup(C)
def shmem_getattr(idmap: Any, path: Any, stat: Kstat, request_mask: int, query_flags: int) -> int:
    """``static int shmem_getattr(...)``: 0."""
    inode = path.dentry.d_inode
    if inode.alloced != inode.i_mapping.nrpages:
        shmem_recalc_inode(inode, 0)
    generic_fillattr(idmap, request_mask, inode, stat)
    return 0


@custom(C, "shmem_setattr",
        "one tmpfs in memory: no swap, quota, memory policy, seals, case folding or large folios, and inode numbers are not "
        "handed out in batches")
def shmem_setattr(idmap: Any, dentry: Dentry, attr: Any) -> int:
    """``static int shmem_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)``"""
    inode: Any = dentry.d_inode
    update_mtime, update_ctime = False, True
    error = setattr_prepare(idmap, dentry, attr)
    if error:
        return error
    if S_ISREG(inode.i_mode) and attr.ia_valid & ATTR_SIZE:
        oldsize, newsize = inode.i_size, attr.ia_size
        if newsize != oldsize:
            inode.i_size = newsize
            update_mtime = True
        else:
            update_ctime = False
        if newsize <= oldsize and inode.alloced:
            shmem_truncate_range(inode, newsize)
    setattr_copy(idmap, inode, attr)
    if attr.ia_valid & ATTR_MODE:
        error = posix_acl_chmod(idmap, dentry, inode.i_mode)
    if not error and update_ctime:
        inode_set_ctime_current(inode)
        if update_mtime:
            inode_set_mtime_to_ts(inode, inode_get_ctime(inode))
    return error


@custom(C, "shmem_evict_inode",
        "one tmpfs in memory: no swap, quota, memory policy or large folios, and inode numbers are not handed out in batches")
def shmem_evict_inode(inode: Any) -> None:
    """``static void shmem_evict_inode(struct inode *inode)``"""
    if inode.i_mapping.a_ops is shmem_aops:
        inode.i_size = 0
        mapping_set_exiting(inode.i_mapping)
        truncate_inode_pages_final(inode.i_mapping)
        shmem_recalc_inode(inode, 0)
    freed = simple_xattrs_free(inode.xattrs) if inode.xattrs else 0
    shmem_free_inode(inode.i_sb, freed)
    clear_inode(inode)


@custom(C, "shmem_get_folio", "order 0, nothing is swapped out")
def shmem_get_folio(inode: Any, index: int, write_end: int, foliop: Ref, sgp: int) -> int:
    """``int shmem_get_folio(struct inode *inode, pgoff_t index, loff_t write_end, struct folio **foliop, enum sgp_type sgp)``

    A locked, referenced folio; None for a hole that is only read. Return: 0, -EINVAL beyond the end, -ENOSPC, -ENOMEM.
    """
    mapping = inode.i_mapping
    if sgp <= SGP_CACHE and index << arch.PAGE_SHIFT >= inode.i_size:
        return -EINVAL
    while True:
        folio = filemap_get_entry(mapping, index)
        if folio is None:
            break
        folio_lock(folio)
        if folio.mapping is not mapping:
            folio_unlock(folio)
            folio_put(folio)
            continue
        if folio.flags & PG_uptodate or sgp == SGP_WRITE:
            foliop.v = folio
            return 0
        folio_zero_range(folio, 0, arch.PAGE_SIZE << folio.order)
        folio.flags |= PG_uptodate
        foliop.v = folio
        return 0
    foliop.v = None
    if sgp in (SGP_READ, SGP_NOALLOC):
        return 0
    err = shmem_inode_acct_blocks(inode, 1)
    if err:
        return err
    folio = __filemap_get_folio(mapping, index, FGP_LOCK | FGP_CREAT, mapping.gfp_mask)
    if IS_ERR(folio):
        shmem_inode_unacct_blocks(inode, 1)
        return PTR_ERR(folio)
    shmem_recalc_inode(inode, 1)
    if sgp != SGP_WRITE and not folio.flags & PG_uptodate:
        folio_zero_range(folio, 0, arch.PAGE_SIZE)
        folio.flags |= PG_uptodate
    foliop.v = folio
    return 0


@custom(C, "shmem_write_begin", "one tmpfs in memory: no folio is poisoned, split or swapped")
def shmem_write_begin(iocb: Any, mapping: Any, pos: int, len_: int, foliop: Ref, fsdata: Any) -> int:
    """``static int shmem_write_begin(...)``. Return: 0, -ENOSPC, -ENOMEM."""
    return shmem_get_folio(mapping.host, pos >> arch.PAGE_SHIFT, pos + len_, foliop, SGP_WRITE)


@dup(C)
def shmem_write_end(iocb: Any, mapping: Any, pos: int, len_: int, copied: int, folio: Page, fsdata: Any) -> int:
    """``static int shmem_write_end(...)``"""
    inode = mapping.host
    if pos + copied > inode.i_size:
        inode.i_size = pos + copied
    if not folio.flags & PG_uptodate:
        size = arch.PAGE_SIZE << folio.order
        if copied < size:
            from_ = pos & (size - 1)
            folio_zero_segments(folio, 0, from_, from_ + copied, size)
        folio.flags |= PG_uptodate
    folio.flags |= PG_dirty
    folio_unlock(folio)
    folio_put(folio)
    return copied


@custom(C, "shmem_file_read_iter",
        "one tmpfs in memory: no swap, quota, memory policy, seals, case folding or large folios, and inode numbers are not "
        "handed out in batches")
def shmem_file_read_iter(iocb: Kiocb, to: Any) -> int:
    """``static ssize_t shmem_file_read_iter(struct kiocb *iocb, struct iov_iter *to)``: holes read as zeros."""
    file = iocb.ki_filp
    inode = file.f_inode
    error = retval = 0
    foliop = Ref(None)
    while True:
        i_size = inode.i_size
        if iocb.ki_pos >= i_size:
            break
        index = iocb.ki_pos >> arch.PAGE_SHIFT
        error = shmem_get_folio(inode, index, 0, foliop, SGP_READ)
        if error:
            if error == -EINVAL:
                error = 0
            break
        folio = foliop.v
        if folio is not None:
            folio_unlock(folio)
        # We must evaluate after, since reads (unlike writes) are called without i_rwsem protection against truncate
        i_size = inode.i_size
        if iocb.ki_pos >= i_size:
            if folio is not None:
                folio_put(folio)
            break
        end_offset = min(i_size, iocb.ki_pos + to.count)
        fsize = arch.PAGE_SIZE << folio.order if folio is not None else arch.PAGE_SIZE
        offset = iocb.ki_pos & (fsize - 1)
        nr = min(end_offset - iocb.ki_pos, fsize - offset)
        if folio is not None:
            ret = copy_folio_to_iter(folio, offset, nr, to)
            folio_put(folio)
        else:
            ret = iov_iter_zero(nr, to)
        retval += ret
        iocb.ki_pos += ret
        if not to.count:
            break
        if ret < nr:
            error = -EFAULT
            break
    file_accessed(file)
    return retval or error


def shmem_xattr_handler_get(handler: xattr_handler, unused: Any, inode: Any, name: bytes, buffer: int, size: int) -> int:
    """``int shmem_xattr_handler_get(const struct xattr_handler *handler, struct dentry *unused, struct inode *inode, const
    char *name, void *buffer, size_t size)``
    """
    return simple_xattr_get(inode.xattrs, handler.prefix + name, buffer, size)


def shmem_xattr_handler_set(handler: xattr_handler, idmap: Any, unused: Any, inode: Any, name: bytes, value: bytes | None,
                            flags: int) -> int:
    """``int shmem_xattr_handler_set(const struct xattr_handler *handler, struct mnt_idmap *idmap, struct dentry *unused,
    struct inode *inode, const char *name, const void *value, size_t size, int flags)``
    """
    sbinfo = SHMEM_SB(inode.i_sb)
    name = handler.prefix + name
    ispace = 0
    if value is not None and sbinfo.max_inodes:
        ispace = simple_xattr_space(name, len(value))
        spin_lock(sbinfo.stat_lock)
        if sbinfo.free_ispace < ispace:
            ispace = 0
        else:
            sbinfo.free_ispace -= ispace
        spin_unlock(sbinfo.stat_lock)
        if not ispace:
            return -ENOSPC
    old = simple_xattr_set(inode.xattrs, name, value, flags)
    if not IS_ERR(old):
        ispace = simple_xattr_space(old.name, len(old.value)) if old is not None and sbinfo.max_inodes else 0
        if old is not None:
            kfree(old)
        old = None
        inode_set_ctime_current(inode)
    if ispace:
        spin_lock(sbinfo.stat_lock)
        sbinfo.free_ispace += ispace
        spin_unlock(sbinfo.stat_lock)
    return PTR_ERR(old) if old is not None else 0


def shmem_listxattr(dentry: Dentry, buffer: int, size: int) -> int:
    """``ssize_t shmem_listxattr(struct dentry *dentry, char *buffer, size_t size)``"""
    inode: Any = dentry.d_inode
    return simple_xattr_list(inode, inode.xattrs, buffer, size)


shmem_xattr_handlers = [xattr_handler(prefix=prefix, get=shmem_xattr_handler_get, set=shmem_xattr_handler_set)
                        for prefix in (b"security.", b"trusted.", b"user.")]

shmem_file_operations = file_operations(read_iter=shmem_file_read_iter, write_iter=generic_file_write_iter, fsync=noop_fsync,
                                        llseek=generic_file_llseek)
shmem_inode_operations = inode_operations(getattr=shmem_getattr, setattr=shmem_setattr, listxattr=shmem_listxattr,
                                          set_acl=simple_set_acl)


@dup(C)
def shmem_create(idmap: Any, dir: Inode, dentry: Dentry, mode: int, excl: bool) -> int:
    """``static int shmem_create(...)``"""
    return shmem_mknod(idmap, dir, dentry, mode | S_IFREG, 0)


@custom(C, "shmem_link", "names have no directory offsets: nothing is to be undone")
def shmem_link(old_dentry: Dentry, dir: Inode, dentry: Dentry) -> int:
    """``static int shmem_link(...)``: every link counts as an inode."""
    inode = old_dentry.d_inode
    if inode.i_nlink:
        ret = shmem_reserve_inode(inode.i_sb, None)
        if ret:
            return ret
    dir.i_size += BOGO_DIRENT_SIZE
    return simple_link(old_dentry, dir, dentry)


@dup(C)
def shmem_mkdir(idmap: Any, dir: Inode, dentry: Dentry, mode: int) -> Any:
    """``static struct dentry *shmem_mkdir(...)``"""
    error = shmem_mknod(idmap, dir, dentry, mode | S_IFDIR, 0)
    if error:
        return ERR_PTR(error)
    inc_nlink(dir)
    return None


@custom(C, "shmem_mknod",
        "one tmpfs in memory: no swap, quota, memory policy, seals, case folding or large folios, and inode numbers are not "
        "handed out in batches")
def shmem_mknod(idmap: Any, dir: Inode, dentry: Dentry, mode: int, dev: int) -> int:
    """``static int shmem_mknod(...)``. Return: 0, -ENOSPC."""
    inode = shmem_get_inode(idmap, dir.i_sb, dir, mode, dev)
    if IS_ERR(inode):
        return PTR_ERR(inode)
    error = simple_acl_create(dir, inode)
    if error:
        iput(inode)
        return error
    _touch_dir(dir, BOGO_DIRENT_SIZE)
    d_make_persistent(dentry, inode)
    return 0


@custom(C, "shmem_rename2",
        "one tmpfs in memory: no swap, quota, memory policy, seals, case folding or large folios, and inode numbers are not "
        "handed out in batches")
def shmem_rename2(idmap: Any, old_dir: Inode, old_dentry: Dentry, new_dir: Inode, new_dentry: Dentry, flags: int) -> int:
    """``static int shmem_rename2(...)``: the VFS moves the names themselves. Return: 0, -EINVAL, -ENOTEMPTY, -ENOMEM, -ENOSPC."""
    they_are_dirs = S_ISDIR(old_dentry.d_inode.i_mode)
    if flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT):
        return -EINVAL
    if flags & RENAME_EXCHANGE:
        return simple_rename(idmap, old_dir, old_dentry, new_dir, new_dentry, RENAME_EXCHANGE)
    if not simple_empty(new_dentry):
        return -ENOTEMPTY
    if flags & RENAME_WHITEOUT:
        error = shmem_whiteout(idmap, old_dir, old_dentry)
        if error:
            return error
    if new_dentry.d_inode is not None:
        shmem_unlink(new_dir, new_dentry)
        if they_are_dirs:
            drop_nlink(new_dentry.d_inode)
            drop_nlink(old_dir)
    elif they_are_dirs:
        drop_nlink(old_dir)
        inc_nlink(new_dir)
    old_dir.i_size -= BOGO_DIRENT_SIZE
    new_dir.i_size += BOGO_DIRENT_SIZE
    simple_rename_timestamp(old_dir, old_dentry, new_dir, new_dentry)
    return 0


@dup(C)
def shmem_rmdir(dir: Inode, dentry: Dentry) -> int:
    """``static int shmem_rmdir(...)``. Return: 0, -ENOTEMPTY."""
    if not simple_empty(dentry):
        return -ENOTEMPTY
    drop_nlink(dentry.d_inode)
    drop_nlink(dir)
    return shmem_unlink(dir, dentry)


@custom(C, "shmem_symlink",
        "one tmpfs in memory: no swap, quota, memory policy, seals, case folding or large folios, and inode numbers are not "
        "handed out in batches")
def shmem_symlink(idmap: Any, dir: Inode, dentry: Dentry, symname: bytes) -> int:
    """``static int shmem_symlink(...)``. Return: 0, -ENAMETOOLONG, -ENOMEM, -ENOSPC."""
    len_ = len(symname) + 1
    if len_ > arch.PAGE_SIZE:
        return -ENAMETOOLONG
    inode = shmem_get_inode(idmap, dir.i_sb, dir, S_IFLNK | 0o777, 0)
    if IS_ERR(inode):
        return PTR_ERR(inode)
    inode.i_size = len_ - 1
    if len_ <= SHORT_SYMLINK_LEN:
        link = kmalloc(len_, GFP_KERNEL)
        if not link:
            iput(inode)
            return -ENOMEM
        this.mem.store(link, symname + b"\0")
        inode.i_op = shmem_short_symlink_operations
        inode.i_link = link
    else:
        inode.i_mapping.a_ops = shmem_aops
        foliop = Ref(None)
        error = shmem_get_folio(inode, 0, 0, foliop, SGP_WRITE)
        if error:
            iput(inode)
            return error
        inode.i_op = shmem_symlink_inode_operations
        folio = foliop.v
        this.mem.store(PAGE_OFFSET + (folio.pfn << arch.PAGE_SHIFT), symname + b"\0")
        folio.flags |= PG_uptodate | PG_dirty
        folio_unlock(folio)
        folio_put(folio)
    _touch_dir(dir, BOGO_DIRENT_SIZE)
    d_make_persistent(dentry, inode)
    return 0


@custom(C, "shmem_tmpfile",
        "one tmpfs in memory: no swap, quota, memory policy, seals, case folding or large folios, and inode numbers are not "
        "handed out in batches")
def shmem_tmpfile(idmap: Any, dir: Inode, file: File, mode: int) -> int:
    """``static int shmem_tmpfile(...)``"""
    inode = shmem_get_inode(idmap, dir.i_sb, dir, mode, 0)
    if IS_ERR(inode):
        return PTR_ERR(inode)
    error = simple_acl_create(dir, inode)
    if error:
        iput(inode)
        return error
    drop_nlink(inode)
    d_instantiate(file.f_path.dentry, inode)
    return finish_open(file, file.f_path.dentry, None)


@dup(C)
def shmem_unlink(dir: Inode, dentry: Dentry) -> int:
    """``static int shmem_unlink(...)``"""
    inode = dentry.d_inode
    if inode.i_nlink > 1 and not S_ISDIR(inode.i_mode):
        shmem_free_inode(inode.i_sb, 0)
    dir.i_size -= BOGO_DIRENT_SIZE
    simple_unlink(dir, dentry)
    return 0


shmem_dir_inode_operations = inode_operations(
    getattr=shmem_getattr, create=shmem_create, lookup=simple_lookup, link=shmem_link, unlink=shmem_unlink, symlink=shmem_symlink,
    mkdir=shmem_mkdir, rmdir=shmem_rmdir, mknod=shmem_mknod, rename=shmem_rename2, tmpfile=shmem_tmpfile, setattr=shmem_setattr,
    listxattr=shmem_listxattr, set_acl=simple_set_acl)
shmem_special_inode_operations = inode_operations(getattr=shmem_getattr, setattr=shmem_setattr, listxattr=shmem_listxattr,
                                                  set_acl=simple_set_acl)
shmem_short_symlink_operations = inode_operations(getattr=shmem_getattr, setattr=shmem_setattr, get_link=simple_get_link,
                                                  listxattr=shmem_listxattr)


@custom(C, "shmem_get_link", "the text stays in its page; no reference is held while it is read")
def shmem_get_link(dentry: Dentry | None, inode: Inode, done: Any) -> Any:
    """``static const char *shmem_get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done)``"""
    foliop = Ref(None)
    error = shmem_get_folio(inode, 0, 0, foliop, SGP_READ)
    if error:
        return ERR_PTR(error)
    folio = foliop.v
    folio_unlock(folio)
    folio_put(folio)
    return PAGE_OFFSET + (folio.pfn << arch.PAGE_SHIFT)


shmem_symlink_inode_operations = inode_operations(getattr=shmem_getattr, setattr=shmem_setattr, get_link=shmem_get_link,
                                                  listxattr=shmem_listxattr)


@dup(C)
def shmem_statfs(dentry: Dentry, buf: kstatfs) -> int:
    """``static int shmem_statfs(struct dentry *dentry, struct kstatfs *buf)``: 0."""
    sbinfo = SHMEM_SB(dentry.d_sb)
    buf.f_type = TMPFS_MAGIC
    buf.f_bsize = arch.PAGE_SIZE
    buf.f_namelen = NAME_MAX
    if sbinfo.max_blocks:
        buf.f_blocks = sbinfo.max_blocks
        buf.f_bavail = buf.f_bfree = sbinfo.max_blocks - sbinfo.used_blocks
    if sbinfo.max_inodes:
        buf.f_files = sbinfo.max_inodes
        buf.f_ffree = sbinfo.free_ispace // BOGO_INODE_SIZE
    return 0


def _touch_dir(dir: Inode, delta: int) -> None:
    dir.i_size += delta
    inode_set_mtime_to_ts(dir, inode_set_ctime_current(dir))


def shmem_whiteout(idmap: Any, old_dir: Inode, old_dentry: Dentry) -> int:
    """Cooked rename to a whiteout: the old name becomes a character device 0:0."""
    whiteout = d_alloc(old_dentry.d_parent, Qstr(old_dentry.d_name.name))
    if whiteout is None:
        return -ENOMEM
    error = shmem_mknod(idmap, old_dir, whiteout, S_IFCHR | WHITEOUT_MODE, WHITEOUT_DEV)
    dput(whiteout)
    return error


def shmem_alloc_inode(sb: SuperBlock) -> Inode | None:
    """``struct inode *shmem_alloc_inode(struct super_block *sb)``"""
    if g.shmem_inode_cachep is None:
        g.shmem_inode_cachep = kmem_cache_create("shmem_inode_cache", shmem_inode_info, 0, SLAB_PANIC)
    return kmem_cache_alloc(g.shmem_inode_cachep, GFP_KERNEL)       # type: ignore[no-any-return]


def shmem_free_in_core_inode(inode: Inode) -> None:
    """``void shmem_free_in_core_inode(struct inode *inode)``"""
    if inode.i_mode & S_IFMT == S_IFLNK and type(inode.i_link) is int:
        kfree(inode.i_link)
    kmem_cache_free(g.shmem_inode_cachep, inode)


@custom(C, "shmem_show_options",
        "one tmpfs in memory: no swap, quota, memory policy or large folios, and inode numbers are not handed out in batches")
def shmem_show_options(seq: SeqFile, root: Dentry) -> int:
    """``int shmem_show_options(struct seq_file *seq, struct dentry *root)``: 0"""
    sbinfo = SHMEM_SB(root.d_sb)

    if sbinfo.max_blocks != shmem_default_max_blocks():
        seq_printf(seq, ",size=%luk", sbinfo.max_blocks << (arch.PAGE_SHIFT - 10))
    if sbinfo.max_inodes != shmem_default_max_inodes():
        seq_printf(seq, ",nr_inodes=%lu", sbinfo.max_inodes)
    if sbinfo.mode != 0o1777:
        seq_printf(seq, ",mode=%03o", sbinfo.mode)
    if sbinfo.uid:
        seq_printf(seq, ",uid=%u", sbinfo.uid)
    if sbinfo.gid:
        seq_printf(seq, ",gid=%u", sbinfo.gid)
    if IS_ENABLED("CONFIG_TMPFS_INODE64") or sbinfo.full_inums:
        seq_printf(seq, ",inode%d", 64 if sbinfo.full_inums else 32)
    if sbinfo.noswap:
        seq_printf(seq, ",noswap")
    return 0


shmem_ops = super_operations(show_options=shmem_show_options, alloc_inode=shmem_alloc_inode, free_inode=shmem_free_in_core_inode,
                             statfs=shmem_statfs,
                             evict_inode=shmem_evict_inode, drop_inode=inode_just_drop)


@dup(C)
def shmem_put_super(sb: SuperBlock) -> None:
    """``static void shmem_put_super(struct super_block *sb)``"""
    kfree(sb.s_fs_info)
    sb.s_fs_info = None


shmem_ops.put_super = shmem_put_super


@dup(C)
def shmem_parse_one(fc: FsContext, param: FsParameter) -> int:
    """``static int shmem_parse_one(struct fs_context *fc, struct fs_parameter *param)``. Return: 0, -EINVAL, -ENOPARAM."""
    ctx: shmem_options = fc.fs_private
    result = fs_parse_result()
    opt = fs_parse(fc, shmem_fs_parameters, param, result)
    if opt < 0:
        return opt
    if opt in (Opt_size, Opt_nr_blocks, Opt_nr_inodes):
        value, rest = memparse(param.string or "")
        if opt == Opt_size:
            if rest[:1] == "%":
                value = (value << arch.PAGE_SHIFT) * totalram_pages() // 100
                rest = rest[1:]
            value = (value + arch.PAGE_SIZE - 1) >> arch.PAGE_SHIFT
        if (rest or (opt == Opt_nr_blocks and value > LONG_MAX)
            or (opt == Opt_nr_inodes and value > arch.ULONG_MAX // BOGO_INODE_SIZE)):
            return invalfc(fc, "Bad value for '%s'", param.key)
        if opt == Opt_nr_inodes:
            ctx.inodes = value
            ctx.seen |= SHMEM_SEEN_INODES
        else:
            ctx.blocks = value
            ctx.seen |= SHMEM_SEEN_BLOCKS
    elif opt == Opt_mode:
        ctx.mode = result.uint_32 & 0o7777
    elif opt == Opt_uid:
        ctx.uid = result.uid
    elif opt == Opt_gid:
        ctx.gid = result.gid
    elif opt == Opt_huge:
        if result.uint_32 != 0 and not IS_ENABLED("CONFIG_TRANSPARENT_HUGEPAGE"):
            return invalfc(fc, "Unsupported parameter '%s'", param.key)
        ctx.seen |= SHMEM_SEEN_HUGE
    elif opt == Opt_mpol:
        return invalfc(fc, "Unsupported parameter '%s'", param.key)
    elif opt in (Opt_inode32, Opt_inode64):
        ctx.full_inums = opt == Opt_inode64
        ctx.seen |= SHMEM_SEEN_INUMS
    elif opt == Opt_noswap:
        ctx.noswap = True
        ctx.seen |= SHMEM_SEEN_NOSWAP
    return 0


@dup(C)
def shmem_fill_super(sb: SuperBlock, fc: FsContext) -> int:
    """``static int shmem_fill_super(struct super_block *sb, struct fs_context *fc)``. Return: 0, -ENOMEM, -ENOSPC."""
    ctx: shmem_options = fc.fs_private
    sbinfo = kzalloc_obj(shmem_sb_info, GFP_KERNEL)
    if sbinfo is None:
        return -ENOMEM
    sb.s_fs_info = sbinfo
    if not sb.s_flags & SB_KERNMOUNT:
        # half of the physical ram per instance, one inode per page of lowmem
        if not ctx.seen & SHMEM_SEEN_BLOCKS:
            ctx.blocks = shmem_default_max_blocks()
        if not ctx.seen & SHMEM_SEEN_INODES:
            ctx.inodes = shmem_default_max_inodes()
        if not ctx.seen & SHMEM_SEEN_INUMS:
            ctx.full_inums = IS_ENABLED("CONFIG_TMPFS_INODE64")
        sbinfo.noswap = ctx.noswap
    else:
        sb.s_flags |= SB_NOUSER
    sb.s_flags |= SB_NOSEC
    sb.s_d_flags |= DCACHE_DONTCACHE
    sbinfo.max_blocks = ctx.blocks
    sbinfo.max_inodes = ctx.inodes
    sbinfo.free_ispace = sbinfo.max_inodes * BOGO_INODE_SIZE
    sbinfo.uid, sbinfo.gid, sbinfo.mode = ctx.uid, ctx.gid, ctx.mode
    sbinfo.full_inums = ctx.full_inums
    sb.s_maxbytes = MAX_LFS_FILESIZE
    sb.s_blocksize = arch.PAGE_SIZE
    sb.s_blocksize_bits = arch.PAGE_SHIFT
    sb.s_magic = TMPFS_MAGIC
    sb.s_op = shmem_ops
    sb.s_time_gran = 1
    if IS_ENABLED("CONFIG_TMPFS_XATTR"):
        sb.s_xattr = shmem_xattr_handlers
    if IS_ENABLED("CONFIG_TMPFS_POSIX_ACL"):
        sb.s_flags |= SB_POSIXACL
    inode = shmem_get_inode(nop_mnt_idmap, sb, None, S_IFDIR | sbinfo.mode, 0)
    if IS_ERR(inode):
        shmem_put_super(sb)
        return PTR_ERR(inode)
    inode.i_uid = sbinfo.uid
    inode.i_gid = sbinfo.gid
    sb.s_root = d_make_root(inode)
    if sb.s_root is None:
        shmem_put_super(sb)
        return -ENOMEM
    return 0


def shmem_get_tree(fc: FsContext) -> int:
    """``int shmem_get_tree(struct fs_context *fc)``"""
    return get_tree_nodev(fc, shmem_fill_super)


def shmem_free_fc(fc: FsContext) -> None:
    """``void shmem_free_fc(struct fs_context *fc)``"""
    if fc.fs_private is not None:
        kfree(fc.fs_private)


def shmem_reconfigure(fc: FsContext) -> int:
    """``static int shmem_reconfigure(struct fs_context *fc)``: new limits. Return: 0, -EINVAL."""
    ctx: shmem_options = fc.fs_private
    assert fc.root is not None
    sbinfo = SHMEM_SB(fc.root.d_sb)
    spin_lock(sbinfo.stat_lock)
    err = _reconfigure(ctx, sbinfo)
    spin_unlock(sbinfo.stat_lock)
    return invalfc(fc, "%s", err) if err else 0


def _reconfigure(ctx: shmem_options, sbinfo: shmem_sb_info) -> str:
    """What shmem_reconfigure() does under its lock; the complaint."""
    used_isp = sbinfo.max_inodes * BOGO_INODE_SIZE - sbinfo.free_ispace
    if ctx.seen & SHMEM_SEEN_BLOCKS and ctx.blocks:
        if not sbinfo.max_blocks:
            return "Cannot retroactively limit size"
        if sbinfo.used_blocks > ctx.blocks:
            return "Too small a size for current use"
    if ctx.seen & SHMEM_SEEN_INODES and ctx.inodes:
        if not sbinfo.max_inodes:
            return "Cannot retroactively limit inodes"
        if ctx.inodes * BOGO_INODE_SIZE < used_isp:
            return "Too few inodes for current use"
    if ctx.seen & SHMEM_SEEN_BLOCKS:
        sbinfo.max_blocks = ctx.blocks
    if ctx.seen & SHMEM_SEEN_INODES:
        sbinfo.max_inodes = ctx.inodes
        sbinfo.free_ispace = ctx.inodes * BOGO_INODE_SIZE - used_isp
    return ""


shmem_fs_context_ops = fs_context_operations(free=shmem_free_fc, get_tree=shmem_get_tree, parse_param=shmem_parse_one,
                                             reconfigure=shmem_reconfigure)


@dup(C)
def shmem_init_fs_context(fc: FsContext) -> int:
    """``int shmem_init_fs_context(struct fs_context *fc)``. Return: 0, -ENOMEM."""
    ctx = kzalloc_obj(shmem_options, GFP_KERNEL)
    if ctx is None:
        return -ENOMEM
    ctx.mode = 0o1777
    ctx.uid = current_fsuid()
    ctx.gid = current_fsgid()
    fc.fs_private = ctx
    fc.ops = shmem_fs_context_ops
    fc.sb_flags |= SB_I_VERSION
    return 0


@custom(C, "shmem_init", "registers the file system; there is no internal mount")
def shmem_init() -> None:
    """``void __init shmem_init(void)``: called by mnt_init()."""
    if IS_ENABLED("CONFIG_TMPFS"):
        register_filesystem(shmem_fs_type)


shmem_aops = address_space_operations(dirty_folio=noop_dirty_folio, write_begin=shmem_write_begin, write_end=shmem_write_end)


def shmem_truncate_range(inode: Any, lstart: int) -> None:
    """``void shmem_truncate_range(struct inode *inode, loff_t lstart, uoff_t lend)``"""
    truncate_pagecache(inode, lstart)
    shmem_recalc_inode(inode, 0)


@custom(C, "shmem_get_inode",
        "one tmpfs in memory: no swap, quota, memory policy or large folios, and inode numbers are not handed out in batches")
def shmem_get_inode(idmap: Any, sb: SuperBlock, dir: Inode | None, mode: int, dev: int) -> Any:
    """``struct inode *shmem_get_inode(idmap, sb, dir, mode, dev, flags)``. Return: ERR_PTR(-ENOSPC) without room or memory."""
    from kemu.linux.shmem_fs import SHMEM_I  # noqa: PLC0415  (circle: include/linux/shmem_fs.h needs this)

    ino = Ref(0)
    err = shmem_reserve_inode(sb, ino)
    if err:
        return ERR_PTR(err)
    inode = new_inode(sb)
    if inode is None:
        shmem_free_inode(sb, 0)
        return ERR_PTR(-ENOSPC)
    inode.i_ino = ino.v
    inode_init_owner(idmap, inode, dir, mode)
    inode.i_blocks = 0
    simple_inode_init_ts(inode)
    SHMEM_I(inode).xattrs = {}
    cache_no_acl(inode)
    if SHMEM_SB(sb).noswap:
        mapping_set_unevictable(inode.i_mapping)
    kind = mode & S_IFMT
    if kind == S_IFREG:
        inode.i_mapping.a_ops = shmem_aops
        inode.i_op = shmem_inode_operations
        inode.i_fop = shmem_file_operations
    elif kind == S_IFDIR:
        inc_nlink(inode)
        # Some things misbehave if size == 0 on a directory
        inode.i_size = 2 * BOGO_DIRENT_SIZE
        inode.i_op = shmem_dir_inode_operations
        inode.i_fop = simple_dir_operations
    elif kind != S_IFLNK:
        inode.i_op = shmem_special_inode_operations
        init_special_inode(inode, mode, dev)
    return inode


def shmem_kill_sb(sb: SuperBlock) -> None:
    """``.kill_sb`` of tmpfs, which is kill_anon_super() itself in Linux."""
    kill_anon_super(sb)


shmem_fs_type = FileSystemType(name="tmpfs", init_fs_context=shmem_init_fs_context, parameters=shmem_fs_parameters,
                               kill_sb=shmem_kill_sb,
                               fs_flags=FS_USERNS_MOUNT)


names("dup", C, "shmem_fs_type")
names("dup", C, "shmem_inode_info", "shmem_sb_info", "shmem_options", "shmem_inode_acct_blocks", "shmem_inode_unacct_blocks",
      "shmem_recalc_inode", "shmem_truncate_range", "shmem_alloc_inode", "shmem_free_in_core_inode", "shmem_whiteout",
      "shmem_xattr_handler_get", "shmem_xattr_handler_set", "shmem_listxattr", "shmem_get_tree", "shmem_free_fc",
      "shmem_reconfigure", "shmem_kill_sb")
