# SPDX-License-Identifier: GPL-2.0-only
"""From the page cache into a pipe (include/linux/splice.h, include/linux/pipe_fs_i.h, the splice half of mm/filemap.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.filemap_read import filemap_get_pages
from kemu.linux.folio_batch import FolioBatch, folio_batch_release
from kemu.linux.honesty import custom, dup
from kemu.linux.mm import flush_dcache_folio, folio_get, folio_page, put_page
from kemu.linux.sched import cond_resched
from kemu.linux.types import Ref
from kemu.linux.vfs.inode_attr import file_accessed
from kemu.linux.vfs.types import Kiocb
from kemu.machine.current import arch, this
from kemu.machine.pages import Page, PG_referenced, page_va

C = "mm/filemap.c"
PIPE_DEF_BUFFERS = 16


@dup("include/linux/pipe_fs_i.h")
class PipeBuffer:
    """``struct pipe_buffer``: ``len`` bytes from ``offset`` of ``page`` on; the buffer holds a reference."""

    __slots__ = ("len", "offset", "page")

    def __init__(self, page: Page, offset: int, len: int):
        self.page = page
        self.offset = offset
        self.len = len


@custom("include/linux/pipe_fs_i.h", "pipe_inode_info", "a list of buffers; nobody waits on it")
class PipeInodeInfo:
    """``struct pipe_inode_info``"""

    __slots__ = ("bufs", "max_usage")

    def __init__(self, max_usage: int = PIPE_DEF_BUFFERS):
        self.bufs: list[PipeBuffer] = []
        self.max_usage = max_usage

    def read(self) -> bytes:
        """What the pipe's reader gets; empties it."""
        out = b"".join([this.mem.give(page_va(b.page) + b.offset, b.len) for b in self.bufs])
        for b in self.bufs:
            put_page(b.page)
        self.bufs.clear()
        return out


@dup("include/linux/pipe_fs_i.h")
def pipe_is_full(pipe: PipeInodeInfo) -> bool:
    """``bool pipe_is_full(...)``"""
    return len(pipe.bufs) >= pipe.max_usage


@dup(C)
def splice_folio_into_pipe(pipe: PipeInodeInfo, folio: Page, fpos: int, size: int) -> int:
    """``size_t splice_folio_into_pipe(struct pipe_inode_info *pipe, struct folio *folio, loff_t fpos, size_t size)``: page by page, without a copy."""
    psize = arch.PAGE_SIZE
    offset = fpos & ((psize << folio.order) - 1)
    size = min(size, (psize << folio.order) - offset)
    n = offset >> arch.PAGE_SHIFT
    offset &= psize - 1
    spliced = 0
    while spliced < size and not pipe_is_full(pipe):
        part = min(psize - offset, size - spliced)
        folio_get(folio)
        pipe.bufs.append(PipeBuffer(folio_page(folio, n), offset, part))
        n += 1
        spliced += part
        offset = 0
    return spliced


@dup(C)
def filemap_splice_read(in_: Any, ppos: Ref, pipe: PipeInodeInfo, len_: int, flags: int) -> int:
    """``ssize_t filemap_splice_read(struct file *in, loff_t *ppos, struct pipe_inode_info *pipe, size_t len, unsigned int flags)``

    Return: bytes, fewer when the pipe is full; 0 at the end; -errno as filemap_read().
    """
    inode = in_.f_mapping.host
    if ppos.v >= inode.i_sb.s_maxbytes:
        return 0
    iocb = Kiocb()
    iocb.ki_filp = in_
    npages = max(pipe.max_usage - len(pipe.bufs), 0)
    len_ = min(len_, npages << arch.PAGE_SHIFT)
    total_spliced = 0
    error = 0
    fbatch = FolioBatch()
    stop = False
    while not stop:
        cond_resched()
        if ppos.v >= inode.i_size:
            break
        iocb.ki_pos = ppos.v
        error = filemap_get_pages(iocb, len_, fbatch, True)
        if error < 0:
            break
        isize = inode.i_size
        if ppos.v >= isize:
            break
        end_offset = min(isize, ppos.v + len_)
        for folio in fbatch.folios:
            if folio.index << arch.PAGE_SHIFT >= end_offset:
                stop = True
                break
            folio.flags |= PG_referenced
            if in_.f_mapping.i_mmap_writable > 0:
                flush_dcache_folio(folio)
            n = splice_folio_into_pipe(pipe, folio, ppos.v, min(len_, isize - ppos.v))
            if not n:
                stop = True
                break
            len_ -= n
            total_spliced += n
            ppos.v += n
            in_.f_ra.prev_pos = ppos.v
            if pipe_is_full(pipe):
                stop = True
                break
        folio_batch_release(fbatch)
        if not len_:
            break
    folio_batch_release(fbatch)
    if in_.f_path.dentry is not None:
        file_accessed(in_)
    return total_spliced if total_spliced else error
