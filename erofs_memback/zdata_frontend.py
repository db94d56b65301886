# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/zdata.c, third part: the frontend, which attaches folios to pclusters, and the life of a pcluster."""
from __future__ import annotations

from typing import Any

from kemu.linux.atomic import atomic_long_add, atomic_long_dec, cmpxchg
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EEXIST, EFSCORRUPTED
from kemu.linux.fs import SuperBlock, i_blocksize
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.highmem import folio_zero_segment, memcpy_to_folio
from kemu.linux.lockref import __lockref_is_dead, lockref_get_not_zero, lockref_init, lockref_mark_dead, lockref_put_or_lock
from kemu.linux.mm import Page, folio_get, folio_page, folio_size, page_folio
from kemu.linux.mutex import mutex_init, mutex_lock, mutex_trylock, mutex_unlock
from kemu.linux.page import arch
from kemu.linux.pagemap import folio_pos
from kemu.linux.port.honesty import port_of
from kemu.linux.rcupdate import call_rcu, rcu_head, rcu_read_lock, rcu_read_unlock
from kemu.linux.sched import cond_resched
from kemu.linux.spinlock import spin_lock, spin_unlock
from kemu.linux.types import NULL, container_of, u64, ulong
from kemu.linux.xarray import __xa_cmpxchg, __xa_erase, xa_err, xa_for_each, xa_is_err, xa_load, xa_lock, xa_trylock, xa_unlock

from erofs_memback.data import (
    erofs_bread,
    erofs_init_metabuf,
    erofs_onlinefolio_end,
    erofs_onlinefolio_init,
    erofs_onlinefolio_split,
    erofs_put_metabuf,
)
from erofs_memback.internal import *
from erofs_memback.zdata_cache import (
    Z_EROFS_PCLUSTER_FOLLOWED,
    Z_EROFS_PCLUSTER_FOLLOWED_NOINPLACE,
    Z_EROFS_PCLUSTER_INFLIGHT,
    erofs_try_to_free_all_cached_folios,
    z_erofs_bind_cache,
    z_erofs_frontend,
)
from erofs_memback.zdata_pcluster import (
    Z_EROFS_INLINE_BVECS,
    z_erofs_alloc_pcluster,
    z_erofs_bvec,
    z_erofs_bvec_enqueue,
    z_erofs_bvec_iter_begin,
    z_erofs_bvec_iter_end,
    z_erofs_free_pcluster,
    z_erofs_pcluster,
    z_erofs_pclusterpages,
)
from erofs_memback.zmap import z_erofs_map_blocks_iter
from erofs_memback.zutil import g as zutil

P = "fs/erofs/zdata.c"


# callers must be with pcluster lock held
@port_of(P, "z_erofs_attach_page")
def z_erofs_attach_page(fe: z_erofs_frontend, bvec: z_erofs_bvec, exclusive: bool) -> int:
    pcl = fe.pcl

    if exclusive:
        # Inplace I/O is limited to one page for uncompressed data
        if (pcl.algorithmformat < Z_EROFS_COMPRESSION_MAX or
                fe.icur <= 1):
            # Try to prioritize inplace I/O here
            spin_lock(pcl.lockref.lock)
            while fe.icur > 0:
                fe.icur -= 1
                if pcl.compressed_bvecs[fe.icur].page:
                    continue
                pcl.compressed_bvecs[fe.icur] = bvec
                spin_unlock(pcl.lockref.lock)
                return 0
            spin_unlock(pcl.lockref.lock)

        # otherwise, check if it can be used as a bvpage
        if (fe.mode >= Z_EROFS_PCLUSTER_FOLLOWED and
                not fe.candidate_bvpage.v):
            fe.candidate_bvpage.v = bvec.page
    ret = z_erofs_bvec_enqueue(fe.biter, bvec, fe.candidate_bvpage,
                               fe.pagepool)
    fe.pcl.vcnt += ret >= 0
    return ret


@port_of(P, "z_erofs_get_pcluster")
def z_erofs_get_pcluster(pcl: z_erofs_pcluster) -> bool:
    if lockref_get_not_zero(pcl.lockref):
        return True

    spin_lock(pcl.lockref.lock)
    if __lockref_is_dead(pcl.lockref):
        spin_unlock(pcl.lockref.lock)
        return False

    count = pcl.lockref.count
    pcl.lockref.count += 1
    if not count:
        atomic_long_dec(zutil.erofs_global_shrink_cnt)
    spin_unlock(pcl.lockref.lock)
    return True


