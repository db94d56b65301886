# SPDX-License-Identifier: GPL-2.0-only
"""Mounts and the mount tree: making, attaching, moving, umounting (fs/namespace.c).

How mounts propagate: pnode.py.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.atomic import xchg
from kemu.linux.bug import WARN_ON
from kemu.linux.err import ERR_CAST, ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EAGAIN, EBUSY, EINVAL, ELOOP, ENODEV, ENOENT, ENOMEM, ENOSPC, ENOTDIR, EPERM, EROFS
from kemu.linux.fcntl import AT_FDCWD
from kemu.linux.fs.dcache import __d_drop, d_set_mounted, dput, is_subdir
from kemu.linux.fs.filesystems import get_fs_type, put_filesystem
from kemu.linux.fs.fs_context import fs_context_for_mount, fs_context_for_reconfigure, parse_monolithic_mount_data, put_fs_context
from kemu.linux.fs.internal import path_mounted
from kemu.linux.fs.mount import Mount, is_mounted, mnt_has_parent, mnt_notify_add, topmost_overmount
from kemu.linux.fs.nullfs import nullfs_fs_type
from kemu.linux.fs.super import deactivate_super, kill_anon_super, mount_capable, reconfigure_super, vfs_get_tree
from kemu.linux.include.cred import CAP_SYS_ADMIN, capable, current_user_ns, init_user_ns, ns_capable
from kemu.linux.include.dcache import DCACHE_MOUNTED, DCACHE_NORCU, Dentry, cant_mount, d_is_dir, d_is_symlink, d_unlinked, dget
from kemu.linux.include.fs.calls import inode_lock, inode_unlock
from kemu.linux.include.fs.constants import FMODE_WRITER, FS_HAS_SUBTYPE, MNT_DETACH, MNT_EXPIRE, MNT_FORCE
from kemu.linux.include.fs.types import File, FileSystemType
from kemu.linux.include.fs_context import FsContext, vfs_parse_fs_string
from kemu.linux.include.fs_struct import get_fs_root
from kemu.linux.include.gfp import GFP_KERNEL
from kemu.linux.include.kobject import kobject
from kemu.linux.include.mount import (
    MNT_ATIME_MASK,
    MNT_DOOMED,
    MNT_INTERNAL,
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
    MS_BIND,
    MS_MGC_MSK,
    MS_MGC_VAL,
    MS_MOVE,
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_NOSYMFOLLOW,
    MS_NOUSER,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_RELATIME,
    MS_REMOUNT,
    MS_SHARED,
    MS_SILENT,
    MS_SLAVE,
    MS_STRICTATIME,
    MS_UNBINDABLE,
    VfsMount,
)
from kemu.linux.include.path import Path
from kemu.linux.include.rcupdate import rcu_read_lock, rcu_read_unlock
from kemu.linux.include.rwsem import rw_semaphore
from kemu.linux.include.sched import current_fs, preempt_disable, preempt_enable
from kemu.linux.include.slab import SLAB_PANIC, KmemCache, kmalloc_obj, kmem_cache_create, kmem_cache_zalloc
from kemu.linux.kernel.locking.rwsem import down_read, down_write, up_read, up_write
from kemu.linux.kernel.rcu.tree import synchronize_rcu
from kemu.linux.kernel.task_work import task_work_add
from kemu.linux.list import list_add
from kemu.linux.math import is_power_of_2
from kemu.linux.mm.slub import kfree, kmem_cache_free
from kemu.linux.port.goto import Labels
from kemu.linux.port.honesty import custom, dup, names, port_of
from kemu.linux.printk import pr_info, pr_warn_once
from kemu.linux.seqlock import (
    read_seqbegin,
    read_seqlock_excl,
    read_seqretry,
    read_sequnlock_excl,
    seqlock_t,
    write_seqlock,
    write_sequnlock,
)
from kemu.linux.super_types import (
    SB_DIRSYNC,
    SB_I_VERSION,
    SB_KERNMOUNT,
    SB_LAZYTIME,
    SB_MANDLOCK,
    SB_NOUSER,
    SB_POSIXACL,
    SB_RDONLY,
    SB_SILENT,
    SB_SYNCHRONOUS,
    SuperBlock,
    sb_end_write,
    sb_start_write,
)
from kemu.machine.current import NULL, arch, this
from kemu.machine.sched import PF_KTHREAD
from kemu.machine.splat import KernelBug, KernelPanic, caller_function
from kemu.machine.statics import per_machine, statics

C = "fs/namespace.c"

sysctl_mount_max = 100_000

T_SHARED, T_UNBINDABLE, T_MARKED, T_UMOUNT_CANDIDATE = 1, 2, 4, 8
T_SHARED_MASK = T_UNBINDABLE


class mnt_namespace:
    """``struct mnt_namespace``: ``mounts`` in the order of their ids."""

    __slots__ = ("mounts", "nr_mounts", "pending_mounts", "root", "user_ns", "is_anon")

    def __init__(self) -> None:
        self.root: Mount = NULL
        self.mounts: dict[Mount, None] = {}
        self.nr_mounts = 0
        self.pending_mounts = 0
        self.user_ns: Any = None
        self.is_anon = False

    def __repr__(self) -> str:
        return f"<mnt_namespace of {self.nr_mounts} mounts>"


MNT_NS_INTERNAL = mnt_namespace()        # only its identity counts

@statics
class g:
    mnt_cache: KmemCache = NULL
    mount_hashtable: dict[tuple[Mount, Dentry], Mount] = {}
    mountpoint_hashtable: dict[Dentry, mountpoint] = {}
    mnt_id_ida = [0]                                # ids in use
    namespace_sem: rw_semaphore
    mount_lock = per_machine(lambda: seqlock_t("mount_lock"))
    unmounted: list[Mount] = []
    fs_kobj: kobject
    ex_mountpoints: list[Dentry] = []
    init_mnt_ns: mnt_namespace = NULL
    delayed_mntput_list: list[Mount] = []
    mnt_id_ctr = 0

UMOUNT_SYNC, UMOUNT_PROPAGATE, UMOUNT_CONNECTED = 1, 2, 4

@custom(C, "fs_kobj", "the machine's own: nothing makes it, it is there")
def fs_kobj() -> kobject:
    """``struct kobject *fs_kobj``: /sys/fs."""
    g.fs_kobj.name = "fs"
    return g.fs_kobj


@statics
class group_ids:
    mnt_group_ida: set[int] = set()


@dup(C)
def __mnt_is_readonly(mnt: Any) -> bool:
    """``bool __mnt_is_readonly(const struct vfsmount *mnt)``"""
    return bool(mnt.mnt_flags & MNT_READONLY or mnt.mnt_sb.s_flags & SB_RDONLY)


@dup(C)
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


@dup(C)
def mnt_want_write(m: Any) -> int:
    """``int mnt_want_write(struct vfsmount *m)``. Context: may sleep. Return: 0, or -EROFS."""
    sb_start_write(m.mnt_sb)
    ret = mnt_get_write_access(m)
    if ret:
        sb_end_write(m.mnt_sb)
    return ret


@dup(C)
def mnt_get_write_access_file(file: File) -> int:
    """``int mnt_get_write_access_file(struct file *file)``. Return: 0, or -EROFS."""
    if file.f_mode & FMODE_WRITER:
        return -EROFS if __mnt_is_readonly(file.f_path.mnt) else 0
    return mnt_get_write_access(file.f_path.mnt)


@dup(C)
def mnt_want_write_file(file: File) -> int:
    """``int mnt_want_write_file(struct file *file)``. Context: may sleep. Return: 0, or -EROFS."""
    sb_start_write(file.f_inode.i_sb)
    ret = mnt_get_write_access_file(file)
    if ret:
        sb_end_write(file.f_inode.i_sb)
    return ret


@dup(C)
def mnt_put_write_access(mnt: Any) -> None:
    """``void mnt_put_write_access(struct vfsmount *mnt)``"""
    preempt_disable()
    mnt.mnt_writers -= 1
    preempt_enable()


@dup(C)
def mnt_drop_write(mnt: Any) -> None:
    """``void mnt_drop_write(struct vfsmount *mnt)``"""
    mnt_put_write_access(mnt)
    sb_end_write(mnt.mnt_sb)


@dup(C)
def mnt_put_write_access_file(file: File) -> None:
    """``void mnt_put_write_access_file(struct file *file)``"""
    if not file.f_mode & FMODE_WRITER:
        mnt_put_write_access(file.f_path.mnt)


@dup(C)
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


@dup(C)
def sb_prepare_remount_readonly(sb: SuperBlock) -> int:
    """``int sb_prepare_remount_readonly(struct super_block *sb)``.

    Return: 0, or -EBUSY while something is written or unlinked but open.
    """
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


@dup(C)
def __lookup_mnt(mnt: Any, dentry: Dentry) -> Mount | None:
    """``struct mount *__lookup_mnt(struct vfsmount *mnt, struct dentry *dentry)``: what is mounted there, no reference taken."""
    return g.mount_hashtable.get((mnt, dentry))         # type: ignore[no-any-return]


@dup(C)
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


def get_mountpoint(dentry: Dentry, m: pinned_mountpoint) -> int:
    """Make a dentry a mountpoint, or pin it as one."""
    mp = g.mountpoint_hashtable.get(dentry)
    if mp is not None and d_unlinked(dentry):
        return -ENOENT
    if mp is None:
        mp = kmalloc_obj(mountpoint)
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


@custom(C, "maybe_free_mountpoint", "the dentry's flag is cleared without d_lock")
def maybe_free_mountpoint(mp: mountpoint, lst: list[Dentry]) -> None:
    if not mp.m_list:
        mp.m_dentry.d_flags &= ~DCACHE_MOUNTED
        lst.append(mp.m_dentry)
        del g.mountpoint_hashtable[mp.m_dentry]
        kfree(mp)


def current_mnt_ns() -> Any:
    """The mount namespace of the current task: there is one."""
    current_fs()
    return g.init_mnt_ns


@dup(C)
def check_mnt(mnt: Mount) -> bool:
    """``int check_mnt(const struct mount *mnt)``: in the caller's namespace."""
    return mnt.mnt_ns is not None and mnt.mnt_ns is current_mnt_ns()


