# SPDX-License-Identifier: GPL-2.0-only
"""Port of init/initramfs.c (Linux 7.2), the second part: populate_rootfs(), and what becomes of the initrd's memory. The unpacker
is in unpack.py.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.async_ import async_schedule_domain, async_synchronize_cookie_domain
from kemu.linux.err import IS_ERR
from kemu.linux.fcntl import O_CREAT, O_LARGEFILE, O_WRONLY
from kemu.linux.file import fput
from kemu.linux.fs import filp_open
from kemu.linux.init import EXPORT_SYMBOL_GPL, __setup, extern, only_if, rootfs_initcall
from kemu.linux.initrd import initrd
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kstrtox import kstrtobool
from kemu.linux.math import round_down, round_up
from kemu.linux.memblock import __va, free_reserved_area, memblock_is_region_memory, memblock_is_region_reserved, memblock_reserve
from kemu.linux.page import arch
from kemu.linux.poison import POISON_FREE_INITMEM
from kemu.linux.port.goto import Labels
from kemu.linux.port.honesty import port_of
from kemu.linux.printk import KERN_EMERG, KERN_INFO, pr_cont, pr_err, pr_warn_once, printk
from kemu.linux.security import security_initramfs_populated
from kemu.linux.string import memset
from kemu.linux.sysfs import firmware_kobj, sysfs_create_bin_file
from kemu.linux.types import Ref, u64
from kemu.linux.umh import usermodehelper_enable

from initramfs.do_mounts_h import init_flush_fput
from initramfs.unpack import (  # noqa: F401
    CPIO_HDRLEN,
    N_ALIGN,
    NAME_OFS,
    SIZEOF_BUFS,
    SYMLINK_OFS,
    Collect,
    CopyFile,
    GotHeader,
    GotName,
    GotSymlink,
    Reset,
    SkipIt,
    Start,
    actions,
    be32_header,
    clean_path,
    dir_add,
    dir_entry,
    dir_utime,
    do_collect,
    do_copy,
    do_header,
    do_name,
    do_reset,
    do_skip,
    do_start,
    do_symlink,
    do_utime,
    do_utime_path,
    eat,
    error,
    find_link,
    flush_buffer,
    free_hash,
    g,
    hash,
    hash_entry,
    maybe_link,
    panic_show_mem,
    parse_header,
    read_into,
    unpack_to_rootfs,
    write_buffer,
    xwrite,
)


@__setup("retain_initrd", "CONFIG_BLK_DEV_INITRD")
@port_of("init/initramfs.c", "retain_initrd_param")
def retain_initrd_param(str: str) -> int:
    if str:
        return 0
    g.do_retain_initrd = 1
    return 1


@__setup("keepinitrd", "CONFIG_ARCH_HAS_KEEPINITRD")
@port_of("init/initramfs.c", "keepinitrd_setup")
def keepinitrd_setup(__unused: str) -> int:
    if not IS_ENABLED("CONFIG_ARCH_HAS_KEEPINITRD"):
        return 0
    g.do_retain_initrd = 1
    return 1


@__setup("initramfs_async=", "CONFIG_BLK_DEV_INITRD")
@port_of("init/initramfs.c", "initramfs_async_setup")
def initramfs_async_setup(str: str) -> int:
    return int(kstrtobool(str, g.initramfs_async) == 0)


@extern
@port_of("init/initramfs.c", "reserve_initrd_mem")
def reserve_initrd_mem() -> None:
    # Ignore the virtual address computed during device tree parsing
    initrd.initrd_start = initrd.initrd_end = 0

    if not initrd.phys_initrd_size:
        return

    # Round the memory region to page boundaries as per free_initrd_mem(). This allows us to detect whether the pages overlapping
    # the initrd are in use, but more importantly, reserves the entire set of pages as we don't want these pages allocated for
    # other purposes.
    start = round_down(initrd.phys_initrd_start, arch.PAGE_SIZE)
    size = u64(initrd.phys_initrd_size + (initrd.phys_initrd_start - start))
    size = round_up(size, arch.PAGE_SIZE)

    out = Labels()

    @out.label
    def disable() -> None:
        pr_cont(" - disabling initrd\n")
        initrd.initrd_start = 0
        initrd.initrd_end = 0

    if not memblock_is_region_memory(start, size):
        pr_err("INITRD: 0x%08llx+0x%08lx is not a memory region", start, size)
        return out.goto(disable, None)

    if memblock_is_region_reserved(start, size):
        pr_err("INITRD: 0x%08llx+0x%08lx overlaps in-use memory region\n", start, size)
        return out.goto(disable, None)

    memblock_reserve(start, size)
    # Now convert initrd to virtual addresses
    initrd.initrd_start = __va(initrd.phys_initrd_start)
    initrd.initrd_end = initrd.initrd_start + initrd.phys_initrd_size
    initrd.initrd_below_start_ok = 1


@port_of("init/initramfs.c", "free_initrd_mem")
def free_initrd_mem(start: int, end: int) -> None:
    free_reserved_area(start, end, POISON_FREE_INITMEM, "initrd")


@port_of("init/initramfs.c", "kexec_free_initrd")
def kexec_free_initrd() -> bool:
    if not IS_ENABLED("CONFIG_CRASH_RESERVE"):
        return False
    crashk_start = __va(initrd.crashk_start)
    crashk_end = __va(initrd.crashk_end)

    # If the initrd region is overlapped with crashkernel reserved region, free only memory that is not part of crashkernel
    # region.
    if initrd.initrd_start >= crashk_end or initrd.initrd_end <= crashk_start:
        return False

    # Initialize initrd memory region since the kexec boot does not do.
    memset(initrd.initrd_start, 0, initrd.initrd_end - initrd.initrd_start)
    if initrd.initrd_start < crashk_start:
        free_initrd_mem(initrd.initrd_start, crashk_start)
    if initrd.initrd_end > crashk_end:
        free_initrd_mem(crashk_end, initrd.initrd_end)
    return True


@port_of("init/initramfs.c", "populate_initrd_image")
def populate_initrd_image(err: str) -> None:
    pos = Ref(0)

    printk(KERN_INFO + "rootfs image is not initramfs (%s); looks like an initrd\n", err)
    file = filp_open("/initrd.image", O_WRONLY | O_CREAT | O_LARGEFILE, 0o700)
    if IS_ERR(file):
        return

    written = xwrite(file, initrd.initrd_start, initrd.initrd_end - initrd.initrd_start, pos)
    if written != initrd.initrd_end - initrd.initrd_start:
        pr_err("/initrd.image: incomplete write (%zd != %ld)\n", written, initrd.initrd_end - initrd.initrd_start)
    fput(file)


@port_of("init/initramfs.c", "do_populate_rootfs")
def do_populate_rootfs(unused: Any, cookie: int) -> None:
    # Load the built in initramfs
    err = unpack_to_rootfs(initrd.initramfs_start, initrd.initramfs_size)
    if err:
        panic_show_mem("%s", err)       # Failed to decompress INTERNAL initramfs

    if initrd.initrd_start and not IS_ENABLED("CONFIG_INITRAMFS_FORCE"):
        if IS_ENABLED("CONFIG_BLK_DEV_RAM"):
            printk(KERN_INFO + "Trying to unpack rootfs image as initramfs...\n")
        else:
            printk(KERN_INFO + "Unpacking initramfs...\n")

        err = unpack_to_rootfs(initrd.initrd_start, initrd.initrd_end - initrd.initrd_start)
        if err:
            if IS_ENABLED("CONFIG_BLK_DEV_RAM"):
                populate_initrd_image(err)
            else:
                printk(KERN_EMERG + "Initramfs unpacking failed: %s\n", err)

    # done:
    security_initramfs_populated()

    # If the initrd region is overlapped with crashkernel reserved region, free only memory that is not part of crashkernel
    # region.
    if not g.do_retain_initrd and initrd.initrd_start and not kexec_free_initrd():
        free_initrd_mem(initrd.initrd_start, initrd.initrd_end)
    elif g.do_retain_initrd and initrd.initrd_start:
        g.bin_attr_initrd.size = initrd.initrd_end - initrd.initrd_start
        g.bin_attr_initrd.private = initrd.initrd_start
        if sysfs_create_bin_file(firmware_kobj(), g.bin_attr_initrd):
            pr_err("Failed to create initrd sysfs file")
    initrd.initrd_start = 0
    initrd.initrd_end = 0

    init_flush_fput()


@EXPORT_SYMBOL_GPL
@port_of("init/initramfs.c", "wait_for_initramfs")
def wait_for_initramfs() -> None:
    if not g.initramfs_cookie:
        # Something before rootfs_initcall wants to access the filesystem/initramfs. Probably a bug. Make a note, avoid
        # deadlocking the machine, and let the caller's access fail as it used to.
        pr_warn_once("wait_for_initramfs() called before rootfs_initcalls\n")
        return
    async_synchronize_cookie_domain(g.initramfs_cookie + 1, g.initramfs_domain)


@only_if("CONFIG_BLK_DEV_INITRD")
@rootfs_initcall
@port_of("init/initramfs.c", "populate_rootfs")
def populate_rootfs() -> int:
    g.initramfs_cookie = async_schedule_domain(do_populate_rootfs, None, g.initramfs_domain)
    usermodehelper_enable()
    if not g.initramfs_async.v:
        wait_for_initramfs()
    return 0
