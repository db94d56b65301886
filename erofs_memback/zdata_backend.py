# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/zdata.c, fourth part: the backend, which decompresses pclusters into folios."""
from __future__ import annotations

from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EFSCORRUPTED, EIO, ENOMEM
from kemu.linux.fs import SuperBlock
from kemu.linux.gfp import __GFP_NOFAIL, __GFP_NORETRY, GFP_KERNEL, GFP_NOWAIT
from kemu.linux.highmem import kmap_local_page, kunmap_local
from kemu.linux.list import list_add, list_del, list_for_each
from kemu.linux.mm import PAGE_ALIGN, Page, folio_put, page_folio
from kemu.linux.mutex import mutex_lock, mutex_unlock
from kemu.linux.page import arch
from kemu.linux.page_flags import PageUptodate
from kemu.linux.port.honesty import port_of
from kemu.linux.slab import kfree, kmalloc_obj, kvfree, kvzalloc_objs
from kemu.linux.string import memcpy
from kemu.linux.types import NULL, Ref, container_of, list_head, u32
from kemu.linux.workqueue import work_struct

from erofs_memback.compress import (
    z_erofs_decompress_req,
    z_erofs_is_shortlived_page,
    z_erofs_put_shortlivedpage,
)
from erofs_memback.data import erofs_onlinefolio_end
from erofs_memback.decompressor import g as decompressor
from erofs_memback.internal import *
from erofs_memback.zdata_frontend import z_erofs_put_pcluster
from erofs_memback.zdata_pcluster import (
    Z_EROFS_INLINE_BVECS,
    Z_EROFS_ONSTACK_PAGES,
    Z_EROFS_PCLUSTER_TAIL,
    erofs_folio_is_managed,
    z_erofs_bvec,
    z_erofs_bvec_dequeue,
    z_erofs_bvec_iter,
    z_erofs_bvec_iter_begin,
    z_erofs_bvec_iter_end,
    z_erofs_decompressqueue,
    z_erofs_free_pcluster,
    z_erofs_pcluster,
    z_erofs_pclusterpages,
)
from erofs_memback.zdata_pcluster import g as pclusters
from erofs_memback.zutil import erofs_release_pages

P = "fs/erofs/zdata.c"


@port_of(P, "z_erofs_page_is_invalidated")
def z_erofs_page_is_invalidated(page: Page) -> bool:
    return not page_folio(page).mapping and not z_erofs_is_shortlived_page(page)


class z_erofs_backend:
    """``struct z_erofs_backend``: one for a whole queue, so ``onstack_pages`` and ``keepxcpy`` outlive a pcluster."""

    __slots__ = ("onstack_pages", "sb", "pcl", "decompressed_pages", "compressed_pages", "decompressed_secondary_bvecs",
                 "pagepool", "onstack_used", "nr_pages", "keepxcpy")

    def __init__(self, sb: SuperBlock, pagepool: Ref, pcl: z_erofs_pcluster) -> None:
        self.onstack_pages: list[Page] = [NULL] * Z_EROFS_ONSTACK_PAGES
        self.sb = sb
        self.pcl = pcl
        # pages with the longest decompressed length for deduplication
        self.decompressed_pages: list[Page] = NULL
        # pages to keep the compressed data
        self.compressed_pages: list[Page] = NULL

        self.decompressed_secondary_bvecs = list_head()
        self.pagepool = pagepool
        self.onstack_used = self.nr_pages = 0
        # indicate if temporary copies should be preserved for later use
        self.keepxcpy = False


class z_erofs_bvec_item:
    __slots__ = ("bvec", "list")

    def __init__(self) -> None:
        self.bvec: z_erofs_bvec = NULL
        self.list = list_head(self)


@port_of(P, "z_erofs_do_decompressed_bvec")
def z_erofs_do_decompressed_bvec(be: z_erofs_backend, bvec: z_erofs_bvec) -> None:
    poff = bvec.offset + be.pcl.pageofs_out

    if (not (poff & ~arch.PAGE_MASK) and (bvec.end == arch.PAGE_SIZE or
            bvec.offset + bvec.end == be.pcl.length)):
        DBG_BUGON((poff >> arch.PAGE_SHIFT) >= be.nr_pages)
        page = poff >> arch.PAGE_SHIFT
        if not be.decompressed_pages[page]:
            be.decompressed_pages[page] = bvec.page
            return
    else:
        be.keepxcpy = True

    # (cold path) one pcluster is requested multiple times
    item = kmalloc_obj(z_erofs_bvec_item, GFP_KERNEL | __GFP_NOFAIL)
    item.bvec = bvec.copy()
    list_add(item.list, be.decompressed_secondary_bvecs)


