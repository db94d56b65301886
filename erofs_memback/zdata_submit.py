# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/zdata.c, fifth part: decompress queues, bios, and who decompresses when they end."""
from __future__ import annotations

from kemu.linux.atomic import atomic_add_return, atomic_set
from kemu.linux.bio import BIO_MAX_VECS, bio_add_page, bio_alloc, bio_for_each_folio_all, bio_put, submit_bio
from kemu.linux.blk_types import REQ_OP_READ, REQ_RAHEAD, Bio
from kemu.linux.bvec import BioVec
from kemu.linux.completion import complete, init_completion, wait_for_completion_io
from kemu.linux.err import ERR_PTR
from kemu.linux.errno import ENOMEM
from kemu.linux.fs import AddressSpace, SuperBlock, i_blocksize
from kemu.linux.gfp import __GFP_NOWARN, GFP_KERNEL, GFP_NOIO
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.math import round_down, round_up
from kemu.linux.mm import folio_put, page_folio
from kemu.linux.page import arch
from kemu.linux.page_flags import PageWorkingset, folio_mark_uptodate, folio_test_private, folio_test_uptodate
from kemu.linux.pagemap import filemap_add_folio, folio_attach_private, folio_lock, folio_unlock, mapping_gfp_mask
from kemu.linux.port.honesty import port_of
from kemu.linux.psi import psi_memstall_enter, psi_memstall_leave
from kemu.linux.sched import cond_resched, memalloc_noio_restore, memalloc_noio_save, preemptible, rcu_preempt_depth
from kemu.linux.slab import kvfree, kvzalloc_obj
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.linux.types import NULL, Ref, ptr_to, u32, u64, ulong
from kemu.linux.workqueue import INIT_WORK, queue_work

from erofs_memback.compress import Z_EROFS_PREALLOCATED_FOLIO, Z_EROFS_SHORTLIVED_PAGE, z_erofs_is_shortlived_page
from erofs_memback.data import erofs_map_dev
from erofs_memback.fileio import erofs_fileio_bio_alloc, erofs_fileio_submit_bio
from erofs_memback.internal import (
    DBG_BUGON,
    EROFS_I_SB,
    EROFS_SB,
    EROFS_SYNC_DECOMPRESS_AUTO,
    EROFS_SYNC_DECOMPRESS_FORCE_ON,
    MNGD_MAPPING,
    erofs_is_fileio_mode,
    erofs_pagepool_add,
    struct_erofs_map_dev,
)
from erofs_memback.zdata_backend import z_erofs_decompress_queue, z_erofs_decompressqueue_work, z_erofs_page_is_invalidated
from erofs_memback.zdata_cache import z_erofs_frontend
from erofs_memback.zdata_pcluster import (
    Z_EROFS_MAX_SYNC_DECOMPRESS_BYTES,
    Z_EROFS_PCLUSTER_TAIL,
    erofs_folio_is_managed,
    z_erofs_decompressqueue,
    z_erofs_pcluster,
)
from erofs_memback.zdata_pcluster import g as pclusters
from erofs_memback.zutil import __erofs_allocpage

P = "fs/erofs/zdata.c"


# Use (kthread_)work in atomic contexts to minimize scheduling overhead
@port_of(P, "z_erofs_in_atomic")
def z_erofs_in_atomic() -> bool:
    if IS_ENABLED("CONFIG_PREEMPTION") and rcu_preempt_depth():
        return True
    if not IS_ENABLED("CONFIG_PREEMPT_COUNT"):
        return True
    return not preemptible()


