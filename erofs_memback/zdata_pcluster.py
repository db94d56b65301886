# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/zdata.c, first part: pclusters, their bvsets, their slab pools, and the subsystem's beginning and end.

zdata.c is cut where it changes its subject: zdata_pcluster, zdata_cache (the managed cache), zdata_frontend (folios into
pclusters), zdata_backend (pclusters into folios), zdata_submit (queues and bios), zdata (address space operations). Functions
keep C's order within and across the six files.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.atomic import atomic_t
from kemu.linux.completion import completion
from kemu.linux.err import ERR_PTR
from kemu.linux.errno import EINVAL, ENOMEM
from kemu.linux.fs import SuperBlock
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.highmem import kmap_local_page, kunmap_local
from kemu.linux.lockref import lockref
from kemu.linux.mm import PAGE_ALIGN, Page, set_page_private
from kemu.linux.mutex import mutex
from kemu.linux.page import arch
from kemu.linux.port.goto import Labels
from kemu.linux.port.honesty import port_of
from kemu.linux.port.statics import statics
from kemu.linux.rcupdate import rcu_head
from kemu.linux.slab import (
    SLAB_RECLAIM_ACCOUNT,
    KmemCache,
    kmem_cache_create,
    kmem_cache_destroy,
    kmem_cache_free,
    kmem_cache_zalloc,
)
from kemu.linux.smp import num_possible_cpus
from kemu.linux.types import NULL, Ref
from kemu.linux.workqueue import WQ_HIGHPRI, WQ_UNBOUND, alloc_workqueue, destroy_workqueue, work_struct, workqueue_struct

from erofs_memback.compress import Z_EROFS_SHORTLIVED_PAGE, z_erofs_crypto_disable_all_engines
from erofs_memback.decompressor import z_erofs_exit_decompressor, z_erofs_init_decompressor
from erofs_memback.internal import DBG_BUGON, MNGD_MAPPING, Z_EROFS_PCLUSTER_MAX_SIZE, erofs_sb_info
from erofs_memback.zutil import __erofs_allocpage

P = "fs/erofs/zdata.c"

Z_EROFS_MAX_SYNC_DECOMPRESS_BYTES = 12288
Z_EROFS_INLINE_BVECS = 2


class z_erofs_bvec:
    """``struct z_erofs_bvec``. It is assigned as a reference where C copies it and the other copy is not used any more."""

    __slots__ = ("page", "offset", "end")

    def __init__(self, page: Page = NULL, offset: int = 0, end: int = 0) -> None:
        self.page = page
        self.offset = offset
        self.end = end

    def copy(self) -> z_erofs_bvec:
        return z_erofs_bvec(self.page, self.offset, self.end)


class z_erofs_bvset:
    """``struct z_erofs_bvset`` and, with two bvecs, ``z_erofs_bvset_inline``."""

    __slots__ = ("nextpage", "bvec")

    def __init__(self, total: int) -> None:
        self.nextpage: Page = NULL   # point to the next page which contains the following bvecs
        self.bvec: list[z_erofs_bvec] = [NULL] * total


# Structure fields follow one of the following exclusion rules.
#
# I: Modifiable by initialization/destruction paths and read-only
#    for everyone else;
#
# L: Field should be protected by the pcluster lock;
#
# A: Field should be accessed / updated in atomic for parallelized code.
class z_erofs_pcluster:
    __slots__ = ("lock", "lockref", "next", "pos", "length", "vcnt", "pclustersize", "pageofs_out", "pageofs_in", "bvset", "rcu",
                 "algorithmformat", "from_meta", "partial", "besteffort", "compressed_bvecs")

    def __init__(self, maxpages: int) -> None:
        self.lock = mutex("pcluster")
        self.lockref = lockref()
        self.next: z_erofs_pcluster = NULL  # A: point to next chained pcluster or TAILs
        self.pos = 0                        # I: start physical position of this pcluster
        self.length = 0                     # L: the maximum decompression size of this round
        self.vcnt = 0                       # L: total number of bvecs
        self.pclustersize = 0               # I: pcluster size (compressed size) in bytes
        self.pageofs_out = 0                # I: page offset of start position of decompression
        self.pageofs_in = 0                 # I: page offset of inline compressed data
        # L: inline a certain number of bvec for bootstrap
        self.bvset = z_erofs_bvset(Z_EROFS_INLINE_BVECS)
        # I: can be used to free the pcluster by RCU.
        self.rcu = rcu_head(self)
        self.algorithmformat = 0            # I: compression algorithm format
        self.from_meta = False              # I: whether compressed data is in-lined or not
        self.partial = False                # L: whether partial decompression or not
        self.besteffort = False             # L: whether extra buffer allocations are best-effort
        # A: compressed bvecs (can be cached or inplaced pages)
        self.compressed_bvecs = [z_erofs_bvec() for _ in range(maxpages)]