@port_of(P, "z_erofs_fill_other_copies")
def z_erofs_fill_other_copies(be: z_erofs_backend, err: int) -> None:
    off0 = be.pcl.pageofs_out

    for p in list_for_each(be.decompressed_secondary_bvecs):
        bvi = container_of(p, "list")
        cur = -bvi.bvec.offset if bvi.bvec.offset < 0 else 0
        end = min(u32(be.pcl.length - bvi.bvec.offset),
                  bvi.bvec.end)
        dst = kmap_local_page(bvi.bvec.page)
        while cur < end:
            pgnr = (bvi.bvec.offset + cur + off0) >> arch.PAGE_SHIFT
            DBG_BUGON(pgnr >= be.nr_pages)

            scur = (bvi.bvec.offset + cur -
                    ((pgnr << arch.PAGE_SHIFT) - off0))
            len_ = min(end - cur, arch.PAGE_SIZE - scur)
            if not be.decompressed_pages[pgnr]:
                err = -EFSCORRUPTED
                cur += len_
                continue
            src = kmap_local_page(be.decompressed_pages[pgnr])
            memcpy(dst + cur, src + scur, len_)
            kunmap_local(src)
            cur += len_
        kunmap_local(dst)
        erofs_onlinefolio_end(page_folio(bvi.bvec.page), err, True)
        list_del(p)
        kfree(bvi)


@port_of(P, "z_erofs_parse_out_bvecs")
def z_erofs_parse_out_bvecs(be: z_erofs_backend) -> None:
    pcl = be.pcl
    biter = z_erofs_bvec_iter()
    old_bvpage = Ref()

    z_erofs_bvec_iter_begin(biter, pcl.bvset, Z_EROFS_INLINE_BVECS, 0)
    for _ in range(pcl.vcnt):
        bvec = z_erofs_bvec_dequeue(biter, old_bvpage)

        if old_bvpage.v:
            pclusters.bvset_pages.pop(old_bvpage.v)
            z_erofs_put_shortlivedpage(be.pagepool, old_bvpage.v)

        DBG_BUGON(z_erofs_page_is_invalidated(bvec.page))
        z_erofs_do_decompressed_bvec(be, bvec)

    old_bvpage.v = z_erofs_bvec_iter_end(biter)
    if old_bvpage.v:
        pclusters.bvset_pages.pop(old_bvpage.v)
        z_erofs_put_shortlivedpage(be.pagepool, old_bvpage.v)


@port_of(P, "z_erofs_parse_in_bvecs")
def z_erofs_parse_in_bvecs(be: z_erofs_backend, overlapped: Ref) -> int:
    pcl = be.pcl
    pclusterpages = z_erofs_pclusterpages(pcl)
    err = 0

    overlapped.v = False
    for i in range(pclusterpages):
        bvec = pcl.compressed_bvecs[i]
        page = bvec.page

        # compressed data ought to be valid when decompressing
        if IS_ERR(page) or not page:
            bvec.page = NULL        # clear the failure reason
            err = PTR_ERR(page) if page else -EIO
            continue
        be.compressed_pages[i] = page

        if (pcl.from_meta or
                erofs_folio_is_managed(EROFS_SB(be.sb), page_folio(page))):
            if not PageUptodate(page):
                err = -EIO
            continue

        DBG_BUGON(z_erofs_page_is_invalidated(page))
        if z_erofs_is_shortlived_page(page):
            continue
        z_erofs_do_decompressed_bvec(be, bvec)
        overlapped.v = True
    return err


