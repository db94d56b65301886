# SPDX-License-Identifier: GPL-2.0-only
"""Opening files, and what changes them by name or by descriptor (fs/open.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON, WARN_ON, WARN_ON_ONCE
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EINVAL, EISDIR, ENODEV, EOVERFLOW, EPERM
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
from kemu.linux.fs.file_table import alloc_empty_file, alloc_empty_file_noaccount, backing_file_user_path, fput, put_file_access
from kemu.linux.fs.inode import dentry_needs_remove_privs
from kemu.linux.fs.internal import open_flags
from kemu.linux.fs.namei import do_file_open, do_file_open_root, getname, inode_permission, path_get, path_put
from kemu.linux.fs.namespace import (
    mnt_drop_write,
    mnt_drop_write_file,
    mnt_get_write_access,
    mnt_put_write_access,
    mnt_want_write,
    mnt_want_write_file,
)
from kemu.linux.include.cred import Cred, current_user_ns
from kemu.linux.include.dcache import Dentry
from kemu.linux.include.fs.calls import (
    ACC_MODE,
    IS_APPEND,
    get_write_access,
    i_readcount_inc,
    inode_lock_killable,
    inode_unlock,
    iocb_flags,
    put_write_access,
    setattr_vfsgid,
    setattr_vfsuid,
    special_file,
)
from kemu.linux.include.fs.constants import (
    ATTR_CTIME,
    ATTR_FILE,
    ATTR_FORCE,
    ATTR_KILL_PRIV,
    ATTR_KILL_SUID,
    ATTR_MODE,
    ATTR_SIZE,
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
)
from kemu.linux.include.fs.types import File, Inode, empty_fops, iattr
from kemu.linux.include.namei import LOOKUP_CREATE, LOOKUP_DIRECTORY, LOOKUP_EMPTY, LOOKUP_EXCL, LOOKUP_FOLLOW, LOOKUP_OPEN
from kemu.linux.include.path import Path
from kemu.linux.mm.readahead import file_ra_state_init
from kemu.linux.port.goto import Labels
from kemu.linux.port.honesty import custom, dup
from kemu.linux.stat import (
    S_IALLUGO,
    S_IFREG,
    S_ISDIR,
    S_ISREG,
)
from kemu.linux.uidgid import make_kgid, make_kuid
from kemu.machine.current import NULL

C = "fs/open.c"


@dup(C)
def do_truncate(idmap: Any, dentry: Dentry, length: int, time_attrs: int, filp: File | None) -> int:
    """``int do_truncate(idmap, dentry, length, time_attrs, filp)``"""
    from kemu.linux.fs.attr import notify_change  # noqa: PLC0415  (circle: fs/attr.c needs this)

    newattrs = iattr()
    if length < 0:
        return -EINVAL

    newattrs.ia_size = length
    newattrs.ia_valid = ATTR_SIZE | time_attrs
    if filp:
        newattrs.ia_file = filp
        newattrs.ia_valid |= ATTR_FILE

    # Remove suid, sgid, and file capabilities on truncate too
    ret = dentry_needs_remove_privs(idmap, dentry)
    if ret < 0:
        return ret
    if ret:
        newattrs.ia_valid |= ret | ATTR_FORCE

    ret = inode_lock_killable(dentry.d_inode)
    if ret:
        return ret

    ret = notify_change(idmap, dentry, newattrs, None)
    inode_unlock(dentry.d_inode)
    return ret


@dup(C)
def vfs_truncate(path: Path, length: int) -> int:
    """``int vfs_truncate(const struct path *path, loff_t length)``. Return: 0, -EISDIR, -EINVAL, -EPERM, -EROFS, -ETXTBSY, ..."""
    labels = Labels()

    @labels.label
    def put_write_and_out() -> None:
        put_write_access(inode)

    @labels.label
    def mnt_drop_write_and_out() -> None:
        mnt_drop_write(path.mnt)

    inode = path.dentry.d_inode

    # For directories it's -EISDIR, for other non-regulars - -EINVAL
    if S_ISDIR(inode.i_mode):
        return -EISDIR
    if not S_ISREG(inode.i_mode):
        return -EINVAL

    idmap = path.mnt.mnt_idmap
    error = inode_permission(idmap, inode, MAY_WRITE)
    if error:
        return error

    error = mnt_want_write(path.mnt)
    if error:
        return error

    if IS_APPEND(inode):
        return labels.goto(mnt_drop_write_and_out, -EPERM)

    error = get_write_access(inode)
    if error:
        return labels.goto(mnt_drop_write_and_out, error)

    error = do_truncate(idmap, path.dentry, length, 0, None)
    return labels.goto(put_write_and_out, error)


@dup(C)
def chmod_common(path: Path, mode: int) -> int:
    """``int chmod_common(const struct path *path, umode_t mode)``"""
    from kemu.linux.fs.attr import notify_change  # noqa: PLC0415  (circle: fs/attr.c needs this)

    inode = path.dentry.d_inode
    newattrs = iattr()

    error = mnt_want_write(path.mnt)
    if error:
        return error
    error = inode_lock_killable(inode)
    if not error:                               # else goto out_mnt_unlock
        newattrs.ia_mode = mode & S_IALLUGO | inode.i_mode & ~S_IALLUGO
        newattrs.ia_valid = ATTR_MODE | ATTR_CTIME
        error = notify_change(path.mnt.mnt_idmap, path.dentry, newattrs)
        inode_unlock(inode)
    mnt_drop_write(path.mnt)
    return error


@dup(C)
def vfs_fchmod(file: File, mode: int) -> int:
    """``int vfs_fchmod(struct file *file, umode_t mode)``"""
    return chmod_common(file.f_path, mode)


@dup(C)
def chown_common(path: Path, user: int, group: int) -> int:
    """``int chown_common(const struct path *path, uid_t user, gid_t group)``: (uid_t)-1 leaves it.

    Context: write access to the mount.
    """
    from kemu.linux.fs.attr import notify_change, setattr_should_drop_sgid  # noqa: PLC0415  (circle: fs/attr.c needs this)

    inode = path.dentry.d_inode
    newattrs = iattr()

    uid = make_kuid(current_user_ns(), user)
    gid = make_kgid(current_user_ns(), group)

    idmap = path.mnt.mnt_idmap

    newattrs.ia_uid = INVALID_ID
    newattrs.ia_gid = INVALID_ID
    newattrs.ia_valid = ATTR_CTIME
    if uid != INVALID_ID and not setattr_vfsuid(newattrs, uid):
        return -EINVAL
    if gid != INVALID_ID and not setattr_vfsgid(newattrs, gid):
        return -EINVAL
    error = inode_lock_killable(inode)
    if error:
        return error
    if not S_ISDIR(inode.i_mode):
        newattrs.ia_valid |= ATTR_KILL_SUID | ATTR_KILL_PRIV | setattr_should_drop_sgid(idmap, inode)
    error = notify_change(idmap, path.dentry, newattrs)
    inode_unlock(inode)
    return error


@dup(C)
def vfs_fchown(file: File, user: int, group: int) -> int:
    """``int vfs_fchown(struct file *file, uid_t user, gid_t group)``"""
    error = mnt_want_write_file(file)
    if error:
        return error
    error = chown_common(file.f_path, user, group)
    mnt_drop_write_file(file)
    return error


@dup(C)
def file_get_write_access(f: File) -> int:
    """``int file_get_write_access(struct file *f)``: of the inode, of the mount, and of the mount that the user of a backing file
    sees.
    """
    labels = Labels()

    @labels.label
    def cleanup_mnt() -> None:
        mnt_put_write_access(f.f_path.mnt)

    @labels.label
    def cleanup_inode() -> None:
        put_write_access(f.f_inode)

    error = get_write_access(f.f_inode)
    if error:
        return error
    error = mnt_get_write_access(f.f_path.mnt)
    if error:
        return labels.goto(cleanup_inode, error)
    if f.f_mode & FMODE_BACKING:
        error = mnt_get_write_access(backing_file_user_path(f).mnt)
        if error:
            return labels.goto(cleanup_mnt, error)
    return 0


@dup(C)
def do_dentry_open(f: File, open: Any = None) -> int:
    """``static int do_dentry_open(struct file *f, int (*open)(struct inode *, struct file *))``: f.f_path is set.

    Return: 0; -EINVAL for O_DIRECT where it cannot be; -EROFS, -ETXTBSY for writing; what ->open says.
    """
    inode = f.f_path.dentry.d_inode
    labels = Labels()

    @labels.label
    def cleanup_all() -> None:
        put_file_access(f)

    @labels.label
    def cleanup_file() -> None:
        path_put(f.f_path)
        f.f_path = Path()
        f.f_inode = NULL

    path_get(f.f_path)
    f.f_inode = inode
    f.f_mapping = inode.i_mapping
    f.f_wb_err = f.f_mapping.wb_err                             # filemap_sample_wb_err()

    if f.f_flags & O_PATH:
        f.f_mode = FMODE_PATH | FMODE_OPENED
        f.f_op = empty_fops
        return 0

    if f.f_mode & (FMODE_READ | FMODE_WRITE) == FMODE_READ:
        i_readcount_inc(inode)
    elif f.f_mode & FMODE_WRITE and not special_file(inode.i_mode):
        error = file_get_write_access(f)
        if error:
            return labels.goto(cleanup_file, error)
        f.f_mode |= FMODE_WRITER

    # POSIX.1-2008/SUSv4 Section XSI 2.9.7
    if S_ISREG(inode.i_mode) or S_ISDIR(inode.i_mode):
        f.f_mode |= FMODE_ATOMIC_POS

    f.f_op = inode.i_fop                                        # fops_get(): there are no modules
    if WARN_ON(not f.f_op):
        return labels.goto(cleanup_all, -ENODEV)

    # normally all 3 are set; ->open() can clear them if needed
    f.f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE
    if not open:
        open = f.f_op.open
    if open:
        error = open(inode, f)
        if error:
            if WARN_ON_ONCE(error > 0):
                error = -EINVAL
            return labels.goto(cleanup_all, error)
    f.f_mode |= FMODE_OPENED
    if f.f_mode & FMODE_READ and (f.f_op.read or f.f_op.read_iter):
        f.f_mode |= FMODE_CAN_READ
    if f.f_mode & FMODE_WRITE and (f.f_op.write or f.f_op.write_iter):
        f.f_mode |= FMODE_CAN_WRITE
    if f.f_mode & FMODE_LSEEK and not f.f_op.llseek:
        f.f_mode &= ~FMODE_LSEEK
    if f.f_mapping.a_ops and f.f_mapping.a_ops.direct_IO:
        f.f_mode |= FMODE_CAN_ODIRECT

    f.f_flags &= ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | __O_REGULAR)
    f.f_iocb_flags = iocb_flags(f)

    file_ra_state_init(f.f_ra, f.f_mapping.host.i_mapping)

    if f.f_flags & O_DIRECT and not f.f_mode & FMODE_CAN_ODIRECT:
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


@dup(C)
def dentry_open(path: Path, flags: int, cred: Cred) -> Any:
    """``struct file *dentry_open(const struct path *path, int flags, const struct cred *cred)``: no permission checks.

    Return: or ERR_PTR().
    """
    # We must always pass in a valid mount pointer.
    BUG_ON(not path.mnt)

    f = alloc_empty_file(flags, cred)
    if not IS_ERR(f):
        error = vfs_open(path, f)
        if error:
            fput(f)
            f = ERR_PTR(error)
    return f


@dup(C)
def kernel_file_open(path: Path, flags: int, cred: Cred) -> Any:
    """``struct file *kernel_file_open(const struct path *path, int flags, const struct cred *cred)``: not counted as open."""
    f = alloc_empty_file_noaccount(flags, cred)
    if IS_ERR(f):
        return f

    error = vfs_open(path, f)
    if error:
        fput(f)
        return ERR_PTR(error)
    return f


@custom(C, "build_open_flags", "build_open_how() with it: the flags of open() and openat(), none of openat2()")
def build_open_flags(flags: int, mode: int, op: open_flags) -> int:
    """``int build_open_flags(const struct open_how *how, struct open_flags *op)``: of flags and mode. Return: 0, -EINVAL."""
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
    """``struct file *filp_open(const char *filename, int flags, umode_t mode)``: relative to the task's root or pwd.

    Return: or ERR_PTR().
    """
    op = open_flags()
    err = build_open_flags(flags, mode, op)
    if err:
        return ERR_PTR(err)
    return do_file_open(AT_FDCWD, getname(filename), op)             # type: ignore[no-any-return]


@dup(C)
def file_open_root(root: Path, filename: str, flags: int, mode: int) -> Any:
    """``struct file *file_open_root(const struct path *root, const char *filename, int flags, umode_t mode)``.

    Return: or ERR_PTR().
    """
    op = open_flags()
    err = build_open_flags(flags, mode, op)
    if err:
        return ERR_PTR(err)
    return do_file_open_root(root, filename, op)


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
    """``int generic_file_open(struct inode *inode, struct file *filp)``.

    Return: 0, or -EOVERFLOW for a large file without O_LARGEFILE.
    """
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
