# SPDX-License-Identifier: GPL-2.0-only
"""fs/overlayfs/overlayfs.h: what is done to the upper layer. pr_debug() says nothing, as in a kernel whose dynamic debugging is
off.
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kemu.linux.bug import WARN_ON
from kemu.linux.err import PTR_ERR_OR_ZERO
from kemu.linux.fcntl import O_ACCMODE, O_LARGEFILE, O_TRUNC, O_WRONLY
from kemu.linux.fs.attr import notify_change
from kemu.linux.fs.inode import inode_set_flags
from kemu.linux.fs.namei import (
    kernel_tmpfile_open,
    lookup_one_unlocked,
    start_creating,
    start_removing,
    vfs_create,
    vfs_link,
    vfs_mkdir,
    vfs_mknod,
    vfs_rename,
    vfs_rmdir,
    vfs_symlink,
    vfs_unlink,
)
from kemu.linux.fs.overlayfs.ovl_entry import (
    OVL_FS,
    OVL_FSYNC_VOLATILE,
    OVL_I,
    OVL_WHITEOUTS,
    OVL_XATTR_TRUSTED_PREFIX,
    OVL_XATTR_USER_PREFIX,
    ovl_fs,
    ovl_upper_mnt,
    ovl_upper_mnt_idmap,
)
from kemu.linux.fs.posix_acl import vfs_set_acl
from kemu.linux.fs.xattr import vfs_getxattr, vfs_removexattr, vfs_setxattr
from kemu.linux.include.cred import current_cred, override_creds, revert_creds
from kemu.linux.include.dcache import Dentry, Qstr
from kemu.linux.include.fs.calls import vfs_whiteout
from kemu.linux.include.fs.constants import FMODE_WRITE
from kemu.linux.include.fs.types import Inode, iattr, renamedata
from kemu.linux.include.mutex import mutex_lock
from kemu.linux.include.path import Path
from kemu.linux.kernel.locking.mutex import mutex_unlock
from kemu.linux.port.honesty import port_of
from kemu.linux.printk import pr_debug
from kemu.linux.super_types import SuperBlock

C = "fs/overlayfs/overlayfs.h"


def OVL_TYPE_UPPER(type: int) -> bool:
    return bool(type & 1)


def OVL_TYPE_MERGE(type: int) -> bool:
    return bool(type & 2)


def ovl_xattr(ofs: ovl_fs, ox: bytes) -> bytes:
    return (OVL_XATTR_USER_PREFIX if ofs.config.userxattr else OVL_XATTR_TRUSTED_PREFIX) + ox


@port_of(C, "ovl_do_notify_change")
def ovl_do_notify_change(ofs: ovl_fs, upperdentry: Dentry, attr: iattr) -> int:
    return notify_change(ovl_upper_mnt_idmap(ofs), upperdentry, attr, None)


@port_of(C, "ovl_do_rmdir")
def ovl_do_rmdir(ofs: ovl_fs, dir: Inode, dentry: Dentry) -> int:
    err = vfs_rmdir(ovl_upper_mnt_idmap(ofs), dir, dentry, None)

    pr_debug("rmdir(%pd2) = %i\n", dentry, err)
    return err


@port_of(C, "ovl_do_unlink")
def ovl_do_unlink(ofs: ovl_fs, dir: Inode, dentry: Dentry) -> int:
    err = vfs_unlink(ovl_upper_mnt_idmap(ofs), dir, dentry, None)

    pr_debug("unlink(%pd2) = %i\n", dentry, err)
    return err


@port_of(C, "ovl_do_link")
def ovl_do_link(ofs: ovl_fs, old_dentry: Dentry, dir: Inode, new_dentry: Dentry) -> int:
    err = vfs_link(old_dentry, ovl_upper_mnt_idmap(ofs), dir, new_dentry, None)

    pr_debug("link(%pd2, %pd2) = %i\n", old_dentry, new_dentry, err)
    return err


@port_of(C, "ovl_do_create")
def ovl_do_create(ofs: ovl_fs, dir: Inode, dentry: Dentry, mode: int) -> int:
    err = vfs_create(ovl_upper_mnt_idmap(ofs), dentry, mode, None)

    pr_debug("create(%pd2, 0%o) = %i\n", dentry, mode, err)
    return err


@port_of(C, "ovl_do_mkdir")
def ovl_do_mkdir(ofs: ovl_fs, dir: Inode, dentry: Dentry, mode: int) -> Any:
    # vfs_mkdir() drops @dentry on failure and may replace it on success
    pr_debug("mkdir(%pd2, 0%o)\n", dentry, mode)
    ret = vfs_mkdir(ovl_upper_mnt_idmap(ofs), dir, dentry, mode, None)
    pr_debug("...mkdir = %i\n", PTR_ERR_OR_ZERO(ret))
    return ret


@port_of(C, "ovl_do_mknod")
def ovl_do_mknod(ofs: ovl_fs, dir: Inode, dentry: Dentry, mode: int, dev: int) -> int:
    err = vfs_mknod(ovl_upper_mnt_idmap(ofs), dir, dentry, mode, dev, None)

    pr_debug("mknod(%pd2, 0%o, 0%o) = %i\n", dentry, mode, dev, err)
    return err


@port_of(C, "ovl_do_symlink")
def ovl_do_symlink(ofs: ovl_fs, dir: Inode, dentry: Dentry, oldname: bytes) -> int:
    err = vfs_symlink(ovl_upper_mnt_idmap(ofs), dir, dentry, oldname, None)

    pr_debug("symlink(\"%s\", %pd2) = %i\n", oldname, dentry, err)
    return err


@port_of(C, "ovl_do_getxattr")
def ovl_do_getxattr(path: Path, name: bytes, value: int, size: int) -> int:
    WARN_ON(path.dentry.d_sb is not path.mnt.mnt_sb)

    return vfs_getxattr(path.mnt.mnt_idmap, path.dentry, name, value, size)


@port_of(C, "ovl_path_getxattr")
def ovl_path_getxattr(ofs: ovl_fs, path: Path, ox: bytes, value: int, size: int) -> int:
    from kemu.linux.fs.overlayfs.overlayfs import ovl_xattr  # noqa: PLC0415  (circle: fs/overlayfs/util.c needs this)

    return ovl_do_getxattr(path, ovl_xattr(ofs, ox), value, size)


def ovl_setxattr(ofs: ovl_fs, dentry: Dentry, ox: bytes, value: bytes) -> int:
    return vfs_setxattr(None, dentry, ovl_xattr(ofs, ox), value, 0)


def ovl_removexattr(ofs: ovl_fs, dentry: Dentry, ox: bytes) -> int:
    return vfs_removexattr(None, dentry, ovl_xattr(ofs, ox))


@port_of(C, "ovl_do_set_acl")
def ovl_do_set_acl(ofs: ovl_fs, dentry: Dentry, acl_name: bytes, acl: Any) -> int:
    return vfs_set_acl(ovl_upper_mnt_idmap(ofs), dentry, acl_name, acl)


@port_of(C, "ovl_do_rename_rd")
def ovl_do_rename_rd(rd: renamedata) -> int:
    pr_debug("rename(%pd2, %pd2, 0x%x)\n", rd.old_dentry, rd.new_dentry, rd.flags)
    err = vfs_rename(rd)
    if err:
        pr_debug("...rename(%pd2, %pd2, ...) = %i\n", rd.old_dentry, rd.new_dentry, err)
    return err


@port_of(C, "ovl_do_whiteout")
def ovl_do_whiteout(ofs: ovl_fs, dir: Inode, dentry: Dentry) -> int:
    err = vfs_whiteout(ovl_upper_mnt_idmap(ofs), dir, dentry)
    pr_debug("whiteout(%pd2) = %i\n", dentry, err)
    return err


@port_of(C, "ovl_do_tmpfile")
def ovl_do_tmpfile(ofs: ovl_fs, dentry: Dentry, mode: int) -> Any:
    path = Path(ovl_upper_mnt(ofs), dentry)
    file = kernel_tmpfile_open(ovl_upper_mnt_idmap(ofs), path, mode, O_LARGEFILE | O_WRONLY, current_cred())
    err = PTR_ERR_OR_ZERO(file)

    pr_debug("tmpfile(%pd2, 0%o) = %i\n", dentry, mode, err)
    return file


def ovl_lookup_upper_unlocked(ofs: ovl_fs, name: bytes, base: Dentry) -> Any:
    return lookup_one_unlocked(None, Qstr(name), base)


def ovl_start_creating_upper(ofs: ovl_fs, parent: Dentry, name: bytes) -> Any:
    return start_creating(None, parent, Qstr(name))


def ovl_start_removing_upper(ofs: ovl_fs, parent: Dentry, name: bytes) -> Any:
    return start_removing(None, parent, Qstr(name))


def ovl_open_flags_need_copy_up(flags: int) -> bool:
    return bool((flags + 1) & O_ACCMODE & FMODE_WRITE or flags & O_TRUNC)


@contextmanager
def with_ovl_creds(sb: SuperBlock) -> Iterator[None]:
    """``with_ovl_creds(sb)``: the body runs with the mounter's credentials."""
    old = override_creds(OVL_FS(sb).creator_cred)
    try:
        yield
    finally:
        revert_creds(old)


