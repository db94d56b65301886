# SPDX-License-Identifier: GPL-2.0-only
"""Paths as text (fs/d_path.c)."""
from __future__ import annotations

from kemu.linux.include.dcache import Dentry, d_unlinked
from kemu.linux.include.path import Path
from kemu.linux.port.honesty import custom

C = "fs/d_path.c"


@custom(C, "__d_path", "nothing is renamed or mounted in between: rename_lock, mount_lock and RCU are not taken")
def __d_path(path: Path, root: Path) -> str | None:
    """``char *__d_path(const struct path *path, const struct path *root, char *buf, int buflen)``: None where ``root`` cannot see
    it.
    """
    dentry, mnt = path.dentry, path.mnt
    parts: list[bytes] = []
    while dentry is not root.dentry or mnt is not root.mnt:
        if dentry is mnt.mnt_root:
            m = mnt.mnt_parent
            if mnt is m:
                return None             # the absolute root, or detached
            dentry, mnt = mnt.mnt_mountpoint, m
            continue
        if dentry is dentry.d_parent:
            return None                 # escaped
        parts.append(dentry.d_name.name)
        dentry = dentry.d_parent
    return "/" + b"/".join(reversed(parts)).decode("utf-8", "surrogateescape")


@custom(C, "dentry_path", "nothing is renamed or mounted in between: rename_lock, mount_lock and RCU are not taken")
def dentry_path(dentry: Dentry) -> str:
    """``char *dentry_path(const struct dentry *dentry, char *buf, int buflen)``: within its file system."""
    end = "//deleted" if d_unlinked(dentry) else ""
    parts: list[bytes] = []
    while dentry is not dentry.d_parent:
        parts.append(dentry.d_name.name)
        dentry = dentry.d_parent
    return "/" + b"/".join(reversed(parts)).decode("utf-8", "surrogateescape") + end
