# SPDX-License-Identifier: GPL-2.0-only
"""Opening and closing (fs/open.c, the open half of fs/namei.c). Ports import it from kemu.linux.fs."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON
from kemu.linux.cred import current_cred
from kemu.linux.dcache import (
    d_alloc_parallel,
    d_can_lookup,
    d_in_lookup,
    d_invalidate,
    d_is_dir,
    d_is_reg,
    d_is_symlink,
    d_lookup,
    d_lookup_done,
    dput,
)
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import (
    EACCES,
    EEXIST,
    EINVAL,
    EISDIR,
    ELOOP,
    ENOENT,
    ENOTDIR,
    EOPENSTALE,
    EOVERFLOW,
    EPERM,
    EROFS,
    ESTALE,
)
from kemu.linux.fcntl import (
    __O_SYNC,
    __O_TMPFILE,
    AT_FDCWD,
    O_ACCMODE,
    O_APPEND,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECTORY,
    O_DSYNC,
    O_EMPTYPATH,
    O_EXCL,
    O_LARGEFILE,
    O_NOATIME,
    O_NOFOLLOW,
    O_PATH,
    O_RDWR,
    O_TRUNC,
    O_WRONLY,
    VALID_OPEN_FLAGS,
)
from kemu.linux.honesty import dup
from kemu.linux.path import path_put
from kemu.linux.stat import S_IALLUGO, S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from kemu.linux.super_types import SB_I_NODEV, SB_I_NOEXEC
from kemu.linux.vfs.basic import Path, Qstr
from kemu.linux.vfs.constants import (
    FMODE_ATOMIC_POS,
    FMODE_CREATED,
    FMODE_LSEEK,
    FMODE_OPENED,
    FMODE_PREAD,
    FMODE_PWRITE,
    FMODE_STREAM,
    MAX_NON_LFS,
    MAY_APPEND,
    MAY_EXEC,
    MAY_OPEN,
    MAY_READ,
    MAY_WRITE,
    S_APPEND,
    S_DEAD,
)
from kemu.linux.vfs.file_table import (
    alloc_empty_file,
    fput,
)
from kemu.linux.vfs.locking import inode_lock, inode_lock_shared, inode_unlock, inode_unlock_shared
from kemu.linux.vfs.mounts import (
    MNT_NODEV,
    MNT_NOEXEC,
    mnt_drop_write,
    mnt_want_write,
)
from kemu.linux.vfs.open_dentry import (  # noqa: F401
    _SPECIAL,
    _open,
    backing_file_open,
    dentry_open,
    do_dentry_open,
    file_get_write_access,
    finish_no_open,
    finish_open,
    get_write_access,
    kernel_file_open,
    vfs_open,
)
from kemu.linux.vfs.permission import inode_owner_or_capable, inode_permission
from kemu.linux.vfs.types import File, Inode
from kemu.linux.vfs.walk import (
    LAST_NORM,
    LOOKUP_CREATE,
    LOOKUP_DIRECTORY,
    LOOKUP_EMPTY,
    LOOKUP_EXCL,
    LOOKUP_FOLLOW,
    LOOKUP_OPEN,
    LOOKUP_REVAL,
    WALK_TRAILING,
    Nameidata,
    complete_walk,
    d_revalidate,
    getname,
    handle_dots,
    link_path_walk,
    lookup_fast,
    path_init,
    path_lookupat,
    put_link,
    step_into,
    terminate_walk,
)

# ------------------------------------------------------------------------- by name

class OpenFlags:
    """``struct open_flags``"""

    __slots__ = ("acc_mode", "intent", "lookup_flags", "mode", "open_flag")

    def __init__(self) -> None:
        self.open_flag = self.mode = self.acc_mode = self.intent = self.lookup_flags = 0


@dup("include/linux/fs.h")
def ACC_MODE(x: int) -> int:
    """``ACC_MODE(x)``"""
    return (MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE)[x & O_ACCMODE]


def build_open_flags(flags: int, mode: int, op: OpenFlags) -> int:
    """build_open_how() and build_open_flags() for open() and openat()."""
    flags &= VALID_OPEN_FLAGS
    mode &= S_IALLUGO
    if flags & O_PATH:
        flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC | O_EMPTYPATH
    will_create = flags & (O_CREAT | __O_TMPFILE)
    acc_mode = ACC_MODE(flags)
    flags &= ~O_CLOEXEC
    op.mode = mode | S_IFREG if will_create else 0
    if flags & (O_DIRECTORY | O_CREAT) == O_DIRECTORY | O_CREAT:
        return -EINVAL
    if flags & __O_TMPFILE and (not flags & O_DIRECTORY or not acc_mode & MAY_WRITE):
        return -EINVAL
    if flags & O_PATH:
        acc_mode = 0
    if flags & __O_SYNC:
        flags |= O_DSYNC
    op.open_flag = flags
    if flags & O_TRUNC:
        acc_mode |= MAY_WRITE
    if flags & O_APPEND:
        acc_mode |= MAY_APPEND
    op.acc_mode = acc_mode
    op.intent = 0 if flags & O_PATH else LOOKUP_OPEN
    if flags & O_CREAT:
        op.intent |= LOOKUP_CREATE
        if flags & O_EXCL:
            op.intent |= LOOKUP_EXCL
            flags |= O_NOFOLLOW
    op.lookup_flags = ((LOOKUP_DIRECTORY if flags & O_DIRECTORY else 0) | (0 if flags & O_NOFOLLOW else LOOKUP_FOLLOW)
                       | (LOOKUP_EMPTY if flags & O_EMPTYPATH else 0))
    return 0


@dup("fs/namei.c")
def may_open_dev(path: Path) -> bool:
    """``bool may_open_dev(const struct path *path)``: device nodes count on this mount."""
    return not path.mnt.mnt_flags & MNT_NODEV and not path.mnt.mnt_sb.s_iflags & SB_I_NODEV


@dup("fs/exec.c")
def path_noexec(path: Path) -> bool:
    """``bool path_noexec(const struct path *path)``"""
    return bool(path.mnt.mnt_flags & MNT_NOEXEC or path.mnt.mnt_sb.s_iflags & SB_I_NOEXEC)


def may_open(idmap: Any, path: Path, acc_mode: int, flag: int) -> int:
    inode = path.dentry.d_inode
    if inode is None:
        return -ENOENT
    kind = inode.i_mode & S_IFMT
    if kind == S_IFLNK:
        return -ELOOP
    if kind == S_IFDIR:
        if acc_mode & MAY_WRITE:
            return -EISDIR
        if acc_mode & MAY_EXEC:
            return -EACCES
    elif kind in _SPECIAL:
        if kind in (S_IFBLK, S_IFCHR) and not may_open_dev(path):
            return -EACCES
        if acc_mode & MAY_EXEC:
            return -EACCES
        flag &= ~O_TRUNC
    elif acc_mode & MAY_EXEC and path_noexec(path):
        return -EACCES
    error = inode_permission(idmap, inode, MAY_OPEN | acc_mode)
    if error:
        return error
    if inode.i_flags & S_APPEND and (flag & O_ACCMODE and not flag & O_APPEND or flag & O_TRUNC):
        return -EPERM
    if flag & O_NOATIME and not inode_owner_or_capable(idmap, inode):
        return -EPERM
    return 0


def lookup_open(nd: Nameidata, file: File, op: OpenFlags, got_write: bool) -> Any:
    """Look up, and maybe create, the last component; the directory is locked."""
    dir = nd.path.dentry
    dir_inode = dir.d_inode
    open_flag = op.open_flag
    create_error = 0
    if dir_inode.i_flags & S_DEAD:
        return ERR_PTR(-ENOENT)
    file.f_mode &= ~FMODE_CREATED
    name = Qstr(nd.last)
    dentry: Any = d_lookup(dir, name)
    while True:
        if dentry is None:
            dentry = d_alloc_parallel(dir, name)
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
    if dentry.d_inode is not None:
        return dentry
    mode = op.mode
    if open_flag & O_CREAT:
        from kemu.linux.vfs.dir_ops import may_o_create, vfs_prepare_mode

        mode = vfs_prepare_mode(None, dir_inode, mode, mode, mode)
        create_error = may_o_create(nd.path, mode) if got_write else -EROFS
        if create_error:
            open_flag &= ~O_CREAT
    if d_in_lookup(dentry):
        res = dir_inode.i_op.lookup(dir_inode, dentry, nd.flags)
        d_lookup_done(dentry)
        if res is not None:
            dput(dentry)
            if IS_ERR(res):
                return res
            dentry = res
    if dentry.d_inode is None:
        error = 0
        if open_flag & O_CREAT:
            file.f_mode |= FMODE_CREATED
            if dir_inode.i_op.create is None:
                error = -EACCES
            else:
                error = dir_inode.i_op.create(nd.path.mnt.mnt_idmap, dir_inode, dentry, mode, bool(open_flag & O_EXCL))
        elif create_error:
            error = create_error
        if error:
            dput(dentry)
            return ERR_PTR(error)
    return dentry


def open_last_lookups(nd: Nameidata, file: File, op: OpenFlags) -> Any:
    """The last component of an open: None when nd.path is there, a symlink's text, or an error."""
    open_flag = op.open_flag
    nd.flags |= op.intent
    if nd.last_type != LAST_NORM:
        if nd.stack:
            put_link(nd)
        return handle_dots(nd, nd.last_type)
    dentry: Any = None
    if open_flag & O_CREAT and nd.last_slash:
        return -EISDIR
    if not (open_flag & O_CREAT and open_flag & O_EXCL):
        if nd.last_slash:
            nd.flags |= LOOKUP_FOLLOW | LOOKUP_DIRECTORY
        dentry = lookup_fast(nd)
        if type(dentry) is int:
            return PTR_ERR(dentry)
        if dentry is not None and open_flag & O_CREAT and dentry.d_inode is None:
            dput(dentry)
            dentry = None
    if dentry is None:
        dir_inode = nd.path.dentry.d_inode
        mnt = nd.path.mnt
        got_write = bool(open_flag & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR)) and not mnt_want_write(mnt)
        if open_flag & O_CREAT:
            inode_lock(dir_inode)
            dentry = lookup_open(nd, file, op, got_write)
            inode_unlock(dir_inode)
        else:
            inode_lock_shared(dir_inode)
            dentry = lookup_open(nd, file, op, got_write)
            inode_unlock_shared(dir_inode)
        if got_write:
            mnt_drop_write(mnt)
        if IS_ERR(dentry):
            return PTR_ERR(dentry)
        if file.f_mode & (FMODE_OPENED | FMODE_CREATED):
            dput(nd.path.dentry)
            nd.path.dentry = dentry
            return None
    if nd.stack:
        put_link(nd)
    res = step_into(nd, WALK_TRAILING, dentry)
    if res is not None:
        nd.flags &= ~(LOOKUP_OPEN | LOOKUP_CREATE | LOOKUP_EXCL)
    return res


