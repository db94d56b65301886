# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/zutil.c: global buffers, the page pool, and the shrinker."""
from __future__ import annotations

from kemu.linux.atomic import atomic_long_read, atomic_long_t
from kemu.linux.errno import ENOMEM
from kemu.linux.fs import SuperBlock
from kemu.linux.gfp import GFP_KERNEL, __free_page, alloc_page, alloc_pages_bulk
from kemu.linux.list import list_add, list_del, list_entry, list_move_tail
from kemu.linux.mm import Page, page_private, page_ref_count, put_page
from kemu.linux.mutex import mutex, mutex_init, mutex_lock, mutex_trylock, mutex_unlock
from kemu.linux.port.honesty import port_of
from kemu.linux.port.statics import statics
from kemu.linux.sched import cond_resched, migrate_disable, migrate_enable
from kemu.linux.shrinker import SHRINK_EMPTY, shrink_control, shrinker, shrinker_alloc, shrinker_free, shrinker_register
from kemu.linux.slab import kfree, kzalloc_objs
from kemu.linux.smp import num_possible_cpus, raw_smp_processor_id
from kemu.linux.spinlock import spin_lock, spin_lock_init, spin_unlock, spinlock_t
from kemu.linux.types import NULL, Ref, list_head, u32, ulong
from kemu.linux.vmalloc import PAGE_KERNEL, VM_MAP, vmap, vunmap
from kemu.linux.xarray import xa_empty

from erofs_memback.internal import DBG_BUGON, EROFS_SB

P = "fs/erofs/zutil.c"


class z_erofs_gbuf:
    __slots__ = ("lock", "ptr", "pages", "nrpages")

    def __init__(self) -> None:
        self.lock = spinlock_t()
        self.ptr = 0
        self.pages: list[Page] = NULL
        self.nrpages = 0


@statics
class g:
    z_erofs_gbufpool: list[z_erofs_gbuf] = NULL
    z_erofs_rsvbuf: z_erofs_gbuf = NULL
    z_erofs_gbuf_count = 0              # module parameter global_buffers
    z_erofs_gbuf_nrpages = 0
    z_erofs_rsv_nrpages = 0             # module parameter reserved_pages
    gbuf_resize_mutex: mutex

    erofs_global_shrink_cnt: atomic_long_t      # for all mounted instances

    # protects `erofs_sb_list_lock` and the mounted `erofs_sb_list`
    erofs_sb_list_lock: spinlock_t
    erofs_sb_list: list_head
    shrinker_run_no = 0
    erofs_shrinker_info: shrinker = NULL


@port_of(P, "z_erofs_gbuf_id")
def z_erofs_gbuf_id() -> int:
    return raw_smp_processor_id() % g.z_erofs_gbuf_count


@port_of(P, "z_erofs_get_gbuf")
def z_erofs_get_gbuf(requiredpages: int) -> int:
    """The buffer's address with its lock held, or NULL without the lock if it is smaller than that."""
    migrate_disable()
    gbuf = g.z_erofs_gbufpool[z_erofs_gbuf_id()]
    spin_lock(gbuf.lock)
    # check if the buffer is too small
    if requiredpages > gbuf.nrpages:
        spin_unlock(gbuf.lock)
        migrate_enable()
        return 0
    return gbuf.ptr


@port_of(P, "z_erofs_put_gbuf")
def z_erofs_put_gbuf(ptr: int) -> None:
    gbuf = g.z_erofs_gbufpool[z_erofs_gbuf_id()]
    DBG_BUGON(gbuf.ptr != ptr)
    spin_unlock(gbuf.lock)
    migrate_enable()


