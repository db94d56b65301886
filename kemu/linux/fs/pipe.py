# SPDX-License-Identifier: GPL-2.0-only
"""Pipes and FIFOs: opening and closing (fs/pipe.c). There are no buffers: nothing can be read or written."""
from __future__ import annotations

from kemu.linux.errno import EINVAL, ENXIO
from kemu.linux.fcntl import O_NONBLOCK
from kemu.linux.include.fs.constants import FMODE_READ, FMODE_WRITE
from kemu.linux.include.fs.types import File, Inode, file_operations
from kemu.linux.include.splice import PipeInodeInfo
from kemu.linux.port.honesty import custom
from kemu.linux.wait import wait_event

C = "fs/pipe.c"


@custom(C, "fifo_open", "waits for the other side, as the kernel does: for ever, if there is none")
def fifo_open(inode: Inode, filp: File) -> int:
    """``int fifo_open(struct inode *inode, struct file *filp)``. Errors: -ENXIO (for writing, with O_NONBLOCK, without readers),
    -EINVAL.
    """
    pipe = inode.i_pipe
    if pipe is None:
        pipe = inode.i_pipe = PipeInodeInfo()
    pipe.files += 1
    mode = filp.f_mode & (FMODE_READ | FMODE_WRITE)
    if (mode == FMODE_WRITE and filp.f_flags & O_NONBLOCK and not pipe.readers) or not mode:
        _put_pipe(inode, pipe)
        return -ENXIO if mode else -EINVAL
    filp.private_data = pipe
    if mode & FMODE_READ:
        pipe.readers += 1
        pipe.r_counter += 1
    if mode & FMODE_WRITE:
        pipe.writers += 1
        pipe.w_counter += 1
    pipe.rd_wait.wake()
    if mode == FMODE_READ and not pipe.writers and not filp.f_flags & O_NONBLOCK:
        seen = pipe.w_counter
        wait_event(pipe.rd_wait, lambda: pipe.w_counter != seen)
    elif mode == FMODE_WRITE and not pipe.readers:
        seen = pipe.r_counter
        wait_event(pipe.wr_wait, lambda: pipe.r_counter != seen)
    return 0


def pipe_release(inode: Inode, file: File) -> int:
    pipe = file.private_data
    pipe.readers -= bool(file.f_mode & FMODE_READ)
    pipe.writers -= bool(file.f_mode & FMODE_WRITE)
    _put_pipe(inode, pipe)
    return 0


def _put_pipe(inode: Inode, pipe: PipeInodeInfo) -> None:
    pipe.files -= 1
    if not pipe.files:
        inode.i_pipe = None


pipefifo_fops = file_operations(open=fifo_open, release=pipe_release)
