# SPDX-License-Identifier: GPL-2.0-only
"""LOOKUP_* flags, and ends of what namei.c starts (include/linux/namei.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.err import IS_ERR
from kemu.linux.errno import ESTALE
from kemu.linux.include.dcache import dget
from kemu.linux.port.honesty import dup
from kemu.linux.types import ulong
from kemu.machine.current import this

P = "include/linux/namei.h"

(LOOKUP_FOLLOW, LOOKUP_DIRECTORY, LOOKUP_AUTOMOUNT, LOOKUP_EMPTY, LOOKUP_LINKAT_EMPTY, LOOKUP_DOWN, LOOKUP_MOUNTPOINT,
 LOOKUP_REVAL, LOOKUP_RCU, LOOKUP_CACHED, LOOKUP_PARENT) = (1 << i for i in range(11))
LOOKUP_OPEN, LOOKUP_CREATE, LOOKUP_EXCL, LOOKUP_RENAME_TARGET = 1 << 16, 1 << 17, 1 << 18, 1 << 19
LOOKUP_NO_SYMLINKS, LOOKUP_NO_MAGICLINKS, LOOKUP_NO_XDEV, LOOKUP_BENEATH, LOOKUP_IN_ROOT = (1 << i for i in range(24, 29))
LOOKUP_IS_SCOPED = LOOKUP_BENEATH | LOOKUP_IN_ROOT

MAXSYMLINKS = 40


@dup(P)
def end_creating(child: Any) -> None:
    """``void end_creating(struct dentry *child)``: unlock the parent, put the child."""
    from kemu.linux.fs.namei import end_dirop  # noqa: PLC0415  (up into fs/namei.c)

    end_dirop(child)


@dup(P)
def end_creating_keep(child: Any) -> Any:
    """``struct dentry *end_creating_keep(struct dentry *child)``: unlock the parent, keep the reference."""
    if not IS_ERR(child):
        dget(child)
    end_creating(child)
    return child


@dup(P)
def end_removing(child: Any) -> None:
    """``void end_removing(struct dentry *child)``"""
    from kemu.linux.fs.namei import end_dirop  # noqa: PLC0415  (up into fs/namei.c)

    end_dirop(child)


@dup(P)
def nd_terminate_link(name: int, length: int, maxlen: int) -> None:
    """``void nd_terminate_link(void *name, size_t len, size_t maxlen)``"""
    this.mem.st8(name + min(ulong(length), maxlen), 0)


@dup(P)
def retry_estale(error: int, flags: int) -> bool:
    """``bool retry_estale(const long error, const unsigned int flags)``: whether to look up once more, revalidating."""
    return error == -ESTALE and not (flags & LOOKUP_REVAL)
