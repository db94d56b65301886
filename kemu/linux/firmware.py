# SPDX-License-Identifier: GPL-2.0-only
"""Firmware from the file system (include/linux/firmware.h): what drivers/base/firmware_loader/main.c does first, and fs/kernel_read_file.c."""
from __future__ import annotations

from typing import Any

from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EINVAL, EIO, ENAMETOOLONG, ENOENT, ENOMEM
from kemu.linux.fcntl import O_RDONLY
from kemu.linux.honesty import custom
from kemu.linux.init import wait_for_initramfs
from kemu.linux.path import path_put
from kemu.linux.slab import kfree, kmalloc
from kemu.linux.stat import S_ISREG
from kemu.linux.string import mem_read
from kemu.linux.types import Ref
from kemu.linux.vfs.basic import Path
from kemu.linux.vfs.file_table import allow_write_access, deny_write_access, fput
from kemu.linux.vfs.fs_struct import g as fs_struct
from kemu.linux.vfs.fs_struct import get_fs_root
from kemu.linux.vfs.open import file_open_root
from kemu.linux.vfs.read_write import kernel_read
from kemu.linux.vmalloc import vfree, vmalloc

PATH_MAX = 4096
UTS_RELEASE = "7.2.0"
fw_path = ("/lib/firmware/updates/" + UTS_RELEASE, "/lib/firmware/updates", "/lib/firmware/" + UTS_RELEASE, "/lib/firmware")


@custom("fs/kernel_read_file.c", "kernel_read_file", "whole files only, into a buffer of its own; gives the bytes")
def kernel_read_file(file: Any) -> bytes | int:
    """``ssize_t kernel_read_file(struct file *file, loff_t offset, void **buf, ...)``. Return: -EINVAL for what is no file or empty, -ETXTBSY,
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


@custom("fs/kernel_read_file.c", "kernel_read_file_from_path_initns", "gives the bytes")
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


@custom("drivers/base/firmware_loader/main.c", "request_firmware", "direct loading: no cache, no compressed files, no fallback to user space")
def request_firmware(name: str) -> bytes | int:
    """``int request_firmware(const struct firmware **firmware_p, const char *name, struct device *device)``: the firmware, or -ENOENT, -ENOMEM, ...

    Context: may sleep; waits for the initramfs.
    """
    nameless = kmalloc(PATH_MAX)            # __getname()
    if not nameless:
        return -ENOMEM
    wait_for_initramfs()
    out: bytes | int = -ENOENT
    for where in fw_path:
        path = f"{where}/{name}"
        if len(path) >= PATH_MAX:
            out = -ENAMETOOLONG
            break
        out = kernel_read_file_from_path_initns(path)
        if not isinstance(out, int):
            break
    kfree(nameless)
    return out


__all__ = ["fw_path", "kernel_read_file", "kernel_read_file_from_path_initns", "request_firmware"]
