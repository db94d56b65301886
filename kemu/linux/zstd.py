# SPDX-License-Identifier: GPL-2.0-only
"""Zstandard streams (include/linux/zstd.h), decoded by the libzstd that the ``zstandard`` package carries, or the system's."""
from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from kemu.linux.port.honesty import custom, dup
from kemu.machine import hostlib
from kemu.machine.cdefs import ffi_for
from kemu.machine.current import NULL, this
from kemu.machine.hostmodule import missing

P = "include/linux/zstd.h"

_ffi = ffi_for("kemu.linux._cdefs_zstd", """
void *ZSTD_createDStream(void);
size_t ZSTD_freeDStream(void *zds);
size_t ZSTD_DCtx_reset(void *dctx, int reset);
size_t ZSTD_DCtx_setParameter(void *dctx, int param, int value);
size_t ZSTD_decompressStream_simpleArgs(void *dctx, uintptr_t dst, size_t dstCapacity, size_t *dstPos,
                                        uintptr_t src, size_t srcSize, size_t *srcPos);
unsigned ZSTD_isError(size_t code);
const char *ZSTD_getErrorName(size_t code);
size_t ZSTD_findFrameCompressedSize(uintptr_t src, size_t srcSize);
""")
_RESET_SESSION_AND_PARAMETERS, _D_WINDOW_LOG_MAX = 3, 100
_WINDOWLOG_LIMIT_DEFAULT, _BLOCKSIZE_MAX, _WILDCOPY_OVERLENGTH = 27, 128 << 10, 32
_ERROR_MEMORY_ALLOCATION = (1 << 64) - 64


def _names() -> list[str]:
    spec = importlib.util.find_spec("zstandard")
    own = sorted(str(p) for place in (spec.submodule_search_locations or []) for p in Path(place).glob("*.so")) if spec else []
    return [*own, "libzstd.so.1", "libzstd.dylib"]


_state: dict[str, Any] = {}


def _lib() -> Any:
    if "lib" not in _state:
        lib = _state["lib"] = hostlib.load(_ffi, _names(), "ZSTD_createDStream", "ZSTD_DCtx_reset",
                                           "ZSTD_decompressStream_simpleArgs", "ZSTD_getErrorName",
                                           "ZSTD_findFrameCompressedSize")
        if lib is None:
            del _state["lib"]
            raise missing("zstandard", "zstd")
    return _state["lib"]


@dup(P)
class zstd_in_buffer:
    """``zstd_in_buffer``: ``src`` an address."""

    __slots__ = ("pos", "size", "src")

    def __init__(self) -> None:
        self.src = self.size = self.pos = 0


@dup(P)
class zstd_out_buffer:
    """``zstd_out_buffer``: ``dst`` an address."""

    __slots__ = ("dst", "pos", "size")

    def __init__(self) -> None:
        self.dst = self.size = self.pos = 0


_DCTX = 160_000                     # about what sizeof(ZSTD_DCtx) is


def _ring(window: int, block: int) -> int:
    """ZSTD_decodingBufferSize_internal() of a frame of unknown size."""
    return window + 2 * block + 2 * _WILDCOPY_OVERLENGTH


def _frame(head: bytes) -> tuple[int, int, int] | None:
    """(window size, most bytes of a block, content size or -1) of a frame by its first bytes; None if it is none, or more are
    needed.
    """
    if len(head) < 6 or head[:4] != b"\x28\xb5\x2f\xfd":
        return None
    fhd = head[4]
    single = fhd >> 5 & 1
    at = 5 if single else 6
    at += (0, 1, 2, 4)[fhd & 3]
    n = (single, 2, 4, 8)[fhd >> 6]
    if len(head) < at + n:
        return None
    size = int.from_bytes(head[at:at + n], "little") + (256 if n == 2 else 0) if n else -1
    window = size if single else (1 << 10 + (head[5] >> 3)) + (1 << 10 + (head[5] >> 3) >> 3) * (head[5] & 7)
    return window, min(window, _BLOCKSIZE_MAX), size


@custom(P, "zstd_dstream_workspace_bound", "what libzstd's estimate comes to, within a few KiB")
def zstd_dstream_workspace_bound(max_window_size: int) -> int:
    """``size_t zstd_dstream_workspace_bound(size_t max_window_size)``: bytes."""
    return _DCTX + min(max_window_size, _BLOCKSIZE_MAX) + _ring(max_window_size, min(max_window_size, _BLOCKSIZE_MAX))


