# SPDX-License-Identifier: GPL-2.0-only
"""Making mounts, putting them into the tree and taking them out (fs/namespace.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.cred import CAP_SYS_ADMIN, capable
from kemu.linux.dcache import DCACHE_MOUNTED, Dentry, __d_drop, cant_mount, d_is_dir, d_is_symlink, dget, dput, is_subdir
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EAGAIN, EBUSY, EINVAL, ENODEV, ENOENT, ENOTDIR, EPERM
from kemu.linux.goto import Labels
from kemu.linux.honesty import dup, port_of
from kemu.linux.math import is_power_of_2
from kemu.linux.printk import pr_warn
from kemu.linux.rwsem import down_read, down_write, up_read, up_write
from kemu.linux.seqlock import read_seqlock_excl, read_sequnlock_excl
from kemu.linux.super_types import (
    SB_DIRSYNC,
    SB_I_VERSION,
    SB_LAZYTIME,
    SB_MANDLOCK,
    SB_NOUSER,
    SB_POSIXACL,
    SB_RDONLY,
    SB_SILENT,
    SB_SYNCHRONOUS,
)
from kemu.linux.types import arch
from kemu.linux.vfs.basic import Path
from kemu.linux.vfs.constants import FS_HAS_SUBTYPE
from kemu.linux.vfs.filesystems import get_fs_type, put_filesystem
from kemu.linux.vfs.fs_context import (
    FsContext,
    fs_context_for_mount,
    fs_context_for_reconfigure,
    parse_monolithic_mount_data,
    put_fs_context,
    vfs_parse_fs_string,
)
from kemu.linux.vfs.fs_struct import current_fs
from kemu.linux.vfs.locking import inode_lock, inode_unlock
from kemu.linux.vfs.mount_make import (  # noqa: F401
    check_mnt,
    clone_mnt,
    commit_tree,
    count_mounts,
    current_mnt_ns,
    fc_mount,
    fc_mount_longterm,
    kern_mount,
    kern_unmount,
    may_mount,
    mnt_add_to_ns,
    setup_mnt,
    sysctl_mount_max,
    vfs_create_mount,
    vfs_kern_mount,
)
from kemu.linux.vfs.mounts import (
    MNT_ATIME_MASK,
    MNT_INTERNAL_FLAGS,
    MNT_LOCKED,
    MNT_NOATIME,
    MNT_NODEV,
    MNT_NODIRATIME,
    MNT_NOEXEC,
    MNT_NOSUID,
    MNT_NOSYMFOLLOW,
    MNT_READONLY,
    MNT_RELATIME,
    MNT_SHRINKABLE,
    MNT_SYNC_UMOUNT,
    MNT_UMOUNT,
    MNT_USER_SETTABLE_MASK,
    Mount,
    PinnedMountpoint,
    __lookup_mnt,
    g,
    get_mountpoint,
    is_mounted,
    lock_mount_hash,
    mnt_change_mountpoint,
    mnt_has_parent,
    mnt_hold_writers,
    mnt_set_mountpoint,
    mnt_unhold_writers,
    mntget,
    mntput,
    mntput_no_expire,
    namespace_lock,
    namespace_unlock,
    next_mnt,
    topmost_overmount,
    umount_mnt,
    unlock_mount_hash,
    unpin_mountpoint,
)
from kemu.linux.vfs.pnode import (
    bulk_make_private,
    change_mnt_propagation,
    propagate_mnt,
    propagate_mount_busy,
    propagate_mount_unlock,
    propagate_umount,
)
from kemu.linux.vfs.pnode_list import IS_MNT_LOCKED, IS_MNT_SHARED, mnt_alloc_group_id, mnt_release_group_id, set_mnt_shared
from kemu.linux.vfs.super import mount_capable, reconfigure_super
from kemu.machine.current import this

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_SYNCHRONOUS, MS_REMOUNT, MS_MANDLOCK, MS_DIRSYNC, MS_NOSYMFOLLOW = (1 << i for i in range(9))
MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_MOVE, MS_REC, MS_SILENT, MS_POSIXACL, MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_RELATIME = (
    1 << i for i in range(10, 22))
MS_KERNMOUNT, MS_I_VERSION, MS_STRICTATIME, MS_LAZYTIME, MS_NOUSER = 1 << 22, 1 << 23, 1 << 24, 1 << 25, 1 << 31
MS_MGC_VAL, MS_MGC_MSK = 0xC0ED0000, 0xFFFF0000
MNT_FORCE, MNT_DETACH, MNT_EXPIRE, UMOUNT_NOFOLLOW = 1, 2, 4, 8
UMOUNT_SYNC, UMOUNT_PROPAGATE, UMOUNT_CONNECTED = 1, 2, 4
def where_to_mount(path: Path) -> tuple[Mount, Dentry]:
    m = __lookup_mnt(path.mnt, path.dentry)
    if m is not None:
        m = topmost_overmount(m)
        return m, m.mnt_root
    return path.mnt, path.dentry


def do_lock_mount(path: Path, res: PinnedMountpoint) -> None:
    """Pin the place where something can be mounted on ``path``, whatever is mounted there already; res.parent says the error."""
    while True:
        m, dentry = where_to_mount(path)
        extra = m is not path.mnt
        if extra:
            mntget(m)
            dget(dentry)
        inode_lock(dentry.d_inode)
        namespace_lock()
        n, d = where_to_mount(path)
        if n is not m or d is not dentry:
            err = -EAGAIN
        elif cant_mount(dentry) or not is_mounted(path.mnt):
            err = -ENOENT
        else:
            err = get_mountpoint(dentry, res)
        if err:
            res.parent = ERR_PTR(err)
            namespace_unlock()
            inode_unlock(dentry.d_inode)
        else:
            res.parent = m
        if extra:
            dput(dentry)
            mntput(m)
        if err != -EAGAIN:
            return


def unlock_mount(m: PinnedMountpoint) -> None:
    if not IS_ERR(m.parent):
        assert m.mp is not None
        inode_unlock(m.mp.m_dentry.d_inode)
        unpin_mountpoint(m)
        namespace_unlock()


@port_of("fs/namespace.c", "cleanup_group_ids")
def cleanup_group_ids(mnt: Mount, end: Mount | None) -> None:
    """``void cleanup_group_ids(struct mount *mnt, struct mount *end)``"""
    for p in next_mnt(mnt):
        if p is end:
            break
        if p.mnt_group_id and not IS_MNT_SHARED(p):
            mnt_release_group_id(p)


@port_of("fs/namespace.c", "invent_group_ids")
def invent_group_ids(mnt: Mount, recurse: bool) -> int:
    """``int invent_group_ids(struct mount *mnt, bool recurse)``: 0"""
    for p in next_mnt(mnt) if recurse else (mnt,):
        if not p.mnt_group_id:
            err = mnt_alloc_group_id(p)
            if err:
                cleanup_group_ids(mnt, p)
                return err

    return 0


@dup("fs/namespace.c", "attach_recursive_mnt")
def attach_recursive_mnt(source_mnt: Mount, dest: PinnedMountpoint) -> int:
    """``int attach_recursive_mnt(struct mount *source_mnt, const struct pinned_mountpoint *dest)``

    Attach a tree, new or moved, and copies of it wherever what is mounted there propagates to; what was mounted at the place before goes on top
    of it. Return: 0, -ENOSPC, -ENOMEM, -ENOENT.
    """
    dest_mnt: Mount = dest.parent
    dest_mp = dest.mp
    tree_list: list[Mount] = []
    ns = dest_mnt.mnt_ns
    assert ns is not None and dest_mp is not None
    root = PinnedMountpoint()
    moving = mnt_has_parent(source_mnt)
    labels = Labels()

    @labels.label
    def out_cleanup_ids() -> None:
        for child in tree_list:
            assert child.mnt_parent.mnt_ns is not None
            child.mnt_parent.mnt_ns.pending_mounts = 0
            umount_tree(child, UMOUNT_SYNC)
        unlock_mount_hash()
        cleanup_group_ids(source_mnt, None)

    @labels.label
    def out() -> None:
        ns.pending_mounts = 0

        read_seqlock_excl(g.mount_lock)
        unpin_mountpoint(root)
        read_sequnlock_excl(g.mount_lock)

    # Preallocate a mountpoint in case the new mounts need to be mounted beneath mounts on the same mountpoint.
    top = topmost_overmount(source_mnt)
    err = get_mountpoint(top.mnt_root, root)
    if err:
        return err

    # Is there space to add these mounts to the mount namespace?
    if not moving:
        err = count_mounts(ns, source_mnt)
        if err:
            return labels.goto(out, err)

    if IS_MNT_SHARED(dest_mnt):
        err = invent_group_ids(source_mnt, True)
        if err:
            return labels.goto(out, err)
        err = propagate_mnt(dest_mnt, dest_mp, source_mnt, tree_list)
    lock_mount_hash()
    if err:
        return labels.goto(out_cleanup_ids, err)

    if IS_MNT_SHARED(dest_mnt):
        for p in next_mnt(source_mnt):
            set_mnt_shared(p)

    if moving:
        umount_mnt(source_mnt)

    mnt_set_mountpoint(dest_mnt, dest_mp, source_mnt)
    # Now the original copy is in the same state as the secondaries - its root attached to mountpoint, but not hashed and all mounts in it are
    # either in our namespace or in no namespace at all. Add the original to the list of copies and deal with the rest of work for all of them
    # uniformly.
    tree_list.insert(0, source_mnt)

    for child in tree_list:
        q = __lookup_mnt(child.mnt_parent, child.mnt_mountpoint)
        commit_tree(child)
        if q is not None:
            r = topmost_overmount(child)

            # If q was locked it was meant to hide whatever was under it. Let child take over that job and lock it.
            if IS_MNT_LOCKED(q):
                child.mnt_flags |= MNT_LOCKED
                if child is source_mnt:
                    q.mnt_flags &= ~MNT_LOCKED
            assert root.mp is not None
            mnt_change_mountpoint(r, root.mp, q)
    unpin_mountpoint(root)
    unlock_mount_hash()

    return 0


def graft_tree(mnt: Mount, mp: PinnedMountpoint) -> int:
    if mnt.mnt_sb.s_flags & SB_NOUSER:
        return -EINVAL
    assert mp.mp is not None
    if d_is_dir(mp.mp.m_dentry) != d_is_dir(mnt.mnt_root):
        return -ENOTDIR
    return attach_recursive_mnt(mnt, mp)


def do_add_mount(newmnt: Mount, mp: PinnedMountpoint, mnt_flags: int) -> int:
    parent = mp.parent
    if IS_ERR(parent):
        return PTR_ERR(parent)
    mnt_flags &= ~MNT_INTERNAL_FLAGS
    if not check_mnt(parent):
        if not mnt_flags & MNT_SHRINKABLE or not is_mounted(parent):
            return -EINVAL
    assert mp.mp is not None
    if parent.mnt_sb is newmnt.mnt_sb and parent.mnt_root is mp.mp.m_dentry:
        return -EBUSY
    if d_is_symlink(newmnt.mnt_root):
        return -EINVAL
    newmnt.mnt_flags = mnt_flags
    return graft_tree(newmnt, mp)


def do_new_mount_fc(fc: FsContext, mountpoint: Path, mnt_flags: int) -> int:
    mnt = fc_mount(fc)
    if IS_ERR(mnt):
        return PTR_ERR(mnt)
    mp = PinnedMountpoint()
    do_lock_mount(mountpoint, mp)
    error = do_add_mount(mnt, mp, mnt_flags)
    unlock_mount(mp)
    if error:
        mntput(mnt)
    return error


def do_new_mount(path: Path, fstype: str | None, sb_flags: int, mnt_flags: int, name: str | None, data: str | int | None) -> int:
    if fstype is None:
        return -EINVAL
    type = get_fs_type(fstype)
    if type is None:
        return -ENODEV
    subtype = None
    if type.fs_flags & FS_HAS_SUBTYPE and "." in fstype:
        subtype = fstype.partition(".")[2]
        if not subtype:
            put_filesystem(type)
            return -EINVAL
    fc = fs_context_for_mount(type, sb_flags)
    put_filesystem(type)
    if IS_ERR(fc):
        return PTR_ERR(fc)
    fc.oldapi = True
    err = 0
    if subtype:
        err = vfs_parse_fs_string(fc, "subtype", subtype)
    if not err and name is not None:
        err = vfs_parse_fs_string(fc, "source", name)
    if not err:
        err = parse_monolithic_mount_data(fc, data)
    if not err and not mount_capable(fc):
        err = -EPERM
    if not err:
        err = do_new_mount_fc(fc, path, mnt_flags)
    put_fs_context(fc)
    return err


def path_mounted(path: Path) -> bool:
    return path.mnt.mnt_root is path.dentry     # type: ignore[no-any-return]


def do_reconfigure_mnt(path: Path, mnt_flags: int) -> int:
    mnt = path.mnt
    if not check_mnt(mnt) or not path_mounted(path):
        return -EINVAL
    sb = mnt.mnt_sb
    # We're only checking whether the superblock is read-only not changing it, so only take down_read(&sb->s_umount).
    down_read(sb.s_umount)
    lock_mount_hash()
    ret = change_mount_ro_state(mnt, mnt_flags)
    if not ret:
        set_mount_attributes(mnt, mnt_flags)
    unlock_mount_hash()
    up_read(sb.s_umount)
    return ret


def change_mount_ro_state(mnt: Mount, mnt_flags: int) -> int:
    readonly_request = bool(mnt_flags & MNT_READONLY)

    if readonly_request == bool(mnt.mnt_flags & MNT_READONLY):
        return 0
    if readonly_request:
        # mnt_make_readonly()
        ret = mnt_hold_writers(mnt)
        if not ret:
            mnt.mnt_flags |= MNT_READONLY
        mnt_unhold_writers(mnt)
        return ret
    mnt.mnt_flags &= ~MNT_READONLY
    return 0


def set_mount_attributes(mnt: Mount, mnt_flags: int) -> None:
    mnt.mnt_flags = mnt.mnt_flags & ~MNT_USER_SETTABLE_MASK | mnt_flags


def do_remount(path: Path, sb_flags: int, mnt_flags: int, data: str | int | None) -> int:
    sb = path.mnt.mnt_sb
    mnt = path.mnt
    if not check_mnt(mnt) or not path_mounted(path):
        return -EINVAL
    fc = fs_context_for_reconfigure(path.dentry, sb_flags, SB_RDONLY | SB_SYNCHRONOUS | SB_MANDLOCK | SB_I_VERSION | SB_LAZYTIME)
    if IS_ERR(fc):
        return PTR_ERR(fc)
    fc.oldapi = True
    err = parse_monolithic_mount_data(fc, data)
    if not err:
        down_write(sb.s_umount)
        err = -EPERM
        if capable(CAP_SYS_ADMIN):
            err = reconfigure_super(fc)
            if not err:
                lock_mount_hash()
                set_mount_attributes(mnt, mnt_flags)
                unlock_mount_hash()
        up_write(sb.s_umount)
    put_fs_context(fc)
    return err


@dup("fs/namespace.c")
def path_mount(dev_name: str | None, path: Path, type_page: str | None, flags: int, data_page: str | int | None) -> int:
    """``int path_mount(const char *dev_name, const struct path *path, const char *type_page, unsigned long flags, void *data_page)``

    ``data_page`` in memory must be a writable page: its last byte becomes NUL. Return: 0; -EINVAL, -EPERM, -ENODEV (no such type), -EBUSY
    (the same file system is mounted there), what the file system says.
    """
    if flags & MS_MGC_MSK == MS_MGC_VAL:
        flags &= ~MS_MGC_MSK
    if data_page and isinstance(data_page, int):
        this.mem.st8(data_page + arch.PAGE_SIZE - 1, 0)
    if flags & MS_NOUSER:
        return -EINVAL
    if not may_mount():
        return -EPERM
    if flags & SB_MANDLOCK:
        pr_warn("WARNING: The mand mount option has been deprecated and\n")
    mnt_flags = 0
    if not flags & MS_NOATIME:
        mnt_flags |= MNT_RELATIME
    for ms, mf in ((MS_NOSUID, MNT_NOSUID), (MS_NODEV, MNT_NODEV), (MS_NOEXEC, MNT_NOEXEC), (MS_NOATIME, MNT_NOATIME),
                   (MS_NODIRATIME, MNT_NODIRATIME), (MS_RDONLY, MNT_READONLY), (MS_NOSYMFOLLOW, MNT_NOSYMFOLLOW)):
        if flags & ms:
            mnt_flags |= mf
    if flags & MS_STRICTATIME:
        mnt_flags &= ~(MNT_RELATIME | MNT_NOATIME)
    if flags & MS_REMOUNT and not flags & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME):
        mnt_flags &= ~MNT_ATIME_MASK
        mnt_flags |= path.mnt.mnt_flags & MNT_ATIME_MASK
    sb_flags = flags & (SB_RDONLY | SB_SYNCHRONOUS | SB_MANDLOCK | SB_DIRSYNC | SB_SILENT | SB_POSIXACL | SB_LAZYTIME | SB_I_VERSION)
    if flags & (MS_REMOUNT | MS_BIND) == MS_REMOUNT | MS_BIND:
        return do_reconfigure_mnt(path, mnt_flags)
    if flags & MS_REMOUNT:
        return do_remount(path, sb_flags, mnt_flags, data_page)
    if flags & MS_BIND:
        from kemu.linux.vfs.mount_move import do_loopback

        return do_loopback(path, dev_name, bool(flags & MS_REC))
    if flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE):
        return do_change_type(path, flags)
    if flags & MS_MOVE:
        from kemu.linux.vfs.mount_move import do_move_mount_old

        return do_move_mount_old(path, dev_name)
    return do_new_mount(path, type_page, sb_flags, mnt_flags, dev_name, data_page)


@port_of("fs/namespace.c", "flags_to_propagation_type")
def flags_to_propagation_type(ms_flags: int) -> int:
    """``int flags_to_propagation_type(int ms_flags)``: the one type, or 0"""
    type = ms_flags & ~(MS_REC | MS_SILENT)

    # Fail if any non-propagation flags are set
    if type & ~(MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE):
        return 0
    # Only one propagation flag should be set
    if not is_power_of_2(type):
        return 0
    return type


@dup("fs/namespace.c", "do_change_type")
def do_change_type(path: Path, ms_flags: int) -> int:
    """``int do_change_type(const struct path *path, int ms_flags)``. Return: 0, -EINVAL, -EPERM."""
    mnt = path.mnt
    recurse = ms_flags & MS_REC

    if not path_mounted(path):
        return -EINVAL

    type = flags_to_propagation_type(ms_flags)
    if not type:
        return -EINVAL

    namespace_lock()
    err = may_change_propagation(mnt)
    if not err and type == MS_SHARED:
        err = invent_group_ids(mnt, bool(recurse))
    if not err:
        for m in next_mnt(mnt) if recurse else (mnt,):
            change_mnt_propagation(m, type)
    namespace_unlock()
    return err


def may_change_propagation(m: Mount) -> int:
    if not is_mounted(m):
        return -EINVAL
    return 0 if may_mount() else -EPERM


# ------------------------------------------------------------------------- taking out

@dup("fs/namespace.c")
def may_umount_tree(m: Mount) -> bool:
    """``int may_umount_tree(struct vfsmount *m)``: nothing in the tree is in use."""
    busy = False

    # write lock needed for mnt_get_count
    lock_mount_hash()
    for p in next_mnt(m):
        if p.mnt_count > (2 if p is m else 1):
            busy = True
            break
    unlock_mount_hash()

    return not busy


def disconnect_mount(mnt: Mount, how: int) -> bool:
    if how & UMOUNT_SYNC or not mnt_has_parent(mnt) or not mnt.mnt_parent.mnt_flags & MNT_UMOUNT:
        return True
    return not how & UMOUNT_CONNECTED and not mnt.mnt_flags & MNT_LOCKED


@dup("fs/namespace.c", "umount_tree")
def umount_tree(mnt: Mount, how: int) -> None:
    """``void umount_tree(struct mount *mnt, enum umount_tree_flags how)``: out of the namespace; the last references go in namespace_unlock()"""
    if how & UMOUNT_PROPAGATE:
        propagate_mount_unlock(mnt)

    # Gather the mounts to umount
    tmp_list = next_mnt(mnt)
    for p in tmp_list:
        p.mnt_flags |= MNT_UMOUNT
        if p.mnt_ns is not None:
            p.mnt_ns.mounts.pop(p, None)

    # Hide the mounts from mnt_mounts
    for p in tmp_list:
        p.mnt_parent.mnt_mounts.pop(p, None)

    # Add propagated mounts to the tmp_list
    if how & UMOUNT_PROPAGATE:
        propagate_umount(tmp_list)

    bulk_make_private(tmp_list)

    for p in tmp_list:
        ns = p.mnt_ns
        if ns is not None:
            ns.nr_mounts -= 1
        p.mnt_ns = None
        if how & UMOUNT_SYNC:
            p.mnt_flags |= MNT_SYNC_UMOUNT

        disconnect = disconnect_mount(p, how)
        if mnt_has_parent(p):
            if not disconnect:
                # Don't forget about p
                p.mnt_parent.mnt_mounts[p] = None
            else:
                umount_mnt(p)
        if disconnect:
            g.unmounted.append(p)


def do_umount_root(sb: Any) -> int:
    ret = 0
    down_write(sb.s_umount)
    if not sb.s_flags & SB_RDONLY:
        fc = fs_context_for_reconfigure(sb.s_root, SB_RDONLY, SB_RDONLY)
        if IS_ERR(fc):
            ret = PTR_ERR(fc)
        else:
            ret = parse_monolithic_mount_data(fc, None)
            if not ret:
                ret = reconfigure_super(fc)
            put_fs_context(fc)
    up_write(sb.s_umount)
    return ret


def do_umount(mnt: Mount, flags: int) -> int:
    sb = mnt.mnt_sb
    if flags & MNT_EXPIRE:
        if mnt is current_fs().root.mnt or flags & (MNT_FORCE | MNT_DETACH):
            return -EINVAL
        if mnt.mnt_mounts or mnt.mnt_count != 2:
            return -EBUSY
        marked, mnt.mnt_expiry_mark = mnt.mnt_expiry_mark, 1
        if not marked:
            return -EAGAIN
    if flags & MNT_FORCE and sb.s_op.umount_begin is not None:
        sb.s_op.umount_begin(sb)
    if mnt is current_fs().root.mnt and not flags & MNT_DETACH:
        if not capable(CAP_SYS_ADMIN):
            return -EPERM
        return do_umount_root(sb)
    namespace_lock()
    retval = -EINVAL
    if check_mnt(mnt) and not mnt.mnt_flags & MNT_LOCKED and mnt_has_parent(mnt):
        if flags & MNT_DETACH:
            umount_tree(mnt, UMOUNT_PROPAGATE)
            retval = 0
        else:
            retval = -EBUSY
            if not propagate_mount_busy(mnt, 2):
                umount_tree(mnt, UMOUNT_PROPAGATE | UMOUNT_SYNC)
                retval = 0
    namespace_unlock()
    return retval


@dup("fs/namespace.c")
def detach_mounts(dentry: Dentry) -> None:
    """``void detach_mounts(struct dentry *dentry)``: lazily unmount what is mounted on a dentry that goes away."""
    if not dentry.d_flags & DCACHE_MOUNTED:
        return
    namespace_lock()
    mp = g.mountpoint_hashtable.get(dentry)
    if mp is not None:
        pin = PinnedMountpoint()
        mp.m_list[pin] = None
        pin.mp = mp
        __d_drop(dentry)
        for m in [m for m in reversed(mp.m_list) if isinstance(m, Mount)]:
            if m.mnt_flags & MNT_UMOUNT:
                umount_mnt(m)
                g.unmounted.append(m)
            else:
                umount_tree(m, UMOUNT_CONNECTED)
        unpin_mountpoint(pin)
    namespace_unlock()


def can_umount(path: Path, flags: int) -> int:
    if not may_mount():
        return -EPERM
    if not path_mounted(path) or not check_mnt(path.mnt) or path.mnt.mnt_flags & MNT_LOCKED:
        return -EINVAL
    return 0


@dup("fs/namespace.c")
def path_umount(path: Path, flags: int) -> int:
    """``int path_umount(const struct path *path, int flags)``: takes the path's references.

    Return: 0; -EINVAL if nothing is mounted there or it is locked; -EBUSY if it is used; -EPERM. The file system itself goes down with
    the mount's last reference: see mntput().
    """
    mnt = path.mnt
    ret = can_umount(path, flags)
    if not ret:
        ret = do_umount(mnt, flags)
    dput(path.dentry)
    mntput_no_expire(mnt)
    return ret


@dup("fs/namespace.c")
def is_path_reachable(mnt: Mount, dentry: Dentry, root: Path) -> bool:
    """``bool is_path_reachable(struct mount *mnt, struct dentry *dentry, const struct path *root)``"""
    while mnt is not root.mnt and mnt_has_parent(mnt):
        dentry = mnt.mnt_mountpoint
        mnt = mnt.mnt_parent
    return mnt is root.mnt and is_subdir(dentry, root.dentry)


@dup("fs/namespace.c")
def path_is_under(path1: Path, path2: Path) -> bool:
    """``bool path_is_under(const struct path *path1, const struct path *path2)``"""
    read_seqlock_excl(g.mount_lock)
    res = is_path_reachable(path1.mnt, path1.dentry, path2)
    read_sequnlock_excl(g.mount_lock)
    return res


__all__ = ["MNT_DETACH", "MNT_EXPIRE", "MNT_FORCE", "MS_BIND", "MS_DIRSYNC", "MS_I_VERSION", "MS_KERNMOUNT", "MS_LAZYTIME",
           "MS_MANDLOCK", "MS_MGC_MSK", "MS_MGC_VAL", "MS_MOVE", "MS_NOATIME", "MS_NODEV", "MS_NODIRATIME", "MS_NOEXEC",
           "MS_NOSUID", "MS_NOSYMFOLLOW", "MS_NOUSER", "MS_POSIXACL", "MS_PRIVATE", "MS_RDONLY", "MS_REC", "MS_RELATIME",
           "MS_REMOUNT", "MS_SHARED", "MS_SILENT", "MS_SLAVE", "MS_STRICTATIME", "MS_SYNCHRONOUS", "MS_UNBINDABLE",
           "UMOUNT_CONNECTED", "UMOUNT_NOFOLLOW", "UMOUNT_PROPAGATE", "UMOUNT_SYNC", "check_mnt", "detach_mounts",
           "do_change_type", "fc_mount", "fc_mount_longterm", "is_path_reachable", "kern_mount", "kern_unmount", "may_mount",
           "may_umount_tree", "path_is_under", "path_mount", "path_umount", "sysctl_mount_max", "vfs_create_mount",
           "vfs_kern_mount"]
