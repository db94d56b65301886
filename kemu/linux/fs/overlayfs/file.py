# SPDX-License-Identifier: GPL-2.0-only
"""fs/overlayfs/file.c: regular files pass reads and writes on to the real file, with the mounter's credentials
(fs/backing-file.c).
"""
from __future__ import annotations

from typing import Any

from kemu.linux.atomic import cmpxchg
from kemu.linux.backing_file import backing_file_ctx
from kemu.linux.bug import WARN_ON
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EIO, ENOMEM
from kemu.linux.fcntl import O_APPEND, O_CREAT, O_EXCL, O_NOATIME, O_NOCTTY, O_TRUNC, SEEK_CUR, SEEK_SET
from kemu.linux.fs.backing_file import backing_file_open, backing_file_read_iter, backing_file_write_iter
from kemu.linux.fs.file_table import fput
from kemu.linux.fs.inode import inode_owner_or_capable, inode_set_ctime_to_ts, touch_atime
from kemu.linux.fs.namei import inode_permission
from kemu.linux.fs.overlayfs.copy_up import ovl_maybe_copy_up
from kemu.linux.fs.overlayfs.overlayfs import ovl_creds, ovl_inode_lock, ovl_inode_unlock, with_ovl_creds
from kemu.linux.fs.overlayfs.ovl_entry import AS_A_BOOT
from kemu.linux.fs.overlayfs.readdir import ovl_dir_real_file
from kemu.linux.fs.overlayfs.util import ovl_copyattr, ovl_inode_upper, ovl_path_real
from kemu.linux.fs.read_write import vfs_llseek, vfs_setpos
from kemu.linux.include.cred import current_cred
from kemu.linux.include.dcache import d_inode, d_is_dir
from kemu.linux.include.fs.calls import (
    ACC_MODE,
    file_inode,
    inode_get_ctime,
    inode_get_mtime,
    inode_lock,
    inode_set_mtime_to_ts,
    inode_unlock,
)
from kemu.linux.include.fs.constants import MAY_APPEND, MAY_OPEN
from kemu.linux.include.fs.types import File, Inode, Kiocb, file_operations
from kemu.linux.include.path import Path
from kemu.linux.include.slab import kzalloc_obj
from kemu.linux.include.uio import IovIter, iov_iter_count
from kemu.linux.mm.slub import kfree
from kemu.linux.port.goto import Labels
from kemu.linux.port.honesty import custom, port_of
from kemu.machine.current import NULL

C = "fs/overlayfs/file.c"

OVL_OPEN_FLAGS = O_NOATIME


class ovl_file:
    """``struct ovl_file``"""

    __slots__ = ("realfile", "upperfile")

    def __init__(self) -> None:
        self.realfile: Any = None
        self.upperfile: Any = None


@port_of(C, "ovl_open_realfile")
def ovl_open_realfile(file: File, realpath: Path) -> Any:
    realinode = d_inode(realpath.dentry)
    inode = file_inode(file)
    flags = file.f_flags | OVL_OPEN_FLAGS
    acc_mode = ACC_MODE(flags)

    if flags & O_APPEND:
        acc_mode |= MAY_APPEND

    with with_ovl_creds(inode.i_sb):
        real_idmap = realpath.mnt.mnt_idmap
        err = inode_permission(real_idmap, realinode, MAY_OPEN | acc_mode)
        if err:
            realfile: Any = ERR_PTR(err)
        else:
            if not inode_owner_or_capable(real_idmap, realinode):
                flags &= ~O_NOATIME

            realfile = backing_file_open(file, flags, realpath, current_cred())

    return realfile


@port_of(C, "ovl_file_alloc")
def ovl_file_alloc(realfile: File) -> Any:
    of = kzalloc_obj(ovl_file)
    if of is not None:
        of.realfile = realfile
    return of


@port_of(C, "ovl_file_free")
def ovl_file_free(of: ovl_file) -> None:
    fput(of.realfile)
    if of.upperfile is not None:
        fput(of.upperfile)
    kfree(of)


def ovl_is_real_file(realfile: File, realpath: Path) -> bool:
    return realfile.f_inode is realpath.dentry.d_inode


@custom(C, "ovl_real_file_path", "the flags of the real file stay what they were when it was opened")
def ovl_real_file_path(file: File, realpath: Path) -> Any:
    of: ovl_file = file.private_data
    realfile = of.realfile

    if WARN_ON(not realpath.dentry):
        return ERR_PTR(-EIO)

    # If the realfile that we want is not where the data used to be at open time, either we'd been copied up, or it's an fsync of
    # a metacopied file.  We need the upperfile either way, so see if it is already opened and if it is not then open and store
    # it.
    if not ovl_is_real_file(realfile, realpath):
        upperfile = of.upperfile

        if not upperfile:                       # Nobody opened upperfile yet
            upperfile = ovl_open_realfile(file, realpath)
            if IS_ERR(upperfile):
                return upperfile

            # Store the upperfile for later
            old = cmpxchg(of, "upperfile", NULL, upperfile)
            if old:                             # Someone opened upperfile before us
                fput(upperfile)
                upperfile = old
        # Stored file must be from the right inode, unless someone's been corrupting the upper layer.
        if WARN_ON(not ovl_is_real_file(upperfile, realpath)):
            return ERR_PTR(-EIO)

        realfile = upperfile

    return realfile


