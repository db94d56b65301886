# SPDX-License-Identifier: GPL-2.0-only
"""fs/cramfs/uncompress.c: interfaces to the uncompression library.

There's really just three entrypoints:

 - cramfs_uncompress_init() - called to initialize the thing.
 - cramfs_uncompress_exit() - tell me when you're done
 - cramfs_uncompress_block() - uncompress a block.

NOTE NOTE NOTE! The uncompression is entirely single-threaded. We only have one stream, and we'll initialize it only once even if
it then is used by multiple filesystems.
"""
from __future__ import annotations

from kemu.linux.errno import EIO, ENOMEM
from kemu.linux.port.honesty import port_of
from kemu.linux.port.statics import statics
from kemu.linux.printk import pr_err
from kemu.linux.vmalloc import vfree, vmalloc

from cramfs.linux.zlib import (
    Z_FINISH,
    Z_OK,
    Z_STREAM_END,
    z_stream,
    zlib_inflate,
    zlib_inflate_workspacesize,
    zlib_inflateEnd,
    zlib_inflateInit,
    zlib_inflateReset,
)


@statics
class g:
    stream: z_stream
    initialized = 0


@port_of("fs/cramfs/uncompress.c", "cramfs_uncompress_block")
def cramfs_uncompress_block(dst: int, dstlen: int, src: int, srclen: int) -> int:
    """Returns length of decompressed data."""
    g.stream.next_in = src
    g.stream.avail_in = srclen

    g.stream.next_out = dst
    g.stream.avail_out = dstlen

    err = zlib_inflateReset(g.stream)
    if err != Z_OK:
        pr_err("cramfs: zlib_inflateReset error %d\n", err)
        zlib_inflateEnd(g.stream)
        zlib_inflateInit(g.stream)

    err = zlib_inflate(g.stream, Z_FINISH)
    if err != Z_STREAM_END:
        # err:
        pr_err("cramfs: Error %d while decompressing!\n", err)
        pr_err("cramfs: %p(%d)->%p(%d)\n", src, srclen, dst, dstlen)
        return -EIO
    return g.stream.total_out


@port_of("fs/cramfs/uncompress.c", "cramfs_uncompress_init")
def cramfs_uncompress_init() -> int:
    g.initialized += 1
    if g.initialized == 1:
        g.stream.workspace = vmalloc(zlib_inflate_workspacesize())
        if not g.stream.workspace:
            g.initialized = 0
            return -ENOMEM
        g.stream.next_in = 0
        g.stream.avail_in = 0
        zlib_inflateInit(g.stream)
    return 0


@port_of("fs/cramfs/uncompress.c", "cramfs_uncompress_exit")
def cramfs_uncompress_exit() -> None:
    g.initialized -= 1
    if not g.initialized:
        zlib_inflateEnd(g.stream)
        vfree(g.stream.workspace)
