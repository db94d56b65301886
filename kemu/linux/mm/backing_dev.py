# SPDX-License-Identifier: GPL-2.0-only
"""Backing device infos (mm/backing-dev.c): how much to read ahead."""
from __future__ import annotations

from typing import Any

from kemu.linux.errno import EEXIST
from kemu.linux.include.backing_dev import BackingDevInfo, noop_backing_dev_info
from kemu.linux.port.honesty import custom, dup
from kemu.machine.current import arch, this
from kemu.machine.machine import should_fail
from kemu.machine.printk import vsprintf

C = "mm/backing-dev.c"


@dup(C)
def bdi_alloc(node_id: int = -1) -> BackingDevInfo | None:
    """``struct backing_dev_info *bdi_alloc(int node_id)``: None without memory."""
    if this.chooser is not None and should_fail("failslab", "bdi_alloc"):
        return None
    pages = 0x20000 >> arch.PAGE_SHIFT              # VM_READAHEAD_PAGES
    return BackingDevInfo(pages, pages)


@custom(C, "bdi_tree", "by name, not by number")
class BdiTree:
    """What ``bdi_tree`` of one machine has: the registered ones."""

    __slots__ = ("by_name",)

    def __init__(self) -> None:
        self.by_name: dict[str, BackingDevInfo] = {}


@custom(C, "bdi_register", "no device is made; the name must be new")
def bdi_register(bdi: BackingDevInfo, fmt: str, *args: Any) -> int:
    """``int bdi_register(struct backing_dev_info *bdi, const char *fmt, ...)``: 0; -EEXIST if the name is in use; -ENOMEM."""
    if bdi.registered:
        return 0
    if this.chooser is not None and should_fail("fail_function", "bdi_register"):
        return -12
    name = vsprintf(fmt, args)
    used = this.machine.part(BdiTree).by_name
    if name in used:
        return -EEXIST
    used[name] = bdi
    bdi.dev_name = name
    bdi.registered = True
    return 0


@custom(C, "bdi_unregister", "gives the name back")
def bdi_unregister(bdi: BackingDevInfo) -> None:
    """``void bdi_unregister(struct backing_dev_info *bdi)``"""
    if bdi.registered:
        bdi.registered = False
        this.machine.part(BdiTree).by_name.pop(bdi.dev_name, None)


@dup(C)
def bdi_put(bdi: BackingDevInfo) -> None:
    """``void bdi_put(struct backing_dev_info *bdi)``: the last one unregisters."""
    bdi.refcnt -= 1
    if not bdi.refcnt:
        bdi_unregister(bdi)


@dup(C)
def inode_to_bdi(inode: Any) -> BackingDevInfo:
    """``struct backing_dev_info *inode_to_bdi(struct inode *inode)``: of the disk for a block device's own inode, else of the
    superblock.
    """
    if inode is None or inode.i_sb is None:
        return noop_backing_dev_info
    sb = inode.i_sb
    bdev = getattr(inode, "bdev", None)
    if bdev is not None:                            # sb_is_blkdev_sb(sb)
        return bdev.bd_disk.bdi                     # type: ignore[no-any-return]
    bdi = sb.s_bdi
    return noop_backing_dev_info if bdi is None else bdi
