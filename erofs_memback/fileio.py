# SPDX-License-Identifier: GPL-2.0-or-later
"""fs/erofs/fileio.c: reading from a backing file instead of a block device."""
from __future__ import annotations

from kemu.linux.bio import (
    REQ_OP_READ,
    Bio,
    bio_add_folio,
    bio_endio,
    bio_for_each_folio_all,
    bio_init,
    bio_uninit,
    errno_to_blk_status,
)
from kemu.linux.blk_types import SECTOR_SHIFT
from kemu.linux.bvec import BioVec
from kemu.linux.cred import scoped_with_creds
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EINTR, EIO, EIOCBQUEUED
from kemu.linux.fs import (
    FMODE_CAN_ODIRECT,
    IOCB_DIRECT,
    File,
    Inode,
    Kiocb,
    SuperBlock,
    address_space_operations,
    iput,
    vfs_iocb_iter_read,
)
from kemu.linux.gfp import __GFP_NOFAIL, GFP_KERNEL
from kemu.linux.highmem import folio_zero_segment, memcpy_to_folio
from kemu.linux.math import in_range, min_t
from kemu.linux.mm import Page, folio_size
from kemu.linux.page_flags import folio_test_uptodate
from kemu.linux.pagemap import ReadaheadControl, folio_inode, folio_pos, readahead_count, readahead_folio, readahead_index
from kemu.linux.port.honesty import port_of
from kemu.linux.refcount import refcount_dec_and_test, refcount_set, refcount_t
from kemu.linux.slab import kfree, kzalloc_obj
from kemu.linux.tracepoint import trace
from kemu.linux.types import NULL, Ref, container_of, loff_t, u64
from kemu.linux.uio import ITER_DEST, IovIter, iov_iter_bvec

from erofs_memback.data import (
    erofs_map_blocks,
    erofs_map_dev,
    erofs_onlinefolio_end,
    erofs_onlinefolio_init,
    erofs_onlinefolio_split,
    erofs_put_metabuf,
    erofs_read_metabuf,
)
from erofs_memback.internal import (
    DBG_BUGON,
    EROFS_I,
    EROFS_MAP_MAPPED,
    EROFS_MAP_META,
    EROFS_MOUNT_DIRECT_IO,
    EROFS_SB,
    erofs_buf,
    erofs_err,
    erofs_inode_in_metabox,
    struct_erofs_map_blocks,
    struct_erofs_map_dev,
    test_opt,
)
from erofs_memback.ishare import erofs_real_inode

_NR_BVECS = 16


class erofs_fileio_rq:
    __slots__ = ("bvecs", "bio", "iocb", "sb", "ref")

    def __init__(self) -> None:
        self.bvecs: list[BioVec] = []
        self.bio = Bio(self)
        self.iocb = Kiocb(self)
        self.sb: SuperBlock = NULL
        self.ref = refcount_t()


class erofs_fileio:
    __slots__ = ("map", "dev", "rq")

    def __init__(self) -> None:
        self.map = struct_erofs_map_blocks()
        self.dev = struct_erofs_map_dev()
        self.rq: erofs_fileio_rq = NULL


@port_of("fs/erofs/fileio.c", "erofs_fileio_ki_complete")
def erofs_fileio_ki_complete(iocb: Kiocb, ret: int) -> None:
    rq = container_of(iocb, "iocb")

    if ret >= 0 and ret != rq.bio.bi_iter.bi_size:
        ret = -EIO
    if not rq.bio.bi_end_io:
        for fi in bio_for_each_folio_all(rq.bio):
            DBG_BUGON(folio_test_uptodate(fi.folio))
            erofs_onlinefolio_end(fi.folio, ret < 0, False)
    elif ret < 0 and not rq.bio.bi_status:
        rq.bio.bi_status = errno_to_blk_status(ret)
    bio_endio(rq.bio)
    bio_uninit(rq.bio)
    if refcount_dec_and_test(rq.ref):
        kfree(rq)


@port_of("fs/erofs/fileio.c", "erofs_fileio_rq_submit")
def erofs_fileio_rq_submit(rq: erofs_fileio_rq) -> None:
    iter = IovIter()

    if not rq:
        return
    rq.iocb.ki_pos = loff_t(rq.bio.bi_iter.bi_sector << SECTOR_SHIFT)
    rq.iocb.ki_ioprio = 0       # get_current_ioprio(): tasks have none
    rq.iocb.ki_complete = erofs_fileio_ki_complete
    if test_opt(EROFS_SB(rq.sb).opt, EROFS_MOUNT_DIRECT_IO) and rq.iocb.ki_filp.f_mode & FMODE_CAN_ODIRECT:
        rq.iocb.ki_flags = IOCB_DIRECT
    iov_iter_bvec(iter, ITER_DEST, rq.bvecs, rq.bio.bi_vcnt, rq.bio.bi_iter.bi_size)
    with scoped_with_creds(rq.iocb.ki_filp.f_cred):
        ret = vfs_iocb_iter_read(rq.iocb.ki_filp, rq.iocb, iter)
    if ret != -EIOCBQUEUED:
        erofs_fileio_ki_complete(rq.iocb, ret)
    if refcount_dec_and_test(rq.ref):
        kfree(rq)


