# SPDX-License-Identifier: GPL-2.0-only
"""A whole file into kernel memory (fs/kernel_read_file.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EINVAL, EIO, ENOMEM
from kemu.linux.fcntl import O_RDONLY
from kemu.linux.fs.file_table import fput
from kemu.linux.fs.fs_struct import g as fs_struct
from kemu.linux.fs.namei import path_put
from kemu.linux.fs.open import file_open_root
from kemu.linux.fs.read_write import kernel_read
from kemu.linux.include.fs.calls import allow_write_access, deny_write_access
from kemu.linux.include.fs_struct import get_fs_root
from kemu.linux.include.path import Path
from kemu.linux.include.string import mem_read
from kemu.linux.include.vmalloc import vmalloc
from kemu.linux.mm.vmalloc import vfree
from kemu.linux.port.honesty import custom
from kemu.linux.stat import S_ISREG
from kemu.linux.types import Ref

C = "fs/kernel_read_file.c"


@custom(C, "kernel_read_file", "whole files only, into a buffer of its own; gives the bytes")
def kernel_read_file(file: Any) -> bytes | int:
    """``ssize_t kernel_read_file(struct file *file, loff_t offset, void **buf, ...)``. Return: -EINVAL for what is no file or
    empty, -ETXTBSY,
    -ENOMEM, -EIO if it is shorter than it was, what reading gives."""
    inode = file.f_inode
    if not S_ISREG(inode.i_mode):
        return -EINVAL
    ret = deny_write_access(file)
    if ret:
        return ret
    size = inode.i_size
    if size <= 0:
        allow_write_access(file)
        return -EINVAL
    buf = vmalloc(size)
    out: bytes | int = -ENOMEM
    if buf:
        pos = Ref(0)
        while pos.v < size:
            ret = kernel_read(file, buf + pos.v, size - pos.v, pos)
            if ret <= 0:
                break
        out = ret if ret < 0 else mem_read(buf, size) if pos.v == size else -EIO
        vfree(buf)
    allow_write_access(file)
    return out


@custom(C, "kernel_read_file_from_path_initns", "gives the bytes")
def kernel_read_file_from_path_initns(path: str) -> bytes | int:
    """``ssize_t kernel_read_file_from_path_initns(const char *path, ...)``: from the root of init, whoever asks."""
    if not path:
        return -EINVAL
    root = Path()
    get_fs_root(fs_struct.init_fs, root)
    file = file_open_root(root, path, O_RDONLY, 0)
    path_put(root)
    if IS_ERR(file):
        return PTR_ERR(file)
    out = kernel_read_file(file)
    fput(file)
    return out