@port_of(P, "z_erofs_decompress_pcluster")
def z_erofs_decompress_pcluster(be: z_erofs_backend, eio: bool) -> int:
    sbi = EROFS_SB(be.sb)
    pcl: z_erofs_pcluster = be.pcl
    pclusterpages = z_erofs_pclusterpages(pcl)
    alg = decompressor.z_erofs_decomp[pcl.algorithmformat]
    try_free = True
    err = -EIO if eio else 0
    overlapped = Ref()

    mutex_lock(pcl.lock)
    be.nr_pages = PAGE_ALIGN(pcl.length + pcl.pageofs_out) >> arch.PAGE_SHIFT

    # allocate (de)compressed page arrays if cannot be kept on stack.
    # A list cannot be a part of another one: the arrays that C keeps in onstack_pages are copied from there, with what the
    # pcluster before left in them (C clears decompressed_pages only), and copied back below
    be.decompressed_pages = NULL
    be.compressed_pages = NULL
    be.onstack_used = 0
    if be.nr_pages <= Z_EROFS_ONSTACK_PAGES:
        be.decompressed_pages = [NULL] * be.nr_pages
        be.onstack_used = be.nr_pages

    compressed_onstack = pclusterpages + be.onstack_used <= Z_EROFS_ONSTACK_PAGES
    if compressed_onstack:
        be.compressed_pages = be.onstack_pages[be.onstack_used:be.onstack_used + pclusterpages]

    if be.decompressed_pages is None:
        be.decompressed_pages = \
            kvzalloc_objs(None, be.nr_pages,
                          GFP_KERNEL | __GFP_NOFAIL)
    if be.compressed_pages is None:
        be.compressed_pages = \
            kvzalloc_objs(None, pclusterpages,
                          GFP_KERNEL | __GFP_NOFAIL)

    z_erofs_parse_out_bvecs(be)
    err2 = z_erofs_parse_in_bvecs(be, overlapped)
    if err2:
        err = err2
    if not err:
        reason = alg.decompress(z_erofs_decompress_req(
                                sb=be.sb,
                                in_=be.compressed_pages,
                                out=be.decompressed_pages,
                                inpages=pclusterpages,
                                outpages=be.nr_pages,
                                pageofs_in=pcl.pageofs_in,
                                pageofs_out=pcl.pageofs_out,
                                inputsize=pcl.pclustersize,
                                outputsize=pcl.length,
                                alg=pcl.algorithmformat,
                                inplace_io=overlapped.v,
                                partial_decoding=pcl.partial,
                                fillgaps=be.keepxcpy,
                                gfp=GFP_KERNEL if pcl.besteffort else
                                GFP_NOWAIT | __GFP_NORETRY,
                                ), be.pagepool)
        if IS_ERR(reason):
            if pcl.besteffort or reason != ERR_PTR(-ENOMEM):
                erofs_err(be.sb, "failed to decompress (%s) %pe @ pa %llu size %u => %u",
                          alg.name, reason, pcl.pos,
                          pcl.pclustersize, pcl.length)
            err = PTR_ERR(reason)
        elif reason:
            erofs_err(be.sb, "failed to decompress (%s) %s @ pa %llu size %u => %u",
                      alg.name, reason, pcl.pos,
                      pcl.pclustersize, pcl.length)
            err = -EFSCORRUPTED

    # must handle all compressed pages before actual file pages
    if pcl.from_meta:
        folio_put(page_folio(pcl.compressed_bvecs[0].page))
        pcl.compressed_bvecs[0].page = NULL
    else:
        # managed folios are still left in compressed_bvecs[]
        for i in range(pclusterpages):
            page = be.compressed_pages[i]
            if not page:
                continue
            if erofs_folio_is_managed(sbi, page_folio(page)):
                try_free = False
                continue
            z_erofs_put_shortlivedpage(be.pagepool, page)
            pcl.compressed_bvecs[i].page = NULL
    if not compressed_onstack:
        kvfree(be.compressed_pages)
    else:
        be.onstack_pages[be.onstack_used:be.onstack_used + pclusterpages] = be.compressed_pages

    z_erofs_fill_other_copies(be, err)
    for i in range(be.nr_pages):
        page = be.decompressed_pages[i]
        if not page:
            continue

        DBG_BUGON(z_erofs_page_is_invalidated(page))
        if not z_erofs_is_shortlived_page(page):
            erofs_onlinefolio_end(page_folio(page), err, True)
        else:
            erofs_pagepool_add(be.pagepool, page)
    if not be.onstack_used:
        kvfree(be.decompressed_pages)
    else:
        be.onstack_pages[:be.nr_pages] = be.decompressed_pages

    pcl.length = 0
    pcl.partial = True
    pcl.besteffort = False
    pcl.bvset.nextpage = NULL
    pcl.vcnt = 0

    # pcluster lock MUST be taken before the following line
    pcl.next = NULL
    mutex_unlock(pcl.lock)

    if pcl.from_meta:
        z_erofs_free_pcluster(pcl)
    else:
        z_erofs_put_pcluster(sbi, pcl, try_free)
    return err


@port_of(P, "z_erofs_decompress_queue")
def z_erofs_decompress_queue(io: z_erofs_decompressqueue, pagepool: Ref) -> int:
    be = z_erofs_backend(
        sb=io.sb,
        pagepool=pagepool,
        pcl=io.head,
    )
    err = 0

    while be.pcl is not Z_EROFS_PCLUSTER_TAIL:
        DBG_BUGON(not be.pcl)
        next = be.pcl.next
        err = z_erofs_decompress_pcluster(be, io.eio) or err
        be.pcl = next
    return err


@port_of(P, "z_erofs_decompressqueue_work")
def z_erofs_decompressqueue_work(work: work_struct) -> None:
    bgq = container_of(work, "u.work")
    pagepool = Ref(None)

    DBG_BUGON(bgq.head is Z_EROFS_PCLUSTER_TAIL)
    z_erofs_decompress_queue(bgq, pagepool)
    erofs_release_pages(pagepool)
    kvfree(bgq)
