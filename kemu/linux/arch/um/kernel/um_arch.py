# SPDX-License-Identifier: GPL-2.0-only
"""What the architecture finds out before anything else (arch/um/kernel/um_arch.c): where the initrd lies."""
from __future__ import annotations

from kemu.linux.include.init import _exports
from kemu.linux.initrd import initrd
from kemu.linux.port.honesty import custom
from kemu.machine.boot import Boot
from kemu.machine.current import this

C = "arch/um/kernel/um_arch.c"


@custom(C, "setup_arch",
        "the machine says where the initrd lies (its Boot: physical address and size), as a device tree or a boot loader does")
def setup_arch() -> str:
    """``void setup_arch(char **cmdline_p)``: reserves the initrd and gives the command line."""
    m = this.machine
    boot = m.part(Boot)
    if boot.initrd_size:
        initrd.phys_initrd_start, initrd.phys_initrd_size = boot.initrd_start, boot.initrd_size
    builtin = boot.builtin
    if builtin is not None:
        initrd.initramfs_start, initrd.initramfs_size = builtin.addr, builtin.size
    if boot.crashk_res is not None:
        initrd.crashk_start, initrd.crashk_end = boot.crashk_res
    reserve = _exports.get("reserve_initrd_mem")
    if reserve is not None and m.config.get("CONFIG_BLK_DEV_INITRD"):
        reserve()
    return m.cmdline
