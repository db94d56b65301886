# SPDX-License-Identifier: GPL-2.0-only
"""Memory by address (include/linux/string.h). Addresses are ints; every access is checked."""
from __future__ import annotations

from kemu.linux.include.string import (  # noqa: F401
    c_string,
    get_char,
    leading_nuls,
    mem_match,
    mem_read,
    mem_write,
    memcmp,
    put_char,
    put_string,
    sum_bytes,
)
from kemu.linux.lib.string import memchr_inv, memcpy, memmove, memset, strlen, strnlen  # noqa: F401
from kemu.linux.port.honesty import custom
from kemu.machine.current import this

P = "include/linux/string.h"


@custom(P, "", "a C string as the path that VFS calls take")
def c_path(p: int, maxlen: int = 1 << 20) -> str:
    """The NUL-terminated string at ``p`` as a path: bytes that are not UTF-8 become surrogate escapes."""
    mem = this.mem
    base = mem.fast.get(p >> mem.shift)
    if base is None:
        base = mem.whole(p)
    if base is not None:
        off = p & mem.mask
        chunk, nul, _ = bytes(mem.buf[base + off:base + min(off + 256, mem.page_size)]).partition(b"\0")
        if nul and len(chunk) <= maxlen:
            return chunk.decode("utf-8", "surrogateescape")
    return this.mem.load(p, strnlen(p, maxlen)).decode("utf-8", "surrogateescape")