def setup_mnt(m: Mount, root: Dentry) -> None:
    s = root.d_sb
    s.s_active += 1
    m.mnt_sb = s
    m.mnt_root = root
    dget(root)
    m.mnt_mountpoint = root
    m.mnt_parent = m
    s.s_mounts[m] = None


@custom(C, "vfs_create_mount",
        "ids are a list; the superblock's list of mounts is a dict: neither xa_lock nor mount_lock is taken")
def vfs_create_mount(fc: FsContext) -> Mount:
    """``struct vfsmount *vfs_create_mount(struct fs_context *fc)``: not attached to anything.

    Return: ERR_PTR of -EINVAL, -ENOMEM.
    """
    if fc.root is None:
        return ERR_PTR(-EINVAL)
    mnt = alloc_vfsmnt(fc.source)
    if mnt is None:
        return ERR_PTR(-ENOMEM)
    if fc.sb_flags & SB_KERNMOUNT:
        mnt.mnt_flags = MNT_INTERNAL
    setup_mnt(mnt, fc.root)
    return mnt


@dup(C)
def fc_mount(fc: FsContext) -> Mount:
    """``struct vfsmount *fc_mount(struct fs_context *fc)``: vfs_get_tree() and vfs_create_mount()."""
    err = vfs_get_tree(fc)
    if err:
        return ERR_PTR(err)
    assert fc.root is not None
    up_write(fc.root.d_sb.s_umount)
    return vfs_create_mount(fc)


