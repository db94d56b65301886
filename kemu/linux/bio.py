# SPDX-License-Identifier: GPL-2.0-only
"""Building and ending bios (include/linux/bio.h, block/bio.c)."""
from __future__ import annotations

from kemu.linux.blk_types import (  # noqa: F401
    BIO_CHAIN,
    BIO_CLONED,
    BIO_QUIET,
    BIO_REFFED,
    BIO_REMAPPED,
    BLK_STS_AGAIN,
    IDLE,
    REQ_OP_READ,
    Bio,
    bio_op,
    op_is_write,
)
from kemu.linux.block.bio import (  # noqa: F401
    __bio_add_page,
    bdev_rw_virt,
    bio_add_folio,
    bio_add_folio_nofail,
    bio_add_page,
    bio_add_virt_nofail,
    bio_alloc_bioset,
    bio_alloc_clone,
    bio_await,
    bio_chain,
    bio_chain_and_submit,
    bio_chain_endio,
    bio_endio,
    bio_init,
    bio_kmalloc,
    bio_put,
    bio_reset,
    bio_split,
    bio_trim,
    bio_truncate,
    bio_uninit,
    guard_bio_eod,
    submit_bio_wait,
    zero_fill_bio,
)
from kemu.linux.block.blk_core import blk_status_to_errno, errno_to_blk_status, submit_bio, submit_bio_noacct  # noqa: F401
from kemu.linux.include.bio import (  # noqa: F401
    BIO_INLINE_VECS,
    BIO_MAX_INLINE_VECS,
    BIO_MAX_VECS,
    BioSet,
    FolioIter,
    bio_advance,
    bio_advance_iter,
    bio_advance_iter_single,
    bio_alloc,
    bio_clear_flag,
    bio_data_dir,
    bio_end_sector,
    bio_endio_status,
    bio_flagged,
    bio_for_each_bvec,
    bio_for_each_folio_all,
    bio_for_each_segment,
    bio_for_each_segment_all,
    bio_get,
    bio_has_data,
    bio_io_error,
    bio_iter_iovec,
    bio_max_segs,
    bio_sectors,
    bio_set_flag,
    fs_bio_set,
)
from kemu.linux.port.honesty import dup

P = "include/linux/bio.h"


@dup(P)
def bio_wouldblock_error(bio: Bio) -> None:
    """``void bio_wouldblock_error(struct bio *bio)``: ends it with BLK_STS_AGAIN."""
    bio.bi_status = BLK_STS_AGAIN
    bio_endio(bio)
