# SPDX-License-Identifier: GPL-2.0-only
"""MicroLZMA (include/linux/xz.h): decoded by liblzma's microlzma decoder, of the same authors and with the same rules.

Where liblzma is older than 5.4 or cannot be called, Python's lzma decodes: as .lzma with a known size where the size is exact
(the end of the range coder is checked then, as the kernel does), as a raw stream where it is not.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.include.slab import kzalloc_obj
from kemu.linux.mm.slub import kfree
from kemu.linux.port.honesty import custom, dup
from kemu.machine import hostlib
from kemu.machine.cdefs import ffi_for
from kemu.machine.current import NULL, this
from kemu.machine.hostmodule import host_module

P = "include/linux/xz.h"

lzma = host_module("lzma", "MicroLZMA")

XZ_SINGLE, XZ_PREALLOC, XZ_DYNALLOC = range(3)
(XZ_OK, XZ_STREAM_END, XZ_UNSUPPORTED_CHECK, XZ_MEM_ERROR, XZ_MEMLIMIT_ERROR, XZ_FORMAT_ERROR, XZ_OPTIONS_ERROR, XZ_DATA_ERROR,
 XZ_BUF_ERROR) = range(9)
RC_INIT_BYTES = 5

_ffi = ffi_for("kemu.linux._cdefs_xz", """
typedef struct {
    uintptr_t next_in; size_t avail_in; uint64_t total_in;
    uintptr_t next_out; size_t avail_out; uint64_t total_out;
    void *allocator; void *internal;
    void *reserved_ptr[4]; uint64_t seek_pos; uint64_t reserved_int2; size_t reserved_int3; size_t reserved_int4;
    int reserved_enum1; int reserved_enum2;
} lzma_stream;
int lzma_microlzma_decoder(lzma_stream *strm, uint64_t comp_size, uint64_t uncomp_size, unsigned char uncomp_size_is_exact,
                           uint32_t dict_size);
int lzma_code(lzma_stream *strm, int action);
void lzma_end(lzma_stream *strm);
""")
_LZMA_OK, _LZMA_STREAM_END, _LZMA_DATA_ERROR = 0, 1, 9

_SYSTEM = ("liblzma.so.5", "liblzma.dylib")


def _names() -> tuple[str, ...]:
    try:
        import _lzma  # noqa: PLC0415  (it may be missing)
    except ImportError:
        return _SYSTEM
    return (getattr(_lzma, "__file__", "liblzma.so.5"), *_SYSTEM)


_lib = hostlib.load(_ffi, _names(), "lzma_microlzma_decoder", "lzma_code", "lzma_end")


@dup(P)
class xz_buf:
    """``struct xz_buf``: ``in_`` and ``out`` are addresses."""

    __slots__ = ("in_", "in_pos", "in_size", "out", "out_pos", "out_size")

    def __init__(self) -> None:
        self.in_ = self.in_pos = self.in_size = 0
        self.out = self.out_pos = self.out_size = 0


class _ByLiblzma:
    """A decoder of the C library, for one stream.

    Where the size is not exact it differs from the kernel's at the end: it looks at the symbol behind the last byte that is
    wanted (an end marker, nonsense), and the kernel takes one more byte of input if the range has become small. So the last byte
    of the input is held back: if the output is complete without it, both are content. If it is needed, the kernel's own decoder
    says whether it is enough.
    """

    __slots__ = ("comp_left", "dict_size", "exact", "out_left", "seen", "size", "strm")

    def __init__(self, comp_size: int, uncomp_size: int, exact: bool, dict_size: int):
        self.strm = _ffi.gc(_ffi.new("lzma_stream *"), _lib.lzma_end)
        self.exact = exact
        self.dict_size = dict_size
        self.comp_left = comp_size
        self.out_left = self.size = uncomp_size
        self.seen: list[bytes] = []
        _lib.lzma_microlzma_decoder(self.strm, comp_size, uncomp_size, exact, dict_size)

    def run(self, b: xz_buf) -> tuple[int, int, int]:
        """Result, bytes consumed, bytes produced."""
        nin, nout = b.in_size - b.in_pos, b.out_size - b.out_pos
        s = self.strm
        if nin:
            s.next_in = hostlib.Source(b.in_ + b.in_pos, nin, "lzma").host
        sink = None
        if nout:
            sink = hostlib.Sink(b.out + b.out_pos, nout) if b.out else None
            s.next_out = sink.host if sink else hostlib.bounce("dst", nout)[0]
        s.avail_out = nout
        if self.exact:
            s.avail_in = nin
            ret = _lib.lzma_code(s, 0)
        else:
            ret = self._run(b, nin, nout)
        made = nout - s.avail_out
        if sink:
            sink.done(made)
        return ret, nin - s.avail_in, made

    def _run(self, b: xz_buf, nin: int, nout: int) -> int:
        s = self.strm
        last = nin > 0 and nin == self.comp_left
        s.avail_in = nin - last
        ret = int(_lib.lzma_code(s, 0)) if s.avail_in or not last else _LZMA_OK
        done = nout - s.avail_out == self.out_left
        if last and not done and ret == _LZMA_OK:
            s.avail_in += 1
            ret = int(_lib.lzma_code(s, 0))
            done = nout - s.avail_out == self.out_left
            if done:
                from kemu.linux.lib.xz.xz_dec_lzma2 import microlzma_decode  # noqa: PLC0415  (loaded when such data comes)

                self.seen.append(this.mem.load(b.in_ + b.in_pos, nin, "lzma"))
                return _LZMA_STREAM_END if microlzma_decode(b"".join(self.seen), self.size,
                                                            self.dict_size) is not None else _LZMA_DATA_ERROR
        elif last and done:
            s.avail_in += 1
        used = nin - s.avail_in
        if used and not done:
            self.seen.append(this.mem.load(b.in_ + b.in_pos, used, "lzma"))
        self.comp_left -= used
        self.out_left -= nout - s.avail_out
        return _LZMA_STREAM_END if done else ret


class _ByPython:
    """A decoder of Python's lzma module, for one stream."""

    __slots__ = ("comp_left", "dec", "dict_size", "exact", "out_left", "pending")

    def __init__(self, comp_size: int, uncomp_size: int, exact: bool, dict_size: int):
        self.comp_left = comp_size
        self.out_left = uncomp_size
        self.exact = exact
        self.dict_size = dict_size
        self.dec: Any = None
        self.pending = b""

    def _start(self, first: int) -> bool:
        props = ~first & 0xFF
        if props > (4 * 5 + 4) * 9 + 8:
            return False
        pb, rest = divmod(props, 45)
        lp, lc = divmod(rest, 9)
        if lc + lp > 4:
            return False
        if self.exact:
            self.dec = lzma.LZMADecompressor(lzma.FORMAT_ALONE)
            self.dec.decompress(bytes((props,)) + self.dict_size.to_bytes(4, "little") + self.out_left.to_bytes(8, "little"))
        else:
            self.dec = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[
                {"id": lzma.FILTER_LZMA1, "dict_size": self.dict_size, "lc": lc, "lp": lp, "pb": pb}])
        return True

    def run(self, b: xz_buf) -> tuple[int, int, int]:
        mem = this.mem
        n, room = b.in_size - b.in_pos, b.out_size - b.out_pos
        data = mem.load(b.in_ + b.in_pos, n, "lzma") if n else b""
        self.comp_left -= n
        if self.dec is None and data:
            if not self._start(data[0]):
                return XZ_DATA_ERROR, 0, 0
            data = b"\0" + data[1:]
        out = b""
        try:
            if self.dec is not None and room and not self.dec.eof:
                out = self.dec.decompress(data, min(room, self.out_left))
        except (lzma.LZMAError, EOFError):
            return XZ_DATA_ERROR, n, 0
        if out and b.out:
            mem.store(b.out + b.out_pos, out)
        mem.counters.bytes_decompressed += len(out)
        self.out_left -= len(out)
        if not self.out_left:
            if self.exact and (self.comp_left or not self.dec.eof or self.dec.unused_data):
                return XZ_DATA_ERROR, n, len(out)
            return XZ_STREAM_END, n, len(out)
        if not self.comp_left and len(out) < room:
            return XZ_DATA_ERROR, n, len(out)           # the input is too short for what it is to give
        return XZ_OK, n, len(out)


