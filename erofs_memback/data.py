# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/data.c: metadata buffers, block mapping, devices, and reading of uncompressed files."""
from __future__ import annotations

from typing import Any

from kemu.linux.atomic import cmpxchg
from kemu.linux.bits import BIT, BIT_ULL
from kemu.linux.blkdev import file_bdev
from kemu.linux.dax import dax_iomap_fault, dax_iomap_rw
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EFSCORRUPTED, EINVAL, ENODEV, EOPNOTSUPP
from kemu.linux.fiemap import FiemapExtentInfo
from kemu.linux.fs import (
    IOCB_DIRECT,
    IS_DAX,
    SEEK_DATA,
    SEEK_HOLE,
    AddressSpace,
    File,
    Inode,
    Kiocb,
    SuperBlock,
    address_space_operations,
    file_inode,
    file_operations,
    generic_file_llseek,
    generic_file_readonly_mmap_prepare,
    iput,
    noop_direct_IO,
    rw_verify_area,
    vfs_setpos,
)
from kemu.linux.fs import READ as FS_READ
from kemu.linux.highmem import kmap_local_page, kunmap_local
from kemu.linux.idr import idr_find, idr_for_each_entry
from kemu.linux.iomap import (
    IOMAP_DAX,
    IOMAP_HOLE,
    IOMAP_INLINE,
    IOMAP_MAPPED,
    IOMAP_NULL_ADDR,
    Iomap,
    iomap_bio_read_ops,
    iomap_bmap,
    iomap_dio_rw,
    iomap_fiemap,
    iomap_invalidate_folio,
    iomap_ops,
    iomap_read_folio,
    iomap_read_folio_ctx,
    iomap_readahead,
    iomap_release_folio,
    iomap_seek_data,
    iomap_seek_hole,
)
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.math import ALIGN, min_t, round_up
from kemu.linux.mm import (
    Page,
    flush_dcache_folio,
    folio_put,
    page_folio,
    vm_fault,
    vm_operations_struct,
    vma_desc_set_flags,
    vma_desc_test_all,
)
from kemu.linux.mm_types import VMA_HUGEPAGE_BIT, VMA_MAYWRITE_BIT, VMA_SHARED_BIT, vm_area_desc
from kemu.linux.page import arch
from kemu.linux.pagemap import (
    ReadaheadControl,
    filemap_read,
    folio_contains,
    folio_end_read,
    folio_file_page,
    folio_inode,
    read_mapping_folio,
    readahead_count,
    readahead_index,
)
from kemu.linux.port.honesty import port_of
from kemu.linux.rwsem import down_read, up_read
from kemu.linux.splice import filemap_splice_read
from kemu.linux.stat import S_ISBLK
from kemu.linux.tracepoint import trace
from kemu.linux.types import NULL, Ref, container_of, loff_t, pgoff_t, u64
from kemu.linux.uio import IovIter, iov_iter_count
from kemu.linux.unaligned import get_unaligned_le32

from erofs_memback.internal import (
    DBG_BUGON,
    EROFS_BLOCK_MAP_ENTRY_SIZE,
    EROFS_CHUNK_FORMAT_48BIT,
    EROFS_CHUNK_FORMAT_INDEXES,
    EROFS_I,
    EROFS_INODE_CHUNK_BASED,
    EROFS_INODE_FLAT_INLINE,
    EROFS_MAP_MAPPED,
    EROFS_MAP_META,
    EROFS_NULL_ADDR,
    EROFS_SB,
    erofs_blknr,
    erofs_blkoff,
    erofs_buf,
    erofs_device_info,
    erofs_err,
    erofs_iblks,
    erofs_iloc,
    erofs_inode_chunk_index,
    erofs_inode_in_metabox,
    erofs_inode_is_data_compressed,
    erofs_is_fileio_mode,
    erofs_pos,
    struct_erofs_map_blocks,
    struct_erofs_map_dev,
)
from erofs_memback.ishare import erofs_real_inode

