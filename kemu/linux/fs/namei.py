# SPDX-License-Identifier: GPL-2.0-only
"""From names to places, and the calls that make, link, rename and remove names (fs/namei.c).

There is ref-walk only: with tasks that switch at scheduling points there is nothing that rcu-walk could race with. What the C
passes as a link's ``const char *`` or as an ERR_PTR is bytes here, or a negative errno.
"""
from __future__ import annotations

import os
from typing import Any

from kemu.linux.bug import BUG_ON, WARN_ON
from kemu.linux.delayed_call import delayed_call, do_delayed_call, set_delayed_call
from kemu.linux.err import ERR_PTR, IS_ERR, IS_ERR_OR_NULL, PTR_ERR
from kemu.linux.errno import (
    EACCES,
    EAGAIN,
    EBUSY,
    EEXIST,
    EFAULT,
    EFTYPE,
    EINVAL,
    EIO,
    EISDIR,
    ELOOP,
    EMLINK,
    ENAMETOOLONG,
    ENOENT,
    ENOMEM,
    ENOTDIR,
    ENOTEMPTY,
    ENOTRECOVERABLE,
    EOPENSTALE,
    EOPNOTSUPP,
    EOVERFLOW,
    EPERM,
    EROFS,
    ESTALE,
    EXDEV,
)
from kemu.linux.fcntl import (
    __O_REGULAR,
    __O_TMPFILE,
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_FOLLOW,
    O_ACCMODE,
    O_APPEND,
    O_CREAT,
    O_DIRECTORY,
    O_EXCL,
    O_NOATIME,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_TRUNC,
    O_WRONLY,
)
from kemu.linux.fs.dcache import (
    d_alloc,
    d_alloc_parallel,
    d_delete,
    d_exchange,
    d_invalidate,
    d_lookup,
    d_move,
    dget_parent,
    dput,
    is_subdir,
    shrink_dcache_parent,
)
from kemu.linux.fs.inode import (
    atime_needs_update,
    ihold,
    in_group_or_capable,
    inode_owner_or_capable,
    iput,
    lock_two_nondirectories,
    touch_atime,
)
from kemu.linux.fs.internal import open_flags
from kemu.linux.fs.mount import Mount, mnt_has_parent
from kemu.linux.fs.namespace import detach_mounts, lookup_mnt, mnt_drop_write, mnt_want_write, mntget, mntput, path_is_under
from kemu.linux.fs.namespace import g as namespace_g
from kemu.linux.fs.posix_acl import get_inode_acl, posix_acl_permission
from kemu.linux.include.cred import (
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    CAP_FOWNER,
    CAP_MKNOD,
    Cred,
    capable,
    current_cred,
    current_fsuid,
    in_group_p,
)
from kemu.linux.include.dcache import (
    DCACHE_ENTRY_TYPE,
    DCACHE_MANAGE_TRANSIT,
    DCACHE_MANAGED_DENTRY,
    DCACHE_MOUNTED,
    DCACHE_NEED_AUTOMOUNT,
    DCACHE_OP_REVALIDATE,
    DCACHE_OP_WEAK_REVALIDATE,
    Dentry,
    Qstr,
    cant_mount,
    d_backing_inode,
    d_can_lookup,
    d_in_lookup,
    d_is_dir,
    d_is_negative,
    d_is_reg,
    d_is_symlink,
    d_lookup_done,
    d_mountpoint,
    d_unhashed,
    d_unlinked,
    dget,
    dont_mount,
    slash_name,
)
from kemu.linux.include.fs.calls import (
    IS_APPEND,
    IS_DEADDIR,
    get_write_access,
    inode_lock,
    inode_lock_shared,
    inode_unlock,
    inode_unlock_shared,
    mark_inode_dirty,
    put_write_access,
)
from kemu.linux.include.fs.constants import (
    ATTR_CTIME,
    ATTR_MTIME,
    ATTR_OPEN,
    FMODE_CREATED,
    FMODE_OPENED,
    FS_RENAME_DOES_D_MOVE,
    I_LINKABLE,
    INVALID_ID,
    IOP_CACHED_LINK,
    IOP_DEFAULT_READLINK,
    IOP_FASTPERM,
    IOP_FASTPERM_MAY_EXEC,
    MAY_EXEC,
    MAY_OPEN,
    MAY_READ,
    MAY_WRITE,
    PATH_MAX,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    RENAME_WHITEOUT,
    S_APPEND,
    S_DEAD,
    S_IMMUTABLE,
    S_KERNEL_FILE,
    S_SWAPFILE,
)
from kemu.linux.include.fs.types import File, Inode, renamedata
from kemu.linux.include.fs_struct import get_fs_pwd, get_fs_root
from kemu.linux.include.gfp import __GFP_HIGHMEM
from kemu.linux.include.mm import folio_address, folio_put
from kemu.linux.include.mount import MNT_NODEV, MNT_NOSYMFOLLOW
from kemu.linux.include.mutex import mutex_lock
from kemu.linux.include.namei import (
    LOOKUP_BENEATH,
    LOOKUP_CREATE,
    LOOKUP_DIRECTORY,
    LOOKUP_DOWN,
    LOOKUP_EMPTY,
    LOOKUP_EXCL,
    LOOKUP_FOLLOW,
    LOOKUP_IN_ROOT,
    LOOKUP_IS_SCOPED,
    LOOKUP_LINKAT_EMPTY,
    LOOKUP_MOUNTPOINT,
    LOOKUP_NO_SYMLINKS,
    LOOKUP_NO_XDEV,
    LOOKUP_OPEN,
    LOOKUP_PARENT,
    LOOKUP_RENAME_TARGET,
    LOOKUP_REVAL,
    MAXSYMLINKS,
    nd_terminate_link,
)
from kemu.linux.include.pagemap import read_mapping_folio
from kemu.linux.include.path import Path
from kemu.linux.include.posix_acl import ACL_TYPE_ACCESS, posix_acl_release
from kemu.linux.include.sched import current_fs
from kemu.linux.include.slab import kstrdup
from kemu.linux.include.string import c_string
from kemu.linux.kdev_t import new_decode_dev
from kemu.linux.kernel.capability import capable_wrt_inode_uidgid
from kemu.linux.kernel.locking.mutex import mutex_unlock
from kemu.linux.port.goto import Labels
from kemu.linux.port.honesty import custom, dup, names
from kemu.linux.seqlock import read_seqlock_excl, read_sequnlock_excl
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.linux.stat import (
    S_IALLUGO,
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_IFSOCK,
    S_IRWXUGO,
    S_ISDIR,
    S_ISFIFO,
    S_ISGID,
    S_ISREG,
    S_ISUID,
    S_ISVTX,
    S_IWOTH,
    S_IXGRP,
)
from kemu.linux.super_types import SB_I_NODEV, SB_I_NOUMASK, SB_POSIXACL, SB_RDONLY
from kemu.linux.types import Ref
from kemu.linux.uaccess import copy_to_user
from kemu.linux.uidgid import INVALID_UID
from kemu.machine.current import NULL, arch, this

C = "fs/namei.c"

LAST_NORM, LAST_ROOT, LAST_DOT, LAST_DOTDOT = range(4)
ND_ROOT_PRESET, ND_ROOT_GRABBED, ND_JUMPED = 1, 2, 4
WALK_TRAILING, WALK_MORE, WALK_NOFOLLOW = 1, 2, 4


@custom(C, "getname_flags", "gives bytes instead of a struct filename")
def getname(filename: str | bytes, flags: int = LOOKUP_EMPTY) -> Any:
    """``struct filename *getname_flags(const char __user *filename, int flags)``: a name from user space, or the kernel's own.

    An empty one needs LOOKUP_EMPTY. Return: bytes, or -ENOENT, -ENAMETOOLONG, -ENOMEM.
    """
    name = os.fsencode(filename).partition(b"\0")[0]
    if not name and not flags & LOOKUP_EMPTY:
        return -ENOENT
    if len(name) >= PATH_MAX:
        return -ENAMETOOLONG
    if this.chooser is not None and kstrdup("") is None:
        return -ENOMEM
    return name


def check_acl(idmap: Any, inode: Inode, mask: int) -> int:
    acl = get_inode_acl(inode, ACL_TYPE_ACCESS)
    if acl is None:
        return -EAGAIN
    if IS_ERR(acl):
        return PTR_ERR(acl)
    error = posix_acl_permission(idmap, inode, acl, mask)
    posix_acl_release(acl)
    return error


def acl_permission_check(idmap: Any, inode: Inode, mask: int) -> int:
    mode = inode.i_mode
    if not (mask & 7) * 0o111 & ~mode and (inode.i_acl is None or not inode.i_sb.s_flags & SB_POSIXACL):
        return 0
    if inode.i_uid == current_fsuid():
        return -EACCES if mask & 7 & ~(mode >> 6) else 0
    if inode.i_sb.s_flags & SB_POSIXACL and mode & 0o070:
        error = check_acl(idmap, inode, mask)
        if error != -EAGAIN:
            return error
    mask &= 7
    if mask & (mode ^ (mode >> 3)) and in_group_p(inode.i_gid):
        mode >>= 3
    return -EACCES if mask & ~mode else 0


@dup(C)
def generic_permission(idmap: Any, inode: Inode, mask: int) -> int:
    """``int generic_permission(struct mnt_idmap *idmap, struct inode *inode, int mask)``: mode bits, ACL, then capabilities.

    Return: 0, -EACCES, or an error of reading the ACL.
    """
    ret = acl_permission_check(idmap, inode, mask)
    if ret != -EACCES:
        return ret
    if inode.i_mode & 0o170000 == 0o040000:
        if not mask & MAY_WRITE and capable_wrt_inode_uidgid(idmap, inode, CAP_DAC_READ_SEARCH):
            return 0
        return 0 if capable_wrt_inode_uidgid(idmap, inode, CAP_DAC_OVERRIDE) else -EACCES
    mask &= MAY_READ | MAY_WRITE | MAY_EXEC
    if mask == MAY_READ and capable_wrt_inode_uidgid(idmap, inode, CAP_DAC_READ_SEARCH):
        return 0
    if (not mask & MAY_EXEC or inode.i_mode & 0o111) and capable_wrt_inode_uidgid(idmap, inode, CAP_DAC_OVERRIDE):
        return 0
    return -EACCES


@dup(C)
def inode_permission(idmap: Any, inode: Inode, mask: int) -> int:
    """``int inode_permission(struct mnt_idmap *idmap, struct inode *inode, int mask)``: MAY_READ, MAY_WRITE, MAY_EXEC.

    Return: 0; -EROFS, -EPERM (immutable) or -EACCES for writing; what ->permission or generic_permission() says.
    """
    if mask & MAY_WRITE:
        if inode.i_sb.s_flags & SB_RDONLY and inode.i_mode & 0o170000 in (0o100000, 0o040000, 0o120000):
            return -EROFS
        if inode.i_flags & S_IMMUTABLE:
            return -EPERM
        if inode.i_uid == 0xFFFF_FFFF or inode.i_gid == 0xFFFF_FFFF:
            return -EACCES
    if not inode.i_opflags & IOP_FASTPERM:
        if inode.i_op.permission is not None:
            return int(inode.i_op.permission(idmap, inode, mask))

        # This gets set once for the inode lifetime
        spin_lock(inode.i_lock)
        inode.i_opflags |= IOP_FASTPERM
        spin_unlock(inode.i_lock)
    return generic_permission(idmap, inode, mask)


