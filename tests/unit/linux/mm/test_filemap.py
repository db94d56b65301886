# SPDX-License-Identifier: GPL-2.0-only
"""The page cache by itself: lookups, the folio lock, synthetic mappings, truncation, failures."""
from __future__ import annotations

import pytest

from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EAGAIN, EBUSY, EEXIST, EINTR, EIO, ENOENT, ENOMEM
from kemu.linux.gfp import GFP_KERNEL, alloc_pages
from kemu.linux.highmem import folio_zero_range
from kemu.linux.include.fs.types import Inode, address_space_operations
from kemu.linux.mm import folio_address, folio_get, folio_page, folio_put
from kemu.linux.pagemap import (
    AOP_TRUNCATED_PAGE,
    FGP_CREAT,
    FGP_LOCK,
    FGP_NOFS,
    FGP_NOWAIT,
    AddressSpace,
    __filemap_get_folio,
    fgf_set_order,
    filemap_add_folio,
    filemap_alloc_folio,
    filemap_get_folio,
    filemap_grab_folio,
    filemap_lock_folio,
    filemap_range_has_page,
    filemap_remove_folio,
    find_get_page,
    folio_attach_private,
    folio_contains,
    folio_detach_private,
    folio_end_read,
    folio_file_page,
    folio_lock,
    folio_lock_killable,
    folio_next_index,
    folio_pos,
    folio_trylock,
    folio_unlock,
    folio_wait_locked,
    folio_wait_locked_killable,
    invalidate_inode_pages2,
    invalidate_mapping_pages,
    mapping_set_folio_min_order,
    mapping_set_large_folios,
    page_cache_next_miss,
    page_cache_prev_miss,
    page_offset,
    read_cache_folio,
    read_mapping_folio,
    read_mapping_page,
    truncate_inode_pages,
    truncate_inode_pages_final,
    truncate_inode_pages_range,
)
from kemu.linux.super_types import SuperBlock
from kemu.machine.machine import Machine
from kemu.machine.pages import PG_locked, PG_uptodate
from tests.conftest import raises_splat
from tests.unit.linux.block_files import Planned, folios


def mapping_of(read_folio=None, size=1 << 20, **ops):
    inode = Inode()
    inode.i_sb = SuperBlock()
    inode.i_size = size
    inode.i_blkbits = 12
    inode.i_data = inode.i_mapping = AddressSpace(inode, address_space_operations(read_folio=read_folio, **ops))
    return inode.i_mapping


def zeros(file, folio):
    folio_zero_range(folio, 0, 4096 << folio.order)
    folio_end_read(folio, True)
    return 0


def cached(machine, mapping, *indices):
    for i in indices:
        folio_put(read_mapping_folio(mapping, i, None))


# ------------------------------------------------------------------------- looking up

def test_a_miss_calls_read_folio_once_and_a_hit_does_not(machine):
    calls = []

    def read_folio(file, folio):
        calls.append((file, folio.index, bool(folio.flags & PG_locked), folio.refcount))
        machine.mem.store(folio_address(folio), b"%4096d" % folio.index)
        folio_end_read(folio, True)
        return 0

    mapping = mapping_of(read_folio)
    a = read_mapping_folio(mapping, 5, "the file")
    b = read_mapping_folio(mapping, 5, None)
    assert a is b and a.refcount == 3 and calls == [("the file", 5, True, 2)]
    assert machine.mem.load(folio_address(a), 4096).strip() == b"5"
    assert mapping.nrpages == 1 and machine.counters.folios_cached == 1
    assert find_get_page(mapping, 6) is None


def test_what_read_folio_says_is_what_the_reader_gets(machine):
    def fails(file, folio):
        folio_unlock(folio)
        return -ENOENT

    mapping = mapping_of(fails)
    assert PTR_ERR(read_mapping_folio(mapping, 0, None)) == -ENOENT

    def not_uptodate(file, folio):
        folio_end_read(folio, False)
        return 0

    assert PTR_ERR(read_cache_folio(mapping, 0, not_uptodate, None)) == -EIO
    assert read_cache_folio(mapping, 0, zeros, None) is mapping.i_pages[0]          # the folio has stayed, and is read again