@custom(P, "zstd_dstream", "a decoder of the host; the workspace is what it is known by")
class zstd_dstream:
    """``zstd_dstream``"""

    __slots__ = ("head", "pos", "room", "zds")

    def __init__(self) -> None:
        lib = _lib()
        self.room = 0                       # what the workspace has for buffers
        self.head: bytes | None = b""       # the first bytes of the frame, until they have been judged
        self.zds = _ffi.gc(lib.ZSTD_createDStream(), lib.ZSTD_freeDStream)
        self.pos = _ffi.new("size_t[2]")


class _Workspaces:
    """The decoders of one machine, by the address of their workspace."""

    __slots__ = ("streams",)

    def __init__(self) -> None:
        self.streams: dict[int, zstd_dstream] = {}


@custom(P, "zstd_init_dstream", "the state is not in the workspace, but what does not fit there is refused as if it were")
def zstd_init_dstream(max_window_size: int, workspace: int, workspace_size: int) -> zstd_dstream:
    """``zstd_dstream *zstd_init_dstream(size_t max_window_size, void *workspace, size_t workspace_size)``: None without a
    workspace.
    """
    if not workspace:
        return NULL             # type: ignore[no-any-return]
    streams = this.machine.part(_Workspaces).streams
    stream = streams.get(workspace)
    if stream is None:
        stream = streams[workspace] = zstd_dstream()
    lib = _lib()
    lib.ZSTD_DCtx_reset(stream.zds, _RESET_SESSION_AND_PARAMETERS)
    lib.ZSTD_DCtx_setParameter(stream.zds, _D_WINDOW_LOG_MAX, _WINDOWLOG_LIMIT_DEFAULT)
    stream.room = workspace_size - _DCTX
    stream.head = b""
    return stream


def _fits(dstream: zstd_dstream, frame: tuple[int, int, int], nout: int, src: Any, nin: int) -> bool:
    """Whether the buffers of this frame fit into the workspace; a frame that is decoded in one go has none."""
    window, block, size = frame
    if size >= 0 and nout >= size and not dstream.head and _lib().ZSTD_findFrameCompressedSize(src, nin) <= nin:
        return True
    window = max(window, 1 << 10)
    if window > 1 << _WINDOWLOG_LIMIT_DEFAULT:
        return True                         # too large for any decoder: the library says it
    ring = _ring(window, block)
    return max(block, 4) + (min(size, ring) if size >= 0 else ring) <= dstream.room


@custom(P, "zstd_decompress_stream", "decoded by the host's libzstd")
def zstd_decompress_stream(dstream: zstd_dstream, output: zstd_out_buffer, input: zstd_in_buffer) -> int:
    """``size_t zstd_decompress_stream(zstd_dstream *dstream, zstd_out_buffer *output, zstd_in_buffer *input)``

    Return: 0 when a frame is complete and was given whole, else a hint for the next call or an error (:func:`zstd_is_error`).
    """
    lib = _lib()
    nin, nout = input.size - input.pos, output.size - output.pos
    src = hostlib.Source(input.src + input.pos, nin, "zstd").host if nin else hostlib.bounce("src", 1)[0]
    if dstream.head is not None:
        frame = _frame(dstream.head + (this.mem.load(input.src + input.pos, min(nin, 18), "zstd") if nin else b""))
        if frame is not None and not _fits(dstream, frame, nout, src, nin):
            return _ERROR_MEMORY_ALLOCATION
        if frame is not None or len(dstream.head) + nin >= 18:
            dstream.head = None
        elif nin:
            dstream.head += this.mem.load(input.src + input.pos, nin, "zstd")
    sink = hostlib.Sink(output.dst + output.pos, nout) if nout else None
    pos = dstream.pos
    pos[0] = pos[1] = 0
    ret = lib.ZSTD_decompressStream_simpleArgs(dstream.zds, sink.host if sink else hostlib.bounce("dst", 1)[0], nout, pos, src,
                                               nin, pos + 1)
    if sink:
        sink.done(pos[0])
    output.pos += pos[0]
    input.pos += pos[1]
    return ret                                                                     # type: ignore[no-any-return]


@custom(P, "zstd_is_error", "the host's zstd")
def zstd_is_error(code: int) -> bool:
    """``unsigned int zstd_is_error(size_t code)``"""
    return bool(_lib().ZSTD_isError(code))


@custom(P, "zstd_get_error_name", "the host's zstd")
def zstd_get_error_name(code: int) -> str:
    """``const char *zstd_get_error_name(size_t code)``"""
    return _ffi.string(_lib().ZSTD_getErrorName(code)).decode()              # type: ignore[no-any-return]