@dup(C)
def path_get(path: Path) -> None:
    """``void path_get(const struct path *path)``: one more reference to the mount and the dentry."""
    mntget(path.mnt)
    dget(path.dentry)


@dup(C)
def path_put(path: Path) -> None:
    """``void path_put(const struct path *path)``"""
    dput(path.dentry)
    mntput(path.mnt)


@dup(C)
def follow_up(path: Path) -> int:
    """``int follow_up(struct path *path)``: to the mountpoint in the parent mount. Return: 1, or 0 at the root."""
    mnt = path.mnt
    read_seqlock_excl(namespace_g.mount_lock)
    parent = mnt.mnt_parent
    if parent is mnt:
        read_sequnlock_excl(namespace_g.mount_lock)
        return 0
    mntget(parent)
    mountpoint = dget(mnt.mnt_mountpoint)
    read_sequnlock_excl(namespace_g.mount_lock)
    dput(path.dentry)
    path.dentry = mountpoint
    mntput(path.mnt)
    path.mnt = parent
    return 1


def choose_mountpoint(m: Mount, root: Path, path: Path) -> bool:
    while mnt_has_parent(m):
        mountpoint = m.mnt_mountpoint
        m = m.mnt_parent
        if root.dentry is mountpoint and root.mnt is m:
            return False
        if mountpoint is not m.mnt_root:
            path.mnt = mntget(m)
            path.dentry = dget(mountpoint)
            return True
    return False


def traverse_mounts(path: Path, lookup_flags: int) -> tuple[int, bool]:
    """Descend into what is mounted on ``path``: (0 or an error, whether a mount was crossed)."""
    flags = path.dentry.d_flags
    mnt = path.mnt
    need_mntput = False
    ret = 0
    while flags & DCACHE_MANAGED_DENTRY:
        if flags & DCACHE_MANAGE_TRANSIT:
            if lookup_flags & LOOKUP_NO_XDEV:
                ret = -EXDEV
                break
            ret = path.dentry.d_op.d_manage(path, False)
            flags = path.dentry.d_flags
            if ret < 0:
                break
        if flags & DCACHE_MOUNTED:
            mounted = lookup_mnt(path)
            if mounted is not None:
                dput(path.dentry)
                if need_mntput:
                    mntput(path.mnt)
                path.mnt = mounted
                path.dentry = dget(mounted.mnt_root)
                flags = path.dentry.d_flags
                need_mntput = True
                if lookup_flags & LOOKUP_NO_XDEV:
                    ret = -EXDEV
                    break
                continue
        if not flags & DCACHE_NEED_AUTOMOUNT:
            break
        break                                   # no file system here has automount points
    if need_mntput and path.mnt is mnt:
        mntput(path.mnt)
    if not ret and not flags & DCACHE_ENTRY_TYPE:
        ret = -ENOENT
    return ret, need_mntput


@dup(C)
def follow_down(path: Path, flags: int) -> int:
    """``int follow_down(struct path *path, unsigned int flags)``"""
    mnt = path.mnt
    ret, _ = traverse_mounts(path, flags)
    if path.mnt is not mnt:
        mntput(mnt)
    return ret


def terminate_walk(nd: nameidata) -> None:
    for _, done in reversed(nd.stack):
        do_delayed_call(done)
    if nd.path.dentry is not None:
        path_put(nd.path)
    for link, _ in nd.stack:
        path_put(link)
    if nd.state & ND_ROOT_GRABBED:
        path_put(nd.root)
        nd.state &= ~ND_ROOT_GRABBED
    nd.stack.clear()
    nd.path = Path()


def path_connected(mnt: Mount, dentry: Dentry) -> bool:
    return mnt.mnt_root is mnt.mnt_sb.s_root or is_subdir(dentry, mnt.mnt_root)


def d_revalidate(dir: Inode, name: bytes, dentry: Dentry, flags: int) -> int:
    if dentry.d_flags & DCACHE_OP_REVALIDATE:
        return int(dentry.d_op.d_revalidate(dir, Qstr(name), dentry, flags))
    return 1


def complete_walk(nd: nameidata) -> int:
    dentry = nd.path.dentry
    if nd.flags & LOOKUP_IS_SCOPED and not path_is_under(nd.path, nd.root):
        return -EXDEV
    if not nd.state & ND_JUMPED or not dentry.d_flags & DCACHE_OP_WEAK_REVALIDATE:
        return 0
    status = dentry.d_op.d_weak_revalidate(dentry, nd.flags)
    return 0 if status > 0 else int(status) or -ESTALE


def set_root(nd: nameidata) -> int:
    fs = current_fs()

    # Jumping to the real root in a scoped-lookup is a BUG in namei, but we still have to ensure it doesn't happen because it will
    # cause a breakout from the dirfd.
    if WARN_ON(nd.flags & LOOKUP_IS_SCOPED):
        return -ENOTRECOVERABLE

    get_fs_root(fs, nd.root)
    nd.state |= ND_ROOT_GRABBED
    return 0


def nd_jump_root(nd: nameidata) -> int:
    if nd.flags & LOOKUP_BENEATH:
        return -EXDEV
    if nd.flags & LOOKUP_NO_XDEV:
        # Absolute path arguments to path_init() are allowed.
        if nd.path.mnt is not None and nd.path.mnt is not nd.root.mnt:
            return -EXDEV
    if not nd.root.mnt:
        error = set_root(nd)
        if error:
            return error
    if nd.path.dentry is not None:
        path_put(nd.path)
    nd.path = nd.root.copy()
    path_get(nd.path)
    nd.inode = nd.path.dentry.d_inode
    nd.state |= ND_JUMPED
    return 0


def put_link(nd: nameidata) -> None:
    link, done = nd.stack.pop()
    do_delayed_call(done)
    path_put(link)


# as from boot on: nobody writes /proc/sys/fs here
sysctl_protected_symlinks = 1
sysctl_protected_hardlinks = 1
sysctl_protected_fifos = 0
sysctl_protected_regular = 0


@dup(C)
def may_follow_link(nd: nameidata, inode: Inode) -> int:
    """``static int may_follow_link(struct nameidata *nd, const struct inode *inode)``. Return: 0, -EACCES."""
    if not sysctl_protected_symlinks:
        return 0

    vfsuid = inode.i_uid
    # Allowed if owner and follower match.
    if vfsuid == current_fsuid():
        return 0

    # Allowed if parent directory not sticky and world-writable.
    if nd.dir_mode & (S_ISVTX | S_IWOTH) != S_ISVTX | S_IWOTH:
        return 0

    # Allowed if parent directory and link owner match.
    if nd.dir_vfsuid != INVALID_UID and nd.dir_vfsuid == vfsuid:
        return 0

    return -EACCES


@dup(C)
def safe_hardlink_source(idmap: Any, inode: Inode) -> bool:
    """``static bool safe_hardlink_source(struct mnt_idmap *idmap, struct inode *inode)``"""
    mode = inode.i_mode

    # Special files should not get pinned to the filesystem.
    if not S_ISREG(mode):
        return False

    # Setuid files should not get pinned to the filesystem.
    if mode & S_ISUID:
        return False

    # Executable setgid files should not get pinned to the filesystem.
    if mode & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP:
        return False

    # Hardlinking to unreadable or unwritable sources is dangerous.
    if inode_permission(idmap, inode, MAY_READ | MAY_WRITE):
        return False

    return True


@dup(C)
def may_linkat(idmap: Any, link: Path) -> int:
    """``int may_linkat(struct mnt_idmap *idmap, const struct path *link)``. Return: 0, -EOVERFLOW, -EPERM."""
    inode = link.dentry.d_inode

    # Inode writeback is not safe when the uid or gid are invalid.
    if inode.i_uid == INVALID_ID or inode.i_gid == INVALID_ID:
        return -EOVERFLOW

    if not sysctl_protected_hardlinks:
        return 0

    # Source inode owner (or CAP_FOWNER) can hardlink all they like, otherwise, it must be a safe source.
    if safe_hardlink_source(idmap, inode) or inode_owner_or_capable(idmap, inode):
        return 0

    return -EPERM


@dup(C)
def may_create_in_sticky(idmap: Any, nd: nameidata, inode: Inode) -> int:
    """``static int may_create_in_sticky(struct mnt_idmap *idmap, struct nameidata *nd, struct inode *const inode)``

    fs.protected_regular and fs.protected_fifos are 0, as they are from boot on.
    """
    dir_mode = nd.dir_mode
    dir_vfsuid = nd.dir_vfsuid

    if not dir_mode & S_ISVTX:
        return 0

    if S_ISREG(inode.i_mode) and not sysctl_protected_regular:
        return 0

    if S_ISFIFO(inode.i_mode) and not sysctl_protected_fifos:
        return 0

    i_vfsuid = inode.i_uid

    if i_vfsuid == dir_vfsuid:
        return 0

    if i_vfsuid == current_fsuid():
        return 0

    if dir_mode & 0o002:
        return -EACCES

    if dir_mode & 0o020:
        if sysctl_protected_fifos >= 2 and S_ISFIFO(inode.i_mode):
            return -EACCES

        if sysctl_protected_regular >= 2 and S_ISREG(inode.i_mode):
            return -EACCES

    return 0


def lookup_dcache(name: Qstr, dir: Dentry, flags: int) -> Any:
    dentry = d_lookup(dir, name)
    if dentry is not None:
        error = d_revalidate(dir.d_inode, name.name, dentry, flags)
        if error <= 0:
            if not error:
                d_invalidate(dentry)
            dput(dentry)
            return ERR_PTR(error) if error else None
    return dentry


def lookup_one_qstr_excl(name: Qstr, base: Dentry, flags: int) -> Any:
    """A child for creation or removal; the directory is locked for writing. ERR_PTR of -ENOENT or -EEXIST by LOOKUP_CREATE and
    LOOKUP_EXCL.
    """
    dentry = lookup_dcache(name, base, flags)
    if dentry is None:
        dir = base.d_inode
        if dir.i_flags & S_DEAD:
            return ERR_PTR(-ENOENT)
        dentry = d_alloc(base, name)
        if dentry is None:
            return ERR_PTR(-ENOMEM)
        old = dir.i_op.lookup(dir, dentry, flags)
        if old is not None:
            dput(dentry)
            dentry = old
    if IS_ERR(dentry):
        return dentry
    if dentry.d_inode is None and not flags & LOOKUP_CREATE:
        dput(dentry)
        return ERR_PTR(-ENOENT)
    if dentry.d_inode is not None and flags & LOOKUP_EXCL:
        dput(dentry)
        return ERR_PTR(-EEXIST)
    return dentry


def lookup_fast(nd: nameidata) -> Any:
    table = nd.path.dentry.d_subdirs
    if table is None:
        return None
    dentry = table.get(nd.last)
    if dentry is None or dentry.d_lockref < 0:
        return None
    dentry.d_lockref += 1
    if this.watch is not None:
        this.watch.ref("dentry", dentry, 1)
    if dentry.d_flags & DCACHE_OP_REVALIDATE:
        status = d_revalidate(nd.inode, nd.last, dentry, nd.flags)
        if status <= 0:
            if not status:
                d_invalidate(dentry)
            dput(dentry)
            return ERR_PTR(status) if status else None
    return dentry


