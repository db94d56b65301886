# SPDX-License-Identifier: GPL-2.0-only
"""A RAM disk over a region of memory, after drivers/block/brd.c: a gendisk whose driver copies, without a request queue.

``ramdisk(region)`` makes and adds one. Ports do not use this; experiments do, to give an image to the block layer.
"""
from __future__ import annotations

from collections import deque
from typing import Any

from kemu.linux.blk_types import BLK_STS_IOERR, REQ_OP_MASK, REQ_OP_READ, REQ_OP_WRITE, Bio
from kemu.linux.block.bio import bio_endio
from kemu.linux.block.genhd import del_gendisk, put_disk, set_capacity, set_disk_ro
from kemu.linux.drivers.dax.super import DaxHosts, dax_add_host, dax_device, dax_remove_host, kill_dax
from kemu.linux.err import ERR_PTR, IS_ERR
from kemu.linux.errno import ENOSPC
from kemu.linux.include.bio import bio_endio_status, bio_for_each_bvec, bio_io_error
from kemu.linux.include.blkdev import (
    BLK_FEAT_NOWAIT,
    BLK_FEAT_SYNCHRONOUS,
    GENHD_FL_NO_PART,
    GenDisk,
    QueueLimits,
    add_disk,
    blk_alloc_disk,
    block_device_operations,
)
from kemu.linux.major import RAMDISK_MAJOR
from kemu.linux.math import roundup
from kemu.linux.port.honesty import custom
from kemu.machine.current import this
from kemu.machine.memory import PAGE_OFFSET
from kemu.machine.region import Region
from kemu.machine.runs import mark_written
from kemu.machine.sched import PF_KTHREAD, WaitQueue

C = "drivers/block/brd.c"

SOFTIRQ_OFFSET = 0x100
COMPLETIONS = ("sync", "kworker", "softirq", "mixed")


@custom(C, "brd_device", "over a region instead of pages of its own; what the padding behind the region reads as is zeros")
class Brd:
    """``struct brd_device``. ``completion``: where bios end; one of COMPLETIONS, or "" as long as nobody has decided.

    ``bad_sectors``: bios that touch one of them end with BLK_STS_IOERR, as on a bad medium.
    """

    __slots__ = ("bad_sectors", "completion", "disk", "minor", "queue", "region", "server", "waiting")

    def __init__(self, region: Region, minor: int, completion: str):
        self.region = region
        self.minor = minor
        self.disk: GenDisk = None                       # type: ignore[assignment]
        self.completion = completion
        self.bad_sectors: set[int] = set()
        self.queue: deque[Bio] = deque()
        self.server: Any = None
        self.waiting: WaitQueue | None = None


def _transfer(brd: Brd, bio: Bio) -> bool:
    """Copy between the region and the bio's segments; False if there is no such memory."""
    region = brd.region
    mem = this.mem
    shift = mem.shift
    pos = bio.bi_iter.bi_sector << 9
    write = bio.bi_opf & 1
    if brd.bad_sectors:
        first = bio.bi_iter.bi_sector
        if not brd.bad_sectors.isdisjoint(range(first, first + (bio.bi_iter.bi_size >> 9))):
            return False
    base, size = region.addr, region.size
    # of an image in one run of frames every byte was written once: only whether it may be read has to be checked
    arena = (region.first_pfn << shift) + (base & mem.mask) if region.first_pfn >= 0 and not write else -1
    vecs = bio.bi_io_vec
    if bio.bi_vcnt == 1 and not bio.bi_iter.bi_bvec_done and not bio.bi_iter.bi_idx and vecs[0].bv_len == bio.bi_iter.bi_size:
        segments = vecs                                 # the usual case: nothing of it is cut off or done
    else:
        segments = list(bio_for_each_bvec(bio))
    for bv in segments:
        n = bv.bv_len
        addr = PAGE_OFFSET + (bv.bv_page.pfn << shift) + bv.bv_offset
        have = min(n, size - pos) if pos < size else 0
        if write:
            if have < n:
                return False                            # padding is not memory
            mem.copy(base + pos, addr, n)
        else:
            if have and arena >= 0:
                mem.pieces(base + pos, have, False)
                src = arena + pos
                runs = mem.pieces(addr, have, True)
                for dst, k in runs:
                    mem.buf[dst:dst + k] = mem.buf[src:src + k]
                    src += k
                mark_written(mem, runs)
                mem.counters.bytes_copied += have
            elif have:
                mem.copy(addr, base + pos, have)
            if have < n:
                mem.fill(addr + have, 0, n - have)
        pos += n
    return True


def _finish(brd: Brd, bio: Bio) -> None:
    if _transfer(brd, bio):
        bio_endio(bio)
    else:
        bio_endio_status(bio, BLK_STS_IOERR)


def _server(brd: Brd) -> None:
    """The task in which deferred bios end: the softirq of an interrupt, or a kworker."""
    sched = this.sched
    me = this.task
    waiting = brd.waiting
    assert waiting is not None
    queue = brd.queue
    while True:
        if not queue:
            sched.block(waiting)
            continue
        softirq = brd.completion == "softirq"
        i = 0
        if brd.completion == "mixed" and this.chooser is not None:
            softirq = bool(this.chooser.value("bio ends in softirq", 0, 1))
            if len(queue) > 1:
                i = this.chooser.value("bio to end", 0, len(queue) - 1)
        bio = queue[i]
        del queue[i]
        if softirq:
            me.preempt_count += SOFTIRQ_OFFSET
        _finish(brd, bio)
        if softirq:
            me.preempt_count -= SOFTIRQ_OFFSET