@custom(C, "ovl_real_file", AS_A_BOOT)
def ovl_real_file(file: File) -> Any:
    dentry = file.f_path.dentry
    if d_is_dir(dentry):
        return ovl_dir_real_file(file, False)
    realpath = Path()
    ovl_path_real(dentry, realpath)             # realdata
    return ovl_real_file_path(file, realpath)


@port_of(C, "ovl_open")
def ovl_open(inode: Inode, file: File) -> int:
    dentry = file.f_path.dentry
    realpath = Path()

    err = ovl_maybe_copy_up(dentry, file.f_flags)
    if err:
        return err

    # No longer need these flags, so don't pass them on to underlying fs
    file.f_flags &= ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC)

    ovl_path_real(dentry, realpath)
    if realpath.dentry is None:
        return -EIO

    realfile = ovl_open_realfile(file, realpath)
    if IS_ERR(realfile):
        return PTR_ERR(realfile)

    of = ovl_file_alloc(realfile)
    if of is None:
        fput(realfile)
        return -ENOMEM

    file.private_data = of
    return 0


def ovl_release(inode: Inode, file: File) -> int:
    ovl_file_free(file.private_data)
    return 0


@port_of(C, "ovl_llseek")
def ovl_llseek(file: File, offset: int, whence: int) -> int:
    inode = file_inode(file)

    # The two special cases below do not need to involve real fs, so we can optimizing concurrent callers.
    if offset == 0:
        if whence == SEEK_CUR:
            return file.f_pos

        if whence == SEEK_SET:
            return vfs_setpos(file, 0, 0)

    realfile = ovl_real_file(file)
    if IS_ERR(realfile):
        return PTR_ERR(realfile)

    # Overlay file f_pos is the master copy that is preserved through copy up and modified on read/write, but only real fs knows
    # how to SEEK_HOLE/SEEK_DATA and real fs may impose limitations that are more strict than ->s_maxbytes for specific files, so
    # we use the real file to perform seeks.
    ovl_inode_lock(inode)
    realfile.f_pos = file.f_pos

    with with_ovl_creds(inode.i_sb):
        ret = vfs_llseek(realfile, offset, whence)

    file.f_pos = realfile.f_pos
    ovl_inode_unlock(inode)

    return ret


@port_of(C, "ovl_file_modified")
def ovl_file_modified(file: File) -> None:
    # Update size/mtime
    ovl_copyattr(file_inode(file))


@port_of(C, "ovl_file_end_write")
def ovl_file_end_write(iocb: Kiocb, ret: int) -> None:
    ovl_file_modified(iocb.ki_filp)


@port_of(C, "ovl_file_accessed")
def ovl_file_accessed(file: File) -> None:
    if file.f_flags & O_NOATIME:
        return
    inode = file.f_inode
    upperinode = ovl_inode_upper(inode)
    if upperinode is None:
        return
    inode_set_mtime_to_ts(inode, inode_get_mtime(upperinode))
    inode_set_ctime_to_ts(inode, inode_get_ctime(upperinode))
    touch_atime(file.f_path)


@port_of(C, "ovl_read_iter")
def ovl_read_iter(iocb: Kiocb, iter: IovIter) -> int:
    file = iocb.ki_filp
    ctx = backing_file_ctx(cred=ovl_creds(file_inode(file).i_sb), accessed=ovl_file_accessed)

    if not iov_iter_count(iter):
        return 0

    realfile = ovl_real_file(file)
    if IS_ERR(realfile):
        return PTR_ERR(realfile)

    return backing_file_read_iter(realfile, iter, iocb, iocb.ki_flags, ctx)


@port_of(C, "ovl_write_iter")
def ovl_write_iter(iocb: Kiocb, iter: IovIter) -> int:
    file = iocb.ki_filp
    inode = file_inode(file)
    ifl = iocb.ki_flags
    ctx = backing_file_ctx(cred=ovl_creds(inode.i_sb), end_write=ovl_file_end_write)
    labels = Labels()

    @labels.label
    def out_unlock() -> None:
        inode_unlock(inode)

    if not iov_iter_count(iter):
        return 0

    inode_lock(inode)
    # Update mode
    ovl_copyattr(inode)

    realfile = ovl_real_file(file)
    if IS_ERR(realfile):
        ret = PTR_ERR(realfile)
        return labels.goto(out_unlock, ret)

    ret = backing_file_write_iter(realfile, iter, iocb, ifl, ctx)

    return labels.goto(out_unlock, ret)


@custom(C, "ovl_fsync", "nothing is written back: the upper layer is in memory")
def ovl_fsync(file: File, start: int, end: int, datasync: int) -> int:
    realfile = ovl_real_file(file)
    if IS_ERR(realfile):
        return PTR_ERR(realfile)
    op = realfile.f_op.fsync
    return int(op(realfile, start, end, datasync)) if op else 0


ovl_file_operations = file_operations(open=ovl_open, release=ovl_release, llseek=ovl_llseek, read_iter=ovl_read_iter,
                                      write_iter=ovl_write_iter,
                                      fsync=ovl_fsync)
