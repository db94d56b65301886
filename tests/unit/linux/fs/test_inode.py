# SPDX-License-Identifier: GPL-2.0-only
"""Inodes: found, made, waited for, kept, evicted; their attributes; what their misuse is reported as."""
from __future__ import annotations

import pytest

from kemu.linux.errno import EIO
from kemu.linux.fs import (
    I_CLEAR,
    I_CREATING,
    I_FREEING,
    I_NEW,
    Inode,
    bmap,
    clear_inode,
    clear_nlink,
    current_time,
    discard_new_inode,
    drop_nlink,
    evict_inodes,
    get_next_ino,
    icount_read,
    iget5_locked,
    iget_failed,
    iget_locked,
    igrab,
    ihold,
    ilookup,
    ilookup5,
    imajor,
    iminor,
    inc_nlink,
    init_special_inode,
    inode_fake_hash,
    inode_generic_drop,
    inode_just_drop,
    inode_nohighmem,
    inode_set_atime,
    inode_set_ctime,
    inode_set_mtime,
    inode_state_read,
    inode_unhashed,
    insert_inode_hash,
    insert_inode_locked,
    iput,
    is_bad_inode,
    iunique,
    make_bad_inode,
    new_inode,
    prune_icache_sb,
    remove_inode_hash,
    set_nlink,
    super_operations,
    timestamp_truncate,
    truncate_inode_pages_final,
    unlock_new_inode,
)
from kemu.linux.mm import folio_put
from kemu.linux.mount import mntput, vfs_kern_mount
from kemu.linux.pagemap import invalidate_mapping_pages, read_mapping_folio
from kemu.linux.port import user as sys
from kemu.linux.stat import S_IFBLK, S_IFCHR, S_IFIFO, S_IFREG, S_IFSOCK
from kemu.linux.task_work import task_work_run
from kemu.linux.time64 import timespec64
from kemu.machine.current import this
from kemu.machine.machine import Machine
from tests.conftest import raises_splat
from tests.unit.linux.block_files import Planned
from tests.unit.linux.vfs_files import TreeFs, balanced, mount, ok

TREE = {b"f": b"x" * 10000, b"g": b"y"}


@pytest.fixture
def fs(machine):
    return TreeFs(TREE)


@pytest.fixture
def sb(machine, fs):
    mnt = vfs_kern_mount(fs.type, 0, "none", None)
    yield mnt.mnt_sb
    mntput(mnt)
    task_work_run()
    machine.idle()


def get(sb, key):
    """iget5_locked() by a key that is not the number."""
    def set_(inode, data):
        inode.i_private = data
        inode.i_ino = 1000 + data
        return 0
    return iget5_locked(sb, key % 7, lambda inode, data: inode.i_private == data, set_, key)


# ------------------------------------------------------------------------- finding

def test_a_new_inode_then_the_same_again(sb):
    a = get(sb, 1)
    assert a.i_state & I_NEW and a.i_count == 1 and a in sb.s_inodes
    unlock_new_inode(a)
    assert not a.i_state & (I_NEW | I_CREATING)
    b = get(sb, 1)
    assert b is a and a.i_count == 2 and icount_read(a) == 2
    c = get(sb, 8)                                          # the same chain of the hash
    assert c is not a and c.i_state & I_NEW
    iget_failed(c)
    for _ in range(2):
        iput(a)


def test_set_may_refuse(sb):
    before = len(sb.s_inodes)
    assert iget5_locked(sb, 3, lambda i, d: False, lambda i, d: -EIO, None) is None
    assert len(sb.s_inodes) == before and ilookup(sb, 3) is None


def test_who_finds_a_new_inode_waits_until_it_is_done(machine, sb):
    a = get(sb, 1)
    got = []
    for _ in range(2):
        machine.sched.spawn("second", lambda: got.append(get(sb, 1)))
    machine.sched.run_others()
    assert not got and "I_NEW of inode 1001" in "".join(machine.sched.describe_waiters())
    unlock_new_inode(a)
    machine.sched.run_others()
    assert got == [a, a] and a.i_count == 3
    for _ in range(3):
        iput(a)


