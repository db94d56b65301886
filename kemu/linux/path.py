# SPDX-License-Identifier: GPL-2.0-only
"""A place in a mount tree (include/linux/path.h)."""
from __future__ import annotations

from kemu.linux.dcache import dget, dput
from kemu.linux.honesty import dup
from kemu.linux.vfs.basic import Path
from kemu.linux.vfs.mounts import mntget, mntput


@dup("fs/namei.c")
def path_get(path: Path) -> None:
    """``void path_get(const struct path *path)``: one more reference to the mount and the dentry."""
    mntget(path.mnt)
    dget(path.dentry)


@dup("fs/namei.c")
def path_put(path: Path) -> None:
    """``void path_put(const struct path *path)``"""
    dput(path.dentry)
    mntput(path.mnt)


@dup("include/linux/path.h")
def path_equal(path1: Path, path2: Path) -> bool:
    """``bool path_equal(const struct path *path1, const struct path *path2)``"""
    return path1.mnt is path2.mnt and path1.dentry is path2.dentry


__all__ = ["Path", "path_equal", "path_get", "path_put"]
