# SPDX-License-Identifier: GPL-2.0-only
"""Files by extents (include/linux/iomap.h)."""
from kemu.linux.fs.iomap.bio import iomap_bio_read_folio_range, iomap_bio_read_ops, iomap_bio_submit_read_endio  # noqa: F401
from kemu.linux.fs.iomap.buffered_io import (  # noqa: F401
    iomap_finish_folio_read,
    iomap_folio_state,
    iomap_invalidate_folio,
    iomap_is_partially_uptodate,
    iomap_read_folio,
    iomap_readahead,
    iomap_release_folio,
)
from kemu.linux.fs.iomap.direct_io import iomap_dio_complete, iomap_dio_rw  # noqa: F401
from kemu.linux.fs.iomap.fiemap import iomap_bmap, iomap_fiemap  # noqa: F401
from kemu.linux.fs.iomap.iter import iomap_iter, iomap_iter_advance, iomap_iter_continue  # noqa: F401
from kemu.linux.fs.iomap.seek import iomap_seek_data, iomap_seek_hole  # noqa: F401
from kemu.linux.highmem import folio_fill_tail  # noqa: F401
from kemu.linux.include.iomap import (  # noqa: F401
    IOMAP_DAX,
    IOMAP_DELALLOC,
    IOMAP_DIO_FORCE_WAIT,
    IOMAP_DIO_PARTIAL,
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
    fserror_report_io,
    iomap_bio_read_folio,
    iomap_bio_readahead,
    iomap_dio_ops,
    iomap_inline_data,
    iomap_iter_advance_full,
    iomap_iter_next,
    iomap_iter_srcmap,
    iomap_length,
    iomap_length_trim,
    iomap_ops,
    iomap_read_folio_ctx,
    iomap_read_ops,
    iomap_sector,
)