@port_of("fs/erofs/fileio.c", "erofs_fileio_rq_alloc")
def erofs_fileio_rq_alloc(mdev: struct_erofs_map_dev) -> erofs_fileio_rq:
    rq = kzalloc_obj(erofs_fileio_rq, GFP_KERNEL | __GFP_NOFAIL)

    bio_init(rq.bio, None, rq.bvecs, _NR_BVECS, REQ_OP_READ)
    rq.iocb.ki_filp = mdev.m_dif.file
    rq.sb = mdev.m_sb
    refcount_set(rq.ref, 2)
    return rq


@port_of("fs/erofs/fileio.c", "erofs_fileio_bio_alloc")
def erofs_fileio_bio_alloc(mdev: struct_erofs_map_dev) -> Bio:
    return erofs_fileio_rq_alloc(mdev).bio


@port_of("fs/erofs/fileio.c", "erofs_fileio_submit_bio")
def erofs_fileio_submit_bio(bio: Bio) -> None:
    erofs_fileio_rq_submit(container_of(bio, "bio"))


@port_of("fs/erofs/fileio.c", "erofs_fileio_scan_folio")
def erofs_fileio_scan_folio(io: erofs_fileio, inode: Inode, folio: Page) -> int:
    map = io.map
    cur, end, attached = 0, folio_size(folio), 0
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

        ofs = folio_pos(folio) + cur - map.m_la
        len_ = min_t(loff_t, map.m_llen - ofs, end - cur)
        if map.m_flags & EROFS_MAP_META:
            buf = erofs_buf()

            src = erofs_read_metabuf(buf, inode.i_sb, u64(map.m_pa + ofs), erofs_inode_in_metabox(inode))
            if IS_ERR(src):
                err = PTR_ERR(src)
                break
            memcpy_to_folio(folio, cur, src, len_)
            erofs_put_metabuf(buf)
        elif not map.m_flags & EROFS_MAP_MAPPED:
            folio_zero_segment(folio, cur, cur + len_)
            attached = 0
        else:
            io_retry = io.rq and (map.m_pa + ofs != io.dev.m_pa or map.m_deviceid != io.dev.m_deviceid)
            while True:
                if io_retry:
                    erofs_fileio_rq_submit(io.rq)
                    io.rq = NULL
                if not io.rq:
                    io.dev = struct_erofs_map_dev(m_pa=u64(io.map.m_pa + ofs), m_deviceid=io.map.m_deviceid)
                    err = erofs_map_dev(inode.i_sb, io.dev)
                    if err:
                        break
                    io.rq = erofs_fileio_rq_alloc(io.dev)
                    io.rq.bio.bi_iter.bi_sector = u64(io.dev.m_dif.fsoff + io.dev.m_pa) >> 9
                    attached = 0
                io_retry = not bio_add_folio(io.rq.bio, folio, len_, cur)
                if not io_retry:
                    break
            if err:
                break
            attached += 1
            if attached == 1:
                erofs_onlinefolio_split(folio)
            io.dev.m_pa += len_
        cur += len_
    erofs_onlinefolio_end(folio, err, False)
    return err


@port_of("fs/erofs/fileio.c", "erofs_fileio_read_folio")
def erofs_fileio_read_folio(file: File, folio: Page) -> int:
    need_iput = Ref(False)
    realinode = erofs_real_inode(folio_inode(folio), need_iput)
    io = erofs_fileio()

    trace("erofs_read_folio", inode=realinode, folio=folio, raw=True)
    err = erofs_fileio_scan_folio(io, realinode, folio)
    erofs_fileio_rq_submit(io.rq)
    if need_iput.v:
        iput(realinode)
    return err


@port_of("fs/erofs/fileio.c", "erofs_fileio_readahead")
def erofs_fileio_readahead(rac: ReadaheadControl) -> None:
    need_iput = Ref(False)
    realinode = erofs_real_inode(rac.mapping.host, need_iput)
    io = erofs_fileio()

    trace("erofs_readahead", inode=realinode, start=readahead_index(rac), nrpage=readahead_count(rac), raw=True)
    while True:
        folio = readahead_folio(rac)
        if not folio:
            break
        err = erofs_fileio_scan_folio(io, realinode, folio)
        if err and err != -EINTR:
            erofs_err(realinode.i_sb, "readahead error at folio %lu @ nid %llu", folio.index, EROFS_I(realinode).nid)
    erofs_fileio_rq_submit(io.rq)
    if need_iput.v:
        iput(realinode)


erofs_fileio_aops = address_space_operations(
    read_folio=erofs_fileio_read_folio,
    readahead=erofs_fileio_readahead,
)
