# SPDX-License-Identifier: GPL-2.0-only
"""gzip (lib/decompress_inflate.c over lib/zlib_inflate)."""
from __future__ import annotations

from kemu.linux.include.decompress import free, malloc, view
from kemu.linux.lib.decompress import ErrorFn, Fill, Flush, flush_bytes
from kemu.linux.lib.zlib_inflate.inflate import _Stream
from kemu.linux.port.honesty import custom, port_of
from kemu.linux.types import Ref
from kemu.linux.zlib import Z_OK, Z_STREAM_END
from kemu.machine.current import this

C = "lib/decompress_inflate.c"

GZIP_IOBUF_SIZE = 16 * 1024

SIZEOF_Z_STREAM, WORKSPACE_SIZE = 96, 42312         # 64 bit


def zlib_inflateInit2(data: memoryview) -> _Stream:
    """``zlib_inflateInit2(strm, -MAX_WBITS)`` on raw deflate data."""
    return _Stream(data)


@custom(C, "__gunzip", "from memory to flush(): there is no fill(); zlib of the host inflates")
def __gunzip(buf: int, len_: int, fill: Fill | None, flush: Flush, out_buf: int, out_len: int, pos: Ref, error: ErrorFn) -> int:
    rc = -1
    out_len = 0x8000  # 32 K
    out_buf = malloc(out_len)
    if not out_buf:
        error("Out of memory while allocating output buffer")
        return rc
    try:
        zbuf = buf
        strm_mem = malloc(SIZEOF_Z_STREAM)
        if not strm_mem:
            error("Out of memory while allocating z_stream")
            return rc
        workspace = malloc(WORKSPACE_SIZE)
        if not workspace:
            error("Out of memory while allocating workspace")
            free(strm_mem)
            return rc
        try:
            # verify the gzip header
            if len_ < 10 or bytes(view(zbuf, 3)) != b"\x1f\x8b\x08":
                pos.v = 0
                error("Not a gzip file")
                return rc

            # skip over gzip header (1f,8b,08... 10 bytes total + possible asciz filename)
            next_in = 10
            avail_in = len_ - 10
            # skip over asciz filename
            if this.mem.ld8(zbuf + 3) & 0x8:
                nul = _find_nul(zbuf + next_in, avail_in)
                if nul < 0:
                    error("header error")
                    return rc
                avail_in -= nul + 1
                next_in += nul + 1

            strm = zlib_inflateInit2(view(zbuf + next_in, avail_in))
            rc = strm.rc
            while rc == Z_OK:
                if strm.avail_in == 0:
                    # TODO: handle case where both pos and fill are set
                    rc = -1
                    error("read error")
                    break
                rc, data = strm.step(out_len)

                # Write any data generated
                if len(data):
                    if not flush_bytes(data, out_buf, flush):
                        rc = -1
                        error("write error")
                        break

                # after Z_FINISH, only Z_STREAM_END is "we unpacked it all"
                if rc == Z_STREAM_END:
                    rc = 0
                    break
                elif rc != Z_OK:
                    error("uncompression error")
                    rc = -1

            left = strm.avail_in
            strm.end()
            # add + 8 to skip over trailer
            pos.v = len_ - left + 8
            return rc
        finally:
            free(workspace)
            free(strm_mem)
    finally:
        free(out_buf)


def _find_nul(p: int, n: int) -> int:
    """Offset of the first NUL in [p, p + n), or -1."""
    done = 0
    while done < n:
        step = min(n - done, 4096)
        i = bytes(view(p + done, step)).find(0)
        if i >= 0:
            return done + i
        done += step
    return -1


@port_of(C, "gunzip")
def gunzip(buf: int, len_: int, fill: Fill | None, flush: Flush, out_buf: int, pos: Ref, error: ErrorFn) -> int:
    return __gunzip(buf, len_, fill, flush, out_buf, 0, pos, error)
