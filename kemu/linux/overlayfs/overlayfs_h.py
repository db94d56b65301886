# SPDX-License-Identifier: GPL-2.0-only
"""fs/overlayfs/overlayfs.h: what is done to the upper layer. pr_debug() says nothing, as in a kernel whose dynamic debugging is off."""
from __future__ import annotations

from typing import Any

from kemu.linux.cred import current_cred
from kemu.linux.dcache import Dentry
from kemu.linux.err import PTR_ERR_OR_ZERO
from kemu.linux.fcntl import O_LARGEFILE, O_WRONLY
from kemu.linux.honesty import port_of
from kemu.linux.overlayfs.ovl_entry import ovl_fs, ovl_upper_mnt
from kemu.linux.printk import pr_debug
from kemu.linux.vfs.attr import notify_change
from kemu.linux.vfs.basic import Path
from kemu.linux.vfs.dir_ops import (
    kernel_tmpfile_open,
    vfs_create,
    vfs_link,
    vfs_mkdir,
    vfs_mknod,
    vfs_rmdir,
    vfs_symlink,
    vfs_unlink,
)
from kemu.linux.vfs.one import vfs_whiteout
from kemu.linux.vfs.rename import renamedata, vfs_rename
from kemu.linux.vfs.types import Inode, iattr
from kemu.linux.xattr_set import vfs_set_acl

C = "fs/overlayfs/overlayfs.h"


@port_of("fs/overlayfs/ovl_entry.h", "ovl_upper_mnt_idmap")
def ovl_upper_mnt_idmap(ofs: ovl_fs) -> Any:
    return ovl_upper_mnt(ofs).mnt_idmap


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