@dup(C)
def fc_mount_longterm(fc: FsContext) -> Mount:
    """``struct vfsmount *fc_mount_longterm(struct fs_context *fc)``: to be ended by kern_unmount()."""
    mnt = fc_mount(fc)
    if not IS_ERR(mnt):
        mnt.mnt_ns = MNT_NS_INTERNAL
    return mnt


@dup(C)
def vfs_kern_mount(type: FileSystemType | None, flags: int, name: str | None, data: str | int | None) -> Mount:
    """``struct vfsmount *vfs_kern_mount(struct file_system_type *type, int flags, const char *name, void *data)``.

    Return: or ERR_PTR().
    """
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


@custom(C, "clone_mnt", "ids are a list; the superblock's list of mounts is a dict: neither xa_lock nor mount_lock is taken")
def clone_mnt(old: Mount, root: Dentry, flag: int) -> Any:
    """``struct mount *clone_mnt(struct mount *old, struct dentry *root, int flag)``: CL_*. Return: or ERR_PTR(-ENOMEM)."""
    from kemu.linux.fs.pnode import CL_MAKE_SHARED, CL_PRIVATE, CL_SLAVE, IS_MNT_SLAVE, peers, slave_add_behind  # noqa: PLC0415  (circle: fs/pnode.c needs this)

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
        from kemu.linux.fs.pnode import set_mnt_shared  # noqa: PLC0415  (circle: fs/pnode.c needs this)

        set_mnt_shared(mnt)

    setup_mnt(mnt, root)

    if flag & CL_PRIVATE:               # we are done with it
        return mnt

    if peers(mnt, old):
        list_add(mnt.mnt_share, old.mnt_share)

    if flag & CL_SLAVE and old.mnt_group_id:
        from kemu.linux.fs.pnode import slave_add_head  # noqa: PLC0415  (circle: fs/pnode.c needs this)

        slave_add_head(mnt, old)
        mnt.mnt_master = old
    elif IS_MNT_SLAVE(old):
        slave_add_behind(mnt, old)
        mnt.mnt_master = old.mnt_master
    return mnt


def cleanup_mnt(mnt: Mount) -> None:
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


@custom(C, "mntput_no_expire", "mnt_count is one int: the last put takes neither RCU nor mount_lock")
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
            from kemu.linux.fs.file_table import schedule_delayed  # noqa: PLC0415  (circle: fs/file_table.c needs this)

            schedule_delayed("delayed_mntput", delayed_mntput)
        return
    cleanup_mnt(mnt)


@custom(C, "mntput", "mnt_count is one int: the last put takes neither RCU nor mount_lock")
def mntput(mnt: Any) -> None:
    """``void mntput(struct vfsmount *mnt)``: drop a reference; NULL is fine.

    What the last one takes down is done at once for internal mounts, on the task's return to user space, or, for a kernel thread,
    by a delayed work.
    """
    if mnt is not None:
        if mnt.mnt_expiry_mark:
            mnt.mnt_expiry_mark = 0
        mntput_no_expire(mnt)


class mountpoint:
    """``struct mountpoint``: a dentry that something is mounted on; ``m_list`` are the mounts and those who pin it."""

    __slots__ = ("m_dentry", "m_list")

    def __init__(self) -> None:
        self.m_dentry: Dentry = None            # type: ignore[assignment]
        self.m_list: dict[Any, None] = {}


class pinned_mountpoint:
    """``struct pinned_mountpoint``: where something is about to be mounted; ``parent`` may be an error."""

    __slots__ = ("mp", "parent")

    def __init__(self) -> None:
        self.mp: mountpoint = NULL
        self.parent: Any = None


def lock_mount_hash() -> None:
    """``void lock_mount_hash(void)``"""
    write_seqlock(g.mount_lock)


def unlock_mount_hash() -> None:
    """``void unlock_mount_hash(void)``"""
    write_sequnlock(g.mount_lock)


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


@dup(C)
def mntget(mnt: Any) -> Any:
    """``struct vfsmount *mntget(struct vfsmount *mnt)``: one more reference; NULL is fine."""
    if mnt is not None:
        mnt.mnt_count += 1
        if this.watch is not None:
            this.watch.ref("mount", mnt, 1)
    return mnt


@dup(C)
def mnt_make_shortterm(mnt: Any) -> None:
    """``void mnt_make_shortterm(struct vfsmount *mnt)``"""
    if mnt is not None:
        mnt.mnt_ns = None


def may_change_propagation(m: Mount) -> int:
    if not is_mounted(m):
        return -EINVAL
    return 0 if may_mount() else -EPERM


@dup(C)
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


@dup(C, "umount_tree")
def umount_tree(mnt: Mount, how: int) -> None:
    """``void umount_tree(struct mount *mnt, enum umount_tree_flags how)``: out of the namespace; the last references go in
    namespace_unlock()
    """
    from kemu.linux.fs.pnode import bulk_make_private  # noqa: PLC0415  (circle: fs/pnode.c needs this)

    if how & UMOUNT_PROPAGATE:
        from kemu.linux.fs.pnode import propagate_mount_unlock  # noqa: PLC0415  (circle: fs/pnode.c needs this)

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
        from kemu.linux.fs.pnode import propagate_umount  # noqa: PLC0415  (circle: fs/pnode.c needs this)

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
        mnt_notify_add(p)


@dup(C)
def may_mount() -> bool:
    """``bool may_mount(void)``"""
    return capable(CAP_SYS_ADMIN)