@port_of(P, "z_erofs_decompress_kickoff")
def z_erofs_decompress_kickoff(io: z_erofs_decompressqueue, bios: int) -> None:
    sbi = EROFS_SB(io.sb)

    # wake up the caller thread for sync decompression
    if io.sync:
        if not atomic_add_return(bios, io.pending_bios):
            complete(io.done)
        return

    if atomic_add_return(bios, io.pending_bios):
        return
    if z_erofs_in_atomic():
        # See `sync_decompress` in sysfs-fs-erofs for more details
        if sbi.sync_decompress == EROFS_SYNC_DECOMPRESS_AUTO:
            sbi.sync_decompress = EROFS_SYNC_DECOMPRESS_FORCE_ON
        queue_work(pclusters.z_erofs_workqueue, io.work)
        return
    gfp_flag = memalloc_noio_save()
    z_erofs_decompressqueue_work(io.work)
    memalloc_noio_restore(gfp_flag)


@port_of(P, "z_erofs_fill_bio_vec")
def z_erofs_fill_bio_vec(bvec: BioVec, f: z_erofs_frontend, pcl: z_erofs_pcluster, nr: int, mc: AddressSpace) -> None:
    gfp = mapping_gfp_mask(mc)
    tocache = False
    bs = i_blocksize(f.inode)

    # Except for inplace folios, the entire folio can be used for I/Os
    bvec.bv_offset = 0
    bvec.bv_len = arch.PAGE_SIZE
    while True:     # repeat:
        spin_lock(pcl.lockref.lock)
        zbv = pcl.compressed_bvecs[nr].copy()
        spin_unlock(pcl.lockref.lock)
        if zbv.page:
            bvec.bv_page = zbv.page
            DBG_BUGON(z_erofs_is_shortlived_page(bvec.bv_page))

            folio = page_folio(zbv.page)
            # Preallocated folios are added to the managed cache here rather than
            # in z_erofs_bind_cache() in order to keep these folios locked in
            # increasing (physical) address order.
            # Clear folio->private before these folios become visible to others in
            # the managed cache to avoid duplicate additions for unaligned extents.
            if folio.private == Z_EROFS_PREALLOCATED_FOLIO:
                folio.private = 0
                tocache = True
                break       # out_tocache

            mapping = folio.mapping
            # File-backed folios for inplace I/Os are all locked steady,
            # therefore it is impossible for `mapping` to be NULL.
            if mapping and mapping is not mc:
                if zbv.offset < 0:
                    bvec.bv_offset = round_up(-zbv.offset, bs)
                bvec.bv_len = round_up(zbv.end, bs) - bvec.bv_offset
                return

            folio_lock(folio)
            if folio.mapping is mc:
                # The cached folio is still in managed cache but without
                # a valid `->private` pcluster hint.  Let's reconnect them.
                if not folio_test_private(folio):
                    folio_attach_private(folio, pcl)
                    # compressed_bvecs[] already takes a ref before
                    folio_put(folio)
                if folio.private is pcl:
                    # don't submit cache I/Os again if already uptodate
                    if folio_test_uptodate(folio):
                        folio_unlock(folio)
                        bvec.bv_page = NULL
                    return
            else:
                DBG_BUGON(1)        # referenced managed folios can't be truncated
            folio_unlock(folio)
            folio_put(folio)
        # out_allocfolio:
        page = __erofs_allocpage(f.pagepool, gfp, True)
        spin_lock(pcl.lockref.lock)
        if pcl.compressed_bvecs[nr].page is not zbv.page:
            if page:
                erofs_pagepool_add(f.pagepool, page)
            spin_unlock(pcl.lockref.lock)
            cond_resched()
            continue        # repeat
        pcl.compressed_bvecs[nr].page = page if page else ERR_PTR(-ENOMEM)
        spin_unlock(pcl.lockref.lock)
        bvec.bv_page = page
        if not page:
            return
        folio = page_folio(page)
        break
    # out_tocache:
    if (not tocache or bs != arch.PAGE_SIZE or
            filemap_add_folio(mc, folio, ulong((pcl.pos >> arch.PAGE_SHIFT) + nr), gfp)):
        # turn into a temporary shortlived folio (1 ref)
        folio.private = Z_EROFS_SHORTLIVED_PAGE
        return
    folio_attach_private(folio, pcl)
    # drop a refcount added by allocpage (then 2 refs in total here)
    folio_put(folio)


