# SPDX-License-Identifier: GPL-2.0-only
"""Opening files, and what changes them by name or by descriptor (fs/open.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON, WARN_ON
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EINVAL, EISDIR, ELOOP, ENODEV, EOVERFLOW, EPERM
from kemu.linux.fcntl import (
    __O_REGULAR,
    __O_SYNC,
    __O_TMPFILE,
    AT_FDCWD,
    O_APPEND,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECT,
    O_DIRECTORY,
    O_DSYNC,
    O_EMPTYPATH,
    O_EXCL,
    O_LARGEFILE,
    O_NOCTTY,
    O_NOFOLLOW,
    O_PATH,
    O_TRUNC,
    VALID_OPEN_FLAGS,
)
from kemu.linux.fs.file_table import alloc_empty_file, alloc_empty_file_noaccount, fput, put_file_access
from kemu.linux.fs.internal import open_flags
from kemu.linux.fs.namei import do_file_open, getname, inode_permission, path_get, path_put
from kemu.linux.fs.namespace import mnt_drop_write, mnt_get_write_access, mnt_put_write_access, mnt_want_write
from kemu.linux.include.cred import CAP_FSETID, Cred
from kemu.linux.include.dcache import Dentry, d_is_symlink
from kemu.linux.include.fs.calls import ACC_MODE, get_write_access, inode_lock, inode_unlock, iocb_flags
from kemu.linux.include.fs.constants import (
    ATTR_CTIME,
    ATTR_FILE,
    ATTR_FORCE,
    ATTR_GID,
    ATTR_KILL_PRIV,
    ATTR_KILL_SGID,
    ATTR_KILL_SUID,
    ATTR_MODE,
    ATTR_SIZE,
    ATTR_UID,
    FMODE_ATOMIC_POS,
    FMODE_BACKING,
    FMODE_CAN_ODIRECT,
    FMODE_CAN_READ,
    FMODE_CAN_WRITE,
    FMODE_LSEEK,
    FMODE_OPENED,
    FMODE_PATH,
    FMODE_PREAD,
    FMODE_PWRITE,
    FMODE_READ,
    FMODE_STREAM,
    FMODE_WRITE,
    FMODE_WRITER,
    INVALID_ID,
    MAX_NON_LFS,
    MAY_APPEND,
    MAY_WRITE,
    S_APPEND,
    S_NOSEC,
)
from kemu.linux.include.fs.types import File, Inode, empty_fops, iattr
from kemu.linux.include.namei import LOOKUP_CREATE, LOOKUP_DIRECTORY, LOOKUP_EMPTY, LOOKUP_EXCL, LOOKUP_FOLLOW, LOOKUP_OPEN
from kemu.linux.include.path import Path
from kemu.linux.kernel.capability import capable_wrt_inode_uidgid
from kemu.linux.mm.readahead import file_ra_state_init
from kemu.linux.port.honesty import dup
from kemu.linux.security.commoncap import cap_inode_killpriv, cap_inode_need_killpriv
from kemu.linux.stat import S_IALLUGO, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK, S_ISDIR, S_ISGID, S_ISUID

C = "fs/open.c"


_SPECIAL = (S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK)


def _kill_priv(idmap: Any, dentry: Dentry) -> int:
    """kill_priv: of setattr_prepare()"""
    return cap_inode_killpriv(idmap, dentry)


def _need_killpriv(dentry: Dentry) -> int:
    """security_inode_need_killpriv(): above 0 if the file has capabilities; asks only where there may be attributes at all."""
    if dentry.d_inode.i_sb.s_xattr is None:
        return 0
    return cap_inode_need_killpriv(dentry)


def _locked_change(path: Path, attr: iattr) -> int:
    from kemu.linux.fs.attr import notify_change  # noqa: PLC0415  (circle: fs/attr.c needs this)

    inode = path.dentry.d_inode
    inode_lock(inode)
    error = notify_change(path.mnt.mnt_idmap, path.dentry, attr)
    inode_unlock(inode)
    return error


@dup(C)
def do_truncate(idmap: Any, dentry: Dentry, length: int, time_attrs: int, filp: File | None) -> int:
    """``int do_truncate(idmap, dentry, length, time_attrs, filp)``"""
    from kemu.linux.fs.attr import notify_change  # noqa: PLC0415  (circle: fs/attr.c needs this)

    if length < 0:
        return -EINVAL
    attr = iattr(ia_size=length, ia_valid=ATTR_SIZE | time_attrs)
    if filp is not None:
        attr.ia_file = filp
        attr.ia_valid |= ATTR_FILE
    mode = dentry.d_inode.i_mode
    if mode & (S_ISUID | S_ISGID) and not capable_wrt_inode_uidgid(idmap, dentry.d_inode, CAP_FSETID):
        attr.ia_valid |= ATTR_KILL_SUID | (ATTR_KILL_SGID if mode & 0o010 else 0) | ATTR_FORCE
    inode = dentry.d_inode
    ret = 0 if inode.i_flags & S_NOSEC else _need_killpriv(dentry)
    if ret < 0:
        return ret
    if ret:
        attr.ia_valid |= ATTR_KILL_PRIV | ATTR_FORCE
    inode_lock(inode)
    ret = notify_change(idmap, dentry, attr)
    inode_unlock(inode)
    return ret


@dup(C)
def vfs_truncate(path: Path, length: int) -> int:
    """``int vfs_truncate(const struct path *path, loff_t length)``. Return: 0, -EISDIR, -EINVAL, -EPERM, -EROFS, ..."""
    inode = path.dentry.d_inode
    kind = inode.i_mode & S_IFMT
    if kind == S_IFDIR:
        return -EISDIR
    if kind != S_IFREG:
        return -EINVAL
    error = inode_permission(path.mnt.mnt_idmap, inode, MAY_WRITE)
    if error:
        return error
    error = mnt_want_write(path.mnt)
    if error:
        return error
    error = -EPERM if inode.i_flags & S_APPEND else do_truncate(path.mnt.mnt_idmap, path.dentry, length, 0, None)
    mnt_drop_write(path.mnt)
    return error


@dup(C)
def chmod_common(path: Path, mode: int) -> int:
    """``int chmod_common(const struct path *path, umode_t mode)``"""
    inode = path.dentry.d_inode
    error = mnt_want_write(path.mnt)
    if error:
        return error
    error = _locked_change(path, iattr(ia_mode=mode & S_IALLUGO | inode.i_mode & ~S_IALLUGO, ia_valid=ATTR_MODE | ATTR_CTIME))
    mnt_drop_write(path.mnt)
    return error


@dup(C)
def vfs_fchmod(file: File, mode: int) -> int:
    """``int vfs_fchmod(struct file *file, umode_t mode)``"""
    return chmod_common(file.f_path, mode)


@dup(C)
def chown_common(path: Path, user: int, group: int) -> int:
    """``int chown_common(const struct path *path, uid_t user, gid_t group)``: (uid_t)-1 leaves it. Context: write access to the mount."""
    inode = path.dentry.d_inode
    attr = iattr(ia_valid=ATTR_CTIME)
    if user & INVALID_ID != INVALID_ID:
        attr.ia_valid |= ATTR_UID
        attr.ia_uid = user
    if group & INVALID_ID != INVALID_ID:
        attr.ia_valid |= ATTR_GID
        attr.ia_gid = group
    mode = inode.i_mode
    if not S_ISDIR(mode):
        attr.ia_valid |= ATTR_KILL_SUID | (ATTR_KILL_SGID if mode & 0o010 else 0) | ATTR_KILL_PRIV
    return _locked_change(path, attr)


@dup(C)
def vfs_fchown(file: File, user: int, group: int) -> int:
    """``int vfs_fchown(struct file *file, uid_t user, gid_t group)``"""
    path = file.f_path
    mnt = path.mnt
    error = mnt_want_write(mnt)
    if error:
        return error
    error = chown_common(path, user, group)
    mnt_drop_write(mnt)
    return error


def file_get_write_access(f: File) -> int:
    error = get_write_access(f.f_inode)
    if error:
        return error
    error = mnt_get_write_access(f.f_path.mnt)
    if error:
        f.f_inode.i_writecount -= 1
        return error
    if f.f_mode & FMODE_BACKING and f.user_path is not None:
        error = mnt_get_write_access(f.user_path.mnt)
        if error:
            mnt_put_write_access(f.f_path.mnt)
            f.f_inode.i_writecount -= 1
    return error


@dup(C)
def do_dentry_open(f: File, open: Any = None) -> int:
    """``static int do_dentry_open(struct file *f, int (*open)(struct inode *, struct file *))``: f.f_path is set.

    Return: 0; -EINVAL for O_DIRECT where it cannot be; -EROFS, -ETXTBSY for writing; what ->open says.
    """
    path = f.f_path
    path_get(path)
    inode = f.f_inode = path.dentry.d_inode
    mapping = f.f_mapping = inode.i_mapping
    f.f_wb_err = mapping.wb_err
    mode = f.f_mode
    if f.f_flags & O_PATH:
        f.f_mode = FMODE_PATH | FMODE_OPENED
        f.f_op = empty_fops
        return 0
    kind = inode.i_mode & S_IFMT
    error = 0
    if mode & (FMODE_READ | FMODE_WRITE) == FMODE_READ:
        inode.i_readcount += 1
    elif mode & FMODE_WRITE and kind not in _SPECIAL:
        error = file_get_write_access(f)
        if error:
            path_put(path)
            f.f_path = Path()
            f.f_inode = None                    # type: ignore[assignment]
            return error
        f.f_mode |= FMODE_WRITER
    if kind == S_IFREG or kind == S_IFDIR:
        f.f_mode |= FMODE_ATOMIC_POS
    f.f_op = op = inode.i_fop
    if WARN_ON(op is None):
        error = -ENODEV
    else:
        f.f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE
        if open is None:
            open = op.open
        if open is not None:
            error = open(inode, f)
    if error:
        if WARN_ON(error > 0):
            error = -EINVAL
        put_file_access(f)
        path_put(f.f_path)
        f.f_path = Path()
        f.f_inode = None                        # type: ignore[assignment]
        return error
    op = f.f_op
    mode = f.f_mode | FMODE_OPENED
    if mode & FMODE_READ and (op.read_iter is not None or op.read is not None):
        mode |= FMODE_CAN_READ
    if mode & FMODE_WRITE and (op.write_iter is not None or op.write is not None):
        mode |= FMODE_CAN_WRITE
    if mode & FMODE_LSEEK and op.llseek is None:
        mode &= ~FMODE_LSEEK
    a_ops = f.f_mapping.a_ops
    if a_ops is not None and a_ops.direct_IO is not None:
        mode |= FMODE_CAN_ODIRECT
    f.f_mode = mode
    f.f_flags &= ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | __O_REGULAR)
    f.f_iocb_flags = iocb_flags(f)
    file_ra_state_init(f.f_ra, f.f_mapping.host.i_mapping)
    if f.f_flags & O_DIRECT and not mode & FMODE_CAN_ODIRECT:
        return -EINVAL
    return 0


@dup(C)
def finish_open(file: File, dentry: Dentry, open: Any) -> int:
    """``int finish_open(struct file *file, struct dentry *dentry, int (*open)())``: for ->atomic_open."""
    BUG_ON(file.f_mode & FMODE_OPENED)
    file.f_path.dentry = dentry
    return do_dentry_open(file, open)


@dup(C)
def finish_no_open(file: File, dentry: Any) -> int:
    """``int finish_no_open(struct file *file, struct dentry *dentry)``: for ->atomic_open."""
    if IS_ERR(dentry):
        return PTR_ERR(dentry)
    file.f_path.dentry = dentry
    return 0


@dup(C)
def vfs_open(path: Path, file: File) -> int:
    """``int vfs_open(const struct path *path, struct file *file)``"""
    file.f_path = path.copy()
    return do_dentry_open(file)


def _open(f: Any, path: Path) -> Any:
    if not IS_ERR(f):
        error = vfs_open(path, f)
        if error:
            fput(f)
            return ERR_PTR(error)
    return f


@dup(C)
def dentry_open(path: Path, flags: int, cred: Cred) -> Any:
    """``struct file *dentry_open(const struct path *path, int flags, const struct cred *cred)``: no permission checks. Return: or ERR_PTR()."""
    BUG_ON(path.mnt is None)
    return _open(alloc_empty_file(flags, cred), path)


@dup(C)
def kernel_file_open(path: Path, flags: int, cred: Cred) -> Any:
    """``struct file *kernel_file_open(const struct path *path, int flags, const struct cred *cred)``: not counted as open."""
    return _open(alloc_empty_file_noaccount(flags, cred), path)


def build_open_flags(flags: int, mode: int, op: open_flags) -> int:
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


@dup(C)
def filp_open(filename: str, flags: int, mode: int) -> File:
    """``struct file *filp_open(const char *filename, int flags, umode_t mode)``: relative to the task's root or pwd. Return: or ERR_PTR()."""
    op = open_flags()
    err = build_open_flags(flags, mode, op)
    if err:
        return ERR_PTR(err)
    return do_file_open(AT_FDCWD, getname(filename), op)             # type: ignore[no-any-return]