@dup(C)
def warn_mandlock() -> None:
    """``void warn_mandlock(void)``"""
    pr_warn_once("=======================================================\n"
                 "WARNING: The mand mount option has been deprecated and\n"
                 "         and is ignored by this kernel. Remove the mand\n"
                 "         option from the mount to silence this warning.\n"
                 "=======================================================\n")


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
    from kemu.linux.fs.pnode import propagate_mount_busy  # noqa: PLC0415  (circle: fs/pnode.c needs this)

    sb = mnt.mnt_sb

    # Allow userspace to request a mountpoint be expired rather than unmounting unconditionally. Unmount only happens if:
    #  (1) the mark is already set (the mark is cleared by mntput())
    #  (2) the usage count == 1 [parent vfsmount] + 1 [sys_umount]
    if flags & MNT_EXPIRE:
        if (mnt is current_fs().root.mnt or
                flags & (MNT_FORCE | MNT_DETACH)):
            return -EINVAL

        # probably don't strictly need the lock here if we examined all race cases, but it's a slowpath.
        lock_mount_hash()
        if mnt.mnt_mounts or mnt.mnt_count != 2:
            unlock_mount_hash()
            return -EBUSY
        unlock_mount_hash()

        if not xchg(mnt, "mnt_expiry_mark", 1):
            return -EAGAIN

    # If we may have to abort operations to get out of this mount, and they will themselves hold resources we must allow the fs to
    # do things.
    if flags & MNT_FORCE and sb.s_op.umount_begin is not None:
        sb.s_op.umount_begin(sb)

    if mnt is current_fs().root.mnt and not (flags & MNT_DETACH):
        # Special case for "unmounting" root ... we just try to remount it readonly.
        if not capable(CAP_SYS_ADMIN):
            return -EPERM
        return do_umount_root(sb)

    labels = Labels()

    @labels.label
    def out() -> None:
        unlock_mount_hash()
        namespace_unlock()

    namespace_lock()
    lock_mount_hash()

    # Repeat the earlier racy checks, now that we are holding the locks
    retval = -EINVAL
    if not check_mnt(mnt):
        return labels.goto(out, retval)

    if mnt.mnt_flags & MNT_LOCKED:
        return labels.goto(out, retval)

    if not mnt_has_parent(mnt):         # not the absolute root
        return labels.goto(out, retval)

    if flags & MNT_DETACH:
        umount_tree(mnt, UMOUNT_PROPAGATE)
        retval = 0
    else:
        retval = -EBUSY
        if not propagate_mount_busy(mnt, 2):
            umount_tree(mnt, UMOUNT_PROPAGATE | UMOUNT_SYNC)
            retval = 0
    return labels.goto(out, retval)


@dup(C)
def detach_mounts(dentry: Dentry) -> None:
    """``void detach_mounts(struct dentry *dentry)``: lazily unmount what is mounted on a dentry that goes away."""
    if not dentry.d_flags & DCACHE_MOUNTED:
        return
    namespace_lock()
    mp = g.mountpoint_hashtable.get(dentry)
    if mp is not None:
        pin = pinned_mountpoint()
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


@dup(C)
def path_umount(path: Path, flags: int) -> int:
    """``int path_umount(const struct path *path, int flags)``: takes the path's references.

    Return: 0; -EINVAL if nothing is mounted there or it is locked; -EBUSY if it is used; -EPERM. The file system itself goes down
    with the mount's last reference: see mntput().
    """
    mnt = path.mnt
    ret = can_umount(path, flags)
    if not ret:
        ret = do_umount(mnt, flags)
    dput(path.dentry)
    mntput_no_expire(mnt)
    return ret


def _kern_path(name: str | None, flags: int, path: Path) -> int:
    from kemu.linux.fs.namei import filename_lookup, getname  # noqa: PLC0415  (circle: fs/namei.c needs this)

    return filename_lookup(AT_FDCWD, getname(name or ""), flags, path)


def has_locked_children(mnt: Mount, dentry: Dentry) -> bool:
    return any(c.mnt_flags & MNT_LOCKED and is_subdir(c.mnt_mountpoint, dentry) for c in mnt.mnt_mounts)


@dup(C, "copy_tree")
def copy_tree(src_root: Mount, dentry: Dentry, flag: int) -> Any:
    """``struct mount *copy_tree(struct mount *src_root, struct dentry *dentry, int flag)``

    A copy of the mounts below ``dentry``; what is unbindable is left out. Return: or ERR_PTR() of -EINVAL (the root is
    unbindable), -EPERM, -ENOMEM.
    """
    from kemu.linux.fs.pnode import CL_COPY_UNBINDABLE, IS_MNT_UNBINDABLE  # noqa: PLC0415  (circle: fs/pnode.c needs this)

    if not flag & CL_COPY_UNBINDABLE and IS_MNT_UNBINDABLE(src_root):
        return ERR_PTR(-EINVAL)

    res = dst_mnt = clone_mnt(src_root, dentry, flag)
    if IS_ERR(dst_mnt):
        return dst_mnt

    copies: dict[Mount, Mount] = {src_root: res}
    for src_root_child in list(src_root.mnt_mounts):
        if not is_subdir(src_root_child.mnt_mountpoint, dentry):
            continue

        for src_mnt in next_mnt(src_root_child):
            dst_parent = copies.get(src_mnt.mnt_parent)
            if dst_parent is None:
                continue                # skip_mnt_tree()
            if not flag & CL_COPY_UNBINDABLE and IS_MNT_UNBINDABLE(src_mnt):
                if src_mnt.mnt_flags & MNT_LOCKED:
                    # Both unbindable and locked.
                    dst_mnt = ERR_PTR(-EPERM)
                    break
                continue
            dst_mnt = clone_mnt(src_mnt, src_mnt.mnt_root, flag)
            if IS_ERR(dst_mnt):
                break
            copies[src_mnt] = dst_mnt
            lock_mount_hash()
            if src_mnt.mnt_flags & MNT_LOCKED:
                dst_mnt.mnt_flags |= MNT_LOCKED
            attach_mnt(dst_mnt, dst_parent, src_mnt.mnt_mp)
            unlock_mount_hash()
        if IS_ERR(dst_mnt):
            lock_mount_hash()
            umount_tree(res, UMOUNT_SYNC)
            unlock_mount_hash()
            return dst_mnt
    return res


