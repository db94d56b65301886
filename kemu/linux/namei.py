# SPDX-License-Identifier: GPL-2.0-only
"""From names to places (include/linux/namei.h)."""
from __future__ import annotations

from kemu.linux.fcntl import AT_FDCWD
from kemu.linux.honesty import dup
from kemu.linux.vfs.basic import Path
from kemu.linux.vfs.dir_ops import *  # noqa: F403
from kemu.linux.vfs.open import may_open_dev  # noqa: F401
from kemu.linux.vfs.stat import nd_terminate_link  # noqa: F401
from kemu.linux.vfs.types import File
from kemu.linux.vfs.walk import *  # noqa: F403
from kemu.linux.vfs.walk import filename_lookup, getname


@dup("fs/namei.c")
def kern_path(name: str, flags: int, path: Path) -> int:
    """``int kern_path(const char *name, unsigned int flags, struct path *path)``: a referenced path; relative to the task's root or pwd.

    Return: 0, -ENOENT, -ENOTDIR, -EACCES, -ELOOP, -ENAMETOOLONG, -ENOMEM, or what the file system says.
    """
    return filename_lookup(AT_FDCWD, getname(name), flags, path)


@dup("fs/namei.c")
def user_path_at(dfd: int | File, name: str | bytes, flags: int, path: Path) -> int:
    """``int user_path_at(int dfd, const char __user *name, unsigned flags, struct path *path)``: an empty name is -ENOENT."""
    return filename_lookup(dfd, getname(name, flags), flags, path)


@dup("fs/namei.c")
def vfs_path_lookup(dentry: object, mnt: object, name: str, flags: int, path: Path) -> int:
    """``int vfs_path_lookup(dentry, mnt, name, flags, path)``: below a given place, which is the root of the walk."""
    return filename_lookup(AT_FDCWD, getname(name), flags, path, Path(mnt, dentry))
