# SPDX-License-Identifier: GPL-2.0-only
"""What the path calls of early boot share (include/linux/init_syscalls.h)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.fs.namei import inode_permission
from kemu.linux.include.fs.types import File
from kemu.linux.include.path import Path
from kemu.linux.port.honesty import custom, names


@custom("include/linux/fdtable.h", "files_struct", "what init_dup() made, for all tasks")
class Descriptors:
    """The open descriptors of one machine's tasks: pid -> files."""

    __slots__ = ("of",)

    def __init__(self) -> None:
        self.of: dict[int, list[File]] = {}


@custom("include/linux/init_syscalls.h", "init_eaccess", "its caller looks for the init program: somebody may be told")
class LooksForInit:
    """Of one machine: ``look`` is called when the kernel looks for the init program: by whoever wants to see the tree that it
    finds.
    """

    __slots__ = ("look",)

    def __init__(self) -> None:
        self.look: Callable[[], Any] | None = None


def path_permission(path: Path, mask: int) -> int:
    """``int path_permission(const struct path *path, int mask)``: inode_permission() of a walked path"""
    return inode_permission(path.mnt.mnt_idmap, path.dentry.d_inode, mask)


names("dup", "include/linux/fs.h", "path_permission")
