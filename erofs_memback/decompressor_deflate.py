# SPDX-License-Identifier: GPL-2.0-or-later
"""fs/erofs/decompressor_deflate.c"""
from __future__ import annotations

from kemu.linux.err import ERR_PTR
from kemu.linux.errno import EINVAL, EIO, ENOMEM, EOPNOTSUPP
from kemu.linux.fs import SuperBlock
from kemu.linux.highmem import kmap_local_page, kunmap_local
from kemu.linux.mutex import mutex, mutex_lock, mutex_unlock
from kemu.linux.page import arch
from kemu.linux.port.honesty import port_of
from kemu.linux.port.layout import View
from kemu.linux.port.statics import statics
from kemu.linux.slab import kfree, kzalloc, kzalloc_obj
from kemu.linux.smp import num_possible_cpus
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.linux.types import NULL, Ref, ptr_to, ulong
from kemu.linux.vmalloc import vfree, vmalloc
from kemu.linux.wait import wait_event, wait_queue_head_t, wake_up
from kemu.linux.zlib import (
    MAX_WBITS,
    Z_DATA_ERROR,
    Z_OK,
    Z_STREAM_END,
    Z_SYNC_FLUSH,
    z_stream_s,
    zlib_inflate,
    zlib_inflate_workspacesize,
    zlib_inflateEnd,
    zlib_inflateInit2,
)

from erofs_memback.compress import z_erofs_decompress_req, z_erofs_decompressor, z_erofs_stream_dctx
from erofs_memback.decompressor import z_erofs_fixup_insize, z_erofs_stream_switch_bufs
from erofs_memback.internal import erofs_err, z_erofs_deflate_cfgs

P = "fs/erofs/decompressor_deflate.c"


class z_erofs_deflate:
    """``bounce`` is a part of the structure in C; here it is a buffer of its own."""

    __slots__ = ("next", "z", "bounce")

    def __init__(self) -> None:
        self.next: z_erofs_deflate = NULL
        self.z = z_stream_s()
        self.bounce = kzalloc(arch.PAGE_SIZE)


@statics
class g:
    z_erofs_deflate_lock: spinlock_t
    z_erofs_deflate_nstrms = 0          # module parameter deflate_streams
    z_erofs_deflate_avail_strms = 0
    z_erofs_deflate_head: z_erofs_deflate = NULL
    z_erofs_deflate_wq: wait_queue_head_t
    deflate_resize_mutex: mutex
    inited = False


@port_of(P, "z_erofs_deflate_exit")
def z_erofs_deflate_exit() -> None:
    # there should be no running fs instance
    while g.z_erofs_deflate_avail_strms:
        spin_lock(g.z_erofs_deflate_lock)
        strm = g.z_erofs_deflate_head
        if not strm:
            spin_unlock(g.z_erofs_deflate_lock)
            continue
        g.z_erofs_deflate_head = NULL
        spin_unlock(g.z_erofs_deflate_lock)

        while strm:
            n = strm.next

            vfree(strm.z.workspace)
            kfree(strm.bounce)
            kfree(strm)
            g.z_erofs_deflate_avail_strms -= 1
            strm = n


@port_of(P, "z_erofs_deflate_init")
def z_erofs_deflate_init() -> int:
    # by default, use # of possible CPUs instead
    if not g.z_erofs_deflate_nstrms:
        g.z_erofs_deflate_nstrms = num_possible_cpus()
    return 0


@port_of(P, "z_erofs_load_deflate_config")
def z_erofs_load_deflate_config(sb: SuperBlock, dsb: View, data: int, size: int) -> int:
    dfl = z_erofs_deflate_cfgs(data)

    if not data or size < z_erofs_deflate_cfgs.SIZE:
        erofs_err(sb, "invalid deflate cfgs, size=%u", size)
        return -EINVAL

    if dfl.windowbits > MAX_WBITS:
        erofs_err(sb, "unsupported windowbits %u", dfl.windowbits)
        return -EOPNOTSUPP
    mutex_lock(g.deflate_resize_mutex)
    if not g.inited:
        while g.z_erofs_deflate_avail_strms < g.z_erofs_deflate_nstrms:
            strm = kzalloc_obj(z_erofs_deflate)
            if strm and not strm.bounce:
                kfree(strm)
                strm = NULL
            if not strm:
                break
            # XXX: in-kernel zlib cannot customize windowbits
            strm.z.workspace = vmalloc(zlib_inflate_workspacesize())
            if not strm.z.workspace:
                kfree(strm.bounce)
                kfree(strm)
                break

            spin_lock(g.z_erofs_deflate_lock)
            strm.next = g.z_erofs_deflate_head
            g.z_erofs_deflate_head = strm
            spin_unlock(g.z_erofs_deflate_lock)
            g.z_erofs_deflate_avail_strms += 1
        else:
            g.inited = True
        if not g.inited:
            # failed:
            mutex_unlock(g.deflate_resize_mutex)
            z_erofs_deflate_exit()
            return -ENOMEM
    mutex_unlock(g.deflate_resize_mutex)
    return 0