def __lookup_slow(name: Qstr, dir: Dentry, flags: int) -> Any:
    inode = dir.d_inode
    if inode.i_flags & S_DEAD:
        return ERR_PTR(-ENOENT)
    while True:
        dentry = d_alloc_parallel(dir, name)
        if IS_ERR(dentry):
            return dentry
        if not d_in_lookup(dentry):
            error = d_revalidate(inode, name.name, dentry, flags)
            if error <= 0:
                if not error:
                    d_invalidate(dentry)
                    dput(dentry)
                    continue
                dput(dentry)
                return ERR_PTR(error)
            return dentry
        old = inode.i_op.lookup(inode, dentry, flags)
        d_lookup_done(dentry)
        if old is not None:
            dput(dentry)
            return old
        return dentry


def lookup_slow(name: Qstr, dir: Dentry, flags: int) -> Any:
    inode = dir.d_inode
    inode_lock_shared(inode)
    res = __lookup_slow(name, dir, flags)
    inode_unlock_shared(inode)
    return res


def pick_link(nd: nameidata, link: Path, inode: Inode, flags: int) -> Any:
    """Push a symlink; its text, None if there is nothing left to walk, or an error."""
    if link.mnt is nd.path.mnt:
        mntget(link.mnt)
    nd.total_link_count += 1
    if nd.total_link_count > MAXSYMLINKS:
        path_put(link)
        return -ELOOP
    done = delayed_call()
    nd.stack.append((link, done))
    if flags & WALK_TRAILING:
        error = may_follow_link(nd, inode)
        if error:
            return error
    if nd.flags & LOOKUP_NO_SYMLINKS or link.mnt.mnt_flags & MNT_NOSYMFOLLOW:
        return -ELOOP
    if atime_needs_update(link, inode):
        touch_atime(link)
    res = inode.i_link
    if not res:
        res = inode.i_op.get_link(link.dentry, inode, done)
        if not res:
            put_link(nd)
            return None
        if IS_ERR(res):
            return PTR_ERR(res)
    text = link_text(res)
    if text.startswith(b"/"):
        error = nd_jump_root(nd)
        if error:
            return error
        text = text.lstrip(b"/")
    if text:
        return text
    put_link(nd)
    return None


def step_into(nd: nameidata, flags: int, dentry: Dentry) -> Any:
    """Go to ``dentry`` (a reference is given): None, a symlink's text, or an error."""
    d_flags = dentry.d_flags
    path = nd.path
    if d_flags & DCACHE_MANAGED_DENTRY:
        path = Path(nd.path.mnt, dentry)
        err, jumped = traverse_mounts(path, nd.flags)
        if jumped:
            nd.state |= ND_JUMPED
        if err:
            dput(path.dentry)
            if path.mnt is not nd.path.mnt:
                mntput(path.mnt)
            return err
        inside, mnt = path.dentry, path.mnt
    elif not d_flags & DCACHE_ENTRY_TYPE:
        dput(dentry)
        return -ENOENT
    else:
        inside, mnt = dentry, path.mnt
    if not d_is_symlink(inside) or (flags & WALK_TRAILING and not nd.flags & LOOKUP_FOLLOW) or flags & WALK_NOFOLLOW:
        if (not flags & WALK_NOFOLLOW and not nd.flags & LOOKUP_REVAL and mnt is nd.path.mnt and cant_mount(dentry)
                and d_unlinked(dentry)):
            dput(inside)                        # unlink_may_reveal()
            return -ESTALE
        dput(nd.path.dentry)
        if nd.path.mnt is not mnt:
            mntput(nd.path.mnt)
        nd.path = Path(mnt, inside)
        nd.inode = inside.d_inode
        return None
    return pick_link(nd, Path(mnt, inside), inside.d_inode, flags)


def follow_dotdot(nd: nameidata) -> Any:
    path = nd.path
    in_root = path.dentry is nd.root.dentry and path.mnt is nd.root.mnt
    if not in_root and path.dentry is path.mnt.mnt_root:
        up = Path()
        if choose_mountpoint(path.mnt, nd.root, up):
            path_put(path)
            nd.path = path = up
            nd.inode = up.dentry.d_inode
            if nd.flags & LOOKUP_NO_XDEV:
                return ERR_PTR(-EXDEV)
        else:
            in_root = True
    if in_root:
        return ERR_PTR(-EXDEV) if nd.flags & LOOKUP_BENEATH else dget(path.dentry)
    parent = dget_parent(path.dentry)
    if not path_connected(path.mnt, parent):
        dput(parent)
        return ERR_PTR(-ENOENT)
    return parent


def handle_dots(nd: nameidata, type: int) -> Any:
    if type == LAST_DOTDOT:
        if not nd.root.mnt:
            error = set_root(nd)
            if error:
                return error
        parent = follow_dotdot(nd)
        if IS_ERR(parent):
            return PTR_ERR(parent)
        return step_into(nd, WALK_NOFOLLOW, parent)
    return None


def walk_component(nd: nameidata, flags: int) -> Any:
    if nd.last_type != LAST_NORM:
        if nd.stack and not flags & WALK_MORE:
            put_link(nd)
        return handle_dots(nd, nd.last_type)
    dentry = lookup_fast(nd)
    if dentry is None:
        dentry = lookup_slow(Qstr(nd.last), nd.path.dentry, nd.flags)
    if type(dentry) is int:
        return PTR_ERR(dentry)
    if nd.stack and not flags & WALK_MORE:
        put_link(nd)
    return step_into(nd, flags, dentry)


def link_path_walk(name: Any, nd: nameidata) -> int:
    """All components but the last one, which ends up in nd.last; nested symlinks are followed."""
    nd.last_type = LAST_ROOT
    nd.flags |= LOOKUP_PARENT
    if type(name) is int:
        return int(name)
    pos, size = 0, len(name)
    while pos < size and name[pos] == 0x2F:
        pos += 1
    if pos == size:
        nd.dir_mode = 0
        return 0
    rest: list[tuple[bytes, int]] = []
    while True:
        err = lookup_inode_permission_may_exec(nd.path.mnt.mnt_idmap, nd.inode)
        if err:
            return err
        end = name.find(b"/", pos)
        if end < 0:
            end = size
        last = name[pos:end]
        nd.last = last
        nd.last_slash = end < size
        if last == b"..":
            nd.last_type = LAST_DOTDOT
            nd.state |= ND_JUMPED
        elif last == b".":
            nd.last_type = LAST_DOT
        else:
            nd.last_type = LAST_NORM
            nd.state &= ~ND_JUMPED
        pos = end
        while pos < size and name[pos] == 0x2F:
            pos += 1
        if pos == size:
            if not rest:
                nd.dir_vfsuid = nd.inode.i_uid
                nd.dir_mode = nd.inode.i_mode
                nd.flags &= ~LOOKUP_PARENT
                return 0
            name, pos = rest.pop()
            size = len(name)
            link = walk_component(nd, 0)
        else:
            link = walk_component(nd, WALK_MORE)
        if link is not None:
            if type(link) is int:
                return int(link)
            rest.append((name, pos))
            name, pos, size = link, 0, len(link)
            continue
        if not d_can_lookup(nd.path.dentry):
            return -ENOTDIR


@custom(C, "path_init", "walks with references from the start: there is no RCU walk")
def path_init(nd: nameidata, flags: int) -> Any:
    s = nd.pathname
    nd.flags = flags
    nd.state |= ND_JUMPED
    if nd.state & ND_ROOT_PRESET:
        root = nd.root.dentry
        if s and not d_can_lookup(root):
            return -ENOTDIR
        nd.path = nd.root.copy()
        nd.inode = root.d_inode
        path_get(nd.path)
        return s
    nd.root = Path()
    if s.startswith(b"/") and not flags & LOOKUP_IN_ROOT:
        return nd_jump_root(nd) or s
    if type(nd.dfd) is int:
        BUG_ON(nd.dfd != AT_FDCWD)
        get_fs_pwd(current_fs(), nd.path)
    else:
        assert isinstance(nd.dfd, File)
        if s and not d_can_lookup(nd.dfd.f_path.dentry):
            return -ENOTDIR
        nd.path = nd.dfd.f_path.copy()
        path_get(nd.path)
    nd.inode = nd.path.dentry.d_inode
    if flags & LOOKUP_IS_SCOPED:
        nd.root = nd.path.copy()
        path_get(nd.root)
        nd.state |= ND_ROOT_GRABBED
    return s


def handle_lookup_down(nd: nameidata) -> int:
    dget(nd.path.dentry)
    err = step_into(nd, WALK_NOFOLLOW, nd.path.dentry)
    return err or 0


def path_lookupat(nd: nameidata, flags: int, path: Path) -> int:
    s = path_init(nd, flags)
    if flags & LOOKUP_DOWN and type(s) is not int:
        err = handle_lookup_down(nd)
        if err < 0:
            s = err
    while True:
        err = link_path_walk(s, nd)
        if err:
            break
        if nd.last_type == LAST_NORM and nd.last_slash:
            nd.flags |= LOOKUP_FOLLOW | LOOKUP_DIRECTORY
        s = walk_component(nd, WALK_TRAILING)
        if s is None:
            break
    if not err and nd.flags & LOOKUP_MOUNTPOINT:
        err = handle_lookup_down(nd)
        nd.state &= ~ND_JUMPED
    if not err:
        err = complete_walk(nd)
    if not err and nd.flags & LOOKUP_DIRECTORY and not d_can_lookup(nd.path.dentry):
        err = -ENOTDIR
    if not err:
        path.set(nd.path)
        nd.path = Path()
    terminate_walk(nd)
    return err


@custom(C, "filename_lookup", "dfd is AT_FDCWD or a File")
def filename_lookup(dfd: int | File, name: Any, flags: int, path: Path, root: Path | None = None) -> int:
    """``int filename_lookup(int dfd, struct filename *name, unsigned flags, struct path *path, const struct path *root)``"""
    if type(name) is int:
        return int(name)
    retval = path_lookupat(nameidata(dfd, name, root), flags, path)
    if retval == -ESTALE:
        retval = path_lookupat(nameidata(dfd, name, root), flags | LOOKUP_REVAL, path)
    return retval


def is_local_mountpoint(dentry: Dentry) -> bool:
    return d_mountpoint(dentry) and any(m.mnt_mountpoint is dentry for m in namespace_g.init_mnt_ns.mounts)


@dup(C)
def start_dirop(parent: Dentry, name: Qstr, lookup_flags: int) -> Any:
    dir = parent.d_inode
    inode_lock(dir)
    dentry = lookup_one_qstr_excl(name, parent, lookup_flags)
    if IS_ERR(dentry):
        inode_unlock(dir)
    return dentry


@dup(C)
def end_dirop(de: Any) -> None:
    if not IS_ERR(de):
        inode_unlock(de.d_parent.d_inode)
        dput(de)


@dup(C)
def kern_path(name: str, flags: int, path: Path) -> int:
    """``int kern_path(const char *name, unsigned int flags, struct path *path)``: a referenced path; relative to the task's root
    or pwd.

    Return: 0, -ENOENT, -ENOTDIR, -EACCES, -ELOOP, -ENAMETOOLONG, -ENOMEM, or what the file system says.
    """
    return filename_lookup(AT_FDCWD, getname(name), flags, path)