@dup(C)
def clone_private_mount(path: Path) -> Any:
    """``struct vfsmount *clone_private_mount(const struct path *path)``: to be ended by kern_unmount().

    Return: ERR_PTR of -EINVAL, -EPERM.
    """
    from kemu.linux.fs.pnode import CL_PRIVATE, IS_MNT_UNBINDABLE  # noqa: PLC0415  (circle: fs/pnode.c needs this)

    old_mnt: Mount = path.mnt

    down_read(g.namespace_sem)                  # guard(namespace_shared)
    try:
        if IS_MNT_UNBINDABLE(old_mnt):
            return ERR_PTR(-EINVAL)

        # Make sure the source mount is acceptable. Anything mounted in our mount namespace is allowed; there are no anonymous
        # ones.
        if not check_mnt(old_mnt):
            return ERR_PTR(-EINVAL)

        if not ns_capable(current_user_ns(), CAP_SYS_ADMIN):
            return ERR_PTR(-EPERM)

        if has_locked_children(old_mnt, path.dentry):
            return ERR_PTR(-EINVAL)

        new_mnt = clone_mnt(old_mnt, path.dentry, CL_PRIVATE)
        if IS_ERR(new_mnt):
            return ERR_PTR(-EINVAL)

        # Longterm mount to be removed by kern_unmount*()
        new_mnt.mnt_ns = MNT_NS_INTERNAL
        return new_mnt
    finally:
        up_read(g.namespace_sem)


def where_to_mount(path: Path) -> tuple[Mount, Dentry]:
    m = __lookup_mnt(path.mnt, path.dentry)
    if m is not None:
        m = topmost_overmount(m)
        return m, m.mnt_root
    return path.mnt, path.dentry


def do_lock_mount(path: Path, res: pinned_mountpoint) -> None:
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


def unlock_mount(m: pinned_mountpoint) -> None:
    if not IS_ERR(m.parent):
        assert m.mp is not None
        inode_unlock(m.mp.m_dentry.d_inode)
        unpin_mountpoint(m)
        namespace_unlock()


@port_of(C, "cleanup_group_ids")
def cleanup_group_ids(mnt: Mount, end: Mount | None) -> None:
    """``void cleanup_group_ids(struct mount *mnt, struct mount *end)``"""
    from kemu.linux.fs.pnode import IS_MNT_SHARED  # noqa: PLC0415  (circle: fs/pnode.c needs this)

    for p in next_mnt(mnt):
        if p is end:
            break
        if p.mnt_group_id and not IS_MNT_SHARED(p):
            mnt_release_group_id(p)


@port_of(C, "invent_group_ids")
def invent_group_ids(mnt: Mount, recurse: bool) -> int:
    """``int invent_group_ids(struct mount *mnt, bool recurse)``: 0"""
    for p in next_mnt(mnt) if recurse else (mnt,):
        if not p.mnt_group_id:
            err = mnt_alloc_group_id(p)
            if err:
                cleanup_group_ids(mnt, p)
                return err

    return 0


@dup(C, "attach_recursive_mnt")
def attach_recursive_mnt(source_mnt: Mount, dest: pinned_mountpoint) -> int:
    """``int attach_recursive_mnt(struct mount *source_mnt, const struct pinned_mountpoint *dest)``

    Attach a tree, new or moved, and copies of it wherever what is mounted there propagates to; what was mounted at the place
    before goes on top of it. Return: 0, -ENOSPC, -ENOMEM, -ENOENT.
    """
    from kemu.linux.fs.pnode import IS_MNT_LOCKED, IS_MNT_SHARED  # noqa: PLC0415  (circle: fs/pnode.c needs this)

    dest_mnt: Mount = dest.parent
    dest_mp = dest.mp
    tree_list: list[Mount] = []
    ns = dest_mnt.mnt_ns
    assert ns is not None
    root = pinned_mountpoint()
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
        from kemu.linux.fs.pnode import propagate_mnt  # noqa: PLC0415  (circle: fs/pnode.c needs this)

        err = invent_group_ids(source_mnt, True)
        if err:
            return labels.goto(out, err)
        err = propagate_mnt(dest_mnt, dest_mp, source_mnt, tree_list)
    lock_mount_hash()
    if err:
        return labels.goto(out_cleanup_ids, err)

    if IS_MNT_SHARED(dest_mnt):
        from kemu.linux.fs.pnode import set_mnt_shared  # noqa: PLC0415  (circle: fs/pnode.c needs this)

        for p in next_mnt(source_mnt):
            set_mnt_shared(p)

    if moving:
        umount_mnt(source_mnt)
        mnt_notify_add(source_mnt)

    mnt_set_mountpoint(dest_mnt, dest_mp, source_mnt)
    # Now the original copy is in the same state as the secondaries - its root attached to mountpoint, but not hashed and all
    # mounts in it are either in our namespace or in no namespace at all. Add the original to the list of copies and deal with the
    # rest of work for all of them uniformly.
    tree_list.insert(0, source_mnt)

    for child in tree_list:
        q = __lookup_mnt(child.mnt_parent, child.mnt_mountpoint)
        commit_tree(child)
        if q is not None:
            r = topmost_overmount(child)
            mp = root.mp

            # If q was locked it was meant to hide whatever was under it. Let child take over that job and lock it.
            if IS_MNT_LOCKED(q):
                child.mnt_flags |= MNT_LOCKED
                if child is source_mnt:
                    q.mnt_flags &= ~MNT_LOCKED
            mnt_change_mountpoint(r, mp, q)
    unpin_mountpoint(root)
    unlock_mount_hash()

    return 0


@port_of(C, "flags_to_propagation_type")
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


@dup(C, "do_change_type")
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
        from kemu.linux.fs.pnode import change_mnt_propagation  # noqa: PLC0415  (circle: fs/pnode.c needs this)

        for m in next_mnt(mnt) if recurse else (mnt,):
            change_mnt_propagation(m, type)
    namespace_unlock()
    return err