@port_of(P, "jobqueue_init")
def jobqueue_init(sb: SuperBlock, fgq: z_erofs_decompressqueue, fg: Ref) -> z_erofs_decompressqueue:
    q: z_erofs_decompressqueue = NULL
    if fg and not fg.v:
        q = kvzalloc_obj(z_erofs_decompressqueue, GFP_KERNEL | __GFP_NOWARN)
        if not q:
            fg.v = True
        else:
            INIT_WORK(q.work, z_erofs_decompressqueue_work)
    if not q:
        # fg_out:
        q = fgq
        init_completion(fgq.done)
        atomic_set(fgq.pending_bios, 0)
        q.eio = False
        q.sync = True
    q.sb = sb
    q.head = Z_EROFS_PCLUSTER_TAIL
    return q


# define decompression jobqueue types
JQ_BYPASS = 0
JQ_SUBMIT = 1
NR_JOBQUEUES = 2


@port_of(P, "z_erofs_move_to_bypass_queue")
def z_erofs_move_to_bypass_queue(pcl: z_erofs_pcluster, next: z_erofs_pcluster, qtail: list[Ref]) -> None:
    pcl.next = Z_EROFS_PCLUSTER_TAIL
    qtail[JQ_SUBMIT].v = next
    qtail[JQ_BYPASS].v = pcl
    qtail[JQ_BYPASS] = ptr_to(pcl, "next")


@port_of(P, "z_erofs_endio")
def z_erofs_endio(bio: Bio) -> None:
    q = bio.bi_private
    err = bio.bi_status

    for fi in bio_for_each_folio_all(bio):
        folio = fi.folio

        DBG_BUGON(folio_test_uptodate(folio))
        DBG_BUGON(z_erofs_page_is_invalidated(folio.page))
        if not erofs_folio_is_managed(EROFS_SB(q.sb), folio):
            continue

        if not err:
            folio_mark_uptodate(folio)
        folio_unlock(folio)
    if err:
        q.eio = True
    z_erofs_decompress_kickoff(q, -1)
    if bio.bi_bdev:
        bio_put(bio)


