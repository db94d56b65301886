# SPDX-License-Identifier: GPL-2.0-only
"""Plugging of requests (include/linux/blkdev.h). Ports import it from kemu.linux.blkdev."""
from __future__ import annotations

from kemu.linux.honesty import custom
from kemu.machine.current import this


@custom("include/linux/blkdev.h", "blk_plug", "holds nothing: the disks here take bios, not requests")
class BlkPlug:
    """``struct blk_plug``"""

    __slots__ = ()


@custom("block/blk-core.c", "blk_start_plug", "marks the task only: bio-based disks are not plugged in Linux either")
def blk_start_plug(plug: BlkPlug) -> None:
    """``void blk_start_plug(struct blk_plug *plug)``"""
    task = this.task
    if task.plug is None:
        task.plug = plug


@custom("block/blk-core.c", "blk_finish_plug", "see blk_start_plug")
def blk_finish_plug(plug: BlkPlug) -> None:
    """``void blk_finish_plug(struct blk_plug *plug)``"""
    if this.task.plug is plug:
        this.task.plug = None
