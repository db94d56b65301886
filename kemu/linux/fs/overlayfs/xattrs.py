# SPDX-License-Identifier: GPL-2.0-only
"""fs/overlayfs/xattrs.c: attributes pass through; the overlay's own are not shown, those of a nested overlay are escaped."""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import EOPNOTSUPP
from kemu.linux.fs.overlayfs.copy_up import ovl_copy_up
from kemu.linux.fs.overlayfs.dir import ovl_dir_inode_operations
from kemu.linux.fs.overlayfs.inode import ovl_file_inode_operations, ovl_special_inode_operations, ovl_symlink_inode_operations
from kemu.linux.fs.overlayfs.overlayfs import with_ovl_creds
from kemu.linux.fs.overlayfs.ovl_entry import (
    AS_A_BOOT,
    OVL_FS,
    OVL_XATTR_ESCAPE_PREFIX,
    OVL_XATTR_TRUSTED_PREFIX,
    OVL_XATTR_USER_PREFIX,
    ovl_fs,
)
from kemu.linux.fs.overlayfs.util import (
    ovl_copyattr,
    ovl_dentry_real,
    ovl_dentry_upper,
    ovl_drop_write,
    ovl_i_path_real,
    ovl_path_lower,
    ovl_want_write,
)
from kemu.linux.fs.xattr import vfs_getxattr, vfs_listxattr, vfs_removexattr, vfs_setxattr
from kemu.linux.include.cred import CAP_SYS_ADMIN, capable
from kemu.linux.include.dcache import Dentry
from kemu.linux.include.path import Path
from kemu.linux.include.string import mem_read, mem_write
from kemu.linux.include.xattr import XATTR_NAME_MAX, xattr_handler
from kemu.linux.port.honesty import custom, port_of
from kemu.linux.super_types import SuperBlock

C = "fs/overlayfs/xattrs.c"


def _prefix(ofs: ovl_fs) -> bytes:
    return OVL_XATTR_USER_PREFIX if ofs.config.userxattr else OVL_XATTR_TRUSTED_PREFIX


def ovl_is_escaped_xattr(sb: SuperBlock, name: bytes) -> bool:
    return name.startswith(_prefix(OVL_FS(sb)) + OVL_XATTR_ESCAPE_PREFIX)


def ovl_is_own_xattr(sb: SuperBlock, name: bytes) -> bool:
    return name.startswith(_prefix(OVL_FS(sb)))


def ovl_is_private_xattr(sb: SuperBlock, name: bytes) -> bool:
    return ovl_is_own_xattr(sb, name) and not ovl_is_escaped_xattr(sb, name)


@custom(C, "ovl_xattr_set", AS_A_BOOT)
def ovl_xattr_set(dentry: Dentry, inode: Any, name: bytes, value: bytes | None, flags: int) -> int:
    err = 0
    upperdentry = inode.upperdentry

    if value is None and upperdentry is None:
        realpath = Path()
        ovl_path_lower(dentry, realpath)
        with with_ovl_creds(dentry.d_sb):
            err = vfs_getxattr(None, realpath.dentry, name, 0, 0)
        if err < 0:
            return err

    if upperdentry is None:
        err = ovl_copy_up(dentry)
        if err:
            return err

    err = ovl_want_write(dentry)
    if err:
        return err

    realdentry = ovl_dentry_upper(dentry)
    with with_ovl_creds(dentry.d_sb):
        if value is not None:
            err = vfs_setxattr(None, realdentry, name, value, flags)
        else:
            err = vfs_removexattr(None, realdentry, name)
    ovl_drop_write(dentry)

    # copy c/mtime
    ovl_copyattr(inode)
    return err


@port_of(C, "ovl_xattr_get")
def ovl_xattr_get(dentry: Dentry, inode: Any, name: bytes, value: int, size: int) -> int:
    realpath = Path()
    ovl_i_path_real(inode, realpath)
    with with_ovl_creds(dentry.d_sb):
        return vfs_getxattr(realpath.mnt.mnt_idmap, realpath.dentry, name, value, size)


