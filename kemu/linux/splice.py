# SPDX-License-Identifier: GPL-2.0-only
"""From the page cache into a pipe (include/linux/splice.h, include/linux/pipe_fs_i.h, the splice half of mm/filemap.c)."""
from kemu.linux.include.splice import PIPE_DEF_BUFFERS, PipeBuffer, PipeInodeInfo, pipe_is_full  # noqa: F401
from kemu.linux.mm.filemap import filemap_splice_read, splice_folio_into_pipe  # noqa: F401
