# SPDX-License-Identifier: GPL-2.0-only
"""Memory by address (include/linux/string.h), and strings in it. Addresses are ints; every access is checked."""
from __future__ import annotations

from kemu.linux.port.honesty import custom
from kemu.machine.current import this

P = "include/linux/string.h"


@custom("include/linux/fortify-string.h", "memcmp", "checked accesses to the machine's memory")
def memcmp(a: int, b: int, n: int) -> int:
    """``int memcmp(const void *a, const void *b, size_t n)``"""
    x, y = this.mem.load(a, n), this.mem.load(b, n)
    return (x > y) - (x < y)


def _readable(p: int, n: int) -> bytes:
    """At most ``n`` bytes at ``p``: as many as may be read in this page. Those that decide something are to be given to
    :func:`_used`.
    """
    mem = this.mem
    base = mem.fast.get(p >> mem.shift)
    if base is None:
        base = mem.whole(p)
    if base is not None:
        base += p & mem.mask
        return bytes(mem.buf[base:base + n])
    codes = mem.shadow(p, n)
    k = 0
    while k < n and codes[k] < 0x80:
        k += 1
    return mem.raw(p, k)


def _used(p: int, n: int) -> None:
    """The kernel has looked at these: were they ever written?"""
    if n and this.watch is not None:
        this.mem.load(p, n)


@custom(P, "", "a C string as Python bytes, for names that leave ported code")
def c_string(p: int, maxlen: int = 1 << 20) -> bytes:
    """The NUL-terminated string at ``p`` without its NUL."""
    from kemu.linux.lib.string import strnlen  # noqa: PLC0415  (up into lib/string.c)

    return this.mem.load(p, strnlen(p, maxlen))


@custom(P, "*(u8 (*)[n])p", "n bytes of memory as Python bytes; checked as n loads are")
def mem_read(p: int, n: int) -> bytes:
    """``n`` bytes at ``p`` that the kernel looks at."""
    mem = this.mem
    base = mem.fast.get(p >> mem.shift)
    off = p & mem.mask
    if base is None or off + n > mem.page_size:
        return mem.load(p, n)
    return bytes(mem.buf[base + off:base + off + n])


@custom(P, "", "Python bytes stored to memory, as a device or a decompressor writes them")
def mem_write(p: int, data: bytes) -> None:
    """Store ``data`` at ``p``."""
    this.mem.store(p, data)


@custom(P, "", "a byte-by-byte comparison loop at C's speed")
def mem_match(p: int, data: bytes) -> int:
    """How many leading bytes of ``data`` are at ``p``; like a loop that stops, it touches nothing behind the first byte that
    differs.
    """
    mem = this.mem
    n, done = len(data), 0
    while done < n:
        step = min(n - done, mem.page_size - ((p + done) & mem.mask))
        chunk = _readable(p + done, step)
        want = data[done:done + len(chunk)]
        if chunk != want:
            for i, b in enumerate(want):
                if chunk[i] != b:
                    _used(p + done, i + 1)
                    return done + i
        _used(p + done, len(chunk))
        done += len(chunk)
        if len(chunk) < step:
            mem.load(p + done, 1)       # C would touch this byte: let the check say so
    return n


@custom(P, "*p", "one char")
def get_char(p: int) -> int:
    """``*p`` of an ``unsigned char *``."""
    mem = this.mem
    base = mem.fast.get(p >> mem.shift)
    return mem.ld8(p) if base is None else mem.buf[base + (p & mem.mask)]


@custom(P, "*p = c", "one char")
def put_char(p: int, c: int) -> None:
    """``*p = c``"""
    this.mem.store(p, bytes((c & 0xFF,)))


_FOUR_NULS = bytes(4)


@custom(P, "", "a loop over chars, done at once")
def leading_nuls(p: int, n: int) -> int:
    """How many NULs there are at ``p``, at most ``n``; reads no further than the first byte that is none."""
    mem = this.mem
    base = mem.fast.get(p >> mem.shift)
    if base is not None and n >= 4 and p & mem.mask <= mem.mask - 4:
        base += p & mem.mask
        head = bytes(mem.buf[base:base + 4])
        if head != _FOUR_NULS:                  # the padding of a record: decided here
            return 4 - len(head.lstrip(b"\0"))
    done = 0
    step = 16
    while done < n:
        chunk = _readable(p + done, min(step, n - done, mem.page_size - (p + done & mem.mask)))
        if not chunk:
            mem.load(p + done, 1)               # C would touch this byte: let the check say so
        rest = chunk.lstrip(b"\0")
        _used(p + done, min(len(chunk) - len(rest) + 1, len(chunk)))
        done += len(chunk) - len(rest)
        if rest:
            break
        step = min(step * 2, 1 << 16)
    return done


@custom(P, "", "a loop over chars, done at once")
def sum_bytes(p: int, n: int) -> int:
    """The sum of ``n`` bytes at ``p``, each checked as a load is."""
    total = 0
    while n:
        k = min(n, 1 << 16)
        total += sum(this.mem.load(p, k))
        p += k
        n -= k
    return total


@custom(P, "strscpy_pad", "a Python string as a NUL-padded C string")
def put_string(p: int, text: str, size: int) -> None:
    """``strscpy_pad(p, text, size)``: at most ``size - 1`` bytes, the rest of ``size`` is NUL."""
    data = text.encode("utf-8", "surrogateescape")[:size - 1]
    this.mem.store(p, data + bytes(size - len(data)))
