# SPDX-License-Identifier: GPL-2.0-only
"""LZ4 decompression in emulated memory (include/linux/lz4.h).

The bytes are decoded by the C library that the ``lz4`` package carries, straight in the arena where source and destination are
physically contiguous, through one bounce copy where they are not. Linux's own decoder (:mod:`kemu.linux.lib.lz4.lz4_decompress`)
decides where the library's answer may not be Linux's: for every result but full success; for a block with a match of offset 0,
which both accept and for which Linux leaves what was in memory; and where source and destination share page frames and the
in-place margin does not hold.
"""
from __future__ import annotations

import functools
import importlib
import re
from typing import Any

from kemu.linux.lib.lz4.lz4_decompress import LZ4_decompress_generic, Window
from kemu.linux.port.honesty import custom, dup
from kemu.machine import hostlib
from kemu.machine.cdefs import ffi_for
from kemu.machine.current import this
from kemu.machine.hostmodule import MissingLibrary, host_module
from kemu.machine.runs import mark_written, overlapping, window_pieces

P = "include/linux/lz4.h"

lz4_block = host_module("lz4.block", "LZ4")
LZ4_DISTANCE_MAX = 65535
LZ4_MAX_INPUT_SIZE = 0x7E000000


@dup(P)
def LZ4_DECOMPRESS_INPLACE_MARGIN(compressedSize: int) -> int:
    """``LZ4_DECOMPRESS_INPLACE_MARGIN(compressedSize)``: bytes by which the source must end behind the destination for in-place
    decoding.
    """
    return (compressedSize >> 8) + 32


@dup(P)
def LZ4_compressBound(isize: int) -> int:
    """``int LZ4_compressBound(size_t isize)``: the longest that compressed data of that size can be; 0: more than LZ4 takes."""
    return 0 if isize > LZ4_MAX_INPUT_SIZE else isize + isize // 255 + 16


_ffi = ffi_for("kemu.linux._cdefs_lz4", """
int LZ4_decompress_safe(uintptr_t src, uintptr_t dst, int compressedSize, int dstCapacity);
int LZ4_decompress_safe_partial(uintptr_t src, uintptr_t dst, int compressedSize, int targetOutputSize, int dstCapacity);
int LZ4_decompress_fast(uintptr_t src, uintptr_t dst, int originalSize);
int memcmp(uintptr_t a, uintptr_t b, size_t n);
void *memcpy(uintptr_t to, uintptr_t from, size_t n);
void *memset(uintptr_t p, int c, size_t n);
void *memchr(uintptr_t p, int c, size_t n);
void *memmem(uintptr_t p, size_t n, const char *what, size_t k);
""")

# inside the lz4 package's extension module, else the system's
_SYSTEM = ("liblz4.so.1", "liblz4.dylib")


def _libraries() -> tuple[str, ...]:
    try:
        return (importlib.import_module("lz4.block._block").__file__ or _SYSTEM[0], *_SYSTEM)
    except ImportError:
        return _SYSTEM


_lib = hostlib.load(_ffi, _libraries(), "LZ4_decompress_safe", "LZ4_decompress_safe_partial")
_libc = _ffi.dlopen(None)
_PATTERN = 0xA5
_WHOLE = 1 << 20            # room for a block of which only the beginning was asked for


def _fills(lib: Any) -> bool:
    """Whether this library's LZ4_decompress_fast() leaves memory as it was under a match of offset 0, as 1.9.4's does."""
    if lib is None or not hasattr(lib, "LZ4_decompress_fast"):
        return False
    sp, src = hostlib.bounce("src", 64)
    dp, dst = hostlib.bounce("dst", 64)
    src[:36] = b"\x10A\x00\x00\xf0\x0f" + b"kernel" * 5
    dst[:64] = bytes((_PATTERN,)) * 64
    return bool(lib.LZ4_decompress_fast(sp, dp, 35) == 36 and bytes(dst[:5]) == b"A" + bytes((_PATTERN,)) * 4)


def _clears(lib: Any) -> bool:
    """Whether this library's LZ4_decompress_safe() gives zeros for a match of offset 0, short or long, early or late."""
    if lib is None:
        return False
    for before in (1, 20, 300):
        for token, more in ((0x0, b""), (0x9, b""), (0xF, b"\x80"), (0xF, b"\xff\xff\x01")):
            length = token + 4 + sum(more)
            run = (bytes((0xF0, before - 15)) if 15 <= before < 270
                   else b"\xf0\xff" + bytes((before - 270,)) if before >= 270 else bytes((before << 4,)))
            block = bytes((run[0] | token,)) + run[1:] + b"x" * before + b"\0\0" + more + b"\xf0\x19" + b"y" * 40
            sp, src = hostlib.bounce("src", len(block))
            dp, dst = hostlib.bounce("dst", 4096)
            src[:len(block)] = block
            dst[:4096] = bytes((_PATTERN,)) * 4096
            n = before + length + 40
            if lib.LZ4_decompress_safe(sp, dp, len(block), n) != n or bytes(dst[:n]) != b"x" * before + bytes(length) + b"y" * 40:
                return False
    return True


