# SPDX-License-Identifier: GPL-2.0-only
"""Limits of a request queue (block/blk-settings.c)."""
from __future__ import annotations

from kemu.linux.block.genhd import BLK_DEF_MAX_SECTORS_CAP
from kemu.linux.bug import WARN_ON
from kemu.linux.errno import EINVAL
from kemu.linux.include.blkdev import (
    BLK_MAX_SEGMENT_SIZE,
    BLK_MAX_SEGMENTS,
    BLK_SAFE_MAX_SECTORS,
    QueueLimits,
    blk_validate_block_size,
)
from kemu.linux.math import is_power_of_2, round_down
from kemu.linux.port.honesty import custom
from kemu.linux.printk import printk
from kemu.machine.current import arch

C = "block/blk-settings.c"


@custom(C, "blk_validate_limits", "of the limits that are modelled")
def blk_validate_limits(lim: QueueLimits) -> int:
    """``static int blk_validate_limits(struct queue_limits *lim)``: fills in the defaults; -EINVAL for what cannot be."""
    if not lim.logical_block_size:
        lim.logical_block_size = 512
    elif blk_validate_block_size(lim.logical_block_size):
        printk("\x014Invalid logical block size (%d)\n", lim.logical_block_size)
        return -EINVAL
    if lim.physical_block_size < lim.logical_block_size:
        lim.physical_block_size = lim.logical_block_size
    elif not is_power_of_2(lim.physical_block_size):
        printk("\x014Invalid physical block size (%d)\n", lim.physical_block_size)
        return -EINVAL
    lim.io_min = max(lim.io_min, lim.physical_block_size)
    lim.io_opt = round_down(lim.io_opt, lim.physical_block_size)
    sectors = lim.logical_block_size >> 9
    if not lim.max_hw_sectors:
        lim.max_hw_sectors = BLK_SAFE_MAX_SECTORS
    if WARN_ON(lim.max_hw_sectors < arch.PAGE_SIZE >> 9) or WARN_ON(sectors > lim.max_hw_sectors):
        return -EINVAL
    lim.max_hw_sectors = round_down(lim.max_hw_sectors, sectors)
    if lim.io_opt > BLK_DEF_MAX_SECTORS_CAP << 9:
        lim.max_sectors = min(lim.max_hw_sectors, lim.io_opt >> 9)
    elif lim.io_min > BLK_DEF_MAX_SECTORS_CAP << 9:
        lim.max_sectors = min(lim.max_hw_sectors, lim.io_min >> 9)
    else:
        lim.max_sectors = min(lim.max_hw_sectors, BLK_DEF_MAX_SECTORS_CAP)
    lim.max_sectors = round_down(lim.max_sectors, sectors)
    lim.max_segments = lim.max_segments or BLK_MAX_SEGMENTS
    lim.max_segment_size = lim.max_segment_size or BLK_MAX_SEGMENT_SIZE
    lim.max_discard_sectors = lim.max_hw_discard_sectors
    lim.dma_alignment = lim.dma_alignment or 511
    return 0
