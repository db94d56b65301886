# SPDX-License-Identifier: GPL-2.0-or-later
"""fs/erofs/decompressor_lzma.c"""
from __future__ import annotations

from kemu.linux.errno import EINVAL, ENOMEM
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
from kemu.linux.wait import wait_event, wait_queue_head_t, wake_up, wake_up_all
from kemu.linux.xz import (
    XZ_DATA_ERROR,
    XZ_OK,
    XZ_PREALLOC,
    XZ_STREAM_END,
    xz_buf,
    xz_dec_microlzma,
    xz_dec_microlzma_alloc,
    xz_dec_microlzma_end,
    xz_dec_microlzma_reset,
    xz_dec_microlzma_run,
)

from erofs_memback.compress import z_erofs_decompress_req, z_erofs_decompressor, z_erofs_stream_dctx
from erofs_memback.decompressor import z_erofs_fixup_insize, z_erofs_stream_switch_bufs
from erofs_memback.internal import DBG_BUGON, Z_EROFS_LZMA_MAX_DICT_SIZE, erofs_err, z_erofs_lzma_cfgs

P = "fs/erofs/decompressor_lzma.c"
CONFIG_EROFS_FS_ZIP_LZMA_DEFAULT_MAX_STREAMS = 16


class z_erofs_lzma:
    """``bounce`` is a part of the structure in C; here it is a buffer of its own."""

    __slots__ = ("next", "state", "dict_size", "bounce")

    def __init__(self) -> None:
        self.next: z_erofs_lzma = NULL
        self.state: xz_dec_microlzma = NULL
        self.dict_size = 0
        self.bounce = kzalloc(arch.PAGE_SIZE)


@statics
class g:
    # considering the LZMA performance, no need to use a lockless list for now
    z_erofs_lzma_lock: spinlock_t
    z_erofs_lzma_max_dictsize = 0
    z_erofs_lzma_nstrms = 0             # module parameter lzma_streams
    z_erofs_lzma_avail_strms = 0
    z_erofs_lzma_head: z_erofs_lzma = NULL
    z_erofs_lzma_wq: wait_queue_head_t
    lzma_resize_mutex: mutex


@port_of(P, "z_erofs_lzma_exit")
def z_erofs_lzma_exit() -> None:
    # there should be no running fs instance
    while g.z_erofs_lzma_avail_strms:
        spin_lock(g.z_erofs_lzma_lock)
        strm = g.z_erofs_lzma_head
        if not strm:
            spin_unlock(g.z_erofs_lzma_lock)
            DBG_BUGON(1)
            return
        g.z_erofs_lzma_head = NULL
        spin_unlock(g.z_erofs_lzma_lock)

        while strm:
            n = strm.next

            if strm.state:
                xz_dec_microlzma_end(strm.state)
            kfree(strm.bounce)
            kfree(strm)
            g.z_erofs_lzma_avail_strms -= 1
            strm = n


@port_of(P, "z_erofs_lzma_init")
def z_erofs_lzma_init() -> int:
    # by default, use # of possible CPUs instead
    if not g.z_erofs_lzma_nstrms:
        g.z_erofs_lzma_nstrms = min(num_possible_cpus(),
                                    CONFIG_EROFS_FS_ZIP_LZMA_DEFAULT_MAX_STREAMS)

    for i in range(g.z_erofs_lzma_nstrms):
        strm = kzalloc_obj(z_erofs_lzma)

        if strm and not strm.bounce:
            kfree(strm)
            strm = NULL
        if not strm:
            z_erofs_lzma_exit()
            return -ENOMEM
        spin_lock(g.z_erofs_lzma_lock)
        strm.next = g.z_erofs_lzma_head
        g.z_erofs_lzma_head = strm
        spin_unlock(g.z_erofs_lzma_lock)
        g.z_erofs_lzma_avail_strms += 1
    return 0