def test_a_truncated_folio_is_looked_up_again(machine):
    calls = []

    def read_folio(file, folio):
        calls.append(folio)
        if len(calls) == 1:
            filemap_remove_folio(folio)
            folio_unlock(folio)
            return AOP_TRUNCATED_PAGE
        return zeros(file, folio)

    mapping = mapping_of(read_folio)
    folio = read_mapping_folio(mapping, 3, None)
    assert folio is calls[1] and calls[0] is not calls[1] and folio.mapping is mapping
    assert machine.counters.pages_in_use == 1


def test_a_mapping_without_read_folio_cannot_be_read(machine):
    with raises_splat("BUG: kernel NULL pointer dereference"):
        read_mapping_folio(mapping_of(None), 0, None)


def test_a_folio_enters_the_cache_once(machine):
    mapping = mapping_of(zeros)
    mapping_set_large_folios(mapping)
    big = alloc_pages(GFP_KERNEL, 2)
    assert filemap_add_folio(mapping, big, 4, GFP_KERNEL) == 0
    assert big.refcount == 5 and big.flags & PG_locked and mapping.nrpages == 4
    small = filemap_alloc_folio(GFP_KERNEL, 0)
    for index in range(4, 8):
        assert filemap_add_folio(mapping, small, index, GFP_KERNEL) == -EEXIST
    assert small.refcount == 1 and not small.flags & PG_locked
    wide = alloc_pages(GFP_KERNEL, 3)
    assert filemap_add_folio(mapping, wide, 0, GFP_KERNEL) == -EEXIST
    with raises_splat("VM_BUG_ON_FOLIO(index & (folio_nr_pages(folio) - 1))"):
        filemap_add_folio(mapping, wide, 9, GFP_KERNEL)


def test_the_parts_of_a_large_folio(machine):
    mapping = mapping_of(zeros)
    mapping_set_large_folios(mapping)
    big = alloc_pages(GFP_KERNEL, 2)
    filemap_add_folio(mapping, big, 8, GFP_KERNEL)
    zeros(None, big)
    assert read_mapping_folio(mapping, 10, None) is big
    page = read_mapping_page(mapping, 11)
    assert page is folio_page(big, 3) is folio_file_page(big, 11) and page_offset(page) == 11 * 4096
    assert folio_pos(big) == 8 * 4096 and folio_next_index(big) == 12
    assert folio_contains(big, 11) and not folio_contains(big, 12) and not folio_contains(big, 7)


def test_get_folio_flags(machine):
    mapping = mapping_of(zeros)
    assert PTR_ERR(filemap_get_folio(mapping, 0)) == -ENOENT
    folio = filemap_grab_folio(mapping, 0)
    assert folio.flags & PG_locked and not folio.flags & PG_uptodate and folio.refcount == 2
    assert PTR_ERR(__filemap_get_folio(mapping, 0, FGP_LOCK | FGP_NOWAIT, 0)) == -EAGAIN
    folio_unlock(folio)
    assert filemap_lock_folio(mapping, 0) is folio
    folio_unlock(folio)
    mapping_set_large_folios(mapping)
    big = __filemap_get_folio(mapping, 16, FGP_LOCK | FGP_CREAT | fgf_set_order(65536), GFP_KERNEL)
    assert big.order == 4
    odd = __filemap_get_folio(mapping, 34, FGP_LOCK | FGP_CREAT | fgf_set_order(65536), GFP_KERNEL)
    assert odd.order == 1                                   # 34 is aligned to two pages only


@pytest.mark.parametrize(("flags", "errno"), [(FGP_LOCK | FGP_CREAT, ENOMEM),
                                              (FGP_LOCK | FGP_CREAT | FGP_NOFS | FGP_NOWAIT, EAGAIN)])
