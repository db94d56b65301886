# SPDX-License-Identifier: GPL-2.0-only
"""How mounts and umounts propagate: peers, masters and slaves (fs/pnode.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import BUG_ON
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.fs.dcache import is_subdir
from kemu.linux.fs.mount import Mount, mnt_has_parent, mnt_notify_add
from kemu.linux.fs.namespace import (
    T_MARKED,
    T_SHARED,
    T_SHARED_MASK,
    T_UMOUNT_CANDIDATE,
    T_UNBINDABLE,
    __lookup_mnt,
    copy_tree,
    count_mounts,
    is_path_reachable,
    mnt_change_mountpoint,
    mnt_release_group_id,
    mnt_set_mountpoint,
    mountpoint,
)
from kemu.linux.fs.namespace import (
    g as namespace_g,
)
from kemu.linux.include.mount import MNT_LOCKED, MNT_UMOUNT, MS_SHARED, MS_SLAVE, MS_UNBINDABLE
from kemu.linux.include.path import Path
from kemu.linux.list import list_del_init, list_empty
from kemu.linux.port.honesty import dup, names, port_of
from kemu.linux.seqlock import read_seqlock_excl, read_sequnlock_excl

C = "fs/pnode.c"

CL_EXPIRE, CL_SLAVE, CL_COPY_UNBINDABLE, CL_MAKE_SHARED, CL_PRIVATE, CL_COPY_MNT_NS_FILE = 1, 2, 4, 8, 0x10, 0x40


@port_of(C, "get_peer_under_root")
def get_peer_under_root(mnt: Mount, ns: object, root: Path) -> Mount | None:
    """``struct mount *get_peer_under_root(struct mount *mnt, struct mnt_namespace *ns, const struct path *root)``"""
    m = mnt
    while True:
        # Check the namespace first for optimization
        if m.mnt_ns is ns and is_path_reachable(m, m.mnt_root, root):
            return m

        m = next_peer(m)
        if m is mnt:
            return None


@port_of(C, "get_dominating_id")
def get_dominating_id(mnt: Mount, root: Path) -> int:
    """``int get_dominating_id(struct mount *mnt, const struct path *root)``: of the closest group of masters that ``root`` can
    see, or 0.
    """
    m = mnt.mnt_master
    while m is not None:
        d = get_peer_under_root(m, mnt.mnt_ns, root)
        if d is not None:
            return d.mnt_group_id
        m = m.mnt_master
    return 0


@port_of(C, "will_be_unmounted")
def will_be_unmounted(m: Mount) -> bool:
    """``bool will_be_unmounted(struct mount *m)``"""
    return bool(m.mnt_flags & MNT_UMOUNT)


@dup(C, "transfer_propagation")
def transfer_propagation(mnt: Mount, to: Mount | None) -> None:
    """``void transfer_propagation(struct mount *mnt, struct mount *to)``: its slaves are ``to``'s from now on, or nobody's."""
    p = None
    m = mnt.slave_first
    while m is not None:
        n = m.mnt_slave_next
        m.mnt_master = to
        if to is None:
            slave_del_init(m)
        else:
            p = m
        m = n
    if p is not None and to is not None:
        slave_splice_init(mnt, p, to)


@dup(C, "change_mnt_propagation")
def change_mnt_propagation(mnt: Mount, type: int) -> None:
    """``void change_mnt_propagation(struct mount *mnt, int type)``: MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE"""
    m = mnt.mnt_master

    if type == MS_SHARED:
        set_mnt_shared(mnt)
        return
    if IS_MNT_SHARED(mnt):
        if list_empty(mnt.mnt_share):
            mnt_release_group_id(mnt)
        else:
            m = next_peer(mnt)
            list_del_init(mnt.mnt_share)
            mnt.mnt_group_id = 0
        CLEAR_MNT_SHARED(mnt)
        transfer_propagation(mnt, m)
    slave_del_init(mnt)
    if type == MS_SLAVE:
        mnt.mnt_master = m
        if m is not None:
            slave_add_head(mnt, m)
    else:
        mnt.mnt_master = None
        if type == MS_UNBINDABLE:
            mnt.mnt_t_flags |= T_UNBINDABLE
        else:
            mnt.mnt_t_flags &= ~T_UNBINDABLE


@dup(C, "trace_transfers")
def trace_transfers(m: Mount) -> Mount | None:
    """``struct mount *trace_transfers(struct mount *m)``"""
    while True:
        next: Mount | None = next_peer(m)

        if next is not m:
            list_del_init(m.mnt_share)
            m.mnt_group_id = 0
            m.mnt_master = next
        else:
            if IS_MNT_SHARED(m):
                mnt_release_group_id(m)
            next = m.mnt_master
        slave_del_init(m)
        CLEAR_MNT_SHARED(m)
        SET_MNT_MARK(m)

        if next is None or not will_be_unmounted(next):
            return next
        if IS_MNT_MARKED(next):
            return next.mnt_master
        m = next


@port_of(C, "set_destinations")
def set_destinations(m: Mount, master: Mount | None) -> None:
    """``void set_destinations(struct mount *m, struct mount *master)``"""
    while (next := m.mnt_master) is not master:
        m.mnt_master = master
        assert next is not None
        m = next


@port_of(C, "bulk_make_private")
def bulk_make_private(set: list[Mount]) -> None:
    """``void bulk_make_private(struct list_head *set)``: mounts that go away; who got propagation from them gets it from their
    masters.
    """
    for m in set:
        if not IS_MNT_MARKED(m):
            set_destinations(m, trace_transfers(m))

    for m in set:
        transfer_propagation(m, m.mnt_master)
        m.mnt_master = None
        CLEAR_MNT_MARK(m)


@dup(C, "__propagation_next")
def __propagation_next(m: Mount, origin: Mount) -> Mount | None:
    """``struct mount *__propagation_next(struct mount *m, struct mount *origin)``"""
    while True:
        master = m.mnt_master

        if master is origin.mnt_master:
            next = next_peer(m)
            return None if next is origin else next
        if m.mnt_slave_next is not None:
            return m.mnt_slave_next

        # back at master
        assert master is not None
        m = master


@dup(C, "propagation_next")
def propagation_next(m: Mount, origin: Mount) -> Mount | None:
    """``struct mount *propagation_next(struct mount *m, struct mount *origin)``: the next mount in the propagation tree after
    ``m``
    """
    # are there any slaves of this mount?
    if not IS_MNT_NEW(m) and m.slave_first is not None:
        return m.slave_first

    return __propagation_next(m, origin)


@port_of(C, "skip_propagation_subtree")
def skip_propagation_subtree(m: Mount, origin: Mount) -> Mount | None:
    """``struct mount *skip_propagation_subtree(struct mount *m, struct mount *origin)``"""
    # Advance m past everything that gets propagation from it.
    p = __propagation_next(m, origin)

    while p is not None and peers(m, p):
        p = __propagation_next(p, origin)

    return p


@dup(C, "next_group")
def next_group(m: Mount, origin: Mount) -> Mount | None:
    """``struct mount *next_group(struct mount *m, struct mount *origin)``"""
    while True:
        while True:
            if not IS_MNT_NEW(m) and m.slave_first is not None:
                return m.slave_first
            next = next_peer(m)
            if m.mnt_group_id == origin.mnt_group_id:
                if next is origin:
                    return None
            elif m.mnt_slave_next is not next:
                break
            m = next
        # m is the last peer
        while True:
            master = m.mnt_master
            if m.mnt_slave_next is not None:
                return m.mnt_slave_next
            assert master is not None
            m = next_peer(master)
            if master.mnt_group_id == origin.mnt_group_id:
                break
            if master.mnt_slave_next is m:
                break
            m = master
        if m is origin:
            return None


@port_of(C, "need_secondary")
def need_secondary(m: Mount, dest_mp: mountpoint) -> bool:
    """``bool need_secondary(struct mount *m, struct mountpoint *dest_mp)``"""
    # skip ones added by this propagate_mnt()
    if IS_MNT_NEW(m):
        return False
    # skip if mountpoint isn't visible in m
    if not is_subdir(dest_mp.m_dentry, m.mnt_root):
        return False
    # skip if m is in the anon_ns
    return not (m.mnt_ns is not None and m.mnt_ns.is_anon)


@port_of(C, "find_master")
def find_master(m: Mount, last_copy: Mount, original: Mount) -> Mount:
    """``struct mount *find_master(struct mount *m, struct mount *last_copy, struct mount *original)``"""
    # ascend until there's a copy for something with the same master
    while True:
        p = m.mnt_master
        if p is None or IS_MNT_MARKED(p):
            break
        m = p
    while not peers(last_copy, original):
        parent = last_copy.mnt_parent
        if parent.mnt_master is p:
            if not peers(parent, m):
                assert last_copy.mnt_master is not None
                last_copy = last_copy.mnt_master
            break
        assert last_copy.mnt_master is not None
        last_copy = last_copy.mnt_master
    return last_copy


@dup(C, "propagate_mnt")
def propagate_mnt(dest_mnt: Mount, dest_mp: mountpoint, source_mnt: Mount, tree_list: list[Mount]) -> int:
    """``int propagate_mnt(struct mount *dest_mnt, struct mountpoint *dest_mp, struct mount *source_mnt, struct hlist_head
    *tree_list)``

    Copies of ``source_mnt``'s tree for whoever receives what is mounted at the place, the newest first in ``tree_list``. Return:
    0, -ENOMEM, -ENOSPC.
    """
    err = 0
    copy = source_mnt

    if dest_mnt.mnt_master is not None:
        SET_MNT_MARK(dest_mnt.mnt_master)

    # iterate over peer groups, depth first
    m: Mount | None = dest_mnt
    while m is not None and not err:
        n = None
        if m is dest_mnt:               # have one for dest_mnt itself
            copy = source_mnt
            type = CL_MAKE_SHARED
            n = next_peer(m)
            if n is m:
                m = next_group(m, dest_mnt)
                continue
        else:
            type = CL_SLAVE
            # beginning of peer group among the slaves?
            if IS_MNT_SHARED(m):
                type |= CL_MAKE_SHARED
            n = m
        while True:
            if need_secondary(n, dest_mp):
                if type & CL_SLAVE:     # first in this peer group
                    copy = find_master(n, copy, source_mnt)
                this = copy_tree(copy, copy.mnt_root, type)
                if IS_ERR(this):
                    err = PTR_ERR(this)
                    break
                read_seqlock_excl(namespace_g.mount_lock)
                mnt_set_mountpoint(n, dest_mp, this)
                read_sequnlock_excl(namespace_g.mount_lock)
                if n.mnt_master is not None:
                    SET_MNT_MARK(n.mnt_master)
                copy = this
                tree_list.insert(0, this)
                err = count_mounts(n.mnt_ns, this)
                if err:
                    break
                type = CL_MAKE_SHARED
            n = next_peer(n)
            if n is m:
                break
        if err:
            break
        m = next_group(m, dest_mnt)

    for n in tree_list:
        m = n.mnt_parent
        if m.mnt_master is not None:
            CLEAR_MNT_MARK(m.mnt_master)
    if dest_mnt.mnt_master is not None:
        CLEAR_MNT_MARK(dest_mnt.mnt_master)
    return err


@port_of(C, "do_refcount_check")
def do_refcount_check(mnt: Mount, count: int) -> bool:
    """``int do_refcount_check(struct mount *mnt, int count)``"""
    return mnt.mnt_count > count


@port_of(C, "receives_from")
def receives_from(m: Mount | None, parent: Mount) -> bool:
    """``bool receives_from(struct mount *m, struct mount *parent)``"""
    if m is parent:
        return False
    while m is not None:
        if m is parent or peers(m, parent):
            return True
        m = m.mnt_master
    return False


@port_of(C, "next_candidate")
def next_candidate(m: Mount, victim: Mount) -> Mount | None:
    """``struct mount *next_candidate(struct mount *m, struct mount *victim)``"""
    if not receives_from(m, victim.mnt_parent):
        return None
    return __lookup_mnt(m, victim.mnt_mountpoint)


@port_of(C, "chain_busy")
def chain_busy(c: Mount, victim: Mount) -> bool:
    """``bool chain_busy(struct mount *c, struct mount *victim)``: a copy of the victim goes with it, and is in use"""
    deepest = None

    # the deepest candidate with a child outside the chain
    m: Mount | None = c
    while m is not None:
        next = next_candidate(m, victim)
        if any(n is not next and n is not victim for n in m.mnt_mounts):
            deepest = m
        m = next

    above = deepest is not None         # deepest is at or below m
    m = c
    while m is not None:
        next = next_candidate(m, victim)
        goes = not any(n is not next and n is not m.overmount and n is not victim for n in m.mnt_mounts)
        if goes and next is not None and next is not m.overmount and above and m is not deepest:
            goes = False
        if m is deepest:
            above = False
        if goes and do_refcount_check(m, 1):
            return True
        m = next
    return False


@port_of(C, "propagate_mount_busy")
def propagate_mount_busy(mnt: Mount, refcnt: int) -> int:
    """``int propagate_mount_busy(struct mount *mnt, int refcnt)``: 1 if it, or a copy that would go with it, is in use"""
    parent = mnt.mnt_parent
    mp = mnt.mnt_mountpoint

    # quickly check if the current mount can be unmounted. If not, we don't have to go checking for all other mounts
    if mnt.mnt_mounts or do_refcount_check(mnt, refcnt):
        return 1

    if mnt is parent:
        return 0

    # the candidates are the mounts at mp below the receivers
    m = propagation_next(parent, parent)
    while m is not None:
        c = __lookup_mnt(m, mp)

        # each chain once, from its top: skip receivers that are candidates
        if (c is not None and not (mnt_has_parent(m) and m.mnt_mountpoint is mp and receives_from(m.mnt_parent, parent))
                and chain_busy(c, mnt)):
            return 1
        m = propagation_next(m, parent)
    return 0


@port_of(C, "propagate_mount_unlock")
def propagate_mount_unlock(mnt: Mount) -> None:
    """``void propagate_mount_unlock(struct mount *mnt)``: clear MNT_LOCKED where it can be shown to be safe"""
    parent = mnt.mnt_parent

    BUG_ON(parent is mnt)

    m = propagation_next(parent, parent)
    while m is not None:
        child = __lookup_mnt(m, mnt.mnt_mountpoint)
        if child is not None:
            child.mnt_flags &= ~MNT_LOCKED
        m = propagation_next(m, parent)


@port_of(C, "is_candidate")
def is_candidate(m: Mount) -> bool:
    """``bool is_candidate(struct mount *m)``"""
    return bool(m.mnt_t_flags & T_UMOUNT_CANDIDATE)


@dup(C, "umount_one")
def umount_one(m: Mount, to_umount: list[Mount]) -> None:
    """``void umount_one(struct mount *m, struct list_head *to_umount)``"""
    m.mnt_flags |= MNT_UMOUNT
    m.mnt_parent.mnt_mounts.pop(m, None)
    if m.mnt_ns is not None:
        m.mnt_ns.mounts.pop(m, None)
    to_umount.append(m)


@dup(C, "remove_from_candidate_list")
def remove_from_candidate_list(m: Mount, candidates: list[Mount]) -> None:
    """``void remove_from_candidate_list(struct mount *m)``: the list is named here"""
    m.mnt_t_flags &= ~(T_MARKED | T_UMOUNT_CANDIDATE)
    if m in candidates:
        candidates.remove(m)


@port_of(C, "gather_candidates")
def gather_candidates(set: list[Mount], candidates: list[Mount]) -> None:
    """``void gather_candidates(struct list_head *set, struct list_head *candidates)``"""
    for m in set:
        if is_candidate(m):
            continue
        m.mnt_t_flags |= T_UMOUNT_CANDIDATE
        p = m.mnt_parent
        q = propagation_next(p, p)
        while q is not None:
            child = __lookup_mnt(q, m.mnt_mountpoint)
            if child is not None:
                # We might've already run into this one. That must've happened on earlier iteration of the outer loop; in that
                # case we can skip those parents that get propagation from q - there will be nothing new on those as well.
                if is_candidate(child):
                    q = skip_propagation_subtree(q, p)
                    continue
                child.mnt_t_flags |= T_UMOUNT_CANDIDATE
                if not will_be_unmounted(child):
                    candidates.insert(0, child)
            q = propagation_next(q, p)
    for m in set:
        m.mnt_t_flags &= ~T_UMOUNT_CANDIDATE


@port_of(C, "trim_ancestors")
def trim_ancestors(m: Mount) -> None:
    """``void trim_ancestors(struct mount *m)``: some child of ``m`` stays"""
    p = m.mnt_parent
    while is_candidate(p):
        if IS_MNT_MARKED(m):            # all candidates beneath are overmounts
            return
        SET_MNT_MARK(m)
        if m is not p.overmount:
            p.mnt_t_flags &= ~T_UMOUNT_CANDIDATE
        m, p = p, p.mnt_parent


@port_of(C, "trim_one")
def trim_one(m: Mount, to_umount: list[Mount], candidates: list[Mount]) -> None:
    """``void trim_one(struct mount *m, struct list_head *to_umount)``: exclude what ``m`` forbids; commit to ``m`` if that is
    certain
    """
    remove_this = found = umount_this = False

    if not is_candidate(m):             # trim_ancestors() left it on list
        remove_from_candidate_list(m, candidates)
        return

    for n in m.mnt_mounts:
        if not is_candidate(n):
            found = True
            if n is not m.overmount:
                remove_this = True
                break
    if found:
        trim_ancestors(m)
    elif not IS_MNT_LOCKED(m) and not m.mnt_mounts:
        remove_this = True
        umount_this = True
    if remove_this:
        remove_from_candidate_list(m, candidates)
        if umount_this:
            umount_one(m, to_umount)


@port_of(C, "handle_locked")
def handle_locked(m: Mount, to_umount: list[Mount], candidates: list[Mount]) -> None:
    """``void handle_locked(struct mount *m, struct list_head *to_umount)``"""
    cutoff = m

    if not is_candidate(m):             # trim_ancestors() left it on list
        remove_from_candidate_list(m, candidates)
        return
    p = m
    while is_candidate(p):
        remove_from_candidate_list(p, candidates)
        if not IS_MNT_LOCKED(p):
            cutoff = p.mnt_parent
        p = p.mnt_parent
    if will_be_unmounted(p):
        cutoff = p
    while m is not cutoff:
        umount_one(m, to_umount)
        m = m.mnt_parent


@port_of(C, "reparent")
def reparent(m: Mount) -> None:
    """``void reparent(struct mount *m)``: it stays, and what it is mounted on goes: to the place where the bottom of that stack
    is attached
    """
    p = m
    while True:
        mp = p.mnt_mp
        p = p.mnt_parent
        if not will_be_unmounted(p):
            break

    assert mp is not None
    mnt_change_mountpoint(p, mp, m)
    mnt_notify_add(m)


@dup(C, "propagate_umount")
def propagate_umount(set: list[Mount]) -> None:
    """``void propagate_umount(struct list_head *set)``: adds the mounts that receive the umount and have nothing against it"""
    to_umount: list[Mount] = []         # committed to unmounting
    candidates: list[Mount] = []        # undecided umount candidates

    # collect all candidates
    gather_candidates(set, candidates)

    # reduce the set until it's non-shifting
    for m in candidates[:]:
        trim_one(m, to_umount, candidates)

    # ... and non-revealing
    while candidates:
        handle_locked(candidates[0], to_umount, candidates)

    # now to_umount consists of all acceptable candidates; deal with reparenting of surviving overmounts on those
    for m in to_umount:
        over = m.overmount
        if over is not None and not will_be_unmounted(over):
            reparent(over)

    # and fold them into the set
    set.extend(to_umount)


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


def next_peer(p: Mount) -> Mount:
    """``struct mount *next_peer(struct mount *p)``: itself if it has no peer."""
    return p.mnt_share.next.container       # type: ignore[no-any-return]


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


names("dup", "fs/pnode.h", "IS_MNT_SHARED", "IS_MNT_SLAVE", "IS_MNT_NEW", "IS_MNT_UNBINDABLE", "IS_MNT_MARKED", "IS_MNT_LOCKED",
      "CLEAR_MNT_SHARED", "SET_MNT_MARK", "CLEAR_MNT_MARK", "set_mnt_shared", "peers")
names("dup", C, "next_peer")
names("custom", C, "slave_add_head", "slave_add_behind", "slave_del_init", "slave_splice_init",
      how="hlist operations on the two links of a mount")
