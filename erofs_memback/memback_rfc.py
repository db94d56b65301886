# SPDX-License-Identifier: GPL-2.0-only
"""The memback that was posted to linux-erofs on 2026-06-18 ("[PATCH RFC 1/2] erofs: add memory-backed mode for non-page-aligned
mount"), as posted.

Brought to 7.2, which has no fscache mode any more; nothing else is changed. What the bench finds here is a finding about the
posted patch.
"""
from __future__ import annotations

from typing import Any, Self

from kemu.linux.bio import REQ_OP_READ, Bio, bio_endio, bio_for_each_segment, bio_init, bio_uninit
from kemu.linux.blk_types import SECTOR_SHIFT
from kemu.linux.bvec import BioVec, bvec_kmap_local
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EFSCORRUPTED, EINTR
from kemu.linux.fs import File, Inode, SuperBlock, address_space_operations, iput
from kemu.linux.gfp import __GFP_NOFAIL, GFP_KERNEL
from kemu.linux.highmem import folio_zero_segment, kmap_local_page, kunmap_local, memcpy_to_folio
from kemu.linux.math import in_range, min_t
from kemu.linux.mm import Page, folio_size, offset_in_page, virt_to_page
from kemu.linux.pagemap import ReadaheadControl, folio_inode, folio_pos, readahead_folio
from kemu.linux.port.honesty import port_of
from kemu.linux.port.series import Series
from kemu.linux.port.statics import statics
from kemu.linux.slab import kfree, kzalloc_obj
from kemu.linux.string import memcpy, memset
from kemu.linux.types import NULL, Ref, container_of, loff_t, u64, ulong

from erofs_memback import data, internal, super, zdata_submit
from erofs_memback.data import erofs_map_blocks, erofs_onlinefolio_end, erofs_onlinefolio_init, erofs_read_metabuf
from erofs_memback.internal import (
    EROFS_I,
    EROFS_MAP_MAPPED,
    EROFS_MAP_META,
    erofs_err,
    erofs_inode_in_metabox,
    struct_erofs_map_blocks,
    struct_erofs_map_dev,
)
from erofs_memback.ishare import erofs_real_inode

POSTED = "2026-06-18"
P = "fs/erofs/memback.c"

@statics
class g:
    """``void *erofs_memback_pending_data; u64 erofs_memback_pending_size``"""

    erofs_memback_pending_data = 0
    erofs_memback_pending_size = 0


series = Series("erofs-memback-rfc", ("erofs_memback",), "EROFS mounted from memory, as posted 2026-06-18")


# ---- fs/erofs/internal.h

_base_sb_info = internal.erofs_sb_info          # the name changes its meaning while the series is applied


@series.replaces(internal.erofs_sb_info)
class erofs_sb_info(internal.erofs_sb_info):
    """``void *memback_data; u64 memback_size``"""

    __slots__ = ("memback_data", "memback_size")

    def __init__(self) -> None:
        _base_sb_info.__init__(self)
        self.memback_data = 0
        self.memback_size = 0


_base_buf = internal.erofs_buf


@series.replaces(internal.erofs_buf)
class erofs_buf(internal.erofs_buf):
    """``u64 memback_size; bool memback``"""

    __slots__ = ("memback_size", "memback")

    def __init__(self, page: Page = NULL, base: int = 0) -> None:
        _base_buf.__init__(self, page, base)
        self.memback_size = 0
        self.memback = False

    def assign(self, other: Self) -> None:
        _base_buf.assign(self, other)
        self.memback_size, self.memback = other.memback_size, other.memback


def EROFS_SB(sb: SuperBlock) -> erofs_sb_info:
    """The one of internal.h, of the structure that this series makes longer."""
    return sb.s_fs_info


@port_of("fs/erofs/internal.h", "erofs_is_memback_mode", posted=POSTED)
def erofs_is_memback_mode(sbi: erofs_sb_info) -> bool:
    return sbi.memback_data != 0


# ---- fs/erofs/memback.c

class erofs_memback_rq:
    """``struct bio_vec bvecs[16]``"""

    __slots__ = ("bvecs", "bio", "sbi")

    def __init__(self) -> None:
        self.bvecs = [BioVec() for _ in range(16)]
        self.bio = Bio(self)
        self.sbi: erofs_sb_info = NULL


@port_of(P, "erofs_memback_rq_submit", posted=POSTED)
def erofs_memback_rq_submit(rq: erofs_memback_rq) -> None:
    if not rq:
        return

    sbi = rq.sbi
    pos = loff_t(rq.bio.bi_iter.bi_sector << SECTOR_SHIFT)

    for bv in bio_for_each_segment(rq.bio):
        dst = bvec_kmap_local(bv)
        avail = ulong(sbi.memback_size - pos)
        len_ = min_t(ulong, bv.bv_len, avail)

        if ulong(pos) < sbi.memback_size and len_:
            memcpy(dst, sbi.memback_data + pos, len_)
        if len_ < bv.bv_len:
            memset(dst + len_, 0, bv.bv_len - len_)
        kunmap_local(dst)
        pos = loff_t(pos + bv.bv_len)
    bio_endio(rq.bio)
    bio_uninit(rq.bio)
    kfree(rq)