@port_of(C, "ovl_creds")
def ovl_creds(sb: SuperBlock) -> Any:
    ofs = OVL_FS(sb)

    return ofs.creator_cred


def ovl_set_flag(flag: int, inode: Any) -> None:
    OVL_I(inode).flags |= flag


def ovl_test_flag(flag: int, inode: Any) -> bool:
    return bool(OVL_I(inode).flags & flag)


def ovl_should_sync(ofs: ovl_fs) -> bool:
    return ofs.config.fsync_mode != OVL_FSYNC_VOLATILE


def ovl_is_volatile(config: Any) -> bool:
    return bool(config.fsync_mode == OVL_FSYNC_VOLATILE)


def ovl_same_fs(ofs: ovl_fs) -> bool:
    """All layers are on one file system."""
    return ofs.xino_mode == 0


@port_of(C, "ovl_inode_lock")
def ovl_inode_lock(inode: Any) -> None:
    mutex_lock(OVL_I(inode).lock)


@port_of(C, "ovl_inode_unlock")
def ovl_inode_unlock(inode: Any) -> None:
    mutex_unlock(OVL_I(inode).lock)


def ovl_dir_is_real(inode: Any) -> bool:
    return not ovl_test_flag(OVL_WHITEOUTS, inode)


@port_of(C, "ovl_copyflags")
def ovl_copyflags(from_: Any, to: Any) -> None:
    from kemu.linux.fs.overlayfs.inode import OVL_COPY_I_FLAGS_MASK  # noqa: PLC0415  (circle: fs/overlayfs/inode.c needs this)

    mask = OVL_COPY_I_FLAGS_MASK

    inode_set_flags(to, from_.i_flags & mask, mask)


def ovl_force_readonly(ofs: ovl_fs) -> bool:
    return ovl_upper_mnt(ofs) is None or ofs.workdir is None
