# SPDX-License-Identifier: GPL-2.0-or-later
"""fs/erofs/decompressor_zstd.c"""
from __future__ import annotations

from kemu.linux.err import ERR_PTR
from kemu.linux.errno import EINVAL, ENOMEM
from kemu.linux.fs import SuperBlock
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.highmem import kmap_local_page, kunmap_local
from kemu.linux.math import ilog2
from kemu.linux.mutex import mutex, mutex_lock, mutex_unlock
from kemu.linux.page import arch
from kemu.linux.port.honesty import port_of
from kemu.linux.port.layout import View
from kemu.linux.port.statics import statics
from kemu.linux.slab import kfree, kvfree, kvmalloc, kzalloc, kzalloc_obj
from kemu.linux.smp import num_possible_cpus
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.linux.types import NULL, Ref, ptr_to, ulong
from kemu.linux.wait import wait_event, wait_queue_head_t, wake_up, wake_up_all
from kemu.linux.zstd import (
    zstd_decompress_stream,
    zstd_dstream_workspace_bound,
    zstd_get_error_name,
    zstd_in_buffer,
    zstd_init_dstream,
    zstd_is_error,
    zstd_out_buffer,
)

from erofs_memback.compress import z_erofs_decompress_req, z_erofs_decompressor, z_erofs_stream_dctx
from erofs_memback.decompressor import z_erofs_fixup_insize, z_erofs_stream_switch_bufs
from erofs_memback.internal import DBG_BUGON, Z_EROFS_ZSTD_MAX_DICT_SIZE, erofs_err, z_erofs_zstd_cfgs

P = "fs/erofs/decompressor_zstd.c"


class z_erofs_zstd:
    """``bounce`` is a part of the structure in C; here it is a buffer of its own."""

    __slots__ = ("next", "bounce", "wksp", "wkspsz")

    def __init__(self) -> None:
        self.next: z_erofs_zstd = NULL
        self.bounce = kzalloc(arch.PAGE_SIZE)
        self.wksp = 0
        self.wkspsz = 0


@statics
class g:
    z_erofs_zstd_lock: spinlock_t
    z_erofs_zstd_max_dictsize = 0
    z_erofs_zstd_nstrms = 0             # module parameter zstd_streams
    z_erofs_zstd_avail_strms = 0
    z_erofs_zstd_head: z_erofs_zstd = NULL
    z_erofs_zstd_wq: wait_queue_head_t
    zstd_resize_mutex: mutex


@port_of(P, "z_erofs_isolate_strms")
def z_erofs_isolate_strms(all: bool) -> z_erofs_zstd:
    while True:     # again:
        spin_lock(g.z_erofs_zstd_lock)
        strm = g.z_erofs_zstd_head
        if strm:
            break
        spin_unlock(g.z_erofs_zstd_lock)
        wait_event(g.z_erofs_zstd_wq, lambda: g.z_erofs_zstd_head)
    g.z_erofs_zstd_head = NULL if all else strm.next
    spin_unlock(g.z_erofs_zstd_lock)
    return strm


@port_of(P, "z_erofs_zstd_exit")
def z_erofs_zstd_exit() -> None:
    while g.z_erofs_zstd_avail_strms:
        strm = z_erofs_isolate_strms(True)
        while strm:
            n = strm.next

            kvfree(strm.wksp)
            kfree(strm.bounce)
            kfree(strm)
            g.z_erofs_zstd_avail_strms -= 1
            strm = n


@port_of(P, "z_erofs_zstd_init")
def z_erofs_zstd_init() -> int:
    # by default, use # of possible CPUs instead
    if not g.z_erofs_zstd_nstrms:
        g.z_erofs_zstd_nstrms = num_possible_cpus()

    while g.z_erofs_zstd_avail_strms < g.z_erofs_zstd_nstrms:
        strm = kzalloc_obj(z_erofs_zstd)
        if strm and not strm.bounce:
            kfree(strm)
            strm = NULL
        if not strm:
            z_erofs_zstd_exit()
            return -ENOMEM
        spin_lock(g.z_erofs_zstd_lock)
        strm.next = g.z_erofs_zstd_head
        g.z_erofs_zstd_head = strm
        spin_unlock(g.z_erofs_zstd_lock)
        g.z_erofs_zstd_avail_strms += 1
    return 0


