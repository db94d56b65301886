# SPDX-License-Identifier: GPL-2.0-only
"""Firmware from the file system (drivers/base/firmware_loader/main.c): its search path, and no fallback to user space."""
from __future__ import annotations

from kemu.linux.errno import ENAMETOOLONG, ENOENT, ENOMEM
from kemu.linux.fs.kernel_read_file import kernel_read_file_from_path_initns
from kemu.linux.include.firmware import fw_path
from kemu.linux.include.fs.constants import PATH_MAX
from kemu.linux.include.init import wait_for_initramfs
from kemu.linux.include.slab import kmalloc
from kemu.linux.mm.slub import kfree
from kemu.linux.port.honesty import custom

C = "drivers/base/firmware_loader/main.c"


@custom(C, "request_firmware", "direct loading: no cache, no compressed files, no fallback to user space")
def request_firmware(name: str) -> bytes | int:
    """``int request_firmware(const struct firmware **firmware_p, const char *name, struct device *device)``: the firmware, or
    -ENOENT, -ENOMEM, ...

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
