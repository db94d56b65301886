# SPDX-License-Identifier: GPL-2.0-only
"""Each detector sees what is planted for it, and nothing where all is well."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from kemu.check.state import GlobalState
from kemu.check.suite import all_detectors
from kemu.check.watch import Detectors
from kemu.linux.bio import REQ_OP_READ, __bio_add_page, bio_alloc, bio_endio, bio_put
from kemu.linux.completion import completion, wait_for_completion
from kemu.linux.fs import Inode
from kemu.linux.gfp import GFP_KERNEL, alloc_page, put_page_last
from kemu.linux.highmem import kmap_local_page, kunmap_local, memcpy_to_page
from kemu.linux.include.fs.types import AddressSpace
from kemu.linux.mm import folio_get, folio_put, page_address
from kemu.linux.mutex import mutex, mutex_lock, mutex_unlock
from kemu.linux.pagemap import filemap_add_folio, filemap_remove_folio, folio_end_read, folio_lock, folio_unlock
from kemu.linux.port.statics import statics
from kemu.linux.rcupdate import rcu_read_lock, rcu_read_unlock
from kemu.linux.slab import (
    kfree,
    kmalloc,
    kmem_cache_alloc,
    kmem_cache_create,
    kmem_cache_free,
    kzalloc,
    kzalloc_obj,
    kzalloc_objs,
)
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.linux.string import memcpy, memset
from kemu.linux.vmalloc import vm_map_ram, vm_unmap_ram
from kemu.machine.current import this
from kemu.machine.machine import Machine
from kemu.machine.splat import Splat


@statics
class g:
    pending = 0
    users = 0


class thing:
    __slots__ = ("next", "value")

    def __init__(self) -> None:
        self.value = 0
        self.next: Any = None


@contextmanager
def watched(**options: Any) -> Iterator[tuple[Machine, Detectors]]:
    watch = all_detectors()
    with Machine(watch=watch, **options) as m:
        watch.attach(m)
        yield m, watch


@contextmanager
def balanced() -> Iterator[Machine]:
    with watched() as (m, watch):
        watch.mark()
        yield m
        m.idle()
        watch.finish()


@contextmanager
def reports(title: str, *lines: str) -> Iterator[None]:
    with pytest.raises(Splat) as info:
        yield
    assert title in info.value.title
    text = str(info.value)
    for line in lines:
        assert line in text, f"{line!r} is not in\n{text}"


# ------------------------------------------------------------------------- objects

def test_use_after_free_of_an_object_is_seen_with_its_history() -> None:
    def planted() -> None:
        t = kzalloc_obj(thing)
        t.value = 5
        kfree(t)
        t.value += 1

    with reports("BUG: KASAN: slab-use-after-free in planted", "Read of value of freed struct thing", "Allocated by task init/1",
                 "Freed by task init/1",
                 "in reports_via"[:0] + "planted"):
        with watched():
            planted()


def test_write_after_free_double_free_and_arrays() -> None:
    with watched():
        t = kzalloc_obj(thing)
        kfree(t)
        with reports("slab-use-after-free", "Write to next"):
            t.next = None
        with reports("double-free"):
            kfree(t)
        a = kzalloc_objs(None, 4)
        a[0] = 1
        kfree(a)
        with reports("slab-use-after-free"):
            a[0]
        cache = kmem_cache_create("things", thing)
        assert cache is not None
        o = kmem_cache_alloc(cache)
        kmem_cache_free(cache, o)
        with reports("slab-use-after-free", "struct thing"):
            assert o.value


def test_an_object_that_was_freed_is_still_its_class() -> None:
    with watched():
        t = kzalloc_obj(thing)
        kfree(t)
        assert isinstance(t, thing) and repr(t) == "<freed thing>"


def test_history_of_bytes() -> None:
    def planted() -> None:
        p = kmalloc(32)
        memset(p, 0, 32)
        kfree(p)
        this.mem.ld8(p)

    watch = all_detectors()
    with Machine(watch=watch) as m:
        watch.attach(m)
        with pytest.raises(Splat) as info:
            planted()
        lines = watch.explain(info.value)
    assert [line.split(" at ")[0] for line in lines] == ["Allocated by task init/1", "Freed by task init/1"]
    assert all("planted" in line for line in lines)


# ------------------------------------------------------------------------- leaks and references

def test_nothing_is_left_where_all_is_freed() -> None:
    with balanced():
        p, t, page = kzalloc(10), kzalloc_obj(thing), alloc_page(GFP_KERNEL)
        assert page is not None
        va = vm_map_ram([page], 1)
        vm_unmap_ram(va, 1)
        kfree(p)
        kfree(t)
        folio_put(page)


def test_a_lost_buffer_object_page_mapping_and_window() -> None:
    def lose_buffer() -> None:
        kmalloc(10)

    with reports("BUG: memory leak in lose_buffer: unreferenced object (10 bytes)", "unreferenced object: 10 bytes"):
        with balanced():
            lose_buffer()
    with reports("unreferenced object (struct thing)"):
        with balanced():
            kzalloc_obj(thing)
    with reports("page never freed"):
        with balanced():
            alloc_page(GFP_KERNEL)
    with reports("mapping never undone"):
        with watched() as (m, watch):
            page = alloc_page(GFP_KERNEL)
            assert page is not None
            watch.mark()
            vm_map_ram([page], 1)
            watch.finish()
    with reports("kmap_local window still held"):
        with watched() as (m, watch):
            page = alloc_page(GFP_KERNEL)
            assert page is not None
            watch.mark()
            kmap_local_page(page)
            watch.finish()


def test_a_lost_reference_names_who_took_it() -> None:
    def takes(page: Any) -> None:
        folio_get(page)

    def drops(page: Any) -> None:
        folio_put(page)

    with reports("BUG: memory leak in takes: page never freed", "+1 in", "takes", "by folio_get"):
        with balanced():
            page = alloc_page(GFP_KERNEL)
            takes(page)
            takes(page)
            drops(page)
            folio_put(page)         # type: ignore[arg-type]


def test_what_was_there_before_is_not_a_leak() -> None:
    with watched() as (m, watch):
        kmalloc(10)
        kzalloc_obj(thing)
        watch.mark()
        watch.finish()


# ------------------------------------------------------------------------- locks

def test_locks_that_stay() -> None:
    def forgets(lock: mutex) -> None:
        mutex_lock(lock)

    with reports("WARNING: mutex still held after the operation, taken in forgets", "umount"):
        with balanced():
            forgets(mutex("umount"))
    with reports("folio lock still held"):
        with watched() as (m, watch):
            page = alloc_page(GFP_KERNEL)
            assert page is not None
            watch.mark()
            folio_lock(page)
            watch.finish()


def test_locks_in_both_orders() -> None:
    a, b = mutex("first"), mutex("second")

    def one() -> None:
        mutex_lock(a)
        mutex_lock(b)
        mutex_unlock(b)
        mutex_unlock(a)

    def other() -> None:
        mutex_lock(b)
        mutex_lock(a)

    with reports("possible circular locking dependency detected in other", "trying to acquire first", "already holds second"):
        with watched():
            one()
            one()
            other()


@pytest.mark.parametrize("closing", range(3))
def test_locks_in_a_circle_of_three(closing: int) -> None:
    """Whichever of the three orders is new, and however often the others were seen before."""
    locks = [mutex("first"), mutex("second"), mutex("third")]

    def take(n: int) -> None:
        outer, inner = locks[n], locks[(n + 1) % 3]
        mutex_lock(outer)
        mutex_lock(inner)
        mutex_unlock(inner)
        mutex_unlock(outer)

    with reports("possible circular locking dependency detected in take", "first", "second", "third"):
        with watched():
            for n in (closing + 1, closing + 2, closing + 1, closing + 2):
                take(n % 3)
            take(closing)


def test_a_task_that_waits_for_its_own_folio() -> None:
    def planted(page: Any) -> None:
        folio_lock(page)
        folio_lock(page)

    with watched() as (m, watch):
        page = alloc_page(GFP_KERNEL)
        with pytest.raises(Splat) as info:
            planted(page)
        text = "\n".join([str(info.value), *watch.explain(info.value)])
    assert "hung" in info.value.title and "held: folio lock" in text and "planted" in text


def test_a_completion_that_never_comes() -> None:
    with watched():
        with reports("INFO: task hung", "to be completed by the worker"):
            wait_for_completion(completion("the worker"))


def test_a_wait_cycle_is_named() -> None:
    watch = Detectors([d for d in all_detectors().all if d.name != "lock order"])
    with Machine(watch=watch) as m:
        watch.attach(m)
        a, b = mutex("a"), mutex("b")

        def body(x: mutex, y: mutex) -> None:
            mutex_lock(x)
            this.sched.relax("test")
            mutex_lock(y)

        m.sched.spawn("one", lambda: body(a, b))
        m.sched.spawn("two", lambda: body(b, a))
        m.sched.run_others()
        with reports("tasks wait for each other", "one/2 waits for b, held by two/3", "two/3 waits for a, held by one/2"):
            watch.finish()


# ------------------------------------------------------------------------- page cache

def _mapping() -> AddressSpace:
    return AddressSpace(Inode(), SimpleNamespace(free_folio=None, read_folio=None, release_folio=None))


def test_a_folio_in_two_mappings() -> None:
    with watched():
        page = alloc_page(GFP_KERNEL)
        assert page is not None
        assert filemap_add_folio(_mapping(), page, 0, GFP_KERNEL) == 0
        with reports("folio added to a second mapping"):
            filemap_add_folio(_mapping(), page, 3, GFP_KERNEL)


def test_a_folio_whose_index_changes_while_cached() -> None:
    with watched():
        page = alloc_page(GFP_KERNEL)
        assert page is not None
        mapping = _mapping()
        filemap_add_folio(mapping, page, 2, GFP_KERNEL)
        page.index = 5
        mapping.i_pages[5] = page
        with reports("index 0x2 became 0x5"):
            filemap_remove_folio(page)


def test_a_read_that_ends_before_all_is_written() -> None:
    with watched():
        page = alloc_page(GFP_KERNEL)
        assert page is not None
        filemap_add_folio(_mapping(), page, 0, GFP_KERNEL)
        memset(page_address(page), 0, 4000)
        with reports("KMSAN: uninit-value", "byte 4000 of 4096"):
            folio_end_read(page, True)


def test_a_read_that_is_whole_or_failed() -> None:
    with watched():
        for filled in (True, False):
            page = alloc_page(GFP_KERNEL)
            assert page is not None
            filemap_add_folio(_mapping(), page, 0, GFP_KERNEL)
            if filled:
                memset(page_address(page), 0, 4096)
            folio_end_read(page, filled)


# ------------------------------------------------------------------------- uninitialised bytes

def test_uninitialised_bytes_that_decide_and_that_leave() -> None:
    with watched() as (m, _):
        p = kmalloc(64)
        memset(p, 0, 60)
        assert m.mem.ld32(p + 56) == 0
        with reports("KMSAN: uninit-value", "4 bytes were never written"):
            m.mem.load(p + 56, 8)
        with reports("KMSAN: kernel-infoleak"):
            m.mem.give(p + 60, 4)


def test_copies_carry_what_they_copy() -> None:
    with watched() as (m, _):
        p, q = kmalloc(64), kmalloc(64)
        memset(p, 1, 32)
        memcpy(q, p, 64)
        m.mem.load(q, 32)
        with reports("KMSAN"):
            m.mem.load(q, 33)


# ------------------------------------------------------------------------- bios

def _bio() -> Any:
    page = alloc_page(GFP_KERNEL)
    assert page is not None
    bio = bio_alloc(None, 1, REQ_OP_READ, GFP_KERNEL)
    __bio_add_page(bio, page, 4096, 0)
    bio.bi_end_io = lambda b: None      # somebody wants to know
    return bio


def test_a_bio_that_ends_short() -> None:
    with watched():
        bio = _bio()
        memset(page_address(bio.bi_io_vec[0].bv_page), 0, 4095)
        with reports("bio ends without error, but bytes of it were never written", "byte 4095"):
            bio_endio(bio)


def test_a_bio_read_again_into_a_page_that_was_written_before() -> None:
    with watched() as (_, watch):
        bio = _bio()
        va = page_address(bio.bi_io_vec[0].bv_page)
        memset(va, 7, 4096)
        watch.event("submit_bio", bio=bio)
        memset(va, 0, 512)
        with reports("bytes of it were never written", "3584 bytes are missing"):
            bio_endio(bio)


def test_a_bio_that_ends_twice_or_never() -> None:
    with watched():
        bio = _bio()
        memset(page_address(bio.bi_io_vec[0].bv_page), 0, 4096)
        bio_endio(bio)
        with reports("bio ended twice"):
            bio_endio(bio)
    with reports("bio never ended, submitted in "):
        with watched() as (_, watch):
            watch.event("submit_bio", bio=_bio())
            watch.get(type(next(d for d in watch.all if d.name == "bios"))).finish()       # type: ignore[union-attr]


def test_a_bio_that_is_never_put() -> None:
    with reports("memory leak", "struct Bio"):
        with balanced():
            bio = _bio()
            page = bio.bi_io_vec[0].bv_page
            memset(page_address(page), 0, 4096)
            bio_endio(bio)
            folio_put(page)


def test_a_good_bio() -> None:
    with balanced():
        bio = _bio()
        page = bio.bi_io_vec[0].bv_page
        memset(page_address(page), 0, 4096)
        bio_endio(bio)
        bio_put(bio)
        folio_put(page)


# ------------------------------------------------------------------------- atomic context, stack, const, state

def test_sleeping_under_a_spinlock_and_in_rcu() -> None:
    def planted(lock: spinlock_t) -> None:
        spin_lock(lock)
        kmalloc(10)

    with watched():
        with reports("sleeping function called from invalid context in planted", "preempt_count: 1"):
            planted(spinlock_t())
    with watched():
        rcu_read_lock()
        with reports("sleeping function called from invalid context", "RCU nest depth: 1"):
            mutex_lock(mutex())
    with watched():
        lock = spinlock_t()
        spin_lock(lock)
        kmalloc(10, 0x20)           # GFP_ATOMIC's __GFP_HIGH: may not sleep
        spin_unlock(lock)
        rcu_read_lock()
        rcu_read_unlock()
        kmalloc(10)


def test_atomic_state_that_stays() -> None:
    with reports("leaked atomic or RCU state"):
        with balanced():
            rcu_read_lock()


def test_deep_recursion() -> None:
    def read_through(level: int) -> int:
        if not level:
            return kmalloc(8)
        return read_through(level - 1)

    with watched():
        assert read_through(20)
        with reports("kernel stack overflow in read_through"):
            read_through(120)


def test_writes_to_lent_memory() -> None:
    with watched() as (m, _):
        r = m.place(b"x" * 100, at=10)
        with reports("write to const memory"):
            m.mem.st8(r.addr + 3, 0)
    with reports("region image changed while it was lent"):
        with balanced() as m:
            r = m.place(b"x" * 100)
            assert isinstance(m.watch, Detectors)
            m.watch.mark()
            m.mem.buf[m.mem.pfn_of(r.addr) << 12] = 0       # past every check, as a device would


def test_a_region_that_is_not_given_back() -> None:
    with reports("still lent after the operation"):
        with watched() as (m, watch):
            r = m.place(b"x" * 100)
            watch.mark()
            r.lend("mount")
            watch.finish()


def test_global_state_that_is_left() -> None:
    with watched() as (m, watch):
        state = watch.get(GlobalState)
        assert state is not None
        state.remember()
        g.pending = 0xFFFF888000001000
        with reports("state left behind: tests.unit.check.test_suite.pending", "0 before, 0xffff888000001000 after"):
            state.compare()
        g.pending = 0
        state.compare()


def test_zero_cost_when_nobody_watches() -> None:
    with Machine() as m:
        t = kzalloc_obj(thing)
        kfree(t)
        assert t.value == 0 and type(t) is thing and type(m.kmap).__name__ == "Kmap"
        page = alloc_page(GFP_KERNEL)
        assert page is not None
        va = kmap_local_page(page)
        kunmap_local(va)
        memcpy_to_page(page, 0, page_address(page) + 100, 10)
        folio_lock(page)
        folio_unlock(page)
        put_page_last(page)