def do_open(nd: Nameidata, file: File, op: OpenFlags) -> int:
    open_flag = op.open_flag
    if not file.f_mode & (FMODE_OPENED | FMODE_CREATED):
        error = complete_walk(nd)
        if error:
            return error
    dentry = nd.path.dentry
    if open_flag & O_CREAT:
        if open_flag & O_EXCL and not file.f_mode & FMODE_CREATED:
            return -EEXIST
        if d_is_dir(dentry):
            return -EISDIR
    if nd.flags & LOOKUP_DIRECTORY and not d_can_lookup(dentry):
        return -ENOTDIR
    do_truncate_ = False
    acc_mode = op.acc_mode
    if file.f_mode & FMODE_CREATED:
        open_flag &= ~O_TRUNC
        acc_mode = 0
    elif d_is_reg(dentry) and open_flag & O_TRUNC:
        error = mnt_want_write(nd.path.mnt)
        if error:
            return error
        do_truncate_ = True
    mnt = nd.path.mnt
    error = may_open(mnt.mnt_idmap, nd.path, acc_mode, open_flag)
    if not error and not file.f_mode & FMODE_OPENED:
        error = vfs_open(nd.path, file)
    if not error and do_truncate_:
        from kemu.linux.vfs.attr import ATTR_CTIME, ATTR_MTIME, ATTR_OPEN, do_truncate

        error = get_write_access(file.f_inode)
        if not error:
            error = do_truncate(mnt.mnt_idmap, file.f_path.dentry, 0, ATTR_MTIME | ATTR_CTIME | ATTR_OPEN, file)
            file.f_inode.i_writecount -= 1
    if do_truncate_:
        mnt_drop_write(mnt)
    return error