@pytest.mark.parametrize("kind", ["fail_page_alloc", "fail_function"])
def test_creating_a_folio_can_fail(kind, flags, errno):
    with Machine(chooser=Planned(kind, at=1)) as machine:
        mapping = mapping_of(zeros)
        assert PTR_ERR(__filemap_get_folio(mapping, 0, flags, GFP_KERNEL)) == -errno
        assert mapping.nrpages == 0 and machine.counters.pages_in_use == 0
        assert not IS_ERR(__filemap_get_folio(mapping, 0, flags, GFP_KERNEL))


@pytest.mark.parametrize("kind", ["fail_page_alloc", "fail_function"])
def test_reading_without_memory_is_enomem_and_leaves_nothing(kind):
    with Machine(chooser=Planned(kind, at=1)) as machine:
        mapping = mapping_of(zeros)
        assert PTR_ERR(read_mapping_folio(mapping, 0, None)) == -ENOMEM
        assert mapping.nrpages == 0 and machine.counters.pages_in_use == 0


def test_a_large_folio_falls_back_to_a_small_one():
    with Machine(chooser=Planned("fail_page_alloc", at=1)):
        mapping = mapping_of(zeros)
        mapping_set_large_folios(mapping)
        assert __filemap_get_folio(mapping, 0, FGP_LOCK | FGP_CREAT | fgf_set_order(16384), GFP_KERNEL).order == 1


def test_gaps_are_found(machine):
    mapping = mapping_of(zeros)
    cached(machine, mapping, 0, 1, 2, 5, 6)
    assert page_cache_next_miss(mapping, 0, 10) == 3
    assert page_cache_next_miss(mapping, 5, 2) == 7         # none in the range
    assert page_cache_prev_miss(mapping, 6, 10) == 4
    assert page_cache_prev_miss(mapping, 2, 10) == (1 << 64) - 1
    assert filemap_range_has_page(mapping, 3 * 4096, 5 * 4096) and not filemap_range_has_page(mapping, 3 * 4096, 5 * 4096 - 1)


def test_a_minimum_order_is_kept(machine):
    mapping = mapping_of(zeros)
    mapping_set_folio_min_order(mapping, 2)
    folio = read_mapping_folio(mapping, 6, None)
    assert folio.order == 2 and folio.index == 4


def test_large_folios_need_transparent_huge_pages():
    with Machine(config={"CONFIG_TRANSPARENT_HUGEPAGE": False}):
        mapping = mapping_of(zeros)
        mapping_set_large_folios(mapping)
        assert mapping.max_order == 0


# ------------------------------------------------------------------------- the lock

def test_unlocking_what_is_not_locked_is_reported(machine):
    folio = alloc_pages(GFP_KERNEL, 0)
    with raises_splat("VM_BUG_ON_FOLIO(!folio_test_locked(folio))"):
        folio_unlock(folio)
    with raises_splat("VM_BUG_ON_FOLIO(!folio_test_locked(folio))"):
        folio_end_read(folio, True)
    folio.flags |= PG_locked | PG_uptodate
    with raises_splat("VM_BUG_ON_FOLIO(success && folio_test_uptodate(folio))"):
        folio_end_read(folio, True)


def test_waiters_get_the_lock_one_after_the_other_and_watchers_all_at_once(machine):
    folio = alloc_pages(GFP_KERNEL, 0)
    assert folio_trylock(folio) and not folio_trylock(folio)
    order = []

    def locker(name):
        folio_lock(folio)
        order.append(name)
        folio_unlock(folio)

    def watcher():
        folio_wait_locked(folio)
        order.append("seen")

    for name in "ab":
        machine.sched.spawn(name, lambda name=name: locker(name))
    machine.sched.spawn("w", watcher)
    machine.sched.run_others()
    assert order == []
    folio_unlock(folio)
    machine.sched.run_others()
    assert sorted(order) == ["a", "b", "seen"] and not folio.flags & PG_locked