_NULL_ADDR = u64(EROFS_NULL_ADDR)       # as an erofs_blk_t


@port_of("fs/erofs/data.c", "erofs_unmap_metabuf")
def erofs_unmap_metabuf(buf: erofs_buf) -> None:
    if not buf.base:
        return
    kunmap_local(buf.base)
    buf.base = 0


@port_of("fs/erofs/data.c", "erofs_put_metabuf")
def erofs_put_metabuf(buf: erofs_buf) -> None:
    if not buf.page:
        return
    erofs_unmap_metabuf(buf)
    folio_put(page_folio(buf.page))
    buf.page = NULL


@port_of("fs/erofs/data.c", "erofs_bread")
def erofs_bread(buf: erofs_buf, offset: int, need_kmap: bool) -> Any:
    """An address (None without ``need_kmap``) or ERR_PTR: what read_mapping_folio() or rw_verify_area() said."""
    offset = u64(buf.off + offset)
    index = pgoff_t(offset >> arch.PAGE_SHIFT)
    folio: Page = NULL

    # Metadata access for file-backed mounts reuses page cache of backing fs inodes (only folio data will be needed) to prevent
    # double caching. However, the data access range must be verified here in advance.
    if buf.file:
        fpos = loff_t(index << arch.PAGE_SHIFT)
        err = rw_verify_area(FS_READ, buf.file, fpos, arch.PAGE_SIZE)
        if err < 0:
            return ERR_PTR(err)

    if buf.page:
        folio = page_folio(buf.page)
        if folio_file_page(folio, index) is not buf.page:
            erofs_unmap_metabuf(buf)
    if not folio or not folio_contains(folio, index):
        erofs_put_metabuf(buf)
        folio = read_mapping_folio(buf.mapping, index, buf.file)
        if IS_ERR(folio):
            return folio
    buf.page = folio_file_page(folio, index)
    if not need_kmap:
        return NULL
    if not buf.base:
        buf.base = kmap_local_page(buf.page)
    return buf.base + (offset & (arch.PAGE_SIZE - 1))


@port_of("fs/erofs/data.c", "erofs_init_metabuf")
def erofs_init_metabuf(buf: erofs_buf, sb: SuperBlock, in_metabox: bool) -> int:
    sbi = EROFS_SB(sb)

    buf.file = NULL
    if in_metabox:
        if not sbi.metabox_inode:
            return -EFSCORRUPTED
        buf.mapping = sbi.metabox_inode.i_mapping
        return 0
    buf.off = sbi.dif0.fsoff
    if erofs_is_fileio_mode(sbi):
        buf.file = sbi.dif0.file        # some fs like FUSE needs it
        buf.mapping = buf.file.f_mapping
    else:
        buf.mapping = sb.s_bdev.bd_mapping
    return 0


@port_of("fs/erofs/data.c", "erofs_read_metabuf")
def erofs_read_metabuf(buf: erofs_buf, sb: SuperBlock, offset: int, in_metabox: bool) -> int:
    err = erofs_init_metabuf(buf, sb, in_metabox)
    if err:
        return ERR_PTR(err)
    return erofs_bread(buf, offset, True)