@dup(C, "__do_loopback")
def __do_loopback(old_path: Path, recurse: bool, copy_flags: int) -> Any:
    """``struct mount *__do_loopback(const struct path *old_path, bool recurse, unsigned int copy_flags)``: or ERR_PTR() of
    -EINVAL, -ENOMEM
    """
    from kemu.linux.fs.pnode import IS_MNT_UNBINDABLE  # noqa: PLC0415  (circle: fs/pnode.c needs this)

    old = old_path.mnt

    if IS_MNT_UNBINDABLE(old):
        return ERR_PTR(-EINVAL)

    if not check_mnt(old):              # may_copy_tree(): there is one namespace
        return ERR_PTR(-EINVAL)

    # a pseudo dentry is freed without an RCU delay, no walk may find it
    if old_path.dentry.d_flags & DCACHE_NORCU:
        return ERR_PTR(-EINVAL)

    if not recurse and has_locked_children(old, old_path.dentry):
        return ERR_PTR(-EINVAL)

    if recurse:
        return copy_tree(old, old_path.dentry, copy_flags)

    return clone_mnt(old, old_path.dentry, copy_flags)


def graft_tree(mnt: Mount, mp: pinned_mountpoint) -> int:
    if mnt.mnt_sb.s_flags & SB_NOUSER:
        return -EINVAL
    assert mp.mp is not None
    if d_is_dir(mp.mp.m_dentry) != d_is_dir(mnt.mnt_root):
        return -ENOTDIR
    return attach_recursive_mnt(mnt, mp)


def do_add_mount(newmnt: Mount, mp: pinned_mountpoint, mnt_flags: int) -> int:
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
    mp = pinned_mountpoint()
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


@dup(C)
def path_mount(dev_name: str | None, path: Path, type_page: str | None, flags: int, data_page: str | int | None) -> int:
    """``int path_mount(const char *dev_name, const struct path *path, const char *type_page, unsigned long flags, void
    *data_page)``

    ``data_page`` in memory must be a writable page: its last byte becomes NUL. Return: 0; -EINVAL, -EPERM, -ENODEV (no such
    type), -EBUSY (the same file system is mounted there), what the file system says.
    """
    mnt_flags = 0

    # Discard magic
    if (flags & MS_MGC_MSK) == MS_MGC_VAL:
        flags &= ~MS_MGC_MSK

    # Basic sanity checks
    if data_page and isinstance(data_page, int):
        this.mem.st8(data_page + arch.PAGE_SIZE - 1, 0)

    if flags & MS_NOUSER:
        return -EINVAL

    # security_sb_mount(): no module has that hook here
    if not may_mount():
        return -EPERM
    if flags & SB_MANDLOCK:
        warn_mandlock()

    # Default to relatime unless overriden
    if not (flags & MS_NOATIME):
        mnt_flags |= MNT_RELATIME

    # Separate the per-mountpoint flags
    if flags & MS_NOSUID:
        mnt_flags |= MNT_NOSUID
    if flags & MS_NODEV:
        mnt_flags |= MNT_NODEV
    if flags & MS_NOEXEC:
        mnt_flags |= MNT_NOEXEC
    if flags & MS_NOATIME:
        mnt_flags |= MNT_NOATIME
    if flags & MS_NODIRATIME:
        mnt_flags |= MNT_NODIRATIME
    if flags & MS_STRICTATIME:
        mnt_flags &= ~(MNT_RELATIME | MNT_NOATIME)
    if flags & MS_RDONLY:
        mnt_flags |= MNT_READONLY
    if flags & MS_NOSYMFOLLOW:
        mnt_flags |= MNT_NOSYMFOLLOW

    # The default atime for remount is preservation
    if ((flags & MS_REMOUNT) and
            (flags & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)) == 0):
        mnt_flags &= ~MNT_ATIME_MASK
        mnt_flags |= path.mnt.mnt_flags & MNT_ATIME_MASK

    sb_flags = flags & (SB_RDONLY |
                        SB_SYNCHRONOUS |
                        SB_MANDLOCK |
                        SB_DIRSYNC |
                        SB_SILENT |
                        SB_POSIXACL |
                        SB_LAZYTIME |
                        SB_I_VERSION)

    if (flags & (MS_REMOUNT | MS_BIND)) == (MS_REMOUNT | MS_BIND):
        return do_reconfigure_mnt(path, mnt_flags)
    if flags & MS_REMOUNT:
        return do_remount(path, sb_flags, mnt_flags, data_page)
    if flags & MS_BIND:
        return do_loopback(path, dev_name, bool(flags & MS_REC))
    if flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE):
        return do_change_type(path, flags)
    if flags & MS_MOVE:
        return do_move_mount_old(path, dev_name)

    return do_new_mount(path, type_page, sb_flags, mnt_flags, dev_name, data_page)


@dup(C)
def is_path_reachable(mnt: Mount, dentry: Dentry, root: Path) -> bool:
    """``bool is_path_reachable(struct mount *mnt, struct dentry *dentry, const struct path *root)``"""
    while mnt is not root.mnt and mnt_has_parent(mnt):
        dentry = mnt.mnt_mountpoint
        mnt = mnt.mnt_parent
    return mnt is root.mnt and is_subdir(dentry, root.dentry)


@dup(C)
def path_is_under(path1: Path, path2: Path) -> bool:
    """``bool path_is_under(const struct path *path1, const struct path *path2)``"""
    read_seqlock_excl(g.mount_lock)
    res = is_path_reachable(path1.mnt, path1.dentry, path2)
    read_sequnlock_excl(g.mount_lock)
    return res


