# SPDX-License-Identifier: GPL-2.0-only
"""Submitting bios: checks, remapping of partitions, plugs, and the error numbers of the block layer (block/blk-core.c)."""
from __future__ import annotations

from kemu.linux.blk_types import (
    BD_HAS_SUBMIT_BIO,
    BD_PARTNO,
    BD_RO_WARNED,
    BIO_REMAPPED,
    BIO_TRACE_COMPLETION,
    BLK_STS_IOERR,
    BLK_STS_NOTSUPP,
    BLK_STS_OK,
    FREED,
    REQ_FUA,
    REQ_NOWAIT,
    REQ_OP_DISCARD,
    REQ_OP_MASK,
    REQ_OP_READ,
    REQ_OP_SECURE_ERASE,
    REQ_OP_WRITE,
    REQ_OP_WRITE_ZEROES,
    REQ_OP_ZONE_APPEND,
    REQ_PREFLUSH,
    SUBMITTED,
    Bio,
    bdev_whole_flags,
)
from kemu.linux.bug import WARN_ON_ONCE
from kemu.linux.errno import (
    EAGAIN,
    EBADE,
    EBUSY,
    EILSEQ,
    EINVAL,
    EIO,
    ENODATA,
    ENODEV,
    ENOLINK,
    ENOMEM,
    ENOSPC,
    EOPNOTSUPP,
    EOVERFLOW,
    EREMCHG,
    EREMOTEIO,
    ETIME,
    ETIMEDOUT,
    ETOOMANYREFS,
)
from kemu.linux.include.blkdev import GD_DEAD, BlkPlug, bdev_read_only
from kemu.linux.port.honesty import custom, dup
from kemu.linux.printk import pr_info, pr_warn
from kemu.machine.current import this
from kemu.machine.machine import should_fail
from kemu.machine.splat import KernelBug, caller_function

C = "block/blk-core.c"

# blk_errors[]: status -> (errno, name)
_blk_errors = (
    (0, ""), (-EOPNOTSUPP, "operation not supported"), (-ETIMEDOUT, "timeout"), (-ENOSPC, "critical space allocation"),
    (-ENOLINK, "recoverable transport"), (-EREMOTEIO, "critical target"), (-EBADE, "reservation conflict"),
    (-ENODATA, "critical medium"),
    (-EILSEQ, "protection"), (-ENOMEM, "kernel resource"), (-EIO, "I/O"), (-EREMCHG, "dm internal retry"),
    (-EAGAIN, "nonblocking retry"),
    (-EBUSY, "device resource"), (-ETOOMANYREFS, "open zones exceeded"), (-EOVERFLOW, "active zones exceeded"),
    (-ENODEV, "device offline"),
    (-ETIME, "duration limit exceeded"), None, (-EINVAL, "invalid"),
)


@dup(C)
def errno_to_blk_status(errno: int) -> int:
    """``blk_status_t errno_to_blk_status(int errno)``: BLK_STS_IOERR for what has no status of its own."""
    for i, e in enumerate(_blk_errors):
        if e is not None and e[0] == errno:
            return i
    return BLK_STS_IOERR


@dup(C)
def blk_status_to_errno(status: int) -> int:
    """``int blk_status_to_errno(blk_status_t status)``: -EIO, with a warning, for a value that is none."""
    if WARN_ON_ONCE(status >= len(_blk_errors)):
        return -EIO
    e = _blk_errors[status]
    return 0 if e is None else e[0]


@dup(C)
def blk_status_to_str(status: int) -> str:
    """``const char *blk_status_to_str(blk_status_t status)``"""
    if WARN_ON_ONCE(status >= len(_blk_errors)):
        return "<null>"
    e = _blk_errors[status]
    return "" if e is None else e[1]


def _end(bio: Bio, status: int) -> None:
    from kemu.linux.block.bio import bio_endio  # noqa: PLC0415  (circle: block/bio.c needs this)

    bio.bi_status = status
    bio_endio(bio)