@port_of("fs/erofs/data.c", "erofs_map_chunks")
def erofs_map_chunks(inode: Inode, map: struct_erofs_map_blocks) -> int:
    buf = erofs_buf()
    sb = inode.i_sb
    vi = EROFS_I(inode)
    unit = erofs_inode_chunk_index.SIZE if vi.chunkformat & EROFS_CHUNK_FORMAT_INDEXES else EROFS_BLOCK_MAP_ENTRY_SIZE
    addrmask = BIT_ULL(48) - 1 if vi.chunkformat & EROFS_CHUNK_FORMAT_48BIT else BIT_ULL(32) - 1
    nr, chunksize = map.m_la >> vi.chunkbits, u64(1 << vi.chunkbits)
    pos = u64(ALIGN(erofs_iloc(inode) + vi.inode_isize + vi.xattr_isize, unit) + unit * nr)
    # m_llen will be clamped to EOF in the end
    endpos = u64(round_up(pos + 1, sb.s_blocksize))

    idx = erofs_read_metabuf(buf, sb, pos, erofs_inode_in_metabox(inode))
    if IS_ERR(idx):
        return PTR_ERR(idx)

    map.m_la = u64(nr << vi.chunkbits)
    map.m_llen = 0
    nr = 0
    last = 0
    while True:
        if unit == EROFS_BLOCK_MAP_ENTRY_SIZE:
            addr = get_unaligned_le32(idx + nr * unit)
            if addr == _NULL_ADDR & 0xFFFF_FFFF:
                addr = _NULL_ADDR
        else:
            ci = erofs_inode_chunk_index(idx)
            addr = ((ci[nr].startblk_hi << 32) | ci[nr].startblk_lo) & addrmask
            if addr ^ (_NULL_ADDR & addrmask):
                addr |= (ci[nr].device_id & EROFS_SB(sb).device_id_mask) << 48
            else:
                addr = _NULL_ADDR
        if not nr:
            last = addr
        else:
            # expand and account the prior chunk here
            map.m_llen = u64(map.m_llen + chunksize)
            if last != _NULL_ADDR:
                last = u64(last + erofs_blknr(sb, chunksize))
        if addr != last:
            break
        nr += 1
        if not u64(pos + nr * unit) < endpos:
            break

    if last != _NULL_ADDR:
        map.m_pa = u64(erofs_pos(sb, last & addrmask) - map.m_llen)
        map.m_deviceid = last >> 48
        map.m_flags = EROFS_MAP_MAPPED
    if addr == last:
        map.m_llen = u64(map.m_llen + chunksize)
    map.m_llen = min_t(u64, map.m_llen, round_up(u64(inode.i_size - map.m_la), sb.s_blocksize))
    erofs_put_metabuf(buf)
    return 0


@port_of("fs/erofs/data.c", "erofs_map_blocks")
def erofs_map_blocks(inode: Inode, map: struct_erofs_map_blocks) -> int:
    sb = inode.i_sb
    vi = EROFS_I(inode)
    tailinline = vi.datalayout == EROFS_INODE_FLAT_INLINE
    err = 0

    trace("erofs_map_blocks_enter", inode=inode, map=map, flags=0)
    map.m_deviceid = 0
    map.m_flags = 0
    if map.m_la >= inode.i_size:
        pass
    elif vi.datalayout == EROFS_INODE_CHUNK_BASED:
        err = erofs_map_chunks(inode, map)
    elif tailinline or vi.startblk != _NULL_ADDR:
        pos = erofs_pos(sb, erofs_iblks(inode) - tailinline)
        map.m_flags = EROFS_MAP_MAPPED
        if map.m_la < pos:
            map.m_pa = u64(erofs_pos(sb, vi.startblk) + map.m_la)
            map.m_llen = pos - map.m_la
        else:
            map.m_pa = u64(erofs_iloc(inode) + vi.inode_isize + vi.xattr_isize + erofs_blkoff(sb, map.m_la))
            map.m_llen = inode.i_size - map.m_la
            map.m_flags |= EROFS_MAP_META
            if erofs_blkoff(sb, map.m_pa) + map.m_llen > sb.s_blocksize:
                erofs_err(sb, "inline data across blocks @ nid %llu", vi.nid)
                return -EFSCORRUPTED
    map.m_plen = 0 if err else map.m_llen
    trace("erofs_map_blocks_exit", inode=inode, map=map, flags=0, ret=err)
    return err


@port_of("fs/erofs/data.c", "erofs_fill_from_devinfo")
def erofs_fill_from_devinfo(map: struct_erofs_map_dev, sb: SuperBlock, dif: erofs_device_info) -> None:
    map.m_sb = sb
    map.m_dif = dif
    map.m_bdev = NULL
    if dif.file and S_ISBLK(file_inode(dif.file).i_mode):
        map.m_bdev = file_bdev(dif.file)


