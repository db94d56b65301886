# SPDX-License-Identifier: GPL-2.0-only
"""Pipes as splicing sees them (include/linux/splice.h, include/linux/pipe_fs_i.h)."""
from __future__ import annotations

from kemu.linux.include.mm import put_page
from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import this
from kemu.machine.pages import Page, page_va

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


@custom(P, "pipe_inode_info", "a list of buffers; nobody waits on it")
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


@dup(P)
def pipe_is_full(pipe: PipeInodeInfo) -> bool:
    """``bool pipe_is_full(...)``"""
    return len(pipe.bufs) >= pipe.max_usage
