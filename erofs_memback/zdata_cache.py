# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/zdata.c, second part: what the frontend keeps, and the managed cache of compressed folios."""
from __future__ import annotations

from kemu.linux.err import IS_ERR
from kemu.linux.errno import EBUSY, ENOMEM
from kemu.linux.fs import OFFSET_MAX, Inode, SuperBlock, address_space_operations, i_blocksize, new_inode, set_nlink
from kemu.linux.gfp import __GFP_DIRECT_RECLAIM, __GFP_NOMEMALLOC, __GFP_NORETRY, __GFP_NOWARN, GFP_KERNEL
from kemu.linux.mm import Page, folio_get_private, folio_page, folio_put, folio_size, page_folio
from kemu.linux.page import arch
from kemu.linux.page_flags import folio_test_private
from kemu.linux.pagemap import (
    filemap_alloc_folio,
    filemap_get_folio,
    folio_detach_private,
    folio_trylock,
    folio_unlock,
    mapping_gfp_mask,
    mapping_set_gfp_mask,
)
from kemu.linux.port.honesty import port_of
from kemu.linux.sched import cond_resched
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.linux.types import NULL, Ref, u64, ulong
from kemu.linux.xarray import xa_init

from erofs_memback.compress import Z_EROFS_PREALLOCATED_FOLIO
from erofs_memback.internal import *
from erofs_memback.zdata_pcluster import (
    Z_EROFS_PCLUSTER_TAIL,
    erofs_folio_is_managed,
    z_erofs_bvec_iter,
    z_erofs_init_pcpu_workers,
    z_erofs_pcluster,
    z_erofs_pclusterpages,
)

P = "fs/erofs/zdata.c"

# It has previously been linked into another processing chain
Z_EROFS_PCLUSTER_INFLIGHT = 0
# A weaker form of Z_EROFS_PCLUSTER_FOLLOWED; the difference is that it
# may be dispatched to the bypass queue later due to uptodated managed
# folios.  All file-backed folios related to this pcluster cannot be
# reused for in-place I/O (or bvpage) since the pcluster may be decoded
# in a separate queue (and thus out of order).
Z_EROFS_PCLUSTER_FOLLOWED_NOINPLACE = 1
# The pcluster has just been linked to our processing chain.
# File-backed folios (except for the head page) related to it can be
# used for in-place I/O (or bvpage).
Z_EROFS_PCLUSTER_FOLLOWED = 2


class z_erofs_frontend:
    """``struct z_erofs_frontend``; the constructor is ``Z_EROFS_DEFINE_FRONTEND``. ``pagepool`` and ``candidate_bvpage`` are
    cells.
    """

    __slots__ = ("inode", "sharedinode", "map", "biter", "pagepool", "candidate_bvpage", "pcl", "head", "mode", "headoffset",
                 "icur")

    def __init__(self, i: Inode, si: Inode, ho: int) -> None:
        self.inode, self.sharedinode = i, si
        self.map = struct_erofs_map_blocks()
        self.biter = z_erofs_bvec_iter()

        self.pagepool = Ref(None)
        self.candidate_bvpage = Ref(None)
        self.pcl: z_erofs_pcluster = NULL
        self.head: z_erofs_pcluster = Z_EROFS_PCLUSTER_TAIL
        self.mode = Z_EROFS_PCLUSTER_FOLLOWED

        self.headoffset = ho

        # a pointer used to pick up inplace I/O pages
        self.icur = 0


@port_of(P, "z_erofs_should_alloc_cache")
def z_erofs_should_alloc_cache(fe: z_erofs_frontend) -> bool:
    cachestrategy = EROFS_I_SB(fe.inode).opt.cache_strategy

    if cachestrategy <= EROFS_ZIP_CACHE_DISABLED:
        return False

    if fe.map.m_flags & EROFS_MAP_PARTIAL_MAPPED:
        return True

    if (cachestrategy >= EROFS_ZIP_CACHE_READAROUND and
            fe.map.m_la < fe.headoffset):
        return True

    return False


