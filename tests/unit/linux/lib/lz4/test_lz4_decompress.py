# SPDX-License-Identifier: GPL-2.0-only
"""LZ4 in emulated memory: against the lz4 package, against Linux's own decoder, and on itself."""
from __future__ import annotations

import random

import lz4.block
import pytest

from kemu.linux import lz4 as klz4
from kemu.linux.lz4 import LZ4_DECOMPRESS_INPLACE_MARGIN, LZ4_decompress_safe, LZ4_decompress_safe_partial
from kemu.machine.current import this
from kemu.machine.machine import Machine
from kemu.machine.shadow import OK, UNINIT
from kemu.machine.splat import Splat


def text(seed: int, n: int) -> bytes:
    r = random.Random(seed)
    words = [bytes(r.randrange(97, 123) for _ in range(r.randrange(1, 9))) for _ in range(40)]
    out = bytearray()
    while len(out) < n:
        out += r.choice(words)
        if r.random() < 0.1:
            out += bytes(r.randrange(1, 40))
        if r.random() < 0.05:
            out += r.randbytes(r.randrange(30))
    return bytes(out[:n])


def pack(data: bytes) -> bytes:
    return lz4.block.compress(data, store_size=False)


@pytest.fixture
def m():
    with Machine() as machine:
        yield machine


def put(m, data: bytes, scattered: bool) -> int:
    p = m.vm.vmalloc(m.alloc, len(data), False) if scattered else m.slab.kmalloc(len(data), False)
    m.mem.store(p, data)
    return p


@pytest.mark.parametrize("scattered", (False, True))
@pytest.mark.parametrize("n", (1, 12, 13, 100, 4096, 5000, 70000))
def test_whole_block(m, n, scattered):
    data = text(n, n)
    c = pack(data)
    src = put(m, c, scattered)
    dst = m.vm.vmalloc(m.alloc, n, False) if scattered else m.slab.kmalloc(n, False)
    assert m.mem.shadow(dst, n) == bytes([UNINIT]) * n
    assert LZ4_decompress_safe(src, dst, len(c), n) == n
    assert m.mem.load(dst, n) == data
    assert m.mem.shadow(dst, n) == bytes([OK]) * n
    assert m.counters.bytes_decompressed == n


@pytest.mark.parametrize("want", (1, 7, 4095, 4096, 9999))
def test_partial(m, want):
    data = text(3, 10000)
    c = pack(data)
    src, dst = put(m, c, True), m.vm.vmalloc(m.alloc, 10000, False)
    assert LZ4_decompress_safe_partial(src, dst, len(c), want, want) == want
    assert m.mem.load(dst, want) == data[:want]
    assert m.mem.shadow(dst + want, 10000 - want) == bytes([UNINIT]) * (10000 - want)      # nothing behind the target is written


def test_short_block_is_short(m):
    c = pack(b"x" * 500)
    src, dst = put(m, c, False), m.slab.kmalloc(600, False)
    assert LZ4_decompress_safe(src, dst, len(c), 600) == 500
    assert m.mem.shadow(dst, 600) == bytes([OK]) * 500 + bytes([UNINIT]) * 100


def test_corrupt_return_value_is_linux(m):
    # 15 literals announced, none there: the error is at the second byte of input
    src, dst = put(m, b"\xf0\x00", False), m.slab.kmalloc(100, False)
    assert LZ4_decompress_safe(src, dst, 2, 100) == -1 - 1
    # a match that reaches in front of the output: token, one literal, offset 9
    src = put(m, b"\x10A\x09\x00" + b"\x50BCDEF", False)
    assert LZ4_decompress_safe(src, dst, 10, 100) == -4 - 1