def test_who_waited_for_a_failed_inode_makes_another(machine, sb):
    a = get(sb, 1)
    got = []
    machine.sched.spawn("second", lambda: got.append(get(sb, 1)))
    machine.sched.run_others()
    iget_failed(a)
    machine.sched.run_others()
    (b,) = got
    assert b is not a and b.i_state & I_NEW and b.i_private == 1
    unlock_new_inode(b)
    iput(b)


def test_two_that_allocate_at_once_get_one_inode(machine, fs, sb):
    """The second is asleep in ->alloc_inode while the first one hashes its inode."""
    made, got = [], []

    def alloc(s):
        inode = Inode()
        made.append(inode)
        this.sched.run_others()
        return inode

    plain = sb.s_op
    sb.s_op = super_operations(alloc_inode=alloc, free_inode=lambda inode: made.remove(inode))

    def task():
        inode = get(sb, 5)
        if inode.i_state & I_NEW:
            unlock_new_inode(inode)
        got.append(inode)

    machine.sched.spawn("a", task)
    machine.sched.spawn("b", task)
    machine.sched.run_others()
    machine.idle()
    assert len(got) == 2 and got[0] is got[1] and got[0].i_count == 2 and made == [got[0]]
    for _ in range(2):
        iput(got[0])
    evict_unused(machine, sb, got[0])
    assert not made
    sb.s_op = plain


def test_the_second_of_two_takes_over_when_the_first_fails(machine, fs, sb):
    """It has allocated its inode already and waits for the first one's to be complete."""
    def alloc(s):
        this.sched.run_others()
        return Inode()

    plain, freed = sb.s_op, []
    sb.s_op = super_operations(alloc_inode=alloc, free_inode=freed.append)
    got = []

    def task():
        inode = get(sb, 5)
        assert inode.i_state & I_NEW and inode not in got
        got.append(inode)
        if len(got) == 1:
            this.sched.sleep(1000)                          # the other one finds this inode and waits
            iget_failed(inode)
        else:
            unlock_new_inode(inode)

    machine.sched.spawn("a", task)
    machine.sched.spawn("b", task)
    this.sched.sleep(5000)
    machine.idle()
    assert (len(got) == 2 and freed == [got[0]] and got[1].i_count == 1
            and ilookup5(sb, 5, lambda i, d: i is got[1], None) is got[1])
    for _ in range(2):
        iput(got[1])
    evict_unused(machine, sb, got[1])
    sb.s_op = plain


def evict_unused(machine, sb, *inodes):
    assert all(i.i_count == 0 for i in inodes)
    prune_icache_sb(sb, 100)
    prune_icache_sb(sb, 100)                                # the first round takes the mark of use away
    machine.idle()
    assert not any(i in sb.s_inodes for i in inodes)


def test_who_finds_a_dying_inode_waits_for_its_end(machine, sb):
    a = get(sb, 1)
    unlock_new_inode(a)
    order = []

    def evict(inode):
        order.append("evicting")
        this.sched.run_others()                             # the lookup happens here
        order.append("evicted")
        truncate_inode_pages_final(inode.i_data)
        clear_inode(inode)

    plain, sb.s_op = sb.s_op, super_operations(evict_inode=evict)
    clear_nlink(a)

    def again():
        inode = get(sb, 1)
        order.append("new" if inode.i_state & I_NEW and inode is not a else "old")
        unlock_new_inode(inode)
        iput(inode)

    machine.sched.spawn("again", again)
    iput(a)
    machine.sched.run_others()
    sb.s_op = plain
    assert order == ["evicting", "evicted", "new"]


def test_looking_without_making(machine, sb):
    assert ilookup(sb, 1001) is None
    a = iget_locked(sb, 1001)
    unlock_new_inode(a)
    b = ilookup(sb, 1001)
    assert b is a and a.i_count == 2
    assert ilookup5(sb, 1001, lambda i, d: i.i_ino == d, 1001) is a
    for _ in range(3):
        iput(a)


