# SPDX-License-Identifier: GPL-2.0-only
"""Peers and slaves: who is in which list (fs/pnode.h, the group ids of fs/namespace.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.honesty import names
from kemu.linux.statics import statics
from kemu.linux.vfs.mounts import MNT_LOCKED, T_MARKED, T_SHARED, T_SHARED_MASK, T_UNBINDABLE, Mount

CL_EXPIRE, CL_SLAVE, CL_COPY_UNBINDABLE, CL_MAKE_SHARED, CL_PRIVATE, CL_COPY_MNT_NS_FILE = 1, 2, 4, 8, 0x10, 0x40

g = statics(mnt_group_ida=set)


def IS_MNT_SHARED(m: Mount) -> bool:
    """``IS_MNT_SHARED(m)``"""
    return bool(m.mnt_t_flags & T_SHARED)


def IS_MNT_SLAVE(m: Mount) -> bool:
    """``IS_MNT_SLAVE(m)``"""
    return m.mnt_master is not None


def IS_MNT_NEW(m: Mount) -> bool:
    """``IS_MNT_NEW(m)``: in no namespace yet."""
    return m.mnt_ns is None


def IS_MNT_UNBINDABLE(m: Mount) -> bool:
    """``IS_MNT_UNBINDABLE(m)``"""
    return bool(m.mnt_t_flags & T_UNBINDABLE)


def IS_MNT_MARKED(m: Mount) -> bool:
    """``IS_MNT_MARKED(m)``"""
    return bool(m.mnt_t_flags & T_MARKED)


def IS_MNT_LOCKED(m: Mount) -> bool:
    """``IS_MNT_LOCKED(m)``"""
    return bool(m.mnt_flags & MNT_LOCKED)


def CLEAR_MNT_SHARED(m: Mount) -> None:
    """``CLEAR_MNT_SHARED(m)``"""
    m.mnt_t_flags &= ~T_SHARED


def SET_MNT_MARK(m: Mount) -> None:
    """``SET_MNT_MARK(m)``"""
    m.mnt_t_flags |= T_MARKED


def CLEAR_MNT_MARK(m: Mount) -> None:
    """``CLEAR_MNT_MARK(m)``"""
    m.mnt_t_flags &= ~T_MARKED


def set_mnt_shared(mnt: Mount) -> None:
    """``void set_mnt_shared(struct mount *mnt)``"""
    mnt.mnt_t_flags &= ~T_SHARED_MASK
    mnt.mnt_t_flags |= T_SHARED


def peers(m1: Mount, m2: Mount) -> bool:
    """``bool peers(const struct mount *m1, const struct mount *m2)``"""
    return m1.mnt_group_id == m2.mnt_group_id and m1.mnt_group_id != 0


def mnt_alloc_group_id(mnt: Mount) -> int:
    """``int mnt_alloc_group_id(struct mount *mnt)``: the lowest free one. Return: 0."""
    used: set[int] = g.mnt_group_ida
    i = 1
    while i in used:
        i += 1
    used.add(i)
    mnt.mnt_group_id = i
    return 0


def mnt_release_group_id(mnt: Mount) -> None:
    """``void mnt_release_group_id(struct mount *mnt)``"""
    g.mnt_group_ida.discard(mnt.mnt_group_id)
    mnt.mnt_group_id = 0


def next_peer(p: Mount) -> Mount:
    """``struct mount *next_peer(struct mount *p)``: itself if it has no peer."""
    return p.mnt_share.next.container       # type: ignore[no-any-return]


# ------------------------------------------------------------------------- mnt_slave_list, mnt_slave: an hlist

def _link(m: Mount, at: tuple[Mount, str]) -> None:
    after: Any = getattr(*at)
    m.mnt_slave_next = after
    if after is not None:
        after.mnt_slave_pprev = (m, "mnt_slave_next")
    setattr(*at, m)
    m.mnt_slave_pprev = at


def slave_add_head(m: Mount, master: Mount) -> None:
    """``hlist_add_head(&m->mnt_slave, &master->mnt_slave_list)``"""
    _link(m, (master, "slave_first"))


def slave_add_behind(m: Mount, prev: Mount) -> None:
    """``hlist_add_behind(&m->mnt_slave, &prev->mnt_slave)``"""
    _link(m, (prev, "mnt_slave_next"))


def slave_del_init(m: Mount) -> None:
    """``hlist_del_init(&m->mnt_slave)``"""
    at = m.mnt_slave_pprev
    if at is not None:
        after = m.mnt_slave_next
        setattr(*at, after)
        if after is not None:
            after.mnt_slave_pprev = at
        m.mnt_slave_next = m.mnt_slave_pprev = None


def slave_splice_init(of: Mount, last: Mount, to: Mount) -> None:
    """``hlist_splice_init(&of->mnt_slave_list, &last->mnt_slave, &to->mnt_slave_list)``"""
    last.mnt_slave_next = to.slave_first
    if to.slave_first is not None:
        to.slave_first.mnt_slave_pprev = (last, "mnt_slave_next")
    first = to.slave_first = of.slave_first
    assert first is not None
    first.mnt_slave_pprev = (to, "slave_first")
    of.slave_first = None


names("dup", "fs/pnode.h", "IS_MNT_SHARED", "IS_MNT_SLAVE", "IS_MNT_NEW", "IS_MNT_UNBINDABLE", "IS_MNT_MARKED", "IS_MNT_LOCKED", "CLEAR_MNT_SHARED",
      "SET_MNT_MARK", "CLEAR_MNT_MARK", "set_mnt_shared", "peers")
names("dup", "fs/namespace.c", "mnt_alloc_group_id", "mnt_release_group_id")
names("dup", "fs/pnode.c", "next_peer")
names("custom", "fs/pnode.c", "slave_add_head", "slave_add_behind", "slave_del_init", "slave_splice_init", how="hlist operations on the two links of a mount")