@port_of("fs/erofs/data.c", "erofs_map_dev")
def erofs_map_dev(sb: SuperBlock, map: struct_erofs_map_dev) -> int:
    devs = EROFS_SB(sb).devs

    erofs_fill_from_devinfo(map, sb, EROFS_SB(sb).dif0)
    map.m_bdev = sb.s_bdev      # use s_bdev for the primary device
    if map.m_deviceid:
        down_read(devs.rwsem)
        dif = idr_find(devs.tree, map.m_deviceid - 1)
        if not dif:
            up_read(devs.rwsem)
            return -ENODEV
        if devs.flatdev:
            map.m_pa = u64(map.m_pa + erofs_pos(sb, dif.uniaddr))
            up_read(devs.rwsem)
            return 0
        erofs_fill_from_devinfo(map, sb, dif)
        up_read(devs.rwsem)
    elif devs.extra_devices and not devs.flatdev:
        down_read(devs.rwsem)
        for id, dif in idr_for_each_entry(devs.tree):
            if not dif.uniaddr:
                continue

            startoff = erofs_pos(sb, dif.uniaddr)
            if map.m_pa >= startoff and map.m_pa < u64(startoff + erofs_pos(sb, dif.blocks)):
                map.m_pa -= startoff
                erofs_fill_from_devinfo(map, sb, dif)
                break
        up_read(devs.rwsem)
    return 0


# bit 30: I/O error occurred on this folio
# bit 29: CPU has dirty data in D-cache (needs aliasing handling);
# bit 0 - 29: remaining parts to complete this folio
EROFS_ONLINEFOLIO_EIO = 30
EROFS_ONLINEFOLIO_DIRTY = 29


@port_of("fs/erofs/data.c", "erofs_onlinefolio_init")
def erofs_onlinefolio_init(folio: Page) -> None:
    folio.private = 1       # valid only if file-backed folio is locked


@port_of("fs/erofs/data.c", "erofs_onlinefolio_split")
def erofs_onlinefolio_split(folio: Page) -> None:
    folio.private += 1


@port_of("fs/erofs/data.c", "erofs_onlinefolio_end")
def erofs_onlinefolio_end(folio: Page, err: int, dirty: bool) -> None:
    while True:
        orig = folio.private
        DBG_BUGON(orig <= 0)
        v = dirty << EROFS_ONLINEFOLIO_DIRTY
        v |= (orig - 1) | ((err != 0) << EROFS_ONLINEFOLIO_EIO)
        if cmpxchg(folio, "private", orig, v) == orig:
            break

    if v & (BIT(EROFS_ONLINEFOLIO_DIRTY) - 1):
        return
    folio.private = 0
    if v & BIT(EROFS_ONLINEFOLIO_DIRTY):
        flush_dcache_folio(folio)
    folio_end_read(folio, not (v & BIT(EROFS_ONLINEFOLIO_EIO)))


class erofs_iomap_iter_ctx:
    __slots__ = ("page", "base", "realinode")

    def __init__(self, realinode: Inode) -> None:
        self.page: Page = NULL
        self.base = 0
        self.realinode = realinode


