# SPDX-License-Identifier: GPL-2.0-only
"""Compressed extents: from a logical offset to the pcluster that holds it (fs/erofs/zmap.c)."""
from __future__ import annotations

from kemu.linux.bitops import set_bit, test_bit
from kemu.linux.bits import BIT, BIT_ULL
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EFSCORRUPTED, EINVAL, EOPNOTSUPP, ERESTARTSYS
from kemu.linux.fs import Inode, i_blocksize
from kemu.linux.honesty import port_of
from kemu.linux.iomap import IOMAP_HOLE, IOMAP_MAPPED, IOMAP_NULL_ADDR, iomap_ops
from kemu.linux.layout import offsetof, sizeof
from kemu.linux.math import ALIGN, check_add_overflow, ilog2, round_down, round_up, rounddown
from kemu.linux.tracepoint import trace
from kemu.linux.types import s32, this, u8, u16, u32, u64, ulong
from kemu.linux.unaligned import get_unaligned_le32, get_unaligned_le64
from kemu.linux.wait_bit import TASK_KILLABLE, clear_and_wake_up_bit, wait_on_bit_lock

from erofs_memback.data import erofs_put_metabuf, erofs_read_metabuf, erofs_unmap_metabuf
from erofs_memback.internal import *

P = "fs/erofs/zmap.c"

_SIZEOF_LCLUSTER_INDEX = sizeof(z_erofs_lcluster_index)
_OFF_PSTART_LO = offsetof(z_erofs_extent, "pstart_lo")
_OFF_PSTART_HI = offsetof(z_erofs_extent, "pstart_hi")
_OFF_LSTART_HI = offsetof(z_erofs_extent, "lstart_hi")


class z_erofs_maprecorder:
    """``struct z_erofs_maprecorder``"""

    __slots__ = ("inode", "map", "lcn", "type", "headtype", "clusterofs", "delta", "pblk", "nextpackoff", "compressedblks", "partialref", "in_mbox")

    def __init__(self, inode: Inode, map: erofs_map_blocks, in_mbox: bool, compressedblks: int):
        self.inode = inode
        self.map = map
        self.lcn = 0
        # compression extent information gathered
        self.type = self.headtype = 0
        self.clusterofs = 0
        self.delta = [0, 0]
        self.pblk = 0
        self.nextpackoff = 0
        self.compressedblks = compressedblks
        self.partialref = False
        self.in_mbox = in_mbox


@port_of(P, "z_erofs_load_full_lcluster")
def z_erofs_load_full_lcluster(m: z_erofs_maprecorder, lcn: int) -> int:
    inode = m.inode
    vi = EROFS_I(inode)
    pos = u64(Z_EROFS_FULL_INDEX_START(erofs_iloc(inode) +
              vi.inode_isize + vi.xattr_isize) +
              lcn * _SIZEOF_LCLUSTER_INDEX)

    di = erofs_read_metabuf(m.map.buf, inode.i_sb, pos, m.in_mbox)
    if IS_ERR(di):
        return PTR_ERR(di)
    di = z_erofs_lcluster_index(di)
    m.lcn = lcn
    m.nextpackoff = pos + _SIZEOF_LCLUSTER_INDEX

    advise = di.di_advise
    m.type = advise & Z_EROFS_LI_LCLUSTER_TYPE_MASK
    if m.type == Z_EROFS_LCLUSTER_TYPE_NONHEAD:
        m.clusterofs = u16(1 << vi.z_lclusterbits)
        delta = get_unaligned_le32(di.di_u.p)
        m.delta[0] = delta & 0xFFFF
        if m.delta[0] & Z_EROFS_LI_D0_CBLKCNT:
            if not (vi.z_advise & (Z_EROFS_ADVISE_BIG_PCLUSTER_1 |
                    Z_EROFS_ADVISE_BIG_PCLUSTER_2)):
                DBG_BUGON(1)
                return -EFSCORRUPTED
            m.compressedblks = m.delta[0] & ~Z_EROFS_LI_D0_CBLKCNT
            m.delta[0] = 1
        m.delta[1] = delta >> 16
    else:
        m.partialref = not not (advise & Z_EROFS_LI_PARTIAL_REF)
        m.clusterofs = di.di_clusterofs
        if advise & Z_EROFS_LI_HOLE:
            m.compressedblks = 0
            m.pblk = u64(EROFS_NULL_ADDR)
        else:
            m.pblk = di.di_u.blkaddr
    return 0