@port_of(P, "erofs_memback_rq_alloc", posted=POSTED)
def erofs_memback_rq_alloc(mdev: struct_erofs_map_dev) -> erofs_memback_rq:
    rq = kzalloc_obj(erofs_memback_rq, GFP_KERNEL | __GFP_NOFAIL)

    bio_init(rq.bio, None, rq.bvecs, len(rq.bvecs), REQ_OP_READ)
    rq.sbi = EROFS_SB(mdev.m_sb)
    return rq


@port_of(P, "erofs_memback_bio_alloc", posted=POSTED)
def erofs_memback_bio_alloc(mdev: struct_erofs_map_dev) -> Bio:
    return erofs_memback_rq_alloc(mdev).bio


@port_of(P, "erofs_memback_submit_bio", posted=POSTED)
def erofs_memback_submit_bio(bio: Bio) -> None:
    erofs_memback_rq_submit(container_of(bio, "bio"))


class erofs_memback_io:
    __slots__ = ("map", "dev", "rq")

    def __init__(self) -> None:
        self.map = struct_erofs_map_blocks()
        self.dev = struct_erofs_map_dev()
        self.rq: erofs_memback_rq = NULL


@port_of(P, "erofs_memback_scan_folio", posted=POSTED)
def erofs_memback_scan_folio(io: erofs_memback_io, inode: Inode, folio: Page) -> int:
    sbi = EROFS_SB(inode.i_sb)
    map = io.map
    cur, end = 0, folio_size(folio)
    pos = folio_pos(folio)
    err = 0

    erofs_onlinefolio_init(folio)
    while cur < end:
        if not in_range(pos + cur, map.m_la, map.m_llen):
            map.m_la = pos + cur
            map.m_llen = end - cur
            err = erofs_map_blocks(inode, map)
            if err:
                break

        ofs = pos + cur - map.m_la
        len_ = min_t(loff_t, map.m_llen - ofs, end - cur)
        if map.m_flags & EROFS_MAP_META:
            buf = internal.erofs_buf()
            src = erofs_read_metabuf(buf, inode.i_sb, map.m_pa + ofs, erofs_inode_in_metabox(inode))
            if IS_ERR(src):
                err = PTR_ERR(src)
                break
            memcpy_to_folio(folio, cur, src, len_)
            data.erofs_put_metabuf(buf)
        elif not map.m_flags & EROFS_MAP_MAPPED:
            folio_zero_segment(folio, cur, cur + len_)
        else:
            pa = loff_t(map.m_pa + ofs)

            if u64(pa + len_) > sbi.memback_size:
                err = -EFSCORRUPTED
                break
            memcpy_to_folio(folio, cur, sbi.memback_data + pa, len_)
        cur += len_
    erofs_onlinefolio_end(folio, err, False)
    return err


@port_of(P, "erofs_memback_read_folio", posted=POSTED)
def erofs_memback_read_folio(file: File, folio: Page) -> int:
    need_iput = Ref(False)
    realinode = erofs_real_inode(folio_inode(folio), need_iput)
    io = erofs_memback_io()

    err = erofs_memback_scan_folio(io, realinode, folio)
    if need_iput.v:
        iput(realinode)
    return err


@port_of(P, "erofs_memback_readahead", posted=POSTED)
def erofs_memback_readahead(rac: ReadaheadControl) -> None:
    need_iput = Ref(False)
    realinode = erofs_real_inode(rac.mapping.host, need_iput)
    io = erofs_memback_io()

    while True:
        folio = readahead_folio(rac)
        if not folio:
            break
        err = erofs_memback_scan_folio(io, realinode, folio)
        if err and err != -EINTR:
            erofs_err(realinode.i_sb, "readahead error at folio %lu @ nid %llu", folio.index, EROFS_I(realinode).nid)
    if need_iput.v:
        iput(realinode)


erofs_memback_aops = address_space_operations(read_folio=erofs_memback_read_folio, readahead=erofs_memback_readahead)


# ---- fs/erofs/super.c

@port_of("fs/erofs/super.c", "erofs_memback_set_pending", posted=POSTED)
def erofs_memback_set_pending(data_: int, size: int) -> None:
    """``void erofs_memback_set_pending(void *data, u64 size)``"""
    g.erofs_memback_pending_data = data_
    g.erofs_memback_pending_size = size


@port_of("fs/erofs/super.c", "erofs_memback_consume_pending", posted=POSTED)
def erofs_memback_consume_pending(sbi: erofs_sb_info) -> None:
    sbi.memback_data = g.erofs_memback_pending_data
    sbi.memback_size = g.erofs_memback_pending_size
    g.erofs_memback_pending_data = 0
    g.erofs_memback_pending_size = 0