@port_of("fs/erofs/data.c", "erofs_iomap_begin")
def erofs_iomap_begin(inode: Inode, offset: int, length: int, flags: int, iomap: Iomap, srcmap: Iomap) -> int:
    iter = container_of(iomap, "iomap")
    ctx = iter.private
    realinode = ctx.realinode if ctx else inode
    sb = realinode.i_sb
    map = struct_erofs_map_blocks()

    map.m_la = offset
    map.m_llen = length
    ret = erofs_map_blocks(realinode, map)
    if ret < 0:
        return ret

    iomap.offset = map.m_la
    iomap.length = map.m_llen
    iomap.flags = 0
    iomap.addr = IOMAP_NULL_ADDR
    if not map.m_flags & EROFS_MAP_MAPPED:
        iomap.type = IOMAP_HOLE
        return 0

    if not map.m_flags & EROFS_MAP_META or not erofs_inode_in_metabox(realinode):
        mdev = struct_erofs_map_dev(m_deviceid=map.m_deviceid, m_pa=map.m_pa)
        ret = erofs_map_dev(sb, mdev)
        if ret:
            return ret

        if flags & IOMAP_DAX:
            iomap.dax_dev = mdev.m_dif.dax_dev
        else:
            iomap.bdev = mdev.m_bdev
        iomap.addr = u64(mdev.m_dif.fsoff + mdev.m_pa)
        if flags & IOMAP_DAX:
            iomap.addr = u64(iomap.addr + mdev.m_dif.dax_part_off)

    if map.m_flags & EROFS_MAP_META:
        iomap.type = IOMAP_INLINE
        # read context should read the inlined data
        if ctx:
            buf = erofs_buf()

            ptr = erofs_read_metabuf(buf, sb, map.m_pa, erofs_inode_in_metabox(realinode))
            if IS_ERR(ptr):
                return PTR_ERR(ptr)
            iomap.inline_data = ptr
            ctx.page = buf.page
            ctx.base = buf.base
    else:
        iomap.type = IOMAP_MAPPED
    return 0


@port_of("fs/erofs/data.c", "erofs_iomap_end")
def erofs_iomap_end(inode: Inode, pos: int, length: int, written: int, flags: int, iomap: Iomap) -> int:
    iter = container_of(iomap, "iomap")
    ctx = iter.private

    if ctx and ctx.base:
        buf = erofs_buf(page=ctx.page, base=ctx.base)

        DBG_BUGON(iomap.type != IOMAP_INLINE)
        erofs_put_metabuf(buf)
        ctx.base = 0
    return written


erofs_iomap_ops = iomap_ops(
    iomap_begin=erofs_iomap_begin,
    iomap_end=erofs_iomap_end,
)


@port_of("fs/erofs/data.c", "erofs_fiemap")
def erofs_fiemap(inode: Inode, fieinfo: FiemapExtentInfo, start: int, len_: int) -> int:
    if erofs_inode_is_data_compressed(EROFS_I(inode).datalayout):
        if not IS_ENABLED("CONFIG_EROFS_FS_ZIP"):
            return -EOPNOTSUPP
        from erofs_memback.zmap import z_erofs_iomap_report_ops  # noqa: PLC0415  (zmap.py needs this file)

        return iomap_fiemap(inode, fieinfo, start, len_, z_erofs_iomap_report_ops)
    return iomap_fiemap(inode, fieinfo, start, len_, erofs_iomap_ops)


@port_of("fs/erofs/data.c", "erofs_read_folio")
def erofs_read_folio(file: File, folio: Page) -> int:
    """Since we dont have write or truncate flows, so no inode locking needs to be held at the moment."""
    read_ctx = iomap_read_folio_ctx(ops=iomap_bio_read_ops, cur_folio=folio)
    need_iput = Ref(False)
    iter_ctx = erofs_iomap_iter_ctx(realinode=erofs_real_inode(folio_inode(folio), need_iput))

    trace("erofs_read_folio", inode=iter_ctx.realinode, folio=folio, raw=True)
    iomap_read_folio(erofs_iomap_ops, read_ctx, iter_ctx)
    if need_iput.v:
        iput(iter_ctx.realinode)
    return 0


@port_of("fs/erofs/data.c", "erofs_readahead")
def erofs_readahead(rac: ReadaheadControl) -> None:
    read_ctx = iomap_read_folio_ctx(ops=iomap_bio_read_ops, rac=rac)
    need_iput = Ref(False)
    iter_ctx = erofs_iomap_iter_ctx(realinode=erofs_real_inode(rac.mapping.host, need_iput))

    trace("erofs_readahead", inode=iter_ctx.realinode, start=readahead_index(rac), nrpage=readahead_count(rac), raw=True)
    iomap_readahead(erofs_iomap_ops, read_ctx, iter_ctx)
    if need_iput.v:
        iput(iter_ctx.realinode)