@port_of(P, "decode_compactedbits")
def decode_compactedbits(lobits: int, in_: int, pos: int) -> tuple[int, int]:
    """C gives the type through ``u8 *type``; here it is the second value."""
    v = get_unaligned_le32(in_ + pos // 8) >> (pos & 7)
    lo = v & ((1 << lobits) - 1)

    return lo, (v >> lobits) & 3


@port_of(P, "get_compacted_la_distance")
def get_compacted_la_distance(lobits: int, encodebits: int, vcnt: int, in_: int, i: int) -> int:
    d1 = 0

    DBG_BUGON(i >= vcnt)

    while True:
        lo, type = decode_compactedbits(lobits, in_, encodebits * i)

        if type != Z_EROFS_LCLUSTER_TYPE_NONHEAD:
            return d1
        d1 += 1
        i += 1
        if not i < vcnt:
            break

    # vcnt - 1 (Z_EROFS_LCLUSTER_TYPE_NONHEAD) item
    if not (lo & Z_EROFS_LI_D0_CBLKCNT):
        d1 = u32(d1 + lo - 1)
    return d1


@port_of(P, "z_erofs_load_compact_lcluster")
def z_erofs_load_compact_lcluster(m: z_erofs_maprecorder, lcn: int, lookahead: bool) -> int:
    inode = m.inode
    vi = EROFS_I(inode)
    ebase = Z_EROFS_MAP_HEADER_END(erofs_iloc(inode) +
                                   vi.inode_isize + vi.xattr_isize)
    lclusterbits = vi.z_lclusterbits
    totalidx = u32(erofs_iblks(inode))
    big_pcluster = vi.z_advise & Z_EROFS_ADVISE_BIG_PCLUSTER_1

    if lcn >= totalidx or lclusterbits > 14:
        return -EINVAL

    m.lcn = lcn
    # used to align to 32-byte (compacted_2b) alignment
    compacted_4b_initial = ((32 - ebase % 32) // 4) & 7
    compacted_2b = 0
    if (vi.z_advise & Z_EROFS_ADVISE_COMPACTED_2B and
            compacted_4b_initial < totalidx):
        compacted_2b = rounddown(totalidx - compacted_4b_initial, 16)

    pos = ebase
    amortizedshift = 2          # compact_4b
    if lcn >= compacted_4b_initial:
        pos += compacted_4b_initial * 4
        lcn -= compacted_4b_initial
        if lcn < compacted_2b:
            amortizedshift = 1
        else:
            pos += compacted_2b * 2
            lcn -= compacted_2b
    pos += lcn * (1 << amortizedshift)

    # figure out the lcluster count in this pack
    if 1 << amortizedshift == 4 and lclusterbits <= 14:
        vcnt = 2
    elif 1 << amortizedshift == 2 and lclusterbits <= 12:
        vcnt = 16
    else:
        return -EOPNOTSUPP

    in_ = erofs_read_metabuf(m.map.buf, inode.i_sb, pos, m.in_mbox)
    if IS_ERR(in_):
        return PTR_ERR(in_)

    # it doesn't equal to round_up(..)
    m.nextpackoff = (round_down(pos, vcnt << amortizedshift) +
                     (vcnt << amortizedshift))
    lobits = max(lclusterbits, ilog2(Z_EROFS_LI_D0_CBLKCNT) + 1)
    encodebits = ((vcnt << amortizedshift) - 4) * 8 // vcnt
    bytes = pos & ((vcnt << amortizedshift) - 1)
    in_ -= bytes
    i = bytes >> amortizedshift

    lo, type = decode_compactedbits(lobits, in_, encodebits * i)
    m.type = type
    if type == Z_EROFS_LCLUSTER_TYPE_NONHEAD:
        m.clusterofs = 1 << lclusterbits

        # figure out lookahead_distance: delta[1] if needed
        if lookahead:
            m.delta[1] = u16(get_compacted_la_distance(lobits, encodebits, vcnt, in_, i))
        if lo & Z_EROFS_LI_D0_CBLKCNT:
            if not big_pcluster:
                DBG_BUGON(1)
                return -EFSCORRUPTED
            m.compressedblks = lo & ~Z_EROFS_LI_D0_CBLKCNT
            m.delta[0] = 1
            return 0
        elif i + 1 != vcnt:
            m.delta[0] = lo
            return 0
        # since the last lcluster in the pack is special,
        # of which lo saves delta[1] rather than delta[0].
        # Hence, get delta[0] by the previous lcluster indirectly.
        lo, type = decode_compactedbits(lobits, in_, encodebits * (i - 1))
        if type != Z_EROFS_LCLUSTER_TYPE_NONHEAD:
            lo = 0
        elif lo & Z_EROFS_LI_D0_CBLKCNT:
            lo = 1
        m.delta[0] = lo + 1
        return 0
    m.clusterofs = lo
    m.delta[0] = 0
    # figout out blkaddr (pblk) for HEAD lclusters
    if not big_pcluster:
        nblk = 1
        while i > 0:
            i -= 1
            lo, type = decode_compactedbits(lobits, in_, encodebits * i)
            if type == Z_EROFS_LCLUSTER_TYPE_NONHEAD:
                i -= lo

            if i >= 0:
                nblk += 1
    else:
        nblk = 0
        while i > 0:
            i -= 1
            lo, type = decode_compactedbits(lobits, in_, encodebits * i)
            if type == Z_EROFS_LCLUSTER_TYPE_NONHEAD:
                if lo & Z_EROFS_LI_D0_CBLKCNT:
                    i -= 1
                    nblk += lo & ~Z_EROFS_LI_D0_CBLKCNT
                    continue
                # bigpcluster shouldn't have plain d0 == 1
                if lo <= 1:
                    DBG_BUGON(1)
                    return -EFSCORRUPTED
                i -= lo - 2
                continue
            nblk += 1
    in_ += (vcnt << amortizedshift) - 4
    m.pblk = u32(get_unaligned_le32(in_) + nblk)
    return 0


@port_of(P, "z_erofs_load_lcluster_from_disk")
def z_erofs_load_lcluster_from_disk(m: z_erofs_maprecorder, lcn: int, lookahead: bool) -> int:
    vi = EROFS_I(m.inode)

    if vi.datalayout == EROFS_INODE_COMPRESSED_COMPACT:
        err = z_erofs_load_compact_lcluster(m, lcn, lookahead)
    else:
        DBG_BUGON(vi.datalayout != EROFS_INODE_COMPRESSED_FULL)
        err = z_erofs_load_full_lcluster(m, lcn)
    if err:
        return err

    if m.type >= Z_EROFS_LCLUSTER_TYPE_MAX:
        erofs_err(m.inode.i_sb, "unknown type %u @ lcn %llu of nid %llu",
                  m.type, lcn, EROFS_I(m.inode).nid)
        DBG_BUGON(1)
        return -EOPNOTSUPP
    elif (m.type != Z_EROFS_LCLUSTER_TYPE_NONHEAD and
            m.clusterofs >= s32(1 << vi.z_lclusterbits)):
        DBG_BUGON(1)
        return -EFSCORRUPTED
    return 0


@port_of(P, "z_erofs_extent_lookback")
def z_erofs_extent_lookback(m: z_erofs_maprecorder, lookback_distance: int) -> int:
    sb = m.inode.i_sb
    vi = EROFS_I(m.inode)
    lclusterbits = vi.z_lclusterbits

    while m.lcn >= lookback_distance:
        lcn = m.lcn - lookback_distance

        if not lookback_distance:
            break

        err = z_erofs_load_lcluster_from_disk(m, lcn, False)
        if err:
            return err
        if m.type == Z_EROFS_LCLUSTER_TYPE_NONHEAD:
            lookback_distance = m.delta[0]
            continue
        m.headtype = m.type
        m.map.m_la = u64(lcn << lclusterbits) | m.clusterofs
        return 0
    erofs_err(sb, "bogus lookback distance %u @ lcn %llu of nid %llu",
              lookback_distance, m.lcn, vi.nid)
    DBG_BUGON(1)
    return -EFSCORRUPTED


@port_of(P, "z_erofs_get_extent_compressedlen")
def z_erofs_get_extent_compressedlen(m: z_erofs_maprecorder, initial_lcn: int) -> int:
    inode = m.inode
    sb = inode.i_sb
    vi = EROFS_I(inode)
    bigpcl1 = vi.z_advise & Z_EROFS_ADVISE_BIG_PCLUSTER_1
    bigpcl2 = vi.z_advise & Z_EROFS_ADVISE_BIG_PCLUSTER_2
    lcn = m.lcn + 1

    DBG_BUGON(m.type == Z_EROFS_LCLUSTER_TYPE_NONHEAD)
    DBG_BUGON(m.type != m.headtype)

    if ((m.headtype == Z_EROFS_LCLUSTER_TYPE_HEAD1 and not bigpcl1) or
            ((m.headtype == Z_EROFS_LCLUSTER_TYPE_PLAIN or
              m.headtype == Z_EROFS_LCLUSTER_TYPE_HEAD2) and not bigpcl2) or
            u64(lcn << vi.z_lclusterbits) >= inode.i_size):
        if m.compressedblks < 0:
            m.compressedblks = 1

    if m.compressedblks < 0:
        err = z_erofs_load_lcluster_from_disk(m, lcn, False)
        if err:
            return err

        # If the 1st NONHEAD lcluster has already been handled initially w/o
        # valid compressedblks, which means at least it mustn't be CBLKCNT, or
        # an internal implemenatation error is detected.
        #
        # The following code can also handle it properly anyway, but let's
        # BUG_ON in the debugging mode only for developers to notice that.
        DBG_BUGON(lcn == initial_lcn and
                  m.type == Z_EROFS_LCLUSTER_TYPE_NONHEAD)

        if m.type != Z_EROFS_LCLUSTER_TYPE_NONHEAD:
            # if the 1st NONHEAD lcluster is actually PLAIN or HEAD type
            # rather than CBLKCNT, it's a 1 block-sized pcluster.
            if m.compressedblks < 0:
                m.compressedblks = 1
        elif m.delta[0] != 1 or m.compressedblks < 0:
            erofs_err(sb, "bogus CBLKCNT @ lcn %llu of nid %llu", lcn, vi.nid)
            DBG_BUGON(1)
            return -EFSCORRUPTED

    # out:
    if not m.compressedblks:
        m.map.m_flags &= ~EROFS_MAP_MAPPED
    m.map.m_plen = erofs_pos(sb, m.compressedblks)
    return 0


@port_of(P, "z_erofs_get_extent_decompressedlen")
def z_erofs_get_extent_decompressedlen(m: z_erofs_maprecorder) -> int:
    inode = m.inode
    vi = EROFS_I(inode)
    map = m.map
    lclusterbits = vi.z_lclusterbits
    lcn = m.lcn
    headlcn = map.m_la >> lclusterbits

    while True:
        # handle the last EOF pcluster (no next HEAD lcluster)
        if u64(lcn << lclusterbits) >= inode.i_size:
            map.m_llen = u64(inode.i_size - map.m_la)
            return 0

        err = z_erofs_load_lcluster_from_disk(m, lcn, True)
        if err:
            return err

        if m.type == Z_EROFS_LCLUSTER_TYPE_NONHEAD:
            # work around invalid d1 generated by pre-1.0 mkfs
            if not m.delta[1]:
                m.delta[1] = 1
                DBG_BUGON(1)
        elif m.type < Z_EROFS_LCLUSTER_TYPE_MAX:
            if lcn != headlcn:
                break           # ends at the next HEAD lcluster
            m.delta[1] = 1
        lcn += m.delta[1]
    map.m_llen = u64((lcn << lclusterbits) + m.clusterofs - map.m_la)
    return 0


@port_of(P, "z_erofs_map_blocks_fo")
def z_erofs_map_blocks_fo(inode: Inode, map: erofs_map_blocks, flags: int) -> int:
    vi = EROFS_I(inode)
    sb = inode.i_sb
    fragment = vi.z_advise & Z_EROFS_ADVISE_FRAGMENT_PCLUSTER
    ztailpacking = vi.z_idata_size
    lclusterbits = vi.z_lclusterbits
    m = z_erofs_maprecorder(
        inode=inode,
        map=map,
        in_mbox=erofs_inode_in_metabox(inode),
        compressedblks=-1,
    )

    ofs = u64(inode.i_size - 1) if flags & EROFS_GET_BLOCKS_FINDTAIL else map.m_la
    if (fragment and not (flags & EROFS_GET_BLOCKS_FINDTAIL) and
            not vi.z_tailextent_headlcn):
        map.m_la = 0
        map.m_llen = inode.i_size
        map.m_flags = EROFS_MAP_FRAGMENT
        return 0
    initial_lcn = ulong(ofs >> lclusterbits)
    endoff = ofs & ((1 << lclusterbits) - 1)

    try:
        err = z_erofs_load_lcluster_from_disk(m, initial_lcn, False)
        if err:
            return err

        if flags & EROFS_GET_BLOCKS_FINDTAIL and ztailpacking:
            vi.z_fragmentoff = m.nextpackoff
        map.m_flags = EROFS_MAP_MAPPED | EROFS_MAP_PARTIAL_MAPPED
        end = u64((m.lcn + 1) << lclusterbits)

        if m.type != Z_EROFS_LCLUSTER_TYPE_NONHEAD and endoff >= m.clusterofs:
            m.headtype = m.type
            map.m_la = u64(m.lcn << lclusterbits) | m.clusterofs
            # For ztailpacking files, in order to inline data more
            # effectively, special EOF lclusters are now supported
            # which can have three parts at most.
            if ztailpacking and end > inode.i_size:
                end = inode.i_size
        else:
            if m.type != Z_EROFS_LCLUSTER_TYPE_NONHEAD:
                end = u64(m.lcn << lclusterbits) | m.clusterofs
                map.m_flags &= ~EROFS_MAP_PARTIAL_MAPPED
                m.delta[0] = 1
            # get the corresponding first chunk
            err = z_erofs_extent_lookback(m, m.delta[0])
            if err:
                return err
        if m.partialref:
            map.m_flags |= EROFS_MAP_PARTIAL_REF
        map.m_llen = u64(end - map.m_la)

        if flags & EROFS_GET_BLOCKS_FINDTAIL:
            vi.z_tailextent_headlcn = m.lcn
            # for non-compact indexes, fragmentoff is 64 bits
            if fragment and vi.datalayout == EROFS_INODE_COMPRESSED_FULL:
                vi.z_fragmentoff |= u64(m.pblk << 32)
        if ztailpacking and m.lcn == vi.z_tailextent_headlcn:
            map.m_flags |= EROFS_MAP_META
            map.m_pa = vi.z_fragmentoff
            map.m_plen = vi.z_idata_size
            if erofs_blkoff(sb, map.m_pa) + map.m_plen > sb.s_blocksize:
                erofs_err(sb, "ztailpacking inline data across blocks @ nid %llu",
                          vi.nid)
                return -EFSCORRUPTED
        elif fragment and m.lcn == vi.z_tailextent_headlcn:
            map.m_flags = EROFS_MAP_FRAGMENT
        else:
            map.m_pa = erofs_pos(sb, m.pblk)
            err = z_erofs_get_extent_compressedlen(m, initial_lcn)
            if err:
                return err

        if m.headtype == Z_EROFS_LCLUSTER_TYPE_PLAIN:
            if (vi.z_advise & Z_EROFS_ADVISE_INTERLACED_PCLUSTER and
                    not (map.m_flags & EROFS_MAP_META)):
                map.m_algorithmformat = Z_EROFS_COMPRESSION_INTERLACED
            else:
                map.m_algorithmformat = Z_EROFS_COMPRESSION_SHIFTED
        else:
            map.m_algorithmformat = \
                vi.z_algofmt[m.headtype == Z_EROFS_LCLUSTER_TYPE_HEAD2]

        if (flags & EROFS_GET_BLOCKS_FIEMAP or
                (flags & EROFS_GET_BLOCKS_READMORE and
                 (map.m_algorithmformat == Z_EROFS_COMPRESSION_LZMA or
                  map.m_algorithmformat == Z_EROFS_COMPRESSION_DEFLATE or
                  map.m_algorithmformat == Z_EROFS_COMPRESSION_ZSTD) and
                 map.m_llen >= i_blocksize(inode))):
            err = z_erofs_get_extent_decompressedlen(m)
            if not err:
                map.m_flags &= ~EROFS_MAP_PARTIAL_MAPPED
        return err
    finally:
        # unmap_out:
        erofs_unmap_metabuf(m.map.buf)


@port_of(P, "z_erofs_map_blocks_ext")
def z_erofs_map_blocks_ext(inode: Inode, map: erofs_map_blocks, flags: int) -> int:
    vi = EROFS_I(inode)
    sb = inode.i_sb
    interlaced = vi.z_advise & Z_EROFS_ADVISE_INTERLACED_PCLUSTER
    recsz = z_erofs_extent_recsize(vi.z_advise)
    pos = round_up(Z_EROFS_MAP_HEADER_END(erofs_iloc(inode) +
                   vi.inode_isize + vi.xattr_isize), recsz)
    bmask = sb.s_blocksize - 1
    in_mbox = erofs_inode_in_metabox(inode)
    lend = inode.i_size

    map.m_flags = 0
    if recsz <= _OFF_PSTART_HI:
        lclustersize = s32(1 << vi.z_lclusterbits)
        if recsz <= _OFF_PSTART_LO:
            ext = erofs_read_metabuf(map.buf, sb, pos, in_mbox)
            if IS_ERR(ext):
                return PTR_ERR(ext)
            pa = get_unaligned_le64(ext)
            pos += 8
            lstart = 0
        else:
            lstart = round_down(map.m_la, 1 << vi.z_lclusterbits)
            pos = u64(pos + (lstart >> vi.z_lclusterbits) * recsz)
            pa = u64(EROFS_NULL_ADDR)

        while lstart <= map.m_la:
            ext = erofs_read_metabuf(map.buf, sb, pos, in_mbox)
            if IS_ERR(ext):
                return PTR_ERR(ext)
            ext = z_erofs_extent(ext)
            map.m_plen = ext.plen
            if pa != u64(EROFS_NULL_ADDR):
                map.m_pa = pa
                pa = u64(pa + (map.m_plen & Z_EROFS_EXTENT_PLEN_MASK))
            else:
                map.m_pa = ext.pstart_lo
            pos += recsz
            lstart = u64(lstart + lclustersize)
        last = lstart >= round_up(lend, 1 << vi.z_lclusterbits)
        lend = min(lstart, lend)
        lstart = u64(lstart - lclustersize)
    else:
        lstart = lend
        l = 0
        r = vi.z_extents
        while l < r:
            mid = l + (r - l) // 2
            ext = erofs_read_metabuf(map.buf, sb,
                                     u64(pos + mid * recsz), in_mbox)
            if IS_ERR(ext):
                return PTR_ERR(ext)
            ext = z_erofs_extent(ext)

            la = ext.lstart_lo
            pa = ext.pstart_lo | ext.pstart_hi << 32
            if recsz > _OFF_LSTART_HI:
                la |= ext.lstart_hi << 32

            if la > map.m_la:
                r = mid
                if la > lend:
                    DBG_BUGON(1)
                    return -EFSCORRUPTED
                lend = la
            else:
                l = mid + 1
                if map.m_la == la:
                    r = min(l + 1, r)
                lstart = la
                map.m_plen = ext.plen
                map.m_pa = pa
        last = l >= vi.z_extents

    if lstart < lend:
        map.m_la = lstart
        if last and vi.z_advise & Z_EROFS_ADVISE_FRAGMENT_PCLUSTER:
            map.m_flags = EROFS_MAP_FRAGMENT
            vi.z_fragmentoff = map.m_plen
            if recsz > _OFF_PSTART_LO:
                vi.z_fragmentoff |= u64(map.m_pa << 32)
        elif map.m_plen & Z_EROFS_EXTENT_PLEN_MASK:
            map.m_flags |= EROFS_MAP_MAPPED
            fmt = map.m_plen >> Z_EROFS_EXTENT_PLEN_FMT_BIT
            if map.m_plen & Z_EROFS_EXTENT_PLEN_PARTIAL:
                map.m_flags |= EROFS_MAP_PARTIAL_REF
            map.m_plen &= Z_EROFS_EXTENT_PLEN_MASK
            if fmt:
                fmt -= 1
                map.m_algorithmformat = fmt
                if fmt >= Z_EROFS_COMPRESSION_MAX:
                    erofs_err(sb, "unknown algorithm %d @ pos %llu for nid %llu, please upgrade kernel",
                              fmt, map.m_la, vi.nid)
                    return -EOPNOTSUPP
            elif interlaced and not ((map.m_pa | map.m_plen) & bmask):
                map.m_algorithmformat = \
                    Z_EROFS_COMPRESSION_INTERLACED
            else:
                map.m_algorithmformat = \
                    Z_EROFS_COMPRESSION_SHIFTED
    map.m_llen = u64(lend - map.m_la)
    return 0


@port_of(P, "z_erofs_fill_inode")
def z_erofs_fill_inode(inode: Inode, map: erofs_map_blocks) -> int:
    vi = EROFS_I(inode)
    sb = inode.i_sb

    if test_bit(EROFS_I_Z_INITED_BIT, vi.flags):
        return 0

    if wait_on_bit_lock(vi.flags, EROFS_I_BL_Z_BIT, TASK_KILLABLE):
        return -ERESTARTSYS

    try:
        if test_bit(EROFS_I_Z_INITED_BIT, vi.flags):
            return 0

        pos = ALIGN(erofs_iloc(inode) + vi.inode_isize + vi.xattr_isize, 8)
        h = erofs_read_metabuf(map.buf, sb, pos, erofs_inode_in_metabox(inode))
        if IS_ERR(h):
            return PTR_ERR(h)
        h = z_erofs_map_header(h)

        # if the highest bit of the 8-byte map header is set, the whole file
        # is stored in the packed inode. The rest bits keeps z_fragmentoff.
        if h.h_clusterbits >> Z_EROFS_FRAGMENT_INODE_BIT:
            vi.z_advise = Z_EROFS_ADVISE_FRAGMENT_PCLUSTER
            vi.z_fragmentoff = get_unaligned_le64(h.p) ^ (1 << 63)
            vi.z_tailextent_headlcn = 0
            set_bit(EROFS_I_Z_INITED_BIT, vi.flags)
            return 0
        vi.z_advise = h.h_advise
        vi.z_lclusterbits = u8(sb.s_blocksize_bits + (h.h_clusterbits & 15))
        if (vi.datalayout == EROFS_INODE_COMPRESSED_FULL and
                vi.z_advise & Z_EROFS_ADVISE_EXTENTS):
            vi.z_extents = (h.h_extents_lo |
                            h.h_extents_hi << 32)
            set_bit(EROFS_I_Z_INITED_BIT, vi.flags)
            return 0

        if vi.z_advise & Z_EROFS_ADVISE_FRAGMENT_PCLUSTER:
            vi.z_fragmentoff = h.h_fragmentoff
        elif vi.z_advise & Z_EROFS_ADVISE_INLINE_PCLUSTER:
            vi.z_idata_size = h.h_idata_size
        for nr in range(2):
            vi.z_algofmt[nr] = (h.h_algorithmtype >> (4 * nr)) & 15
            if vi.z_algofmt[nr] >= Z_EROFS_COMPRESSION_MAX:
                erofs_err(sb, "unknown HEAD%u format %u for nid %llu, please upgrade kernel",
                          nr + 1, vi.z_algofmt[nr], vi.nid)
                return -EOPNOTSUPP

        if (not erofs_sb_has_big_pcluster(EROFS_SB(sb)) and
                vi.z_advise & (Z_EROFS_ADVISE_BIG_PCLUSTER_1 |
                               Z_EROFS_ADVISE_BIG_PCLUSTER_2)):
            erofs_err(sb, "per-inode big pcluster without sb feature for nid %llu",
                      vi.nid)
            return -EFSCORRUPTED
        # C: a && !(x & PCL_1) ^ !(x & PCL_2), and ^ binds tighter than &&
        if (vi.datalayout == EROFS_INODE_COMPRESSED_COMPACT and
                (not vi.z_advise & Z_EROFS_ADVISE_BIG_PCLUSTER_1) ^
                (not vi.z_advise & Z_EROFS_ADVISE_BIG_PCLUSTER_2)):
            erofs_err(sb, "big pcluster head1/2 of compact indexes should be consistent for nid %llu",
                      vi.nid)
            return -EFSCORRUPTED

        if (vi.z_idata_size or
                vi.z_advise & Z_EROFS_ADVISE_FRAGMENT_PCLUSTER):
            tm = erofs_map_blocks()

            err = z_erofs_map_blocks_fo(inode, tm,
                                        EROFS_GET_BLOCKS_FINDTAIL)
            erofs_put_metabuf(tm.buf)
            if err < 0:
                return err
        # done:
        set_bit(EROFS_I_Z_INITED_BIT, vi.flags)
        return 0
    finally:
        # out_unlock:
        clear_and_wake_up_bit(EROFS_I_BL_Z_BIT, vi.flags)


@port_of(P, "z_erofs_map_sanity_check")
def z_erofs_map_sanity_check(inode: Inode, map: erofs_map_blocks) -> int:
    sbi = EROFS_I_SB(inode)

    if not (map.m_flags & EROFS_MAP_MAPPED):
        return 0

    DBG_BUGON(map.m_algorithmformat >= Z_EROFS_COMPRESSION_RUNTIME_MAX)
    if map.m_algorithmformat < Z_EROFS_COMPRESSION_MAX:
        if not (sbi.available_compr_algs & BIT(map.m_algorithmformat)):
            erofs_err(inode.i_sb, "inconsistent algorithmtype %u for nid %llu",
                      map.m_algorithmformat, EROFS_I(inode).nid)
            return -EFSCORRUPTED
        if (EROFS_MAP_FULL(map.m_flags) and map.m_llen < map.m_plen and
                u64(map.m_la + map.m_llen) < inode.i_size):
            erofs_err(inode.i_sb, "too much compressed data @ la %llu of nid %llu",
                      map.m_la, EROFS_I(inode).nid)
            return -EFSCORRUPTED
    elif map.m_llen > map.m_plen:
        erofs_err(inode.i_sb, "not enough plain data on disk @ la %llu of nid %llu",
                  map.m_la, EROFS_I(inode).nid)
        return -EFSCORRUPTED
    if (map.m_plen > Z_EROFS_PCLUSTER_MAX_SIZE or
            map.m_llen > Z_EROFS_PCLUSTER_MAX_DSIZE):
        return -EOPNOTSUPP
    # Filesystems beyond 48-bit physical block addresses are invalid
    overflow, pend = check_add_overflow(map.m_pa, map.m_plen)
    if overflow or (pend >> sbi.blkszbits) >= BIT_ULL(48):
        return -EFSCORRUPTED
    return 0


@port_of(P, "z_erofs_map_blocks_iter")
def z_erofs_map_blocks_iter(inode: Inode, map: erofs_map_blocks, flags: int) -> int:
    """Map the extent that contains ``map.m_la``.

    ``int z_erofs_map_blocks_iter(struct inode *inode, struct erofs_map_blocks *map, int flags)``

    Return: 0, or -EFSCORRUPTED for an index that contradicts itself, -EOPNOTSUPP for what this kernel does not know, -EIO and -ENOMEM from
    reading metadata, -ERESTARTSYS for a fatal signal; then ``map.m_llen`` is 0.
    """
    vi = EROFS_I(inode)
    err = 0

    if this.watch is not None:
        trace("erofs_map_blocks_enter", inode=inode, map=map, flags=flags)
    if map.m_la >= inode.i_size:            # post-EOF unmapped extent
        map.m_llen = map.m_la + 1 - inode.i_size
        map.m_la = inode.i_size
        map.m_flags = 0
    else:
        err = z_erofs_fill_inode(inode, map)
        if not err:
            if (vi.datalayout == EROFS_INODE_COMPRESSED_FULL and
                    vi.z_advise & Z_EROFS_ADVISE_EXTENTS):
                err = z_erofs_map_blocks_ext(inode, map, flags)
            else:
                err = z_erofs_map_blocks_fo(inode, map, flags)
        if not err:
            err = z_erofs_map_sanity_check(inode, map)
        if err:
            map.m_llen = 0
    if this.watch is not None:
        trace("erofs_map_blocks_exit", inode=inode, map=map, flags=flags, ret=err)
    return err


@port_of(P, "z_erofs_iomap_begin_report")
def z_erofs_iomap_begin_report(inode: Inode, offset: int, length: int, flags: int, iomap, srcmap) -> int:
    map = erofs_map_blocks(m_la=offset)

    ret = z_erofs_map_blocks_iter(inode, map, EROFS_GET_BLOCKS_FIEMAP)
    erofs_put_metabuf(map.buf)
    if ret < 0:
        return ret

    iomap.bdev = inode.i_sb.s_bdev
    iomap.offset = map.m_la
    iomap.length = map.m_llen
    if map.m_flags & EROFS_MAP_FRAGMENT:
        iomap.type = IOMAP_MAPPED
        iomap.addr = IOMAP_NULL_ADDR
    elif map.m_flags & EROFS_MAP_MAPPED:
        iomap.type = IOMAP_MAPPED
        iomap.addr = map.m_pa
    else:
        iomap.type = IOMAP_HOLE
        iomap.addr = IOMAP_NULL_ADDR
        # No strict rule on how to describe extents for post EOF, yet
        # we need to do like below. Otherwise, iomap itself will get
        # into an endless loop on post EOF.
        #
        # Calculate the effective offset by subtracting extent start
        # (map.m_la) from the requested offset, and add it to length.
        # (NB: offset >= map.m_la always)
        if iomap.offset >= inode.i_size:
            iomap.length = length + offset - map.m_la
    iomap.flags = 0
    return 0


z_erofs_iomap_report_ops = iomap_ops(iomap_begin=z_erofs_iomap_begin_report)