@pytest.mark.parametrize("lib", ("all", "no LZ4_decompress_fast", "none"))
def test_offset_zero_is_what_linux_makes_of_it(m, monkeypatch, lib):
    """No encoder writes offset 0. liblz4 makes zeros of it; Linux clears four bytes, and in partial decoding not even these:
    there the
    16 bytes show that it has copied for one literal."""
    if lib != "all":
        monkeypatch.setattr(klz4, "_lib_fast", None)
    if lib == "none":
        monkeypatch.setattr(klz4, "_lib", None)
    rest = b"abcdefghij" * 3
    src = put(m, b"\x10A\x00\x00\xf0\x0f" + rest, False)
    dst = m.slab.kmalloc(35, False)
    m.mem.fill(dst, 0x77, 35)
    assert LZ4_decompress_safe(src, dst, 36, 35) == 35
    assert m.mem.load(dst, 35) == b"A\0\0\0\0" + rest
    assert LZ4_decompress_safe_partial(src, dst, 36, 35, 35) == 35
    assert m.mem.load(dst, 35) == b"A\0\0\xf0\x0f" + rest


def test_a_block_that_was_begun_is_remembered_by_its_bytes(m, monkeypatch):
    asked = []
    fast = klz4._lib_fast
    if fast is None:
        pytest.skip("no LZ4_decompress_fast here")
    monkeypatch.setattr(klz4, "_lib_fast", type("Lib", (),
                                                {"LZ4_decompress_fast": lambda *a: asked.append(1)
                                                 or fast.LZ4_decompress_fast(*a[-3:])})())
    data = bytes(5) + text(5, 9000) + bytes(40)         # the block has two zero bytes: it must be proven
    good = pack(data)
    assert b"\0\0" in good
    dst = m.slab.kmalloc(len(data), False)
    src = put(m, good, False)
    assert LZ4_decompress_safe_partial(src, dst, len(good), 4000, 4000) == 4000 and len(asked) == 1
    assert LZ4_decompress_safe(src, dst, len(good), len(data)) == len(data) and len(asked) == 1
    assert m.mem.load(dst, len(data)) == data
    # another block of the same size is another block
    other = pack(bytes(5) + text(6, 9000) + bytes(40)).ljust(len(good), b"?")[:len(good)]
    m.mem.store(src, other)
    LZ4_decompress_safe_partial(src, dst, len(other), 4000, 4000)
    assert m.mem.load(dst, 4000) == (bytes(5) + text(6, 9000))[:4000]
    # and one with an offset 0 is never taken for good, however much of it was wanted before
    bad = b"\x10A\x00\x00\xf0\x0f" + b"abcdefghij" * 3
    m.mem.store(src, bad)
    for _ in range(2):
        m.mem.fill(dst, 0x77, 35)
        assert LZ4_decompress_safe_partial(src, dst, 36, 1, 1) == 1
        m.mem.fill(dst, 0x77, 35)
        assert LZ4_decompress_safe_partial(src, dst, 36, 35, 35) == 35
        assert m.mem.load(dst, 5) == b"A\0\0\xf0\x0f"


def test_linux_decoder_agrees_with_the_library(m, monkeypatch):
    """The same result for the same input, good or damaged; where they may differ, Linux's decoder is the one that is asked."""
    r = random.Random(7)
    both = 0
    for seed in range(150):
        data = text(seed, r.randrange(1, 3000))
        c = bytearray(pack(data))
        for _ in range(r.randrange(3)):
            c[r.randrange(len(c))] = r.randrange(256)
        n = r.choice((len(data), r.randrange(len(data) + 1), len(data) + 5))
        src = put(m, bytes(c), False)
        got = []
        for lib in (klz4._lib, None):
            monkeypatch.setattr(klz4, "_lib", lib)
            monkeypatch.setattr(klz4, "_by_package", lambda *a: False)
            for partial in (False, True):
                dst = m.slab.kmalloc(n + 1, True)
                ret = LZ4_decompress_safe_partial(src, dst, len(c), n, n) if partial else LZ4_decompress_safe(src, dst, len(c), n)
                got.append((ret, m.mem.raw(dst, max(ret, 0))))
                assert m.mem.load(dst + n, 1) == b"\0"                                   # nothing behind the capacity is written
            monkeypatch.undo()
        assert got[:2] == got[2:]
        both += got[0][0] == n
    assert both > 30