# the end of a chain of pclusters
Z_EROFS_PCLUSTER_TAIL: Any = 0x700 + 0xdead000000000000


class z_erofs_decompressqueue:
    __slots__ = ("sb", "head", "pending_bios", "done", "work", "eio", "sync")

    def __init__(self) -> None:
        self.sb: SuperBlock = NULL
        self.head: z_erofs_pcluster = NULL
        self.pending_bios = atomic_t()
        # union u
        self.done = completion("the bios of a decompress queue")
        self.work = work_struct(self)
        self.eio = self.sync = False


@port_of(P, "z_erofs_pclusterpages")
def z_erofs_pclusterpages(pcl: z_erofs_pcluster) -> int:
    return PAGE_ALIGN(pcl.pageofs_in + pcl.pclustersize) >> arch.PAGE_SHIFT


@port_of(P, "erofs_folio_is_managed")
def erofs_folio_is_managed(sbi: erofs_sb_info, fo: Page) -> bool:
    return fo.mapping is MNGD_MAPPING(sbi)


Z_EROFS_ONSTACK_PAGES = 32


# since pclustersize is variable for big pcluster feature, introduce slab
# pools implementation for different pcluster sizes.
class z_erofs_pcluster_slab:
    __slots__ = ("slab", "maxpages", "name")

    def __init__(self, maxpages: int) -> None:
        self.slab: KmemCache = NULL
        self.maxpages = maxpages
        self.name = ""


def pcluster_pool() -> list[z_erofs_pcluster_slab]:
    """The table of C, whose entries are chosen by PAGE_SIZE."""
    _PCLP = z_erofs_pcluster_slab
    Z_EROFS_PCLUSTER_MAX_PAGES = Z_EROFS_PCLUSTER_MAX_SIZE // arch.PAGE_SIZE
    pool = [_PCLP(1), _PCLP(4)]
    if Z_EROFS_PCLUSTER_MAX_PAGES > 16:
        pool.append(_PCLP(16))
    if Z_EROFS_PCLUSTER_MAX_PAGES > 64:
        pool.append(_PCLP(64))
    if Z_EROFS_PCLUSTER_MAX_PAGES > 128:
        pool.append(_PCLP(128))
    pool.append(_PCLP(Z_EROFS_PCLUSTER_MAX_PAGES + 1))
    return pool


@statics
class g:
    pcluster_pool: list[z_erofs_pcluster_slab] = []
    z_erofs_workqueue: workqueue_struct = NULL
    # what the bvset pages hold: bvecs point to struct page, which is no address here, so the page's bytes stay as they are
    bvset_pages: dict[Page, z_erofs_bvset] = {}


class z_erofs_bvec_iter:
    __slots__ = ("bvpage", "bvset", "nr", "cur", "kaddr")

    def __init__(self) -> None:
        self.bvpage: Page = NULL
        self.bvset: z_erofs_bvset = NULL
        self.nr = self.cur = 0
        self.kaddr = 0              # the address that C has in bvset


@port_of(P, "z_erofs_bvec_iter_end")
def z_erofs_bvec_iter_end(iter: z_erofs_bvec_iter) -> Page:
    if iter.bvpage:
        kunmap_local(iter.kaddr)
    return iter.bvpage


@port_of(P, "z_erofs_bvset_flip")
def z_erofs_bvset_flip(iter: z_erofs_bvec_iter) -> Page:
    # offsetof(struct z_erofs_bvset, bvec) and sizeof(struct z_erofs_bvec)
    base, size = (8, 16) if arch.BITS_PER_LONG == 64 else (4, 12)
    # have to access nextpage in advance, otherwise it will be unmapped
    nextpage = iter.bvset.nextpage

    DBG_BUGON(not nextpage)
    oldpage = z_erofs_bvec_iter_end(iter)
    iter.bvpage = nextpage
    iter.kaddr = kmap_local_page(nextpage)
    iter.nr = (arch.PAGE_SIZE - base) // size
    iter.bvset = g.bvset_pages.get(nextpage, NULL)
    if iter.bvset is None:
        iter.bvset = g.bvset_pages[nextpage] = z_erofs_bvset(iter.nr)
    iter.cur = 0
    return oldpage


@port_of(P, "z_erofs_bvec_iter_begin")
def z_erofs_bvec_iter_begin(iter: z_erofs_bvec_iter, bvset: z_erofs_bvset, bootstrap_nr: int, cur: int) -> None:
    iter.bvpage = NULL
    iter.nr = bootstrap_nr
    iter.bvset = bvset

    while cur > iter.nr:
        cur -= iter.nr
        z_erofs_bvset_flip(iter)
    iter.cur = cur