@port_of("fs/erofs/data.c", "erofs_bmap")
def erofs_bmap(mapping: AddressSpace, block: int) -> int:
    return iomap_bmap(mapping, block, erofs_iomap_ops)


@port_of("fs/erofs/data.c", "erofs_file_read_iter")
def erofs_file_read_iter(iocb: Kiocb, to: IovIter) -> int:
    inode = file_inode(iocb.ki_filp)

    # no need taking (shared) inode lock since it's a ro filesystem
    if not iov_iter_count(to):
        return 0

    if IS_ENABLED("CONFIG_FS_DAX") and IS_DAX(inode):
        return dax_iomap_rw(iocb, to, erofs_iomap_ops)

    if iocb.ki_flags & IOCB_DIRECT and inode.i_sb.s_bdev:
        iter_ctx = erofs_iomap_iter_ctx(realinode=inode)

        return iomap_dio_rw(iocb, to, erofs_iomap_ops, None, 0, iter_ctx, 0)
    return filemap_read(iocb, to, 0)


# for uncompressed (aligned) files and raw access for other files
erofs_aops = address_space_operations(
    read_folio=erofs_read_folio,
    readahead=erofs_readahead,
    bmap=erofs_bmap,
    direct_IO=noop_direct_IO,
    release_folio=iomap_release_folio,
    invalidate_folio=iomap_invalidate_folio,
)


@port_of("fs/erofs/data.c", "erofs_dax_huge_fault")
def erofs_dax_huge_fault(vmf: vm_fault, order: int) -> int:
    return dax_iomap_fault(vmf, order, NULL, NULL, erofs_iomap_ops)


@port_of("fs/erofs/data.c", "erofs_dax_fault")
def erofs_dax_fault(vmf: vm_fault) -> int:
    return erofs_dax_huge_fault(vmf, 0)


erofs_dax_vm_ops = vm_operations_struct(
    fault=erofs_dax_fault,
    huge_fault=erofs_dax_huge_fault,
)


@port_of("fs/erofs/data.c", "erofs_file_mmap_prepare")
def erofs_file_mmap_prepare(desc: vm_area_desc) -> int:
    if not IS_DAX(file_inode(desc.file)):
        return generic_file_readonly_mmap_prepare(desc)

    if vma_desc_test_all(desc, VMA_SHARED_BIT, VMA_MAYWRITE_BIT):
        return -EINVAL

    desc.vm_ops = erofs_dax_vm_ops
    vma_desc_set_flags(desc, VMA_HUGEPAGE_BIT)
    return 0


@port_of("fs/erofs/data.c", "erofs_file_llseek")
def erofs_file_llseek(file: File, offset: int, whence: int) -> int:
    inode = file.f_mapping.host
    ops = erofs_iomap_ops

    if erofs_inode_is_data_compressed(EROFS_I(inode).datalayout):
        if not IS_ENABLED("CONFIG_EROFS_FS_ZIP"):
            return generic_file_llseek(file, offset, whence)
        from erofs_memback.zmap import z_erofs_iomap_report_ops  # noqa: PLC0415  (zmap.py needs this file)

        ops = z_erofs_iomap_report_ops

    if whence == SEEK_HOLE:
        offset = iomap_seek_hole(inode, offset, ops)
    elif whence == SEEK_DATA:
        offset = iomap_seek_data(inode, offset, ops)
    else:
        return generic_file_llseek(file, offset, whence)

    if offset < 0:
        return offset
    return vfs_setpos(file, offset, inode.i_sb.s_maxbytes)


# leases are not part of the emulated kernel; inode.py, which needs this file, adds .unlocked_ioctl = erofs_ioctl
erofs_file_fops = file_operations(
    llseek=erofs_file_llseek,
    read_iter=erofs_file_read_iter,
    mmap_prepare=erofs_file_mmap_prepare,
    splice_read=filemap_splice_read,
)