@port_of(P, "z_erofs_load_zstd_config")
def z_erofs_load_zstd_config(sb: SuperBlock, dsb: View, data: int, size: int) -> int:
    zstd = z_erofs_zstd_cfgs(data)
    head: z_erofs_zstd = NULL

    if not data or size < z_erofs_zstd_cfgs.SIZE or zstd.format:
        erofs_err(sb, "unsupported zstd format, size=%u", size)
        return -EINVAL

    if zstd.windowlog > ilog2(Z_EROFS_ZSTD_MAX_DICT_SIZE) - 10:
        erofs_err(sb, "unsupported zstd window log %u", zstd.windowlog)
        return -EINVAL
    dict_size = 1 << (zstd.windowlog + 10)

    # in case 2 z_erofs_load_zstd_config() race to avoid deadlock
    mutex_lock(g.zstd_resize_mutex)
    if g.z_erofs_zstd_max_dictsize >= dict_size:
        mutex_unlock(g.zstd_resize_mutex)
        return 0

    # 1. collect/isolate all streams for the following check
    while g.z_erofs_zstd_avail_strms:
        strm = z_erofs_isolate_strms(True)
        while strm:
            n = strm.next
            strm.next = head
            head = strm
            g.z_erofs_zstd_avail_strms -= 1
            strm = n

    # 2. walk each isolated stream and grow max dict_size if needed
    wkspsz = zstd_dstream_workspace_bound(dict_size)
    strm = head
    while strm:
        wksp = kvmalloc(wkspsz, GFP_KERNEL)
        if not wksp:
            break
        kvfree(strm.wksp)
        strm.wksp = wksp
        strm.wkspsz = wkspsz
        strm = strm.next

    # 3. push back all to the global list and update max dict_size
    spin_lock(g.z_erofs_zstd_lock)
    DBG_BUGON(g.z_erofs_zstd_head)
    g.z_erofs_zstd_head = head
    spin_unlock(g.z_erofs_zstd_lock)
    g.z_erofs_zstd_avail_strms = g.z_erofs_zstd_nstrms
    wake_up_all(g.z_erofs_zstd_wq)
    if not strm:
        g.z_erofs_zstd_max_dictsize = dict_size
    mutex_unlock(g.zstd_resize_mutex)
    return -ENOMEM if strm else 0


@port_of(P, "z_erofs_zstd_decompress")
def z_erofs_zstd_decompress(rq: z_erofs_decompress_req, pgpl: Ref) -> str:
    sb = rq.sb
    dctx = z_erofs_stream_dctx(rq=rq, no=-1, ni=0)
    in_buf = zstd_in_buffer()
    out_buf = zstd_out_buffer()

    # 1. get the exact compressed size
    dctx.kin = kmap_local_page(rq.in_[0])
    reason = z_erofs_fixup_insize(rq, dctx.kin + rq.pageofs_in,
                                  min(rq.inputsize, ulong(sb.s_blocksize - rq.pageofs_in)))
    if reason:
        kunmap_local(dctx.kin)
        return reason

    # 2. get an available ZSTD context
    strm = z_erofs_isolate_strms(False)

    # 3. multi-call decompress
    stream = zstd_init_dstream(g.z_erofs_zstd_max_dictsize, strm.wksp, strm.wkspsz)
    if not stream:
        reason = ERR_PTR(-ENOMEM)
    else:
        rq.fillgaps = True      # ZSTD doesn't support NULL output buffer
        in_buf.size = min(rq.inputsize, arch.PAGE_SIZE - rq.pageofs_in)
        rq.inputsize -= in_buf.size
        in_buf.src = dctx.kin + rq.pageofs_in
        dctx.bounce = strm.bounce

        while True:
            dctx.inbuf_sz = in_buf.size
            dctx.inbuf_pos = in_buf.pos
            reason = z_erofs_stream_switch_bufs(dctx, ptr_to(out_buf, "dst"),
                                                ptr_to(in_buf, "src"), pgpl)
            if reason:
                break

            if out_buf.size == out_buf.pos:
                out_buf.size = dctx.avail_out
                out_buf.pos = 0
            in_buf.size = dctx.inbuf_sz
            in_buf.pos = dctx.inbuf_pos

            zerr = zstd_decompress_stream(stream, out_buf, in_buf)
            dctx.avail_out = out_buf.size - out_buf.pos
            if (zstd_is_error(zerr) or
                    ((rq.outputsize + dctx.avail_out) and (not zerr or (zerr > 0 and
                     not (rq.inputsize + in_buf.size - in_buf.pos))))):
                reason = (zstd_get_error_name(zerr) if zstd_is_error(zerr) else
                          "unexpected end of stream")
                break
            if not rq.outputsize + dctx.avail_out:
                break

        if dctx.kout:
            kunmap_local(dctx.kout)
    # failed_zinit:
    kunmap_local(dctx.kin)
    # 4. push back ZSTD stream context to the global list
    spin_lock(g.z_erofs_zstd_lock)
    strm.next = g.z_erofs_zstd_head
    g.z_erofs_zstd_head = strm
    spin_unlock(g.z_erofs_zstd_lock)
    wake_up(g.z_erofs_zstd_wq)
    return reason


z_erofs_zstd_decomp = z_erofs_decompressor(
    config=z_erofs_load_zstd_config,
    decompress=z_erofs_zstd_decompress,
    init=z_erofs_zstd_init,
    exit=z_erofs_zstd_exit,
    name="zstd",
)
