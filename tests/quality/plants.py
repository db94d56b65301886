# SPDX-License-Identifier: GPL-2.0-only
"""Small drivers with one mistake each, which shows only for some inputs, faults or schedules. What the detectors are worth is
whether they find it.
"""
from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

from kemu.explore.run import Run
from kemu.linux.bio import REQ_OP_READ, __bio_add_page, bio_alloc, bio_endio, bio_put
from kemu.linux.completion import complete, completion, wait_for_completion
from kemu.linux.fs import Inode
from kemu.linux.gfp import GFP_KERNEL, alloc_page
from kemu.linux.highmem import kmap_local_page, kunmap_local, memcpy_to_page
from kemu.linux.include.fs.types import AddressSpace
from kemu.linux.mm import folio_get, folio_put, page_address
from kemu.linux.mutex import mutex, mutex_lock, mutex_unlock
from kemu.linux.pagemap import filemap_add_folio, filemap_remove_folio, folio_end_read, folio_lock, folio_unlock
from kemu.linux.port.statics import statics
from kemu.linux.rcupdate import rcu_read_lock, rcu_read_unlock
from kemu.linux.sched import cond_resched
from kemu.linux.slab import kfree, kmalloc, kzalloc, kzalloc_obj
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.linux.string import memcpy, memset
from kemu.linux.workqueue import INIT_WORK, alloc_workqueue, destroy_workqueue, queue_work, work_struct
from kemu.machine.current import this


@statics
class g:
    pending = 0


class request:
    __slots__ = ("done", "length", "ref", "work")

    def __init__(self) -> None:
        self.length = 0
        self.ref = 1
        self.done: Any = None
        self.work = work_struct(self)


class Plant(NamedTuple):
    """``fn(run, n, at)`` is the driver; ``title`` what must be reported, ``least`` the smallest input (n, at), ``choices`` how
    many faults and preemptions.
    """

    name: str
    fn: Callable[[Run, int, int], None]
    title: str
    least: tuple[int, int]
    choices: int = 0


plants: list[Plant] = []


def plant(title: str, least: tuple[int, int] = (0, 0), choices: int = 0) -> Callable[[Any], Any]:
    def deco(fn: Any) -> Any:
        plants.append(Plant(fn.__name__, fn, title, least, choices))
        return fn
    return deco


def host() -> Any:
    """The inode of an address space, as far as the page cache asks for it."""
    return Inode()


def page() -> Any:
    p = alloc_page(GFP_KERNEL | 0x8000)         # __GFP_NOFAIL
    assert p is not None
    return p


@plant("KASAN: slab-out-of-bounds in off_by_one", (33, 0))
def off_by_one(run: Run, n: int, at: int) -> None:
    p = kmalloc(n + 1)
    if not p:
        return
    memset(p, 0, n + (2 if n > 32 else 1))
    kfree(p)


@plant("KASAN: out-of-bounds in beside_the_page", (1, 4096))
def beside_the_page(run: Run, n: int, at: int) -> None:
    pg = page()
    memset(page_address(pg), 0, 4096)
    va = kmap_local_page(pg)
    if n:
        this.mem.load(va + at, min(n, 16))
    kunmap_local(va)
    folio_put(pg)


@plant("KASAN: slab-use-after-free in reads_after_kfree", (8, 0))
def reads_after_kfree(run: Run, n: int, at: int) -> None:
    p = kzalloc(16)
    if not p:
        return
    kfree(p)
    if n & 8:
        this.mem.ld8(p)


@plant("KASAN: slab-use-after-free in object_after_kfree", (0, 100))
def object_after_kfree(run: Run, n: int, at: int) -> None:
    rq = kzalloc_obj(request)
    if not rq:
        return
    rq.length = at
    kfree(rq)
    if at >= 100:
        rq.length = 0


@plant("KASAN: double-free in freed_on_both_paths", (0, 0), 1)
def freed_on_both_paths(run: Run, n: int, at: int) -> None:
    rq = kzalloc_obj(request)
    if not rq:
        return
    buf = kmalloc(16)
    if not buf:
        kfree(rq)
    kfree(buf)
    kfree(rq)


@plant("KASAN: use-after-free in reads_a_released_region", (0, 4))
def reads_a_released_region(run: Run, n: int, at: int) -> None:
    r = this.machine.place(bytes(5000), at=at)
    r.release("free_initrd_mem")
    if at & 4:
        this.mem.ld8(r.addr + 4096)


