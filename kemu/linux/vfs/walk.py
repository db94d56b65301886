# SPDX-License-Identifier: GPL-2.0-only
"""Walking a path, component by component (fs/namei.c). Ports import what is public from kemu.linux.namei.

There is ref-walk only: with tasks that switch at scheduling points there is nothing that rcu-walk could race with. What the C passes as a link's
``const char *`` or as an ERR_PTR is bytes here, or a negative errno.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON
from kemu.linux.dcache import (
    DCACHE_ENTRY_TYPE,
    DCACHE_MANAGED_DENTRY,
    DCACHE_OP_REVALIDATE,
    DCACHE_OP_WEAK_REVALIDATE,
    Dentry,
    cant_mount,
    d_alloc,
    d_alloc_parallel,
    d_can_lookup,
    d_in_lookup,
    d_invalidate,
    d_is_symlink,
    d_lookup,
    d_lookup_done,
    d_unlinked,
    dget,
    dget_parent,
    dput,
    is_subdir,
)
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EACCES, EEXIST, ELOOP, ENOENT, ENOMEM, ENOTDIR, ESTALE, EXDEV
from kemu.linux.fcntl import AT_FDCWD
from kemu.linux.honesty import custom
from kemu.linux.path import path_get, path_put
from kemu.linux.vfs.basic import Path, Qstr
from kemu.linux.vfs.constants import S_DEAD
from kemu.linux.vfs.fs_struct import current_fs, get_fs_pwd, get_fs_root
from kemu.linux.vfs.inode_attr import atime_needs_update, touch_atime
from kemu.linux.vfs.locking import inode_lock_shared, inode_unlock_shared
from kemu.linux.vfs.mounts import MNT_NOSYMFOLLOW, Mount, mntget, mntput
from kemu.linux.vfs.nameidata import (
    LAST_DOT,
    LAST_DOTDOT,
    LAST_NORM,
    LAST_ROOT,
    LOOKUP_AUTOMOUNT,
    LOOKUP_BENEATH,
    LOOKUP_CACHED,
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
    LOOKUP_NO_MAGICLINKS,
    LOOKUP_NO_SYMLINKS,
    LOOKUP_NO_XDEV,
    LOOKUP_OPEN,
    LOOKUP_PARENT,
    LOOKUP_RCU,
    LOOKUP_RENAME_TARGET,
    LOOKUP_REVAL,
    MAXSYMLINKS,
    ND_JUMPED,
    ND_ROOT_GRABBED,
    ND_ROOT_PRESET,
    WALK_MORE,
    WALK_NOFOLLOW,
    WALK_TRAILING,
    Nameidata,
    clear_delayed_call,
    delayed_call,
    do_delayed_call,
    getname,
    link_text,
    set_delayed_call,
)
from kemu.linux.vfs.namespace import path_is_under
from kemu.linux.vfs.permission import current_fsuid, lookup_inode_permission_may_exec
from kemu.linux.vfs.types import File, Inode
from kemu.linux.vfs.walk_mounts import choose_mountpoint, follow_down, follow_up, traverse_mounts
from kemu.machine.current import this


def terminate_walk(nd: Nameidata) -> None:
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


def complete_walk(nd: Nameidata) -> int:
    dentry = nd.path.dentry
    if nd.flags & LOOKUP_IS_SCOPED and not path_is_under(nd.path, nd.root):
        return -EXDEV
    if not nd.state & ND_JUMPED or not dentry.d_flags & DCACHE_OP_WEAK_REVALIDATE:
        return 0
    status = dentry.d_op.d_weak_revalidate(dentry, nd.flags)
    return 0 if status > 0 else int(status) or -ESTALE


def set_root(nd: Nameidata) -> None:
    get_fs_root(current_fs(), nd.root)
    nd.state |= ND_ROOT_GRABBED


def nd_jump_root(nd: Nameidata) -> int:
    if nd.flags & LOOKUP_BENEATH:
        return -EXDEV
    if nd.flags & LOOKUP_NO_XDEV and nd.path.mnt is not None and nd.path.mnt is not nd.root.mnt:
        return -EXDEV
    if nd.root.mnt is None:
        set_root(nd)
    if nd.path.dentry is not None:
        path_put(nd.path)
    nd.path = nd.root.copy()
    path_get(nd.path)
    nd.inode = nd.path.dentry.d_inode
    nd.state |= ND_JUMPED
    return 0


def put_link(nd: Nameidata) -> None:
    link, done = nd.stack.pop()
    do_delayed_call(done)
    path_put(link)


def may_follow_link(nd: Nameidata, inode: Inode) -> int:
    """fs.protected_symlinks is 1."""
    if inode.i_uid == current_fsuid() or nd.dir_mode & 0o1002 != 0o1002 or nd.dir_uid == inode.i_uid:
        return 0
    return -EACCES



# ------------------------------------------------------------------------- one component

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
    """A child for creation or removal; the directory is locked for writing. ERR_PTR of -ENOENT or -EEXIST by LOOKUP_CREATE and LOOKUP_EXCL."""
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


def lookup_fast(nd: Nameidata) -> Any:
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


def pick_link(nd: Nameidata, link: Path, inode: Inode, flags: int) -> Any:
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


def step_into(nd: Nameidata, flags: int, dentry: Dentry) -> Any:
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
    if not d_is_symlink(inside) or flags & WALK_TRAILING and not nd.flags & LOOKUP_FOLLOW or flags & WALK_NOFOLLOW:
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


def follow_dotdot(nd: Nameidata) -> Any:
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


def handle_dots(nd: Nameidata, type: int) -> Any:
    if type == LAST_DOTDOT:
        if nd.root.mnt is None:
            set_root(nd)
        parent = follow_dotdot(nd)
        if IS_ERR(parent):
            return PTR_ERR(parent)
        return step_into(nd, WALK_NOFOLLOW, parent)
    return None


def walk_component(nd: Nameidata, flags: int) -> Any:
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


# ------------------------------------------------------------------------- the whole path

def link_path_walk(name: Any, nd: Nameidata) -> int:
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
                nd.dir_uid = nd.inode.i_uid
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


@custom("fs/namei.c", "path_init", "walks with references from the start: there is no RCU walk")
def path_init(nd: Nameidata, flags: int) -> Any:
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


def handle_lookup_down(nd: Nameidata) -> int:
    dget(nd.path.dentry)
    err = step_into(nd, WALK_NOFOLLOW, nd.path.dentry)
    return err or 0


def path_lookupat(nd: Nameidata, flags: int, path: Path) -> int:
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


@custom("fs/namei.c", "filename_lookup", "dfd is AT_FDCWD or a File")
def filename_lookup(dfd: int | File, name: Any, flags: int, path: Path, root: Path | None = None) -> int:
    """``int filename_lookup(int dfd, struct filename *name, unsigned flags, struct path *path, const struct path *root)``"""
    if type(name) is int:
        return int(name)
    retval = path_lookupat(Nameidata(dfd, name, root), flags, path)
    if retval == -ESTALE:
        retval = path_lookupat(Nameidata(dfd, name, root), flags | LOOKUP_REVAL, path)
    return retval


def path_parentat(nd: Nameidata, flags: int, parent: Path) -> int:
    err = link_path_walk(path_init(nd, flags), nd)
    if not err:
        err = complete_walk(nd)
    if not err:
        parent.set(nd.path)
        nd.path = Path()
    terminate_walk(nd)
    return err


def filename_parentat(dfd: int | File, name: Any, flags: int, parent: Path, last: Any) -> int:
    """The parent of a path; ``last`` (a Nameidata slot holder) gets ``(name, has something behind it, type)`` in .v."""
    if type(name) is int:
        return int(name)
    nd = Nameidata(dfd, name, None)
    retval = path_parentat(nd, flags, parent)
    if retval == -ESTALE:
        nd = Nameidata(dfd, name, None)
        retval = path_parentat(nd, flags | LOOKUP_REVAL, parent)
    if not retval:
        last.v = (nd.last, nd.last_slash, nd.last_type)
    return retval


__all__ = ["LAST_DOT", "LAST_DOTDOT", "LAST_NORM", "LAST_ROOT", "LOOKUP_AUTOMOUNT", "LOOKUP_BENEATH", "LOOKUP_CACHED",
           "LOOKUP_CREATE", "LOOKUP_DIRECTORY", "LOOKUP_DOWN", "LOOKUP_EMPTY", "LOOKUP_EXCL", "LOOKUP_FOLLOW", "LOOKUP_IN_ROOT",
           "LOOKUP_IS_SCOPED", "LOOKUP_LINKAT_EMPTY", "LOOKUP_MOUNTPOINT", "LOOKUP_NO_MAGICLINKS", "LOOKUP_NO_SYMLINKS",
           "LOOKUP_NO_XDEV", "LOOKUP_OPEN", "LOOKUP_PARENT", "LOOKUP_RCU", "LOOKUP_RENAME_TARGET", "LOOKUP_REVAL",
           "MAXSYMLINKS", "ND_JUMPED", "ND_ROOT_GRABBED", "ND_ROOT_PRESET", "WALK_MORE", "WALK_NOFOLLOW", "WALK_TRAILING",
           "clear_delayed_call", "delayed_call", "do_delayed_call", "filename_lookup", "follow_down", "follow_up", "getname",
           "set_delayed_call"]