def test_unhashed_inodes_are_not_found(sb):
    a = iget_locked(sb, 77)
    unlock_new_inode(a)
    assert not inode_unhashed(a)
    remove_inode_hash(a)
    assert inode_unhashed(a) and ilookup(sb, 77) is None
    insert_inode_hash(a)
    assert ilookup(sb, 77) is a
    iput(a)
    remove_inode_hash(a)
    inode_fake_hash(a)
    assert not inode_unhashed(a) and ilookup(sb, 77) is None
    clear_nlink(a)
    iput(a)
    assert a.i_state == I_FREEING | I_CLEAR


def test_a_number_can_be_claimed(sb):
    a = new_inode(sb)
    a.i_ino = 500
    assert insert_inode_locked(a) == 0 and a.i_state & (I_NEW | I_CREATING) == I_NEW | I_CREATING
    unlock_new_inode(a)
    b = new_inode(sb)
    b.i_ino = 500
    assert insert_inode_locked(b) == -16
    iput(b)
    assert ilookup(sb, 500) is a
    iput(a)
    iput(a)


def test_an_inode_that_is_being_created_can_be_given_up(sb):
    a = new_inode(sb)
    a.i_ino = 501
    assert insert_inode_locked(a) == 0
    discard_new_inode(a)
    assert ilookup(sb, 501) is None


def test_numbers(sb):
    assert get_next_ino() + 1 == get_next_ino()
    first = iunique(sb, 10)
    assert first == 11
    a = iget_locked(sb, 12)
    unlock_new_inode(a)
    assert iunique(sb, 10) == 13
    iput(a)


# ------------------------------------------------------------------------- keeping and evicting

def test_an_unused_inode_stays_cached_and_can_be_taken_again(machine, fs, sb):
    a = iget_locked(sb, 900)
    unlock_new_inode(a)
    iput(a)
    assert a.i_count == 0 and a in sb.s_inode_lru and a in sb.s_inodes and 900 not in fs.freed
    assert iget_locked(sb, 900) is a and a.i_count == 1
    iput(a)
    evict_unused(machine, sb, a)
    assert fs.freed == [900]


def test_an_unlinked_inode_goes_with_its_last_reference(machine, fs, sb):
    a = iget_locked(sb, 901)
    unlock_new_inode(a)
    ihold(a)
    clear_nlink(a)
    iput(a)
    assert not a.i_state & I_FREEING
    iput(a)
    machine.idle()
    assert a.i_state == I_FREEING | I_CLEAR and fs.freed == [901] and a not in sb.s_inodes


def test_drop_inode_decides(machine, fs, sb):
    assert inode_just_drop(None) == 1 and not inode_generic_drop(iget_locked(sb, 902))
    a = ilookup_new(sb, 902)
    sb.s_op.drop_inode = inode_just_drop
    iput(a)
    sb.s_op.drop_inode = None
    machine.idle()
    assert fs.freed == [902]


def ilookup_new(sb, ino):
    (inode,) = sb.s_inode_hash[ino]
    unlock_new_inode(inode)
    return inode


def with_a_page(fs, sb):
    a = fs.iget(sb, 2)
    folio_put(read_mapping_folio(a.i_mapping, 0, None))
    iput(a)
    assert a.i_data.nrpages == 1
    return a


def test_an_inode_with_pages_is_not_for_memory_pressure(machine, fs, sb):
    a = with_a_page(fs, sb)
    assert a not in sb.s_inode_lru and prune_icache_sb(sb, 100) == 0 and a in sb.s_inodes
    invalidate_mapping_pages(a.i_mapping, 0, -1)
    assert a in sb.s_inode_lru                              # the last page puts it there
    evict_unused(machine, sb, a)
    assert fs.freed == [2]


def test_with_highmem_the_page_cache_goes_first(fs):
    with Machine(config={"CONFIG_HIGHMEM": True}) as machine:
        mnt = vfs_kern_mount(fs.type, 0, "none", None)
        a = with_a_page(fs, mnt.mnt_sb)
        evict_unused(machine, mnt.mnt_sb, a)
        assert fs.freed == [2]
        mntput(mnt)
        task_work_run()


