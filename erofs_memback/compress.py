# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/compress.h: what the decompressors and the pipeline in front of them share."""
from __future__ import annotations

from collections.abc import Callable

from kemu.linux.fs import SuperBlock
from kemu.linux.mm import Page
from kemu.linux.port.honesty import port_of
from kemu.linux.port.layout import View
from kemu.linux.types import NULL, Ref

from erofs_memback.internal import erofs_pagepool_add


class z_erofs_decompress_req:
    __slots__ = ("sb", "in_", "out", "inpages", "outpages", "pageofs_in", "pageofs_out", "inputsize", "outputsize",
                 "alg", "inplace_io", "partial_decoding", "fillgaps", "gfp")

    def __init__(self, sb: SuperBlock, in_: list[Page], out: list[Page], inpages: int, outpages: int,
                 pageofs_in: int, pageofs_out: int, inputsize: int, outputsize: int, alg: int, inplace_io: bool,
                 partial_decoding: bool, fillgaps: bool, gfp: int) -> None:
        self.sb = sb
        self.in_ = in_
        self.out = out
        self.inpages = inpages
        self.outpages = outpages
        self.pageofs_in = pageofs_in
        self.pageofs_out = pageofs_out
        self.inputsize = inputsize
        self.outputsize = outputsize

        self.alg = alg              # the algorithm for decompression
        self.inplace_io = inplace_io
        self.partial_decoding = partial_decoding
        self.fillgaps = fillgaps
        self.gfp = gfp              # allocation flags for extra temporary buffers


class z_erofs_decompressor:
    """A reason (``const char *``) is a str, ERR_PTR or None."""

    __slots__ = ("config", "decompress", "init", "exit", "name")

    def __init__(self, decompress: Callable[[z_erofs_decompress_req, Ref], str], name: str,
                 config: Callable[[SuperBlock, View, int, int], int] = NULL,
                 init: Callable[[], int] = NULL, exit: Callable[[], None] = NULL) -> None:
        self.config = config
        self.decompress = decompress
        self.init = init
        self.exit = exit
        self.name = name


Z_EROFS_SHORTLIVED_PAGE = (1 << 64) - (1 << 2)
Z_EROFS_PREALLOCATED_FOLIO = (1 << 64) - (2 << 2)


# Currently, short-lived pages are pages directly from buddy system with specific page->private (Z_EROFS_SHORTLIVED_PAGE).
# In the future world of Memdescs, it should be type 0 (Misc) memory which type can be checked with a new helper.
@port_of("fs/erofs/compress.h", "z_erofs_is_shortlived_page")
def z_erofs_is_shortlived_page(page: Page) -> bool:
    return page.private == Z_EROFS_SHORTLIVED_PAGE


@port_of("fs/erofs/compress.h", "z_erofs_put_shortlivedpage")
def z_erofs_put_shortlivedpage(pagepool: Ref, page: Page) -> bool:
    if not z_erofs_is_shortlived_page(page):
        return False
    erofs_pagepool_add(pagepool, page)
    return True


class z_erofs_stream_dctx:
    __slots__ = ("rq", "no", "ni", "avail_out", "inbuf_pos", "inbuf_sz", "kin", "kout", "bounce", "bounced")

    def __init__(self, rq: z_erofs_decompress_req, no: int, ni: int) -> None:
        self.rq = rq
        self.no, self.ni = no, ni       # the current {en,de}coded page #

        self.avail_out = 0              # remaining bytes in the decoded buffer
        self.inbuf_pos = self.inbuf_sz = 0
        #                               current status of the encoded buffer
        self.kin = self.kout = 0        # buffer mapped pointers
        self.bounce = 0                 # bounce buffer for inplace I/Os
        self.bounced = False            # is the bounce buffer used now?


# without CONFIG_EROFS_FS_ZIP_ACCEL
def z_erofs_crypto_disable_all_engines() -> None:
    pass