_zeros = _clears(_lib)
_lib_fast = _lib if _fills(_lib) else None


@functools.cache
def _sequences() -> re.Pattern[bytes]:
    """A run of sequences of less than 15 literals each, with offsets that are not 0."""
    offset = rb"(?:[^\x00].|\x00[^\x00])"
    one = []
    for literals in range(15):
        skip = b".{%d}" % literals if literals else b""
        one.append(b"[\\x%x0-\\x%xe]" % (literals, literals) + skip + offset)
        one.append(b"\\x%xf" % literals + skip + offset + rb"\xff*+[^\xff]")
    return re.compile(b"(?:" + b"|".join(one) + b")*+", re.DOTALL)


_LENGTH = re.compile(rb"\xff*+")


def _odd(src: bytes) -> bool:
    """Whether a block that the library decoded has an offset 0, or ends so closely behind a match that Linux may think otherwise.
    """
    end = len(src)
    pos = 0
    sequences = _sequences()
    while True:
        pos = sequences.match(src, pos).end()                                    # type: ignore[union-attr]
        if pos > end - 5:
            return True
        token = src[pos]
        pos += 1
        literals = token >> 4
        if literals == 15:
            more = _LENGTH.match(src, pos).end()                                  # type: ignore[union-attr]
            if more >= end:
                return True
            literals += 255 * (more - pos) + src[more]
            pos = more + 1
        pos += literals
        if pos >= end:
            return pos > end
        if pos > end - 5 or not (src[pos] or src[pos + 1]):
            return True
        pos += 2
        if token & 15 == 15:
            pos = _LENGTH.match(src, pos).end() + 1                               # type: ignore[union-attr]


class _Begun:
    """The last block that was found to be in order although only its beginning was wanted: mostly, the whole of it is wanted
    next.

    The bounce buffer "begun" has its ``size`` bytes, "whole" the ``length`` bytes that they decode to.
    """

    size = -1
    length = 0


def _again(sp: int, csize: int, capacity: int, partial: bool) -> bool:
    """Whether this is that block: then its bytes are in "whole"."""
    return bool(csize == _Begun.size and (capacity == _Begun.length or (partial and capacity < _Begun.length)) and
                not _libc.memcmp(sp, hostlib.bounce("begun", csize)[0], csize))


def _not_odd(sp: int, csize: int) -> bool:
    return not _odd(hostlib.ffi.buffer(hostlib.ffi.cast("char *", sp), csize)[:])


def _as_linux(sp: int, dp: int, csize: int, capacity: int, partial: bool) -> bool:
    """Whether Linux decodes this block, which the library has just decoded from ``sp`` to ``dp``, to the same bytes."""
    if not partial and ((_zeros and not _libc.memchr(dp, 0, capacity)) or not _libc.memmem(sp, csize, b"\0\0", 2)):
        return True                                     # no offset can be 0
    if _lib_fast is None:
        return _not_odd(sp, csize)
    if partial:
        room = max(_WHOLE, capacity)
        _Begun.size = -1
        dp = hostlib.bounce("whole", room)[0]
        capacity = _lib.LZ4_decompress_safe(sp, dp, csize, room)
        if capacity <= 0:
            return _not_odd(sp, csize)
    # a decoder that copies offset 0 onto itself: what it leaves of a pattern is where the two differ
    cp = hostlib.bounce("check", capacity)[0]
    _libc.memset(cp, _PATTERN, capacity)
    good = bool(_lib_fast.LZ4_decompress_fast(sp, cp, capacity) == csize and _libc.memcmp(dp, cp, capacity) == 0)
    if good and partial:
        _libc.memcpy(hostlib.bounce("begun", csize)[0], sp, csize)
        _Begun.size, _Begun.length = csize, capacity
    return good


def _in_place(src: int, dst: int, csize: int, capacity: int) -> bool:
    """Whether decoding a source that lies in its own destination is safe: by the margin rule, and seen through one linear window.
    """
    if not (dst <= src and src + csize >= dst + capacity + LZ4_DECOMPRESS_INPLACE_MARGIN(csize)):
        return False
    mem = this.mem
    shift = mem.shift
    shown = {mem.pfn_of(vpn << shift): vpn for vpn in range(dst >> shift, (dst + capacity - 1 >> shift) + 1)}
    for vpn in range(src >> shift, (src + csize - 1 >> shift) + 1):
        if shown.get(mem.pfn_of(vpn << shift), vpn) != vpn:
            return False
    return True


