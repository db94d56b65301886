# SPDX-License-Identifier: GPL-2.0-only
"""Memory and strings by address (lib/string.c)."""
from __future__ import annotations

from kemu.linux.include.string import _readable, _used
from kemu.linux.port.honesty import custom
from kemu.machine.current import this

C = "lib/string.c"


@custom(C, "memcpy", "checked accesses to the machine's memory")
def memcpy(dst: int, src: int, n: int) -> int:
    """``void *memcpy(void *dst, const void *src, size_t n)``: counted in ``bytes_copied``."""
    this.mem.copy(dst, src, n)
    return dst


@custom(C, "memmove", "checked accesses to the machine's memory")
def memmove(dst: int, src: int, n: int) -> int:
    """``void *memmove(void *dst, const void *src, size_t n)``"""
    this.mem.copy(dst, src, n)
    return dst


@custom(C, "memset", "checked accesses to the machine's memory")
def memset(p: int, c: int, n: int) -> int:
    """``void *memset(void *p, int c, size_t n)``"""
    this.mem.fill(p, c, n)
    return p


@custom(C, "memchr_inv", "checked accesses to the machine's memory")
def memchr_inv(p: int, c: int, n: int) -> int:
    """``void *memchr_inv(const void *p, int c, size_t n)``: address of the first byte that is not ``c``, or 0."""
    data = this.mem.load(p, n)
    rest = data.lstrip(bytes((c & 0xFF,)))
    return p + n - len(rest) if rest else 0


@custom(C, "strnlen", "checked accesses to the machine's memory")
def strnlen(p: int, maxlen: int) -> int:
    """``size_t strnlen(const char *p, size_t maxlen)``: reads no further than the NUL."""
    n = 0
    mem = this.mem
    while n < maxlen:
        step = min(maxlen - n, mem.page_size - ((p + n) & mem.mask), 64)
        chunk = _readable(p + n, step)
        i = chunk.find(0)
        _used(p + n, i + 1 if i >= 0 else len(chunk))
        if i >= 0:
            return n + i
        n += len(chunk)
        if len(chunk) < step:
            mem.load(p + n, 1)          # C would touch this byte: let the check say so
    return n


@custom(C, "strlen", "checked accesses to the machine's memory")
def strlen(p: int) -> int:
    """``size_t strlen(const char *p)``"""
    return strnlen(p, 1 << 62)
