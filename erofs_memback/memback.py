# SPDX-License-Identifier: GPL-2.0-only
"""Mounting EROFS from memory: our design, as a series on top of the 7.2 port.

What a memory-backed mount is given is a region object with an owner and a lifetime, never an address: the owner makes it, the
mount takes a reference through its own fs_context, and the owner's release() runs when the last superblock is gone. There is no
global slot.

Metadata is read through a mapping that EROFS owns and fills from the region, so erofs_bread() and all its callers stay as they
are: a folio is page aligned, whole and uptodate wherever the image begins, whatever memory it lies in, inline pclusters included.
Uncompressed data goes through iomap, with a read_folio_range() that copies from the region in the place of the one that makes
bios. Compressed data is copied into the pages of the pcluster's bio, which never meets the block layer.
docs/explanation/memback.md has the reasons and the costs.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.bio import BIO_MAX_VECS, REQ_OP_READ, Bio, bio_alloc, bio_endio, bio_for_each_segment, bio_io_error, bio_put
from kemu.linux.bvec import bvec_kmap_local
from kemu.linux.errno import EBUSY, EINVAL, EIO, ENOMEM, EOPNOTSUPP
from kemu.linux.fs import File, Inode, SuperBlock, address_space_operations, iput, new_inode, noop_direct_IO, set_nlink
from kemu.linux.fs_context import FsContext
from kemu.linux.gfp import GFP_KERNEL, GFP_NOIO
from kemu.linux.highmem import folio_zero_segment, kunmap_local, memcpy_to_folio
from kemu.linux.iomap import (
    IomapIter,
    IomapReadFolioCtx,
    iomap_finish_folio_read,
    iomap_invalidate_folio,
    iomap_read_folio,
    iomap_read_folio_ctx,
    iomap_read_ops,
    iomap_readahead,
    iomap_release_folio,
)
from kemu.linux.math import round_up
from kemu.linux.mm import Page, folio_size
from kemu.linux.page import arch
from kemu.linux.pagemap import (
    ReadaheadControl,
    folio_end_read,
    folio_inode,
    folio_pos,
    folio_unlock,
    mapping_set_gfp_mask,
    offset_in_folio,
)
from kemu.linux.port.series import Series
from kemu.linux.refcount import refcount_dec_and_test, refcount_inc, refcount_read, refcount_set, refcount_t
from kemu.linux.slab import kfree, kzalloc_obj
from kemu.linux.string import memcpy, memset
from kemu.linux.types import NULL, Ref, u64

from erofs_memback import data, internal, super, zdata_submit
from erofs_memback.ishare import erofs_real_inode


class erofs_memback_region:
    """A range of kernel memory that holds an image. ``release(region)`` belongs to the owner and runs once, after the last user.

    ``verify(region, pos, len)``, if the owner has one, is asked before any byte of a range inside the region is used: 0 or -EIO.

    ``void *data; u64 size; void (*release)(struct erofs_memback_region *region);
    int (*verify)(struct erofs_memback_region *region, u64 pos, u64 len)``
    """

    __slots__ = ("ref", "data", "size", "release", "owner", "verify")

    def __init__(self) -> None:
        self.ref = refcount_t()
        self.data = 0
        self.size = 0
        self.release: Callable[[erofs_memback_region], None] = NULL
        self.owner: Any = NULL
        self.verify: Callable[[erofs_memback_region, int, int], int] = NULL


def erofs_memback_region_alloc(data: int, size: int, release: Callable[[erofs_memback_region], None],
                               owner: Any = None) -> erofs_memback_region:
    """A region with one reference, the owner's. None: -ENOMEM.

    ``struct erofs_memback_region *erofs_memback_region_alloc(void *data, u64 size,
    void (*release)(struct erofs_memback_region *region), void *owner)``
    """
    region = kzalloc_obj(erofs_memback_region, GFP_KERNEL)
    if not region:
        return NULL
    refcount_set(region.ref, 1)
    region.data = data
    region.size = size
    region.release = release
    region.owner = owner
    region.verify = NULL
    return region


def erofs_memback_region_get(region: erofs_memback_region) -> None:
    refcount_inc(region.ref)


def erofs_memback_region_put(region: erofs_memback_region) -> None:
    if not region:
        return
    if refcount_dec_and_test(region.ref):
        if region.release:
            region.release(region)
        kfree(region)


def erofs_memback_region_busy(region: erofs_memback_region) -> bool:
    """Somebody besides the owner holds it."""
    return refcount_read(region.ref) > 1


def erofs_memback_limit(region: erofs_memback_region) -> int:
    """Where reading ends: the rest of the last page is zeros, what lies behind it is -EIO."""
    return round_up(region.size, arch.PAGE_SIZE)


def EROFS_SB(sb: SuperBlock) -> erofs_sb_info:
    """The one of internal.h, of the structure that this series makes longer."""
    return sb.s_fs_info


def erofs_is_memback_mode(sbi: erofs_sb_info) -> bool:
    return sbi.memback is not None


def erofs_fc_set_memback(fc: FsContext, region: erofs_memback_region) -> int:
    """Make this context's mount read from ``region``. The context takes a reference of its own.

    Return: 0; -EINVAL for a context of another file system; -EBUSY if it has a region already.
    """
    if fc.ops is not super.erofs_context_ops:
        return -EINVAL
    sbi: erofs_sb_info = fc.s_fs_info
    if sbi.memback:
        return -EBUSY
    erofs_memback_region_get(region)
    sbi.memback = region
    return 0


def erofs_memback_verify(region: erofs_memback_region, pos: int, length: int) -> int:
    """What the owner says of [pos, pos + length), as far as it is inside. Return: 0 or -EIO."""
    if not region.verify or pos >= region.size:
        return 0
    return region.verify(region, pos, min(length, region.size - pos))


def erofs_memback_copy(region: erofs_memback_region, dst: int, pos: int, length: int) -> int:
    """Copy [pos, pos + length) of the image to ``dst``; zeros between the region's last byte and its padded end.

    Return: 0, or -EIO for a range that is not wholly inside: what a disk of that size says; or for one that cannot be verified.
    """
    limit = erofs_memback_limit(region)

    if pos > limit or length > limit - pos or erofs_memback_verify(region, pos, length):
        return -EIO
    avail = region.size - pos if pos < region.size else 0
    if avail > length:
        avail = length
    if avail:
        memcpy(dst, region.data + pos, avail)
    if avail < length:
        memset(dst + avail, 0, length - avail)
    return 0


# ---- metadata: a mapping of our own, filled from the region

def erofs_memback_meta_read_folio(file: File, folio: Page) -> int:
    """Return: 0, or -EIO for a folio that lies behind the region's last page or cannot be verified."""
    region = EROFS_SB(folio_inode(folio).i_sb).memback
    pos = u64(folio_pos(folio))             # a corrupt nid leads beyond what a loff_t can hold
    size = folio_size(folio)

    if pos >= erofs_memback_limit(region) or erofs_memback_verify(region, pos, size):
        folio_unlock(folio)
        return -EIO
    avail = region.size - pos if pos < region.size else 0
    if avail > size:
        avail = size
    if avail:
        memcpy_to_folio(folio, 0, region.data + pos, avail)
    folio_zero_segment(folio, avail, size)
    folio_end_read(folio, True)
    return 0


