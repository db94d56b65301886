# SPDX-License-Identifier: GPL-2.0-only
"""The root below the root: permanently empty (fs/nullfs.c)."""
from __future__ import annotations

from kemu.linux.errno import ENOLCK, ENOMEM
from kemu.linux.fs.dcache import d_make_root
from kemu.linux.fs.inode import new_inode
from kemu.linux.fs.libfs import (
    empty_dir_llseek,
    empty_dir_readdir,
    generic_read_dir,
    make_empty_dir_inode,
    noop_fsync,
    simple_inode_init_ts,
    simple_statfs,
)
from kemu.linux.fs.super import get_tree_single, kill_anon_super
from kemu.linux.include.fs.constants import FOP_IMMUTABLE, MAX_LFS_FILESIZE, S_IMMUTABLE, S_NOATIME
from kemu.linux.include.fs.types import File, FileSystemType, file_operations
from kemu.linux.include.fs_context import FsContext, fs_context_operations
from kemu.linux.magic import NULL_FS_MAGIC
from kemu.linux.port.honesty import names
from kemu.linux.super_types import SB_I_NODEV, SB_I_NOEXEC, SB_NOUSER, SuperBlock, super_operations
from kemu.machine.current import arch

nullfs_super_operations = super_operations(statfs=simple_statfs)


def nullfs_nolock(file: File, cmd: int, fl: object) -> int:
    return -ENOLCK


nullfs_dir_operations = file_operations(llseek=empty_dir_llseek, read=generic_read_dir, iterate_shared=empty_dir_readdir,
                                        fsync=noop_fsync,
                                        lock=nullfs_nolock, flock=nullfs_nolock, fop_flags=FOP_IMMUTABLE)


def nullfs_fs_fill_super(s: SuperBlock, fc: FsContext) -> int:
    s.s_maxbytes = MAX_LFS_FILESIZE
    s.s_blocksize = arch.PAGE_SIZE
    s.s_blocksize_bits = arch.PAGE_SHIFT
    s.s_magic = NULL_FS_MAGIC
    s.s_op = nullfs_super_operations
    s.s_time_gran = 1
    s.s_d_flags = 0
    inode = new_inode(s)
    if inode is None:
        return -ENOMEM
    make_empty_dir_inode(inode)
    inode.i_fop = nullfs_dir_operations
    simple_inode_init_ts(inode)
    inode.i_ino = 1
    inode.i_flags |= S_IMMUTABLE | S_NOATIME
    s.s_root = d_make_root(inode)
    return 0 if s.s_root is not None else -ENOMEM


def nullfs_fs_get_tree(fc: FsContext) -> int:
    return get_tree_single(fc, nullfs_fs_fill_super)


nullfs_fs_context_ops = fs_context_operations(get_tree=nullfs_fs_get_tree)


def nullfs_init_fs_context(fc: FsContext) -> int:
    fc.ops = nullfs_fs_context_ops
    fc.global_ = True
    fc.sb_flags = SB_NOUSER
    fc.s_iflags = SB_I_NOEXEC | SB_I_NODEV
    return 0


nullfs_fs_type = FileSystemType(name="nullfs", init_fs_context=nullfs_init_fs_context, kill_sb=kill_anon_super)


names("dup", "fs/nullfs.c", "nullfs_fs_type")
