# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/zmap.c, first part: lcluster indexes, full and compact, and the way back to an extent's head."""
from __future__ import annotations

from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EFSCORRUPTED, EINVAL, EOPNOTSUPP
from kemu.linux.fs import Inode
from kemu.linux.math import ilog2, round_down, rounddown
from kemu.linux.port.honesty import port_of
from kemu.linux.port.layout import sizeof
from kemu.linux.types import s32, u16, u32, u64
from kemu.linux.unaligned import get_unaligned_le, get_unaligned_le32

from erofs_memback.data import erofs_read_metabuf
from erofs_memback.internal import *

P = "fs/erofs/zmap.c"

_SIZEOF_LCLUSTER_INDEX = sizeof(z_erofs_lcluster_index)
_D0_CBLKCNT_BITS = ilog2(Z_EROFS_LI_D0_CBLKCNT) + 1


class z_erofs_maprecorder:
    """``struct z_erofs_maprecorder``"""

    __slots__ = ("inode", "map", "lcn", "type", "headtype", "clusterofs", "delta", "pblk", "nextpackoff", "compressedblks",
                 "partialref", "in_mbox")

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
    """C gives the type through ``u8 *type``; here it is the second value. ``in_`` is the pack itself, where C has its address:
    the loops over a pack load it once.
    """
    v = in_ >> pos
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
        pos = u64(pos + compacted_4b_initial * 4)
        lcn -= compacted_4b_initial
        if lcn < compacted_2b:
            amortizedshift = 1
        else:
            pos = u64(pos + compacted_2b * 2)
            lcn -= compacted_2b
    pos = u64(pos + lcn * (1 << amortizedshift))

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
    lobits = max(lclusterbits, _D0_CBLKCNT_BITS)
    encodebits = ((vcnt << amortizedshift) - 4) * 8 // vcnt
    bytes = pos & ((vcnt << amortizedshift) - 1)
    in_ = get_unaligned_le(in_ - bytes, vcnt << amortizedshift)
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
    in_ >>= ((vcnt << amortizedshift) - 4) * 8
    m.pblk = u32(in_ + nblk)
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
