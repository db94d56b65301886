# SPDX-License-Identifier: GPL-2.0-only
"""decompressor.c: page lists in, page lists out, also when they are the same pages."""
from __future__ import annotations

import random
import zlib
from types import SimpleNamespace

import lz4.block
import pytest

from kemu.linux.gfp import GFP_KERNEL, alloc_page
from kemu.linux.mm import page_address
from kemu.linux.types import Ref
from kemu.machine.machine import Machine
from kemu.machine.shadow import UNINIT

from erofs_memback import decompressor as d
from erofs_memback import decompressor_deflate, zutil
from erofs_memback.compress import Z_EROFS_SHORTLIVED_PAGE, z_erofs_decompress_req
from erofs_memback.internal import Z_EROFS_COMPRESSION_INTERLACED, Z_EROFS_COMPRESSION_LZ4, Z_EROFS_COMPRESSION_SHIFTED


@pytest.fixture(params=(4096, 16384))
def m(request):
    with Machine(page_size=request.param) as machine:
        assert zutil.z_erofs_gbuf_init() == 0
        assert zutil.z_erofs_gbuf_growsize(64) == 0
        yield machine


def text(seed: int, n: int) -> bytes:
    r = random.Random(seed)
    out = bytearray()
    while len(out) < n:
        out += b"read_folio %d " % r.randrange(300)
        if r.random() < 0.2:
            out += r.randbytes(r.randrange(20))
    return bytes(out[:n])


def pages(m, n: int, scattered: bool) -> list:
    got = [alloc_page(GFP_KERNEL) for _ in range(n)]
    for p in got:
        p.mapping = object()                # file-backed
    return got[::-1] if scattered else got