def _defer(brd: Brd, bio: Bio) -> None:
    if brd.server is None:
        brd.waiting = WaitQueue(f"bios of {brd.disk.disk_name}")
        brd.server = this.sched.spawn(f"kworker/0:1H-{brd.disk.disk_name}", lambda: _server(brd), PF_KTHREAD)
    brd.queue.append(bio)
    if brd.waiting is not None:
        brd.waiting.wake()


@custom(C, "brd_submit_bio",
        "the bio may end later, from another task, and is transferred then; the Chooser decides once for each disk")
def ramdisk_submit_bio(bio: Bio) -> None:
    """``static void brd_submit_bio(struct bio *bio)``: reads and writes; anything else ends with BLK_STS_IOERR."""
    brd: Brd = bio.bi_bdev.bd_disk.private_data
    op = bio.bi_opf & REQ_OP_MASK
    if op != REQ_OP_READ and op != REQ_OP_WRITE:
        bio_io_error(bio)
        return
    mode = brd.completion
    if mode != "sync":
        if not mode:
            ch = this.chooser
            mode = brd.completion = COMPLETIONS[ch.value("where bios end", 0, len(COMPLETIONS) - 1)] if ch is not None else "sync"
        if mode == "mixed":
            if this.chooser is not None and this.chooser.value("bio ends later", 0, 1):
                _defer(brd, bio)
                return
        elif mode != "sync":
            _defer(brd, bio)
            return
    _finish(brd, bio)


ramdisk_fops = block_device_operations(submit_bio=ramdisk_submit_bio)


@custom(C, "brd_devices", "the next one's number")
class RamDisks:
    """The RAM disks of one machine."""

    __slots__ = ("next",)

    def __init__(self) -> None:
        self.next = 0


@custom(C, "brd_alloc", "makes one disk over a region; read-only unless asked; name, sizes and completion are parameters")
def ramdisk(region: Region, *, name: str = "", pad: int = 512, logical_block_size: int = 512, writable: bool = False,
            completion: str = "",
            partscan: bool = False, dax: bool = False, io_opt: int = 0) -> Any:
    """A disk with the region's bytes, added: open it as ``/dev/NAME`` (default ``ram0``, ``ram1``, ...).

    ``pad``: the capacity is the region's size rounded up to this; what the padding holds reads as zeros (a loop device over a
    file on a file system with 4 KiB blocks: 4096). ``completion``: where bios end: "sync" in submit_bio(), as brd's do, later in
    a "kworker" or a "softirq", or "mixed"; without it the Chooser decides, or it is "sync". ``dax``: file systems may read the
    memory itself, as of a pmem device; the region must start and end at a page. ``io_opt``: the optimal I/O size that the disk
    tells of; its files are read ahead by twice that, and by 128 KiB at least. Return: the gendisk; ERR_PTR(-EINVAL) for a bad
    block size, ERR_PTR(-EEXIST) for a name in use, ERR_PTR(-ENOSPC) for a released region, ERR_PTR(-ENOMEM).
    """
    if completion and completion not in COMPLETIONS:
        raise ValueError(f"completion {completion!r}: one of {', '.join(COMPLETIONS)}")
    if pad < 512 or pad % 512:
        raise ValueError(f"pad {pad}: a multiple of 512")
    psize = this.mem.page_size
    if dax and (region.addr % psize or region.size % psize):
        raise ValueError(f"region {region.name}: DAX needs whole pages, not {region.size} bytes at offset {region.addr % psize} "
                         f"of a page")
    lim = QueueLimits(physical_block_size=this.mem.page_size, logical_block_size=logical_block_size, io_opt=io_opt,
                      features=BLK_FEAT_SYNCHRONOUS | BLK_FEAT_NOWAIT)
    disk = blk_alloc_disk(lim)
    if IS_ERR(disk):
        return disk
    disks = this.machine.part(RamDisks)
    nr = disks.next
    disks.next = nr + 1
    brd = Brd(region, nr, completion)
    brd.disk = disk
    disk.major = RAMDISK_MAJOR
    disk.first_minor = nr
    disk.minors = 1
    disk.fops = ramdisk_fops
    disk.private_data = brd
    disk.disk_name = name or f"ram{nr}"
    if not partscan:
        disk.flags |= GENHD_FL_NO_PART
    set_capacity(disk, roundup(region.size, pad) >> 9)
    if not writable:
        set_disk_ro(disk, True)
    if not region.lend(disk.disk_name):
        put_disk(disk)
        return ERR_PTR(-ENOSPC)
    if dax:
        dax_add_host(dax_device(region.addr, region.size), disk)
    err = add_disk(disk)
    if err:
        region.give_back(disk.disk_name)
        put_disk(disk)
        return ERR_PTR(err)
    return disk


@custom(C, "brd_cleanup", "of one disk")
def ramdisk_remove(disk: GenDisk) -> None:
    """Remove the disk and give the region back. Open files keep the gendisk, whose bios fail from now on."""
    brd: Brd = disk.private_data
    dev = this.machine.part(DaxHosts).of.get(disk)
    if dev is not None:
        kill_dax(dev)
        dax_remove_host(disk)
    del_gendisk(disk)
    brd.region.give_back(disk.disk_name)
    put_disk(disk)
