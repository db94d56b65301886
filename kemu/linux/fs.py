# SPDX-License-Identifier: GPL-2.0-only
"""Files, inodes, superblocks (include/linux/fs.h): everything that the header declares, whichever file of vfs/ has it."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON_ONCE
from kemu.linux.errno import EINVAL
from kemu.linux.fcntl import SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET  # noqa: F401
from kemu.linux.filemap_read import generic_file_read_iter  # noqa: F401
from kemu.linux.honesty import custom, dup, names
from kemu.linux.mapping import AddressSpace, FileRaState  # noqa: F401
from kemu.linux.path import Path
from kemu.linux.super_types import *  # noqa: F403
from kemu.linux.truncate import truncate_inode_pages, truncate_inode_pages_final  # noqa: F401
from kemu.linux.vfs.attr import *  # noqa: F403
from kemu.linux.vfs.bad_inode import is_bad_inode  # noqa: F401
from kemu.linux.vfs.char_dev import cdev_add, cdev_del, def_chr_fops  # noqa: F401
from kemu.linux.vfs.constants import *  # noqa: F403
from kemu.linux.vfs.dir_ops import vfs_create, vfs_link, vfs_mkdir, vfs_mknod, vfs_rmdir, vfs_symlink, vfs_unlink  # noqa: F401
from kemu.linux.vfs.file_table import (  # noqa: F401
    alloc_empty_file,
    allow_write_access,
    deny_write_access,
    file_count,
    flush_delayed_fput,
    fput,
    get_file,
    get_nr_files,
    iocb_flags,
    put_write_access,
)
from kemu.linux.vfs.filesystems import (  # noqa: F401
    get_filesystem,
    get_fs_type,
    list_bdev_fs_names,
    module_refcount,
    put_filesystem,
    register_filesystem,
    unregister_filesystem,
)
from kemu.linux.vfs.inode import *  # noqa: F403
from kemu.linux.vfs.inode_attr import *  # noqa: F403
from kemu.linux.vfs.libfs import *  # noqa: F403
from kemu.linux.vfs.locking import *  # noqa: F403
from kemu.linux.vfs.namespace import MNT_DETACH, MNT_EXPIRE, MNT_FORCE, UMOUNT_NOFOLLOW  # noqa: F401
from kemu.linux.vfs.open import (  # noqa: F401
    backing_file_open,
    dentry_open,
    file_open_root,
    filp_close,
    filp_open,
    finish_no_open,
    finish_open,
    generic_file_open,
    get_write_access,
    kernel_file_open,
    nonseekable_open,
    path_noexec,
    stream_open,
    vfs_open,
)
from kemu.linux.vfs.permission import generic_permission, inode_owner_or_capable, inode_permission  # noqa: F401
from kemu.linux.vfs.ram_pages import generic_file_write_iter, generic_perform_write, page_symlink, ram_aops, simple_write_begin  # noqa: F401
from kemu.linux.vfs.read_write import *  # noqa: F403
from kemu.linux.vfs.readdir import dir_emit, dir_emit_dot, dir_emit_dotdot, dir_emit_dots, iterate_dir, wrap_directory_iterator  # noqa: F401
from kemu.linux.vfs.stat import *  # noqa: F403
from kemu.linux.vfs.super import *  # noqa: F403
from kemu.linux.vfs.super_bdev import fs_holder_ops, get_tree_bdev, get_tree_bdev_flags, kill_block_super, sget_dev  # noqa: F401
from kemu.linux.vfs.types import *  # noqa: F403
from kemu.linux.vfs.types import File, Inode

OFFSET_MAX = (1 << 63) - 1


def file_inode(f: File) -> Inode:
    """``struct inode *file_inode(const struct file *f)``"""
    return f.f_inode


def file_dentry(file: File) -> Any:
    """``struct dentry *file_dentry(const struct file *file)``"""
    dentry = file.f_path.dentry
    WARN_ON_ONCE(dentry.d_inode is not file.f_inode)
    return dentry


@dup("include/linux/fs.h")
def file_mnt_idmap(file: File) -> Any:
    """``struct mnt_idmap *file_mnt_idmap(const struct file *file)``"""
    return file.f_path.mnt.mnt_idmap


@dup("include/linux/fs.h")
def file_user_path(f: File) -> Path:
    """``const struct path *file_user_path(const struct file *f)``: of a backing file, the path that the user opened."""
    return f.user_path if f.user_path is not None and f.f_mode & FMODE_BACKING else f.f_path        # noqa: F405


@custom("fs/libfs.c", "noop_direct_IO", "never called: there is no direct I/O below it")
def noop_direct_IO(iocb: Any, iter: Any) -> int:
    """``ssize_t noop_direct_IO(struct kiocb *iocb, struct iov_iter *iter)``: -EINVAL."""
    return -EINVAL


names("dup", "include/linux/fs.h", "file_inode", "file_dentry")
