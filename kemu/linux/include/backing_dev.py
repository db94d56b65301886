# SPDX-License-Identifier: GPL-2.0-only
"""struct backing_dev_info (include/linux/backing-dev.h, backing-dev-defs.h)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom, dup, stub

P = "include/linux/backing-dev-defs.h"


@custom(P, "backing_dev_info", "no writeback")
class BackingDevInfo:
    """``struct backing_dev_info``: ``ra_pages`` and ``io_pages`` in pages."""

    __slots__ = ("capabilities", "dev_name", "io_pages", "ra_pages", "refcnt", "registered")

    def __init__(self, ra_pages: int = 0, io_pages: int = 0):
        self.ra_pages = ra_pages
        self.io_pages = io_pages
        self.refcnt = 1
        self.registered = False
        self.dev_name = "(unknown)"
        self.capabilities = 0


noop_backing_dev_info = BackingDevInfo()
"""``noop_backing_dev_info``: of file systems without a device; reads nothing ahead. Never changed."""


@dup("include/linux/backing-dev.h")
def bdi_get(bdi: BackingDevInfo) -> BackingDevInfo:
    """``struct backing_dev_info *bdi_get(struct backing_dev_info *bdi)``"""
    bdi.refcnt += 1
    return bdi


@stub("include/linux/blk-cgroup.h", how="there are no block cgroups")
def blk_cgroup_congested() -> bool:
    """``bool blk_cgroup_congested(void)``: False."""
    return False