@port_of(P, "z_erofs_load_lzma_config")
def z_erofs_load_lzma_config(sb: SuperBlock, dsb: View, data: int, size: int) -> int:
    lzma = z_erofs_lzma_cfgs(data)
    head: z_erofs_lzma = NULL

    if not data or size < z_erofs_lzma_cfgs.SIZE:
        erofs_err(sb, "invalid lzma cfgs, size=%u", size)
        return -EINVAL
    if lzma.format:
        erofs_err(sb, "unidentified lzma format %x, please check kernel version",
                  lzma.format)
        return -EINVAL
    dict_size = lzma.dict_size
    if dict_size > Z_EROFS_LZMA_MAX_DICT_SIZE or dict_size < 4096:
        erofs_err(sb, "unsupported lzma dictionary size %u",
                  dict_size)
        return -EINVAL

    # in case 2 z_erofs_load_lzma_config() race to avoid deadlock
    mutex_lock(g.lzma_resize_mutex)

    if g.z_erofs_lzma_max_dictsize >= dict_size:
        mutex_unlock(g.lzma_resize_mutex)
        return 0

    # 1. collect/isolate all streams for the following check
    i = 0
    while i < g.z_erofs_lzma_avail_strms:
        while True:     # again:
            spin_lock(g.z_erofs_lzma_lock)
            strm = g.z_erofs_lzma_head
            if strm:
                break
            spin_unlock(g.z_erofs_lzma_lock)
            wait_event(g.z_erofs_lzma_wq, lambda: g.z_erofs_lzma_head)
        g.z_erofs_lzma_head = NULL
        spin_unlock(g.z_erofs_lzma_lock)

        last = strm
        while last.next:
            i += 1
            last = last.next
        last.next = head
        head = strm
        i += 1

    err = 0
    # 2. walk each isolated stream and grow max dict_size if needed
    strm = head
    while strm:
        if strm.dict_size < dict_size:
            state = xz_dec_microlzma_alloc(XZ_PREALLOC, dict_size)
            if not state:
                err = -ENOMEM
                break
            if strm.state:
                xz_dec_microlzma_end(strm.state)
            strm.state = state
            strm.dict_size = dict_size
        strm = strm.next

    # 3. push back all to the global list and update max dict_size
    spin_lock(g.z_erofs_lzma_lock)
    DBG_BUGON(g.z_erofs_lzma_head)
    g.z_erofs_lzma_head = head
    spin_unlock(g.z_erofs_lzma_lock)
    wake_up_all(g.z_erofs_lzma_wq)

    if not err:
        g.z_erofs_lzma_max_dictsize = dict_size
    mutex_unlock(g.lzma_resize_mutex)
    return err


@port_of(P, "z_erofs_lzma_decompress")
def z_erofs_lzma_decompress(rq: z_erofs_decompress_req, pgpl: Ref) -> str:
    sb = rq.sb
    dctx = z_erofs_stream_dctx(rq=rq, no=-1, ni=0)
    buf = xz_buf()

    # 1. get the exact LZMA compressed size
    dctx.kin = kmap_local_page(rq.in_[0])
    reason = z_erofs_fixup_insize(rq, dctx.kin + rq.pageofs_in,
                                  min(rq.inputsize, ulong(sb.s_blocksize - rq.pageofs_in)))
    if reason:
        kunmap_local(dctx.kin)
        return reason

    # 2. get an available lzma context
    while True:     # again:
        spin_lock(g.z_erofs_lzma_lock)
        strm = g.z_erofs_lzma_head
        if strm:
            break
        spin_unlock(g.z_erofs_lzma_lock)
        wait_event(g.z_erofs_lzma_wq, lambda: g.z_erofs_lzma_head)
    g.z_erofs_lzma_head = strm.next
    spin_unlock(g.z_erofs_lzma_lock)

    # 3. multi-call decompress
    xz_dec_microlzma_reset(strm.state, rq.inputsize, rq.outputsize,
                           not rq.partial_decoding)
    buf.in_size = min(rq.inputsize, arch.PAGE_SIZE - rq.pageofs_in)
    rq.inputsize -= buf.in_size
    buf.in_ = dctx.kin + rq.pageofs_in
    dctx.bounce = strm.bounce
    while True:
        dctx.avail_out = buf.out_size - buf.out_pos
        dctx.inbuf_sz = buf.in_size
        dctx.inbuf_pos = buf.in_pos
        reason = z_erofs_stream_switch_bufs(dctx, ptr_to(buf, "out"),
                                            ptr_to(buf, "in_"), pgpl)
        if reason:
            break

        if buf.out_size == buf.out_pos:
            buf.out_size = dctx.avail_out
            buf.out_pos = 0
        buf.in_size = dctx.inbuf_sz
        buf.in_pos = dctx.inbuf_pos

        xz_err = xz_dec_microlzma_run(strm.state, buf)
        DBG_BUGON(buf.out_pos > buf.out_size)
        DBG_BUGON(buf.in_pos > buf.in_size)

        if xz_err != XZ_OK:
            if xz_err == XZ_STREAM_END and not rq.outputsize:
                break
            reason = ("corrupted compressed data" if xz_err == XZ_DATA_ERROR else
                      "unexpected end of stream")
            break

    if dctx.kout:
        kunmap_local(dctx.kout)
    kunmap_local(dctx.kin)
    # 4. push back LZMA stream context to the global list
    spin_lock(g.z_erofs_lzma_lock)
    strm.next = g.z_erofs_lzma_head
    g.z_erofs_lzma_head = strm
    spin_unlock(g.z_erofs_lzma_lock)
    wake_up(g.z_erofs_lzma_wq)
    return reason


z_erofs_lzma_decomp = z_erofs_decompressor(
    config=z_erofs_load_lzma_config,
    decompress=z_erofs_lzma_decompress,
    init=z_erofs_lzma_init,
    exit=z_erofs_lzma_exit,
    name="lzma",
)
