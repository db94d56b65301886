# SPDX-License-Identifier: GPL-2.0-only
"""What a walk remembers on its way, and the names it walks (fs/namei.c, include/linux/namei.h, include/linux/delayed_call.h)."""
from __future__ import annotations

import os
from typing import Any

from kemu.linux.errno import ENAMETOOLONG, ENOENT, ENOMEM
from kemu.linux.honesty import custom, dup
from kemu.linux.slab import kstrdup
from kemu.linux.string import c_string
from kemu.linux.vfs.basic import Path
from kemu.linux.vfs.constants import PATH_MAX
from kemu.linux.vfs.types import File, Inode
from kemu.machine.current import this

(LOOKUP_FOLLOW, LOOKUP_DIRECTORY, LOOKUP_AUTOMOUNT, LOOKUP_EMPTY, LOOKUP_LINKAT_EMPTY, LOOKUP_DOWN, LOOKUP_MOUNTPOINT, LOOKUP_REVAL, LOOKUP_RCU,
 LOOKUP_CACHED, LOOKUP_PARENT) = (1 << i for i in range(11))
LOOKUP_OPEN, LOOKUP_CREATE, LOOKUP_EXCL, LOOKUP_RENAME_TARGET = 1 << 16, 1 << 17, 1 << 18, 1 << 19
LOOKUP_NO_SYMLINKS, LOOKUP_NO_MAGICLINKS, LOOKUP_NO_XDEV, LOOKUP_BENEATH, LOOKUP_IN_ROOT = (1 << i for i in range(24, 29))
LOOKUP_IS_SCOPED = LOOKUP_BENEATH | LOOKUP_IN_ROOT
LAST_NORM, LAST_ROOT, LAST_DOT, LAST_DOTDOT = range(4)
ND_ROOT_PRESET, ND_ROOT_GRABBED, ND_JUMPED = 1, 2, 4
WALK_TRAILING, WALK_MORE, WALK_NOFOLLOW = 1, 2, 4
MAXSYMLINKS = 40


@dup("include/linux/delayed_call.h")
class delayed_call:
    """``struct delayed_call``"""

    __slots__ = ("arg", "fn")

    def __init__(self) -> None:
        self.fn: Any = None
        self.arg: Any = None


@dup("include/linux/delayed_call.h")
def set_delayed_call(call: delayed_call, fn: Any, arg: Any) -> None:
    """``void set_delayed_call(struct delayed_call *call, void (*fn)(void *), void *arg)``"""
    call.fn = fn
    call.arg = arg


@dup("include/linux/delayed_call.h")
def do_delayed_call(call: delayed_call) -> None:
    """``void do_delayed_call(struct delayed_call *call)``"""
    if call.fn is not None:
        call.fn(call.arg)


@dup("include/linux/delayed_call.h")
def clear_delayed_call(call: delayed_call) -> None:
    """``void clear_delayed_call(struct delayed_call *call)``"""
    call.fn = None


@custom("fs/namei.c", "getname_flags", "gives bytes instead of a struct filename")
def getname(filename: str | bytes, flags: int = LOOKUP_EMPTY) -> Any:
    """``struct filename *getname_flags(const char __user *filename, int flags)``: a name from user space, or the kernel's own.

    An empty one needs LOOKUP_EMPTY. Return: bytes, or -ENOENT, -ENAMETOOLONG, -ENOMEM.
    """
    name = os.fsencode(filename).partition(b"\0")[0]
    if not name and not flags & LOOKUP_EMPTY:
        return -ENOENT
    if len(name) >= PATH_MAX:
        return -ENAMETOOLONG
    if this.chooser is not None and kstrdup("") is None:
        return -ENOMEM
    return name


def link_text(link: Any) -> bytes:
    """What a ->get_link pointer points to: kernel memory, or bytes that a pseudo file system keeps."""
    if isinstance(link, int):
        return c_string(link)
    return os.fsencode(link).partition(b"\0")[0]


class Nameidata:
    """``struct nameidata``. ``last_slash``: the last component has something behind it, if only a slash."""

    __slots__ = ("depth", "dfd", "dir_mode", "dir_uid", "flags", "inode", "last", "last_slash", "last_type", "path", "pathname", "root", "stack",
                 "state", "total_link_count")

    def __init__(self, dfd: int | File, name: bytes, root: Path | None):
        self.stack: list[tuple[Path, delayed_call]] = []
        self.dfd = dfd
        self.pathname = name
        self.path = Path()
        self.root = Path()
        self.state = 0
        if root is not None:
            self.state = ND_ROOT_PRESET
            self.root = root.copy()
        self.flags = 0
        self.total_link_count = 0
        self.inode: Inode = None                # type: ignore[assignment]
        self.last = b""
        self.last_slash = False
        self.last_type = LAST_NORM
        self.dir_mode = 0
        self.dir_uid = 0