@port_of(P, "__z_erofs_deflate_decompress")
def __z_erofs_deflate_decompress(rq: z_erofs_decompress_req, pgpl: Ref) -> str:
    sb = rq.sb
    dctx = z_erofs_stream_dctx(rq=rq, no=-1, ni=0)

    # 1. get the exact DEFLATE compressed size
    dctx.kin = kmap_local_page(rq.in_[0])
    reason = z_erofs_fixup_insize(rq, dctx.kin + rq.pageofs_in,
                                  min(rq.inputsize, ulong(sb.s_blocksize - rq.pageofs_in)))
    if reason:
        kunmap_local(dctx.kin)
        return reason

    # 2. get an available DEFLATE context
    while True:     # again:
        spin_lock(g.z_erofs_deflate_lock)
        strm = g.z_erofs_deflate_head
        if strm:
            break
        spin_unlock(g.z_erofs_deflate_lock)
        wait_event(g.z_erofs_deflate_wq, lambda: g.z_erofs_deflate_head)
    g.z_erofs_deflate_head = strm.next
    spin_unlock(g.z_erofs_deflate_lock)

    # 3. multi-call decompress
    zerr = zlib_inflateInit2(strm.z, -MAX_WBITS)
    if zerr != Z_OK:
        reason = ERR_PTR(-EINVAL)
    else:
        rq.fillgaps = True      # DEFLATE doesn't support NULL output buffer
        strm.z.avail_in = min(rq.inputsize, arch.PAGE_SIZE - rq.pageofs_in)
        rq.inputsize -= strm.z.avail_in
        strm.z.next_in = dctx.kin + rq.pageofs_in
        strm.z.avail_out = 0
        dctx.bounce = strm.bounce
        next_out, next_in = ptr_to(strm.z, "next_out"), ptr_to(strm.z, "next_in")

        while True:
            dctx.avail_out = strm.z.avail_out
            dctx.inbuf_sz = strm.z.avail_in
            reason = z_erofs_stream_switch_bufs(dctx,
                                                next_out,
                                                next_in, pgpl)
            if reason:
                break
            strm.z.avail_out = dctx.avail_out
            strm.z.avail_in = dctx.inbuf_sz

            zerr = zlib_inflate(strm.z, Z_SYNC_FLUSH)
            if zerr != Z_OK or not (rq.outputsize + strm.z.avail_out):
                if zerr == Z_OK and rq.partial_decoding:
                    break
                if zerr == Z_STREAM_END and not rq.outputsize:
                    break
                reason = ("corrupted compressed data" if zerr == Z_DATA_ERROR else
                          "unexpected end of stream")
                break
        if zlib_inflateEnd(strm.z) != Z_OK and not reason:
            reason = ERR_PTR(-EIO)
        if dctx.kout:
            kunmap_local(dctx.kout)
    # failed_zinit:
    kunmap_local(dctx.kin)
    # 4. push back DEFLATE stream context to the global list
    spin_lock(g.z_erofs_deflate_lock)
    strm.next = g.z_erofs_deflate_head
    g.z_erofs_deflate_head = strm
    spin_unlock(g.z_erofs_deflate_lock)
    wake_up(g.z_erofs_deflate_wq)
    return reason


# without CONFIG_EROFS_FS_ZIP_ACCEL
@port_of(P, "z_erofs_deflate_decompress")
def z_erofs_deflate_decompress(rq: z_erofs_decompress_req, pgpl: Ref) -> str:
    return __z_erofs_deflate_decompress(rq, pgpl)


z_erofs_deflate_decomp = z_erofs_decompressor(
    config=z_erofs_load_deflate_config,
    decompress=z_erofs_deflate_decompress,
    init=z_erofs_deflate_init,
    exit=z_erofs_deflate_exit,
    name="deflate",
)
