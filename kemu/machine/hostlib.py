# SPDX-License-Identifier: GPL-2.0-only
"""C libraries of the host that decode for the emulated kernel, and the host addresses of emulated memory that they are given.

What lz4.py, xz.py and zstd.py of the API share.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import _cffi_backend

from kemu.machine.current import this

ffi: Any = _cffi_backend.FFI()           # for plain buffers and addresses; what a library declares is its user's
_buffers: dict[str, tuple[int, Any, int, Any]] = {}


def load(ffi: Any, names: Iterable[str], *functions: str) -> Any:
    """The first of the libraries that exports all ``functions``, which ``ffi`` declares; None if there is none."""
    for name in names:
        try:
            lib = ffi.dlopen(name)
            if all(hasattr(lib, f) for f in functions):
                return lib
        except OSError:
            continue
    return None


class _Arena:
    """Where a machine's memory is in the host's."""

    __slots__ = ("host",)

    def __init__(self) -> None:
        with ffi.from_buffer(this.mem.arena) as cdata:
            self.host = int(ffi.cast("uintptr_t", cdata))


def arena() -> int:
    """Host address of the machine's memory; the address of a checked range is this plus its arena offset."""
    return this.machine.part(_Arena).host


def bounce(which: str, n: int) -> tuple[int, Any]:
    """Host address and memoryview of a buffer of at least ``n`` bytes. One for the process: it holds nothing between calls."""
    b = _buffers.get(which)
    if b is None or b[2] < n:
        size = max(1 << 16, 1 << (n - 1).bit_length())
        mem = ffi.new("char[]", size)
        b = _buffers[which] = (int(ffi.cast("uintptr_t", mem)), memoryview(ffi.buffer(mem)).cast("B"), size, mem)
    return b[0], b[1]


class Source:
    """Bytes that a library may read: ``host`` is where. Checked, and reported if they were never written."""

    __slots__ = ("host",)

    def __init__(self, addr: int, n: int, what: str):
        mem = this.mem
        runs = mem.pieces(addr, n, False)
        watch = this.watch
        if watch is not None and mem.init_of(runs) is not None:
            watch.uninit_use(addr, n, what)
        if len(runs) == 1:
            self.host = arena() + runs[0][0]
            return
        self.host, view = bounce("src", max(n, 1))
        gather(runs, view)


class Sink:
    """Bytes that a library may write at ``host``; ``done(n)`` says that the first n were."""

    __slots__ = ("addr", "host", "runs", "view")

    def __init__(self, addr: int, n: int):
        self.addr = addr
        self.runs = this.mem.pieces(addr, n, True)
        self.view = None
        if len(self.runs) == 1:
            self.host = arena() + self.runs[0][0]
            return
        self.host, self.view = bounce("dst", max(n, 1))

    def done(self, n: int) -> None:
        """The library has written ``n`` bytes."""
        if n <= 0:
            return
        mem = this.mem
        runs = mem.pieces(self.addr, n, True)
        if self.view is not None:
            scatter(runs, self.view)
        mem.mark(runs, None)
        mem.counters.bytes_decompressed += n


def gather(runs: list[tuple[int, int]], view: Any) -> None:
    """Copy arena runs into one buffer."""
    buf = this.mem.buf
    pos = 0
    for base, n in runs:
        view[pos:pos + n] = buf[base:base + n]
        pos += n


def scatter(runs: list[tuple[int, int]], view: Any) -> None:
    """Copy one buffer into arena runs."""
    buf = this.mem.buf
    pos = 0
    for base, n in runs:
        buf[base:base + n] = view[pos:pos + n]
        pos += n