@dup(C)
def vfs_path_lookup(dentry: object, mnt: object, name: str, flags: int, path: Path) -> int:
    """``int vfs_path_lookup(dentry, mnt, name, flags, path)``: below a given place, which is the root of the walk."""
    return filename_lookup(AT_FDCWD, getname(name), flags, path, Path(mnt, dentry))


@dup(C)
def lookup_one_common(idmap: Any, qname: Qstr, base: Dentry) -> int:
    """``int lookup_one_common(struct mnt_idmap *idmap, struct qstr *qname, struct dentry *base)``.

    Return: 0; -EACCES for no plain name.
    """
    name = qname.name
    if not name or name in (b".", b"..") or b"/" in name or b"\0" in name:
        return -EACCES
    return inode_permission(idmap, base.d_inode, MAY_EXEC)


@dup(C)
def lookup_one_unlocked(idmap: Any, name: Qstr, base: Dentry) -> Any:
    """``struct dentry *lookup_one_unlocked(struct mnt_idmap *idmap, struct qstr *name, struct dentry *base)``: maybe negative.

    Return: or ERR_PTR().
    """
    err = lookup_one_common(idmap, name, base)
    if err:
        return ERR_PTR(err)
    ret = lookup_dcache(name, base, 0)
    return ret if ret is not None else lookup_slow(name, base, 0)


@dup(C)
def lookup_one_positive_unlocked(idmap: Any, name: Qstr, base: Dentry) -> Any:
    """``struct dentry *lookup_one_positive_unlocked(idmap, name, base)``: ERR_PTR(-ENOENT) for a negative one."""
    ret = lookup_one_unlocked(idmap, name, base)
    if not IS_ERR(ret) and ret.d_inode is None:
        dput(ret)
        ret = ERR_PTR(-ENOENT)
    return ret


@dup(C)
def start_creating(idmap: Any, parent: Dentry, name: Qstr) -> Any:
    """``struct dentry *start_creating(struct mnt_idmap *idmap, struct dentry *parent, struct qstr *name)``: the parent is locked.

    Return: or ERR_PTR().
    """
    err = lookup_one_common(idmap, name, parent)
    return ERR_PTR(err) if err else start_dirop(parent, name, LOOKUP_CREATE)


@dup(C)
def start_removing(idmap: Any, parent: Dentry, name: Qstr) -> Any:
    """``struct dentry *start_removing(struct mnt_idmap *idmap, struct dentry *parent, struct qstr *name)``: positive.

    Return: or ERR_PTR(-ENOENT, ...).
    """
    err = lookup_one_common(idmap, name, parent)
    return ERR_PTR(err) if err else start_dirop(parent, name, 0)


@dup(C)
def start_removing_dentry(parent: Dentry, child: Dentry) -> Any:
    """``struct dentry *start_removing_dentry(struct dentry *parent, struct dentry *child)``: ERR_PTR(-EINVAL) if it is not there
    any more.
    """
    inode_lock(parent.d_inode)
    if parent.d_inode.i_flags & S_DEAD or child.d_parent is not parent or d_unhashed(child):
        inode_unlock(parent.d_inode)
        return ERR_PTR(-EINVAL)
    if d_is_negative(child):
        inode_unlock(parent.d_inode)
        return ERR_PTR(-ENOENT)
    return dget(child)


@dup(C)
def user_path_at(dfd: int | File, name: str | bytes, flags: int, path: Path) -> int:
    """``int user_path_at(int dfd, const char __user *name, unsigned flags, struct path *path)``: an empty name is -ENOENT."""
    return filename_lookup(dfd, getname(name, flags), flags, path)


@dup(C)
def may_delete_dentry(idmap: Any, dir: Inode, victim: Dentry, isdir: bool) -> int:
    """``int may_delete_dentry(idmap, dir, victim, isdir)``. Return: 0, -ENOENT, -EPERM, -ENOTDIR, -EISDIR, -EBUSY, ..."""
    inode = victim.d_inode
    if d_is_negative(victim):
        return -ENOENT
    BUG_ON(inode is None)
    BUG_ON(victim.d_parent.d_inode is not dir)
    if inode.i_uid == 0xFFFF_FFFF or inode.i_gid == 0xFFFF_FFFF:
        return -EOVERFLOW
    error = inode_permission(idmap, dir, MAY_WRITE | MAY_EXEC)
    if error:
        return error
    if dir.i_flags & S_APPEND:
        return -EPERM
    sticky = (dir.i_mode & S_ISVTX and current_fsuid() not in (inode.i_uid, dir.i_uid)
              and not capable_wrt_inode_uidgid(idmap, inode, CAP_FOWNER))
    if sticky or inode.i_flags & (S_APPEND | S_IMMUTABLE | S_SWAPFILE):
        return -EPERM
    if isdir:
        if not d_is_dir(victim):
            return -ENOTDIR
        if victim is victim.d_parent:
            return -EBUSY
    elif d_is_dir(victim):
        return -EISDIR
    return -ENOENT if dir.i_flags & S_DEAD else 0


def vfs_prepare_mode(idmap: Any, dir: Inode, mode: int, mask_perms: int, type: int) -> int:
    if (mode & (S_ISGID | 0o010) == S_ISGID | 0o010 and not S_ISDIR(mode) and dir.i_mode & S_ISGID
        and not in_group_or_capable(idmap, dir, dir.i_gid)):
        mode &= ~S_ISGID                        # mode_strip_sgid()
    if not dir.i_sb.s_flags & SB_POSIXACL and not dir.i_sb.s_iflags & SB_I_NOUMASK:
        mode &= ~current_fs().umask             # mode_strip_umask()
    return mode & mask_perms & ~S_IFMT | type & S_IFMT


@dup(C)
def may_create_dentry(idmap: Any, dir: Inode, child: Dentry) -> int:
    """``int may_create_dentry(struct mnt_idmap *idmap, struct inode *dir, struct dentry *child)``.

    Return: 0, -EEXIST, -ENOENT, -EACCES, ...
    """
    if child.d_inode is not None:
        return -EEXIST
    if dir.i_flags & S_DEAD:
        return -ENOENT
    return inode_permission(idmap, dir, MAY_WRITE | MAY_EXEC)


def lock_two_directories(p1: Dentry, p2: Dentry) -> Any:
    p, q = p1, p2
    while True:
        r = p.d_parent
        if r is p2 or r is p:
            break
        p = r
    if r is p2:
        # p is a child of p2 and an ancestor of p1 or p1 itself
        inode_lock(p2.d_inode)
        inode_lock(p1.d_inode)
        return p
    # p is the root of connected component that contains p1; p2 does not occur on the path from p to p1
    while True:
        r = q.d_parent
        if r is p1 or r is p or r is q:
            break
        q = r
    if r is p1:
        # q is a child of p1 and an ancestor of p2 or p2 itself
        inode_lock(p1.d_inode)
        inode_lock(p2.d_inode)
        return q
    if r is p:
        # both p2 and p1 are descendents of p
        inode_lock(p1.d_inode)
        inode_lock(p2.d_inode)
        return None
    mutex_unlock(p1.d_sb.s_vfs_rename_mutex)
    return ERR_PTR(-EXDEV)


def lock_rename(p1: Dentry, p2: Dentry) -> Any:
    """Lock both directories: None, the child of one that is an ancestor of the other, or ERR_PTR(-EXDEV)."""
    if p1 is p2:
        inode_lock(p1.d_inode)
        return None
    mutex_lock(p1.d_sb.s_vfs_rename_mutex)
    return lock_two_directories(p1, p2)


def lock_rename_child(c1: Dentry, p2: Dentry) -> Any:
    if c1.d_parent is p2:
        inode_lock(p2.d_inode)
        if c1.d_parent is p2:
            return None
        inode_unlock(p2.d_inode)
    mutex_lock(c1.d_sb.s_vfs_rename_mutex)
    if c1.d_parent is not p2:
        return lock_two_directories(c1.d_parent, p2)
    inode_lock(p2.d_inode)
    mutex_unlock(c1.d_sb.s_vfs_rename_mutex)
    return None


def unlock_rename(p1: Dentry, p2: Dentry) -> None:
    inode_unlock(p1.d_inode)
    if p1 is not p2:
        inode_unlock(p2.d_inode)
        mutex_unlock(p1.d_sb.s_vfs_rename_mutex)


def _target_flags(rd: renamedata) -> int:
    flags = 0 if rd.flags & RENAME_EXCHANGE else LOOKUP_RENAME_TARGET | LOOKUP_CREATE
    return flags | (LOOKUP_EXCL if rd.flags & RENAME_NOREPLACE else 0)


def _trapped(rd: renamedata, trap: Any, old: Dentry, new: Dentry) -> int:
    if trap is not None and old is trap:
        return -EINVAL                          # source is an ancestor of target
    if trap is not None and new is trap:
        return -EINVAL if rd.flags & RENAME_EXCHANGE else -ENOTEMPTY
    return 0


def __start_renaming(rd: renamedata, lookup_flags: int, old_last: Qstr, new_last: Qstr) -> int:
    trap = lock_rename(rd.old_parent, rd.new_parent)
    if IS_ERR(trap):
        return PTR_ERR(trap)
    d1 = lookup_one_qstr_excl(old_last, rd.old_parent, lookup_flags)
    if IS_ERR(d1):
        unlock_rename(rd.old_parent, rd.new_parent)
        return PTR_ERR(d1)
    d2 = lookup_one_qstr_excl(new_last, rd.new_parent, lookup_flags | _target_flags(rd))
    err = PTR_ERR(d2) if IS_ERR(d2) else _trapped(rd, trap, d1, d2)
    if err:
        if not IS_ERR(d2):
            dput(d2)
        dput(d1)
        unlock_rename(rd.old_parent, rd.new_parent)
        return err
    rd.old_dentry, rd.new_dentry = d1, d2
    dget(rd.old_parent)
    return 0


@dup(C)
def start_renaming(rd: renamedata, lookup_flags: int, old_last: Qstr, new_last: Qstr) -> int:
    """``int start_renaming(struct renamedata *rd, int lookup_flags, struct qstr *old_last, struct qstr *new_last)``.

    Return: 0, -ENOENT, -EINVAL, ...
    """
    err = lookup_one_common(rd.mnt_idmap, old_last, rd.old_parent) or lookup_one_common(rd.mnt_idmap, new_last, rd.new_parent)
    return err or __start_renaming(rd, lookup_flags, old_last, new_last)


def _locked_child(rd: renamedata, old_dentry: Dentry) -> tuple[Any, int]:
    """Lock for a source that is known: (trap, error); nothing is locked after an error."""
    trap = lock_rename_child(old_dentry, rd.new_parent)
    if IS_ERR(trap):
        return None, PTR_ERR(trap)
    if d_unhashed(old_dentry) or (rd.old_parent is not None and rd.old_parent is not old_dentry.d_parent):
        unlock_rename(old_dentry.d_parent, rd.new_parent)
        return None, -EINVAL                    # removed, or moved and explicit parent requested
    return trap, 0