def test_package_fallback(m, monkeypatch):
    monkeypatch.setattr(klz4, "_lib", None)
    monkeypatch.setattr(klz4, "LZ4_decompress_generic", None)
    data = text(1, 9000)
    c = pack(data)
    src, dst = put(m, c, True), m.vm.vmalloc(m.alloc, 9000, False)
    assert LZ4_decompress_safe(src, dst, len(c), 9000) == 9000
    assert m.mem.load(dst, 9000) == data


def in_place(m, data: bytes, slack: int, alias: bool) -> tuple[int, bytes]:
    """Decode with the source at the end of the destination's pages, ``slack`` bytes behind the output's end."""
    c = pack(data)
    size = -(-(len(data) + slack) // 4096) * 4096
    pages = [m.alloc.alloc(0, True) for _ in range(size // 4096)]
    dst = m.vm.map_pages(pages)
    src = dst + len(data) + slack - len(c)
    if alias:                                           # the same frames through another window
        src = m.vm.map_pages(pages) + (src - dst)
    m.mem.store(src, c)
    ret = LZ4_decompress_safe(src, dst, len(c), len(data))
    return ret, m.mem.load(dst, len(data))


@pytest.mark.parametrize("alias", (False, True))
def test_in_place_with_margin(m, alias):
    data = text(5, 20000)
    assert in_place(m, data, LZ4_DECOMPRESS_INPLACE_MARGIN(len(pack(data))), alias) == (20000, data)


def test_in_place_without_margin_overwrites_its_source(m):
    """The source ends before the output does: the kernel reads bytes that it has just written."""
    data = text(5, 20000)
    ret, out = in_place(m, data, -500, False)
    assert ret != 20000 or out != data
    assert out[:5000] == data[:5000]


def test_accesses_are_checked(m):
    data = text(1, 300)
    c = pack(data)
    src, dst = put(m, c, False), m.slab.kmalloc(299, False)
    with pytest.raises(Splat, match="KASAN: slab-out-of-bounds"):
        LZ4_decompress_safe(src, dst, len(c), 300)
    with pytest.raises(Splat, match="KASAN: slab-out-of-bounds"):
        LZ4_decompress_safe(src, dst, len(c) + 1, 200)
    m.slab.kfree(dst)
    with pytest.raises(Splat, match="KASAN: slab-use-after-free"):
        LZ4_decompress_safe(src, dst, len(c), 200)


class Quiet:
    """A watch that only notes which never-written bytes were used."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def uninit_use(self, addr: int, size: int, what: str) -> None:
        self.seen.append((addr, size))

    def __getattr__(self, name: str):
        return lambda *a, **k: None


def test_what_was_never_written_stays_so(m):
    """A match of offset 0 gives the reader what was in the page; the shadow still says that nobody has written it."""
    src = put(m, b"\xe0" + b"14 literals..." + b"\x00\x00" + b"\xf0\x01" + b"sixteen literals", False)
    dst = m.slab.kmalloc(34, False)
    this.watch = watch = Quiet()
    assert LZ4_decompress_safe_partial(src, dst, 35, 34, 34) == 34
    assert m.mem.shadow(dst, 34) == bytes([OK]) * 16 + bytes([UNINIT]) * 2 + bytes([OK]) * 16
    assert not watch.seen
    m.mem.give(dst, 34)
    assert watch.seen == [(dst, 34)]


def test_source_that_was_never_written_is_reported(m):
    src, dst = m.slab.kmalloc(100, False), m.slab.kmalloc(100, False)
    this.watch = watch = Quiet()
    LZ4_decompress_safe(src, dst, 100, 100)
    assert watch.seen == [(src, 100)]