@port_of(P, "z_erofs_bind_cache")
def z_erofs_bind_cache(fe: z_erofs_frontend) -> None:
    mc = MNGD_MAPPING(EROFS_I_SB(fe.inode))
    pcl = fe.pcl
    pclusterpages = z_erofs_pclusterpages(pcl)
    shouldalloc = z_erofs_should_alloc_cache(fe)
    poff = ulong(pcl.pos >> arch.PAGE_SHIFT)
    may_bypass = True
    # Optimistic allocation, as in-place I/O can be used as a fallback
    gfp = ((mapping_gfp_mask(mc) & ~__GFP_DIRECT_RECLAIM) |
           __GFP_NOMEMALLOC | __GFP_NORETRY | __GFP_NOWARN)
    newfolio: Page = NULL

    if (i_blocksize(fe.inode) != arch.PAGE_SIZE or
            fe.mode < Z_EROFS_PCLUSTER_FOLLOWED):
        return

    for i in range(pclusterpages):
        # Inaccurate check w/o locking to avoid unneeded lookups
        if pcl.compressed_bvecs[i].page:
            continue

        folio = filemap_get_folio(mc, poff + i)
        if IS_ERR(folio):
            may_bypass = False
            if not shouldalloc:
                continue

            # Allocate a managed folio for cached I/O, or it may be
            # then filled with a file-backed folio for in-place I/O
            newfolio = filemap_alloc_folio(gfp, 0, None)
            if not newfolio:
                continue
            newfolio.private = Z_EROFS_PREALLOCATED_FOLIO
            folio = NULL
        spin_lock(pcl.lockref.lock)
        if not pcl.compressed_bvecs[i].page:
            pcl.compressed_bvecs[i].page = \
                folio_page(folio or newfolio, 0)
            spin_unlock(pcl.lockref.lock)
            continue
        spin_unlock(pcl.lockref.lock)
        folio_put(folio or newfolio)

    # Don't perform in-place I/O if all compressed pages are available in
    # the managed cache, as the pcluster can be moved to the bypass queue.
    if may_bypass:
        fe.mode = Z_EROFS_PCLUSTER_FOLLOWED_NOINPLACE


# (erofs_shrinker) disconnect cached encoded data with pclusters
@port_of(P, "erofs_try_to_free_all_cached_folios")
def erofs_try_to_free_all_cached_folios(sbi: erofs_sb_info, pcl: z_erofs_pcluster) -> int:
    pclusterpages = z_erofs_pclusterpages(pcl)

    DBG_BUGON(pcl.from_meta)
    # Each cached folio contains one page unless bs > ps is supported
    for i in range(pclusterpages):
        if pcl.compressed_bvecs[i].page:
            folio = page_folio(pcl.compressed_bvecs[i].page)
            # Avoid reclaiming or migrating this folio
            if not folio_trylock(folio):
                return -EBUSY

            DBG_BUGON(not erofs_folio_is_managed(sbi, folio))
            pcl.compressed_bvecs[i].page = NULL
            folio_detach_private(folio)
            folio_unlock(folio)
    return 0


@port_of(P, "z_erofs_cache_release_folio")
def z_erofs_cache_release_folio(folio: Page, gfp: int) -> bool:
    pcl = folio_get_private(folio)

    if not folio_test_private(folio):
        return True

    ret = False
    spin_lock(pcl.lockref.lock)
    if pcl.lockref.count <= 0:
        DBG_BUGON(pcl.from_meta)
        for bvec in pcl.compressed_bvecs[:z_erofs_pclusterpages(pcl)]:
            if bvec.page and page_folio(bvec.page) is folio:
                bvec.page = NULL
                folio_detach_private(folio)
                ret = True
                break
    spin_unlock(pcl.lockref.lock)
    return ret


# It will be called only on inode eviction. In case that there are still some
# decompression requests in progress, wait with rescheduling for a bit here.
# An extra lock could be introduced instead but it seems unnecessary.
@port_of(P, "z_erofs_cache_invalidate_folio")
def z_erofs_cache_invalidate_folio(folio: Page, offset: int, length: int) -> None:
    stop = u64(length + offset)

    # Check for potential overflow in debug mode
    DBG_BUGON(stop > folio_size(folio) or stop < length)

    if offset == 0 and stop == folio_size(folio):
        while not z_erofs_cache_release_folio(folio, 0):
            cond_resched()


z_erofs_cache_aops = address_space_operations(
    release_folio=z_erofs_cache_release_folio,
    invalidate_folio=z_erofs_cache_invalidate_folio,
)


@port_of(P, "z_erofs_init_super")
def z_erofs_init_super(sb: SuperBlock) -> int:
    """Make the managed cache of a superblock. Return: 0 or -ENOMEM."""
    err = z_erofs_init_pcpu_workers(sb)
    if err:
        return err

    inode = new_inode(sb)
    if not inode:
        return -ENOMEM
    set_nlink(inode, 1)
    inode.i_size = OFFSET_MAX
    inode.i_mapping.a_ops = z_erofs_cache_aops
    mapping_set_gfp_mask(inode.i_mapping, GFP_KERNEL)
    EROFS_SB(sb).managed_cache = inode
    xa_init(EROFS_SB(sb).managed_pslots)
    return 0
