# SPDX-License-Identifier: GPL-2.0-only
"""struct path (include/linux/path.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import dup

P = "include/linux/path.h"


@dup(P)
def path_equal(path1: Path, path2: Path) -> bool:
    """``bool path_equal(const struct path *path1, const struct path *path2)``"""
    return path1.mnt is path2.mnt and path1.dentry is path2.dentry


@dup(P)
class Path:
    """``struct path``: a mount and a dentry in it. ``a.copy()`` and ``a.set(b)`` are C's assignments of the structure."""

    __slots__ = ("dentry", "mnt")

    def __init__(self, mnt: Any = None, dentry: Any = None):
        self.mnt = mnt
        self.dentry = dentry

    def copy(self) -> Path:
        return Path(self.mnt, self.dentry)

    def set(self, other: Path) -> None:
        """``*self = *other``"""
        self.mnt = other.mnt
        self.dentry = other.dentry

    def __repr__(self) -> str:
        return f"<path {self.dentry!r} of {self.mnt!r}>"