erofs_memback_meta_aops = address_space_operations(read_folio=erofs_memback_meta_read_folio)


def erofs_memback_init_super(sb: SuperBlock) -> int:
    """The pseudo inode whose mapping serves metadata. Return: 0 or -ENOMEM."""
    inode = new_inode(sb)
    if not inode:
        return -ENOMEM
    set_nlink(inode, 1)
    inode.i_size = erofs_memback_limit(EROFS_SB(sb).memback)
    inode.i_mapping.a_ops = erofs_memback_meta_aops
    mapping_set_gfp_mask(inode.i_mapping, GFP_KERNEL)
    EROFS_SB(sb).memback_inode = inode
    return 0


# ---- uncompressed data: iomap, with another way to fill a range of a folio

def erofs_memback_read_folio_range(iter_: IomapIter, ctx: IomapReadFolioCtx, length: int) -> int:
    iter_ctx = iter_.private            # iter->inode may be the one that several mounts share
    region = EROFS_SB(iter_ctx.realinode.i_sb).memback
    folio = ctx.cur_folio
    off = offset_in_folio(folio, iter_.pos)
    pos = u64(iter_.iomap.addr + iter_.pos - iter_.iomap.offset)
    limit = erofs_memback_limit(region)
    err = 0

    if pos > limit or length > limit - pos or erofs_memback_verify(region, pos, length):
        err = -EIO
    else:
        avail = region.size - pos if pos < region.size else 0
        if avail > length:
            avail = length
        if avail:
            memcpy_to_folio(folio, off, region.data + pos, avail)
        folio_zero_segment(folio, off + avail, off + length)
    iomap_finish_folio_read(folio, off, length, err)
    return 0


