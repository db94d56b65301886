# SPDX-License-Identifier: GPL-2.0-only
"""fs/overlayfs/copy_up.c: an object moves to the upper layer before it is changed."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON
from kemu.linux.delayed_call import delayed_call, do_delayed_call
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EINTR, EIO, ENOMEM, ENXIO, EOPNOTSUPP, ERANGE, EROFS
from kemu.linux.fcntl import O_LARGEFILE, O_RDONLY, O_TRUNC, O_WRONLY, SEEK_DATA
from kemu.linux.fs.dcache import dget_parent, dput
from kemu.linux.fs.file_table import fput
from kemu.linux.fs.namei import end_renaming, link_text, start_renaming_dentry, vfs_get_link
from kemu.linux.fs.overlayfs.overlayfs import (
    ovl_do_link,
    ovl_do_notify_change,
    ovl_do_rename_rd,
    ovl_do_tmpfile,
    ovl_open_flags_need_copy_up,
    ovl_set_flag,
    ovl_start_creating_upper,
    with_ovl_creds,
)
from kemu.linux.fs.overlayfs.ovl_entry import (
    AS_A_BOOT,
    OVL_FS,
    OVL_WHITEOUTS,
    ovl_cattr,
    ovl_fs,
    ovl_upper_mnt,
    ovl_upper_mnt_idmap,
)
from kemu.linux.fs.overlayfs.util import (
    ovl_already_copied_up,
    ovl_copy_up_end,
    ovl_copy_up_start,
    ovl_dentry_has_upper_alias,
    ovl_dentry_set_upper_alias,
    ovl_dentry_update_reval,
    ovl_dentry_upper,
    ovl_end_write,
    ovl_inode_update,
    ovl_path_lower,
    ovl_path_open,
    ovl_path_upper,
    ovl_set_impure,
    ovl_set_upperdata,
    ovl_start_write,
    ovl_workdir,
)
from kemu.linux.fs.posix_acl import vfs_get_acl, vfs_set_acl
from kemu.linux.fs.read_write import vfs_llseek
from kemu.linux.fs.splice import do_splice_direct
from kemu.linux.fs.stat import vfs_getattr
from kemu.linux.fs.xattr import vfs_getxattr, vfs_listxattr, vfs_setxattr
from kemu.linux.include.dcache import Dentry, Qstr, d_inode, dget
from kemu.linux.include.fs.calls import inode_lock, inode_unlock, special_file
from kemu.linux.include.fs.constants import (
    ATTR_ATIME,
    ATTR_ATIME_SET,
    ATTR_CTIME,
    ATTR_GID,
    ATTR_MODE,
    ATTR_MTIME,
    ATTR_MTIME_SET,
    ATTR_SIZE,
    ATTR_UID,
    FMODE_LSEEK,
)
from kemu.linux.include.fs.types import File, iattr, renamedata
from kemu.linux.include.gfp import GFP_KERNEL
from kemu.linux.include.namei import end_creating
from kemu.linux.include.path import Path
from kemu.linux.include.posix_acl import PosixAcl, posix_acl_release
from kemu.linux.include.sched import TASK_KILLABLE, current, signal_pending_state
from kemu.linux.include.slab import kmalloc_obj, kvmalloc, kvzalloc
from kemu.linux.include.string import mem_read
from kemu.linux.include.xattr import XATTR_SECURITY_PREFIX, is_posix_acl_xattr
from kemu.linux.mm.slub import kvfree
from kemu.linux.port.goto import Labels
from kemu.linux.port.honesty import custom, port_of
from kemu.linux.stat import S_IFMT, S_ISDIR, S_ISLNK, S_ISREG, STATX_BASIC_STATS, Kstat
from kemu.linux.super_types import SuperBlock
from kemu.linux.types import Ref
from kemu.machine.current import NULL

C = "fs/overlayfs/copy_up.c"

OVL_COPY_UP_CHUNK_SIZE = 1 << 20


def ovl_must_copy_xattr(name: bytes) -> bool:
    return is_posix_acl_xattr(name) or name.startswith(XATTR_SECURITY_PREFIX)


@custom(C, "ovl_copy_acl", AS_A_BOOT)
def ovl_copy_acl(ofs: ovl_fs, path: Path, dentry: Dentry, acl_name: bytes) -> int:
    real_acl = vfs_get_acl(None, path.dentry, acl_name)
    if IS_ERR(real_acl):
        err = PTR_ERR(real_acl)
        return 0 if err == -61 or err == -EOPNOTSUPP else err
    clone = kmalloc_obj(PosixAcl, GFP_KERNEL)
    if clone is not None:
        clone.a_entries = list(real_acl.a_entries)
    posix_acl_release(real_acl)                 # release original acl
    if clone is None:
        return -ENOMEM
    err = vfs_set_acl(None, dentry, acl_name, clone)
    posix_acl_release(clone)                    # release cloned acl
    return err


@custom(C, "ovl_copy_xattr", AS_A_BOOT)
def ovl_copy_xattr(sb: SuperBlock, oldpath: Path, new: Dentry) -> int:
    from kemu.linux.fs.overlayfs.xattrs import ovl_is_private_xattr  # noqa: PLC0415  (circle: fs/overlayfs/xattrs.c needs this)

    old = oldpath.dentry
    value = value_size = 0
    error = 0

    if old.d_inode.i_op.listxattr is None or new.d_inode.i_op.listxattr is None:
        return 0

    list_size = vfs_listxattr(old, 0, 0)
    if list_size <= 0:
        return 0 if list_size == -EOPNOTSUPP else list_size

    buf = kvzalloc(list_size, GFP_KERNEL)
    if not buf:
        return -ENOMEM

    list_size = vfs_listxattr(old, buf, list_size)
    if list_size <= 0:
        kvfree(buf)
        return list_size

    for name in mem_read(buf, list_size).split(b"\0")[:-1]:
        if ovl_is_private_xattr(sb, name):
            continue

        if is_posix_acl_xattr(name):
            error = ovl_copy_acl(OVL_FS(sb), oldpath, new, name)
            if not error:
                continue
            # POSIX ACLs must be copied.
            break

        while True:
            size = vfs_getxattr(None, old, name, value, value_size) if value else -ERANGE
            if size == -ERANGE:
                size = vfs_getxattr(None, old, name, 0, 0)
            if size < 0 or size <= value_size:
                break
            bigger = kvmalloc(size, GFP_KERNEL)
            if not bigger:
                size = -ENOMEM
                break
            kvfree(value)
            value, value_size = bigger, size
        if size < 0:
            error = size
            break

        error = vfs_setxattr(None, new, name, mem_read(value, size) if size else b"", 0)
        if error:
            if error != -EOPNOTSUPP or ovl_must_copy_xattr(name):
                break
            # Ignore failure to copy unknown xattrs
            error = 0
    kvfree(value)
    kvfree(buf)
    return error


@port_of(C, "ovl_copy_up_file")
def ovl_copy_up_file(ofs: ovl_fs, dentry: Dentry, new_file: File, len_: int) -> int:
    datapath = Path()
    old_pos, new_pos = Ref(0), Ref(0)
    data_pos = -1
    skip_hole = False
    error = 0

    ovl_path_lower(dentry, datapath)            # lowerdata
    if WARN_ON(datapath.dentry is None) or WARN_ON(len_ < 0):
        return -EIO

    old_file = ovl_path_open(datapath, O_LARGEFILE | O_RDONLY)
    if IS_ERR(old_file):
        return PTR_ERR(old_file)

    # Check if lower fs supports seek operation
    if old_file.f_mode & FMODE_LSEEK:
        skip_hole = True

    while len_:
        this_len = min(OVL_COPY_UP_CHUNK_SIZE, len_)

        if signal_pending_state(TASK_KILLABLE, current()):
            error = -EINTR
            break

        if skip_hole and data_pos < old_pos.v:
            data_pos = vfs_llseek(old_file, old_pos.v, SEEK_DATA)
            if data_pos > old_pos.v:
                len_ -= data_pos - old_pos.v
                old_pos.v = new_pos.v = data_pos
                continue
            if data_pos == -ENXIO:
                break
            if data_pos < 0:
                skip_hole = False

        bytes_ = do_splice_direct(old_file, old_pos, new_file, new_pos, this_len)
        if bytes_ <= 0:
            error = bytes_
            break
        WARN_ON(old_pos.v != new_pos.v)
        len_ -= bytes_
    fput(old_file)
    return error


@port_of(C, "ovl_set_size")
def ovl_set_size(ofs: ovl_fs, upperdentry: Dentry, stat: Kstat) -> int:
    attr = iattr(ia_valid=ATTR_SIZE, ia_size=stat.size)

    return ovl_do_notify_change(ofs, upperdentry, attr)


@port_of(C, "ovl_set_timestamps")
def ovl_set_timestamps(ofs: ovl_fs, upperdentry: Dentry, stat: Kstat) -> int:
    attr = iattr(ia_valid=ATTR_ATIME | ATTR_MTIME | ATTR_ATIME_SET | ATTR_MTIME_SET | ATTR_CTIME,
                 ia_atime=stat.atime, ia_mtime=stat.mtime)

    return ovl_do_notify_change(ofs, upperdentry, attr)


@port_of(C, "ovl_set_attr")
def ovl_set_attr(ofs: ovl_fs, upperdentry: Dentry, stat: Kstat) -> int:
    err = 0

    if not S_ISLNK(stat.mode):
        attr = iattr(ia_valid=ATTR_MODE, ia_mode=stat.mode)
        err = ovl_do_notify_change(ofs, upperdentry, attr)
    if not err:
        attr = iattr(ia_valid=ATTR_UID | ATTR_GID, ia_uid=stat.uid, ia_gid=stat.gid)
        err = ovl_do_notify_change(ofs, upperdentry, attr)
    if not err:
        ovl_set_timestamps(ofs, upperdentry, stat)

    return err


class ovl_copy_up_ctx:
    """``struct ovl_copy_up_ctx``"""

    __slots__ = ("dentry", "destdir", "destname", "link", "lowerpath", "parent", "pstat", "stat", "workdir")

    def __init__(self, parent: Dentry, dentry: Dentry, workdir: Dentry):
        self.parent = parent
        self.dentry = dentry
        self.lowerpath = Path()
        self.stat = Kstat()
        self.pstat = Kstat()
        self.link: bytes | None = None
        self.destdir: Any = None
        self.destname = b""
        self.workdir = workdir


@port_of(C, "ovl_link_up")
def ovl_link_up(c: ovl_copy_up_ctx) -> int:
    upperdir = ovl_dentry_upper(c.parent)
    ofs = OVL_FS(c.dentry.d_sb)
    udir = d_inode(upperdir)
    labels = Labels()

    @labels.label
    def out() -> None:
        ovl_end_write(c.dentry)

    ovl_start_write(c.dentry)

    # Mark parent "impure" because it may now contain non-pure upper
    err = ovl_set_impure(c.parent, upperdir)
    if err:
        return labels.goto(out, err)

    upper = ovl_start_creating_upper(ofs, upperdir, c.dentry.d_name.name)
    if IS_ERR(upper):
        err = PTR_ERR(upper)
    else:
        err = ovl_do_link(ofs, ovl_dentry_upper(c.dentry), udir, upper)

        if not err:
            # Restore timestamps on parent (best effort)
            ovl_set_timestamps(ofs, upperdir, c.pstat)
            ovl_dentry_set_upper_alias(c.dentry)
            ovl_dentry_update_reval(c.dentry, upper)
        end_creating(upper)
    return labels.goto(out, err)


@port_of(C, "ovl_copy_up_data")
def ovl_copy_up_data(c: ovl_copy_up_ctx, temp: Path) -> int:
    ofs = OVL_FS(c.dentry.d_sb)

    if not S_ISREG(c.stat.mode) or not c.stat.size:
        return 0

    new_file = ovl_path_open(temp, O_LARGEFILE | O_WRONLY)
    if IS_ERR(new_file):
        return PTR_ERR(new_file)

    err = ovl_copy_up_file(ofs, c.dentry, new_file, c.stat.size)
    fput(new_file)

    return err


@custom(C, "ovl_copy_up_metadata", AS_A_BOOT)
def ovl_copy_up_metadata(c: ovl_copy_up_ctx, temp: Dentry) -> int:
    ofs = OVL_FS(c.dentry.d_sb)
    err = ovl_copy_xattr(c.dentry.d_sb, c.lowerpath, temp)
    if err:
        return err

    inode_lock(temp.d_inode)
    if S_ISREG(c.stat.mode):
        err = ovl_set_size(ofs, temp, c.stat)
    if not err:
        err = ovl_set_attr(ofs, temp, c.stat)
    inode_unlock(temp.d_inode)
    return err


@custom(C, "ovl_copy_up_workdir", AS_A_BOOT)
def ovl_copy_up_workdir(c: ovl_copy_up_ctx) -> int:
    """Copyup using workdir to prepare temp file: directories, special files."""
    from kemu.linux.fs.overlayfs.dir import ovl_create_temp  # noqa: PLC0415  (circle: fs/overlayfs/dir.c needs this)

    ofs = OVL_FS(c.dentry.d_sb)
    path = Path(ovl_upper_mnt(ofs))
    # Can't properly set mode on creation because of the umask
    cattr = ovl_cattr(mode=c.stat.mode & S_IFMT, rdev=c.stat.rdev, link=c.link)
    labels = Labels()
    late = Labels()         # behind the return: its last one jumps back

    @labels.label
    def out() -> None:
        ovl_end_write(c.dentry)

    @late.label
    def cleanup_unlocked() -> None:
        from kemu.linux.fs.overlayfs.dir import ovl_cleanup  # noqa: PLC0415  (circle: fs/overlayfs/dir.c needs this)

        ovl_cleanup(ofs, c.workdir, temp)
        dput(temp)
        labels.goto(out, None)

    ovl_start_write(c.dentry)
    temp = ovl_create_temp(ofs, c.workdir, cattr)
    ovl_end_write(c.dentry)

    if IS_ERR(temp):
        return PTR_ERR(temp)

    # Copy up data first and then xattrs. Writing data after xattrs will remove security.capability xattr automatically.
    path.dentry = temp
    err = ovl_copy_up_data(c, path)
    ovl_start_write(c.dentry)
    if err:
        return late.goto(cleanup_unlocked, err)

    # We cannot hold lock_rename() throughout this helper, because of lock ordering with sb_writers, which shouldn't be held when
    # calling ovl_copy_up_data(), so lock workdir and destdir and make sure that temp wasn't moved before copy up completion or
    # cleanup.
    rd = renamedata(ovl_upper_mnt_idmap(ofs), c.workdir, c.destdir, 0)
    err = start_renaming_dentry(rd, 0, temp, Qstr(c.destname))
    if err:
        # temp or workdir moved underneath us? map to -EIO
        err = -EIO
    if err:
        return late.goto(cleanup_unlocked, err)

    err = ovl_copy_up_metadata(c, temp)
    if not err:
        err = ovl_do_rename_rd(rd)
    end_renaming(rd)

    if err:
        return late.goto(cleanup_unlocked, err)

    inode = d_inode(c.dentry)
    ovl_set_upperdata(inode)
    ovl_inode_update(inode, temp)
    if S_ISDIR(inode.i_mode):
        ovl_set_flag(OVL_WHITEOUTS, inode)

    return labels.goto(out, err)


@port_of(C, "ovl_copy_up_tmpfile")
def ovl_copy_up_tmpfile(c: ovl_copy_up_ctx) -> int:
    """Copyup using O_TMPFILE which does not require cross dir locking."""
    ofs = OVL_FS(c.dentry.d_sb)
    udir = d_inode(c.destdir)
    newdentry: Dentry = NULL
    labels = Labels()

    @labels.label
    def out() -> None:
        ovl_end_write(c.dentry)

    @labels.label
    def out_fput() -> None:
        fput(tmpfile)

    ovl_start_write(c.dentry)
    tmpfile = ovl_do_tmpfile(ofs, c.workdir, c.stat.mode)
    ovl_end_write(c.dentry)

    if IS_ERR(tmpfile):
        return PTR_ERR(tmpfile)

    temp = tmpfile.f_path.dentry
    if c.stat.size:
        err = ovl_copy_up_file(ofs, c.dentry, tmpfile, c.stat.size)
        if err:
            return labels.goto(out_fput, err)

    ovl_start_write(c.dentry)

    err = ovl_copy_up_metadata(c, temp)
    if err:
        return labels.goto(out, err)

    upper = ovl_start_creating_upper(ofs, c.destdir, c.destname)
    if IS_ERR(upper):
        err = PTR_ERR(upper)
    else:
        err = ovl_do_link(ofs, temp, udir, upper)
        if not err:
            # Record the linked dentry -- not the disconnected O_TMPFILE dentry -- so that ->d_revalidate() on the upper fs sees
            # the real parent/name.
            newdentry = dget(upper)
        end_creating(upper)

    if err:
        return labels.goto(out, err)

    ovl_set_upperdata(d_inode(c.dentry))
    ovl_inode_update(d_inode(c.dentry), newdentry)

    return labels.goto(out, err)


@custom(C, "ovl_do_copy_up", AS_A_BOOT)
def ovl_do_copy_up(c: ovl_copy_up_ctx) -> int:
    ofs = OVL_FS(c.dentry.d_sb)

    c.destname = c.dentry.d_name.name
    # Mark parent "impure" because it may now contain non-pure upper
    ovl_start_write(c.dentry)
    err = ovl_set_impure(c.parent, c.destdir)
    ovl_end_write(c.dentry)
    if err:
        return err

    # Should we copyup with O_TMPFILE or with workdir?
    if S_ISREG(c.stat.mode) and ofs.tmpfile:
        err = ovl_copy_up_tmpfile(c)
    else:
        err = ovl_copy_up_workdir(c)
    if err:
        return err

    ovl_start_write(c.dentry)
    # Restore timestamps on parent (best effort)
    udir = d_inode(c.destdir)
    inode_lock(udir)
    ovl_set_timestamps(ofs, c.destdir, c.pstat)
    inode_unlock(udir)

    ovl_dentry_set_upper_alias(c.dentry)
    ovl_dentry_update_reval(c.dentry, ovl_dentry_upper(c.dentry))
    ovl_end_write(c.dentry)
    return 0


@custom(C, "ovl_copy_up_one", "without metacopy: no xattr of it is removed")
def ovl_copy_up_one(parent: Dentry, dentry: Dentry, flags: int) -> int:
    done = delayed_call()
    workdir = ovl_workdir(dentry)
    if WARN_ON(workdir is None):
        return -EROFS
    ctx = ovl_copy_up_ctx(parent, dentry, workdir)

    ovl_path_lower(dentry, ctx.lowerpath)
    err = vfs_getattr(ctx.lowerpath, ctx.stat, STATX_BASIC_STATS, 0)
    if err:
        return err

    parentpath = Path()
    ovl_path_upper(parent, parentpath)
    ctx.destdir = parentpath.dentry
    err = vfs_getattr(parentpath, ctx.pstat, STATX_BASIC_STATS, 0)
    if err:
        return err

    # maybe truncate regular file. this has no effect on dirs
    if flags & O_TRUNC:
        ctx.stat.size = 0

    if S_ISLNK(ctx.stat.mode):
        link = vfs_get_link(ctx.lowerpath.dentry, done)
        if IS_ERR(link):
            return PTR_ERR(link)
        ctx.link = link_text(link)

    err = ovl_copy_up_start(dentry, flags)
    # err < 0: interrupted, err > 0: raced with another copy-up
    if err:
        if err > 0:
            err = 0
    else:
        if ovl_dentry_upper(dentry) is None:
            err = ovl_do_copy_up(ctx)
        if not err and not ovl_dentry_has_upper_alias(dentry):
            err = ovl_link_up(ctx)
        ovl_copy_up_end(dentry)
    do_delayed_call(done)
    return err


@custom(C, "ovl_copy_up_flags", AS_A_BOOT)
def ovl_copy_up_flags(dentry: Dentry, flags: int) -> int:
    err = 0
    while not err:
        if ovl_already_copied_up(dentry, flags):
            break

        next = dget(dentry)
        # find the topmost dentry not yet copied up
        while True:
            parent = dget_parent(next)    # type: ignore[arg-type]
            if ovl_dentry_upper(parent) is not None:
                break
            if parent is next:                  # no upper layer at all: the mount is read-only, nobody comes here
                dput(parent)
                dput(next)
                return -EROFS
            dput(next)
            next = parent

        with with_ovl_creds(dentry.d_sb):
            err = ovl_copy_up_one(parent, next, flags)    # type: ignore[arg-type]

        dput(parent)
        dput(next)
    return err


@port_of(C, "ovl_open_need_copy_up")
def ovl_open_need_copy_up(dentry: Dentry, flags: int) -> bool:
    # Copy up of disconnected dentry does not set upper alias
    if ovl_already_copied_up(dentry, flags):
        return False

    if special_file(d_inode(dentry).i_mode):
        return False

    if not ovl_open_flags_need_copy_up(flags):
        return False

    return True


@port_of(C, "ovl_maybe_copy_up")
def ovl_maybe_copy_up(dentry: Dentry, flags: int) -> int:
    if not ovl_open_need_copy_up(dentry, flags):
        return 0

    return ovl_copy_up_flags(dentry, flags)


def ovl_copy_up_with_data(dentry: Dentry) -> int:
    return ovl_copy_up_flags(dentry, O_WRONLY)


def ovl_copy_up(dentry: Dentry) -> int:
    return ovl_copy_up_flags(dentry, 0)
