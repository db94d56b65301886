# SPDX-License-Identifier: GPL-2.0-only
"""lib/decompress*: what the libraries decode and what Linux's own decoders say are the same, and errors are the kernel's."""
from __future__ import annotations

import bz2
import lzma
import random
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lz4 import block as lz4_block

from kemu.linux.decompress import decompress_method
from kemu.linux.include.decompress import large_free, large_malloc
from kemu.linux.lib import decompress_bunzip2 as bunzip2
from kemu.linux.lib import decompress_unlzma as unlzma
from kemu.linux.lib.decompress_unlz4 import unlz4
from kemu.linux.lib.xz import xz_dec_stream as xz_dec
from kemu.linux.lib.zlib_inflate import inflate as zlib_inflate
from kemu.linux.types import Ref
from kemu.machine.current import this
from kemu.machine.machine import Machine

TEXT = b"".join(b"line %d of a text that repeats itself, and a number: %d\n" % (i, i * i) for i in range(3000))
NOISE = random.Random(5).randbytes(70_000)
CASES = {"text": TEXT, "noise": NOISE, "runs": bytes(100_000) + b"a" * 5000 + TEXT[:100], "tiny": b"x", "empty": b""}


def gz(data: bytes, name: bytes = b"") -> bytes:
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    flags = b"\x08" if name else b"\0"
    return b"\x1f\x8b\x08" + flags + bytes(6) + (name + b"\0" if name else b"") + c.compress(data) + c.flush() + bytes(8)


def lzma_alone(data: bytes, known: bool) -> bytes:
    out = lzma.compress(data, format=lzma.FORMAT_ALONE, preset=6)
    return out[:5] + len(data).to_bytes(8, "little") + out[13:] if known else out


def xz(data: bytes, **kw: Any) -> bytes:
    return lzma.compress(data, check=lzma.CHECK_CRC32, **kw)


def run(data: bytes, refuse_after: int = -1) -> tuple[int, bytes, int, list[str], Machine]:
    """(result, output, consumed, errors) of the kernel's decompressor for ``data``."""
    with Machine(memory=128 << 20) as m:
        r = m.place(data)
        out = bytearray()
        errors: list[str] = []

        def flush(p: int, n: int) -> int:
            if 0 <= refuse_after <= len(out):
                return -1
            out.extend(this.mem.load(p, n) if n else b"")
            return n

        name = Ref(None)
        fn = decompress_method(r.addr, len(data), name)
        assert fn is not None
        pos = Ref(0)
        res = fn(r.addr, len(data), None, flush, 0, pos, errors.append)
        assert (m.slab.live, m.vm.areas) == ({}, {}), "every buffer is given back"
        return res, bytes(out), pos.v, errors, m


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("pack", "module"), [
    (bz2.compress, bunzip2), (lambda d: bz2.compress(d, 1), bunzip2), (lambda d: lzma_alone(d, False), unlzma),
    (lambda d: lzma_alone(d, True), unlzma),
    (xz, xz_dec), (lambda d: xz(d, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 4096, "lc": 0, "lp": 2, "pb": 0}]), xz_dec),
    (lambda d: xz(d, filters=[{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2}]), xz_dec),
], ids=["bz2", "bz2-1", "lzma", "lzma-known", "xz", "xz-4k", "xz-x86"])
def test_the_judge_says_what_the_library_says(monkeypatch: pytest.MonkeyPatch, name: str, pack: Any, module: Any) -> None:
    data = pack(CASES[name]) + b"behind"
    by_library = run(data)[:4]
    if module is xz_dec:
        monkeypatch.setattr(module, "quick_lzma2", lambda *a: None)
    else:
        quick = module.QuickLzma if module is unlzma else module.QuickBzip2
        monkeypatch.setattr(quick, "pieces", lambda self: iter(()))
    by_judge = run(data)[:4]
    if name == "empty" and pack is not bz2.compress and by_library[0]:
        assert by_judge[0] == by_library[0]             # a buffer of no bytes cannot be had
        return
    assert by_library[0] == 0 and by_library[1] == CASES[name]
    assert by_judge[:2] == by_library[:2] and by_judge[3] == []
    assert by_judge[2] == by_library[2] or data[by_judge[2]:by_library[2]] == b"\0"


@pytest.mark.parametrize("name", ["", "with-a-name"])
def test_gzip(name: str) -> None:
    data = gz(TEXT, name.encode())
    assert run(data + b"behind")[:4] == (0, TEXT, len(data), [])


def test_gzip_without_libz_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = gz(TEXT) + b"behind"
    broken = bytearray(gz(NOISE + TEXT))
    broken[60_000] ^= 0x10
    want, cut = run(data)[:4], run(bytes(broken))
    monkeypatch.setattr(zlib_inflate, "_lib", None)
    assert run(data)[:4] == want
    again = run(bytes(broken))
    assert again[0] == cut[0] and again[3] == cut[3]
    assert cut[1].startswith(again[1]) and len(cut[1]) - len(again[1]) < 600


