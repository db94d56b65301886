# SPDX-License-Identifier: GPL-2.0-only
"""Memory by address (include/linux/string.h). Addresses are ints; every access is checked."""
from __future__ import annotations

from kemu.linux.honesty import custom, dup
from kemu.machine.current import this


@dup("include/linux/string.h")
def memcpy(dst: int, src: int, n: int) -> int:
    """``void *memcpy(void *dst, const void *src, size_t n)``: counted in ``bytes_copied``."""
    this.mem.copy(dst, src, n)
    return dst


@dup("include/linux/string.h")
def memmove(dst: int, src: int, n: int) -> int:
    """``void *memmove(void *dst, const void *src, size_t n)``"""
    this.mem.copy(dst, src, n)
    return dst


@dup("include/linux/string.h")
def memset(p: int, c: int, n: int) -> int:
    """``void *memset(void *p, int c, size_t n)``"""
    this.mem.fill(p, c, n)
    return p


@dup("include/linux/string.h")
def memcmp(a: int, b: int, n: int) -> int:
    """``int memcmp(const void *a, const void *b, size_t n)``"""
    x, y = this.mem.load(a, n), this.mem.load(b, n)
    return (x > y) - (x < y)


@dup("include/linux/string.h")
def memchr_inv(p: int, c: int, n: int) -> int:
    """``void *memchr_inv(const void *p, int c, size_t n)``: address of the first byte that is not ``c``, or 0."""
    data = this.mem.load(p, n)
    rest = data.lstrip(bytes((c & 0xFF,)))
    return p + n - len(rest) if rest else 0


@dup("include/linux/string.h")
def strnlen(p: int, maxlen: int) -> int:
    """``size_t strnlen(const char *p, size_t maxlen)``: reads no further than the NUL."""
    n = 0
    mem = this.mem
    while n < maxlen:
        step = min(maxlen - n, mem.page_size - ((p + n) & mem.mask), 64)
        chunk = _readable(p + n, step)
        i = chunk.find(0)
        if i >= 0:
            return n + i
        n += len(chunk)
        if len(chunk) < step:
            mem.load(p + n, 1)          # C would touch this byte: let the check say so
    return n


@dup("include/linux/string.h")
def strlen(p: int) -> int:
    """``size_t strlen(const char *p)``"""
    return strnlen(p, 1 << 62)


def _readable(p: int, n: int) -> bytes:
    """At most ``n`` bytes at ``p``: as many as may be read in this page."""
    mem = this.mem
    base = mem.fast.get(p >> mem.shift)
    if base is not None:
        base += p & mem.mask
        return bytes(mem.buf[base:base + n])
    codes = mem.shadow(p, n)
    k = 0
    while k < n and codes[k] < 0x80:
        k += 1
    return mem.load(p, k) if k else b""


@custom("include/linux/string.h", "", "a C string as Python bytes, for names that leave ported code")
def c_string(p: int, maxlen: int = 1 << 20) -> bytes:
    """The NUL-terminated string at ``p`` without its NUL."""
    return this.mem.load(p, strnlen(p, maxlen))


@custom("include/linux/string.h", "*(u8 (*)[n])p", "n bytes of memory as Python bytes; checked as n loads are")
def mem_read(p: int, n: int) -> bytes:
    """``n`` bytes at ``p`` that the kernel looks at."""
    return this.mem.load(p, n)


@custom("include/linux/string.h", "", "Python bytes stored to memory, as a device or a decompressor writes them")
def mem_write(p: int, data: bytes) -> None:
    """Store ``data`` at ``p``."""
    this.mem.store(p, data)


@custom("include/linux/string.h", "", "a byte-by-byte comparison loop at C's speed")
def mem_match(p: int, data: bytes) -> int:
    """How many leading bytes of ``data`` are at ``p``; like a loop that stops, it touches nothing behind the first byte that differs."""
    mem = this.mem
    n, done = len(data), 0
    while done < n:
        step = min(n - done, mem.page_size - ((p + done) & mem.mask))
        chunk = _readable(p + done, step)
        want = data[done:done + len(chunk)]
        if chunk != want:
            for i, b in enumerate(want):
                if chunk[i] != b:
                    return done + i
        done += len(chunk)
        if len(chunk) < step:
            mem.load(p + done, 1)       # C would touch this byte: let the check say so
    return n
