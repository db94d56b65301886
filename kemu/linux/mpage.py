# SPDX-License-Identifier: GPL-2.0-only
"""Reading folios of block-mapped files in large bios (include/linux/mpage.h, fs/mpage.c)."""
from kemu.linux.fs.mpage import do_mpage_readpage, mpage_read_end_io, mpage_read_folio, mpage_readahead  # noqa: F401
