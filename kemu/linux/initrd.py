# SPDX-License-Identifier: GPL-2.0-only
"""Where the initrd and the built-in archive lie (include/linux/initrd.h). The variables are read and written as
``initrd.initrd_start``.
"""
from __future__ import annotations

from kemu.linux.port.honesty import names
from kemu.machine.statics import statics


# initrd_start .. initrd_end are virtual addresses, phys_initrd_start a physical one; __initramfs_start and __initramfs_size are
# vmlinux's
@statics
class initrd:
    initrd_start = 0
    initrd_end = 0
    initrd_below_start_ok = 0
    phys_initrd_start = 0
    phys_initrd_size = 0
    initramfs_start = 0
    initramfs_size = 0
    crashk_start = 0
    crashk_end = 0


names("custom", "include/linux/initrd.h", "initrd",
      how="initrd_start and its kin, and the linker's __initramfs_start, as attributes")