@port_of(P, "z_erofs_register_pcluster")
def z_erofs_register_pcluster(fe: z_erofs_frontend) -> int:
    map = fe.map
    sb = fe.inode.i_sb
    sbi = EROFS_SB(sb)

    pageofs_in = erofs_blkoff(sb, map.m_pa)
    pcl = z_erofs_alloc_pcluster(pageofs_in + map.m_plen)
    if IS_ERR(pcl):
        return PTR_ERR(pcl)

    lockref_init(pcl.lockref)       # one ref for this request
    pcl.algorithmformat = map.m_algorithmformat
    pcl.pclustersize = map.m_plen
    pcl.length = 0
    pcl.partial = True
    pcl.next = fe.head
    pcl.pos = map.m_pa
    pcl.pageofs_in = pageofs_in
    pcl.pageofs_out = map.m_la & ~arch.PAGE_MASK
    pcl.from_meta = bool(map.m_flags & EROFS_MAP_META)
    fe.mode = Z_EROFS_PCLUSTER_FOLLOWED

    # lock all primary followed works before visible to others
    # and mutex_trylock *never* fails for a new pcluster.
    mutex_init(pcl.lock)
    DBG_BUGON(not mutex_trylock(pcl.lock))

    if not pcl.from_meta:
        while True:
            xa_lock(sbi.managed_pslots)
            pre = __xa_cmpxchg(sbi.managed_pslots, ulong(pcl.pos),
                               None, pcl, GFP_KERNEL)
            if not pre or xa_is_err(pre) or z_erofs_get_pcluster(pre):
                xa_unlock(sbi.managed_pslots)
                break
            # try to legitimize the current in-tree one
            xa_unlock(sbi.managed_pslots)
            cond_resched()
        if pre:
            if xa_is_err(pre):
                err = xa_err(pre)
            else:
                fe.pcl = pre
                err = -EEXIST
            # err_out:
            mutex_unlock(pcl.lock)
            z_erofs_free_pcluster(pcl)
            return err
    fe.head = fe.pcl = pcl
    return 0


@port_of(P, "z_erofs_pcluster_begin")
def z_erofs_pcluster_begin(fe: z_erofs_frontend) -> int:
    map = fe.map
    sb = fe.inode.i_sb
    pcl: z_erofs_pcluster = NULL
    ptr: Any = NULL

    DBG_BUGON(fe.pcl)
    # must be Z_EROFS_PCLUSTER_TAIL or pointed to previous pcluster
    DBG_BUGON(not fe.head)

    if map.m_flags & EROFS_MAP_META:
        ret = erofs_init_metabuf(map.buf, sb,
                                 erofs_inode_in_metabox(fe.inode))
        if ret:
            return ret
        ptr = erofs_bread(map.buf, map.m_pa, False)
        if IS_ERR(ptr):
            erofs_err(sb, "failed to read inline data %pe @ pa %llu of nid %llu",
                      ptr, map.m_pa, EROFS_I(fe.inode).nid)
            return PTR_ERR(ptr)
        ptr = map.buf.page
    else:
        while True:
            rcu_read_lock()
            pcl = xa_load(EROFS_SB(sb).managed_pslots, ulong(map.m_pa))
            needretry = pcl and not z_erofs_get_pcluster(pcl)
            rcu_read_unlock()
            if not needretry:
                break

    if pcl:
        DBG_BUGON(map.m_pa != pcl.pos)
        fe.pcl = pcl
        ret = -EEXIST
    else:
        ret = z_erofs_register_pcluster(fe)

    if ret == -EEXIST:
        mutex_lock(fe.pcl.lock)
        # check if this pcluster hasn't been linked into any chain.
        if not cmpxchg(fe.pcl, "next", None, fe.head):
            # .. so it can be attached to our submission chain
            fe.head = fe.pcl
            fe.mode = Z_EROFS_PCLUSTER_FOLLOWED
        else:       # otherwise, it belongs to an inflight chain
            fe.mode = Z_EROFS_PCLUSTER_INFLIGHT
    elif ret:
        return ret

    z_erofs_bvec_iter_begin(fe.biter, fe.pcl.bvset,
                            Z_EROFS_INLINE_BVECS, fe.pcl.vcnt)
    if not fe.pcl.from_meta:
        # bind cache first when cached decompression is preferred
        z_erofs_bind_cache(fe)
    else:
        folio_get(page_folio(ptr))
        fe.pcl.compressed_bvecs[0].page = ptr
        fe.pcl.pageofs_in = map.m_pa & ~arch.PAGE_MASK
        fe.mode = Z_EROFS_PCLUSTER_FOLLOWED_NOINPLACE
    # file-backed inplace I/O pages are traversed in reverse order
    fe.icur = z_erofs_pclusterpages(fe.pcl)
    return 0