@plant("KASAN: write to const memory in decompresses_in_place", (1, 0))
def decompresses_in_place(run: Run, n: int, at: int) -> None:
    r = this.machine.place(bytes(range(256)), at=at)
    if n:
        this.mem.copy(r.addr, r.addr + 16, 16)


@plant("KMSAN: kernel-infoleak in gives_what_it_never_wrote", (57, 0))
def gives_what_it_never_wrote(run: Run, n: int, at: int) -> None:
    p = kmalloc(64)
    if not p:
        return
    memset(p, 0, 56)
    this.mem.give(p, min(n, 64))
    kfree(p)


@plant("KMSAN: uninit-value in ends_a_short_read", (0, 1))
def ends_a_short_read(run: Run, n: int, at: int) -> None:
    pg = page()
    mapping = AddressSpace(host(), SimpleNamespace(free_folio=None, release_folio=None))
    if filemap_add_folio(mapping, pg, 0, GFP_KERNEL):
        folio_put(pg)
        return
    avail = max(0, 4096 - at)
    memset(page_address(pg), 0, avail)
    folio_end_read(pg, True)
    folio_lock(pg)
    filemap_remove_folio(pg)
    folio_unlock(pg)
    folio_put(pg)


@plant("KMSAN: uninit-value in unsigned_rest: bio ends without error", (0, 4097))
def unsigned_rest(run: Run, n: int, at: int) -> None:
    """``avail = size - pos`` without asking whether pos is behind size."""
    size = 4096
    src = kzalloc(size)
    if not src:
        return
    pg = page()
    bio = bio_alloc(None, 1, REQ_OP_READ, GFP_KERNEL)
    __bio_add_page(bio, pg, 4096, 0)
    bio.bi_end_io = bio_put                 # the submitter, who takes the page as read
    avail = (size - at) & 0xFFFFFFFFFFFFFFFF
    length = min(4096, avail)
    if at < size:
        memcpy_to_page(pg, 0, src + at, length)
    if length < 4096:
        memset(page_address(pg) + length, 0, 4096 - length)
    bio_endio(bio)
    folio_put(pg)
    kfree(src)


@plant("bio ended twice in ends_twice", (0, 0), 1)
def ends_twice(run: Run, n: int, at: int) -> None:
    pg = page()
    memset(page_address(pg), 0, 4096)
    bio = bio_alloc(None, 1, REQ_OP_READ, GFP_KERNEL)
    __bio_add_page(bio, pg, 4096, 0)
    buf = kmalloc(8)
    if not buf:
        bio.bi_status = 10
        bio_endio(bio)
    bio_endio(bio)
    bio_put(bio)
    kfree(buf)
    folio_put(pg)


@plant("memory leak in forgets_on_error", (0, 0), 1)
def forgets_on_error(run: Run, n: int, at: int) -> None:
    a = kmalloc(8)
    if not a:
        return
    b = kmalloc(8)
    if not b:
        kfree(a)
        return
    c = kmalloc(8)
    if not c:
        kfree(a)
        return
    kfree(c)
    kfree(b)
    kfree(a)


@plant("memory leak in takes_one_too_many: page never freed", (0, 512))
def takes_one_too_many(run: Run, n: int, at: int) -> None:
    pg = alloc_page(GFP_KERNEL)
    if not pg:
        return
    folio_get(pg)
    if at & 512:
        folio_get(pg)
    folio_put(pg)
    folio_put(pg)


@plant("Bad page state: reference taken on slab folio", (3, 0))
def get_page_on_slab(run: Run, n: int, at: int) -> None:
    from kemu.linux.mm import get_page, virt_to_page

    p = kzalloc(64)
    if not p:
        return
    if n & 3 == 3:
        get_page(virt_to_page(p))
    kfree(p)


class Kept:
    """Pages of one machine that somebody keeps."""

    def __init__(self) -> None:
        self.pages: list[Any] = []


@plant("folio lock still held after the operation, taken in error_path_keeps_the_lock", (0, 0), 1)
def error_path_keeps_the_lock(run: Run, n: int, at: int) -> None:
    pg = page()
    folio_lock(pg)
    p = kmalloc(8)
    if not p:
        this.machine.part(Kept).pages.append(pg)
        return
    kfree(p)
    folio_unlock(pg)
    folio_put(pg)