@port_of(P, "z_erofs_bvec_enqueue")
def z_erofs_bvec_enqueue(iter: z_erofs_bvec_iter, bvec: z_erofs_bvec, candidate_bvpage: Ref, pagepool: Ref) -> int:
    if iter.cur >= iter.nr:
        nextpage = candidate_bvpage.v

        if not nextpage:
            nextpage = __erofs_allocpage(pagepool, GFP_KERNEL,
                                         True)
            if not nextpage:
                return -ENOMEM
            set_page_private(nextpage, Z_EROFS_SHORTLIVED_PAGE)
        DBG_BUGON(iter.bvset.nextpage)
        iter.bvset.nextpage = nextpage
        z_erofs_bvset_flip(iter)

        iter.bvset.nextpage = NULL
        candidate_bvpage.v = NULL
    iter.bvset.bvec[iter.cur] = bvec
    iter.cur += 1
    return 0


@port_of(P, "z_erofs_bvec_dequeue")
def z_erofs_bvec_dequeue(iter: z_erofs_bvec_iter, old_bvpage: Ref) -> z_erofs_bvec:
    """C stores the bvec through its second argument."""
    if iter.cur == iter.nr:
        old_bvpage.v = z_erofs_bvset_flip(iter)
    else:
        old_bvpage.v = NULL
    bvec = iter.bvset.bvec[iter.cur]
    iter.cur += 1
    return bvec


@port_of(P, "z_erofs_destroy_pcluster_pool")
def z_erofs_destroy_pcluster_pool() -> None:
    for i in range(len(g.pcluster_pool)):
        if not g.pcluster_pool[i].slab:
            continue
        kmem_cache_destroy(g.pcluster_pool[i].slab)
        g.pcluster_pool[i].slab = NULL


@port_of(P, "z_erofs_create_pcluster_pool")
def z_erofs_create_pcluster_pool() -> int:
    g.pcluster_pool = pcluster_pool()
    for pcs in g.pcluster_pool:
        pcs.name = "erofs_pcluster-%u" % pcs.maxpages
        pcs.slab = kmem_cache_create(pcs.name, lambda maxpages=pcs.maxpages: z_erofs_pcluster(maxpages), 0,
                                     SLAB_RECLAIM_ACCOUNT, None)
        if pcs.slab:
            continue

        z_erofs_destroy_pcluster_pool()
        return -ENOMEM
    return 0


@port_of(P, "z_erofs_alloc_pcluster")
def z_erofs_alloc_pcluster(size: int) -> z_erofs_pcluster:
    nrpages = PAGE_ALIGN(size) >> arch.PAGE_SHIFT

    for pcs in g.pcluster_pool:
        if nrpages > pcs.maxpages:
            continue

        pcl = kmem_cache_zalloc(pcs.slab, GFP_KERNEL)
        if not pcl:
            return ERR_PTR(-ENOMEM)
        return pcl
    return ERR_PTR(-EINVAL)


@port_of(P, "z_erofs_free_pcluster")
def z_erofs_free_pcluster(pcl: z_erofs_pcluster) -> None:
    pclusterpages = z_erofs_pclusterpages(pcl)

    for pcs in g.pcluster_pool:
        if pclusterpages > pcs.maxpages:
            continue

        kmem_cache_free(pcs.slab, pcl)
        return
    DBG_BUGON(1)


# without CONFIG_EROFS_FS_PCPU_KTHREAD
@port_of(P, "z_erofs_init_pcpu_workers")
def z_erofs_init_pcpu_workers(sb: SuperBlock) -> int:
    return 0


@port_of(P, "z_erofs_destroy_pcpu_workers")
def z_erofs_destroy_pcpu_workers() -> None:
    pass


@port_of(P, "z_erofs_exit_subsystem")
def z_erofs_exit_subsystem() -> None:
    """Undo :func:`z_erofs_init_subsystem`. Context: may sleep; no EROFS is mounted."""
    z_erofs_destroy_pcpu_workers()
    destroy_workqueue(g.z_erofs_workqueue)
    z_erofs_destroy_pcluster_pool()
    z_erofs_crypto_disable_all_engines()
    z_erofs_exit_decompressor()


@port_of(P, "z_erofs_init_subsystem")
def z_erofs_init_subsystem() -> int:
    """Make the decompressors, the pcluster pools and the workqueue. Return: 0 or -ENOMEM, with nothing left behind."""
    out = Labels()

    @out.label
    def err_workqueue_init() -> None:
        z_erofs_destroy_pcluster_pool()

    @out.label
    def err_pcluster_pool() -> None:
        z_erofs_exit_decompressor()

    @out.label
    def err_decompressor() -> None:
        pass

    err = z_erofs_init_decompressor()
    if err:
        return out.goto(err_decompressor, err)

    err = z_erofs_create_pcluster_pool()
    if err:
        return out.goto(err_pcluster_pool, err)

    g.z_erofs_workqueue = alloc_workqueue("erofs_worker",
                                          WQ_UNBOUND | WQ_HIGHPRI, num_possible_cpus())
    if not g.z_erofs_workqueue:
        err = -ENOMEM
        return out.goto(err_workqueue_init, err)

    return err