def path_openat(nd: Nameidata, op: OpenFlags, flags: int) -> Any:
    file = alloc_empty_file(op.open_flag, current_cred())
    if IS_ERR(file):
        return file
    if op.open_flag & (__O_TMPFILE | O_PATH):
        path = Path()
        error = path_lookupat(nd, flags | (LOOKUP_DIRECTORY if op.open_flag & __O_TMPFILE else 0), path)
        if not error:
            if op.open_flag & O_PATH:
                error = vfs_open(path, file)
            else:
                from kemu.linux.vfs.dir_ops import vfs_tmpfile

                error = mnt_want_write(path.mnt)
                if not error:
                    error = vfs_tmpfile(path.mnt.mnt_idmap, path, file, op.mode)
                    mnt_drop_write(path.mnt)
            path_put(path)
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
    fput(file)
    if error == -EOPENSTALE:
        error = -ESTALE
    return ERR_PTR(error)


def do_file_open(dfd: int | File, name: Any, op: OpenFlags, root: Path | None = None) -> Any:
    if type(name) is int:
        return ERR_PTR(name)
    filp = path_openat(Nameidata(dfd, name, root), op, op.lookup_flags)
    if filp == ERR_PTR(-ESTALE):
        filp = path_openat(Nameidata(dfd, name, root), op, op.lookup_flags | LOOKUP_REVAL)
    return filp