def test_a_lock_that_nobody_gives_back_is_a_deadlock_report(machine):
    folio = alloc_pages(GFP_KERNEL, 0)
    folio_lock(folio)
    with raises_splat("INFO: task hung: every task waits") as got:
        folio_lock(folio)
    assert "the lock of folio" in got[0].details[0]


def test_killable_waits_end_with_the_signal(machine):
    folio = alloc_pages(GFP_KERNEL, 0)
    folio_lock(folio)
    machine.first_task.pending_signal = True
    assert folio_lock_killable(folio) == -EINTR
    assert folio_wait_locked_killable(folio) == -EINTR
    folio_unlock(folio)
    assert folio_lock_killable(folio) == 0


def test_private_data_holds_a_reference(machine):
    folio = alloc_pages(GFP_KERNEL, 0)
    data = object()
    folio_attach_private(folio, data)
    assert folio.refcount == 2 and folio_detach_private(folio) is data and folio.refcount == 1
    assert folio_detach_private(folio) is None


# ------------------------------------------------------------------------- taking out

def test_truncation_invalidates_first_and_frees(machine):
    seen = []

    def invalidate(folio, offset, length):
        seen.append((folio.index, offset, length))
        folio_detach_private(folio)

    mapping = mapping_of(zeros, invalidate_folio=invalidate)
    cached(machine, mapping, 0, 1, 2, 3)
    folio_attach_private(mapping.i_pages[2], "x")
    truncate_inode_pages(mapping, 2 * 4096)
    assert [f.index for f in folios(mapping)] == [0, 1] and seen == [(2, 0, 4096)]
    truncate_inode_pages_final(mapping)
    assert mapping.nrpages == 0 and machine.counters.pages_in_use == 0


def test_a_partial_page_is_zeroed(machine):
    def ones(file, folio):
        machine.mem.fill(folio_address(folio), 1, 4096)
        folio_end_read(folio, True)
        return 0

    mapping = mapping_of(ones)
    cached(machine, mapping, 0, 1)
    truncate_inode_pages_range(mapping, 100, 4095 + 200)
    assert machine.mem.load(folio_address(mapping.i_pages[0]), 4096) == b"\1" * 100 + bytes(3996)
    assert machine.mem.load(folio_address(mapping.i_pages[1]), 4096) == bytes(200) + b"\1" * 3896


def test_truncation_waits_for_a_locked_folio(machine):
    mapping = mapping_of(zeros)
    cached(machine, mapping, 0, 1)
    folio = mapping.i_pages[1]
    folio_get(folio)
    folio_lock(folio)
    machine.sched.spawn("reader", lambda: (folio_unlock(folio), folio_put(folio)))
    truncate_inode_pages(mapping, 0)
    assert mapping.nrpages == 0 and machine.counters.pages_in_use == 0


def test_invalidation_spares_what_is_in_use(machine):
    mapping = mapping_of(zeros)
    cached(machine, mapping, 0, 1, 2, 3)
    held, locked = mapping.i_pages[1], mapping.i_pages[2]
    folio_get(held)
    folio_lock(locked)
    assert invalidate_mapping_pages(mapping, 0, -1) == 2
    assert [f.index for f in folios(mapping)] == [1, 2]
    folio_unlock(locked)
    assert invalidate_inode_pages2(mapping) == 0            # ignores the extra reference
    assert mapping.nrpages == 0 and held.mapping is None
    folio_put(held)
    assert machine.counters.pages_in_use == 0


def test_invalidation_says_busy_if_the_file_system_keeps_its_data(machine):
    mapping = mapping_of(zeros, release_folio=lambda folio, gfp: False)
    cached(machine, mapping, 0)
    folio_attach_private(mapping.i_pages[0], "x")
    assert invalidate_inode_pages2(mapping) == -EBUSY and mapping.nrpages == 1


def test_a_folio_freed_while_locked_is_reported(machine):
    folio = alloc_pages(GFP_KERNEL, 0)
    folio_lock(folio)
    with raises_splat("BUG: Bad page state: locked folio freed"):
        folio_put(folio)