@pytest.mark.parametrize(("data", "error"), [
    (gz(TEXT)[:2000], "read error"), (b"\x1f\x8b\x07" + bytes(20), "Not a gzip file"),
    (b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 20, "header error"),
    (b"\x1f\x8b\x08" + bytes(7) + b"\x07" * 20, "uncompression error"),
    (b"\x02\x21\x4c\x17" + bytes(9), "invalid header"), (b"\x89LZO" + bytes(60), "invalid header"),
    (xz(TEXT)[:100], "XZ-compressed data is corrupt"), (b"\xfd7zYZ\0" + bytes(20),
                                                        "Input is not in the XZ format (wrong magic bytes)"),
    (b"\x28\xb5\x2f\xfe" + bytes(20), "Input is not in the ZSTD format (wrong magic bytes)"),
    (b"\x28\xb5\x2f", "ZSTD-compressed data has an incomplete frame header"),
    (lzma_alone(TEXT, True)[:60], "unexpected EOF"),
], ids=lambda x: x if isinstance(x, str) else "")
def test_error_texts(data: bytes, error: str) -> None:
    res, _, _, errors, _ = run(data)
    assert res != 0 and errors[0] == error


def test_crc64_is_not_supported() -> None:
    assert (run(lzma.compress(TEXT, check=lzma.CHECK_CRC64))[3]
            == ["Input was encoded with settings that are not supported by this XZ decoder"])


@pytest.mark.parametrize("data", [gz(NOISE), bz2.compress(NOISE), xz(NOISE), lzma_alone(NOISE, True)],
                         ids=["gzip", "bzip2", "xz", "lzma"])
def test_a_flush_that_is_refused_ends_it(data: bytes) -> None:
    res, out, _, errors, _ = run(data, refuse_after=0)
    assert res != 0 and out == b"" and (errors or res == -1)


@given(st.binary(max_size=300), st.sampled_from([b"\x1f\x8b\x08", b"BZh9", b"\x5d\0\0", b"\xfd7zXZ\0", b"\x89LZO\0\r\n\x1a\n",
                                                 b"\x02\x21\x4c\x18",
                                                 b"\x28\xb5\x2f\xfd"]))
def test_anything_ends_in_an_error_or_success(tail: bytes, magic: bytes) -> None:
    """And whatever is read beyond the input is reported, not done."""
    res, _, _, errors, m = run(magic + tail)
    assert res == 0 or errors or res < 0
    del m


