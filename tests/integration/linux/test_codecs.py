# SPDX-License-Identifier: GPL-2.0-only
"""Streaming decoders over emulated memory, a few bytes at a time: DEFLATE, MicroLZMA, zstd."""
from __future__ import annotations

import lzma
import random
import zlib as host_zlib

import pytest

from kemu.linux import xz, zstd
from kemu.linux.xz import (
    XZ_DATA_ERROR,
    XZ_OK,
    XZ_PREALLOC,
    XZ_STREAM_END,
    xz_buf,
    xz_dec_microlzma_alloc,
    xz_dec_microlzma_reset,
    xz_dec_microlzma_run,
)
from kemu.linux.zlib import (
    MAX_WBITS,
    Z_BUF_ERROR,
    Z_DATA_ERROR,
    Z_OK,
    Z_STREAM_END,
    Z_SYNC_FLUSH,
    z_stream_s,
    zlib_inflate,
    zlib_inflateInit2,
)
from kemu.machine.machine import Machine

DATA = b"".join(random.Random(i % 7).randbytes(20) + b"kernel" * (i % 5) for i in range(300))


@pytest.fixture
def m():
    with Machine() as machine:
        yield machine


def put(m, data: bytes) -> int:
    p = m.slab.kmalloc(max(len(data), 1), False)
    m.mem.store(p, data)
    return p


def deflated(data: bytes) -> bytes:
    c = host_zlib.compressobj(9, host_zlib.DEFLATED, -15)
    return c.compress(data) + c.flush()


def inflate(m, c: bytes, n: int, step_in: int, step_out: int) -> tuple[int, bytes]:
    s = z_stream_s()
    s.workspace = 4096
    assert zlib_inflateInit2(s, -MAX_WBITS) == Z_OK
    src, dst = put(m, c), m.slab.kmalloc(n, False)
    s.next_in, s.next_out = src, dst
    while True:
        s.avail_in = min(step_in, src + len(c) - s.next_in)
        s.avail_out = min(step_out, dst + n - s.next_out)
        ret = zlib_inflate(s, Z_SYNC_FLUSH)
        if ret != Z_OK:
            return ret, m.mem.load(dst, s.next_out - dst)


@pytest.mark.parametrize("step_in,step_out", ((1, 1), (7, 100), (4096, 33), (10000, 10000)))
def test_inflate(m, step_in, step_out):
    assert inflate(m, deflated(DATA), len(DATA), step_in, step_out) == (Z_STREAM_END, DATA)


def test_inflate_ends(m):
    c = deflated(DATA)
    assert inflate(m, c[:-5], len(DATA), 4096, 4096)[0] == Z_BUF_ERROR          # input ends early
    assert inflate(m, c, len(DATA) - 1, 4096, 4096)[0] == Z_BUF_ERROR           # no more room
    assert inflate(m, b"\xff" * 50, 100, 4096, 4096)[0] == Z_DATA_ERROR


def test_inflate_looks_where_a_match_begins_before_it_has_room_for_it(m):
    too_far = bytes.fromhex("334010")               # a byte, then a match 13 bytes back: Linux says so with the byte, room or not
    assert inflate(m, too_far, 1, 4096, 1)[0] == Z_DATA_ERROR
    assert inflate(m, too_far, 100, 4096, 100)[0] == Z_DATA_ERROR
    assert inflate(m, deflated(b"ababab"), 2, 4096, 2) == (Z_BUF_ERROR, b"ab"), "a match that is right waits for room"


def microlzma(data: bytes, lc: int = 3) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 65536, "lc": lc}]
    raw = lzma.compress(data, lzma.FORMAT_RAW, filters=filters)
    # FORMAT_RAW ends with an end marker; LZMA1 without one comes from .lzma with a known size, which the module does not write: a
    # stream that goes on behind the bytes that are asked for is as good for a decoder that is told the size
    assert raw[0] == 0
    return bytes(((2 * 5 + 0) * 9 + lc ^ 0xFF,)) + raw[1:]