@dup(C)
def start_renaming_dentry(rd: renamedata, lookup_flags: int, old_dentry: Dentry, new_last: Qstr) -> int:
    """``int start_renaming_dentry(struct renamedata *rd, int lookup_flags, struct dentry *old_dentry, struct qstr *new_last)``"""
    err = lookup_one_common(rd.mnt_idmap, new_last, rd.new_parent)
    if err:
        return err
    trap, err = _locked_child(rd, old_dentry)
    if err:
        return err
    d2 = lookup_one_qstr_excl(new_last, rd.new_parent, lookup_flags | _target_flags(rd))
    err = PTR_ERR(d2) if IS_ERR(d2) else _trapped(rd, trap, old_dentry, d2)
    if err:
        if not IS_ERR(d2):
            dput(d2)
        unlock_rename(old_dentry.d_parent, rd.new_parent)
        return err
    rd.old_dentry, rd.new_dentry = dget(old_dentry), d2
    rd.old_parent = dget(old_dentry.d_parent)
    return 0


@dup(C)
def start_renaming_two_dentries(rd: renamedata, old_dentry: Dentry, new_dentry: Dentry) -> int:
    """``int start_renaming_two_dentries(struct renamedata *rd, struct dentry *old_dentry, struct dentry *new_dentry)``"""
    trap, err = _locked_child(rd, old_dentry)
    if err:
        return err
    if d_unhashed(new_dentry) or rd.new_parent is not new_dentry.d_parent:
        err = -EINVAL                           # removed or moved
    else:
        err = _trapped(rd, trap, old_dentry, new_dentry)
    if not err and new_dentry.d_inode is not None and rd.flags & RENAME_NOREPLACE:
        err = -EEXIST
    if err:
        unlock_rename(old_dentry.d_parent, rd.new_parent)
        return err
    rd.old_dentry, rd.new_dentry = dget(old_dentry), dget(new_dentry)
    rd.old_parent = dget(old_dentry.d_parent)
    return 0


@dup(C)
def end_renaming(rd: renamedata) -> None:
    """``void end_renaming(struct renamedata *rd)``"""
    unlock_rename(rd.old_parent, rd.new_parent)
    dput(rd.old_dentry)
    dput(rd.new_dentry)
    dput(rd.old_parent)


@dup(C)
def vfs_create(idmap: Any, dentry: Dentry, mode: int, di: Any = None) -> int:
    """``int vfs_create(struct mnt_idmap *idmap, struct dentry *dentry, umode_t mode, struct delegated_inode *di)``"""
    dir = dentry.d_parent.d_inode
    error = may_create_dentry(idmap, dir, dentry)
    if error:
        return error
    if dir.i_op.create is None:
        return -EACCES
    return int(dir.i_op.create(idmap, dir, dentry, vfs_prepare_mode(idmap, dir, mode, S_IALLUGO, S_IFREG), True))


@dup(C)
def may_open_dev(path: Path) -> bool:
    """``bool may_open_dev(const struct path *path)``: device nodes count on this mount."""
    return not path.mnt.mnt_flags & MNT_NODEV and not path.mnt.mnt_sb.s_iflags & SB_I_NODEV


@dup(C)
def may_open(idmap: Any, path: Path, acc_mode: int, flag: int) -> int:
    """``static int may_open(struct mnt_idmap *idmap, const struct path *path, int acc_mode, int flag)``.

    Return: 0, -ENOENT, -ELOOP, -EISDIR, ...
    """
    from kemu.linux.fs.exec import path_noexec  # noqa: PLC0415  (circle: fs/exec.c needs this)

    dentry = path.dentry
    inode = dentry.d_inode

    if not inode:
        return -ENOENT

    kind = inode.i_mode & S_IFMT
    if kind == S_IFLNK:
        return -ELOOP
    elif kind == S_IFDIR:
        if acc_mode & MAY_WRITE:
            return -EISDIR
        if acc_mode & MAY_EXEC:
            return -EACCES
    elif kind in (S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK):
        if kind in (S_IFBLK, S_IFCHR):
            if not may_open_dev(path):
                return -EACCES
        if acc_mode & MAY_EXEC:
            return -EACCES
        flag &= ~O_TRUNC
    elif kind == S_IFREG:
        if acc_mode & MAY_EXEC and path_noexec(path):
            return -EACCES

    error = inode_permission(idmap, inode, MAY_OPEN | acc_mode)
    if error:
        return error

    # An append-only file must be opened in append mode for writing.
    if IS_APPEND(inode):
        if flag & O_ACCMODE != O_RDONLY and not flag & O_APPEND:
            return -EPERM
        if flag & O_TRUNC:
            return -EPERM

    # O_NOATIME can only be set by the owner or superuser
    if flag & O_NOATIME and not inode_owner_or_capable(idmap, inode):
        return -EPERM

    return 0


@dup(C)
def handle_truncate(idmap: Any, filp: File) -> int:
    """``static int handle_truncate(struct mnt_idmap *idmap, struct file *filp)``"""
    from kemu.linux.fs.open import do_truncate  # noqa: PLC0415  (circle: fs/open.c needs this)

    path = filp.f_path
    inode = path.dentry.d_inode
    error = get_write_access(inode)
    if error:
        return error

    error = do_truncate(idmap, path.dentry, 0, ATTR_MTIME | ATTR_CTIME | ATTR_OPEN, filp)
    put_write_access(inode)
    return error


@dup(C)
def open_to_namei_flags(flag: int) -> int:
    """``static int open_to_namei_flags(int flag)``"""
    if flag & O_ACCMODE == 3:
        flag -= 1
    return flag


@dup(C)
def may_o_create(idmap: Any, dir: Path, dentry: Dentry, mode: int) -> int:
    """``static int may_o_create(struct mnt_idmap *idmap, const struct path *dir, struct dentry *dentry, umode_t mode)``"""
    return inode_permission(idmap, dir.dentry.d_inode, MAY_WRITE | MAY_EXEC)


@dup(C)
def atomic_open(path: Path, dentry: Dentry, file: File, open_flag: int, mode: int) -> Any:
    """``static struct dentry *atomic_open(const struct path *path, struct dentry *dentry, struct file *file, int open_flag,
    umode_t mode)``

    Return: the dentry, which may be negative, or ERR_PTR(); FMODE_OPENED if the file is open.
    """
    DENTRY_NOT_SET: Any = object()
    dir = path.dentry.d_inode

    file.f_path = Path(path.mnt, DENTRY_NOT_SET)
    error = dir.i_op.atomic_open(dir, dentry, file, open_to_namei_flags(open_flag), mode)
    d_lookup_done(dentry)
    if not error:
        if file.f_mode & FMODE_OPENED:
            if dentry is not file.f_path.dentry:
                dput(dentry)
                dentry = dget(file.f_path.dentry)
        elif WARN_ON(file.f_path.dentry is DENTRY_NOT_SET):
            error = -EIO
        else:
            if file.f_path.dentry:
                dput(dentry)
                dentry = file.f_path.dentry
            if d_is_negative(dentry):
                error = -ENOENT
    if error:
        dput(dentry)
        return ERR_PTR(error)
    return dentry


@dup(C)
def lookup_open(nd: nameidata, file: File, op: open_flags, got_write: bool, delegated_inode: Any = None) -> Any:
    """``static struct dentry *lookup_open(nd, file, op, got_write, delegated_inode)``: looks up, and maybe creates, the last
    component.

    Context: the directory is locked. Return: or ERR_PTR().
    """
    dir = nd.path.dentry
    dir_inode = dir.d_inode
    open_flag = op.open_flag
    create_error = 0
    mode = op.mode

    if IS_DEADDIR(dir_inode):
        return ERR_PTR(-ENOENT)

    file.f_mode &= ~FMODE_CREATED
    last = Qstr(nd.last)
    dentry: Any = d_lookup(dir, last)
    while True:
        if not dentry:
            dentry = d_alloc_parallel(dir, last)
            if IS_ERR(dentry):
                return dentry
        if d_in_lookup(dentry):
            break

        error = d_revalidate(dir_inode, nd.last, dentry, nd.flags)
        if error > 0:
            break
        if error:
            dput(dentry)
            return ERR_PTR(error)
        d_invalidate(dentry)
        dput(dentry)
        dentry = None
    if dentry.d_inode:
        # Cached positive dentry: will open in f_op->open
        return dentry

    # Checking write permission is tricky, because we don't know if we are going to actually need it: O_CREAT opens should work as
    # long as the file exists.  But checking existence breaks atomicity.  The trick is to check access and if not granted clear
    # O_CREAT from the flags. Another problem is returning the "right" error value (e.g. for an O_EXCL open we want to return
    # EEXIST not EROFS).
    if not got_write:
        open_flag &= ~O_TRUNC
    idmap = nd.path.mnt.mnt_idmap
    if open_flag & O_CREAT:
        if open_flag & O_EXCL:
            open_flag &= ~O_TRUNC
        mode = vfs_prepare_mode(idmap, dir.d_inode, mode, mode, mode)
        if got_write:
            create_error = may_o_create(idmap, nd.path, dentry, mode)
        else:
            create_error = -EROFS
    if create_error:
        open_flag &= ~O_CREAT
    if dir_inode.i_op.atomic_open:
        if nd.flags & LOOKUP_DIRECTORY:
            open_flag |= O_DIRECTORY
        dentry = atomic_open(nd.path, dentry, file, open_flag, mode)
        if create_error and dentry == ERR_PTR(-ENOENT):
            dentry = ERR_PTR(create_error)
        return dentry

    if d_in_lookup(dentry):
        res = dir_inode.i_op.lookup(dir_inode, dentry, nd.flags)
        d_lookup_done(dentry)
        if res:
            if IS_ERR(res):
                dput(dentry)
                return res
            dput(dentry)
            dentry = res

    # Negative dentry, just create the file
    if not dentry.d_inode and open_flag & O_CREAT:
        file.f_mode |= FMODE_CREATED
        if not dir_inode.i_op.create:
            dput(dentry)
            return ERR_PTR(-EACCES)

        error = dir_inode.i_op.create(idmap, dir_inode, dentry, mode, bool(open_flag & O_EXCL))
        if error:
            dput(dentry)
            return ERR_PTR(error)
    if create_error and not dentry.d_inode:
        dput(dentry)
        return ERR_PTR(create_error)
    return dentry


@dup(C)
def trailing_slashes(nd: nameidata) -> bool:
    """``static bool trailing_slashes(struct nameidata *nd)``"""
    return nd.last_slash


@dup(C)
def lookup_fast_for_open(nd: nameidata, open_flag: int) -> Any:
    """``static struct dentry *lookup_fast_for_open(struct nameidata *nd, int open_flag)``.

    Return: NULL if it has to be looked up, or ERR_PTR().
    """
    if open_flag & O_CREAT:
        if trailing_slashes(nd):
            return ERR_PTR(-EISDIR)

        # Don't bother on an O_EXCL create
        if open_flag & O_EXCL:
            return NULL

    if trailing_slashes(nd):
        nd.flags |= LOOKUP_FOLLOW | LOOKUP_DIRECTORY

    dentry = lookup_fast(nd)
    if IS_ERR_OR_NULL(dentry):
        return dentry

    if open_flag & O_CREAT:
        if d_is_negative(dentry):
            dput(dentry)
            dentry = NULL
    return dentry