@port_of(P, "z_erofs_gbuf_growsize")
def z_erofs_gbuf_growsize(nrpages: int) -> int:
    """Make every global buffer ``nrpages`` pages large at least. Return: 0 or -ENOMEM."""
    tmp_pages: list[Page] = NULL

    mutex_lock(g.gbuf_resize_mutex)
    # avoid shrinking gbufs, since no idea how many fses rely on
    if nrpages <= g.z_erofs_gbuf_nrpages:
        mutex_unlock(g.gbuf_resize_mutex)
        return 0

    i = 0
    while i < g.z_erofs_gbuf_count:
        gbuf = g.z_erofs_gbufpool[i]
        if gbuf.nrpages >= nrpages:
            i += 1
            continue
        tmp_pages = kzalloc_objs(None, nrpages)
        if not tmp_pages:
            break

        j = 0
        while j < gbuf.nrpages:
            tmp_pages[j] = gbuf.pages[j]
            j += 1
        while True:
            last = j
            j = alloc_pages_bulk(GFP_KERNEL, nrpages,
                                 tmp_pages)
            if last == j:
                break
            if not j != nrpages:
                break
        if last == j:
            break

        ptr = vmap(tmp_pages, nrpages, VM_MAP, PAGE_KERNEL)
        if not ptr:
            break

        spin_lock(gbuf.lock)
        kfree(gbuf.pages)
        gbuf.pages = tmp_pages
        old_ptr = gbuf.ptr
        gbuf.ptr = ptr
        gbuf.nrpages = nrpages
        spin_unlock(gbuf.lock)
        if old_ptr:
            vunmap(old_ptr)
        i += 1
    else:
        g.z_erofs_gbuf_nrpages = nrpages
    # out:
    if i < g.z_erofs_gbuf_count and tmp_pages:
        for j in range(nrpages):
            if tmp_pages[j] and (j >= gbuf.nrpages or
                                 tmp_pages[j] is not gbuf.pages[j]):
                __free_page(tmp_pages[j])
        kfree(tmp_pages)
    mutex_unlock(g.gbuf_resize_mutex)
    return -ENOMEM if i < g.z_erofs_gbuf_count else 0


@port_of(P, "z_erofs_gbuf_init")
def z_erofs_gbuf_init() -> int:
    total = num_possible_cpus()

    if g.z_erofs_gbuf_count:
        total = min(g.z_erofs_gbuf_count, total)
    g.z_erofs_gbuf_count = total

    # The last (special) global buffer is the reserved buffer
    total += not not g.z_erofs_rsv_nrpages

    g.z_erofs_gbufpool = kzalloc_objs(z_erofs_gbuf, total)
    if not g.z_erofs_gbufpool:
        return -ENOMEM

    if g.z_erofs_rsv_nrpages:
        g.z_erofs_rsvbuf = g.z_erofs_gbufpool[total - 1]
        g.z_erofs_rsvbuf.pages = kzalloc_objs(None,
                                              g.z_erofs_rsv_nrpages)
        if not g.z_erofs_rsvbuf.pages:
            g.z_erofs_rsvbuf = NULL
            g.z_erofs_rsv_nrpages = 0
    for i in range(total):
        spin_lock_init(g.z_erofs_gbufpool[i].lock)
    return 0


@port_of(P, "z_erofs_gbuf_exit")
def z_erofs_gbuf_exit() -> None:
    for i in range(g.z_erofs_gbuf_count + (not not g.z_erofs_rsvbuf)):
        gbuf = g.z_erofs_gbufpool[i]

        if gbuf.ptr:
            vunmap(gbuf.ptr)
            gbuf.ptr = 0

        if not gbuf.pages:
            continue

        for j in range(gbuf.nrpages):
            if gbuf.pages[j]:
                put_page(gbuf.pages[j])
        kfree(gbuf.pages)
        gbuf.pages = NULL
    kfree(g.z_erofs_gbufpool)


@port_of(P, "__erofs_allocpage")
def __erofs_allocpage(pagepool: Ref, gfp: int, tryrsv: bool) -> Page:
    """A page from the request's pool, from the reserved buffer (``tryrsv``), or from the page allocator; None on failure."""
    page: Page = pagepool.v

    if page:
        pagepool.v = page_private(page)
    elif tryrsv and g.z_erofs_rsvbuf and g.z_erofs_rsvbuf.nrpages:
        spin_lock(g.z_erofs_rsvbuf.lock)
        if g.z_erofs_rsvbuf.nrpages:
            g.z_erofs_rsvbuf.nrpages -= 1
            page = g.z_erofs_rsvbuf.pages[g.z_erofs_rsvbuf.nrpages]
        spin_unlock(g.z_erofs_rsvbuf.lock)
    if not page:
        page = alloc_page(gfp)
    DBG_BUGON(page and page_ref_count(page) != 1)
    return page