@dup(C)
def file_open_root(root: Path, filename: str, flags: int, mode: int) -> Any:
    """``struct file *file_open_root(const struct path *root, const char *filename, int flags, umode_t mode)``. Return: or ERR_PTR()."""
    op = open_flags()
    err = build_open_flags(flags, mode, op)
    if err:
        return ERR_PTR(err)
    if d_is_symlink(root.dentry) and op.intent & LOOKUP_OPEN:
        return ERR_PTR(-ELOOP)
    return do_file_open(-1, getname(filename), op, root)


@dup(C)
def filp_close(filp: File, id: Any) -> int:
    """``int filp_close(struct file *filp, fl_owner_t id)``: ->flush and fput(). Return: what ->flush says."""
    retval = 0
    if filp.f_op.flush is not None:
        retval = filp.f_op.flush(filp, id)
    fput(filp)
    return retval


@dup(C)
def generic_file_open(inode: Inode, filp: File) -> int:
    """``int generic_file_open(struct inode *inode, struct file *filp)``. Return: 0, or -EOVERFLOW for a large file without O_LARGEFILE."""
    if not filp.f_flags & O_LARGEFILE and inode.i_size > MAX_NON_LFS:
        return -EOVERFLOW
    return 0


@dup(C)
def nonseekable_open(inode: Inode, filp: File) -> int:
    """``int nonseekable_open(struct inode *inode, struct file *filp)``"""
    filp.f_mode &= ~(FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE)
    return 0


@dup(C)
def stream_open(inode: Inode, filp: File) -> int:
    """``int stream_open(struct inode *inode, struct file *filp)``"""
    filp.f_mode &= ~(FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE | FMODE_ATOMIC_POS)
    filp.f_mode |= FMODE_STREAM
    return 0
