# SPDX-License-Identifier: GPL-2.0-only
"""The first mounts: nullfs, and rootfs on top of it (the end of fs/namespace.c, init/do_mounts.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.cred import init_user_ns
from kemu.linux.err import IS_ERR
from kemu.linux.honesty import custom, dup
from kemu.linux.path import path_put
from kemu.linux.printk import pr_info
from kemu.linux.seqlock import read_seqlock_excl, read_sequnlock_excl
from kemu.linux.vfs.basic import Path
from kemu.linux.vfs.fs_context import FsContext
from kemu.linux.vfs.fs_struct import g as fs_g
from kemu.linux.vfs.fs_struct import set_fs_pwd, set_fs_root
from kemu.linux.vfs.mounts import (
    MntNamespace,
    PinnedMountpoint,
    attach_mnt,
    g,
    get_mountpoint,
    next_mnt,
    topmost_overmount,
    unpin_mountpoint,
)
from kemu.linux.vfs.namespace import mnt_add_to_ns, path_mounted, vfs_kern_mount
from kemu.linux.vfs.super import kill_anon_super
from kemu.linux.vfs.types import FileSystemType
from kemu.machine.splat import KernelPanic


def rootfs_init_fs_context(fc: FsContext) -> int:
    from kemu.linux.ramfs import ramfs_init_fs_context

    return ramfs_init_fs_context(fc)


rootfs_fs_type = FileSystemType(name="rootfs", init_fs_context=rootfs_init_fs_context, kill_sb=kill_anon_super)


def init_mount_tree(rootfs: FileSystemType, options: Any) -> None:
    from kemu.linux.vfs.nullfs import nullfs_fs_type

    nullfs_mnt = vfs_kern_mount(nullfs_fs_type, 0, "nullfs", None)
    if IS_ERR(nullfs_mnt):
        raise KernelPanic("Kernel panic - not syncing: VFS: Failed to create nullfs")
    mnt = vfs_kern_mount(rootfs, 0, "rootfs", options)
    if IS_ERR(mnt):
        raise KernelPanic("Kernel panic - not syncing: Can't create rootfs")
    ns = g.init_mnt_ns = MntNamespace()
    ns.user_ns = init_user_ns
    ns.root = nullfs_mnt
    mp = PinnedMountpoint()
    if get_mountpoint(nullfs_mnt.mnt_root, mp) or mp.mp is None:
        raise KernelPanic("Kernel panic - not syncing: VFS: Failed to mount rootfs on nullfs")
    attach_mnt(mnt, nullfs_mnt, mp.mp)
    unpin_mountpoint(mp)
    pr_info("VFS: Finished mounting rootfs on nullfs\n")
    for p in next_mnt(nullfs_mnt):
        mnt_add_to_ns(ns, p)
        ns.nr_mounts += 1
    root = Path(mnt, mnt.mnt_root)
    set_fs_pwd(fs_g.init_fs, root)
    set_fs_root(fs_g.init_fs, root)


@custom("fs/namespace.c", "mnt_init", "only the mount tree; the caller says which file system rootfs is")
def mnt_init(rootfs: FileSystemType = rootfs_fs_type, options: str | None = None) -> None:
    """``void mnt_init(void)``: nullfs as mount 1, ``rootfs`` as mount 2, init's root and working directory there."""
    init_mount_tree(rootfs, options)


@dup("fs/namespace.c")
def current_chrooted() -> bool:
    """``bool current_chrooted(void)``: the task's root is not the namespace's topmost root."""
    from kemu.linux.vfs.fs_struct import current_fs, get_fs_root

    fs_root = Path()
    get_fs_root(current_fs(), fs_root)

    # Find the namespace root
    read_seqlock_excl(g.mount_lock)
    root = topmost_overmount(g.init_mnt_ns.root)
    res = fs_root.mnt is not root or not path_mounted(fs_root)
    read_sequnlock_excl(g.mount_lock)
    path_put(fs_root)
    return res