@custom(P, "xz_dec_microlzma", "a decoder of the host for each stream")
class xz_dec_microlzma:
    """``struct xz_dec_microlzma``"""

    __slots__ = ("comp_size", "dec", "dict_size")

    def __init__(self, dict_size: int):
        self.dict_size = dict_size
        self.dec: Any = None
        self.comp_size = 0


@custom(P, "xz_dec_microlzma_alloc", "the dictionary is not in emulated memory")
def xz_dec_microlzma_alloc(mode: int, dict_size: int) -> xz_dec_microlzma:
    """``struct xz_dec_microlzma *xz_dec_microlzma_alloc(enum xz_mode mode, uint32_t dict_size)``: None for a size outside 4
    KiB..3 GiB, or on failure (failslab).
    """
    if not 4096 <= dict_size <= 3 << 30:
        return NULL             # type: ignore[no-any-return]
    return kzalloc_obj(lambda: xz_dec_microlzma(dict_size))                        # type: ignore[no-any-return]


@custom(P, "xz_dec_microlzma_reset", "the host's decoder state")
def xz_dec_microlzma_reset(s: xz_dec_microlzma, comp_size: int, uncomp_size: int, uncomp_size_is_exact: bool) -> None:
    """``void xz_dec_microlzma_reset(struct xz_dec_microlzma *s, uint32_t comp_size, uint32_t uncomp_size, int
    uncomp_size_is_exact)``
    """
    s.comp_size = comp_size
    s.dec = (_ByLiblzma if _lib is not None else _ByPython)(comp_size, uncomp_size, bool(uncomp_size_is_exact), s.dict_size)


@custom(P, "xz_dec_microlzma_run", "decoded by a library of the host; what would make no progress for ever is a data error")
def xz_dec_microlzma_run(s: xz_dec_microlzma, b: xz_buf) -> int:
    """``enum xz_ret xz_dec_microlzma_run(struct xz_dec_microlzma *s, struct xz_buf *b)``

    ``b->out`` may be NULL: the bytes are decoded and dropped. Return: XZ_OK (go on with more input or room), XZ_STREAM_END,
    XZ_DATA_ERROR.
    """
    if not RC_INIT_BYTES <= s.comp_size <= 3 << 30:
        return XZ_DATA_ERROR
    ret, used, made = s.dec.run(b)
    b.in_pos += used
    b.out_pos += made
    if ret == _LZMA_OK:
        return XZ_OK
    if ret == _LZMA_STREAM_END:
        return XZ_STREAM_END
    return XZ_DATA_ERROR


@custom(P, "xz_dec_microlzma_end", "the host's decoder state")
def xz_dec_microlzma_end(s: xz_dec_microlzma) -> None:
    """``void xz_dec_microlzma_end(struct xz_dec_microlzma *s)``"""
    s.dec = None
    kfree(s)