def _by_package(src: int, dst: int, csize: int, capacity: int) -> bool:
    """A whole block through the package's Python functions, where no library lets itself be called; False if it does not fill
    ``capacity``.
    """
    mem = this.mem
    block = mem.load(src, csize)
    try:
        data = lz4_block.decompress(block, uncompressed_size=capacity)
    except MissingLibrary:
        return False
    except lz4_block.LZ4BlockError:
        return False
    if len(data) != capacity or _odd(block):
        return False
    mem.store(dst, data)
    mem.counters.bytes_decompressed += capacity
    return True


def _decompress(src: int, dst: int, csize: int, capacity: int, partial: bool) -> int:
    mem = this.mem
    sruns = window_pieces(src, csize, False)
    druns = window_pieces(dst, capacity, True)
    watch = this.watch
    if watch is not None and mem.init_of(sruns) is not None:
        watch.uninit_use(src, csize, "decompress")
    overlap = overlapping(sruns, druns, mem)
    if _lib is not None and capacity > 0 and csize > 0 and not (overlap
                                                                and (partial or not _in_place(src, dst, csize, capacity))):
        sview = dview = None
        if len(sruns) == 1 and not overlap:
            sp = hostlib.arena() + sruns[0][0]
        else:
            # where in-place decoding is safe, a snapshot of the source gives the same
            sp, sview = hostlib.bounce("src", csize)
            hostlib.gather(sruns, sview)
        if len(druns) == 1:
            dp = hostlib.arena() + druns[0][0]
        else:
            dp, dview = hostlib.bounce("dst", capacity)
        again = _again(sp, csize, capacity, partial)
        if again:
            ret = capacity
            wp, wview = hostlib.bounce("whole", capacity)
            if dview is None:
                _libc.memcpy(dp, wp, capacity)
            else:
                dview = wview
        elif partial:
            ret = _lib.LZ4_decompress_safe_partial(sp, dp, csize, capacity, capacity)
        else:
            ret = _lib.LZ4_decompress_safe(sp, dp, csize, capacity)
        if again or (ret == capacity and _as_linux(sp, dp, csize, capacity, partial)):
            if dview is not None:
                hostlib.scatter(druns, dview)
            mark_written(mem, druns)
            mem.counters.bytes_decompressed += capacity
            return capacity
        if overlap and sview is not None and dview is None:
            hostlib.scatter(sruns, sview)
    elif _lib is None and not partial and not overlap and csize > 0 and capacity > 0 and _by_package(src, dst, csize, capacity):
        return capacity
    window = Window()
    window.add(src, csize)
    window.add(dst, capacity)
    ret = LZ4_decompress_generic(src, dst, csize, capacity, partial, overlap, window)
    if window.high > dst:
        init = window.never_written(dst, window.high - dst) if window.track else b""
        mem.mark(mem.pieces(dst, window.high - dst, True), init if 1 in init else None)
    if ret > 0:
        mem.counters.bytes_decompressed += ret
    return ret


@custom(P, "LZ4_decompress_safe", "decoded by liblz4 where its result is what Linux's decoder gives")
def LZ4_decompress_safe(src: int, dst: int, compressedSize: int, maxDecompressedSize: int) -> int:
    """Decompress a whole LZ4 block.

    ``int LZ4_decompress_safe(const char *source, char *dest, int compressedSize, int maxDecompressedSize)``

    Every byte of the source must be readable, every byte of the destination writable; nothing outside them is touched. Counted in
    ``bytes_decompressed``.
    Return: bytes decoded, negative for corrupt input. Linux: lib/lz4/lz4_decompress.c.
    """
    return _decompress(src, dst, compressedSize, maxDecompressedSize, False)


@custom(P, "LZ4_decompress_safe_partial", "decoded by liblz4 where its result is what Linux's decoder gives")
def LZ4_decompress_safe_partial(src: int, dst: int, compressedSize: int, targetOutputSize: int, dstCapacity: int) -> int:
    """Decompress the beginning of an LZ4 block.

    ``int LZ4_decompress_safe_partial(const char *src, char *dst, int compressedSize, int targetOutputSize, int dstCapacity)``

    Return: bytes decoded, at most ``min(targetOutputSize, dstCapacity)``; negative for corrupt input.
    """
    return _decompress(src, dst, compressedSize, min(targetOutputSize, dstCapacity), True)