def fill(m, plist, pos: int, data: bytes) -> None:
    psize = m.mem.page_size
    for p in plist:
        m.mem.fill(page_address(p), 0, psize)
    for i in range(0, len(data), 512):
        at = pos + i
        m.mem.store(page_address(plist[at // psize]) + at % psize, data[i:i + 512][:psize - at % psize])
        rest = data[i:i + 512][psize - at % psize:]
        if rest:
            m.mem.store(page_address(plist[at // psize + 1]), rest)


def content(m, plist, pos: int, n: int) -> bytes:
    return b"".join(m.mem.raw(page_address(p), m.mem.page_size) for p in plist)[pos:pos + n]


def request(m, bs: int, inp, out, ofs_in, ofs_out, insize, outsize, alg, inplace=False, partial=False, fillgaps=False):
    return z_erofs_decompress_req(sb=SimpleNamespace(s_blocksize=bs), in_=inp, out=out, inpages=len(inp), outpages=len(out),
                                  pageofs_in=ofs_in,
                                  pageofs_out=ofs_out, inputsize=insize, outputsize=outsize, alg=alg, inplace_io=inplace,
                                  partial_decoding=partial, fillgaps=fillgaps, gfp=GFP_KERNEL)


def nr(m, n: int) -> int:
    return -(-n // m.mem.page_size)


def test_shifted(m):
    """The bytes as they are, at any offset on both sides; inline data may begin anywhere in its page."""
    psize = m.mem.page_size
    for ofs_in, ofs_out, n in ((0, 0, psize), (0, 100, psize), (700, 5, 300), (0, psize - 1, 3 * psize), (512, 1024, 2 * psize)):
        data = text(n, n)
        inp, out = pages(m, nr(m, ofs_in + n), False), pages(m, nr(m, ofs_out + n), True)
        fill(m, inp, ofs_in, data)
        rq = request(m, 512, inp, out, ofs_in, ofs_out, n, n, Z_EROFS_COMPRESSION_SHIFTED)
        assert d.z_erofs_transform_plain(rq, Ref(None)) is None
        assert content(m, out, ofs_out, n) == data


def test_shifted_in_place_moves_within_the_page(m):
    psize = m.mem.page_size
    data = text(1, psize - 100)
    shared = pages(m, 1, False)
    fill(m, shared, 0, data)
    rq = request(m, psize, shared, shared, 0, 100, psize, len(data), Z_EROFS_COMPRESSION_SHIFTED, inplace=True)
    assert d.z_erofs_transform_plain(rq, Ref(None)) is None
    assert content(m, shared, 100, len(data)) == data


@pytest.mark.parametrize("gap", (False, True))
def test_interlaced(m, gap):
    """A block is rotated so that each byte keeps its offset in the page: what stands before pageofs_out comes from the block's
    beginning.
    """
    psize = m.mem.page_size
    for ofs in (0, 1, 100, psize - 1):
        data = text(ofs, psize)
        block = data[psize - ofs:] + data[:psize - ofs] if ofs else data
        inp, out = pages(m, 1, False), pages(m, nr(m, ofs + psize), False)
        fill(m, inp, 0, block)
        if gap:
            out[0] = None                   # already uptodate: not asked for
        rq = request(m, psize, inp, out, 0, ofs, psize, psize, Z_EROFS_COMPRESSION_INTERLACED)
        assert d.z_erofs_transform_plain(rq, Ref(None)) is None
        if not gap:
            assert content(m, out, ofs, psize) == data
        elif ofs:
            assert content(m, out[1:], 0, ofs) == data[psize - ofs:]


def test_plain_output_larger_than_input_is_refused(m):
    from kemu.linux.err import ERR_PTR
    from kemu.linux.errno import EOPNOTSUPP

    rq = request(m, 512, pages(m, 1, False), pages(m, 1, False), 0, 0, 100, 101, Z_EROFS_COMPRESSION_SHIFTED)
    assert d.z_erofs_transform_plain(rq, Ref(None)) == ERR_PTR(-EOPNOTSUPP)


def lz4_padded(data: bytes, size: int) -> bytes:
    c = lz4.block.compress(data, store_size=False, mode="high_compression")
    return bytes(max(0, size - len(c))) + c


@pytest.mark.parametrize("scattered", (False, True))
@pytest.mark.parametrize("n", (3000, 9000, 40000, 60000))
def test_lz4(m, n, scattered):
    """Compressed data in pages of its own, output at an odd offset, whole and partial, with gaps."""
    psize = m.mem.page_size
    data = text(n, n)
    psizes = nr(m, len(lz4_padded(data, 0)))
    c = lz4_padded(data, psizes * psize)
    for ofs, want, gaps in ((0, n, False), (123, n, False), (0, n // 2, True)):
        inp = pages(m, psizes, scattered)
        out = pages(m, nr(m, ofs + want), scattered)
        asked = list(out)
        gaps = gaps and len(out) > 1
        if gaps:
            for i in range(0, len(out), 2):
                out[i] = None
        fill(m, inp, 0, c)
        rq = request(m, psize, inp, out, 0, ofs, psizes * psize, want, Z_EROFS_COMPRESSION_LZ4, partial=want < n)
        assert d.z_erofs_lz4_decompress(rq, Ref(None)) is None
        assert content(m, out, ofs, want) == data[:want]
        for i, p in enumerate(out):
            assert (p.private == Z_EROFS_SHORTLIVED_PAGE) == (gaps and i % 2 == 0)
            assert gaps or p is asked[i]
    assert not any(m.kmap.stacks.values()) and len(m.vm.areas) == 1          # only the global buffer is left mapped


@pytest.mark.parametrize("scattered", (False, True))
@pytest.mark.parametrize("slack", (0, 1, 40, 700))
def test_lz4_in_place(m, scattered, slack):
    """The last output pages hold the input: decoded in place where the margin allows, else from the global buffer."""
    psize = m.mem.page_size
    n = 4 * psize - slack
    data = text(slack, n)
    c = lz4_padded(data, 2 * psize)
    out = pages(m, 4, scattered)
    inp = out[2:]
    fill(m, inp, 0, c)
    copied = m.counters.bytes_copied
    rq = request(m, psize, list(inp), out, 0, 0, 2 * psize, n, Z_EROFS_COMPRESSION_LZ4, inplace=True)
    assert d.z_erofs_lz4_decompress(rq, Ref(None)) is None
    assert content(m, out, 0, n) == data
    in_place = slack >= (len(c.lstrip(b"\0")) >> 8) + 32
    assert (m.counters.bytes_copied == copied) == in_place


def test_lz4_errors(m):
    psize = m.mem.page_size
    inp, out = pages(m, 1, False), pages(m, 2, False)
    fill(m, inp, 0, b"")
    rq = request(m, psize, inp, out, 0, 0, psize, 5000, Z_EROFS_COMPRESSION_LZ4)
    assert d.z_erofs_lz4_decompress(rq, Ref(None)) == "compressed data start not found"
    fill(m, inp, psize - 3, b"\xff\xff\xff")
    rq = request(m, psize, inp, out, 0, 0, psize, 5000, Z_EROFS_COMPRESSION_LZ4)
    assert d.z_erofs_lz4_decompress(rq, Ref(None)) == "corrupted compressed data"
    fill(m, inp, 0, lz4_padded(b"a" * 3000, psize))
    rq = request(m, psize, inp, out, 0, 0, psize, 5000, Z_EROFS_COMPRESSION_LZ4)
    assert d.z_erofs_lz4_decompress(rq, Ref(None)) == "unexpected end of stream"
    assert not any(m.kmap.stacks.values()) and len(m.vm.areas) == 1


@pytest.mark.parametrize("inplace", (0, 1, 2, 4))
def test_stream_buffers_that_overlap(m, inplace):
    """Input pages that are output pages, too, are copied away before they are overwritten."""
    psize = m.mem.page_size
    with_cfg = m.slab.kmalloc(6, True)
    assert decompressor_deflate.z_erofs_deflate_init() == 0
    assert decompressor_deflate.z_erofs_load_deflate_config(None, None, with_cfg, 6) == 0
    n = 8 * psize - 77
    data = text(3, n)
    co = zlib.compressobj(9, zlib.DEFLATED, -15)
    c = co.compress(data) + co.flush()
    npages = nr(m, len(c))
    assert npages >= 2
    out = pages(m, 8, True)
    inp = pages(m, npages, False)
    for i in range(min(inplace, npages)):
        inp[npages - 1 - i] = out[i if inplace == 1 else 7 - i]         # in C they are the last ones; here also the first
    fill(m, inp, npages * psize - len(c), c)
    pool = Ref(None)
    rq = request(m, psize, list(inp), out, 0, 0, npages * psize, n, 2, inplace=bool(inplace))
    assert decompressor_deflate.z_erofs_deflate_decompress(rq, pool) is None
    assert content(m, out, 0, n) == data
    assert not any(m.kmap.stacks.values())
    decompressor_deflate.z_erofs_deflate_exit()


def test_deflate_stream_that_ends_early_in_the_last_page_passes_in_linux(m):
    """Linux 7.2 asks for Z_STREAM_END and that no page is left over, not that the last one is full: its tail stays what it was.
    """
    with_cfg = m.slab.kmalloc(6, True)
    assert decompressor_deflate.z_erofs_deflate_init() == 0
    assert decompressor_deflate.z_erofs_load_deflate_config(None, None, with_cfg, 6) == 0
    psize = m.mem.page_size
    data = text(9, psize + 100)
    co = zlib.compressobj(9, zlib.DEFLATED, -15)
    c = co.compress(data) + co.flush()
    inp, out = pages(m, nr(m, len(c)), False), pages(m, 2, False)
    fill(m, inp, 0, c)
    rq = request(m, psize, inp, out, 0, 0, len(c), psize + 130, 2)
    assert decompressor_deflate.z_erofs_deflate_decompress(rq, Ref(None)) is None
    assert content(m, out, 0, psize + 100) == data
    assert m.mem.shadow(page_address(out[1]) + 100, 30) == bytes([UNINIT]) * 30
    # a page too few is seen
    fill(m, inp, 0, c)
    rq = request(m, psize, inp, pages(m, 3, False), 0, 0, len(c), 2 * psize + 130, 2)
    assert decompressor_deflate.z_erofs_deflate_decompress(rq, Ref(None)) == "unexpected end of stream"