@custom(C, "should_fail_bio", "asks the Chooser for fail_make_request on every disk, not only where make-it-fail is set")
def should_fail_bio(bio: Bio) -> int:
    """``int should_fail_bio(struct bio *bio)``: 0; -EIO."""
    if this.chooser is not None and should_fail("fail_make_request", str(bio.bi_bdev)):
        return -EIO
    return 0


def bio_check_ro(bio: Bio) -> None:
    """``bio_check_ro()``"""
    bdev = bio.bi_bdev
    if bio.bi_opf & 1 and bdev_read_only(bdev):
        if bio.bi_opf & (REQ_FUA | REQ_PREFLUSH) and not bio.bi_iter.bi_size >> 9:
            return
        if bdev.bd_flags & BD_RO_WARNED:
            return
        bdev.bd_flags |= BD_RO_WARNED
        pr_warn("Trying to write to read-only block-device %s\n", str(bdev))


@dup(C)
def bio_check_eod(bio: Bio) -> int:
    """``static inline int bio_check_eod(struct bio *bio)``: -EIO, with a message, if the bio ends behind the device's last
    sector.
    """
    it = bio.bi_iter
    maxsector = bio.bi_bdev.bd_nr_sectors
    nr_sectors = it.bi_size >> 9
    if nr_sectors and (nr_sectors > maxsector or it.bi_sector > maxsector - nr_sectors):
        if not maxsector:
            return -EIO
        pr_info("%s: attempt to access beyond end of device\n%s: rw=%d, sector=%llu, nr_sectors = %u limit=%llu\n",
                this.task.comm, str(bio.bi_bdev), bio.bi_opf, it.bi_sector, nr_sectors, maxsector)
        return -EIO
    return 0


def blk_partition_remap(bio: Bio) -> None:
    """``blk_partition_remap()``"""
    if bio.bi_iter.bi_size >> 9:
        bio.bi_iter.bi_sector += bio.bi_bdev.bd_start_sect
    bio.bi_flags |= 1 << BIO_REMAPPED


@custom(C, "__submit_bio", "a bio to a disk that was never added is a report; counts the crossing")
def __submit_bio(bio: Bio) -> None:
    """``static void __submit_bio(struct bio *bio)``: a dead disk ends it, else the driver gets it."""
    bdev = bio.bi_bdev
    disk = bdev.bd_disk
    if disk.state & 1 << GD_DEAD or disk.queue.dying:            # bio_queue_enter()
        _end(bio, BLK_STS_IOERR)
        return
    if not bdev_whole_flags(bdev) & BD_HAS_SUBMIT_BIO:
        func = caller_function()[0]
        raise KernelBug(f"BUG: kernel NULL pointer dereference in {func}: bio to disk {disk.disk_name} that was never added",
                        [repr(bio)], function=func)
    this.counters.block_crossings += 1
    queue = disk.queue
    queue.users += 1
    disk.fops.submit_bio(bio)
    queue.users -= 1                                            # blk_queue_exit()
    if queue.frozen is not None and not queue.users:
        queue.frozen.wake()


@custom(C, "bio_list_on_stack", "two lists")
class BioLists:
    """``bio_list_on_stack[2]``: bios submitted by the driver that runs, and those that wait from before."""

    __slots__ = ("new", "waiting")

    def __init__(self) -> None:
        self.new: list[Bio] = []
        self.waiting: list[Bio] = []


@dup(C, "__submit_bio_noacct")
def _submit_noacct(bio: Bio) -> None:
    """``static void __submit_bio_noacct(struct bio *bio)``: turns the recursion of stacked drivers into a loop, lowest device
    first.
    """
    task = this.task
    lists = task.bio_list = BioLists()
    try:
        while True:
            q = bio.bi_bdev.bd_queue
            lists.waiting = lists.new
            lists.new = []
            __submit_bio(bio)
            if not lists.new and not lists.waiting:
                break
            lower = [b for b in lists.new if b.bi_bdev.bd_queue is not q]
            same = [b for b in lists.new if b.bi_bdev.bd_queue is q]
            lists.new = [*lower, *same, *lists.waiting]
            bio = lists.new.pop(0)
            bio.bi_next = None
    finally:
        task.bio_list = None


