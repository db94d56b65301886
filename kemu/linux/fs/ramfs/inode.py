# SPDX-License-Identifier: GPL-2.0-only
"""ramfs: files in the page cache, names in the dcache (fs/ramfs/inode.c, fs/ramfs/file-mmu.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.err import ERR_PTR
from kemu.linux.errno import ENOMEM, ENOPARAM, ENOSPC
from kemu.linux.fs.dcache import d_instantiate, d_make_persistent, d_make_root
from kemu.linux.fs.filesystems import register_filesystem
from kemu.linux.fs.fs_context import vfs_parse_fs_param_source
from kemu.linux.fs.inode import (
    drop_nlink,
    get_next_ino,
    inc_nlink,
    init_special_inode,
    inode_init_owner,
    inode_just_drop,
    inode_nohighmem,
    inode_set_ctime_current,
    iput,
    new_inode,
)
from kemu.linux.fs.libfs import (
    noop_fsync,
    ram_aops,
    simple_dir_operations,
    simple_getattr,
    simple_inode_init_ts,
    simple_link,
    simple_lookup,
    simple_rename,
    simple_rmdir,
    simple_setattr,
    simple_statfs,
    simple_unlink,
)
from kemu.linux.fs.namei import page_symlink
from kemu.linux.fs.open import finish_open
from kemu.linux.fs.read_write import generic_file_llseek
from kemu.linux.fs.seq_file import seq_printf
from kemu.linux.fs.stat import page_symlink_inode_operations
from kemu.linux.fs.super import get_tree_nodev, kill_anon_super
from kemu.linux.include.dcache import DCACHE_DONTCACHE, Dentry
from kemu.linux.include.fs.calls import inode_set_mtime_to_ts
from kemu.linux.include.fs.constants import FS_USERNS_MOUNT, MAX_LFS_FILESIZE
from kemu.linux.include.fs.types import File, FileSystemType, Inode, file_operations, inode_operations
from kemu.linux.include.fs_context import FsContext, FsParameter, fs_context_operations
from kemu.linux.include.fs_parser import fs_parse, fs_parse_result, fsparam_u32oct
from kemu.linux.include.gfp import GFP_HIGHUSER
from kemu.linux.include.init import fs_initcall
from kemu.linux.include.pagemap import AS_UNEVICTABLE
from kemu.linux.include.seq_file import SeqFile
from kemu.linux.include.slab import kzalloc_obj
from kemu.linux.magic import RAMFS_MAGIC
from kemu.linux.mm.filemap import generic_file_read_iter, generic_file_write_iter
from kemu.linux.mm.slub import kfree
from kemu.linux.mnt_idmapping import nop_mnt_idmap
from kemu.linux.port.honesty import dup, names, port_of
from kemu.linux.stat import S_IALLUGO, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from kemu.linux.super_types import SuperBlock, super_operations
from kemu.machine.current import arch

C = "fs/ramfs/inode.c"

RAMFS_DEFAULT_MODE = 0o755
Opt_mode = 0

ramfs_file_operations = file_operations(read_iter=generic_file_read_iter, write_iter=generic_file_write_iter, fsync=noop_fsync,
                                        llseek=generic_file_llseek)
ramfs_file_inode_operations = inode_operations(setattr=simple_setattr, getattr=simple_getattr)

ramfs_fs_parameters = [fsparam_u32oct("mode", Opt_mode)]


@dup(C)
class ramfs_fs_info:
    """``struct ramfs_fs_info``"""

    __slots__ = ("mode",)

    def __init__(self) -> None:
        self.mode = 0


@dup(C)
def ramfs_get_inode(sb: SuperBlock, dir: Inode | None, mode: int, dev: int) -> Inode | None:
    """``struct inode *ramfs_get_inode(struct super_block *sb, const struct inode *dir, umode_t mode, dev_t dev)``: None on
    failure.
    """
    inode = new_inode(sb)
    if inode is None:
        return None
    inode.i_ino = get_next_ino()
    inode_init_owner(nop_mnt_idmap, inode, dir, mode)
    mapping = inode.i_mapping
    mapping.a_ops = ram_aops
    mapping.gfp_mask = GFP_HIGHUSER             # mapping_set_gfp_mask(), mapping_set_unevictable()
    mapping.flags |= 1 << AS_UNEVICTABLE
    simple_inode_init_ts(inode)
    kind = mode & S_IFMT
    if kind == S_IFREG:
        inode.i_op = ramfs_file_inode_operations
        inode.i_fop = ramfs_file_operations
    elif kind == S_IFDIR:
        inode.i_op = ramfs_dir_inode_operations
        inode.i_fop = simple_dir_operations
        inc_nlink(inode)
    elif kind == S_IFLNK:
        inode.i_op = page_symlink_inode_operations
        inode_nohighmem(inode)
    else:
        init_special_inode(inode, mode, dev)
    return inode


def ramfs_mknod(idmap: Any, dir: Inode, dentry: Dentry, mode: int, dev: int) -> int:
    """``int ramfs_mknod(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode, dev_t dev)``:
    -ENOSPC: no inode.
    """
    inode = ramfs_get_inode(dir.i_sb, dir, mode, dev)
    if inode is None:
        return -ENOSPC
    d_make_persistent(dentry, inode)
    dir.i_mtime_sec, dir.i_mtime_nsec = inode_set_ctime_current(dir)
    return 0


def ramfs_mkdir(idmap: Any, dir: Inode, dentry: Dentry, mode: int) -> Any:
    """``struct dentry *ramfs_mkdir(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode)``:
    NULL, or ERR_PTR(-ENOSPC).
    """
    retval = ramfs_mknod(idmap, dir, dentry, mode | S_IFDIR, 0)
    if not retval:
        inc_nlink(dir)
    return ERR_PTR(retval)


def ramfs_create(idmap: Any, dir: Inode, dentry: Dentry, mode: int, excl: bool) -> int:
    """``int ramfs_create(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode, bool excl)``:
    -ENOSPC: no inode.
    """
    return ramfs_mknod(idmap, dir, dentry, mode | S_IFREG, 0)


def ramfs_symlink(idmap: Any, dir: Inode, dentry: Dentry, symname: bytes) -> int:
    """``int ramfs_symlink(struct mnt_idmap *idmap, struct inode *dir, struct dentry *dentry, const char *symname)``:
    -ENOSPC, -ENOMEM.
    """
    inode = ramfs_get_inode(dir.i_sb, dir, S_IFLNK | 0o777, 0)
    if inode is None:
        return -ENOSPC
    error = page_symlink(inode, symname, len(symname) + 1)
    if not error:
        d_make_persistent(dentry, inode)
        inode_set_mtime_to_ts(dir, inode_set_ctime_current(dir))
    else:
        iput(inode)
    return error


def ramfs_tmpfile(idmap: Any, dir: Inode, file: File, mode: int) -> int:
    """``int ramfs_tmpfile(struct mnt_idmap *idmap, struct inode *dir, struct file *file, umode_t mode)``: -ENOSPC: no inode"""
    inode = ramfs_get_inode(dir.i_sb, dir, mode, 0)
    if inode is None:
        return -ENOSPC
    drop_nlink(inode)                           # d_tmpfile()
    d_instantiate(file.f_path.dentry, inode)
    return finish_open(file, file.f_path.dentry, None)


ramfs_dir_inode_operations = inode_operations(
    create=ramfs_create, lookup=simple_lookup, link=simple_link, unlink=simple_unlink, symlink=ramfs_symlink, mkdir=ramfs_mkdir,
    rmdir=simple_rmdir, mknod=ramfs_mknod, rename=simple_rename, tmpfile=ramfs_tmpfile)


@port_of(C, "ramfs_show_options")
def ramfs_show_options(m: SeqFile, root: Dentry) -> int:
    """``int ramfs_show_options(struct seq_file *m, struct dentry *root)``: 0"""
    fsi = root.d_sb.s_fs_info

    if fsi.mode != RAMFS_DEFAULT_MODE:
        seq_printf(m, ",mode=%o", fsi.mode)
    return 0


ramfs_ops = super_operations(show_options=ramfs_show_options, statfs=simple_statfs, drop_inode=inode_just_drop)


def ramfs_parse_param(fc: FsContext, param: FsParameter) -> int:
    """``int ramfs_parse_param(struct fs_context *fc, struct fs_parameter *param)``:
    -EINVAL for a bad mode; unknown options are ignored.
    """
    result = fs_parse_result()
    opt = fs_parse(fc, ramfs_fs_parameters, param, result)
    if opt == -ENOPARAM:
        opt = vfs_parse_fs_param_source(fc, param)
        return opt if opt != -ENOPARAM else 0   # other options are ignored, as ever
    if opt < 0:
        return opt
    fc.s_fs_info.mode = result.uint_32 & S_IALLUGO
    return 0


def ramfs_fill_super(sb: SuperBlock, fc: FsContext) -> int:
    """``int ramfs_fill_super(struct super_block *sb, struct fs_context *fc)``: -ENOMEM: no root"""
    sb.s_maxbytes = MAX_LFS_FILESIZE
    sb.s_blocksize = arch.PAGE_SIZE
    sb.s_blocksize_bits = arch.PAGE_SHIFT
    sb.s_magic = RAMFS_MAGIC
    sb.s_op = ramfs_ops
    sb.s_d_flags = DCACHE_DONTCACHE
    sb.s_time_gran = 1
    sb.s_root = d_make_root(ramfs_get_inode(sb, None, S_IFDIR | sb.s_fs_info.mode, 0))
    return 0 if sb.s_root is not None else -ENOMEM


def ramfs_get_tree(fc: FsContext) -> int:
    """``int ramfs_get_tree(struct fs_context *fc)``: -ENOMEM"""
    return get_tree_nodev(fc, ramfs_fill_super)


def ramfs_free_fc(fc: FsContext) -> None:
    """``void ramfs_free_fc(struct fs_context *fc)``"""
    kfree(fc.s_fs_info)


ramfs_context_ops = fs_context_operations(free=ramfs_free_fc, parse_param=ramfs_parse_param, get_tree=ramfs_get_tree)


@dup(C)
def ramfs_init_fs_context(fc: FsContext) -> int:
    """``int ramfs_init_fs_context(struct fs_context *fc)``. Return: 0, or -ENOMEM."""
    fsi = kzalloc_obj(ramfs_fs_info)
    if fsi is None:
        return -ENOMEM
    fsi.mode = RAMFS_DEFAULT_MODE
    fc.s_fs_info = fsi
    fc.ops = ramfs_context_ops
    return 0


@dup(C)
def ramfs_kill_sb(sb: SuperBlock) -> None:
    """``void ramfs_kill_sb(struct super_block *sb)``"""
    kfree(sb.s_fs_info)
    kill_anon_super(sb)


@fs_initcall
@dup(C)
def init_ramfs_fs() -> int:
    """``static int __init init_ramfs_fs(void)``"""
    return register_filesystem(ramfs_fs_type)


ramfs_fs_type = FileSystemType(name="ramfs", init_fs_context=ramfs_init_fs_context, parameters=ramfs_fs_parameters,
                               kill_sb=ramfs_kill_sb,
                               fs_flags=FS_USERNS_MOUNT)


names("dup", C, "ramfs_fs_type")
names("dup", C, "ramfs_fs_info", "ramfs_mknod", "ramfs_mkdir", "ramfs_create", "ramfs_symlink", "ramfs_tmpfile",
      "ramfs_parse_param", "ramfs_fill_super", "ramfs_get_tree", "ramfs_free_fc")