@dup(C)
def open_last_lookups(nd: nameidata, file: File, op: open_flags) -> Any:
    """``static const char *open_last_lookups(struct nameidata *nd, struct file *file, const struct open_flags *op)``

    Return: None when nd.path is there, a symlink's text, or an error.
    """
    dir = nd.path.dentry
    open_flag = op.open_flag
    got_write = False

    nd.flags |= op.intent

    if nd.last_type != LAST_NORM:
        if nd.stack:
            put_link(nd)
        return handle_dots(nd, nd.last_type)

    dentry = lookup_fast_for_open(nd, open_flag)
    if IS_ERR(dentry):
        return PTR_ERR(dentry)

    if not dentry:                                              # else goto finish_lookup
        if open_flag & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR):
            got_write = not mnt_want_write(nd.path.mnt)
            # do _not_ fail yet - we might not need that or fail with a different error; let lookup_open() decide; we'll be
            # dropping this one anyway.
        if open_flag & O_CREAT:
            inode_lock(dir.d_inode)
        else:
            inode_lock_shared(dir.d_inode)
        dentry = lookup_open(nd, file, op, got_write)
        if open_flag & O_CREAT:
            inode_unlock(dir.d_inode)
        else:
            inode_unlock_shared(dir.d_inode)

        if got_write:
            mnt_drop_write(nd.path.mnt)

        if IS_ERR(dentry):
            return PTR_ERR(dentry)

        if file.f_mode & (FMODE_OPENED | FMODE_CREATED):
            dput(nd.path.dentry)
            nd.path.dentry = dentry
            return NULL

    if nd.stack:
        put_link(nd)
    res = step_into(nd, WALK_TRAILING, dentry)
    if res is not None:
        nd.flags &= ~(LOOKUP_OPEN | LOOKUP_CREATE | LOOKUP_EXCL)
    return res


@dup(C)
def do_open(nd: nameidata, file: File, op: open_flags) -> int:
    """``static int do_open(struct nameidata *nd, struct file *file, const struct open_flags *op)``: the last step of open()."""
    from kemu.linux.fs.open import vfs_open  # noqa: PLC0415  (circle: fs/open.c needs this)

    open_flag = op.open_flag

    if not file.f_mode & (FMODE_OPENED | FMODE_CREATED):
        error = complete_walk(nd)
        if error:
            return error
    idmap = nd.path.mnt.mnt_idmap
    if open_flag & O_CREAT:
        if open_flag & O_EXCL and not file.f_mode & FMODE_CREATED:
            return -EEXIST
        if d_is_dir(nd.path.dentry):
            return -EISDIR
        error = may_create_in_sticky(idmap, nd, d_backing_inode(nd.path.dentry))
        if error:
            return error

    if open_flag & __O_REGULAR and not d_is_reg(nd.path.dentry):
        return -EFTYPE

    if nd.flags & LOOKUP_DIRECTORY and not d_can_lookup(nd.path.dentry):
        return -ENOTDIR

    do_truncate = False
    acc_mode = op.acc_mode
    if file.f_mode & FMODE_CREATED:
        # Don't check for write permission, don't truncate
        open_flag &= ~O_TRUNC
        acc_mode = 0
    elif d_is_reg(nd.path.dentry) and open_flag & O_TRUNC:
        error = mnt_want_write(nd.path.mnt)
        if error:
            return error
        do_truncate = True
    error = may_open(idmap, nd.path, acc_mode, open_flag)
    if not error and not file.f_mode & FMODE_OPENED:
        error = vfs_open(nd.path, file)
    if not error and do_truncate:
        error = handle_truncate(idmap, file)
    if error > 0:
        WARN_ON(1)
        error = -EINVAL
    if do_truncate:
        mnt_drop_write(nd.path.mnt)
    return error


@dup(C)
def vfs_tmpfile(idmap: Any, parentpath: Path, file: File, mode: int) -> int:
    """``int vfs_tmpfile(idmap, parentpath, file, mode)``. Return: 0, -EOPNOTSUPP, -EACCES, ..."""
    dir = parentpath.dentry.d_inode
    open_flag = file.f_flags
    error = inode_permission(idmap, dir, MAY_WRITE | MAY_EXEC)
    if error:
        return error
    if dir.i_op.tmpfile is None:
        return -EOPNOTSUPP
    child = d_alloc(parentpath.dentry, slash_name)
    if child is None:
        return -ENOMEM
    file.f_path = Path(parentpath.mnt, child)
    mode = vfs_prepare_mode(idmap, dir, mode, mode, mode)
    error = dir.i_op.tmpfile(idmap, dir, file, mode)
    dput(child)
    if error:
        return int(error)
    # Don't check for other permissions, the inode was just created
    error = may_open(idmap, file.f_path, 0, file.f_flags)
    if error:
        return error
    inode = file.f_inode
    if not open_flag & O_EXCL:
        spin_lock(inode.i_lock)
        inode.i_state |= I_LINKABLE
        spin_unlock(inode.i_lock)
    return 0


@dup(C)
def kernel_tmpfile_open(idmap: Any, parentpath: Path, mode: int, open_flag: int, cred: Cred) -> Any:
    """``struct file *kernel_tmpfile_open(struct mnt_idmap *idmap, const struct path *parentpath, umode_t mode, int open_flag,
    const struct cred *cred)``: ERR_PTR() of what vfs_tmpfile() returns, -ENFILE, -ENOMEM."""
    from kemu.linux.fs.file_table import alloc_empty_file_noaccount, fput  # noqa: PLC0415  (circle: fs/file_table.c needs this)

    file = alloc_empty_file_noaccount(open_flag, cred)
    if IS_ERR(file):
        return file

    error = vfs_tmpfile(idmap, parentpath, file, mode)
    if error:
        fput(file)
        file = ERR_PTR(error)
    return file


@dup(C)
def do_tmpfile(nd: nameidata, flags: int, op: open_flags, file: File) -> int:
    """``static int do_tmpfile(struct nameidata *nd, unsigned flags, const struct open_flags *op, struct file *file)``"""
    path = Path()
    labels = Labels()

    @labels.label
    def out2() -> None:
        mnt_drop_write(path.mnt)

    @labels.label
    def out() -> None:
        path_put(path)

    error = path_lookupat(nd, flags | LOOKUP_DIRECTORY, path)

    if error:
        return error
    error = mnt_want_write(path.mnt)
    if error:
        return labels.goto(out, error)
    error = vfs_tmpfile(path.mnt.mnt_idmap, path, file, op.mode)
    return labels.goto(out2, error)


@dup(C)
def do_o_path(nd: nameidata, flags: int, file: File) -> int:
    """``static int do_o_path(struct nameidata *nd, unsigned flags, struct file *file)``"""
    from kemu.linux.fs.open import vfs_open  # noqa: PLC0415  (circle: fs/open.c needs this)

    path = Path()
    error = path_lookupat(nd, flags, path)
    if not error:
        error = vfs_open(path, file)
        path_put(path)
    return error


@dup(C)
def path_openat(nd: nameidata, op: open_flags, flags: int) -> Any:
    """``static struct file *path_openat(struct nameidata *nd, const struct open_flags *op, unsigned flags)``.

    Return: or ERR_PTR().
    """
    from kemu.linux.fs.file_table import alloc_empty_file, fput_close  # noqa: PLC0415  (circle: fs/file_table.c needs this)

    file = alloc_empty_file(op.open_flag, current_cred())
    if IS_ERR(file):
        return file

    if file.f_flags & __O_TMPFILE:
        error = do_tmpfile(nd, flags, op, file)
    elif file.f_flags & O_PATH:
        error = do_o_path(nd, flags, file)
    else:
        s = path_init(nd, flags)
        while True:
            error = link_path_walk(s, nd)
            if error:
                break
            s = open_last_lookups(nd, file, op)
            if s is None:
                break
        if not error:
            error = do_open(nd, file, op)
        terminate_walk(nd)
    if not error:
        if file.f_mode & FMODE_OPENED:
            return file
        WARN_ON(1)
        error = -EINVAL
    fput_close(file)
    if error == -EOPENSTALE:
        error = -ESTALE
    return ERR_PTR(error)


@dup(C)
def do_file_open(dfd: int | File, pathname: Any, op: open_flags) -> Any:
    """``struct file *do_file_open(int dfd, struct filename *pathname, const struct open_flags *op)``. Return: or ERR_PTR()."""
    flags = op.lookup_flags
    if type(pathname) is int:                       # the error of getname()
        return ERR_PTR(pathname)
    filp = path_openat(nameidata(dfd, pathname, None), op, flags)
    if filp == ERR_PTR(-ESTALE):
        filp = path_openat(nameidata(dfd, pathname, None), op, flags | LOOKUP_REVAL)
    return filp


@dup(C)
def do_file_open_root(root: Path, name: str, op: open_flags) -> Any:
    """``struct file *do_file_open_root(const struct path *root, const char *name, const struct open_flags *op)``.

    Return: or ERR_PTR().
    """
    flags = op.lookup_flags
    if d_is_symlink(root.dentry) and op.intent & LOOKUP_OPEN:
        return ERR_PTR(-ELOOP)

    filename: Any = getname(name)
    if type(filename) is int:                       # its error
        return ERR_PTR(filename)

    file = path_openat(nameidata(-1, filename, root), op, flags)
    if file == ERR_PTR(-ESTALE):
        file = path_openat(nameidata(-1, filename, root), op, flags | LOOKUP_REVAL)
    return file


@dup(C)
def start_creating_path(dfd: int | File, pathname: str, path: Path, lookup_flags: int) -> Any:
    """``struct dentry *start_creating_path(int dfd, const char *pathname, struct path *path, unsigned int lookup_flags)``.

    Return: or ERR_PTR().
    """
    return filename_create(dfd, getname(pathname), path, lookup_flags)


def filename_create(dfd: int | File, name: Any, path: Path, lookup_flags: int) -> Any:
    """The negative dentry to make; its directory is locked and the mount writable. To be ended by end_creating_path()."""
    last = Ref()
    error = filename_parentat(dfd, name, 0, path, last)
    if error:
        return ERR_PTR(error)
    comp, slash, type = last.v
    dentry: Any = ERR_PTR(-EEXIST)
    if type == LAST_NORM:
        error = mnt_want_write(path.mnt)
        create_flags = LOOKUP_EXCL if slash and not lookup_flags & LOOKUP_DIRECTORY else LOOKUP_CREATE | LOOKUP_EXCL
        dentry = start_dirop(path.dentry, Qstr(comp), create_flags)
        if not IS_ERR(dentry):
            if not error:
                return dentry
            end_dirop(dentry)
            dentry = ERR_PTR(error)
        if not error:
            mnt_drop_write(path.mnt)
    path_put(path)
    return dentry


@dup(C)
def end_creating_path(path: Path, dentry: Any) -> None:
    """``void end_creating_path(const struct path *path, struct dentry *dentry)``"""
    if IS_ERR(dentry):
        pass                                    # vfs_mkdir() has unlocked already
    else:
        end_dirop(dentry)
    mnt_drop_write(path.mnt)
    path_put(path)