@port_of(P, "z_erofs_submit_queue")
def z_erofs_submit_queue(f: z_erofs_frontend, fgq: list[z_erofs_decompressqueue], force_fg: Ref, readahead: bool) -> None:
    sb = f.inode.i_sb
    mc = MNGD_MAPPING(EROFS_SB(sb))
    qtail: list[Ref] = [NULL] * NR_JOBQUEUES
    q: list[z_erofs_decompressqueue] = [NULL] * NR_JOBQUEUES
    # bio is NULL initially, so no need to initialize last_{index,bdev}
    last_pa = 0
    nr_bios = 0
    bio: Bio = NULL
    pflags = Ref()
    memstall = 0

    # No need to read from device for pclusters in the bypass queue.
    q[JQ_BYPASS] = jobqueue_init(sb, fgq[JQ_BYPASS], NULL)
    q[JQ_SUBMIT] = jobqueue_init(sb, fgq[JQ_SUBMIT], force_fg)

    qtail[JQ_BYPASS] = ptr_to(q[JQ_BYPASS], "head")
    qtail[JQ_SUBMIT] = ptr_to(q[JQ_SUBMIT], "head")

    # by default, all need io submission
    q[JQ_SUBMIT].head = next = f.head

    while True:
        bvec = BioVec()
        i = 0
        bypass = True

        pcl = next
        next = pcl.next
        if pcl.from_meta:
            z_erofs_move_to_bypass_queue(pcl, next, qtail)
            if next is Z_EROFS_PCLUSTER_TAIL:
                break
            continue

        # no device id here, thus it will always succeed
        mdev = struct_erofs_map_dev(
            m_pa=round_down(pcl.pos, sb.s_blocksize),
        )
        erofs_map_dev(sb, mdev)

        cur = mdev.m_pa
        end = u64(round_up(u64(cur + pcl.pageofs_in + pcl.pclustersize),
                           sb.s_blocksize))
        while True:
            bvec.bv_page = NULL
            drain_io = bio is not None and (cur != last_pa or
                                            bio.bi_bdev is not mdev.m_bdev)
            while True:
                if drain_io:
                    if erofs_is_fileio_mode(EROFS_SB(sb)):
                        erofs_fileio_submit_bio(bio)
                    else:
                        submit_bio(bio)

                    if memstall:
                        psi_memstall_leave(pflags)
                        memstall = 0
                    bio = NULL

                if not bvec.bv_page:
                    z_erofs_fill_bio_vec(bvec, f, pcl, i, mc)
                    i += 1
                    if not bvec.bv_page:
                        break
                    if u64(cur + bvec.bv_len) > end:
                        bvec.bv_len = u32(end - cur)
                    DBG_BUGON(bvec.bv_len < sb.s_blocksize)

                if (not memstall and
                        PageWorkingset(bvec.bv_page)):
                    psi_memstall_enter(pflags)
                    memstall = 1

                if not bio:
                    if erofs_is_fileio_mode(EROFS_SB(sb)):
                        bio = erofs_fileio_bio_alloc(mdev)
                    else:
                        bio = bio_alloc(mdev.m_bdev, BIO_MAX_VECS,
                                        REQ_OP_READ, GFP_NOIO)
                    bio.bi_end_io = z_erofs_endio
                    bio.bi_iter.bi_sector = \
                        u64(mdev.m_dif.fsoff + cur) >> 9
                    bio.bi_private = q[JQ_SUBMIT]
                    if readahead:
                        bio.bi_opf |= REQ_RAHEAD
                    nr_bios += 1

                if not bio_add_page(bio, bvec.bv_page, bvec.bv_len,
                                    bvec.bv_offset):
                    drain_io = True
                    continue
                last_pa = u64(cur + bvec.bv_len)
                bypass = False
                break
            cur = u64(cur + bvec.bv_len)
            if not cur < end:
                break

        if not bypass:
            qtail[JQ_SUBMIT] = ptr_to(pcl, "next")
        else:
            z_erofs_move_to_bypass_queue(pcl, next, qtail)
        if next is Z_EROFS_PCLUSTER_TAIL:
            break

    if bio:
        if erofs_is_fileio_mode(EROFS_SB(sb)):
            erofs_fileio_submit_bio(bio)
        else:
            submit_bio(bio)
    if memstall:
        psi_memstall_leave(pflags)

    # although background is preferred, no one is pending for submission.
    # don't issue decompression but drop it directly instead.
    if not force_fg.v and not nr_bios:
        kvfree(q[JQ_SUBMIT])
        return
    z_erofs_decompress_kickoff(q[JQ_SUBMIT], nr_bios)


@port_of(P, "z_erofs_runqueue")
def z_erofs_runqueue(f: z_erofs_frontend, rabytes: int) -> int:
    sbi = EROFS_I_SB(f.inode)
    syncmode = sbi.sync_decompress

    force_fg = Ref((syncmode == EROFS_SYNC_DECOMPRESS_AUTO and not rabytes) or
                   (syncmode == EROFS_SYNC_DECOMPRESS_FORCE_ON and
                    (rabytes <= Z_EROFS_MAX_SYNC_DECOMPRESS_BYTES)))

    if f.head is Z_EROFS_PCLUSTER_TAIL:
        return 0
    io = [z_erofs_decompressqueue() for _ in range(NR_JOBQUEUES)]
    z_erofs_submit_queue(f, io, force_fg, not not rabytes)

    # handle bypass queue (no i/o pclusters) immediately
    err = z_erofs_decompress_queue(io[JQ_BYPASS], f.pagepool)
    if not force_fg.v:
        return err

    # wait until all bios are completed
    wait_for_completion_io(io[JQ_SUBMIT].done)

    # handle synchronous decompress queue in the caller context
    return z_erofs_decompress_queue(io[JQ_SUBMIT], f.pagepool) or err
