# SPDX-License-Identifier: GPL-2.0-only
"""Mounts of a new superblock, and what is in the namespace (fs/namespace.c). Ports import it from kemu.linux.mount."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON
from kemu.linux.cred import CAP_SYS_ADMIN, capable
from kemu.linux.dcache import Dentry, dget
from kemu.linux.err import ERR_CAST, ERR_PTR, IS_ERR
from kemu.linux.errno import EINVAL, ENOMEM, ENOSPC
from kemu.linux.honesty import custom, dup
from kemu.linux.list import list_add
from kemu.linux.rcupdate import synchronize_rcu
from kemu.linux.rwsem import up_write
from kemu.linux.super_types import (
    SB_KERNMOUNT,
)
from kemu.linux.vfs.fs_context import (
    FsContext,
    fs_context_for_mount,
    parse_monolithic_mount_data,
    put_fs_context,
    vfs_parse_fs_string,
)
from kemu.linux.vfs.fs_struct import current_fs
from kemu.linux.vfs.mounts import (
    MNT_INTERNAL,
    MNT_INTERNAL_FLAGS,
    MNT_NS_INTERNAL,
    T_UNBINDABLE,
    Mount,
    VfsMount,
    alloc_vfsmnt,
    g,
    make_visible,
    mnt_make_shortterm,
    mntput,
    next_mnt,
)
from kemu.linux.vfs.pnode_list import (
    CL_MAKE_SHARED,
    CL_PRIVATE,
    CL_SLAVE,
    IS_MNT_SLAVE,
    mnt_alloc_group_id,
    peers,
    set_mnt_shared,
    slave_add_behind,
    slave_add_head,
)
from kemu.linux.vfs.super import vfs_get_tree
from kemu.linux.vfs.types import FileSystemType

sysctl_mount_max = 100_000


# ------------------------------------------------------------------------- making

def setup_mnt(m: Mount, root: Dentry) -> None:
    s = root.d_sb
    s.s_active += 1
    m.mnt_sb = s
    m.mnt_root = root
    dget(root)
    m.mnt_mountpoint = root
    m.mnt_parent = m
    s.s_mounts[m] = None


@custom("fs/namespace.c", "vfs_create_mount", "ids are a list; the superblock's list of mounts is a dict: neither xa_lock nor mount_lock is taken")
def vfs_create_mount(fc: FsContext) -> Mount:
    """``struct vfsmount *vfs_create_mount(struct fs_context *fc)``: not attached to anything. Return: ERR_PTR of -EINVAL, -ENOMEM."""
    if fc.root is None:
        return ERR_PTR(-EINVAL)
    mnt = alloc_vfsmnt(fc.source)
    if mnt is None:
        return ERR_PTR(-ENOMEM)
    if fc.sb_flags & SB_KERNMOUNT:
        mnt.mnt_flags = MNT_INTERNAL
    setup_mnt(mnt, fc.root)
    return mnt


@dup("fs/namespace.c")
def fc_mount(fc: FsContext) -> Mount:
    """``struct vfsmount *fc_mount(struct fs_context *fc)``: vfs_get_tree() and vfs_create_mount()."""
    err = vfs_get_tree(fc)
    if err:
        return ERR_PTR(err)
    assert fc.root is not None
    up_write(fc.root.d_sb.s_umount)
    return vfs_create_mount(fc)


@dup("fs/namespace.c")
def fc_mount_longterm(fc: FsContext) -> Mount:
    """``struct vfsmount *fc_mount_longterm(struct fs_context *fc)``: to be ended by kern_unmount()."""
    mnt = fc_mount(fc)
    if not IS_ERR(mnt):
        mnt.mnt_ns = MNT_NS_INTERNAL
    return mnt


@dup("fs/namespace.c")
def vfs_kern_mount(type: FileSystemType | None, flags: int, name: str | None, data: str | int | None) -> Mount:
    """``struct vfsmount *vfs_kern_mount(struct file_system_type *type, int flags, const char *name, void *data)``. Return: or ERR_PTR()."""
    if type is None:
        return ERR_PTR(-EINVAL)
    fc = fs_context_for_mount(type, flags)
    if IS_ERR(fc):
        return ERR_CAST(fc)
    ret = 0
    if name is not None:
        ret = vfs_parse_fs_string(fc, "source", name)
    if not ret:
        ret = parse_monolithic_mount_data(fc, data)
    mnt = fc_mount(fc) if not ret else ERR_PTR(ret)
    put_fs_context(fc)
    return mnt


@dup("fs/namespace.c")
def kern_mount(type: FileSystemType) -> VfsMount:
    """``struct vfsmount *kern_mount(struct file_system_type *type)``: for the kernel's own use. Return: or ERR_PTR()."""
    mnt = vfs_kern_mount(type, SB_KERNMOUNT, type.name, None)
    if not IS_ERR(mnt):
        mnt.mnt_ns = MNT_NS_INTERNAL
    return mnt             # type: ignore[no-any-return]