def do_loopback(path: Path, old_name: str | None, recurse: bool) -> int:
    """MS_BIND: what is at ``old_name`` also at ``path``."""
    from kemu.linux.fs.namei import path_put  # noqa: PLC0415  (circle: fs/namei.c needs this)

    if not old_name:
        return -EINVAL
    old_path = Path()
    err = _kern_path(old_name, 1 | 4, old_path)             # LOOKUP_FOLLOW | LOOKUP_AUTOMOUNT
    if err:
        return err
    mp = pinned_mountpoint()
    do_lock_mount(path, mp)
    if IS_ERR(mp.parent):
        path_put(old_path)
        return PTR_ERR(mp.parent)
    if not check_mnt(mp.parent):
        err = -EINVAL
    else:
        from kemu.linux.fs.pnode import CL_COPY_MNT_NS_FILE  # noqa: PLC0415  (circle: fs/pnode.c needs this)

        mnt = __do_loopback(old_path, recurse, CL_COPY_MNT_NS_FILE)
        if IS_ERR(mnt):
            err = PTR_ERR(mnt)
        else:
            err = graft_tree(mnt, mp)
            if err:
                umount_tree(mnt, UMOUNT_SYNC)
    unlock_mount(mp)
    path_put(old_path)
    return err


def mount_is_ancestor(p1: Mount, p2: Mount) -> bool:
    while p2 is not p1 and mnt_has_parent(p2):
        p2 = p2.mnt_parent
    return p2 is p1


def do_move_mount(old_path: Path, new_path: Path) -> int:
    from kemu.linux.fs.pnode import IS_MNT_LOCKED, IS_MNT_SHARED, IS_MNT_UNBINDABLE  # noqa: PLC0415  (circle: fs/pnode.c needs this)

    old: Mount = old_path.mnt
    if not path_mounted(old_path) or d_is_dir(new_path.dentry) != d_is_dir(old_path.dentry):
        return -EINVAL
    mp = pinned_mountpoint()
    do_lock_mount(new_path, mp)
    if IS_ERR(mp.parent):
        return PTR_ERR(mp.parent)
    if (not check_mnt(old) or not mnt_has_parent(old) or IS_MNT_LOCKED(old) or IS_MNT_SHARED(old.mnt_parent)
        or not check_mnt(mp.parent)):
        err = -EINVAL
    elif IS_MNT_SHARED(mp.parent) and any(IS_MNT_UNBINDABLE(p) for p in next_mnt(old)):      # tree_contains_unbindable()
        err = -EINVAL
    elif mount_is_ancestor(old, mp.parent):
        err = -ELOOP
    else:
        err = attach_recursive_mnt(old, mp)
    unlock_mount(mp)
    return err


def do_move_mount_old(path: Path, old_name: str | None) -> int:
    """MS_MOVE."""
    from kemu.linux.fs.namei import path_put  # noqa: PLC0415  (circle: fs/namei.c needs this)

    if not old_name:
        return -EINVAL
    old_path = Path()
    err = _kern_path(old_name, 1, old_path)                 # LOOKUP_FOLLOW
    if err:
        return err
    err = do_move_mount(old_path, path)
    path_put(old_path)
    return err


@dup(C)
def path_pivot_root(new: Path, old: Path) -> int:
    """``int path_pivot_root(struct path *new, struct path *old)``: ``new`` becomes the root, the old root goes to ``old``.

    Every task whose root or working directory was the old root moves. Return: 0; -EINVAL for what is no mountpoint, has no
    parent, is locked or cannot be reached; -EBUSY for the root itself; -ENOENT; -EPERM.
    """
    from kemu.linux.fs.fs_struct import chroot_fs_refs  # noqa: PLC0415  (circle: fs/fs_struct.c needs this)
    from kemu.linux.fs.namei import path_put  # noqa: PLC0415  (circle: fs/namei.c needs this)
    from kemu.linux.fs.pnode import IS_MNT_SHARED  # noqa: PLC0415  (circle: fs/pnode.c needs this)

    root = Path()
    old_mp = pinned_mountpoint()

    if not may_mount():
        return -EPERM

    get_fs_root(current_fs(), root)
    try:                                        # __free(path_put)
        do_lock_mount(old, old_mp)              # LOCK_MOUNT(old_mp, old)
        if IS_ERR(old_mp.parent):
            return PTR_ERR(old_mp.parent)
        old_mnt: Mount = old_mp.parent
        try:
            new_mnt: Mount = new.mnt
            root_mnt: Mount = root.mnt
            # only a mounted mount has a parent that namespace_sem pins
            if not check_mnt(root_mnt) or not check_mnt(new_mnt):
                return -EINVAL
            ex_parent = new_mnt.mnt_parent
            root_parent = root_mnt.mnt_parent
            if IS_MNT_SHARED(old_mnt) or IS_MNT_SHARED(ex_parent) or IS_MNT_SHARED(root_parent):
                return -EINVAL
            if new_mnt.mnt_flags & MNT_LOCKED:
                return -EINVAL
            if d_unlinked(new.dentry):
                return -ENOENT
            if new_mnt is root_mnt or old_mnt is root_mnt:
                return -EBUSY                   # loop, on the same file system
            if not path_mounted(root):
                return -EINVAL                  # not a mountpoint
            if not mnt_has_parent(root_mnt):
                return -EINVAL                  # absolute root
            if not path_mounted(new):
                return -EINVAL                  # not a mountpoint
            if not mnt_has_parent(new_mnt):
                return -EINVAL                  # absolute root
            # make sure we can reach put_old from new_root
            if not is_path_reachable(old_mnt, old_mp.mp.m_dentry, new):
                return -EINVAL
            # make certain new is below the root
            if not is_path_reachable(new_mnt, new.dentry, root):
                return -EINVAL
            lock_mount_hash()
            umount_mnt(new_mnt)
            if root_mnt.mnt_flags & MNT_LOCKED:
                new_mnt.mnt_flags |= MNT_LOCKED
                root_mnt.mnt_flags &= ~MNT_LOCKED
            # mount new_root on /
            attach_mnt(new_mnt, root_parent, root_mnt.mnt_mp)
            umount_mnt(root_mnt)
            # mount old root on put_old
            attach_mnt(root_mnt, old_mnt, old_mp.mp)
            unlock_mount_hash()
            mnt_notify_add(root_mnt)
            mnt_notify_add(new_mnt)
            chroot_fs_refs(root, new)
            return 0
        finally:
            unlock_mount(old_mp)
    finally:
        path_put(root)