def test_pressure_from_two_sides(fs):
    """Both see the inode; while one drops its pages the other comes."""
    with Machine(config={"CONFIG_HIGHMEM": True}) as machine:
        mnt = vfs_kern_mount(fs.type, 0, "none", None)
        sb = mnt.mnt_sb
        a = with_a_page(fs, sb)
        got = []

        def pressure():
            got.append(prune_icache_sb(sb, 100))

        machine.chooser = this.chooser = Planned(order="last")      # at every point where it may, another task goes on
        for i in range(2):
            machine.sched.spawn(f"shrinker{i}", pressure)
        machine.sched.run_others()
        machine.chooser = this.chooser = None
        machine.idle()
        assert len(got) == 2 and sum(got) == len(fs.freed) <= 1        # the second leaves alone what the first has isolated
        mntput(mnt)
        task_work_run()
        machine.idle()
        assert sorted(fs.freed) == [1, 2] and a.i_state == I_FREEING | I_CLEAR


def test_used_inodes_survive_an_umount_with_a_report(machine):
    fs = TreeFs(TREE)
    mnt = vfs_kern_mount(fs.type, 0, "none", None)
    sb = mnt.mnt_sb
    a, b = iget_locked(sb, 50), iget_locked(sb, 51)
    unlock_new_inode(a)
    unlock_new_inode(b)
    iput(b)
    mntput(mnt)
    task_work_run()
    machine.idle()
    assert list(sb.s_inodes) == [a] and set(fs.freed) == {1, 51}


def test_evicting_all_that_is_unused(machine, fs, sb):
    a, b, c = (iget_locked(sb, i) for i in (60, 61, 62))
    for i in (a, b, c):
        unlock_new_inode(i)
    iput(a)
    iput(c)
    evict_inodes(sb)
    machine.idle()
    assert fs.freed == [60, 62] and b in sb.s_inodes
    iput(b)


def test_grabbing(sb):
    a = iget_locked(sb, 70)
    unlock_new_inode(a)
    assert igrab(a) is a and a.i_count == 2
    iput(a)
    a.i_state |= I_FREEING
    a.i_count = 0
    assert igrab(a) is None
    a.i_count = 1
    a.i_state &= ~I_FREEING
    assert inode_state_read(a) == 0
    iput(a)


# ------------------------------------------------------------------------- misuse

def test_one_iput_too_many(sb):
    a = iget_locked(sb, 80)
    unlock_new_inode(a)
    iput(a)
    with raises_splat("iput() of an inode without references"):
        iput(a)


def test_ihold_without_a_reference(sb):
    a = iget_locked(sb, 81)
    unlock_new_inode(a)
    iput(a)
    with raises_splat("ihold() of an inode without references"):
        ihold(a)


def test_iput_of_a_dead_inode(sb):
    a = iget_locked(sb, 82)
    unlock_new_inode(a)
    clear_nlink(a)
    iput(a)
    with raises_splat("iput() of an inode that is being freed"):
        a.i_count = 1
        iput(a)


def test_clear_inode_with_pages(fs, sb):
    a = fs.iget(sb, 2)
    folio_put(read_mapping_folio(a.i_mapping, 0, None))
    with raises_splat("clear_inode() with 1 pages cached"):
        clear_inode(a)
    iput(a)


def test_use_after_free_is_seen():
    with pytest.raises(Exception, match="slab-use-after-free"), balanced() as m:
        fs = TreeFs(TREE)
        mnt = vfs_kern_mount(fs.type, 0, "none", None)
        inode = mnt.mnt_sb.s_root.d_inode
        mntput(mnt)
        task_work_run()
        m.idle()
        print(inode.i_ino)


def test_a_leaked_reference_is_a_leaked_inode():
    with pytest.raises(Exception, match="unreferenced object"), balanced() as m:
        fs = TreeFs(TREE)
        ok(mount(fs))
        f = sys.sys_open("/mnt/f", 0)
        ihold(f.f_inode)
        sys.sys_close(f)
        ok(sys.sys_umount("/mnt"))
        m.idle()


# ------------------------------------------------------------------------- attributes

