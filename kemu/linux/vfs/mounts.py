# SPDX-License-Identifier: GPL-2.0-only
"""Mounts: the structures, their references, where they are mounted, who writes (fs/mount.h, the first half of fs/namespace.c).

How mounts propagate: pnode.py.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON
from kemu.linux.dcache import DCACHE_MOUNTED, Dentry, d_set_mounted, d_unlinked, dget, dput
from kemu.linux.errno import EBUSY, ENOENT, ENOMEM, EROFS
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.honesty import custom, dup
from kemu.linux.mnt_idmapping import nop_mnt_idmap
from kemu.linux.rcupdate import rcu_read_lock, rcu_read_unlock
from kemu.linux.rwsem import down_write, rw_semaphore, up_write
from kemu.linux.sched import preempt_disable, preempt_enable
from kemu.linux.seqlock import (
    read_seqbegin,
    read_seqlock_excl,
    read_seqretry,
    read_sequnlock_excl,
    seqlock_t,
    write_seqlock,
    write_sequnlock,
)
from kemu.linux.slab import SLAB_PANIC, kfree, kmalloc_obj, kmem_cache_create, kmem_cache_free, kmem_cache_zalloc
from kemu.linux.statics import statics
from kemu.linux.super_types import SB_RDONLY, SuperBlock
from kemu.linux.task_work import task_work_add
from kemu.linux.types import list_head
from kemu.linux.vfs.basic import Path
from kemu.linux.vfs.constants import FMODE_WRITER
from kemu.linux.vfs.sb_write import sb_end_write, sb_start_write
from kemu.linux.vfs.types import File
from kemu.machine.current import this
from kemu.machine.sched import PF_KTHREAD
from kemu.machine.splat import KernelBug, caller_function

MNT_NOSUID, MNT_NODEV, MNT_NOEXEC, MNT_NOATIME, MNT_NODIRATIME, MNT_RELATIME, MNT_READONLY, MNT_NOSYMFOLLOW = (1 << i for i in range(8))
MNT_SHRINKABLE, MNT_INTERNAL, MNT_LOCKED, MNT_DOOMED, MNT_SYNC_UMOUNT, MNT_UMOUNT = 0x100, 0x4000, 0x800000, 0x1000000, 0x2000000, 0x8000000
MNT_ATIME_MASK = MNT_NOATIME | MNT_NODIRATIME | MNT_RELATIME
MNT_USER_SETTABLE_MASK = MNT_NOSUID | MNT_NODEV | MNT_NOEXEC | MNT_ATIME_MASK | MNT_READONLY | MNT_NOSYMFOLLOW
MNT_INTERNAL_FLAGS = MNT_INTERNAL | MNT_DOOMED | MNT_SYNC_UMOUNT | MNT_LOCKED | MNT_UMOUNT
T_SHARED, T_UNBINDABLE, T_MARKED, T_UMOUNT_CANDIDATE = 1, 2, 4, 8
T_SHARED_MASK = T_UNBINDABLE


class MntNamespace:
    """``struct mnt_namespace``: ``mounts`` in the order of their ids."""

    __slots__ = ("mounts", "nr_mounts", "pending_mounts", "root", "user_ns", "is_anon")

    def __init__(self) -> None:
        self.root: Mount | None = None
        self.mounts: dict[Mount, None] = {}
        self.nr_mounts = 0
        self.pending_mounts = 0
        self.user_ns: Any = None
        self.is_anon = False

    def __repr__(self) -> str:
        return f"<mnt_namespace of {self.nr_mounts} mounts>"


MNT_NS_INTERNAL = MntNamespace()        # only its identity counts


class Mountpoint:
    """``struct mountpoint``: a dentry that something is mounted on; ``m_list`` are the mounts and those who pin it."""

    __slots__ = ("m_dentry", "m_list")

    def __init__(self) -> None:
        self.m_dentry: Dentry = None            # type: ignore[assignment]
        self.m_list: dict[Any, None] = {}


class PinnedMountpoint:
    """``struct pinned_mountpoint``: where something is about to be mounted; ``parent`` may be an error."""

    __slots__ = ("mp", "parent")

    def __init__(self) -> None:
        self.mp: Mountpoint | None = None
        self.parent: Any = None


@dup("include/linux/mount.h")
class VfsMount:
    """``struct vfsmount``: what file systems see of a mount."""

    __slots__ = ("mnt_flags", "mnt_idmap", "mnt_root", "mnt_sb")

    def __init__(self) -> None:
        self.mnt_root: Dentry = None            # type: ignore[assignment]
        self.mnt_sb: SuperBlock = None          # type: ignore[assignment]
        self.mnt_flags = 0
        self.mnt_idmap = nop_mnt_idmap


@custom("fs/mount.h", "struct mount", "derives from VfsMount; counts are ints, lists of children are insertion-ordered dicts")
class Mount(VfsMount):
    """``struct mount``"""

    __slots__ = ("mnt_count", "mnt_devname", "mnt_expiry_mark", "mnt_group_id", "mnt_id", "mnt_id_unique", "mnt_master", "mnt_mountpoint", "mnt_mounts",
                 "mnt_mp", "mnt_ns", "mnt_parent", "mnt_share", "mnt_slave_next", "mnt_slave_pprev", "mnt_stuck_children", "mnt_t_flags", "mnt_writers",
                 "overmount", "slave_first", "write_hold", "__weakref__")

    def __init__(self) -> None:
        super().__init__()
        self.mnt_parent: Mount = self
        self.mnt_mountpoint: Dentry = None      # type: ignore[assignment]
        self.mnt_count = 1
        self.mnt_writers = 0
        self.mnt_mounts: dict[Mount, None] = {}
        self.mnt_devname = "none"
        self.mnt_ns: MntNamespace | None = None
        self.mnt_mp: Mountpoint | None = None
        self.mnt_id = 0
        self.mnt_expiry_mark = 0
        self.mnt_id_unique = 0
        self.mnt_stuck_children: list[Mount] = []
        self.overmount: Mount | None = None
        self.write_hold = False
        self.mnt_t_flags = 0
        self.mnt_group_id = 0                   # peers have the same
        self.mnt_share = list_head(self)
        self.mnt_master: Mount | None = None
        # mnt_slave_list and mnt_slave: an hlist; pprev is whose link points here (a master's slave_first or a slave's mnt_slave_next)
        self.slave_first: Mount | None = None
        self.mnt_slave_next: Mount | None = None
        self.mnt_slave_pprev: tuple[Mount, str] | None = None

    def __repr__(self) -> str:
        return f"<mount {self.mnt_id} of {self.mnt_devname} count:{self.mnt_count}>"


g = statics(mnt_cache=None, mount_hashtable={}, mountpoint_hashtable={}, mnt_id_ida=[0], namespace_sem=rw_semaphore, mount_lock=lambda: seqlock_t("mount_lock"), unmounted=[],
            ex_mountpoints=[], init_mnt_ns=None, delayed_mntput_list=[], mnt_id_ctr=0)


def lock_mount_hash() -> None:
    """``void lock_mount_hash(void)``"""
    write_seqlock(g.mount_lock)


def unlock_mount_hash() -> None:
    """``void unlock_mount_hash(void)``"""
    write_sequnlock(g.mount_lock)


@dup("fs/mount.h")
def real_mount(mnt: VfsMount) -> Mount:
    """``struct mount *real_mount(struct vfsmount *mnt)``"""
    return mnt                                  # type: ignore[return-value]


@dup("fs/mount.h")
def mnt_has_parent(mnt: Mount) -> bool:
    """``int mnt_has_parent(const struct mount *mnt)``"""
    return mnt is not mnt.mnt_parent


@dup("fs/mount.h")
def is_mounted(mnt: Mount) -> bool:
    """``int is_mounted(struct vfsmount *mnt)``: neither detached nor internal."""
    return mnt.mnt_ns is not None and mnt.mnt_ns is not MNT_NS_INTERNAL


def alloc_vfsmnt(name: str | None) -> Mount | None:
    if g.mnt_cache is None:
        g.mnt_cache = kmem_cache_create("mnt_cache", Mount, 0, SLAB_PANIC)
    mnt: Mount | None = kmem_cache_zalloc(g.mnt_cache, GFP_KERNEL)
    if mnt is None:
        return None
    used = g.mnt_id_ida                         # ids in use; the lowest free one is taken
    i = next((i for i, u in enumerate(used) if i and not u), len(used))
    if i == len(used):
        used.append(1)
    else:
        used[i] = 1
    mnt.mnt_id = i
    g.mnt_id_ctr += 1
    mnt.mnt_id_unique = g.mnt_id_ctr
    mnt.mnt_devname = "none" if name is None else name
    if this.watch is not None:
        this.watch.ref("mount", mnt, 1)
    return mnt


# ------------------------------------------------------------------------- references

@dup("fs/namespace.c")
def mntget(mnt: Any) -> Any:
    """``struct vfsmount *mntget(struct vfsmount *mnt)``: one more reference; NULL is fine."""
    if mnt is not None:
        mnt.mnt_count += 1
        if this.watch is not None:
            this.watch.ref("mount", mnt, 1)
    return mnt


def cleanup_mnt(mnt: Mount) -> None:
    from kemu.linux.vfs.super import deactivate_super

    WARN_ON(mnt.mnt_writers)
    for m in mnt.mnt_stuck_children:
        mntput(m)
    mnt.mnt_stuck_children = []
    dput(mnt.mnt_root)
    deactivate_super(mnt.mnt_sb)
    used = g.mnt_id_ida
    used[mnt.mnt_id] = 0
    while len(used) > 1 and not used[-1]:
        used.pop()
    kmem_cache_free(g.mnt_cache, mnt)


def delayed_mntput() -> None:
    """The work of delayed_mntput_work: mounts whose last reference a kernel thread has dropped."""
    lst, g.delayed_mntput_list = g.delayed_mntput_list, []
    for m in reversed(lst):         # a llist: the newest first
        cleanup_mnt(m)


@custom("fs/namespace.c", "mntput_no_expire", "mnt_count is one int: the last put takes neither RCU nor mount_lock")
def mntput_no_expire(mnt: Mount) -> None:
    mnt.mnt_count -= 1
    if this.watch is not None:
        this.watch.ref("mount", mnt, -1)
    if mnt.mnt_count:
        if mnt.mnt_count < 0:
            func = caller_function()[0]
            raise KernelBug(f"VFS: BUG: mntput() of a mount without references in {func}", [repr(mnt)], function=func)
        return
    if mnt.mnt_flags & MNT_DOOMED:
        return
    mnt.mnt_flags |= MNT_DOOMED
    mnt.mnt_sb.s_mounts.pop(mnt, None)
    shrink: list[Dentry] = []
    for p in list(mnt.mnt_mounts):
        __umount_mnt(p, shrink)
        mnt.mnt_stuck_children.insert(0, p)
    for d in shrink:
        dput(d)
    if not mnt.mnt_flags & MNT_INTERNAL:
        task = this.task
        if not task.flags & PF_KTHREAD and not task_work_add(task, cleanup_mnt, mnt):
            return
        g.delayed_mntput_list.append(mnt)
        if len(g.delayed_mntput_list) == 1:
            from kemu.linux.vfs.file_table import schedule_delayed

            schedule_delayed("delayed_mntput", delayed_mntput)
        return
    cleanup_mnt(mnt)


@custom("fs/namespace.c", "mntput", "mnt_count is one int: the last put takes neither RCU nor mount_lock")
def mntput(mnt: Any) -> None:
    """``void mntput(struct vfsmount *mnt)``: drop a reference; NULL is fine.

    What the last one takes down is done at once for internal mounts, on the task's return to user space, or, for a kernel thread, by a
    delayed work.
    """
    if mnt is not None:
        if mnt.mnt_expiry_mark:
            mnt.mnt_expiry_mark = 0
        mntput_no_expire(mnt)


@dup("fs/namespace.c")
def mnt_make_shortterm(mnt: Any) -> None:
    """``void mnt_make_shortterm(struct vfsmount *mnt)``"""
    if mnt is not None:
        mnt.mnt_ns = None


# ------------------------------------------------------------------------- who writes

@dup("fs/namespace.c")
def __mnt_is_readonly(mnt: Any) -> bool:
    """``bool __mnt_is_readonly(const struct vfsmount *mnt)``"""
    return bool(mnt.mnt_flags & MNT_READONLY or mnt.mnt_sb.s_flags & SB_RDONLY)


@dup("fs/namespace.c")
def mnt_get_write_access(m: Any) -> int:
    """``int mnt_get_write_access(struct vfsmount *m)``. Return: 0, or -EROFS."""
    preempt_disable()
    m.mnt_writers += 1
    while m.write_hold:                         # __test_write_hold()
        this.sched.relax("mnt_get_write_access")
    ret = 0
    if m.mnt_sb.s_readonly_remount or m.mnt_flags & MNT_READONLY or m.mnt_sb.s_flags & SB_RDONLY:       # mnt_is_readonly()
        m.mnt_writers -= 1
        ret = -EROFS
    preempt_enable()
    return ret


@dup("fs/namespace.c")
def mnt_want_write(m: Any) -> int:
    """``int mnt_want_write(struct vfsmount *m)``. Context: may sleep. Return: 0, or -EROFS."""
    sb_start_write(m.mnt_sb)
    ret = mnt_get_write_access(m)
    if ret:
        sb_end_write(m.mnt_sb)
    return ret


@dup("fs/namespace.c")
def mnt_put_write_access(mnt: Any) -> None:
    """``void mnt_put_write_access(struct vfsmount *mnt)``"""
    preempt_disable()
    mnt.mnt_writers -= 1
    preempt_enable()


@dup("fs/namespace.c")
def mnt_drop_write(mnt: Any) -> None:
    """``void mnt_drop_write(struct vfsmount *mnt)``"""
    mnt_put_write_access(mnt)
    sb_end_write(mnt.mnt_sb)


@dup("fs/namespace.c")
def mnt_get_write_access_file(file: File) -> int:
    """``int mnt_get_write_access_file(struct file *file)``. Return: 0, or -EROFS."""
    if file.f_mode & FMODE_WRITER:
        return -EROFS if __mnt_is_readonly(file.f_path.mnt) else 0
    return mnt_get_write_access(file.f_path.mnt)


@dup("fs/namespace.c")
def mnt_want_write_file(file: File) -> int:
    """``int mnt_want_write_file(struct file *file)``. Context: may sleep. Return: 0, or -EROFS."""
    sb_start_write(file.f_inode.i_sb)
    ret = mnt_get_write_access_file(file)
    if ret:
        sb_end_write(file.f_inode.i_sb)
    return ret


@dup("fs/namespace.c")
def mnt_put_write_access_file(file: File) -> None:
    """``void mnt_put_write_access_file(struct file *file)``"""
    if not file.f_mode & FMODE_WRITER:
        mnt_put_write_access(file.f_path.mnt)


@dup("fs/namespace.c")
def mnt_drop_write_file(file: File) -> None:
    """``void mnt_drop_write_file(struct file *file)``"""
    mnt_put_write_access_file(file)
    sb_end_write(file.f_inode.i_sb)


def mnt_hold_writers(mnt: Mount) -> int:
    mnt.write_hold = True                       # set_write_hold()
    if mnt.mnt_writers > 0:
        return -EBUSY
    return 0


def mnt_unhold_writers(mnt: Mount) -> None:
    mnt.write_hold = False                      # clear_write_hold()


@dup("fs/namespace.c")
def sb_prepare_remount_readonly(sb: SuperBlock) -> int:
    """``int sb_prepare_remount_readonly(struct super_block *sb)``. Return: 0, or -EBUSY while something is written or unlinked but open."""
    err = 0

    # Racy optimization.  Recheck the counter under WRITE_HOLD
    if sb.s_remove_count:
        return -EBUSY

    read_seqlock_excl(g.mount_lock)
    for m in sb.s_mounts:
        if not m.mnt_flags & MNT_READONLY:
            err = mnt_hold_writers(m)
            if err:
                break
    if not err and sb.s_remove_count:
        err = -EBUSY
    if not err:
        sb.s_readonly_remount = 1               # sb_start_ro_state_change()
    for m in sb.s_mounts:
        if m.write_hold:
            mnt_unhold_writers(m)
    read_sequnlock_excl(g.mount_lock)
    return err


# ------------------------------------------------------------------------- where

@dup("fs/namespace.c")
def __lookup_mnt(mnt: Any, dentry: Dentry) -> Mount | None:
    """``struct mount *__lookup_mnt(struct vfsmount *mnt, struct dentry *dentry)``: what is mounted there, no reference taken."""
    return g.mount_hashtable.get((mnt, dentry))         # type: ignore[no-any-return]


@dup("fs/namespace.c")
def lookup_mnt(path: Path) -> Mount | None:
    """``struct vfsmount *lookup_mnt(const struct path *path)``: what is mounted there, referenced."""
    rcu_read_lock()
    while True:
        seq = read_seqbegin(g.mount_lock)
        m = __lookup_mnt(path.mnt, path.dentry)
        if legitimize_mnt(m, seq):
            break
    rcu_read_unlock()
    return m


def __legitimize_mnt(bastard: Mount | None, seq: int) -> int:
    if read_seqretry(g.mount_lock, seq):
        return 1
    if bastard is None:
        return 0
    mntget(bastard)                             # mnt_inc_count()
    if not read_seqretry(g.mount_lock, seq):
        return 0
    lock_mount_hash()
    if bastard.mnt_flags & (MNT_SYNC_UMOUNT | MNT_DOOMED):
        bastard.mnt_count -= 1
        if this.watch is not None:
            this.watch.ref("mount", bastard, -1)
        unlock_mount_hash()
        return 1
    unlock_mount_hash()
    return -1                                   # the caller will mntput()


def legitimize_mnt(bastard: Mount | None, seq: int) -> bool:
    res = __legitimize_mnt(bastard, seq)
    if not res:
        return True
    if res < 0:
        rcu_read_unlock()
        mntput(bastard)
        rcu_read_lock()
    return False


def get_mountpoint(dentry: Dentry, m: PinnedMountpoint) -> int:
    """Make a dentry a mountpoint, or pin it as one."""
    mp = g.mountpoint_hashtable.get(dentry)
    if mp is not None and d_unlinked(dentry):
        return -ENOENT
    if mp is None:
        mp = kmalloc_obj(Mountpoint)
        if mp is None:
            return -ENOMEM
        ret = d_set_mounted(dentry)
        if ret:
            kfree(mp)
            return ret
        mp.m_dentry = dget(dentry)
        g.mountpoint_hashtable[dentry] = mp
    mp.m_list[m] = None
    m.mp = mp
    return 0


@custom("fs/namespace.c", "maybe_free_mountpoint", "the dentry's flag is cleared without d_lock")
def maybe_free_mountpoint(mp: Mountpoint, lst: list[Dentry]) -> None:
    if not mp.m_list:
        mp.m_dentry.d_flags &= ~DCACHE_MOUNTED
        lst.append(mp.m_dentry)
        del g.mountpoint_hashtable[mp.m_dentry]
        kfree(mp)


def unpin_mountpoint(m: PinnedMountpoint) -> None:
    if m.mp is not None:
        del m.mp.m_list[m]
        maybe_free_mountpoint(m.mp, g.ex_mountpoints)
        m.mp = None


def __umount_mnt(mnt: Mount, shrink_list: list[Dentry]) -> None:
    parent = mnt.mnt_parent
    if parent.overmount is mnt:
        parent.overmount = None
    if g.mount_hashtable.get((parent, mnt.mnt_mountpoint)) is mnt:
        del g.mount_hashtable[parent, mnt.mnt_mountpoint]
    parent.mnt_mounts.pop(mnt, None)
    mnt.mnt_parent = mnt
    mnt.mnt_mountpoint = mnt.mnt_root
    mp = mnt.mnt_mp
    mnt.mnt_mp = None
    assert mp is not None
    del mp.m_list[mnt]
    maybe_free_mountpoint(mp, shrink_list)


def umount_mnt(mnt: Mount) -> None:
    __umount_mnt(mnt, g.ex_mountpoints)


def mnt_set_mountpoint(mnt: Mount, mp: Mountpoint, child_mnt: Mount) -> None:
    child_mnt.mnt_mountpoint = mp.m_dentry
    child_mnt.mnt_parent = mnt
    child_mnt.mnt_mp = mp
    mp.m_list[child_mnt] = None


def make_visible(mnt: Mount) -> None:
    parent = mnt.mnt_parent
    if mnt.mnt_mountpoint is parent.mnt_root:
        parent.overmount = mnt
    g.mount_hashtable[parent, mnt.mnt_mountpoint] = mnt
    parent.mnt_mounts[mnt] = None


def attach_mnt(mnt: Mount, parent: Mount, mp: Mountpoint) -> None:
    mnt_set_mountpoint(parent, mp, mnt)
    make_visible(mnt)


def mnt_change_mountpoint(parent: Mount, mp: Mountpoint, mnt: Mount) -> None:
    old_mp, old_parent = mnt.mnt_mp, mnt.mnt_parent
    if old_parent.overmount is mnt:
        old_parent.overmount = None
    old_parent.mnt_mounts.pop(mnt, None)
    if g.mount_hashtable.get((old_parent, mnt.mnt_mountpoint)) is mnt:
        del g.mount_hashtable[old_parent, mnt.mnt_mountpoint]
    assert old_mp is not None
    del old_mp.m_list[mnt]
    attach_mnt(mnt, parent, mp)
    maybe_free_mountpoint(old_mp, g.ex_mountpoints)


def topmost_overmount(m: Mount) -> Mount:
    while m.overmount is not None:
        m = m.overmount
    return m


def next_mnt(root: Mount) -> list[Mount]:
    """The tree at ``root`` in the order of next_mnt(): a mount before its children, children oldest first."""
    out: list[Mount] = []
    stack = [root]
    while stack:
        m = stack.pop()
        out.append(m)
        stack.extend(reversed(m.mnt_mounts))
    return out


def namespace_lock() -> None:
    down_write(g.namespace_sem)


def namespace_unlock() -> None:
    unmounted, g.unmounted = g.unmounted, []
    dentries, g.ex_mountpoints = g.ex_mountpoints, []
    up_write(g.namespace_sem)
    for d in dentries:
        dput(d)
    for m in reversed(unmounted):
        mntput(m)


__all__ = ["MNT_ATIME_MASK", "MNT_DOOMED", "MNT_INTERNAL", "MNT_INTERNAL_FLAGS", "MNT_LOCKED", "MNT_NOATIME", "MNT_NODEV",
           "MNT_NODIRATIME", "MNT_NOEXEC", "MNT_NOSUID", "MNT_NOSYMFOLLOW", "MNT_NS_INTERNAL", "MNT_READONLY", "MNT_RELATIME",
           "MNT_SHRINKABLE", "MNT_SYNC_UMOUNT", "MNT_UMOUNT", "MNT_USER_SETTABLE_MASK", "Mount", "VfsMount", "__lookup_mnt",
           "__mnt_is_readonly", "is_mounted", "lookup_mnt", "mnt_drop_write", "mnt_drop_write_file", "mnt_get_write_access",
           "mnt_has_parent", "mnt_make_shortterm", "mnt_put_write_access", "mnt_want_write", "mnt_want_write_file", "mntget",
           "mntput", "real_mount", "sb_prepare_remount_readonly"]
