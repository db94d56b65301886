# SPDX-License-Identifier: GPL-2.0-only
"""Reading files straight from a device's memory, by extents (fs/dax.c): read(), and faults of one page."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON_ONCE
from kemu.linux.drivers.dax.super import dax_direct_access
from kemu.linux.errno import EFAULT, EINTR, EIO, ENOMEM, EOPNOTSUPP
from kemu.linux.fs.iomap.iter import iomap_iter, iomap_iter_advance
from kemu.linux.include.fs.constants import IOCB_NOWAIT
from kemu.linux.include.iomap import (
    IOMAP_DAX,
    IOMAP_F_SHARED,
    IOMAP_FAULT,
    IOMAP_HOLE,
    IOMAP_MAPPED,
    IOMAP_NOWAIT,
    IOMAP_UNWRITTEN,
    Iomap,
    IomapIter,
    iomap_length,
    iomap_ops,
)
from kemu.linux.include.mm_types import VM_FAULT_FALLBACK, VM_FAULT_NOPAGE, VM_FAULT_OOM, VM_FAULT_SIGBUS, vm_fault
from kemu.linux.include.uio import IovIter, iov_iter_rw
from kemu.linux.lib.iov_iter import copy_to_iter, iov_iter_zero
from kemu.linux.math import ALIGN
from kemu.linux.port.honesty import custom, dup, stub
from kemu.machine.current import arch, this

C = "fs/dax.c"


@dup(C)
def dax_iomap_pgoff(iomap: Iomap, pos: int) -> int:
    """``static pgoff_t dax_iomap_pgoff(const struct iomap *iomap, loff_t pos)``"""
    return (iomap.addr + (pos & arch.PAGE_MASK) - iomap.offset & 0xFFFF_FFFF_FFFF_FFFF) >> arch.PAGE_SHIFT


@custom(C, "dax_iomap_iter", "reads only")
def dax_iomap_iter(iomi: IomapIter, iter_: IovIter) -> int:
    """``static int dax_iomap_iter(struct iomap_iter *iomi, struct iov_iter *iter)``"""
    iomap = iomi.iomap
    length = iomap_length(iomi)
    pos = iomi.pos
    end = min(pos + length, iomi.inode.i_size)
    if pos >= end:
        return 0
    if iomap.type in (IOMAP_HOLE, IOMAP_UNWRITTEN):
        return iomap_iter_advance(iomi, iov_iter_zero(min(length, end - pos), iter_))
    if WARN_ON_ONCE(iomap.type != IOMAP_MAPPED and not iomap.flags & IOMAP_F_SHARED):
        return -EIO
    ret = 0
    while iomi.pos < end:
        pos = iomi.pos
        offset = pos & (arch.PAGE_SIZE - 1)
        size = ALIGN(length + offset, arch.PAGE_SIZE)
        if this.task.pending_signal:
            return -EINTR
        map_len, kaddr = dax_direct_access(iomap.dax_dev, dax_iomap_pgoff(iomap, pos), size >> arch.PAGE_SHIFT)
        if map_len < 0:
            return -EIO if map_len == -133 else map_len         # dax_mem2blk_err(): EHWPOISON
        map_len = min((map_len << arch.PAGE_SHIFT) - offset, end - pos)
        xfer = copy_to_iter(kaddr + offset, map_len, iter_)
        ret = iomap_iter_advance(iomi, xfer)
        if not ret and xfer == 0:
            ret = -EFAULT
        if xfer < map_len:
            break
        length = iomap_length(iomi)
    return ret


@custom(C, "dax_iomap_rw", "reads only")
def dax_iomap_rw(iocb: Any, iter_: IovIter, ops: iomap_ops) -> int:
    """``ssize_t dax_iomap_rw(struct kiocb *iocb, struct iov_iter *iter, const struct iomap_ops *ops)``: bytes, or -errno if there
    were none.
    """
    iomi = IomapIter(iocb.ki_filp.f_mapping.host, iocb.ki_pos, iter_.count, IOMAP_DAX)
    if not iomi.len:
        return 0
    if iov_iter_rw(iter_):
        return -EOPNOTSUPP
    if iocb.ki_flags & IOCB_NOWAIT:
        iomi.flags |= IOMAP_NOWAIT
    while (ret := iomap_iter(iomi, ops)) > 0:
        iomi.status = dax_iomap_iter(iomi, iter_)
    done = iomi.pos - iocb.ki_pos
    iocb.ki_pos = iomi.pos
    return done if done else ret


@custom(C, "dax_iomap_fault", "reads of one page, whose address is given back; no entries are made, no pfn and errno are told")
def dax_iomap_fault(vmf: vm_fault, order: int, pfnp: Any, iomap_errp: Any, ops: iomap_ops) -> int:
    """``vm_fault_t dax_iomap_fault(struct vm_fault *vmf, unsigned int order, unsigned long *pfnp, int *iomap_errp,
    const struct iomap_ops *ops)``: VM_FAULT_NOPAGE with ``vmf.addr``, 0 there for a hole; VM_FAULT_SIGBUS, VM_FAULT_OOM;
    VM_FAULT_FALLBACK for a huge page.
    """
    inode = vmf.vma.vm_file.f_mapping.host
    pos = vmf.pgoff << arch.PAGE_SHIFT
    if order:
        return VM_FAULT_FALLBACK
    # Check whether offset isn't beyond end of file now.
    if pos >= inode.i_size:
        return VM_FAULT_SIGBUS
    iomi = IomapIter(inode, pos, arch.PAGE_SIZE, IOMAP_DAX | IOMAP_FAULT)
    ret = 0
    while (error := iomap_iter(iomi, ops)) > 0:
        if iomap_length(iomi) < arch.PAGE_SIZE:
            iomi.status = -EIO                      # fs corruption?
            continue
        if iomi.iomap.type in (IOMAP_HOLE, IOMAP_UNWRITTEN):
            vmf.addr = 0
        else:
            map_len, vmf.addr = dax_direct_access(iomi.iomap.dax_dev, dax_iomap_pgoff(iomi.iomap, pos), 1)
            if map_len < 0:
                iomi.status = map_len
                continue
        ret = VM_FAULT_NOPAGE
        iomi.status = iomap_iter_advance(iomi, arch.PAGE_SIZE)
    if error < 0:                                   # dax_fault_return()
        return VM_FAULT_OOM if error == -ENOMEM else VM_FAULT_SIGBUS
    return ret


@stub(C, how="nothing is ever mapped into user space")
def dax_break_layout_final(inode: Any) -> None:
    """``void dax_break_layout_final(struct inode *inode)``"""
