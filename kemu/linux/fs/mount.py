# SPDX-License-Identifier: GPL-2.0-only
"""struct mount, and what its neighbours in fs/ ask it (fs/mount.h)."""
from __future__ import annotations

from typing import TYPE_CHECKING

from kemu.linux.include.dcache import Dentry
from kemu.linux.include.mount import VfsMount
from kemu.linux.port.honesty import custom, dup, stub
from kemu.linux.types import list_head
from kemu.machine.current import NULL

if TYPE_CHECKING:
    from kemu.linux.fs.namespace import mnt_namespace, mountpoint

C = "fs/mount.h"


@custom(C, "struct mount", "derives from VfsMount; counts are ints, lists of children are insertion-ordered dicts")
class Mount(VfsMount):
    """``struct mount``"""

    __slots__ = ("mnt_count", "mnt_devname", "mnt_expiry_mark", "mnt_group_id", "mnt_id", "mnt_id_unique", "mnt_master",
                 "mnt_mountpoint", "mnt_mounts", "mnt_mp", "mnt_ns", "mnt_parent", "mnt_share", "mnt_slave_next",
                 "mnt_slave_pprev", "mnt_stuck_children", "mnt_t_flags", "mnt_writers", "overmount", "slave_first", "write_hold",
                 "__weakref__")

    def __init__(self) -> None:
        super().__init__()
        self.mnt_parent: Mount = self
        self.mnt_mountpoint: Dentry = None      # type: ignore[assignment]
        self.mnt_count = 1
        self.mnt_writers = 0
        self.mnt_mounts: dict[Mount, None] = {}
        self.mnt_devname = "none"
        self.mnt_ns: mnt_namespace | None = None
        self.mnt_mp: mountpoint = NULL
        self.mnt_id = 0
        self.mnt_expiry_mark = 0
        self.mnt_id_unique = 0
        self.mnt_stuck_children: list[Mount] = []
        self.overmount: Mount | None = None
        self.write_hold = False
        self.mnt_t_flags = 0
        self.mnt_group_id = 0                   # peers have the same
        self.mnt_share = list_head(self)
        self.mnt_master: Mount | None = None
        # mnt_slave_list and mnt_slave: an hlist; pprev is whose link points here (a master's slave_first or a slave's
        # mnt_slave_next)
        self.slave_first: Mount | None = None
        self.mnt_slave_next: Mount | None = None
        self.mnt_slave_pprev: tuple[Mount, str] | None = None

    def __repr__(self) -> str:
        return f"<mount {self.mnt_id} of {self.mnt_devname} count:{self.mnt_count}>"


@dup(C)
def real_mount(mnt: VfsMount) -> Mount:
    """``struct mount *real_mount(struct vfsmount *mnt)``"""
    return mnt                                  # type: ignore[return-value]


@dup(C)
def mnt_has_parent(mnt: Mount) -> bool:
    """``int mnt_has_parent(const struct mount *mnt)``"""
    return mnt is not mnt.mnt_parent


@dup(C)
def is_mounted(mnt: Mount) -> bool:
    """``int is_mounted(struct vfsmount *mnt)``: neither detached nor internal."""
    from kemu.linux.fs.namespace import MNT_NS_INTERNAL  # noqa: PLC0415  (circle: fs/namespace.c needs this)

    return mnt.mnt_ns is not None and mnt.mnt_ns is not MNT_NS_INTERNAL


@stub(C, "mnt_notify_add", "nobody watches a mount namespace: nothing is queued")
def mnt_notify_add(m: Mount) -> None:
    """``void mnt_notify_add(struct mount *m)``: what has happened to a mount, for who watches its namespace"""


def topmost_overmount(m: Mount) -> Mount:
    while m.overmount is not None:
        m = m.overmount
    return m
