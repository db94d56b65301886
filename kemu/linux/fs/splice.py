# SPDX-License-Identifier: GPL-2.0-only
"""From one file into another without a buffer of the user's (fs/splice.c)."""
from __future__ import annotations

from kemu.linux.errno import ENOMEM
from kemu.linux.fs.read_write import kernel_read, kernel_write
from kemu.linux.include.fs.types import File
from kemu.linux.include.gfp import GFP_KERNEL
from kemu.linux.include.slab import kmalloc
from kemu.linux.mm.slub import kfree
from kemu.linux.port.honesty import custom
from kemu.linux.types import Ref
from kemu.machine.current import arch

C = "fs/splice.c"


@custom(C, "do_splice_direct", "through one page instead of a pipe's sixteen")
def do_splice_direct(in_: File, ppos: Ref, out: File, opos: Ref, len_: int) -> int:
    """``ssize_t do_splice_direct(in, ppos, out, opos, len, flags)``. Return: bytes, -ENOMEM, what reading or writing gives."""
    page = kmalloc(arch.PAGE_SIZE, GFP_KERNEL)
    if not page:
        return -ENOMEM
    done = 0
    while done < len_:
        n = kernel_read(in_, page, min(arch.PAGE_SIZE, len_ - done), ppos)
        if n > 0:
            n = kernel_write(out, page, n, opos)
        if n <= 0:
            kfree(page)
            return done or n
        done += n
    kfree(page)
    return done
