# SPDX-License-Identifier: GPL-2.0-only
"""Files by extents (include/linux/iomap.h).

The code is where Linux has it: iomap_types (the mapping and fs/iomap/iter.c), iomap_buffered (fs/iomap/buffered-io.c), iomap_bio
(fs/iomap/bio.c), iomap_report (fs/iomap/seek.c, fs/iomap/fiemap.c).
"""
from __future__ import annotations

from kemu.linux.iomap_bio import (
    iomap_bio_read_folio,
    iomap_bio_read_folio_range,
    iomap_bio_read_ops,
    iomap_bio_readahead,
    iomap_bio_submit_read_endio,
)
from kemu.linux.iomap_buffered import (
    IomapFolioState,
    folio_fill_tail,
    fserror_report_io,
    iomap_finish_folio_read,
    iomap_invalidate_folio,
    iomap_is_partially_uptodate,
    iomap_read_folio,
    iomap_readahead,
    iomap_release_folio,
)
from kemu.linux.iomap_direct import IOMAP_DIO_FORCE_WAIT, IOMAP_DIO_PARTIAL, iomap_dio_complete, iomap_dio_ops, iomap_dio_rw
from kemu.linux.iomap_report import iomap_bmap, iomap_fiemap, iomap_seek_data, iomap_seek_hole
from kemu.linux.iomap_types import (
    IOMAP_DAX,
    IOMAP_DELALLOC,
    IOMAP_DIRECT,
    IOMAP_F_BOUNDARY,
    IOMAP_F_BUFFER_HEAD,
    IOMAP_F_DIRTY,
    IOMAP_F_MERGED,
    IOMAP_F_NEW,
    IOMAP_F_PRIVATE,
    IOMAP_F_SHARED,
    IOMAP_F_STALE,
    IOMAP_F_XATTR,
    IOMAP_FAULT,
    IOMAP_HOLE,
    IOMAP_INLINE,
    IOMAP_MAPPED,
    IOMAP_NOWAIT,
    IOMAP_NULL_ADDR,
    IOMAP_REPORT,
    IOMAP_UNWRITTEN,
    IOMAP_WRITE,
    IOMAP_ZERO,
    Iomap,
    IomapIter,
    IomapReadFolioCtx,
    iomap_inline_data,
    iomap_iter,
    iomap_iter_advance,
    iomap_iter_advance_full,
    iomap_iter_continue,
    iomap_iter_next,
    iomap_iter_srcmap,
    iomap_length,
    iomap_length_trim,
    iomap_ops,
    iomap_read_folio_ctx,
    iomap_read_ops,
    iomap_sector,
)

__all__ = [
    "IOMAP_DAX", "IOMAP_DELALLOC", "IOMAP_DIO_FORCE_WAIT", "IOMAP_DIO_PARTIAL", "IOMAP_DIRECT", "IOMAP_FAULT", "IOMAP_F_BOUNDARY", "IOMAP_F_BUFFER_HEAD", "IOMAP_F_DIRTY", "IOMAP_F_MERGED",
    "IOMAP_F_NEW", "IOMAP_F_PRIVATE", "IOMAP_F_SHARED", "IOMAP_F_STALE", "IOMAP_F_XATTR", "IOMAP_HOLE", "IOMAP_INLINE", "IOMAP_MAPPED",
    "IOMAP_NOWAIT", "IOMAP_NULL_ADDR", "IOMAP_REPORT", "IOMAP_UNWRITTEN", "IOMAP_WRITE", "IOMAP_ZERO", "Iomap", "IomapFolioState", "IomapIter",
    "IomapReadFolioCtx", "folio_fill_tail", "fserror_report_io", "iomap_bio_read_folio", "iomap_bio_read_folio_range", "iomap_bio_read_ops",
    "iomap_bio_readahead", "iomap_bio_submit_read_endio", "iomap_bmap", "iomap_dio_complete", "iomap_dio_ops", "iomap_dio_rw",
    "iomap_fiemap", "iomap_finish_folio_read", "iomap_inline_data",
    "iomap_invalidate_folio", "iomap_is_partially_uptodate", "iomap_iter", "iomap_iter_advance", "iomap_iter_advance_full",
    "iomap_iter_continue", "iomap_iter_next", "iomap_iter_srcmap", "iomap_length", "iomap_length_trim", "iomap_ops", "iomap_read_folio", "iomap_read_folio_ctx",
    "iomap_read_ops", "iomap_readahead", "iomap_release_folio", "iomap_sector", "iomap_seek_data", "iomap_seek_hole",
]
