# SPDX-License-Identifier: GPL-2.0-only
"""Pipes as splicing sees them (include/linux/splice.h, include/linux/pipe_fs_i.h)."""
from __future__ import annotations

from kemu.linux.include.mm import put_page
from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import this
from kemu.machine.pages import Page, page_va
from kemu.machine.sched import WaitQueue

P = "include/linux/pipe_fs_i.h"

PIPE_DEF_BUFFERS = 16


@dup(P)
class PipeBuffer:
    """``struct pipe_buffer``: ``len`` bytes from ``offset`` of ``page`` on; the buffer holds a reference."""

    __slots__ = ("len", "offset", "page")

    def __init__(self, page: Page, offset: int, len: int):
        self.page = page
        self.offset = offset
        self.len = len


@custom(P, "pipe_inode_info",
        "a list of buffers, which only splicing fills; a FIFO has who has it open, and its two sides wait in one queue")
class PipeInodeInfo:
    """``struct pipe_inode_info``"""

    __slots__ = ("bufs", "files", "max_usage", "r_counter", "rd_wait", "readers", "w_counter", "wr_wait", "writers")

    def __init__(self, max_usage: int = PIPE_DEF_BUFFERS):
        self.bufs: list[PipeBuffer] = []
        self.max_usage = max_usage
        self.readers = self.writers = self.files = self.r_counter = self.w_counter = 0
        self.rd_wait = WaitQueue("another side of the FIFO")
        self.wr_wait = self.rd_wait

    def read(self) -> bytes:
        """What the pipe's reader gets; empties it."""
        out = b"".join([this.mem.give(page_va(b.page) + b.offset, b.len) for b in self.bufs])
        for b in self.bufs:
            put_page(b.page)
        self.bufs.clear()
        return out


@dup(P)
def pipe_is_full(pipe: PipeInodeInfo) -> bool:
    """``bool pipe_is_full(...)``"""
    return len(pipe.bufs) >= pipe.max_usage