@dup(C)
def vfs_mknod(idmap: Any, dir: Inode, dentry: Dentry, mode: int, dev: int, di: Any = None) -> int:
    """``int vfs_mknod(idmap, dir, dentry, mode, dev, delegated_inode)``. Return: 0, -EPERM, -EEXIST, ..."""
    error = may_create_dentry(idmap, dir, dentry)
    if error:
        return error
    kind = mode & S_IFMT
    if kind in (S_IFCHR, S_IFBLK) and not (kind == S_IFCHR and dev == 0) and not capable(CAP_MKNOD):
        return -EPERM
    if dir.i_op.mknod is None:
        return -EPERM
    return int(dir.i_op.mknod(idmap, dir, dentry, vfs_prepare_mode(idmap, dir, mode, mode, mode), dev))


@dup(C)
def filename_mknodat(dfd: int | File, name: Any, mode: int, dev: int) -> int:
    """``int filename_mknodat(int dfd, struct filename *name, umode_t mode, unsigned int dev)``: dev as user space encodes it."""
    kind = mode & S_IFMT
    if kind == S_IFDIR:
        return -EPERM
    if kind not in (0, S_IFREG, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK):
        return -EINVAL
    path = Path()
    dentry = filename_create(dfd, name, path, 0)
    if IS_ERR(dentry):
        return PTR_ERR(dentry)
    idmap = path.mnt.mnt_idmap
    if kind in (0, S_IFREG):
        error = vfs_create(idmap, dentry, mode)
    else:
        error = vfs_mknod(idmap, path.dentry.d_inode, dentry, mode, new_decode_dev(dev) if kind in (S_IFCHR, S_IFBLK) else 0)
    end_creating_path(path, dentry)
    return error


@dup(C)
def vfs_mkdir(idmap: Any, dir: Inode, dentry: Dentry, mode: int, di: Any = None) -> Any:
    """``struct dentry *vfs_mkdir(idmap, dir, dentry, mode, delegated_inode)``: the dentry to use. On an error the directory is
    unlocked.
    """
    error = may_create_dentry(idmap, dir, dentry)
    if not error:
        if dir.i_op.mkdir is None:
            error = -EPERM
        elif dir.i_sb.s_max_links and dir.i_nlink >= dir.i_sb.s_max_links:
            error = -EMLINK
        else:
            de = dir.i_op.mkdir(idmap, dir, dentry, vfs_prepare_mode(idmap, dir, mode, S_IRWXUGO | S_ISVTX, 0))
            if de is None or de == 0:           # ERR_PTR(0) is NULL
                return dentry
            if not IS_ERR(de):
                dput(dentry)
                return de
            error = PTR_ERR(de)
    end_dirop(dentry)
    return ERR_PTR(error)


@dup(C)
def filename_mkdirat(dfd: int | File, name: Any, mode: int) -> int:
    """``int filename_mkdirat(int dfd, struct filename *name, umode_t mode)``"""
    path = Path()
    dentry = filename_create(dfd, name, path, LOOKUP_DIRECTORY)
    if IS_ERR(dentry):
        return PTR_ERR(dentry)
    dentry = vfs_mkdir(path.mnt.mnt_idmap, path.dentry.d_inode, dentry, mode)
    end_creating_path(path, dentry)
    return PTR_ERR(dentry) if IS_ERR(dentry) else 0


@dup(C)
def vfs_rmdir(idmap: Any, dir: Inode, dentry: Dentry, di: Any = None) -> int:
    """``int vfs_rmdir(idmap, dir, dentry, delegated_inode)``.

    Return: 0, -EPERM, -EBUSY (a mountpoint), -ENOTDIR, -ENOTEMPTY, ...
    """
    error = may_delete_dentry(idmap, dir, dentry, True)
    if error:
        return error
    if dir.i_op.rmdir is None:
        return -EPERM
    dget(dentry)
    inode = dentry.d_inode
    inode_lock(inode)
    if is_local_mountpoint(dentry) or inode.i_flags & S_KERNEL_FILE:
        error = -EBUSY
    else:
        error = dir.i_op.rmdir(dir, dentry)
        if not error:
            shrink_dcache_parent(dentry)
            inode.i_flags |= S_DEAD
            dont_mount(dentry)
            detach_mounts(dentry)
    inode_unlock(inode)
    dput(dentry)
    if not error and dentry.d_inode is not None:
        d_delete(dentry)
    return error


@dup(C)
def filename_rmdir(dfd: int | File, name: Any) -> int:
    """``int filename_rmdir(int dfd, struct filename *name)``"""
    path, last = Path(), Ref()
    error = filename_parentat(dfd, name, 0, path, last)
    if error:
        return error
    comp, _, type = last.v
    if type != LAST_NORM:
        error = {LAST_DOTDOT: -ENOTEMPTY, LAST_DOT: -EINVAL}.get(type, -EBUSY)
    else:
        error = mnt_want_write(path.mnt)
        if not error:
            dentry = start_dirop(path.dentry, Qstr(comp), 0)
            if IS_ERR(dentry):
                error = PTR_ERR(dentry)
            else:
                error = vfs_rmdir(path.mnt.mnt_idmap, path.dentry.d_inode, dentry)
                end_dirop(dentry)
            mnt_drop_write(path.mnt)
    path_put(path)
    return error


@dup(C)
def vfs_unlink(idmap: Any, dir: Inode, dentry: Dentry, di: Any = None) -> int:
    """``int vfs_unlink(idmap, dir, dentry, delegated_inode)``. Return: 0, -EPERM, -EBUSY (a mountpoint), -EISDIR, ..."""
    target = dentry.d_inode
    error = may_delete_dentry(idmap, dir, dentry, False)
    if error:
        return error
    if dir.i_op.unlink is None:
        return -EPERM
    inode_lock(target)
    if target.i_flags & S_SWAPFILE:
        error = -EPERM
    elif is_local_mountpoint(dentry):
        error = -EBUSY
    else:
        error = dir.i_op.unlink(dir, dentry)
        if not error:
            dont_mount(dentry)
            detach_mounts(dentry)
    inode_unlock(target)
    if not error and dentry.d_inode is not None:
        d_delete(dentry)
    return error


@dup(C)
def filename_unlinkat(dfd: int | File, name: Any) -> int:
    """``int filename_unlinkat(int dfd, struct filename *name)``"""
    path, last = Path(), Ref()
    error = filename_parentat(dfd, name, 0, path, last)
    if error:
        return error
    comp, slash, type = last.v
    error = -EISDIR
    if type == LAST_NORM:
        error = mnt_want_write(path.mnt)
        if not error:
            dentry = start_dirop(path.dentry, Qstr(comp), 0)
            if IS_ERR(dentry):
                error = PTR_ERR(dentry)
            elif slash:
                error = -EISDIR if d_is_dir(dentry) else -ENOTDIR
                end_dirop(dentry)
            else:
                inode = dentry.d_inode
                ihold(inode)
                error = vfs_unlink(path.mnt.mnt_idmap, path.dentry.d_inode, dentry)
                end_dirop(dentry)
                iput(inode)              # truncate the inode here
            mnt_drop_write(path.mnt)
    path_put(path)
    return error


@dup(C)
def vfs_symlink(idmap: Any, dir: Inode, dentry: Dentry, oldname: bytes, di: Any = None) -> int:
    """``int vfs_symlink(idmap, dir, dentry, oldname, delegated_inode)``"""
    error = may_create_dentry(idmap, dir, dentry)
    if error:
        return error
    if dir.i_op.symlink is None:
        return -EPERM
    return int(dir.i_op.symlink(idmap, dir, dentry, oldname))


@dup(C)
def filename_symlinkat(from_: Any, newdfd: int | File, to: Any) -> int:
    """``int filename_symlinkat(struct filename *from, int newdfd, struct filename *to)``"""
    if type(from_) is int:
        return int(from_)
    path = Path()
    dentry = filename_create(newdfd, to, path, 0)
    if IS_ERR(dentry):
        return PTR_ERR(dentry)
    error = vfs_symlink(path.mnt.mnt_idmap, path.dentry.d_inode, dentry, from_)
    end_creating_path(path, dentry)
    return error


@dup(C)
def vfs_link(old_dentry: Dentry, idmap: Any, dir: Inode, new_dentry: Dentry, di: Any = None) -> int:
    """``int vfs_link(old_dentry, idmap, dir, new_dentry, delegated_inode)``. Return: 0, -EXDEV, -EPERM, -EMLINK, -ENOENT, ..."""
    inode = old_dentry.d_inode
    if inode is None:
        return -ENOENT
    error = may_create_dentry(idmap, dir, new_dentry)
    if error:
        return error
    if dir.i_sb is not inode.i_sb:
        return -EXDEV
    if inode.i_flags & (S_APPEND | S_IMMUTABLE) or dir.i_op.link is None or S_ISDIR(inode.i_mode):
        return -EPERM
    inode_lock(inode)
    if inode.i_nlink == 0 and not inode.i_state & I_LINKABLE:
        error = -ENOENT
    elif dir.i_sb.s_max_links and inode.i_nlink >= dir.i_sb.s_max_links:
        error = -EMLINK
    else:
        error = dir.i_op.link(old_dentry, dir, new_dentry)
    if not error and inode.i_state & I_LINKABLE:
        spin_lock(inode.i_lock)
        inode.i_state &= ~I_LINKABLE
        spin_unlock(inode.i_lock)
    inode_unlock(inode)
    return error


@dup(C)
def filename_linkat(olddfd: int | File, old: Any, newdfd: int | File, new: Any, flags: int) -> int:
    """``int filename_linkat(int olddfd, struct filename *old, int newdfd, struct filename *new, int flags)``"""
    old_path, new_path = Path(), Path()
    how = 0
    labels = Labels()

    @labels.label
    def out_dput() -> None:
        end_creating_path(new_path, new_dentry)

    @labels.label
    def out_putpath() -> None:
        path_put(old_path)

    if flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0:
        return -EINVAL
    # To use null names we require CAP_DAC_READ_SEARCH or that the open-time creds of the dfd matches current. This ensures that
    # not everyone will be able to create a hardlink using the passed file descriptor.
    if flags & AT_EMPTY_PATH:
        how |= LOOKUP_LINKAT_EMPTY

    if flags & AT_SYMLINK_FOLLOW:
        how |= LOOKUP_FOLLOW
    error = filename_lookup(olddfd, old, how, old_path)
    if error:
        return error

    new_dentry = filename_create(newdfd, new, new_path, how & LOOKUP_REVAL)
    if IS_ERR(new_dentry):
        return labels.goto(out_putpath, PTR_ERR(new_dentry))

    if old_path.mnt is not new_path.mnt:
        return labels.goto(out_dput, -EXDEV)
    idmap = new_path.mnt.mnt_idmap
    error = may_linkat(idmap, old_path)
    if error:
        return labels.goto(out_dput, error)
    error = vfs_link(old_path.dentry, idmap, new_path.dentry.d_inode, new_dentry)
    return labels.goto(out_dput, error)


