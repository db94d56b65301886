# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/decompressor.c: LZ4, plain pclusters, and what the streaming decompressors share.

``const char *`` reasons are a str, ERR_PTR or None. The array of decompressors is made when the file system is registered,
from the machine's configuration: C leaves its entries out with ``#ifdef``.
"""
from __future__ import annotations

from kemu.linux.bitops import for_each_set_bit
from kemu.linux.err import ERR_CAST, ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EFAULT, EINVAL, ENOMEM, EOPNOTSUPP
from kemu.linux.fs import SuperBlock
from kemu.linux.highmem import copy_highpage, kmap_local_page, kunmap_local, memcpy_to_page
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.lz4 import LZ4_DECOMPRESS_INPLACE_MARGIN, LZ4_decompress_safe, LZ4_decompress_safe_partial
from kemu.linux.mm import PAGE_ALIGN, PageHighMem, page_address, set_page_private
from kemu.linux.page import arch
from kemu.linux.port.honesty import port_of
from kemu.linux.port.layout import View
from kemu.linux.port.statics import statics
from kemu.linux.slab import kfree
from kemu.linux.string import memchr_inv, memcpy, memmove
from kemu.linux.types import NULL, Ref, u32
from kemu.linux.vmalloc import vm_unmap_ram

from erofs_memback.compress import Z_EROFS_SHORTLIVED_PAGE, z_erofs_decompress_req, z_erofs_decompressor, z_erofs_stream_dctx
from erofs_memback.data import erofs_init_metabuf, erofs_put_metabuf
from erofs_memback.internal import *
from erofs_memback.zutil import (
    __erofs_allocpage,
    z_erofs_gbuf_exit,
    z_erofs_gbuf_growsize,
    z_erofs_gbuf_init,
    z_erofs_get_gbuf,
    z_erofs_put_gbuf,
)

P = "fs/erofs/decompressor.c"


@port_of(P, "z_erofs_load_lz4_config")
def z_erofs_load_lz4_config(sb: SuperBlock, dsb: View, data: int, size: int) -> int:
    sbi = EROFS_SB(sb)

    if data:
        lz4 = z_erofs_lz4_cfgs(data)
        if size < z_erofs_lz4_cfgs.SIZE:
            erofs_err(sb, "invalid lz4 cfgs, size=%u", size)
            return -EINVAL
        sbi.lz4.max_pclusterblks = lz4.max_pclusterblks
        if not sbi.lz4.max_pclusterblks:
            sbi.lz4.max_pclusterblks = 1            # reserved case
        elif sbi.lz4.max_pclusterblks > erofs_blknr(sb, Z_EROFS_PCLUSTER_MAX_SIZE):
            erofs_err(sb, "too large lz4 pclusterblks %u",
                      sbi.lz4.max_pclusterblks)
            return -EINVAL
    else:
        distance = dsb.u1.lz4_max_distance
        if not distance and not erofs_sb_has_lz4_0padding(sbi):
            return 0
        sbi.lz4.max_pclusterblks = 1
        sbi.available_compr_algs = 1 << Z_EROFS_COMPRESSION_LZ4
    return z_erofs_gbuf_growsize(sbi.lz4.max_pclusterblks)


# Fill all gaps with bounce pages if it's a sparse page list (for example some
# folios are already uptodate and thus can be mapped into userspace). Also
# check if pages are physically consecutive, which can be seen for moderate CR.
@port_of(P, "z_erofs_oneshot_prepare_dstpages")
def z_erofs_oneshot_prepare_dstpages(rq: z_erofs_decompress_req, pagepool: Ref) -> int:
    kaddr = 0

    for i in range(rq.outpages):
        page = rq.out[i]
        if page:
            if (kaddr or not i) and not PageHighMem(page):
                if not i:
                    kaddr = page_address(page)
                    continue
                if kaddr and kaddr + arch.PAGE_SIZE == page_address(page):
                    kaddr += arch.PAGE_SIZE
                    continue
        else:
            victim = __erofs_allocpage(pagepool, rq.gfp, True)
            if not victim:
                return -ENOMEM
            set_page_private(victim, Z_EROFS_SHORTLIVED_PAGE)
            rq.out[i] = victim
        kaddr = 0
    return 1 if kaddr else 0


@port_of(P, "z_erofs_lz4_handle_overlap")
def z_erofs_lz4_handle_overlap(rq: z_erofs_decompress_req, inpage: int, out: int, inputmargin: Ref, maptype: Ref,
                               may_inplace: bool) -> int:
    # If in-place I/O isn't used, for example, the bounce compressed cache
    # can hold data for incomplete read requests. Just map the compressed
    # buffer as well and decompress directly.
    if not rq.inplace_io:
        if rq.inpages <= 1:
            maptype.v = 0
            return inpage
        kunmap_local(inpage)
        src = erofs_vm_map_ram(rq.in_, rq.inpages)
        if not src:
            return ERR_PTR(-ENOMEM)
        maptype.v = 1
        return src
    # Then, deal with in-place I/Os. The reasons why in-place I/O is useful
    # are: (1) It minimizes memory footprint during the I/O submission,
    # which is useful for slow storage (including network devices and
    # low-end HDDs/eMMCs) but with a lot inflight I/Os; (2) If in-place
    # decompression can also be applied, it will reuse the unique buffer so
    # that no extra CPU D-cache is polluted with temporary compressed data
    # for extreme performance.
    oend = u32(rq.pageofs_out + rq.outputsize)
    omargin = u32(PAGE_ALIGN(oend) - oend)
    if (not rq.partial_decoding and may_inplace and
            omargin >= LZ4_DECOMPRESS_INPLACE_MARGIN(rq.inputsize)):
        for i in range(rq.inpages):
            # unsigned: not the list's end where inpages is the larger
            if rq.out[u32(rq.outpages - rq.inpages + i)] is not rq.in_[i]:
                break
        else:
            kunmap_local(inpage)
            maptype.v = 3
            return out + ((rq.outpages - rq.inpages) << arch.PAGE_SHIFT)
    # If in-place decompression can't be applied, copy compressed data that
    # may potentially overlap during decompression to a per-CPU buffer.
    src = z_erofs_get_gbuf(rq.inpages)
    if not src:
        DBG_BUGON(1)
        kunmap_local(inpage)
        return ERR_PTR(-EFAULT)

    i = 0
    in_ = 0
    while i < rq.inputsize:
        cnt = min(rq.inputsize - i, arch.PAGE_SIZE - inputmargin.v)
        if not inpage:
            inpage = kmap_local_page(rq.in_[in_])
        memcpy(src + i, inpage + inputmargin.v, cnt)
        kunmap_local(inpage)
        inpage = 0
        inputmargin.v = 0
        i += cnt
        in_ += 1
    maptype.v = 2
    return src


# Get the exact on-disk size of the compressed data:
#  - For LZ4, it should apply if the zero_padding feature is on (5.3+);
#  - For others, zero_padding is enabled all the time.
@port_of(P, "z_erofs_fixup_insize")
def z_erofs_fixup_insize(rq: z_erofs_decompress_req, padbuf: int, padbufsize: int) -> str:
    padend = memchr_inv(padbuf, 0, padbufsize)
    if not padend:
        return "compressed data start not found"
    rq.inputsize = u32(rq.inputsize - (padend - padbuf))
    rq.pageofs_in += padend - padbuf
    return NULL


@port_of(P, "__z_erofs_lz4_decompress")
def __z_erofs_lz4_decompress(rq: z_erofs_decompress_req, dst: int) -> str:
    inputmargin = Ref()
    maptype = Ref()

    headpage = kmap_local_page(rq.in_[0])
    reason = z_erofs_fixup_insize(rq, headpage + rq.pageofs_in,
                                  min(rq.inputsize,
                                      u32(rq.sb.s_blocksize - rq.pageofs_in)))
    if reason:
        kunmap_local(headpage)
        return reason
    may_inplace = not ((rq.pageofs_in + rq.inputsize) &
                       (rq.sb.s_blocksize - 1))

    inputmargin.v = rq.pageofs_in
    src = z_erofs_lz4_handle_overlap(rq, headpage, dst, inputmargin,
                                     maptype, may_inplace)
    if IS_ERR(src):
        return ERR_CAST(src)

    out = dst + rq.pageofs_out
    if rq.partial_decoding:
        ret = LZ4_decompress_safe_partial(src + inputmargin.v, out,
                                          rq.inputsize, rq.outputsize, rq.outputsize)
    else:
        ret = LZ4_decompress_safe(src + inputmargin.v, out,
                                  rq.inputsize, rq.outputsize)
    if ret == rq.outputsize:
        reason = NULL
    elif ret < 0:
        reason = "corrupted compressed data"
    else:
        reason = "unexpected end of stream"

    if not maptype.v:
        kunmap_local(headpage)
    elif maptype.v == 1:
        vm_unmap_ram(src, rq.inpages)
    elif maptype.v == 2:
        z_erofs_put_gbuf(src)
    elif maptype.v != 3:
        DBG_BUGON(1)
        return ERR_PTR(-EFAULT)
    return reason


@port_of(P, "z_erofs_lz4_decompress")
def z_erofs_lz4_decompress(rq: z_erofs_decompress_req, pagepool: Ref) -> str:
    # one optimized fast path only for non bigpcluster cases yet
    if rq.inpages == 1 and rq.outpages == 1 and not rq.inplace_io:
        DBG_BUGON(not rq.out[0])
        dst = kmap_local_page(rq.out[0])
        dst_maptype = 0
    else:
        # general decoding path which can be used for all cases
        ret = z_erofs_oneshot_prepare_dstpages(rq, pagepool)
        if ret < 0:
            return ERR_PTR(ret)
        if ret > 0:
            dst = page_address(rq.out[0])
            dst_maptype = 1
        else:
            dst = erofs_vm_map_ram(rq.out, rq.outpages)
            if not dst:
                return ERR_PTR(-ENOMEM)
            dst_maptype = 2
    reason = __z_erofs_lz4_decompress(rq, dst)
    if not dst_maptype:
        kunmap_local(dst)
    elif dst_maptype == 2:
        vm_unmap_ram(dst, rq.outpages)
    return reason


@port_of(P, "z_erofs_transform_plain")
def z_erofs_transform_plain(rq: z_erofs_decompress_req, pagepool: Ref) -> str:
    nrpages_in, nrpages_out = rq.inpages, rq.outpages
    bs = rq.sb.s_blocksize
    cur = 0
    ni = 0

    if rq.outputsize > rq.inputsize:
        return ERR_PTR(-EOPNOTSUPP)
    if rq.alg == Z_EROFS_COMPRESSION_INTERLACED:
        cur = bs - (rq.pageofs_out & (bs - 1))
        DBG_BUGON(rq.pageofs_in & (bs - 1))
        pi = (rq.pageofs_in + rq.inputsize - cur) & ~arch.PAGE_MASK
        cur = min(cur, rq.outputsize)
        if cur and rq.out[0]:
            kin = kmap_local_page(rq.in_[nrpages_in - 1])
            if rq.out[0] is rq.in_[nrpages_in - 1]:
                memmove(kin + rq.pageofs_out, kin + pi, cur)
            else:
                memcpy_to_page(rq.out[0], rq.pageofs_out,
                               kin + pi, cur)
            kunmap_local(kin)
        rq.outputsize -= cur

    while rq.outputsize:
        insz = min(arch.PAGE_SIZE - rq.pageofs_in, rq.outputsize)
        rq.outputsize -= insz
        if rq.in_[ni]:
            kin = kmap_local_page(rq.in_[ni])
            pi = 0
            while True:
                no = (rq.pageofs_out + cur + pi) >> arch.PAGE_SHIFT
                po = (rq.pageofs_out + cur + pi) & ~arch.PAGE_MASK
                DBG_BUGON(no >= nrpages_out)
                cnt = min(insz - pi, arch.PAGE_SIZE - po)
                if rq.out[no] is rq.in_[ni]:
                    memmove(kin + po,
                            kin + rq.pageofs_in + pi, cnt)
                elif rq.out[no]:
                    memcpy_to_page(rq.out[no], po,
                                   kin + rq.pageofs_in + pi, cnt)
                pi += cnt
                if not pi < insz:
                    break
            kunmap_local(kin)
        rq.pageofs_in = 0
        cur += insz
        ni += 1
    DBG_BUGON(ni > nrpages_in)
    return NULL


@port_of(P, "z_erofs_stream_switch_bufs")
def z_erofs_stream_switch_bufs(dctx: z_erofs_stream_dctx, dst: Ref, src: Ref, pgpl: Ref) -> str:
    rq = dctx.rq

    if not dctx.avail_out:
        dctx.no += 1
        if dctx.no >= rq.outpages or not rq.outputsize:
            return "insufficient space for decompressed data"

        if dctx.kout:
            kunmap_local(dctx.kout)
        dctx.avail_out = min(rq.outputsize, arch.PAGE_SIZE - rq.pageofs_out)
        rq.outputsize -= dctx.avail_out
        pgo = dctx.no
        if not rq.out[pgo] and rq.fillgaps:                 # deduped
            rq.out[pgo] = erofs_allocpage(pgpl, rq.gfp)
            if not rq.out[pgo]:
                dctx.kout = 0
                return ERR_PTR(-ENOMEM)
            set_page_private(rq.out[pgo], Z_EROFS_SHORTLIVED_PAGE)
        if rq.out[pgo]:
            dctx.kout = kmap_local_page(rq.out[pgo])
            dst.v = dctx.kout + rq.pageofs_out
        else:
            dst.v = dctx.kout = 0
        rq.pageofs_out = 0

    if dctx.inbuf_pos == dctx.inbuf_sz and rq.inputsize:
        dctx.ni += 1
        if dctx.ni >= rq.inpages:
            return "invalid compressed data"
        if dctx.kout:           # unlike kmap(), take care of the orders
            kunmap_local(dctx.kout)
        kunmap_local(dctx.kin)

        dctx.inbuf_sz = min(rq.inputsize, arch.PAGE_SIZE)
        rq.inputsize -= dctx.inbuf_sz
        dctx.kin = kmap_local_page(rq.in_[dctx.ni])
        src.v = dctx.kin
        dctx.bounced = False
        if dctx.kout:
            j = dst.v - dctx.kout
            dctx.kout = kmap_local_page(rq.out[dctx.no])
            dst.v = dctx.kout + j
        dctx.inbuf_pos = 0

    # Handle overlapping: Use the given bounce buffer if the input data is
    # under processing; Or utilize short-lived pages from the on-stack page
    # pool, where pages are shared among the same request.  Note that only
    # a few inplace I/O pages need to be doubled.
    if not dctx.bounced and rq.out[dctx.no] is rq.in_[dctx.ni]:
        memcpy(dctx.bounce, src.v, dctx.inbuf_sz)
        src.v = dctx.bounce
        dctx.bounced = True

    for j in range(dctx.ni + 1, rq.inpages):
        if rq.out[dctx.no] is not rq.in_[j]:
            continue
        tmppage = erofs_allocpage(pgpl, rq.gfp)
        if not tmppage:
            return ERR_PTR(-ENOMEM)
        set_page_private(tmppage, Z_EROFS_SHORTLIVED_PAGE)
        copy_highpage(tmppage, rq.in_[j])
        rq.in_[j] = tmppage
    return NULL


def z_erofs_decomp() -> list[z_erofs_decompressor]:
    """The table of C, as the machine is configured."""
    table: list[z_erofs_decompressor] = [NULL] * Z_EROFS_COMPRESSION_RUNTIME_MAX
    table[Z_EROFS_COMPRESSION_SHIFTED] = z_erofs_decompressor(
        decompress=z_erofs_transform_plain,
        name="shifted",
    )
    table[Z_EROFS_COMPRESSION_INTERLACED] = z_erofs_decompressor(
        decompress=z_erofs_transform_plain,
        name="interlaced",
    )
    table[Z_EROFS_COMPRESSION_LZ4] = z_erofs_decompressor(
        config=z_erofs_load_lz4_config,
        decompress=z_erofs_lz4_decompress,
        init=z_erofs_gbuf_init,
        exit=z_erofs_gbuf_exit,
        name="lz4",
    )
    if IS_ENABLED("CONFIG_EROFS_FS_ZIP_LZMA"):
        from erofs_memback.decompressor_lzma import z_erofs_lzma_decomp  # noqa: PLC0415  (decompressor_lzma.py needs this file)

        table[Z_EROFS_COMPRESSION_LZMA] = z_erofs_lzma_decomp
    if IS_ENABLED("CONFIG_EROFS_FS_ZIP_DEFLATE"):
        from erofs_memback.decompressor_deflate import z_erofs_deflate_decomp  # noqa: PLC0415  (decompressor_deflate.py needs this file)

        table[Z_EROFS_COMPRESSION_DEFLATE] = z_erofs_deflate_decomp
    if IS_ENABLED("CONFIG_EROFS_FS_ZIP_ZSTD"):
        from erofs_memback.decompressor_zstd import z_erofs_zstd_decomp  # noqa: PLC0415  (decompressor_zstd.py needs this file)

        table[Z_EROFS_COMPRESSION_ZSTD] = z_erofs_zstd_decomp
    return table


@statics
class g:
    z_erofs_decomp: list[z_erofs_decompressor] = NULL


@port_of(P, "z_erofs_parse_cfgs")
def z_erofs_parse_cfgs(sb: SuperBlock, dsb: View) -> int:
    """Read the compression configurations behind the superblock.

    Return: 0, -EOPNOTSUPP for an algorithm that is unknown or not in this kernel, -EINVAL for a bad configuration, -ENOMEM, or an
    error of reading metadata.
    """
    from erofs_memback.super import erofs_read_metadata  # noqa: PLC0415  (super.py needs this file)

    sbi = EROFS_SB(sb)
    buf = erofs_buf()
    size = Ref()
    ret = 0

    if not erofs_sb_has_compr_cfgs(sbi):
        return z_erofs_load_lz4_config(sb, dsb, 0, 0)

    algs = dsb.u1.available_compr_algs
    sbi.available_compr_algs = algs
    if algs & ~Z_EROFS_ALL_COMPR_ALGS:
        erofs_err(sb, "unidentified algorithms %lx, please upgrade kernel",
                  algs & ~Z_EROFS_ALL_COMPR_ALGS)
        return -EOPNOTSUPP

    erofs_init_metabuf(buf, sb, False)
    offset = Ref(EROFS_SUPER_OFFSET + sbi.sb_size)
    for alg in for_each_set_bit(algs, Z_EROFS_COMPRESSION_MAX):
        dec = g.z_erofs_decomp[alg]

        data = erofs_read_metadata(sb, buf, offset, size)
        if IS_ERR(data):
            ret = PTR_ERR(data)
            break

        if dec and dec.config:
            ret = dec.config(sb, dsb, data, size.v)
        else:
            erofs_err(sb, "algorithm %ld isn't enabled on this kernel",
                      alg)
            ret = -EOPNOTSUPP
        kfree(data)
        if ret:
            break
    erofs_put_metabuf(buf)
    return ret


@port_of(P, "z_erofs_init_decompressor")
def z_erofs_init_decompressor() -> int:
    g.z_erofs_decomp = z_erofs_decomp()
    for i in range(Z_EROFS_COMPRESSION_MAX):
        err = g.z_erofs_decomp[i].init() if g.z_erofs_decomp[i] else 0
        if err:
            while i:
                i -= 1
                if g.z_erofs_decomp[i]:
                    g.z_erofs_decomp[i].exit()
            return err
    return 0


@port_of(P, "z_erofs_exit_decompressor")
def z_erofs_exit_decompressor() -> None:
    for i in range(Z_EROFS_COMPRESSION_MAX):
        if g.z_erofs_decomp[i]:
            g.z_erofs_decomp[i].exit()