@given(st.data())
def test_a_changed_byte_never_escapes(data: Any) -> None:
    good = data.draw(st.sampled_from([gz(TEXT[:3000]), bz2.compress(TEXT[:3000]), xz(TEXT[:3000]),
                                      lzma_alone(TEXT[:3000], False)]))
    at = data.draw(st.integers(2, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    res, out, _, errors, _ = run(bytes(bad))
    assert res == 0 or errors or res < 0
    assert len(out) < 1 << 24


BCJ = {"x86": 4, "powerpc": 5, "arm": 7, "armthumb": 8, "sparc": 9}


def machine_code(seed: int) -> bytes:
    """Bytes in which every filter finds much to do."""
    rng = random.Random(seed)
    calls = (b"\xe8", b"\xe9", b"\xe8\xe8", b"\xff\xff", b"\0\0", b"\xeb", b"\x48\0\0\1", b"\x40\0\1\2", b"\x7f\xc0",
             b"\xf0\1\xf8", b"\x94", b"\x90", b"\xef",
             b"\x97\x02", b"\x17\x01")
    return b"".join(rng.choice(calls) + rng.randbytes(rng.randrange(5)) for _ in range(4000))


@pytest.mark.parametrize("name", BCJ)
def test_filters_undo_what_liblzma_does(name: str) -> None:
    for seed in range(4):
        plain = machine_code(seed)
        assert run(xz(plain, filters=[{"id": BCJ[name]}, {"id": lzma.FILTER_LZMA2, "preset": 0}]))[:2] == (0, plain)


@pytest.mark.parametrize(("name", "size", "want"), [
    # BL, ADRP near and far, an ADRP that is out of range, unaligned data behind
    ("arm64", 4, "00000094 fcffff97 200000b0 4100009f 1f2003d5"), ("riscv", 2, "ef00f0ff 97020000 93820200 17010000 13012101 00"),
])
def test_filters_that_are_younger_than_pythons(name: str, size: int, want: str) -> None:
    """Moved by a page, a filter's answer moves by as much: the addresses are relative to where the code is; and in portions it is
    the same.
    """
    from kemu.linux.lib.xz.xz_dec_bcj import bcj_apply, xz_dec_bcj, xz_dec_bcj_reset

    with Machine():
        code = bytes.fromhex(want) * 50 + machine_code(9)
        whole, parts = bytearray(code), bytearray(code)
        s = xz_dec_bcj()
        assert xz_dec_bcj_reset(s, {"arm64": 10, "riscv": 11}[name]) == 0
        end = bcj_apply(s, whole, 0, len(whole))
        xz_dec_bcj_reset(s, s.type)
        at = 0
        for stop in range(100, len(parts) + 99, 100):
            at = bcj_apply(s, parts, at, min(stop, len(parts)))
        assert whole == parts and at == end and whole != code and len(whole) - end < 2 * size + 8


@pytest.mark.parametrize("filters", [[], [{"id": 4}]], ids=["lzma2", "x86"])
def test_what_liblzma_refuses_late_is_decoded_again_from_the_block(monkeypatch: pytest.MonkeyPatch,
                                                                   filters: list[dict[str, Any]]) -> None:
    """The same bytes come out, whoever decodes, and nothing twice."""
    plain = NOISE[:3000] + TEXT * 3 + machine_code(3)
    data = bytearray(xz(plain, filters=[*filters, {"id": lzma.FILTER_LZMA2, "preset": 0}]))
    data[-2000] ^= 0x55
    by_library = run(bytes(data))[:4]
    monkeypatch.setattr(xz_dec, "quick_lzma2", lambda *a: None)
    assert by_library == run(bytes(data))[:4]
    assert by_library[3] == ["XZ-compressed data is corrupt"] and len(by_library[1]) > 100_000


def test_a_code_without_an_end_of_block() -> None:
    """Linux decodes what there is; libz refuses the block."""
    from kemu.forge.packed_deflate import deflate_odd
    from kemu.forge.pick import Pick, SeedValues

    for seed in range(200):
        done: list[str] = []
        body = deflate_odd(Pick(SeedValues(seed)), TEXT[:5000], done)
        if done == ["no end of block", "distances [1, 1]"]:
            break
    res, out, _, errors, _ = run(b"\x1f\x8b\x08\0" + bytes(6) + body)
    assert (res, out, errors) == (-1, TEXT[:5000], ["read error"])


def test_the_randomised_bit_at_every_offset() -> None:
    good = bytearray(bz2.compress(random.Random(1).randbytes(700_000), 1))
    n, bits = len(good) * 8, int.from_bytes(good, "big")
    text = bin(bits)[2:].zfill(n)
    seen, at = set(), text.find(bin(0x314159265359)[2:].zfill(48))
    while at >= 0:
        seen.add(at % 8)
        assert bunzip2._may_be_randomised((bits | 1 << n - 1 - at - 80).to_bytes(len(good), "big"))
        at = text.find(bin(0x314159265359)[2:].zfill(48), at + 1)
    assert len(seen) >= 4 and not bunzip2._may_be_randomised(bytes(good))
    bad = bz2.compress(TEXT)
    bad = (int.from_bytes(bad, "big") | 1 << len(bad) * 8 - 1 - 32 - 80).to_bytes(len(bad), "big")
    assert run(bad)[:2] == (-7, b"")


@pytest.mark.parametrize("option", ["X86", "ARM64"])
def test_filters_are_options(option: str) -> None:
    from kemu.linux.lib.xz.xz_dec_bcj import xz_dec_bcj, xz_dec_bcj_reset

    number = {"X86": 4, "ARM64": 10}[option]
    for on in (True, False):
        with Machine(config={f"CONFIG_XZ_DEC_{option}": on}):
            assert xz_dec_bcj_reset(xz_dec_bcj(), number) == (0 if on else 6)


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("to_buffer", [False, True])
def test_lz4_from_and_to_where_the_caller_says(filled: bool, to_buffer: bool) -> None:
    data = bytes(range(256)) * 40
    block = lz4_block.compress(data, store_size=False)
    frame = b"\x02\x21\x4c\x18" + len(block).to_bytes(4, "little") + block
    with Machine(memory=128 << 20) as m:
        at = [0]
        out = bytearray()
        errors: list[str] = []

        def fill(p: int, n: int) -> int:
            part = frame[at[0]:at[0] + n]
            this.mem.store(p, part)
            at[0] += len(part)
            return len(part)

        def flush(p: int, n: int) -> int:
            out.extend(this.mem.load(p, n))
            return n

        source = m.place(frame)
        target = large_malloc(8 << 20) if to_buffer else 0
        pos = Ref(0)
        assert unlz4(0 if filled else source.addr, 0 if filled else len(frame), fill if filled else None,
                     None if to_buffer else flush, target, pos, errors.append) == 0
        assert not errors and pos.v == len(frame)
        assert (m.mem.load(target, len(data)) if target else bytes(out)) == data
        large_free(target)
        assert m.vm.areas == {}
        assert unlz4(0, 0, None, flush, 0, pos, errors.append) == -1
        assert unlz4(source.addr, len(frame), fill, flush, 0, pos, errors.append) == -1
        assert unlz4(source.addr, len(frame), None, None, 0, pos, errors.append) == -1
        assert errors == ["NULL input pointer and missing fill function", "Both input pointer and fill function provided,",
                          "NULL output pointer and no flush function provided"]
        assert m.vm.areas == {}