@port_of(P, "erofs_release_pages")
def erofs_release_pages(pagepool: Ref) -> None:
    while pagepool.v:
        page = pagepool.v

        pagepool.v = page_private(page)
        # try to fill reserved global pool first
        if g.z_erofs_rsvbuf and g.z_erofs_rsvbuf.nrpages < g.z_erofs_rsv_nrpages:
            spin_lock(g.z_erofs_rsvbuf.lock)
            if g.z_erofs_rsvbuf.nrpages < g.z_erofs_rsv_nrpages:
                g.z_erofs_rsvbuf.pages[g.z_erofs_rsvbuf.nrpages] = page
                g.z_erofs_rsvbuf.nrpages += 1
                spin_unlock(g.z_erofs_rsvbuf.lock)
                continue
            spin_unlock(g.z_erofs_rsvbuf.lock)
        put_page(page)


@port_of(P, "erofs_shrinker_register")
def erofs_shrinker_register(sb: SuperBlock) -> None:
    sbi = EROFS_SB(sb)

    mutex_init(sbi.umount_mutex)

    spin_lock(g.erofs_sb_list_lock)
    list_add(sbi.list, g.erofs_sb_list)
    spin_unlock(g.erofs_sb_list_lock)


@port_of(P, "erofs_shrinker_unregister")
def erofs_shrinker_unregister(sb: SuperBlock) -> None:
    from erofs_memback.zdata import z_erofs_shrink_scan  # noqa: PLC0415  (zdata.py needs this file)

    sbi = EROFS_SB(sb)

    mutex_lock(sbi.umount_mutex)
    while not xa_empty(sbi.managed_pslots):
        z_erofs_shrink_scan(sbi, ulong(~0))
        cond_resched()
    spin_lock(g.erofs_sb_list_lock)
    list_del(sbi.list)
    spin_unlock(g.erofs_sb_list_lock)
    mutex_unlock(sbi.umount_mutex)


@port_of(P, "erofs_shrink_count")
def erofs_shrink_count(shrink: shrinker, sc: shrink_control) -> int:
    return atomic_long_read(g.erofs_global_shrink_cnt) or SHRINK_EMPTY


@port_of(P, "erofs_shrink_scan")
def erofs_shrink_scan(shrink: shrinker, sc: shrink_control) -> int:
    from erofs_memback.zdata import z_erofs_shrink_scan  # noqa: PLC0415  (zdata.py needs this file)

    nr = sc.nr_to_scan
    freed = 0

    spin_lock(g.erofs_sb_list_lock)
    while True:
        run_no = g.shrinker_run_no = u32(g.shrinker_run_no + 1)
        if run_no != 0:
            break

    # Iterate over all mounted superblocks and try to shrink them
    p = g.erofs_sb_list.next
    while p is not g.erofs_sb_list:
        sbi = list_entry(p)

        # We move the ones we do to the end of the list, so we stop
        # when we see one we have already done.
        if sbi.shrinker_run_no == run_no:
            break

        if not mutex_trylock(sbi.umount_mutex):
            p = p.next
            continue

        spin_unlock(g.erofs_sb_list_lock)
        sbi.shrinker_run_no = run_no
        freed += z_erofs_shrink_scan(sbi, nr - freed)
        spin_lock(g.erofs_sb_list_lock)
        # Get the next list element before we move this one
        p = p.next

        # Move this one to the end of the list to provide some
        # fairness.
        list_move_tail(sbi.list, g.erofs_sb_list)
        mutex_unlock(sbi.umount_mutex)

        if freed >= nr:
            break
    spin_unlock(g.erofs_sb_list_lock)
    return freed


@port_of(P, "erofs_init_shrinker")
def erofs_init_shrinker() -> int:
    g.erofs_shrinker_info = shrinker_alloc(0, "erofs-shrinker")
    if not g.erofs_shrinker_info:
        return -ENOMEM

    g.erofs_shrinker_info.count_objects = erofs_shrink_count
    g.erofs_shrinker_info.scan_objects = erofs_shrink_scan
    shrinker_register(g.erofs_shrinker_info)
    return 0


@port_of(P, "erofs_exit_shrinker")
def erofs_exit_shrinker() -> None:
    shrinker_free(g.erofs_shrinker_info)