erofs_memback_read_ops = iomap_read_ops(read_folio_range=erofs_memback_read_folio_range)


def erofs_memback_read_folio(file: File, folio: Page) -> int:
    read_ctx = iomap_read_folio_ctx(ops=erofs_memback_read_ops, cur_folio=folio)
    need_iput = Ref(False)
    iter_ctx = data.erofs_iomap_iter_ctx(realinode=erofs_real_inode(folio_inode(folio), need_iput))

    iomap_read_folio(data.erofs_iomap_ops, read_ctx, iter_ctx)
    if need_iput.v:
        iput(iter_ctx.realinode)
    return 0


def erofs_memback_readahead(rac: ReadaheadControl) -> None:
    read_ctx = iomap_read_folio_ctx(ops=erofs_memback_read_ops, rac=rac)
    need_iput = Ref(False)
    iter_ctx = data.erofs_iomap_iter_ctx(realinode=erofs_real_inode(rac.mapping.host, need_iput))

    iomap_readahead(data.erofs_iomap_ops, read_ctx, iter_ctx)
    if need_iput.v:
        iput(iter_ctx.realinode)


erofs_memback_aops = address_space_operations(
    read_folio=erofs_memback_read_folio, readahead=erofs_memback_readahead, bmap=data.erofs_bmap, direct_IO=noop_direct_IO,
    release_folio=iomap_release_folio, invalidate_folio=iomap_invalidate_folio)


# ---- compressed data: bios that never meet the block layer

def erofs_memback_bio_alloc() -> Bio:
    return bio_alloc(None, BIO_MAX_VECS, REQ_OP_READ, GFP_NOIO)


def erofs_memback_submit_bio(sb: SuperBlock, bio: Bio) -> None:
    """Fill the bio from the region and end it, with an error if any of it lies behind the region's end."""
    region = EROFS_SB(sb).memback
    pos = bio.bi_iter.bi_sector << 9
    limit = erofs_memback_limit(region)

    if pos > limit or bio.bi_iter.bi_size > limit - pos or erofs_memback_verify(region, pos, bio.bi_iter.bi_size):
        bio_io_error(bio)
    else:
        for bv in bio_for_each_segment(bio):
            dst = bvec_kmap_local(bv)
            erofs_memback_copy(region, dst, pos, bv.bv_len)
            kunmap_local(dst)
            pos += bv.bv_len
        bio_endio(bio)
    bio_put(bio)


# ---- the hunks in the files that exist

series = Series("erofs-memback", ("erofs_memback",), "EROFS mounted from a region of memory")


_base_sb_info = internal.erofs_sb_info          # the name changes its meaning while the series is applied


@series.replaces(internal.erofs_sb_info)
class erofs_sb_info(internal.erofs_sb_info):
    __slots__ = ("memback", "memback_inode")

    def __init__(self) -> None:
        _base_sb_info.__init__(self)
        self.memback: erofs_memback_region = NULL
        self.memback_inode: Inode = NULL


_names: dict[str, Any] = {
    "EOPNOTSUPP": EOPNOTSUPP, "erofs_is_memback_mode": erofs_is_memback_mode,
    "erofs_memback_init_super": erofs_memback_init_super,
    "erofs_memback_aops": erofs_memback_aops, "erofs_memback_bio_alloc": erofs_memback_bio_alloc, "iput": iput,
    "erofs_memback_submit_bio": erofs_memback_submit_bio, "erofs_memback_region_put": erofs_memback_region_put,
}

