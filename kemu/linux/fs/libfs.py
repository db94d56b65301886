# SPDX-License-Identifier: GPL-2.0-only
"""What simple file systems share (fs/libfs.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.delayed_call import delayed_call
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EINVAL, EISDIR, ENAMETOOLONG, ENOENT, ENOMEM, ENOTEMPTY, EOPNOTSUPP, EPERM
from kemu.linux.fs.dcache import d_make_discardable, d_make_persistent, d_make_root, d_splice_alias, set_default_d_op
from kemu.linux.fs.fs_dirent import fs_umode_to_dtype
from kemu.linux.fs.inode import (
    alloc_inode,
    current_time,
    drop_nlink,
    get_next_ino,
    ihold,
    inc_nlink,
    inode_set_ctime_current,
    inode_set_ctime_to_ts,
    new_inode,
    set_nlink,
)
from kemu.linux.fs.read_write import generic_file_llseek_size
from kemu.linux.fs.super import get_tree_nodev
from kemu.linux.highmem import folio_zero_range
from kemu.linux.include.cred import current_fsgid, current_fsuid
from kemu.linux.include.dcache import DCACHE_DONTCACHE, Dentry, d_is_dir, simple_positive
from kemu.linux.include.fs.calls import (
    dir_emit,
    dir_emit_dots,
    inode_lock_shared,
    inode_set_mtime_to_ts,
    inode_unlock_shared,
    mark_inode_dirty,
)
from kemu.linux.include.fs.constants import (
    ATTR_SIZE,
    I_DIRTY,
    IOP_XATTR,
    MAX_LFS_FILESIZE,
    NAME_MAX,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    S_ANON_INODE,
    S_PRIVATE,
)
from kemu.linux.include.fs.types import (
    AddressSpace,
    DirContext,
    File,
    Inode,
    Kiocb,
    address_space_operations,
    file_operations,
    iattr,
    inode_operations,
)
from kemu.linux.include.fs_context import FsContext, fs_context_operations
from kemu.linux.include.mm import flush_dcache_folio, folio_put, folio_size
from kemu.linux.include.pagemap import FGP_WRITEBEGIN
from kemu.linux.include.path import Path
from kemu.linux.include.pseudo_fs import pseudo_fs_context
from kemu.linux.include.slab import kzalloc_obj
from kemu.linux.kdev_t import huge_encode_dev
from kemu.linux.mm.filemap import __filemap_get_folio, folio_unlock
from kemu.linux.mm.page_writeback import noop_dirty_folio
from kemu.linux.mm.slub import kfree
from kemu.linux.mm.truncate import truncate_setsize
from kemu.linux.page_flags import folio_mark_uptodate, folio_test_uptodate
from kemu.linux.port.honesty import custom, dup, names
from kemu.linux.stat import S_IFDIR, Kstat
from kemu.linux.statfs import kstatfs, u64_to_fsid
from kemu.linux.super_types import SB_I_NODEV, SB_I_NOEXEC, SB_NOUSER, SuperBlock, super_operations
from kemu.linux.time64 import timespec64
from kemu.linux.types import Ref
from kemu.machine.current import arch
from kemu.machine.pages import Page

C = "fs/libfs.c"


@dup(C)
def simple_getattr(idmap: Any, path: Path, stat: Kstat, request_mask: int, query_flags: int) -> int:
    """``int simple_getattr(idmap, path, stat, request_mask, query_flags)``: blocks are cached pages."""
    from kemu.linux.fs.stat import generic_fillattr  # noqa: PLC0415  (circle: fs/stat.c needs this)

    inode = path.dentry.d_inode
    generic_fillattr(idmap, request_mask, inode, stat)
    stat.blocks = inode.i_mapping.nrpages << (arch.PAGE_SHIFT - 9)
    return 0


@dup(C)
def simple_statfs(dentry: Dentry, buf: kstatfs) -> int:
    """``int simple_statfs(struct dentry *dentry, struct kstatfs *buf)``"""
    id = huge_encode_dev(dentry.d_sb.s_dev)

    buf.f_fsid = u64_to_fsid(id)
    buf.f_type = dentry.d_sb.s_magic
    buf.f_bsize = arch.PAGE_SIZE
    buf.f_namelen = NAME_MAX
    return 0


simple_super_operations = super_operations(statfs=simple_statfs)


@custom(C, "simple_lookup", "dentries have no d_lock for the flag that is set")
def simple_lookup(dir: Inode, dentry: Dentry, flags: int) -> Any:
    """``struct dentry *simple_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)``: what is not cached is not
    there.

    Return: None, or ERR_PTR(-ENAMETOOLONG).
    """
    if dentry.d_name.len > NAME_MAX:
        return ERR_PTR(-ENAMETOOLONG)
    if dentry.d_op is None:
        dentry.d_flags |= DCACHE_DONTCACHE
    return d_splice_alias(None, dentry)


def _entries(dir: Dentry, first: int = 0) -> list[Dentry]:
    """The positive children from the ``first`` on, last one first; to be popped: the C has the newest first."""
    found = [d for d in dir.d_children or {} if simple_positive(d)]
    return found[:max(0, len(found) - first)] if first else found


def dcache_dir_open(inode: Inode, file: File) -> int:
    file.private_data = None
    return 0


def dcache_dir_lseek(file: File, offset: int, whence: int) -> int:
    if whence == 1:
        offset += file.f_pos
    if whence not in (0, 1) or offset < 0:
        return -EINVAL
    if offset != file.f_pos:
        dir = file.f_path.dentry
        inode_lock_shared(dir.d_inode)
        file.private_data = _entries(dir, max(offset - 2, 0))
        file.f_pos = offset
        inode_unlock_shared(dir.d_inode)
    return offset


@custom(C, "dcache_readdir",
        "the cursor is the list of what is left: entries made meanwhile are not seen, removed ones are skipped")
def dcache_readdir(file: File, ctx: DirContext) -> int:
    """``int dcache_readdir(struct file *file, struct dir_context *ctx)``"""
    if not dir_emit_dots(file, ctx):
        return 0
    dir = file.f_path.dentry
    if ctx.pos == 2 or file.private_data is None:
        file.private_data = _entries(dir)
    left = file.private_data
    while left:
        d = left[-1]
        if simple_positive(d) and d.d_parent is dir:
            if not dir_emit(ctx, d.d_name.name, d.d_name.len, d.d_inode.i_ino, fs_umode_to_dtype(d.d_inode.i_mode)):
                break
            ctx.pos += 1
        left.pop()
    return 0


@dup(C)
def generic_read_dir(filp: File, buf: Any, siz: int, ppos: Any) -> int:
    """``ssize_t generic_read_dir(struct file *filp, char __user *buf, size_t siz, loff_t *ppos)``: -EISDIR."""
    return -EISDIR


def pseudo_fs_fill_super(s: SuperBlock, fc: FsContext) -> int:
    ctx = fc.fs_private
    s.s_maxbytes = MAX_LFS_FILESIZE
    s.s_blocksize = arch.PAGE_SIZE
    s.s_blocksize_bits = arch.PAGE_SHIFT
    s.s_magic = ctx.magic
    s.s_op = ctx.ops or simple_super_operations
    s.s_export_op = ctx.eops
    s.s_xattr = ctx.xattr
    s.s_time_gran = 1
    s.s_d_flags |= ctx.s_d_flags
    root = new_inode(s)
    if root is None:
        return -ENOMEM
    root.i_ino = 1
    root.i_mode = S_IFDIR | 0o600
    simple_inode_init_ts(root)
    s.s_root = d_make_root(root)
    if s.s_root is None:
        return -ENOMEM
    set_default_d_op(s, ctx.dops)
    return 0


def pseudo_fs_get_tree(fc: FsContext) -> int:
    return get_tree_nodev(fc, pseudo_fs_fill_super)


def pseudo_fs_free(fc: FsContext) -> None:
    kfree(fc.fs_private)


pseudo_fs_context_ops = fs_context_operations(free=pseudo_fs_free, get_tree=pseudo_fs_get_tree)


@dup(C)
def init_pseudo(fc: FsContext, magic: int) -> pseudo_fs_context:
    """``struct pseudo_fs_context *init_pseudo(struct fs_context *fc, unsigned long magic)``: None on failure."""
    ctx: pseudo_fs_context = kzalloc_obj(pseudo_fs_context)
    if ctx is not None:
        ctx.magic = magic
        fc.fs_private = ctx
        fc.ops = pseudo_fs_context_ops
        fc.sb_flags |= SB_NOUSER
        fc.s_iflags |= SB_I_NOEXEC | SB_I_NODEV
        fc.global_ = True
    return ctx


@dup(C)
def simple_open(inode: Inode, file: File) -> int:
    """``int simple_open(struct inode *inode, struct file *file)``"""
    if inode.i_private is not None:
        file.private_data = inode.i_private
    return 0


@dup(C)
def simple_link(old_dentry: Dentry, dir: Inode, dentry: Dentry) -> int:
    """``int simple_link(struct dentry *old_dentry, struct inode *dir, struct dentry *dentry)``: 0."""
    inode = old_dentry.d_inode
    inode_set_mtime_to_ts(dir, inode_set_ctime_to_ts(dir, inode_set_ctime_current(inode)))
    inc_nlink(inode)
    ihold(inode)
    d_make_persistent(dentry, inode)
    return 0


@custom(C, "simple_empty", "children are a dict that changes in one step: no d_lock")
def simple_empty(dentry: Dentry) -> bool:
    """``int simple_empty(struct dentry *dentry)``"""
    return not any(simple_positive(d) for d in dentry.d_children or ())


def __simple_unlink(dir: Inode, dentry: Dentry) -> None:
    inode = dentry.d_inode
    inode_set_mtime_to_ts(dir, inode_set_ctime_to_ts(dir, inode_set_ctime_current(inode)))
    drop_nlink(inode)


@dup(C)
def simple_unlink(dir: Inode, dentry: Dentry) -> int:
    """``int simple_unlink(struct inode *dir, struct dentry *dentry)``: 0."""
    __simple_unlink(dir, dentry)
    d_make_discardable(dentry)
    return 0


@dup(C)
def simple_rmdir(dir: Inode, dentry: Dentry) -> int:
    """``int simple_rmdir(struct inode *dir, struct dentry *dentry)``. Return: 0, or -ENOTEMPTY."""
    if not simple_empty(dentry):
        return -ENOTEMPTY
    drop_nlink(dentry.d_inode)
    __simple_unlink(dir, dentry)
    drop_nlink(dir)
    d_make_discardable(dentry)
    return 0


def simple_rename_timestamp(old_dir: Inode, old_dentry: Dentry, new_dir: Inode, new_dentry: Dentry) -> None:
    inode_set_mtime_to_ts(old_dir, inode_set_ctime_current(old_dir))
    if new_dir is not old_dir:
        inode_set_mtime_to_ts(new_dir, inode_set_ctime_current(new_dir))
    inode_set_ctime_current(old_dentry.d_inode)
    if new_dentry.d_inode is not None:
        inode_set_ctime_current(new_dentry.d_inode)


@dup(C)
def simple_rename(idmap: Any, old_dir: Inode, old_dentry: Dentry, new_dir: Inode, new_dentry: Dentry, flags: int) -> int:
    """``int simple_rename(idmap, old_dir, old_dentry, new_dir, new_dentry, flags)``. Return: 0, -EINVAL, -ENOTEMPTY."""
    is_dir = d_is_dir(old_dentry)
    if flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE):
        return -EINVAL
    if flags & RENAME_EXCHANGE:
        if old_dir is not new_dir and is_dir != d_is_dir(new_dentry):
            drop_nlink(old_dir if is_dir else new_dir)
            inc_nlink(new_dir if is_dir else old_dir)
        simple_rename_timestamp(old_dir, old_dentry, new_dir, new_dentry)
        return 0
    if not simple_empty(new_dentry):
        return -ENOTEMPTY
    if new_dentry.d_inode is not None:
        simple_unlink(new_dir, new_dentry)
        if is_dir:
            drop_nlink(new_dentry.d_inode)
            drop_nlink(old_dir)
    elif is_dir:
        drop_nlink(old_dir)
        inc_nlink(new_dir)
    simple_rename_timestamp(old_dir, old_dentry, new_dir, new_dentry)
    return 0


@dup(C)
def simple_setattr(idmap: Any, dentry: Dentry, attr: iattr) -> int:
    """``int simple_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *iattr)``.

    Return: 0, -EPERM, -EFBIG, ...
    """
    from kemu.linux.fs.attr import setattr_copy, setattr_prepare  # noqa: PLC0415  (circle: fs/attr.c needs this)

    inode = dentry.d_inode
    error = setattr_prepare(idmap, dentry, attr)
    if error:
        return error
    if attr.ia_valid & ATTR_SIZE:
        truncate_setsize(inode, attr.ia_size)
    setattr_copy(idmap, inode, attr)
    mark_inode_dirty(inode)
    return 0


@dup(C)
def simple_read_folio(file: Any, folio: Page) -> int:
    """``static int simple_read_folio(struct file *file, struct folio *folio)``: a hole."""
    folio_zero_range(folio, 0, folio_size(folio))
    flush_dcache_folio(folio)
    folio_mark_uptodate(folio)
    folio_unlock(folio)
    return 0


@dup(C)
def simple_write_begin(iocb: Kiocb | None, mapping: AddressSpace, pos: int, length: int, foliop: Ref, fsdata: Ref) -> int:
    """``int simple_write_begin(iocb, mapping, pos, len, foliop, fsdata)``: a locked folio in ``foliop``.

    Return: 0, or -ENOMEM.
    """
    folio = __filemap_get_folio(mapping, pos >> arch.PAGE_SHIFT, FGP_WRITEBEGIN, mapping.gfp_mask)
    if IS_ERR(folio):
        return PTR_ERR(folio)
    foliop.v = folio
    size = folio_size(folio)
    if not folio_test_uptodate(folio) and length != size:
        start = pos & (size - 1)
        folio_zero_range(folio, 0, start)
        folio_zero_range(folio, start + length, size - start - length)
    return 0


@dup(C)
def simple_write_end(iocb: Kiocb | None, mapping: AddressSpace, pos: int, length: int, copied: int, folio: Page,
                     fsdata: Any) -> int:
    """``static int simple_write_end(iocb, mapping, pos, len, copied, folio, fsdata)``: ``copied``."""
    inode = mapping.host
    if not folio_test_uptodate(folio):
        if copied < length:
            folio_zero_range(folio, (pos & (folio_size(folio) - 1)) + copied, length - copied)
        folio_mark_uptodate(folio)
    if pos + copied > inode.i_size:
        inode.i_size = pos + copied
    noop_dirty_folio(mapping, folio)
    folio_unlock(folio)
    folio_put(folio)
    return copied


@dup(C)
def noop_fsync(file: File, start: int, end: int, datasync: int) -> int:
    """``int noop_fsync(struct file *file, loff_t start, loff_t end, int datasync)``: 0."""
    return 0


@custom(C, "noop_direct_IO", "never called: there is no direct I/O below it")
def noop_direct_IO(iocb: Any, iter: Any) -> int:
    """``ssize_t noop_direct_IO(struct kiocb *iocb, struct iov_iter *iter)``: -EINVAL."""
    return -EINVAL


@dup(C)
def alloc_anon_inode(s: SuperBlock) -> Any:
    """``struct inode *alloc_anon_inode(struct super_block *s)``. Return: ERR_PTR(-ENOMEM) on failure."""
    inode = alloc_inode(s)
    if inode is None:
        return ERR_PTR(-ENOMEM)
    inode.i_ino = get_next_ino()
    inode.i_state = I_DIRTY
    inode.i_mode = 0o600
    inode.i_uid = current_fsuid()
    inode.i_gid = current_fsgid()
    inode.i_flags |= S_PRIVATE | S_ANON_INODE
    simple_inode_init_ts(inode)
    return inode


@dup(C)
def simple_get_link(dentry: Dentry | None, inode: Inode, done: delayed_call) -> Any:
    """``const char *simple_get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done)``"""
    return inode.i_link


simple_dir_operations = file_operations(open=dcache_dir_open, llseek=dcache_dir_lseek, read=generic_read_dir,
                                        iterate_shared=dcache_readdir,
                                        fsync=noop_fsync)
simple_dir_inode_operations = inode_operations(lookup=simple_lookup)


def empty_dir_lookup(dir: Inode, dentry: Dentry, flags: int) -> Any:
    return ERR_PTR(-ENOENT)


def empty_dir_setattr(idmap: Any, dentry: Dentry, attr: iattr) -> int:
    return -EPERM


def empty_dir_listxattr(dentry: Dentry, lst: Any, size: int) -> int:
    return -EOPNOTSUPP


def empty_dir_llseek(file: File, offset: int, whence: int) -> int:
    return generic_file_llseek_size(file, offset, whence, 2, 2)


def empty_dir_readdir(file: File, ctx: DirContext) -> int:
    dir_emit_dots(file, ctx)
    return 0


empty_dir_inode_operations = inode_operations(lookup=empty_dir_lookup, setattr=empty_dir_setattr, listxattr=empty_dir_listxattr)
empty_dir_operations = file_operations(llseek=empty_dir_llseek, read=generic_read_dir, iterate_shared=empty_dir_readdir,
                                       fsync=noop_fsync)


@dup(C)
def make_empty_dir_inode(inode: Inode) -> None:
    """``void make_empty_dir_inode(struct inode *inode)``: a directory that stays empty."""
    set_nlink(inode, 2)
    inode.i_mode = S_IFDIR | 0o555
    inode.i_uid = inode.i_gid = inode.i_rdev = inode.i_size = inode.i_blocks = 0
    inode.i_blkbits = arch.PAGE_SHIFT
    inode.i_op = empty_dir_inode_operations
    inode.i_opflags &= ~IOP_XATTR
    inode.i_fop = empty_dir_operations


@dup(C)
def simple_inode_init_ts(inode: Inode) -> timespec64:
    """``struct timespec64 simple_inode_init_ts(struct inode *inode)``: all three times are now."""
    inode.i_atime_sec, inode.i_atime_nsec = inode.i_mtime_sec, inode.i_mtime_nsec = (
        inode.i_ctime_sec, inode.i_ctime_nsec) = ts = current_time(inode)
    return ts


ram_aops = address_space_operations(read_folio=simple_read_folio, write_begin=simple_write_begin, write_end=simple_write_end,
                                    dirty_folio=noop_dirty_folio)


names("dup", C, "simple_get_link")
