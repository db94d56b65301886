# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/zdata.c, last part: address space operations of compressed inodes.

The file is cut in six, see zdata_pcluster.py; what internal.h declares of it can be imported from here.
"""
from __future__ import annotations

from kemu.linux.err import IS_ERR_OR_NULL
from kemu.linux.errno import EINTR
from kemu.linux.fs import File, address_space_operations, i_size_read, iput
from kemu.linux.math import round_up
from kemu.linux.mm import Page, folio_get_private, folio_put
from kemu.linux.page import arch
from kemu.linux.page_flags import folio_test_uptodate
from kemu.linux.pagemap import (
    ReadaheadControl,
    folio_pos,
    folio_unlock,
    readahead_count,
    readahead_expand,
    readahead_folio,
    readahead_index,
    readahead_length,
    readahead_pos,
)
from kemu.linux.port.honesty import port_of
from kemu.linux.tracepoint import trace
from kemu.linux.types import NULL, Ref, u64

from erofs_memback.data import erofs_put_metabuf
from erofs_memback.internal import (
    EROFS_GET_BLOCKS_READMORE,
    EROFS_I,
    EROFS_MAP_MAPPED,
    erofs_err,
    erofs_grab_folio_nowait,
)
from erofs_memback.ishare import erofs_real_inode
from erofs_memback.zdata_cache import z_erofs_frontend, z_erofs_init_super
from erofs_memback.zdata_frontend import z_erofs_pcluster_end, z_erofs_scan_folio, z_erofs_shrink_scan
from erofs_memback.zdata_pcluster import z_erofs_exit_subsystem, z_erofs_init_subsystem
from erofs_memback.zdata_submit import z_erofs_runqueue
from erofs_memback.zmap import z_erofs_map_blocks_iter
from erofs_memback.zutil import erofs_release_pages

P = "fs/erofs/zdata.c"


# Since partial uptodate is still unimplemented for now, we have to use
# approximate readmore strategies as a start.
@port_of(P, "z_erofs_pcluster_readmore")
def z_erofs_pcluster_readmore(f: z_erofs_frontend, rac: ReadaheadControl, backmost: bool) -> None:
    inode = f.inode
    map = f.map
    headoffset = f.headoffset

    if backmost:
        if rac:
            end = u64(headoffset + readahead_length(rac) - 1)
        else:
            end = u64(headoffset + arch.PAGE_SIZE - 1)
        map.m_la = end
        err = z_erofs_map_blocks_iter(inode, map,
                                      EROFS_GET_BLOCKS_READMORE)
        if err or not (map.m_flags & EROFS_MAP_MAPPED):
            return

        # expand ra for the trailing edge if readahead
        if rac:
            cur = round_up(map.m_la + map.m_llen, arch.PAGE_SIZE)
            readahead_expand(rac, headoffset, cur - headoffset)
            return
        end = round_up(end, arch.PAGE_SIZE)
    else:
        end = round_up(map.m_la, arch.PAGE_SIZE)
        if not (map.m_flags & EROFS_MAP_MAPPED) or not map.m_llen:
            return

    cur = u64(map.m_la + map.m_llen - 1)
    while cur >= end and cur < i_size_read(inode):
        index = cur >> arch.PAGE_SHIFT

        folio = erofs_grab_folio_nowait(f.sharedinode.i_mapping, index)
        if not IS_ERR_OR_NULL(folio):
            if folio_test_uptodate(folio):
                folio_unlock(folio)
            else:
                z_erofs_scan_folio(f, folio, not not rac)
            folio_put(folio)

        if cur < arch.PAGE_SIZE:
            break
        cur = u64((index << arch.PAGE_SHIFT) - 1)


@port_of(P, "z_erofs_read_folio")
def z_erofs_read_folio(file: File, folio: Page) -> int:
    sharedinode = folio.mapping.host
    need_iput = Ref(False)
    realinode = erofs_real_inode(sharedinode, need_iput)
    f = z_erofs_frontend(realinode, sharedinode, folio_pos(folio))

    trace("erofs_read_folio", inode=realinode, folio=folio, raw=False)
    z_erofs_pcluster_readmore(f, NULL, True)
    err = z_erofs_scan_folio(f, folio, False)
    z_erofs_pcluster_readmore(f, NULL, False)
    z_erofs_pcluster_end(f)

    # if some pclusters are ready, need submit them anyway
    err = z_erofs_runqueue(f, 0) or err
    if err and err != -EINTR:
        erofs_err(realinode.i_sb, "read error %d @ %lu of nid %llu",
                  err, folio.index, EROFS_I(realinode).nid)

    erofs_put_metabuf(f.map.buf)
    erofs_release_pages(f.pagepool)

    if need_iput.v:
        iput(realinode)
    return err


@port_of(P, "z_erofs_readahead")
def z_erofs_readahead(rac: ReadaheadControl) -> None:
    sharedinode = rac.mapping.host
    need_iput = Ref(False)
    realinode = erofs_real_inode(sharedinode, need_iput)
    f = z_erofs_frontend(realinode, sharedinode, readahead_pos(rac))
    nrpages = readahead_count(rac)
    head = NULL

    trace("erofs_readahead", inode=realinode, start=readahead_index(rac), nrpage=nrpages, raw=False)
    z_erofs_pcluster_readmore(f, rac, True)
    while True:
        folio = readahead_folio(rac)
        if not folio:
            break
        folio.private = head
        head = folio

    # traverse in reverse order for best metadata I/O performance
    while head:
        folio = head
        head = folio_get_private(folio)

        err = z_erofs_scan_folio(f, folio, True)
        if err and err != -EINTR:
            erofs_err(realinode.i_sb, "readahead error at folio %lu @ nid %llu",
                      folio.index, EROFS_I(realinode).nid)
    z_erofs_pcluster_readmore(f, rac, False)
    z_erofs_pcluster_end(f)

    z_erofs_runqueue(f, nrpages << arch.PAGE_SHIFT)
    erofs_put_metabuf(f.map.buf)
    erofs_release_pages(f.pagepool)

    if need_iput.v:
        iput(realinode)


z_erofs_aops = address_space_operations(
    read_folio=z_erofs_read_folio,
    readahead=z_erofs_readahead,
)

__all__ = ["z_erofs_aops", "z_erofs_exit_subsystem", "z_erofs_init_subsystem", "z_erofs_init_super", "z_erofs_shrink_scan"]
