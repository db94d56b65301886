# SPDX-License-Identifier: GPL-2.0-only
"""How a tree is laid out: the decisions that mkfs.erofs makes, as data, and those that it never makes."""
from __future__ import annotations

from dataclasses import dataclass, field

#: data layouts a plan can ask for
LAYOUTS = ("plain", "inline", "hole", "chunk", "full", "compact", "extents")

#: deliberate mistakes in one inode and the errno that lookup must answer
FLAWS = {"format": "ENOTSUP", "layout": "ENOTSUP", "mode": "EUCLEAN", "size": "EUCLEAN", "chunk": "ENOTSUP"}


class PlanError(Exception):
    """The plan asks for something that the format cannot express; the message says what."""


@dataclass(slots=True)
class ZPlan:
    """How a file is cut into extents and compressed.

    lclusterbits   bits above the block size (0..4; compact indexes: blkszbits + this <= 14, with 2-byte packs <= 12)
    cuts           decompressed lengths wanted, used cyclically; adjusted to what an lcluster index can say
    kinds          "1" HEAD1, "2" HEAD2, "p" PLAIN, "h" a hole where the content is zero (full index only), used cyclically
    big            pclusters of several blocks: 0 none, 1 allowed for HEAD1, 2 allowed for HEAD2 and PLAIN, 3 both
    max_blocks     the most blocks a pcluster may have
    compact_2b     use 2-byte packs where the index is long enough
    interlaced     PLAIN data is rotated to its position within the block
    tail           put the last extent inline behind the index (ztailpacking)
    tail_zeros     zero bytes before an inlined LZ4 tail (the decompressor skips leading zeros)
    eof_head       a PLAIN head at EOF in place of the last NONHEAD
    suspects       also what Linux 7.2 reads wrongly (kemu.forge.erofs.suspects)
    recsz          extents: bytes of a record (4, 8, 16, 32)
    exact          extents: encoded lengths are not rounded up to blocks
    packed         extents: pclusters follow each other without regard to blocks
    beyond_fsck    an inline PLAIN tail also where the inode advises interlaced data
    short_deltas   full index: NONHEADs point back by single steps instead of at their head
    """

    lclusterbits: int = 0
    cuts: tuple[int, ...] = (0,)
    kinds: str = "1"
    big: int = 0
    max_blocks: int = 1
    compact_2b: bool = False
    interlaced: bool = False
    tail: bool = False
    tail_zeros: int = 0
    eof_head: bool = False
    suspects: bool = False
    recsz: int = 16
    exact: bool = False
    packed: bool = False
    beyond_fsck: bool = False
    short_deltas: bool = False
    high: bool = False


@dataclass(slots=True)
class InodePlan:
    """How one inode is written.

    data        one of LAYOUTS. "hole": flat plain without blocks, for a content that is all zero
    at          where its slot is: "next" free one, "cross" the last slot of a block (an extended inode then crosses into the
                next), "edge" so that the inline data starts at a block boundary
    gap         free slots left before it
    run_gap     free blocks left before its data
    nlink1      compact: EROFS_I_NLINK_1_BIT instead of a count
    slack       byte that fills the last block behind the data
    scatter     chunks or pclusters are placed one by one instead of in one run
    dirents     at most this many dirents in one directory block (0: as many as fit)
    dir_full    directory size rounded up to whole blocks
    device      where its data is: 0 the primary device, else an extra one (if the image has it)
    unified     chunk indexes name blocks of extra devices by unified addresses instead of by device id
    flaw        one of FLAWS
    """

    extended: bool = False
    data: str = "plain"
    at: str = "next"
    gap: int = 0
    run_gap: int = 0
    nlink1: bool = False
    dot_omitted: bool = False
    slack: int = 0
    scatter: bool = False
    chunkbits: int = 0
    chunk_indexes: bool = False
    dirents: int = 0
    dir_full: bool = False
    xattr_shared: bool = False
    z: ZPlan | None = None
    device: int = 0
    unified: bool = False
    flaw: str = ""


@dataclass(slots=True)
class ImagePlan:
    """How the image as a whole is laid out.

    order       "meta-first" (as mkfs), "data-first", "data-reverse" (runs in reverse order), "mixed" (each inode before its
    data),
                "shuffled" (by ``keys``)
    keys        for "shuffled": any permutation; item i of the default order gets keys[i % len(keys)] as its sort key
    first_slot  0: the first inode comes after the superblock; else it may use the boot area, from this slot (32 bytes each)
    meta        how far below the first inode the metadata area starts, in blocks, as far as possible
    tail_blocks free blocks at the end of the image
    dedupe      equal or contained data is stored once
    bits48      48-bit layout (always so where an inode has extent records)
    short_root  with bits48: the root's nid is in rootnid_2b all the same, where blocks_hi would be (as mkfs.erofs does it), not
    in rootnid_8b devices     extra devices; all of them lie behind the primary one in the (flat) image
    device_gap  blocks between devices
    fill        byte that fills everything unused
    """

    blkszbits: int = 12
    checksum: bool = True
    order: str = "meta-first"
    keys: tuple[int, ...] = (0,)
    first_slot: int = 0
    meta: int | None = None
    tail_blocks: int = 0
    dedupe: bool = False
    fill: int = 0
    sb_extslots: int = 0
    epoch: int = 0
    fixed_nsec: int = 0
    build_time: int = 0
    uuid: bytes = bytes(16)
    volume_name: bytes = b""
    compr_cfgs: bool = False
    lz4_max_distance: int = 65535
    bits48: bool = False
    short_root: bool = False
    devices: int = 0
    device_gap: int = 0
    extra_incompat: int = 0
    xattr_filter: bool = False
    inodes: dict[int, InodePlan] = field(default_factory=dict)

    def inode(self, node: object) -> InodePlan:
        """The plan for one node of the tree (keyed by identity), a default one where none was given."""
        plan = self.inodes.get(id(node))
        if plan is None:
            plan = self.inodes[id(node)] = InodePlan()
        return plan
