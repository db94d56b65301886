# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own /dev (drivers/base/devtmpfs.c): a node for each disk that comes, none for one that goes."""
from __future__ import annotations

from typing import Any

from kemu.linux.block.bdev import registry
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.fs.filesystems import register_filesystem
from kemu.linux.fs.init import init_mount
from kemu.linux.fs.namei import end_dirop, start_dirop, vfs_mknod, vfs_unlink
from kemu.linux.fs.namespace import vfs_kern_mount
from kemu.linux.fs.ramfs.inode import ramfs_init_fs_context
from kemu.linux.fs.super import kill_anon_super
from kemu.linux.include.dcache import QSTR, dget
from kemu.linux.include.fs.types import FileSystemType
from kemu.linux.include.fs_context import FsContext, fs_context_operations
from kemu.linux.include.mount import MS_NOEXEC, MS_NOSUID, MS_SILENT, VfsMount
from kemu.linux.include.namei import LOOKUP_CREATE, LOOKUP_EXCL
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kdev_t import MKDEV
from kemu.linux.kernel.locking.rwsem import down_write
from kemu.linux.mm.shmem import shmem_init_fs_context
from kemu.linux.mnt_idmapping import nop_mnt_idmap
from kemu.linux.port.honesty import custom, dup, names
from kemu.linux.printk import pr_err, pr_info
from kemu.linux.stat import S_IFBLK, S_IFMT
from kemu.machine.current import NULL
from kemu.machine.statics import per_machine, statics

C = "drivers/base/devtmpfs.c"

DEVTMPFS_MFLAGS = MS_SILENT | MS_NOEXEC | MS_NOSUID
@statics
class g:
    mnt: VfsMount = NULL
    ready = False
    mine = per_machine(object)                      # &thread: what dev_mynode() knows its own nodes by


def _internal_init_fs_context(fc: FsContext) -> int:
    return shmem_init_fs_context(fc) if IS_ENABLED("CONFIG_TMPFS") else ramfs_init_fs_context(fc)


internal_fs_type = FileSystemType(name="devtmpfs", init_fs_context=_internal_init_fs_context, kill_sb=kill_anon_super)


def public_dev_mount(fc: FsContext) -> int:
    """``static int devtmpfs_get_tree(struct fs_context *fc)``: every mount shows the one instance."""
    sb = g.mnt.mnt_sb
    sb.s_active += 1
    down_write(sb.s_umount)
    fc.root = dget(sb.s_root)
    return 0


def devtmpfs_init_fs_context(fc: FsContext) -> int:
    """``int devtmpfs_init_fs_context(struct fs_context *fc)``"""
    ret = _internal_init_fs_context(fc)
    if ret < 0:
        return ret
    ops = fc.ops
    assert ops is not None
    fc.ops = fs_context_operations(free=ops.free, parse_param=ops.parse_param, get_tree=public_dev_mount)
    return 0


dev_fs_type = FileSystemType(name="devtmpfs", init_fs_context=devtmpfs_init_fs_context, kill_sb=kill_anon_super)


def _disk_event(what: str, disk: Any) -> None:
    """A disk has come, or gone: its node."""
    dev = MKDEV(disk.major, disk.first_minor)
    if what == "add":
        devtmpfs_create_node(disk.disk_name, S_IFBLK | 0o600, dev)
    else:
        devtmpfs_delete_node(disk.disk_name, S_IFBLK, dev)


@custom(C, "devtmpfs_init", "nodes are made by whoever registers a device, not by a kdevtmpfs in a namespace of its own")
def devtmpfs_init() -> int:
    """``int devtmpfs_init(void)``: an internal mount and the file system type. Return: 0, or what making them gave."""
    mnt: Any = vfs_kern_mount(internal_fs_type, 0, "devtmpfs", "mode=0755")
    if IS_ERR(mnt):
        pr_err("unable to create devtmpfs %ld\n", PTR_ERR(mnt))
        return PTR_ERR(mnt)
    g.mnt = mnt
    err = register_filesystem(dev_fs_type)
    if err:
        pr_err("unable to register devtmpfs type %d\n", err)
        return err
    g.ready = True
    registry().listeners.append(_disk_event)
    pr_info("devtmpfs: initialized\n")
    return 0


@custom(C, "devtmpfs_create_node", "at once, in the caller's task; names have one component")
def devtmpfs_create_node(name: str, mode: int, dev: int) -> int:
    """``int devtmpfs_create_node(struct device *dev)``. Return: 0 (also before devtmpfs is there), -EEXIST, -ENOMEM."""
    if not g.ready:
        return 0
    root = g.mnt.mnt_root
    dentry = start_dirop(root, QSTR(name), LOOKUP_CREATE | LOOKUP_EXCL)
    if IS_ERR(dentry):
        return PTR_ERR(dentry)
    err = vfs_mknod(nop_mnt_idmap, root.d_inode, dentry, mode, dev)
    if not err:
        dentry.d_inode.i_mode = mode        # notify_change(): the umask does not count
        dentry.d_inode.i_private = g.mine
    end_dirop(dentry)
    return err


@custom(C, "devtmpfs_delete_node", "at once, in the caller's task; names have one component")
def devtmpfs_delete_node(name: str, fmt: int, dev: int) -> int:
    """``int devtmpfs_delete_node(struct device *dev)``: only a node that the kernel has made, and for this number, goes.

    Return: 0, -ENOENT.
    """
    if not g.ready:
        return 0
    root = g.mnt.mnt_root
    dentry = start_dirop(root, QSTR(name), 0)
    if IS_ERR(dentry):
        return PTR_ERR(dentry)
    err = 0
    inode = dentry.d_inode
    if inode.i_private is g.mine and inode.i_mode & S_IFMT == fmt and inode.i_rdev == dev:      # dev_mynode()
        # before unlinking this node, reset permissions of possible references like hardlinks
        inode.i_uid = inode.i_gid = 0
        inode.i_mode &= ~0o777
        err = vfs_unlink(nop_mnt_idmap, root.d_inode, dentry)
    end_dirop(dentry)
    return err


@dup(C)
def devtmpfs_mount() -> int:
    """``int devtmpfs_mount(void)``: on "dev" of the working directory, if CONFIG_DEVTMPFS_MOUNT.

    Return: 0, or init_mount()'s error.
    """
    if not IS_ENABLED("CONFIG_DEVTMPFS_MOUNT") or not g.ready:
        return 0
    err = init_mount("devtmpfs", "dev", "devtmpfs", DEVTMPFS_MFLAGS, None)
    if err:
        pr_info("devtmpfs: error mounting %d\n", err)
    else:
        pr_info("devtmpfs: mounted\n")
    return err


names("dup", C, "public_dev_mount", "devtmpfs_init_fs_context", "dev_fs_type", "internal_fs_type")