_names: dict[str, Any] = {
    "erofs_rfc_is_memback_mode": erofs_is_memback_mode, "erofs_rfc_memback_aops": erofs_memback_aops,
    "erofs_rfc_memback_bio_alloc": erofs_memback_bio_alloc, "erofs_rfc_memback_submit_bio": erofs_memback_submit_bio,
    "erofs_rfc_memback_consume_pending": erofs_memback_consume_pending, "erofs_rfc_statics": g,
}

series.edits(super.erofs_fc_get_tree, ("""\
    ret = get_tree_bdev_flags(""", """\
    sbi = fc.s_fs_info
    if erofs_rfc_statics.erofs_memback_pending_data:
        erofs_rfc_memback_consume_pending(sbi)
        return get_tree_nodev(fc, erofs_fc_fill_super)
    if erofs_rfc_is_memback_mode(sbi):
        return get_tree_nodev(fc, erofs_fc_fill_super)
    ret = get_tree_bdev_flags("""), names=_names)

series.edits(super.erofs_fc_fill_super, ("""\
        if erofs_is_fileio_mode(sbi):
            sb.s_blocksize = 1 << sbi.blkszbits
""", """\
        if erofs_rfc_is_memback_mode(sbi) or erofs_is_fileio_mode(sbi):
            sb.s_blocksize = 1 << sbi.blkszbits
"""), names=_names)

series.edits(super.erofs_kill_sb, ("""\
    if sbi.dif0.file:
""", """\
    if erofs_rfc_is_memback_mode(sbi) or sbi.dif0.file:
"""), names=_names)

series.edits(internal.erofs_get_aops, ("""\
    if erofs_is_fileio_mode(EROFS_SB(realinode.i_sb)):
""", """\
    if erofs_rfc_is_memback_mode(EROFS_SB(realinode.i_sb)):
        return erofs_rfc_memback_aops
    if erofs_is_fileio_mode(EROFS_SB(realinode.i_sb)):
"""), names=_names)


# ---- fs/erofs/data.c

series.edits(data.erofs_put_metabuf, ("""\
    folio_put(page_folio(buf.page))
""", """\
    if not buf.memback:
        folio_put(page_folio(buf.page))
"""))

series.edits(data.erofs_bread, ("""\
    if buf.page:
        folio = page_folio(buf.page)
""", """\
    if buf.memback:
        addr = buf.mapping + offset

        if offset >= buf.memback_size:
            return ERR_PTR(-EFSCORRUPTED)

        page = virt_to_page(addr)
        if buf.page is not page:
            erofs_unmap_metabuf(buf)
            buf.page = page
        if not need_kmap:
            return NULL
        if not buf.base:
            buf.base = kmap_local_page(buf.page)
        return buf.base + offset_in_page(addr)

    if buf.page:
        folio = page_folio(buf.page)
"""), names={"virt_to_page": virt_to_page, "offset_in_page": offset_in_page, "kmap_local_page": kmap_local_page,
             "EFSCORRUPTED": EFSCORRUPTED,
             "ERR_PTR": ERR_PTR})

series.edits(data.erofs_init_metabuf, ("""\
    buf.file = NULL
""", """\
    buf.file = NULL
    buf.memback = False
"""), ("""\
    buf.off = sbi.dif0.fsoff
""", """\
    if erofs_rfc_is_memback_mode(sbi):
        buf.memback = True
        buf.memback_size = sbi.memback_size
        buf.off = 0
        # Reuse the mapping pointer to carry the base address
        buf.mapping = sbi.memback_data
        return 0
    buf.off = sbi.dif0.fsoff
"""), names=_names)


# ---- fs/erofs/zdata.c

series.edits(zdata_submit.z_erofs_submit_queue, ("""\
                    if erofs_is_fileio_mode(EROFS_SB(sb)):
                        erofs_fileio_submit_bio(bio)
""", """\
                    if erofs_rfc_is_memback_mode(EROFS_SB(sb)):
                        erofs_rfc_memback_submit_bio(bio)
                    elif erofs_is_fileio_mode(EROFS_SB(sb)):
                        erofs_fileio_submit_bio(bio)
"""), ("""\
                    if erofs_is_fileio_mode(EROFS_SB(sb)):
                        bio = erofs_fileio_bio_alloc(mdev)
""", """\
                    if erofs_rfc_is_memback_mode(EROFS_SB(sb)):
                        bio = erofs_rfc_memback_bio_alloc(mdev)
                    elif erofs_is_fileio_mode(EROFS_SB(sb)):
                        bio = erofs_fileio_bio_alloc(mdev)
"""), ("""\
        if erofs_is_fileio_mode(EROFS_SB(sb)):
            erofs_fileio_submit_bio(bio)
        else:
            submit_bio(bio)
    if memstall:
""", """\
        if erofs_rfc_is_memback_mode(EROFS_SB(sb)):
            erofs_rfc_memback_submit_bio(bio)
        elif erofs_is_fileio_mode(EROFS_SB(sb)):
            erofs_fileio_submit_bio(bio)
        else:
            submit_bio(bio)
    if memstall:
"""), names=_names)
