# SPDX-License-Identifier: GPL-2.0-only
"""Reporting extents to user space (fs/ioctl.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import EBADR, EFAULT, EFBIG, EINVAL, EOPNOTSUPP
from kemu.linux.include.fiemap import (
    FIEMAP_EXTENT_DATA_ENCRYPTED,
    FIEMAP_EXTENT_DATA_INLINE,
    FIEMAP_EXTENT_DATA_TAIL,
    FIEMAP_EXTENT_DELALLOC,
    FIEMAP_EXTENT_ENCODED,
    FIEMAP_EXTENT_LAST,
    FIEMAP_EXTENT_NOT_ALIGNED,
    FIEMAP_EXTENT_UNKNOWN,
    FIEMAP_FLAG_SYNC,
    FIEMAP_FLAGS_COMPAT,
    FiemapExtent,
    FiemapExtentInfo,
)
from kemu.linux.include.fs.types import File
from kemu.linux.include.pagemap import filemap_write_and_wait
from kemu.linux.port.honesty import custom, dup
from kemu.linux.types import Ref
from kemu.machine.current import this
from kemu.machine.machine import should_fail

C = "fs/ioctl.c"


@dup(C)
def fiemap_fill_next_extent(fieinfo: FiemapExtentInfo, logical: int, phys: int, len_: int, flags: int) -> int:
    """``int fiemap_fill_next_extent(struct fiemap_extent_info *fieinfo, u64 logical, u64 phys, u64 len, u32 flags)``: 1 when full
    or last; 0; -EFAULT.
    """
    if fieinfo.fi_extents_max == 0:
        fieinfo.fi_extents_mapped += 1
        return 1 if flags & FIEMAP_EXTENT_LAST else 0
    if fieinfo.fi_extents_mapped >= fieinfo.fi_extents_max:
        return 1
    if flags & FIEMAP_EXTENT_DELALLOC:
        flags |= FIEMAP_EXTENT_UNKNOWN
    if flags & FIEMAP_EXTENT_DATA_ENCRYPTED:
        flags |= FIEMAP_EXTENT_ENCODED
    if flags & (FIEMAP_EXTENT_DATA_TAIL | FIEMAP_EXTENT_DATA_INLINE):
        flags |= FIEMAP_EXTENT_NOT_ALIGNED
    if this.chooser is not None and should_fail("fail_usercopy", "fiemap_fill_next_extent"):
        return -EFAULT
    fieinfo.fi_extents.append(FiemapExtent(logical, phys, len_, flags))
    fieinfo.fi_extents_mapped += 1
    if fieinfo.fi_extents_mapped == fieinfo.fi_extents_max:
        return 1
    return 1 if flags & FIEMAP_EXTENT_LAST else 0


@dup(C)
def fiemap_prep(inode: Any, fieinfo: FiemapExtentInfo, start: int, len_: Ref, supported_flags: int) -> int:
    """``int fiemap_prep(struct inode *inode, struct fiemap_extent_info *fieinfo, u64 start, u64 *len, u32 supported_flags)``

    Return: 0; -EINVAL for no length; -EFBIG beyond the largest file; -EBADR for flags that are not supported.
    """
    maxbytes = inode.i_sb.s_maxbytes
    if len_.v == 0:
        return -EINVAL
    if start >= maxbytes:
        return -EFBIG
    # Shrink request scope to what the fs can actually handle.
    if len_.v > maxbytes or maxbytes - len_.v < start:
        len_.v = maxbytes - start
    supported_flags = (supported_flags | FIEMAP_FLAG_SYNC) & FIEMAP_FLAGS_COMPAT
    incompat_flags = fieinfo.fi_flags & ~supported_flags
    if incompat_flags:
        fieinfo.fi_flags = incompat_flags
        return -EBADR
    if fieinfo.fi_flags & FIEMAP_FLAG_SYNC:
        return filemap_write_and_wait(inode.i_mapping)
    return 0


@custom(C, "ioctl_fiemap", "the kernel's fiemap_extent_info instead of the user's struct fiemap")
def ioctl_fiemap(filp: File, fieinfo: FiemapExtentInfo, fm_start: int, fm_length: int) -> int:
    """``static int ioctl_fiemap(struct file *filp, struct fiemap __user *ufiemap)``

    Return: 0; -EOPNOTSUPP for an inode that has no map; what ->fiemap says.
    """
    inode = filp.f_inode

    if inode.i_op.fiemap is None:
        return -EOPNOTSUPP
    return int(inode.i_op.fiemap(inode, fieinfo, fm_start, fm_length))