@dup("fs/open.c")
def filp_open(filename: str, flags: int, mode: int) -> File:
    """``struct file *filp_open(const char *filename, int flags, umode_t mode)``: relative to the task's root or pwd. Return: or ERR_PTR()."""
    op = OpenFlags()
    err = build_open_flags(flags, mode, op)
    if err:
        return ERR_PTR(err)
    return do_file_open(AT_FDCWD, getname(filename), op)             # type: ignore[no-any-return]


@dup("fs/open.c")
def file_open_root(root: Path, filename: str, flags: int, mode: int) -> Any:
    """``struct file *file_open_root(const struct path *root, const char *filename, int flags, umode_t mode)``. Return: or ERR_PTR()."""
    op = OpenFlags()
    err = build_open_flags(flags, mode, op)
    if err:
        return ERR_PTR(err)
    if d_is_symlink(root.dentry) and op.intent & LOOKUP_OPEN:
        return ERR_PTR(-ELOOP)
    return do_file_open(-1, getname(filename), op, root)


@dup("fs/open.c")
def filp_close(filp: File, id: Any) -> int:
    """``int filp_close(struct file *filp, fl_owner_t id)``: ->flush and fput(). Return: what ->flush says."""
    retval = 0
    if filp.f_op.flush is not None:
        retval = filp.f_op.flush(filp, id)
    fput(filp)
    return retval


@dup("fs/open.c")
def generic_file_open(inode: Inode, filp: File) -> int:
    """``int generic_file_open(struct inode *inode, struct file *filp)``. Return: 0, or -EOVERFLOW for a large file without O_LARGEFILE."""
    if not filp.f_flags & O_LARGEFILE and inode.i_size > MAX_NON_LFS:
        return -EOVERFLOW
    return 0


@dup("fs/open.c")
def nonseekable_open(inode: Inode, filp: File) -> int:
    """``int nonseekable_open(struct inode *inode, struct file *filp)``"""
    filp.f_mode &= ~(FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE)
    return 0


@dup("fs/open.c")
def stream_open(inode: Inode, filp: File) -> int:
    """``int stream_open(struct inode *inode, struct file *filp)``"""
    filp.f_mode &= ~(FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE | FMODE_ATOMIC_POS)
    filp.f_mode |= FMODE_STREAM
    return 0