@port_of(P, "z_erofs_rcu_callback")
def z_erofs_rcu_callback(head: rcu_head) -> None:
    z_erofs_free_pcluster(container_of(head, "rcu"))


@port_of(P, "__erofs_try_to_release_pcluster")
def __erofs_try_to_release_pcluster(sbi: erofs_sb_info, pcl: z_erofs_pcluster) -> bool:
    if pcl.lockref.count:
        return False

    # Note that all cached folios should be detached before deleted from
    # the XArray.  Otherwise some folios could be still attached to the
    # orphan old pcluster when the new one is available in the tree.
    if erofs_try_to_free_all_cached_folios(sbi, pcl):
        return False

    # It's impossible to fail after the pcluster is freezed, but in order
    # to avoid some race conditions, add a DBG_BUGON to observe this.
    DBG_BUGON(__xa_erase(sbi.managed_pslots, ulong(pcl.pos)) is not pcl)

    lockref_mark_dead(pcl.lockref)
    return True


@port_of(P, "erofs_try_to_release_pcluster")
def erofs_try_to_release_pcluster(sbi: erofs_sb_info, pcl: z_erofs_pcluster) -> bool:
    spin_lock(pcl.lockref.lock)
    free = __erofs_try_to_release_pcluster(sbi, pcl)
    spin_unlock(pcl.lockref.lock)
    if free:
        atomic_long_dec(zutil.erofs_global_shrink_cnt)
        call_rcu(pcl.rcu, z_erofs_rcu_callback)
    return free


@port_of(P, "z_erofs_shrink_scan")
def z_erofs_shrink_scan(sbi: erofs_sb_info, nr: int) -> int:
    """Free up to ``nr`` idle pclusters of one superblock; returns how many were freed."""
    freed = 0

    xa_lock(sbi.managed_pslots)
    for index, pcl in xa_for_each(sbi.managed_pslots):
        # try to shrink each valid pcluster
        if not erofs_try_to_release_pcluster(sbi, pcl):
            continue
        xa_unlock(sbi.managed_pslots)

        freed += 1
        nr = ulong(nr - 1)
        if not nr:
            return freed
        xa_lock(sbi.managed_pslots)
    xa_unlock(sbi.managed_pslots)
    return freed


@port_of(P, "z_erofs_put_pcluster")
def z_erofs_put_pcluster(sbi: erofs_sb_info, pcl: z_erofs_pcluster, try_free: bool) -> None:
    free = False

    if lockref_put_or_lock(pcl.lockref):
        return

    DBG_BUGON(__lockref_is_dead(pcl.lockref))
    pcl.lockref.count -= 1
    if not pcl.lockref.count:
        if try_free and xa_trylock(sbi.managed_pslots):
            free = __erofs_try_to_release_pcluster(sbi, pcl)
            xa_unlock(sbi.managed_pslots)
        atomic_long_add(not free, zutil.erofs_global_shrink_cnt)
    spin_unlock(pcl.lockref.lock)
    if free:
        call_rcu(pcl.rcu, z_erofs_rcu_callback)


@port_of(P, "z_erofs_pcluster_end")
def z_erofs_pcluster_end(fe: z_erofs_frontend) -> None:
    pcl = fe.pcl

    if not pcl:
        return

    z_erofs_bvec_iter_end(fe.biter)
    mutex_unlock(pcl.lock)

    if fe.candidate_bvpage.v:
        fe.candidate_bvpage.v = NULL

    # Drop refcount if it doesn't belong to our processing chain
    if fe.mode < Z_EROFS_PCLUSTER_FOLLOWED_NOINPLACE:
        z_erofs_put_pcluster(EROFS_I_SB(fe.inode), pcl, False)
    fe.pcl = NULL


