# SPDX-License-Identifier: GPL-2.0-only
"""More system calls: those that change what is there (see kemu.linux.port.user)."""
from __future__ import annotations

import os
from typing import Any

from kemu.linux.fcntl import AT_FDCWD
from kemu.linux.fs.namei import filename_renameat2
from kemu.linux.fs.namespace import mnt_drop_write, mnt_want_write
from kemu.linux.fs.open import chmod_common, chown_common, vfs_truncate
from kemu.linux.fs.posix_acl import vfs_set_acl
from kemu.linux.fs.xattr import do_setxattr, vfs_removexattr
from kemu.linux.include.namei import LOOKUP_FOLLOW
from kemu.linux.include.path import Path
from kemu.linux.include.xattr import is_posix_acl_xattr
from kemu.linux.port.user import Name, _at, _user, syscall


def _writable(path: Path, call: Any) -> int:
    err = mnt_want_write(path.mnt)
    if err:
        return err
    err = call()
    mnt_drop_write(path.mnt)
    return int(err)


@syscall
def sys_renameat2(oldname: Name, newname: Name, flags: int = 0) -> int:
    """``renameat2(AT_FDCWD, oldname, AT_FDCWD, newname, flags)``"""
    return filename_renameat2(AT_FDCWD, _user(oldname), AT_FDCWD, _user(newname), flags)


@syscall
def sys_chmod(filename: Name, mode: int) -> int:
    """``chmod(filename, mode)``"""
    return int(_at(filename, LOOKUP_FOLLOW, lambda path: chmod_common(path, mode)))


@syscall
def sys_lchown(filename: Name, user: int, group: int) -> int:
    """``lchown(filename, user, group)``"""
    return int(_at(filename, 0, lambda path: _writable(path, lambda: chown_common(path, user, group))))


@syscall
def sys_truncate(filename: Name, length: int) -> int:
    """``truncate(path, length)``"""
    return int(_at(filename, LOOKUP_FOLLOW, lambda path: vfs_truncate(path, length)))


@syscall
def sys_lsetxattr(filename: Name, name: Name, value: bytes, flags: int = 0) -> int:
    """``lsetxattr(path, name, value, size, flags)``; access control lists by value."""
    key = os.fsencode(name)

    def call(path: Path) -> int:
        return _writable(path, lambda: do_setxattr(path.mnt.mnt_idmap, path.dentry, key, value, flags))
    return int(_at(filename, 0, call))


@syscall
def sys_lremovexattr(filename: Name, name: Name) -> int:
    """``lremovexattr(path, name)``"""
    key = os.fsencode(name)

    def call(path: Path) -> int:
        if is_posix_acl_xattr(key):
            return _writable(path, lambda: vfs_set_acl(None, path.dentry, key, None))
        return _writable(path, lambda: vfs_removexattr(path.mnt.mnt_idmap, path.dentry, key))
    return int(_at(filename, 0, call))
