# SPDX-License-Identifier: GPL-2.0-only
"""struct bio, struct block_device, operations and status values (include/linux/blk_types.h)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.bvec import BioVec, BvecIter
from kemu.linux.include.fs.types import AddressSpace
from kemu.linux.port.honesty import custom, dup, names
from kemu.linux.spinlock import spinlock_t

P = "include/linux/blk_types.h"


@custom(P, "bdev_test_flag", "of the whole device")
def bdev_whole_flags(bdev: BlockDevice) -> int:
    """The flags of the whole device, which has BD_HAS_SUBMIT_BIO once it was added."""
    return bdev.bd_disk.part0.bd_flags                           # type: ignore[no-any-return]


SECTOR_SHIFT, SECTOR_SIZE = 9, 512

(BLK_STS_OK, BLK_STS_NOTSUPP, BLK_STS_TIMEOUT, BLK_STS_NOSPC, BLK_STS_TRANSPORT, BLK_STS_TARGET, BLK_STS_RESV_CONFLICT,
 BLK_STS_MEDIUM, BLK_STS_PROTECTION, BLK_STS_RESOURCE, BLK_STS_IOERR, BLK_STS_DM_REQUEUE, BLK_STS_AGAIN, BLK_STS_DEV_RESOURCE,
 BLK_STS_ZONE_OPEN_RESOURCE, BLK_STS_ZONE_ACTIVE_RESOURCE, BLK_STS_OFFLINE, BLK_STS_DURATION_LIMIT) = range(18)
BLK_STS_INVAL = 19

REQ_OP_BITS = 8
REQ_OP_MASK = (1 << REQ_OP_BITS) - 1
(REQ_OP_READ, REQ_OP_WRITE, REQ_OP_FLUSH, REQ_OP_DISCARD, REQ_OP_SECURE_ERASE, REQ_OP_ZONE_APPEND,
 REQ_OP_WRITE_ZEROES) = 0, 1, 2, 3, 5, 7, 9
REQ_OP_DRV_IN, REQ_OP_DRV_OUT, REQ_OP_LAST = 34, 35, 36
(REQ_FAILFAST_DEV, REQ_FAILFAST_TRANSPORT, REQ_FAILFAST_DRIVER, REQ_SYNC, REQ_META, REQ_PRIO, REQ_NOMERGE, REQ_IDLE,
 REQ_INTEGRITY, REQ_FUA, REQ_PREFLUSH, REQ_RAHEAD, REQ_BACKGROUND, REQ_NOWAIT, REQ_POLLED, REQ_ALLOC_CACHE, REQ_SWAP, REQ_DRV,
 REQ_FS_PRIVATE, REQ_ATOMIC, REQ_NOUNMAP) = (1 << i for i in range(REQ_OP_BITS, REQ_OP_BITS + 21))

(BIO_PAGE_PINNED, BIO_CLONED, BIO_QUIET, BIO_CHAIN, BIO_REFFED, BIO_BPS_THROTTLED, BIO_TRACE_COMPLETION, BIO_CGROUP_ACCT,
 BIO_QOS_THROTTLED, BIO_QOS_MERGED, BIO_REMAPPED, BIO_ZONE_WRITE_PLUGGING, BIO_EMULATES_ZONE_APPEND) = range(13)
BIO_MAX_SIZE = 0xFFFF_FFFF
BIO_MAX_SECTORS = BIO_MAX_SIZE >> SECTOR_SHIFT

BD_PARTNO = 255
BD_READ_ONLY, BD_WRITE_HOLDER, BD_HAS_SUBMIT_BIO, BD_RO_WARNED, BD_MAKE_IT_FAIL = 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12

# what a bio is doing; the machine's own, so that "exactly once" can be said
IDLE, SUBMITTED, ENDED, FREED = "idle", "submitted", "ended", "freed"


@dup("include/linux/blkdev.h")
class blk_holder_ops:
    """``struct blk_holder_ops``: what an exclusive opener is told; members not named are None."""

    __slots__ = ("freeze", "mark_dead", "sync", "thaw")

    def __init__(self, *, mark_dead: Any = None, sync: Any = None, freeze: Any = None, thaw: Any = None):
        self.mark_dead = mark_dead
        self.sync = sync
        self.freeze = freeze
        self.thaw = thaw


@custom(P, "bio",
        "bi_io_vec is a list that grows up to bi_max_vecs; life tells idle, submitted, ended or freed; container: the structure "
        "it is embedded in")
class Bio:
    """``struct bio``: one request to a disk. ``bi_remaining`` and ``bi_cnt`` are plain ints."""

    __slots__ = ("bi_bdev", "bi_cnt", "bi_end_io", "bi_flags", "bi_io_vec", "bi_ioprio", "bi_iter", "bi_max_vecs", "bi_next",
                 "bi_opf", "bi_pool", "bi_private", "bi_remaining", "bi_status", "bi_vcnt", "container", "life", "__weakref__")

    def __init__(self, container: Any = None):
        self.zero()
        self.container = container

    def zero(self) -> None:
        """What bio_init() sets, whatever was there; ``container`` stays."""
        self.bi_next: Bio | None = None
        self.bi_bdev: BlockDevice = None                # type: ignore[assignment]
        self.bi_opf = 0
        self.bi_flags = 0
        self.bi_ioprio = 0
        self.bi_status = 0
        self.bi_remaining = 1
        self.bi_cnt = 1
        self.bi_io_vec: list[BioVec] = []
        self.bi_iter = BvecIter()
        self.bi_end_io: Callable[[Any], None] | None = None
        self.bi_private: Any = None
        self.bi_vcnt = 0
        self.bi_max_vecs = 0
        self.bi_pool: Any = None
        self.life = IDLE

    def __repr__(self) -> str:
        it = self.bi_iter
        return (f"<bio {self.life} op:{self.bi_opf:#x} sector:{it.bi_sector} size:{it.bi_size} vecs:{self.bi_vcnt} "
                f"status:{self.bi_status}>")


@custom(P, "block_device",
        "counters and flags are plain ints; bd_inode is the inode of the bdev file system that it is embedded with")
class BlockDevice:
    """``struct block_device``: a whole disk or a partition of one. ``bd_nr_sectors`` in units of 512 bytes."""

    __slots__ = ("bd_claiming", "bd_dev", "bd_disk", "bd_flags", "bd_holder", "bd_holder_lock", "bd_holder_ops", "bd_holders",
                 "bd_inode", "bd_mapping", "bd_nr_sectors", "bd_openers", "bd_queue", "bd_refs", "bd_size_lock", "bd_start_sect",
                 "bd_writers", "__weakref__")

    def __init__(self) -> None:
        self.bd_size_lock = spinlock_t("bd_size_lock")
        self.bd_start_sect = 0
        self.bd_nr_sectors = 0
        self.bd_disk: Any = None
        self.bd_queue: Any = None
        self.bd_flags = 0
        self.bd_dev = 0
        self.bd_mapping: AddressSpace = None            # type: ignore[assignment]
        self.bd_inode: Any = None
        self.bd_openers = 0
        self.bd_claiming: Any = None
        self.bd_holder: Any = None
        self.bd_holder_ops: Any = None
        self.bd_holder_lock: Any = None
        self.bd_holders = 0
        self.bd_writers = 0
        self.bd_refs = 1                                # bd_device.kobj

    def __repr__(self) -> str:
        return f"<bdev {self.bd_disk.disk_name if self.bd_disk else '?'} sectors:{self.bd_nr_sectors} openers:{self.bd_openers}>"

    def __str__(self) -> str:
        partno = self.bd_flags & BD_PARTNO
        return f"{self.bd_disk.disk_name}{partno or ''}"        # %pg


@dup(P)
def bdev_whole(bdev: BlockDevice) -> BlockDevice:
    """``bdev_whole(bdev)``: the whole disk's."""
    return bdev.bd_disk.part0                           # type: ignore[no-any-return]


@dup(P)
def bio_op(bio: Bio) -> int:
    """``enum req_op bio_op(const struct bio *bio)``"""
    return bio.bi_opf & REQ_OP_MASK


@dup(P)
def op_is_write(op: int) -> bool:
    """``bool op_is_write(blk_opf_t op)``"""
    return bool(op & 1)


@dup(P)
def op_is_flush(op: int) -> bool:
    """``bool op_is_flush(blk_opf_t op)``"""
    return bool(op & (REQ_FUA | REQ_PREFLUSH))


@dup(P)
def op_is_sync(op: int) -> bool:
    """``bool op_is_sync(blk_opf_t op)``"""
    return op & REQ_OP_MASK == REQ_OP_READ or bool(op & (REQ_SYNC | REQ_FUA | REQ_PREFLUSH))


@dup(P)
def op_is_discard(op: int) -> bool:
    """``bool op_is_discard(blk_opf_t op)``"""
    return op & REQ_OP_MASK == REQ_OP_DISCARD


names("dup", P, "BLK_STS_OK", "BLK_STS_IOERR", "REQ_OP_READ", "REQ_RAHEAD")