@port_of(C, "ovl_can_list")
def ovl_can_list(sb: SuperBlock, s: bytes) -> bool:
    # Never list private (.overlay)
    if ovl_is_private_xattr(sb, s):
        return False
    # List all non-trusted xattrs
    if not s.startswith(b"trusted."):
        return True
    # list other trusted for superuser only
    return capable(CAP_SYS_ADMIN)


@custom(C, "ovl_listxattr", AS_A_BOOT)
def ovl_listxattr(dentry: Dentry, lst: int, size: int) -> int:
    with with_ovl_creds(dentry.d_sb):
        res = vfs_listxattr(ovl_dentry_real(dentry), lst, size)
    if res <= 0 or size == 0:
        return res

    # filter out private xattrs
    prefix = _prefix(OVL_FS(dentry.d_sb))
    out = b""
    for s in mem_read(lst, res).split(b"\0")[:-1]:
        if not ovl_can_list(dentry.d_sb, s):
            continue
        if ovl_is_escaped_xattr(dentry.d_sb, s):
            s = prefix + s[len(prefix) + len(OVL_XATTR_ESCAPE_PREFIX):]
        out += s + b"\0"
    if out:
        mem_write(lst, out)
    return len(out)


def _escape(prefix: bytes, name: bytes) -> bytes | None:
    escaped = prefix + OVL_XATTR_ESCAPE_PREFIX + name
    return None if len(escaped) > XATTR_NAME_MAX else escaped


def ovl_own_xattr_get(handler: xattr_handler, dentry: Dentry, inode: Any, name: bytes, buffer: int, size: int) -> int:
    escaped = _escape(handler.prefix, name)
    return -EOPNOTSUPP if escaped is None else ovl_xattr_get(dentry, inode, escaped, buffer, size)


def ovl_own_xattr_set(handler: xattr_handler, idmap: Any, dentry: Dentry, inode: Any, name: bytes, value: bytes | None,
                      flags: int) -> int:
    escaped = _escape(handler.prefix, name)
    return -EOPNOTSUPP if escaped is None else ovl_xattr_set(dentry, inode, escaped, value, flags)


def ovl_other_xattr_get(handler: xattr_handler, dentry: Dentry, inode: Any, name: bytes, buffer: int, size: int) -> int:
    return ovl_xattr_get(dentry, inode, name, buffer, size)


def ovl_other_xattr_set(handler: xattr_handler, idmap: Any, dentry: Dentry, inode: Any, name: bytes, value: bytes | None,
                        flags: int) -> int:
    return ovl_xattr_set(dentry, inode, name, value, flags)


ovl_own_trusted_xattr_handler = xattr_handler(prefix=OVL_XATTR_TRUSTED_PREFIX, get=ovl_own_xattr_get, set=ovl_own_xattr_set)
ovl_own_user_xattr_handler = xattr_handler(prefix=OVL_XATTR_USER_PREFIX, get=ovl_own_xattr_get, set=ovl_own_xattr_set)
ovl_other_xattr_handler = xattr_handler(prefix=b"", get=ovl_other_xattr_get, set=ovl_other_xattr_set)          # catch all
ovl_trusted_xattr_handlers = [ovl_own_trusted_xattr_handler, ovl_other_xattr_handler]
ovl_user_xattr_handlers = [ovl_own_user_xattr_handler, ovl_other_xattr_handler]


def ovl_xattr_handlers(ofs: ovl_fs) -> list[xattr_handler]:
    return ovl_user_xattr_handlers if ofs.config.userxattr else ovl_trusted_xattr_handlers


for _table in (ovl_dir_inode_operations, ovl_file_inode_operations, ovl_symlink_inode_operations, ovl_special_inode_operations):
    _table.listxattr = ovl_listxattr