@custom(C, "submit_bio_noacct_nocheck", "with a Chooser attached, a scheduling point")
def submit_bio_noacct_nocheck(bio: Bio, split: bool = False) -> None:
    """``void submit_bio_noacct_nocheck(struct bio *bio, bool split)``: to the driver, or onto ``current->bio_list`` below one."""
    bio.bi_flags |= 1 << BIO_TRACE_COMPLETION
    lists = this.task.bio_list
    if lists is not None:
        if split:
            lists.new.insert(0, bio)
        else:
            lists.new.append(bio)
        return
    _submit_noacct(bio)
    if this.chooser is not None and not this.task.preempt_count:
        this.sched.yield_("submit_bio")


@dup(C)
def submit_bio_noacct(bio: Bio) -> None:
    """``void submit_bio_noacct(struct bio *bio)``

    The checks that every bio passes: fail_make_request, read-only, the end of the device, partition offset, operation. What fails
    them ends with BLK_STS_IOERR or BLK_STS_NOTSUPP, through ``bi_end_io``, before this returns. Context: may sleep.
    """
    bdev = bio.bi_bdev
    opf = bio.bi_opf
    w = this.watch
    if w is not None:
        w.event("might_sleep", what="submit_bio")
        w.event("submit_bio", bio=bio)
    status = BLK_STS_IOERR
    if opf & REQ_NOWAIT and not bdev.bd_disk.nowait:
        _end(bio, BLK_STS_NOTSUPP)
        return
    if this.chooser is not None and should_fail_bio(bio):
        _end(bio, status)
        return
    if opf & 1:
        bio_check_ro(bio)
    if not bio.bi_flags & 1 << BIO_REMAPPED:
        if bio_check_eod(bio):
            _end(bio, status)
            return
        if bdev.bd_flags & BD_PARTNO:
            blk_partition_remap(bio)
    op = opf & REQ_OP_MASK
    if opf & (REQ_FUA | REQ_PREFLUSH):
        if WARN_ON_ONCE(op not in (REQ_OP_WRITE, REQ_OP_ZONE_APPEND)):
            _end(bio, status)
            return
        bio.bi_opf = opf = opf & ~(REQ_PREFLUSH | REQ_FUA)      # no disk here has a write cache
        if not bio.bi_iter.bi_size >> 9:
            _end(bio, BLK_STS_OK)
            return
    if op != REQ_OP_READ and op != REQ_OP_WRITE:
        limit = {REQ_OP_DISCARD: bdev.bd_queue.max_discard_sectors, REQ_OP_WRITE_ZEROES: bdev.bd_queue.max_write_zeroes_sectors,
                 REQ_OP_SECURE_ERASE: 0}.get(op, 0)
        if not limit:
            _end(bio, BLK_STS_NOTSUPP)
            return
    submit_bio_noacct_nocheck(bio)


@custom(C, "submit_bio", "counts bios and their bytes; a bio that is under way or freed already is a report")
def submit_bio(bio: Bio) -> None:
    """``void submit_bio(struct bio *bio)``

    The bio belongs to the block layer until ``bi_end_io`` is called, which may be before this returns. ``bi_status`` has the
    outcome. Context: may sleep.
    """
    if bio.life is SUBMITTED or bio.life is FREED:
        func = caller_function()[0]
        raise KernelBug(f"BUG: bio submitted while {bio.life} in {func}", [repr(bio)], function=func)
    bio.life = SUBMITTED
    c = this.counters
    c.bios += 1
    c.bio_bytes += bio.bi_iter.bi_size
    submit_bio_noacct(bio)


@custom(C, "blk_start_plug", "marks the task only: bio-based disks are not plugged in Linux either")
def blk_start_plug(plug: BlkPlug) -> None:
    """``void blk_start_plug(struct blk_plug *plug)``"""
    task = this.task
    if task.plug is None:
        task.plug = plug


@custom(C, "blk_finish_plug", "see blk_start_plug")
def blk_finish_plug(plug: BlkPlug) -> None:
    """``void blk_finish_plug(struct blk_plug *plug)``"""
    if this.task.plug is plug:
        this.task.plug = None
