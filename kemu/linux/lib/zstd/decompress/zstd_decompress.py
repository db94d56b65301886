# SPDX-License-Identifier: GPL-2.0-only
"""lib/zstd/decompress/zstd_decompress.c, as far as ported code uses it."""
from __future__ import annotations

from kemu.linux.lib.decompress_unzstd import ZSTD_MAGIC, FrameHeader, ZstdError
from kemu.linux.port.honesty import custom

C = "lib/zstd/decompress/zstd_decompress.c"


@custom(C, "ZSTD_getFrameHeader_advanced", "gives the header, or how many bytes it takes")
def zstd_get_frame_header(data: memoryview) -> FrameHeader | int:
    """``size_t zstd_get_frame_header(zstd_frame_header *params, const void *src, size_t src_size)``; ZstdError for a bad one."""
    start = bytes(data[:18])
    if len(start) < 5:
        if start[:4] != ZSTD_MAGIC[:len(start)]:
            raise ZstdError("Unknown frame descriptor")
        return 5
    if start[:4] != ZSTD_MAGIC:
        raise ZstdError("Unknown frame descriptor")
    fhd = start[4]
    single = fhd >> 5 & 1
    did_size = (0, 1, 2, 4)[fhd & 3]
    fcs_id = fhd >> 6
    size = 5 + (not single) + did_size + (0, 2, 4, 8)[fcs_id] + (1 if single and not fcs_id else 0)
    if len(start) < size:
        return size
    if fhd & 8:
        raise ZstdError("Unsupported frame parameter")
    pos = 5
    window = 0
    if not single:
        wl = start[pos]
        pos += 1
        log = (wl >> 3) + 10
        if log > 31:
            raise ZstdError("Frame requires too much memory for decoding")
        window = (1 << log) + ((1 << log) >> 3) * (wl & 7)
    pos += did_size
    content = -1
    if fcs_id == 0:
        if single:
            content = start[pos]
    elif fcs_id == 1:
        content = int.from_bytes(start[pos:pos + 2], "little") + 256
    else:
        content = int.from_bytes(start[pos:pos + (4 if fcs_id == 2 else 8)], "little")
    if single:
        window = content
    return FrameHeader(size, window, content, bool(fhd & 4))
