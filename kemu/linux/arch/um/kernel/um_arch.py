# SPDX-License-Identifier: GPL-2.0-only
"""arch/um/kernel/um_arch.c, as far as ported code uses it."""
from __future__ import annotations

from kemu.linux.include.init import _exports
from kemu.linux.initrd import initrd
from kemu.linux.port.honesty import custom
from kemu.machine.current import this

C = "arch/um/kernel/um_arch.c"


@custom(C, "setup_arch",
        "the machine says where the initrd lies (parts 'initrd': physical address and size), as a device tree or a boot loader does")
def setup_arch() -> str:
    """``void setup_arch(char **cmdline_p)``: reserves the initrd and gives the command line."""
    m = this.machine
    addr, size = m.parts.get("initrd", (0, 0))
    if size:
        initrd.phys_initrd_start, initrd.phys_initrd_size = addr, size
    builtin = m.parts.get("builtin")
    if builtin is not None:
        initrd.initramfs_start, initrd.initramfs_size = builtin.addr, builtin.size
    crash = m.parts.get("crashk_res")
    if crash is not None:
        initrd.crashk_start, initrd.crashk_end = crash
    reserve = _exports.get("reserve_initrd_mem")
    if reserve is not None and m.config.get("CONFIG_BLK_DEV_INITRD"):
        reserve()
    return m.cmdline