@plant("folio added to a second mapping", (0, 2048))
def one_folio_for_two(run: Run, n: int, at: int) -> None:
    pg = page()
    ops = SimpleNamespace(free_folio=None, release_folio=None)
    first, second = AddressSpace(host(), ops), AddressSpace(host(), ops)
    if filemap_add_folio(first, pg, 0, GFP_KERNEL):
        folio_put(pg)
        return
    if at & 2048 and filemap_add_folio(second, pg, 1, GFP_KERNEL):
        pg.flags |= 1               # it comes back unlocked from a call that failed
    filemap_remove_folio(pg)
    folio_unlock(pg)
    folio_put(pg)


@plant("sleeping function called from invalid context in allocates_under_a_lock", (5, 0))
def allocates_under_a_lock(run: Run, n: int, at: int) -> None:
    lock = spinlock_t()
    spin_lock(lock)
    if n > 4:
        kfree(kmalloc(n))
    spin_unlock(lock)
    rcu_read_lock()
    rcu_read_unlock()


@plant("possible circular locking dependency detected", (0, 0))
def two_orders(run: Run, n: int, at: int) -> None:
    a, b = mutex("a"), mutex("b")
    for x, y in ((a, b), (b, a)):
        mutex_lock(x)
        mutex_lock(y)
        mutex_unlock(y)
        mutex_unlock(x)


@plant("INFO: task hung", (0, 0), 1)
def nobody_completes(run: Run, n: int, at: int) -> None:
    done = completion("the request")
    p = kmalloc(8)
    if p:
        kfree(p)
        complete(done)
    wait_for_completion(done)


@plant("KASAN: slab-use-after-free in submits", (0, 0), 1)
def freed_by_the_completion(run: Run, n: int, at: int) -> None:
    """The worker frees the request while the submitter still looks at it: only if it runs before the submitter goes on."""
    wq = alloc_workqueue("kplant")
    if not wq:
        return

    def completes(work: Any) -> None:
        kfree(work.container)

    def submits() -> None:
        rq = kzalloc_obj(request)
        if not rq:
            return
        INIT_WORK(rq.work, completes)
        queue_work(wq, rq.work)
        rq.length += 1

    submits()
    destroy_workqueue(wq)


@plant("counter is 1", (0, 0), 1)
def lost_update(run: Run, n: int, at: int) -> None:
    cell = [0]

    def adds() -> None:
        v = cell[0]
        cond_resched()
        cell[0] = v + 1

    this.sched.spawn("one", adds)
    this.sched.spawn("two", adds)
    this.sched.run_others()
    if cell[0] != 2:
        run.fail(f"counter is {cell[0]}", cause="lost update")


@plant("kernel stack overflow in reads_through", (96, 0))
def nested_mounts(run: Run, n: int, at: int) -> None:
    def reads_through(level: int) -> None:
        if not level:
            kfree(kmalloc(8))
            return
        reads_through(level - 1)

    reads_through(min(n, 200))


@plant("state left behind: tests.quality.plants.pending", (0, 0), 1)
def pending_slot(run: Run, n: int, at: int) -> None:
    g.pending = 0xFFFF888000000000 + at
    p = kmalloc(8)
    if not p:
        return
    kfree(p)
    g.pending = 0


@plant("UBSAN: array-index-out-of-bounds in runs_over_a_table", (10, 0))
def runs_over_a_table(run: Run, n: int, at: int) -> None:
    table = [0] * 10
    table[n] = at


@plant("NULL pointer dereference in forgets_to_check", (0, 0), 1)
def forgets_to_check(run: Run, n: int, at: int) -> None:
    rq = kzalloc_obj(request)
    rq.length = 1
    kfree(rq)


def body(plant_fn: Callable[[Run, int, int], None]) -> Callable[[Run], None]:
    """The experiment around a driver."""
    def run_plant(run: Run) -> None:
        n = run.pick.int("n", 0, 300)
        at = run.pick.int("at", 0, 8191)
        run.show(f"n={n} at={at}")
        with run.machine() as m, run.balanced(m), run.unchanged(m):
            run.chooser.arm_faults()
            run.chooser.arm_schedule()
            plant_fn(run, n, at)
    return run_plant


__all__ = ["Plant", "body", "memcpy", "plants"]