series.edits(data.erofs_init_metabuf, ("""\
    else:
        buf.mapping = sb.s_bdev.bd_mapping
""", """\
    elif erofs_is_memback_mode(sbi):
        buf.mapping = sbi.memback_inode.i_mapping
    else:
        buf.mapping = sb.s_bdev.bd_mapping
"""), names=_names)

series.edits(internal.erofs_get_aops, ("""\
    if erofs_is_fileio_mode(EROFS_SB(realinode.i_sb)):
""", """\
    if erofs_is_memback_mode(EROFS_SB(realinode.i_sb)):
        return erofs_memback_aops
    if erofs_is_fileio_mode(EROFS_SB(realinode.i_sb)):
"""), names=_names)

series.edits(super.erofs_init_device, ("""\
    if not sbi.devs.flatdev:
        if erofs_is_fileio_mode(sbi):
""", """\
    if not sbi.devs.flatdev:
        if erofs_is_memback_mode(sbi):
            erofs_err(sb, "a mount from memory has no extra devices")
            return -EOPNOTSUPP
        if erofs_is_fileio_mode(sbi):
"""), names=_names)

series.edits(super.erofs_fc_fill_super, ("""\
        sb.s_id = "%u:%u" % (MAJOR(sb.s_dev), MINOR(sb.s_dev))
""", """\
        sb.s_id = "%u:%u" % (MAJOR(sb.s_dev), MINOR(sb.s_dev))
        if erofs_is_memback_mode(sbi):
            err = erofs_memback_init_super(sb)
            if err:
                return err
"""), ("""\
        if erofs_is_fileio_mode(sbi):
            sb.s_blocksize = 1 << sbi.blkszbits
""", """\
        if erofs_is_fileio_mode(sbi) or erofs_is_memback_mode(sbi):
            sb.s_blocksize = 1 << sbi.blkszbits
"""), names=_names)

series.edits(super.erofs_fc_get_tree, ("""\
    ret = get_tree_bdev_flags(""", """\
    if erofs_is_memback_mode(fc.s_fs_info):
        return get_tree_nodev(fc, erofs_fc_fill_super)
    ret = get_tree_bdev_flags("""), names=_names)

series.edits(super.erofs_sb_free, ("""\
    kfree(sbi.volume_name)
""", """\
    erofs_memback_region_put(sbi.memback)
    kfree(sbi.volume_name)
"""), names=_names)

series.edits(super.erofs_drop_internal_inodes, ("""\
    # CONFIG_EROFS_FS_ZIP
""", """\
    iput(sbi.memback_inode)
    sbi.memback_inode = NULL
    # CONFIG_EROFS_FS_ZIP
"""), names=_names)

series.edits(super.erofs_kill_sb, ("""\
    if sbi.dif0.file:
""", """\
    if sbi.dif0.file or erofs_is_memback_mode(sbi):
"""), names=_names)

series.edits(zdata_submit.z_erofs_submit_queue, ("""\
                    if erofs_is_fileio_mode(EROFS_SB(sb)):
                        erofs_fileio_submit_bio(bio)
""", """\
                    if erofs_is_memback_mode(EROFS_SB(sb)):
                        erofs_memback_submit_bio(sb, bio)
                    elif erofs_is_fileio_mode(EROFS_SB(sb)):
                        erofs_fileio_submit_bio(bio)
"""), ("""\
                    if erofs_is_fileio_mode(EROFS_SB(sb)):
                        bio = erofs_fileio_bio_alloc(mdev)
""", """\
                    if erofs_is_memback_mode(EROFS_SB(sb)):
                        bio = erofs_memback_bio_alloc()
                    elif erofs_is_fileio_mode(EROFS_SB(sb)):
                        bio = erofs_fileio_bio_alloc(mdev)
"""), ("""\
        if erofs_is_fileio_mode(EROFS_SB(sb)):
            erofs_fileio_submit_bio(bio)
        else:
            submit_bio(bio)
    if memstall:
""", """\
        if erofs_is_memback_mode(EROFS_SB(sb)):
            erofs_memback_submit_bio(sb, bio)
        elif erofs_is_fileio_mode(EROFS_SB(sb)):
            erofs_fileio_submit_bio(bio)
        else:
            submit_bio(bio)
    if memstall:
"""), names=_names)
