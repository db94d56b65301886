# SPDX-License-Identifier: GPL-2.0-only
"""inflate() for gunzip() (lib/zlib_inflate/inflate.c).

Inflate itself is zlib's, called through its C interface so that what was decoded before an error is had to the byte, as the
kernel has it. Where no libz can be opened Python's zlib module stands in: then up to eight bits' worth of output before an error
may be missing. A code without an end of block is an error for libz alone: then Linux's own decoder does the stream again, and
what was given already is dropped.
"""
from __future__ import annotations

import importlib
from typing import Any

from kemu.linux.lib.zlib_inflate.inftrees import MISSING_END, Inflate
from kemu.linux.port.honesty import custom
from kemu.linux.zlib import MAX_WBITS, Z_DATA_ERROR, Z_OK, Z_STREAM_END
from kemu.machine.cdefs import ffi_for
from kemu.machine.hostmodule import host_module

C = "lib/zlib_inflate/inflate.c"

zlib = host_module("zlib", "gzip")

_ffi = ffi_for("kemu.linux.lib.zlib_inflate._cdefs_inflate", """
typedef struct { uintptr_t next_in; unsigned avail_in; unsigned long total_in; uintptr_t next_out;
                 unsigned avail_out; unsigned long total_out;
                 char *msg; void *state; void *zalloc; void *zfree; void *opaque; int data_type;
                 unsigned long adler; unsigned long reserved; } z_stream;
const char *zlibVersion(void);
int inflateInit2_(z_stream *strm, int windowBits, const char *version, int stream_size);
int inflate(z_stream *strm, int flush);
int inflateEnd(z_stream *strm);
""")


def _own() -> str | None:
    try:
        return getattr(importlib.import_module("zlib"), "__file__", None)
    except ImportError:
        return None


def _library() -> Any:
    for name in ("libz.so.1", "libz.dylib", "libz.1.dylib", _own()):
        if name is None:
            continue
        try:
            lib = _ffi.dlopen(name)
            if all(hasattr(lib, f) for f in ("zlibVersion", "inflateInit2_", "inflate", "inflateEnd")):
                return lib
        except OSError:
            continue
    return None


_lib = _library()


class _Libz:
    """``struct z_stream_s`` over libz; ``step(out_len)`` is one call of inflate and gives ``(rc, bytes)``."""

    def __init__(self, data: memoryview):
        self.keep = _ffi.from_buffer(data) if len(data) else None
        self.strm = _ffi.new("z_stream *")
        self.out = _ffi.new("unsigned char[]", 1 << 15)
        self.strm.next_in = int(_ffi.cast("uintptr_t", self.keep)) if self.keep is not None else 0
        self.left = len(data)
        self.strm.avail_in = 0
        self.rc = _lib.inflateInit2_(self.strm, -MAX_WBITS, _lib.zlibVersion(), _ffi.sizeof("z_stream"))

    @property
    def avail_in(self) -> int:
        return self.left + self.strm.avail_in        # type: ignore[no-any-return]

    def step(self, out_len: int) -> tuple[int, Any]:
        s = self.strm
        if not s.avail_in and self.left:
            n = min(self.left, 1 << 30)
            s.avail_in = n
            self.left -= n
        s.next_out = int(_ffi.cast("uintptr_t", self.out))
        s.avail_out = out_len
        rc = _lib.inflate(s, 0)
        return rc, _ffi.buffer(self.out, out_len - s.avail_out)

    def missing_end(self) -> bool:
        """Whether the error is one for libz alone."""
        return bool(self.strm.msg) and MISSING_END in _ffi.string(self.strm.msg).decode()

    def end(self) -> None:
        _lib.inflateEnd(self.strm)
        self.keep = None


class _Pyz:
    """The same over Python's zlib: input byte by byte once an error is near."""

    def __init__(self, data: memoryview):
        self.d = zlib.decompressobj(-MAX_WBITS)
        self.data = data
        self.pos = 0
        self.tail = b""
        self.rc = Z_OK
        self.why = ""

    @property
    def avail_in(self) -> int:
        return len(self.data) - self.pos + len(self.tail)

    def step(self, out_len: int) -> tuple[int, Any]:
        n = 1 << 14
        while True:
            chunk = self.tail or bytes(self.data[self.pos:self.pos + n])
            saved = self.d.copy()
            try:
                out = self.d.decompress(chunk, out_len)
            except zlib.error as e:
                self.why = str(e)
                self.d = saved
                if len(chunk) == 1:
                    return Z_DATA_ERROR, b""
                if self.tail:
                    self.pos -= len(self.tail)
                    self.tail = b""
                n = len(chunk) // 2
                continue
            if not self.tail:
                self.pos += len(chunk)
            self.tail = self.d.unconsumed_tail
            if self.d.eof:
                self.pos -= len(self.d.unused_data)
                self.tail = b""
                return Z_STREAM_END, out
            return Z_OK, out

    def missing_end(self) -> bool:
        return MISSING_END in self.why

    def end(self) -> None:
        self.data = memoryview(b"")


@custom(C, "zlib_inflate", "libz decodes; the stream state is the host's")
class _Stream:
    """``struct z_stream_s``: libz until it refuses what Linux takes."""

    def __init__(self, data: memoryview):
        self.data = data
        self.z: _Libz | _Pyz = _Libz(data) if _lib is not None else _Pyz(data)
        self.rc = self.z.rc
        self.port: Inflate | None = None
        self.made: list[int] = []

    @property
    def avail_in(self) -> int:
        return self.port.avail_in if self.port is not None else self.z.avail_in

    def step(self, out_len: int) -> tuple[int, Any]:
        """One call of zlib_inflate(): result and output."""
        if self.port is None:
            rc, out = self.z.step(out_len)
            if rc != Z_DATA_ERROR or not self.z.missing_end():
                self.made.append(len(out))
                return rc, out
            self.port = Inflate(bytes(self.data))
            for _ in self.made:
                self.port.run(out_len)
        return self.port.run(out_len)

    def end(self) -> None:
        self.z.end()
