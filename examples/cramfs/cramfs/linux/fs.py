# SPDX-License-Identifier: GPL-2.0-only
"""What fs/cramfs needs of include/linux/fs.h and include/linux/filelock.h besides :mod:`kemu.linux.fs`."""

from __future__ import annotations

from typing import Any

from kemu.linux.errno import EINVAL
from kemu.linux.fs import File, file_operations, generic_file_llseek, generic_file_read_iter
from kemu.linux.port.honesty import custom, names
from kemu.linux.splice import filemap_splice_read


@custom("fs/locks.c", "generic_setlease", "nobody takes leases here: every one is refused, as that of a socket is")
def generic_setlease(filp: File, arg: int, flp: Any, priv: Any) -> int:
    """``int generic_setlease(struct file *filp, int arg, struct file_lease **flp, void **priv)``. Return: -EINVAL."""
    return -EINVAL


# no .mmap_prepare: files of the emulated kernel are not mapped
generic_ro_fops = file_operations(
    llseek=generic_file_llseek,
    read_iter=generic_file_read_iter,
    splice_read=filemap_splice_read,
    setlease=generic_setlease,
)
names("custom", "fs/read_write.c", "generic_ro_fops", how="without mmap_prepare: files are not mapped")