def _rootfs_init_fs_context(fc: FsContext) -> int:
    from kemu.linux.fs.ramfs.inode import ramfs_init_fs_context  # noqa: PLC0415  (circle: fs/ramfs/inode.c needs this)

    return ramfs_init_fs_context(fc)


_rootfs_fs_type = FileSystemType(name="rootfs", init_fs_context=_rootfs_init_fs_context, kill_sb=kill_anon_super)


def init_mount_tree(rootfs: FileSystemType, options: Any) -> None:
    from kemu.linux.fs.fs_struct import g as fs_struct_g  # noqa: PLC0415  (circle: fs/fs_struct.c needs this)
    from kemu.linux.fs.fs_struct import set_fs_pwd, set_fs_root  # noqa: PLC0415  (circle: fs/fs_struct.c needs this)

    nullfs_mnt = vfs_kern_mount(nullfs_fs_type, 0, "nullfs", None)
    if IS_ERR(nullfs_mnt):
        raise KernelPanic("Kernel panic - not syncing: VFS: Failed to create nullfs")
    mnt = vfs_kern_mount(rootfs, 0, "rootfs", options)
    if IS_ERR(mnt):
        raise KernelPanic("Kernel panic - not syncing: Can't create rootfs")
    ns = g.init_mnt_ns = mnt_namespace()
    ns.user_ns = init_user_ns
    ns.root = nullfs_mnt
    mp = pinned_mountpoint()
    if get_mountpoint(nullfs_mnt.mnt_root, mp) or mp.mp is None:
        raise KernelPanic("Kernel panic - not syncing: VFS: Failed to mount rootfs on nullfs")
    attach_mnt(mnt, nullfs_mnt, mp.mp)
    unpin_mountpoint(mp)
    pr_info("VFS: Finished mounting rootfs on nullfs\n")
    for p in next_mnt(nullfs_mnt):
        mnt_add_to_ns(ns, p)
        ns.nr_mounts += 1
    root = Path(mnt, mnt.mnt_root)
    set_fs_pwd(fs_struct_g.init_fs, root)
    set_fs_root(fs_struct_g.init_fs, root)


@custom(C, "mnt_init", "only the mount tree; the caller says which file system rootfs is")
def mnt_init(rootfs: FileSystemType = _rootfs_fs_type, options: str | None = None) -> None:
    """``void mnt_init(void)``: nullfs as mount 1, ``rootfs`` as mount 2, init's root and working directory there."""
    init_mount_tree(rootfs, options)


@dup(C)
def kern_mount(type: FileSystemType) -> VfsMount:
    """``struct vfsmount *kern_mount(struct file_system_type *type)``: for the kernel's own use. Return: or ERR_PTR()."""
    mnt = vfs_kern_mount(type, SB_KERNMOUNT, type.name, None)
    if not IS_ERR(mnt):
        mnt.mnt_ns = MNT_NS_INTERNAL
    return mnt             # type: ignore[no-any-return]


@dup(C)
def kern_unmount(mnt: Any) -> None:
    """``void kern_unmount(struct vfsmount *mnt)``. Context: may sleep."""
    if not IS_ERR(mnt):
        mnt_make_shortterm(mnt)
        synchronize_rcu()
        mntput(mnt)


@dup(C)
def current_chrooted() -> bool:
    """``bool current_chrooted(void)``: the task's root is not the namespace's topmost root."""
    from kemu.linux.fs.namei import path_put  # noqa: PLC0415  (circle: fs/namei.c needs this)

    fs_root = Path()
    get_fs_root(current_fs(), fs_root)

    # Find the namespace root
    read_seqlock_excl(g.mount_lock)
    root = topmost_overmount(g.init_mnt_ns.root)
    res = fs_root.mnt is not root or not path_mounted(fs_root)
    read_sequnlock_excl(g.mount_lock)
    path_put(fs_root)
    return res


def mnt_add_to_ns(ns: Any, mnt: Mount) -> None:
    WARN_ON(mnt.mnt_ns is not None and mnt in mnt.mnt_ns.mounts)
    mnt.mnt_ns = ns
    ns.mounts[mnt] = None
    mnt_notify_add(mnt)


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

def unpin_mountpoint(m: pinned_mountpoint) -> None:
    if m.mp is not None:
        del m.mp.m_list[m]
        maybe_free_mountpoint(m.mp, g.ex_mountpoints)
        m.mp = NULL


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
    mnt.mnt_mp = NULL
    assert mp is not None
    del mp.m_list[mnt]
    maybe_free_mountpoint(mp, shrink_list)


def umount_mnt(mnt: Mount) -> None:
    __umount_mnt(mnt, g.ex_mountpoints)


def mnt_set_mountpoint(mnt: Mount, mp: mountpoint, child_mnt: Mount) -> None:
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


def attach_mnt(mnt: Mount, parent: Mount, mp: mountpoint) -> None:
    mnt_set_mountpoint(parent, mp, mnt)
    make_visible(mnt)


def mnt_change_mountpoint(parent: Mount, mp: mountpoint, mnt: Mount) -> None:
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


def mnt_alloc_group_id(mnt: Mount) -> int:
    """``int mnt_alloc_group_id(struct mount *mnt)``: the lowest free one. Return: 0."""
    used: set[int] = group_ids.mnt_group_ida
    i = 1
    while i in used:
        i += 1
    used.add(i)
    mnt.mnt_group_id = i
    return 0


def mnt_release_group_id(mnt: Mount) -> None:
    """``void mnt_release_group_id(struct mount *mnt)``"""
    group_ids.mnt_group_ida.discard(mnt.mnt_group_id)
    mnt.mnt_group_id = 0


names("dup", C, "mnt_alloc_group_id", "mnt_release_group_id")