@dup(C)
def vfs_rename(rd: renamedata) -> int:
    """``int vfs_rename(struct renamedata *rd)``: between start_renaming() and end_renaming().

    Return: 0, -EPERM, -EBUSY (a mountpoint), -EXDEV, -ENOTDIR, -EISDIR, -ENOTEMPTY, -EMLINK, what ->rename says.
    """
    old_dir, new_dir = rd.old_parent.d_inode, rd.new_parent.d_inode
    old_dentry, new_dentry = rd.old_dentry, rd.new_dentry
    flags = rd.flags
    is_dir = d_is_dir(old_dentry)
    source, target = old_dentry.d_inode, new_dentry.d_inode
    new_is_dir = False
    max_links = new_dir.i_sb.s_max_links

    if source is target:
        return 0
    error = may_delete_dentry(rd.mnt_idmap, old_dir, old_dentry, is_dir)
    if error:
        return error
    if target is None:
        error = may_create_dentry(rd.mnt_idmap, new_dir, new_dentry)
    else:
        new_is_dir = d_is_dir(new_dentry)
        error = may_delete_dentry(rd.mnt_idmap, new_dir, new_dentry, new_is_dir if flags & RENAME_EXCHANGE else is_dir)
    if error:
        return error
    if old_dir.i_op.rename is None:
        return -EPERM
    # If we are going to change the parent - check write permissions, we'll need to flip '..'.
    if new_dir is not old_dir:
        if is_dir:
            error = inode_permission(rd.mnt_idmap, source, MAY_WRITE)
            if error:
                return error
        if flags & RENAME_EXCHANGE and new_is_dir:
            error = inode_permission(rd.mnt_idmap, target, MAY_WRITE)
            if error:
                return error
    dget(new_dentry)
    lock_old_subdir = new_dir is not old_dir
    lock_new_subdir = new_dir is not old_dir or not flags & RENAME_EXCHANGE
    if is_dir:
        if lock_old_subdir:
            inode_lock(source)
        if target is not None and (not new_is_dir or lock_new_subdir):
            inode_lock(target)
    elif new_is_dir:
        if lock_new_subdir:
            inode_lock(target)
        inode_lock(source)
    else:
        lock_two_nondirectories(source, target)

    if source.i_flags & S_SWAPFILE or (target is not None and target.i_flags & S_SWAPFILE):
        error = -EPERM
    elif is_local_mountpoint(old_dentry) or is_local_mountpoint(new_dentry):
        error = -EBUSY
    elif max_links and new_dir is not old_dir and (
            (is_dir and not new_is_dir and new_dir.i_nlink >= max_links)
            or (flags & RENAME_EXCHANGE and not is_dir and new_is_dir and old_dir.i_nlink >= max_links)):
        error = -EMLINK
    else:
        error = old_dir.i_op.rename(rd.mnt_idmap, old_dir, old_dentry, new_dir, new_dentry, flags)
    if not error:
        if not flags & RENAME_EXCHANGE and target is not None:
            if is_dir:
                shrink_dcache_parent(new_dentry)
                target.i_flags |= S_DEAD
            dont_mount(new_dentry)
            detach_mounts(new_dentry)
        if not old_dir.i_sb.s_type.fs_flags & FS_RENAME_DOES_D_MOVE:
            if not flags & RENAME_EXCHANGE:
                d_move(old_dentry, new_dentry)
            else:
                d_exchange(old_dentry, new_dentry)
    if not is_dir or lock_old_subdir:
        inode_unlock(source)
    if target is not None and (not new_is_dir or lock_new_subdir):
        inode_unlock(target)
    dput(new_dentry)
    return int(error)


@dup(C)
def filename_renameat2(olddfd: int | File, from_: Any, newdfd: int | File, to: Any, flags: int) -> int:
    """``int filename_renameat2(int olddfd, struct filename *from, int newdfd, struct filename *to, unsigned int flags)``"""
    if flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT):
        return -EINVAL
    if flags & (RENAME_NOREPLACE | RENAME_WHITEOUT) and flags & RENAME_EXCHANGE:
        return -EINVAL
    old_path, new_path, old_last, new_last = Path(), Path(), Ref(), Ref()
    error = filename_parentat(olddfd, from_, 0, old_path, old_last)
    if error:
        return error
    error = filename_parentat(newdfd, to, 0, new_path, new_last)
    if error:
        path_put(old_path)
        return error
    old_name, old_slash, old_type = old_last.v
    new_name, new_slash, new_type = new_last.v
    if old_path.mnt is not new_path.mnt:
        error = -EXDEV
    elif old_type != LAST_NORM:
        error = -EBUSY
    elif new_type != LAST_NORM:
        error = -EEXIST if flags & RENAME_NOREPLACE else -EBUSY
    else:
        error = mnt_want_write(old_path.mnt)
        if not error:
            rd = renamedata(old_path.mnt.mnt_idmap, old_path.dentry, new_path.dentry, flags)
            error = __start_renaming(rd, 0, Qstr(old_name), Qstr(new_name))
            if not error:
                if flags & RENAME_EXCHANGE and not d_is_dir(rd.new_dentry) and new_slash:
                    error = -ENOTDIR
                elif not d_is_dir(rd.old_dentry) and (old_slash or (not flags & RENAME_EXCHANGE and new_slash)):
                    error = -ENOTDIR
                else:
                    error = vfs_rename(rd)
                end_renaming(rd)
            mnt_drop_write(old_path.mnt)
    path_put(new_path)
    path_put(old_path)
    return error


@custom(C, "readlink_copy", "the user's memory is a Python buffer")
def readlink_copy(buffer: Any, buflen: int, link: Any, linklen: int) -> int:
    """``int readlink_copy(char __user *buffer, int buflen, const char *link, int linklen)``: bytes copied; longer texts are cut.
    """
    copylen = min(linklen, buflen)
    if isinstance(link, int):
        if copy_to_user(buffer, link, copylen):
            return -EFAULT
    else:
        buffer[:copylen] = link_text(link)[:copylen]
    return copylen


@dup(C)
def vfs_readlink(dentry: Dentry, buffer: Any, buflen: int) -> int:
    """``int vfs_readlink(struct dentry *dentry, char __user *buffer, int buflen)``.

    Return: bytes, -EINVAL, ->get_link's error.
    """
    inode = dentry.d_inode
    if inode.i_opflags & IOP_CACHED_LINK:
        return readlink_copy(buffer, buflen, inode.i_link, inode.i_linklen)
    if not inode.i_opflags & IOP_DEFAULT_READLINK:
        if inode.i_op.readlink is not None:
            return int(inode.i_op.readlink(dentry, buffer, buflen))
        if not d_is_symlink(dentry):
            return -EINVAL
        spin_lock(inode.i_lock)
        inode.i_opflags |= IOP_DEFAULT_READLINK
        spin_unlock(inode.i_lock)
    done = delayed_call()
    link = inode.i_link
    if not link:
        link = inode.i_op.get_link(dentry, inode, done)
        if IS_ERR(link):
            return PTR_ERR(link)
    res = readlink_copy(buffer, buflen, link, len(link_text(link)))
    do_delayed_call(done)
    return res


@dup(C)
def vfs_get_link(dentry: Dentry, done: delayed_call) -> Any:
    """``const char *vfs_get_link(struct dentry *dentry, struct delayed_call *done)``. Return: or ERR_PTR(-EINVAL, ...)."""
    if not d_is_symlink(dentry):
        return ERR_PTR(-EINVAL)
    return dentry.d_inode.i_op.get_link(dentry, dentry.d_inode, done)


@dup(C)
def page_get_link_raw(dentry: Dentry | None, inode: Inode, callback: delayed_call) -> Any:
    """``const char *page_get_link_raw(dentry, inode, callback)``: the first page, as it is."""
    mapping = inode.i_mapping
    folio = read_mapping_folio(mapping, 0, None)
    if IS_ERR(folio):
        return folio
    set_delayed_call(callback, page_put_link, folio)
    BUG_ON(mapping.gfp_mask & __GFP_HIGHMEM)
    return folio_address(folio)


@dup(C)
def page_get_link(dentry: Dentry | None, inode: Inode, callback: delayed_call) -> Any:
    """``const char *page_get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *callback)``

    A link whose text is in the page cache; it is terminated there. Return: an address, or the error of reading the page.
    """
    kaddr = page_get_link_raw(dentry, inode, callback)
    if not IS_ERR(kaddr):
        nd_terminate_link(kaddr, inode.i_size, arch.PAGE_SIZE - 1)
    return kaddr


@dup(C)
def page_put_link(arg: Any) -> None:
    """``void page_put_link(void *arg)``: of a folio."""
    folio_put(arg)


@dup(C)
def page_symlink(inode: Inode, symname: bytes, length: int) -> int:
    """``int page_symlink(struct inode *inode, const char *symname, int len)``: the text into the first page; ``len`` counts its
    NUL.
    """
    mapping = inode.i_mapping
    aops = mapping.a_ops
    folio, fsdata = Ref(None), Ref(None)
    err: int = aops.write_begin(None, mapping, 0, length - 1, folio, fsdata)
    if err:
        return err
    this.mem.store(folio_address(folio.v), symname[:length - 1])
    err = aops.write_end(None, mapping, 0, length - 1, length - 1, folio.v, fsdata.v)
    if err < 0:
        return err
    mark_inode_dirty(inode)
    return 0


def link_text(link: Any) -> bytes:
    """What a ->get_link pointer points to: kernel memory, or bytes that a pseudo file system keeps."""
    if isinstance(link, int):
        return c_string(link)
    return os.fsencode(link).partition(b"\0")[0]


class nameidata:
    """``struct nameidata``. ``last_slash``: the last component has something behind it, if only a slash."""

    __slots__ = ("depth", "dfd", "dir_mode", "dir_vfsuid", "flags", "inode", "last", "last_slash", "last_type", "path",
                 "pathname", "root", "stack", "state", "total_link_count")

    def __init__(self, dfd: int | File, name: bytes, root: Path | None):
        self.stack: list[tuple[Path, delayed_call]] = []
        self.dfd = dfd
        self.pathname = name
        self.path = Path()
        self.root = Path()
        self.state = 0
        if root is not None:
            self.state = ND_ROOT_PRESET
            self.root = root.copy()
        self.flags = 0
        self.total_link_count = 0
        self.inode: Inode = None                # type: ignore[assignment]
        self.last = b""
        self.last_slash = False
        self.last_type = LAST_NORM
        self.dir_mode = 0
        self.dir_vfsuid = 0


def lookup_inode_permission_may_exec(idmap: Any, inode: Inode) -> int:
    """May the directory be searched; the common case costs three tests."""
    if not inode.i_opflags & (IOP_FASTPERM | IOP_FASTPERM_MAY_EXEC) or inode.i_mode & 0o111 != 0o111 or inode.i_acl is not None:
        return inode_permission(idmap, inode, MAY_EXEC)
    return 0


def path_parentat(nd: nameidata, flags: int, parent: Path) -> int:
    err = link_path_walk(path_init(nd, flags), nd)
    if not err:
        err = complete_walk(nd)
    if not err:
        parent.set(nd.path)
        nd.path = Path()
    terminate_walk(nd)
    return err


def filename_parentat(dfd: int | File, name: Any, flags: int, parent: Path, last: Any) -> int:
    """The parent of a path; ``last`` (a nameidata slot holder) gets ``(name, has something behind it, type)`` in .v."""
    if type(name) is int:
        return int(name)
    nd = nameidata(dfd, name, None)
    retval = path_parentat(nd, flags, parent)
    if retval == -ESTALE:
        nd = nameidata(dfd, name, None)
        retval = path_parentat(nd, flags | LOOKUP_REVAL, parent)
    if not retval:
        last.v = (nd.last, nd.last_slash, nd.last_type)
    return retval


names("dup", C, "kern_path")