@dup("fs/namespace.c")
def kern_unmount(mnt: Any) -> None:
    """``void kern_unmount(struct vfsmount *mnt)``. Context: may sleep."""
    if not IS_ERR(mnt):
        mnt_make_shortterm(mnt)
        synchronize_rcu()
        mntput(mnt)


@custom("fs/namespace.c", "clone_mnt", "ids are a list; the superblock's list of mounts is a dict: neither xa_lock nor mount_lock is taken")
def clone_mnt(old: Mount, root: Dentry, flag: int) -> Any:
    """``struct mount *clone_mnt(struct mount *old, struct dentry *root, int flag)``: CL_*. Return: or ERR_PTR(-ENOMEM)."""
    mnt = alloc_vfsmnt(old.mnt_devname)
    if mnt is None:
        return ERR_PTR(-ENOMEM)

    mnt.mnt_flags = old.mnt_flags & ~MNT_INTERNAL_FLAGS
    mnt.mnt_t_flags = old.mnt_t_flags & T_UNBINDABLE

    if flag & (CL_SLAVE | CL_PRIVATE):
        mnt.mnt_group_id = 0            # not a peer of original
    else:
        mnt.mnt_group_id = old.mnt_group_id

    if flag & CL_MAKE_SHARED and not mnt.mnt_group_id:
        mnt_alloc_group_id(mnt)

    if mnt.mnt_group_id:
        set_mnt_shared(mnt)

    setup_mnt(mnt, root)

    if flag & CL_PRIVATE:               # we are done with it
        return mnt

    if peers(mnt, old):
        list_add(mnt.mnt_share, old.mnt_share)

    if flag & CL_SLAVE and old.mnt_group_id:
        slave_add_head(mnt, old)
        mnt.mnt_master = old
    elif IS_MNT_SLAVE(old):
        slave_add_behind(mnt, old)
        mnt.mnt_master = old.mnt_master
    return mnt


# ------------------------------------------------------------------------- the tree

def current_mnt_ns() -> Any:
    """The mount namespace of the current task: there is one."""
    current_fs()
    return g.init_mnt_ns


@dup("fs/namespace.c")
def check_mnt(mnt: Mount) -> bool:
    """``int check_mnt(const struct mount *mnt)``: in the caller's namespace."""
    return mnt.mnt_ns is not None and mnt.mnt_ns is current_mnt_ns()


@dup("fs/namespace.c")
def may_mount() -> bool:
    """``bool may_mount(void)``"""
    return capable(CAP_SYS_ADMIN)


def mnt_add_to_ns(ns: Any, mnt: Mount) -> None:
    WARN_ON(mnt.mnt_ns is not None and mnt in mnt.mnt_ns.mounts)
    mnt.mnt_ns = ns
    ns.mounts[mnt] = None


def commit_tree(mnt: Mount) -> None:
    n = mnt.mnt_parent.mnt_ns
    assert n is not None
    if mnt not in n.mounts:
        for m in next_mnt(mnt):
            mnt_add_to_ns(n, m)
        n.nr_mounts += n.pending_mounts
        n.pending_mounts = 0
    make_visible(mnt)


def count_mounts(ns: Any, mnt: Mount) -> int:
    mounts = len(next_mnt(mnt))
    if ns.nr_mounts + ns.pending_mounts + mounts > sysctl_mount_max:
        return -ENOSPC
    ns.pending_mounts += mounts
    return 0