@port_of(P, "z_erofs_read_fragment")
def z_erofs_read_fragment(sb: SuperBlock, folio: Page, cur: int, end: int, pos: int) -> int:
    packed_inode = EROFS_SB(sb).packed_inode
    buf = erofs_buf()

    if not packed_inode:
        return -EFSCORRUPTED

    buf.mapping = packed_inode.i_mapping
    while cur < end:
        cnt = min(end - cur, sb.s_blocksize - erofs_blkoff(sb, pos))
        src = erofs_bread(buf, pos, True)
        if IS_ERR(src):
            erofs_put_metabuf(buf)
            return PTR_ERR(src)
        memcpy_to_folio(folio, cur, src, cnt)
        cur += cnt
        pos = u64(pos + cnt)
    erofs_put_metabuf(buf)
    return 0


@port_of(P, "z_erofs_scan_folio")
def z_erofs_scan_folio(f: z_erofs_frontend, folio: Page, ra: bool) -> int:
    inode = f.inode
    map = f.map
    offset = folio_pos(folio)
    bs = i_blocksize(inode)
    end = folio_size(folio)
    split = 0
    err = 0

    tight = bs == arch.PAGE_SIZE
    erofs_onlinefolio_init(folio)
    while True:
        m_la = map.m_la
        if (offset + end - 1 < m_la or
                offset + end - 1 >= m_la + map.m_llen):
            z_erofs_pcluster_end(f)
            map.m_la = offset + end - 1
            map.m_llen = 0
            err = z_erofs_map_blocks_iter(inode, map, 0)
            if err:
                break
            m_la = map.m_la

        cur = 0 if offset > m_la else m_la - offset
        pgs = cur & arch.PAGE_MASK       # round_down
        # bump split parts first to avoid several separate cases
        split += 1

        if map.m_flags & EROFS_MAP_FRAGMENT:
            fpos = u64(offset + cur - m_la)

            err = z_erofs_read_fragment(inode.i_sb, folio, cur,
                                        cur + min(u64(map.m_llen - fpos), end - cur),
                                        u64(EROFS_I(inode).z_fragmentoff + fpos))
            if err:
                break
            tight = False
        elif not map.m_flags & EROFS_MAP_MAPPED:
            folio_zero_segment(folio, cur, end)
            tight = False
        else:
            if not f.pcl:
                err = z_erofs_pcluster_begin(f)
                if err:
                    break
                f.pcl.besteffort |= not ra

            pcl = f.pcl
            pgs = (end - 1) & arch.PAGE_MASK
            # Ensure this partial page belongs to this submit chain
            # rather than other concurrent submit chains or
            # noio(bypass) chains since those chains are handled
            # asynchronously thus it cannot be used for inplace I/O
            # or bvpage (should be processed in the strict order.)
            tight = tight and f.mode >= Z_EROFS_PCLUSTER_FOLLOWED
            excl = False
            if cur <= pgs:
                excl = split <= 1 or tight
                cur = pgs

            err = z_erofs_attach_page(f, z_erofs_bvec(
                page=folio_page(folio, pgs >> arch.PAGE_SHIFT),
                offset=offset + pgs - m_la,
                end=end - pgs), excl)
            if err:
                break

            erofs_onlinefolio_split(folio)
            if pcl.length < offset + end - m_la:
                pcl.length = offset + end - m_la
                pcl.pageofs_out = m_la & ~arch.PAGE_MASK
            if (EROFS_MAP_FULL(map.m_flags) and
                    pcl.length == map.m_llen):
                pcl.partial = False
        # shorten the remaining extent to update progress
        map.m_llen = u64(offset + cur - m_la)
        map.m_flags |= EROFS_MAP_PARTIAL_MAPPED
        if cur <= pgs:
            split = cur < pgs
            tight = bs == arch.PAGE_SIZE
        end = cur
        if not end > 0:
            break
    erofs_onlinefolio_end(folio, err, False)
    return err