def run_xz(m, c: bytes, n: int, exact: bool, step_in: int, step_out: int) -> tuple[int, bytes]:
    s = xz_dec_microlzma_alloc(XZ_PREALLOC, 65536)
    xz_dec_microlzma_reset(s, len(c), n, exact)
    b = xz_buf()
    b.in_, b.out = put(m, c), m.slab.kmalloc(n, False)
    for _ in range(100000):
        b.in_size = min(b.in_pos + step_in, len(c))
        b.out_size = min(b.out_pos + step_out, n)
        ret = xz_dec_microlzma_run(s, b)
        if ret != XZ_OK:
            return ret, m.mem.load(b.out, b.out_pos)
    raise AssertionError("no end")


BACK_ENDS = [pytest.param(False, id="python"), pytest.param(True, id="liblzma",
                                                            marks=pytest.mark.skipif(xz._lib is None,
                                                                                     reason="no liblzma >= 5.4"))]


@pytest.fixture(params=BACK_ENDS)
def back_end(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(xz, "_lib", None)


@pytest.mark.parametrize("step_in,step_out", ((1, 1), (7, 100), (4096, 33), (10000, 10000)))
def test_microlzma_not_exact(m, back_end, step_in, step_out):
    c = microlzma(DATA)
    assert run_xz(m, c, len(DATA) - 100, False, step_in, step_out) == (XZ_STREAM_END, DATA[:-100])


def test_microlzma_exact_wants_the_end(m, back_end):
    c = microlzma(DATA) + b"\1\2\3"
    assert run_xz(m, c, len(DATA), True, 4096, 4096)[0] == XZ_DATA_ERROR        # three bytes are left over


def test_microlzma_damage(m, back_end):
    c = microlzma(DATA)
    assert run_xz(m, b"\x00" + c[1:], 100, False, 4096, 4096)[0] == XZ_DATA_ERROR   # properties 255
    assert run_xz(m, c[:4], 100, False, 4096, 4096)[0] == XZ_DATA_ERROR             # shorter than the range coder's start
    assert run_xz(m, c[:len(c) // 2], len(DATA), False, 4096, 4096)[0] == XZ_DATA_ERROR


@pytest.mark.parametrize("step_in,step_out", ((1, 1), (7, 100), (4096, 33), (10000, 10000)))
def test_zstd(m, step_in, step_out):
    zstandard = pytest.importorskip("zstandard")
    c = zstandard.ZstdCompressor(level=3).compress(DATA)
    src, dst = put(m, c), m.slab.kmalloc(len(DATA), False)
    s = zstd.zstd_init_dstream(1 << 20, 4096, 1 << 20)
    i, o = zstd.zstd_in_buffer(), zstd.zstd_out_buffer()
    i.src, o.dst = src, dst
    while True:
        i.size = min(i.pos + step_in, len(c))
        o.size = min(o.pos + step_out, len(DATA))
        ret = zstd.zstd_decompress_stream(s, o, i)
        assert not zstd.zstd_is_error(ret)
        if not ret:
            break
    assert m.mem.load(dst, o.pos) == DATA


def test_zstd_damage_and_window(m):
    zstandard = pytest.importorskip("zstandard")
    i, o = zstd.zstd_in_buffer(), zstd.zstd_out_buffer()
    i.src, i.size, o.dst, o.size = put(m, b"\0" * 50), 50, m.slab.kmalloc(100, False), 100
    ret = zstd.zstd_decompress_stream(zstd.zstd_init_dstream(1 << 20, 4096, 1 << 20), o, i)
    assert zstd.zstd_is_error(ret) and zstd.zstd_get_error_name(ret) == "Unknown frame descriptor"
    wide = zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters(window_log=22))
    big = wide.compressobj().compress(DATA * 800)
    i.src, i.size, i.pos = put(m, big), len(big), 0
    ret = zstd.zstd_decompress_stream(zstd.zstd_init_dstream(1 << 16, 4096, 1 << 20), o, i)
    assert zstd.zstd_is_error(ret)
    assert zstd.zstd_init_dstream(1 << 16, 0, 0) is None