def test_links(machine, sb):
    a = new_inode(sb)
    set_nlink(a, 3)
    inc_nlink(a)
    drop_nlink(a)
    drop_nlink(a)
    assert a.i_nlink == 2 and sb.s_remove_count == 0
    drop_nlink(a)
    drop_nlink(a)
    assert a.i_nlink == 0 and sb.s_remove_count == 1
    set_nlink(a, 1)
    assert sb.s_remove_count == 0
    iput(a)


def test_a_link_count_below_zero_is_warned_about(machine, sb):
    a = new_inode(sb)
    clear_nlink(a)
    drop_nlink(a)
    assert any("WARNING" in t for _, _, t in machine.log.entries)
    iput(a)


@pytest.mark.parametrize("mode,has_rdev", [(S_IFCHR, True), (S_IFBLK, True), (S_IFIFO, False), (S_IFSOCK, False)])
def test_special_inodes(machine, sb, mode, has_rdev):
    a = new_inode(sb)
    init_special_inode(a, mode | 0o600, 0x0010_0203)
    assert a.i_mode == mode | 0o600 and (imajor(a), iminor(a)) == ((1, 0x203) if has_rdev else (0, 0))
    iput(a)


def test_a_special_inode_of_no_type(machine, sb):
    a = new_inode(sb)
    init_special_inode(a, S_IFREG | 0o600, 5)
    assert a.i_mode == S_IFREG | 0o600 and a.i_rdev == 0 and not machine.log.entries      # only pr_debug() says so
    iput(a)


def test_times_are_cut_to_the_granularity(sb):
    a = new_inode(sb)
    for gran, nsec in ((1, 123456789), (1000, 123456000), (1_000_000_000, 0)):
        sb.s_time_gran = gran
        t = timestamp_truncate(timespec64(5, 123456789), a)
        assert (t.tv_sec, t.tv_nsec) == (5, nsec)
    sb.s_time_min, sb.s_time_max = 0, 100
    assert timestamp_truncate(timespec64(-1, 5), a).tv_sec == 0 and timestamp_truncate(timespec64(101, 5), a).tv_sec == 100
    inode_set_mtime(a, -5, 7)
    inode_set_atime(a, 6, 8)
    inode_set_ctime(a, 1 << 40, 999999999)
    assert (a.i_mtime_sec, a.i_mtime_nsec, a.i_atime_sec, a.i_ctime_sec, a.i_ctime_nsec) == (-5, 7, 6, 1 << 40, 999999999)
    iput(a)


def test_time_is_the_machines(machine, sb):
    a = new_inode(sb)
    sb.s_time_max = (1 << 63) - 1
    t = current_time(a)
    machine.clock.now_ns += 5_000_000_000
    u = current_time(a)
    assert u.tv_sec - t.tv_sec in (5, 6)
    iput(a)


def test_low_memory_only(sb):
    from kemu.linux.gfp import __GFP_HIGHMEM

    a = new_inode(sb)
    assert a.i_mapping.gfp_mask & __GFP_HIGHMEM
    inode_nohighmem(a)
    assert not a.i_mapping.gfp_mask & __GFP_HIGHMEM
    iput(a)


def test_bad_inodes(machine, sb):
    a = iget_locked(sb, 95)
    make_bad_inode(a)
    unlock_new_inode(a)
    assert is_bad_inode(a) and inode_unhashed(a)
    assert (a.i_op.lookup(a, None, 0) == (1 << 64) - EIO and a.i_op.permission(None, a, 0) == -EIO
            and a.i_fop.open(a, None) == -EIO)
    iput(a)


def test_bmap_without_one(sb):
    a = new_inode(sb)
    from kemu.linux.types import Ref

    assert bmap(a, Ref(1)) == -22
    iput(a)


def test_a_new_inode_is_on_the_list_but_not_in_the_hash(sb):
    a = new_inode(sb)
    assert a in sb.s_inodes and inode_unhashed(a) and a.i_nlink == 1 and a.i_mapping is a.i_data and a.i_data.host is a
    iput(a)
    assert a.i_state & I_FREEING
