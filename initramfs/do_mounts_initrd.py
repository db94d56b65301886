# SPDX-License-Identifier: GPL-2.0-only
"""Port of init/do_mounts_initrd.c (Linux 7.2). The variables of linux/initrd.h live in kemu.linux.initrd."""
from __future__ import annotations

from kemu.linux.init import __setup, early_param
from kemu.linux.init_syscalls import init_unlink
from kemu.linux.initrd import initrd
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.port.honesty import port_of
from kemu.linux.port.statics import statics
from kemu.linux.printk import pr_warn
from kemu.linux.string_helpers import memparse
from kemu.linux.types import ulong

from initramfs.do_mounts_h import Root_RAM0, create_dev
from initramfs.do_mounts_rd import rd_load_image


@statics
class g:
    mount_initrd = 1


@__setup("noinitrd", "CONFIG_BLK_DEV_INITRD")
@port_of("init/do_mounts_initrd.c", "no_initrd")
def no_initrd(str: str) -> int:
    pr_warn("noinitrd option is deprecated and will be removed soon\n")
    g.mount_initrd = 0
    return 1


@early_param("initrdmem", "CONFIG_BLK_DEV_INITRD")
@port_of("init/do_mounts_initrd.c", "early_initrdmem")
def early_initrdmem(p: str) -> int:
    start, endp = memparse(p or "")
    if endp[:1] == ",":
        size, _ = memparse(endp[1:])

        initrd.phys_initrd_start = start
        initrd.phys_initrd_size = ulong(size)
    return 0


@early_param("initrd", "CONFIG_BLK_DEV_INITRD")
@port_of("init/do_mounts_initrd.c", "early_initrd")
def early_initrd(p: str) -> int:
    return early_initrdmem(p)


@port_of("init/do_mounts_initrd.c", "initrd_load")
def initrd_load() -> None:
    if g.mount_initrd:
        create_dev("/dev/ram", Root_RAM0)
        # Load the initrd data into /dev/ram0.
        if IS_ENABLED("CONFIG_BLK_DEV_RAM") and rd_load_image():
            pr_warn("using deprecated initrd support, will be removed in January 2027; "
                    "use initramfs instead or (as a last resort) /sys/firmware/initrd; "
                    "see section \"Workaround\" in "
                    "https://lore.kernel.org/lkml/20251010094047.3111495-1-safinaskar@gmail.com\n")
    init_unlink("/initrd.image")
