# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/inode.c: from a nid to an inode."""
from __future__ import annotations

from typing import Any

from kemu.linux.bits import BIT_ULL
from kemu.linux.blkdev import bdev_dma_alignment, bdev_logical_block_size
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EFAULT, EFSCORRUPTED, ENOMEM, ENOTTY, EOPNOTSUPP
from kemu.linux.fs import (
    I_NEW,
    S_DAX,
    File,
    Inode,
    Kstat,
    SuperBlock,
    file_inode,
    generic_fillattr,
    i_blocksize,
    i_gid_write,
    i_uid_write,
    iget5_locked,
    iget_failed,
    init_special_inode,
    inode_get_mtime,
    inode_nohighmem,
    inode_operations,
    inode_set_atime_to_ts,
    inode_set_cached_link,
    inode_set_ctime_to_ts,
    inode_set_mtime,
    inode_state_read_once,
    page_get_link,
    set_nlink,
    simple_get_link,
    unlock_new_inode,
)
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kdev_t import new_decode_dev
from kemu.linux.math import check_add_overflow_s64, round_up
from kemu.linux.mnt_idmapping import mnt_idmap_t
from kemu.linux.page import arch
from kemu.linux.pagemap import mapping_set_large_folios
from kemu.linux.path import Path
from kemu.linux.port.honesty import port_of
from kemu.linux.posix_acl import cache_no_acl
from kemu.linux.slab import kfree, kmemdup_nul
from kemu.linux.stat import (
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_IFSOCK,
    S_ISDIR,
    S_ISLNK,
    S_ISREG,
    STATX_ATTR_COMPRESSED,
    STATX_ATTR_IMMUTABLE,
    STATX_DIOALIGN,
)
from kemu.linux.string import mem_read, strlen
from kemu.linux.tracepoint import trace
from kemu.linux.types import loff_t, s64, u64, ulong
from kemu.linux.uaccess import clear_user, copy_to_user

from erofs_memback.data import erofs_fiemap, erofs_put_metabuf, erofs_read_metabuf
from erofs_memback.internal import (
    EROFS_CHUNK_FORMAT_ALL,
    EROFS_CHUNK_FORMAT_BLKBITS_MASK,
    EROFS_I,
    EROFS_I_ALL,
    EROFS_I_DOT_OMITTED_BIT,
    EROFS_I_NLINK_1_BIT,
    EROFS_I_SB,
    EROFS_INODE_CHUNK_BASED,
    EROFS_INODE_DATALAYOUT_MAX,
    EROFS_INODE_FLAT_INLINE,
    EROFS_INODE_FLAT_PLAIN,
    EROFS_INODE_LAYOUT_COMPACT,
    EROFS_INODE_LAYOUT_EXTENDED,
    EROFS_MOUNT_DAX_ALWAYS,
    EROFS_NULL_ADDR,
    EROFS_SB,
    erofs_blknr,
    erofs_blkoff,
    erofs_buf,
    erofs_err,
    erofs_get_aops,
    erofs_iloc,
    erofs_inode_compact,
    erofs_inode_datalayout,
    erofs_inode_extended,
    erofs_inode_in_metabox,
    erofs_inode_is_data_compressed,
    erofs_inode_version,
    erofs_nid_to_ino64,
    erofs_pos,
    erofs_xattr_ibody_size,
    test_opt,
)
from erofs_memback.xattr import erofs_get_acl, erofs_inode_has_noacl, erofs_listxattr


@port_of("fs/erofs/inode.c", "erofs_fill_symlink")
def erofs_fill_symlink(inode: Inode, bptr: int, ofs: int) -> int:
    vi = EROFS_I(inode)

    ofs += vi.xattr_isize
    # check whether the symlink data is small enough to be inlined
    if vi.datalayout == EROFS_INODE_FLAT_INLINE:
        overflow, end = check_add_overflow_s64(ofs, inode.i_size)
        if not overflow and end <= i_blocksize(inode):
            link = kmemdup_nul(bptr + ofs, inode.i_size, GFP_KERNEL)
            if not link:
                return -ENOMEM
            if not inode.i_size or strlen(link) != inode.i_size:
                erofs_err(inode.i_sb, "invalid fast symlink size %llu @ nid %llu", inode.i_size, vi.nid)
                kfree(link)
                return -EFSCORRUPTED
            inode_set_cached_link(inode, link, inode.i_size)
    return 0


@port_of("fs/erofs/inode.c", "erofs_read_inode")
def erofs_read_inode(inode: Inode) -> int:
    sb = inode.i_sb
    blkaddr = erofs_blknr(sb, erofs_iloc(inode))
    ofs = erofs_blkoff(sb, erofs_iloc(inode))
    in_mbox = erofs_inode_in_metabox(inode)
    buf = erofs_buf()
    sbi = EROFS_SB(sb)
    addrmask = BIT_ULL(48) - 1
    vi = EROFS_I(inode)

    try:    # err_out: erofs_put_metabuf()
        ptr = erofs_read_metabuf(buf, sb, erofs_pos(sb, blkaddr), in_mbox)
        if IS_ERR(ptr):
            err = PTR_ERR(ptr)
            erofs_err(sb, "failed to read inode meta block (nid: %llu): %d", vi.nid, err)
            return err

        dic = erofs_inode_compact(ptr + ofs)
        ifmt = dic.i_format
        if ifmt & ~EROFS_I_ALL:
            erofs_err(sb, "unsupported i_format %u of nid %llu", ifmt, vi.nid)
            return -EOPNOTSUPP

        vi.datalayout = erofs_inode_datalayout(ifmt)
        if vi.datalayout >= EROFS_INODE_DATALAYOUT_MAX:
            erofs_err(sb, "unsupported datalayout %u of nid %llu", vi.datalayout, vi.nid)
            return -EOPNOTSUPP

        version = erofs_inode_version(ifmt)
        if version == EROFS_INODE_LAYOUT_EXTENDED:
            vi.inode_isize = erofs_inode_extended.SIZE
            # check if the extended inode acrosses block boundary
            if ofs + vi.inode_isize <= sb.s_blocksize:
                ofs += vi.inode_isize
                die = erofs_inode_extended(dic.p)
            else:
                gotten = sb.s_blocksize - ofs

                copied = mem_read(dic.p, gotten)
                ptr = erofs_read_metabuf(buf, sb, erofs_pos(sb, blkaddr + 1), in_mbox)
                if IS_ERR(ptr):
                    err = PTR_ERR(ptr)
                    erofs_err(sb, "failed to read inode payload block (nid: %llu): %d", vi.nid, err)
                    return err
                ofs = vi.inode_isize - gotten
                die = erofs_inode_extended.from_bytes(copied + mem_read(ptr, ofs))
            # struct erofs_inode_extended copied: its .i_u, and the one field of its .i_nb
            startblk_hi = die.i_nb.startblk_hi
            i_u = die.i_u.copy()
            vi.xattr_isize = erofs_xattr_ibody_size(die.i_xattr_icount)

            inode.i_mode = die.i_mode
            i_uid_write(inode, die.i_uid)
            i_gid_write(inode, die.i_gid)
            set_nlink(inode, die.i_nlink)
            inode_set_mtime(inode, s64(die.i_mtime), die.i_mtime_nsec)

            inode.i_size = loff_t(die.i_size)
        elif version == EROFS_INODE_LAYOUT_COMPACT:
            vi.inode_isize = erofs_inode_compact.SIZE
            ofs += vi.inode_isize
            vi.xattr_isize = erofs_xattr_ibody_size(dic.i_xattr_icount)

            inode.i_mode = dic.i_mode
            i_u = dic.i_u.copy()
            i_uid_write(inode, dic.i_uid)
            i_gid_write(inode, dic.i_gid)
            if not S_ISDIR(inode.i_mode) and (ifmt >> EROFS_I_NLINK_1_BIT) & 1:
                set_nlink(inode, 1)
                startblk_hi = dic.i_nb.startblk_hi
            else:
                set_nlink(inode, dic.i_nb.nlink)
                startblk_hi = 0
                addrmask = BIT_ULL(32) - 1
            inode_set_mtime(inode, s64(sbi.epoch + dic.i_mtime), sbi.fixed_nsec)

            inode.i_size = dic.i_size
        else:
            erofs_err(sb, "unsupported on-disk inode version %u of nid %llu", erofs_inode_version(ifmt), vi.nid)
            return -EOPNOTSUPP

        if inode.i_size < 0:
            erofs_err(sb, "negative i_size @ nid %llu", vi.nid)
            return -EFSCORRUPTED

        if IS_ENABLED("CONFIG_EROFS_FS_POSIX_ACL") and erofs_inode_has_noacl(inode, ptr, ofs):
            cache_no_acl(inode)

        fmt = inode.i_mode & S_IFMT
        if fmt in (S_IFDIR, S_IFREG, S_IFLNK):
            if fmt == S_IFDIR:
                vi.dot_omitted = bool((ifmt >> EROFS_I_DOT_OMITTED_BIT) & 1)
            vi.startblk = i_u.startblk_lo | (startblk_hi << 32)
            if vi.datalayout == EROFS_INODE_FLAT_PLAIN and not (vi.startblk ^ EROFS_NULL_ADDR) & addrmask:
                vi.startblk = u64(EROFS_NULL_ADDR)

            if S_ISLNK(inode.i_mode):
                err = erofs_fill_symlink(inode, ptr, ofs)
                if err:
                    return err
        elif fmt in (S_IFCHR, S_IFBLK):
            inode.i_rdev = new_decode_dev(i_u.rdev)
        elif fmt in (S_IFIFO, S_IFSOCK):
            inode.i_rdev = 0
        else:
            erofs_err(sb, "bogus i_mode (%o) @ nid %llu", inode.i_mode, vi.nid)
            return -EFSCORRUPTED

        if not erofs_inode_is_data_compressed(vi.datalayout):
            inode.i_blocks = u64(loff_t(round_up(inode.i_size, sb.s_blocksize)) >> 9)
        elif not IS_ENABLED("CONFIG_EROFS_FS_ZIP") or not sbi.available_compr_algs:
            erofs_err(sb, "compressed inode (nid %llu) is invalid in a plain filesystem", vi.nid)
            return -EFSCORRUPTED
        else:
            inode.i_blocks = u64((i_u.blocks_lo | (startblk_hi << 32)) << (sb.s_blocksize_bits - 9))

        if vi.datalayout == EROFS_INODE_CHUNK_BASED:
            # fill chunked inode summary info
            vi.chunkformat = i_u.c.format
            if vi.chunkformat & ~EROFS_CHUNK_FORMAT_ALL:
                erofs_err(sb, "unsupported chunk format %x of nid %llu", vi.chunkformat, vi.nid)
                return -EOPNOTSUPP
            vi.chunkbits = sb.s_blocksize_bits + (vi.chunkformat & EROFS_CHUNK_FORMAT_BLKBITS_MASK)
        inode_set_atime_to_ts(inode, inode_set_ctime_to_ts(inode, inode_get_mtime(inode)))

        inode.i_flags &= ~S_DAX
        if test_opt(sbi.opt, EROFS_MOUNT_DAX_ALWAYS) and S_ISREG(inode.i_mode) and (
                vi.datalayout == EROFS_INODE_FLAT_PLAIN or vi.datalayout == EROFS_INODE_CHUNK_BASED):
            inode.i_flags |= S_DAX
        return 0
    finally:
        erofs_put_metabuf(buf)


@port_of("fs/erofs/inode.c", "erofs_fill_inode")
def erofs_fill_inode(inode: Inode) -> int:
    trace("erofs_fill_inode", inode=inode)
    err = erofs_read_inode(inode)
    if err:
        return err

    fmt = inode.i_mode & S_IFMT
    if fmt == S_IFREG:
        inode.i_op = erofs_generic_iops
        inode.i_fop = ishare.erofs_ishare_fops if ishare.erofs_ishare_fill_inode(inode) else data.erofs_file_fops
    elif fmt == S_IFDIR:
        inode.i_op = namei.erofs_dir_iops
        inode.i_fop = dir.erofs_dir_fops
        inode_nohighmem(inode)
    elif fmt == S_IFLNK:
        if inode.i_link:
            inode.i_op = erofs_fast_symlink_iops
        else:
            inode.i_op = erofs_symlink_iops
        inode_nohighmem(inode)
    else:
        inode.i_op = erofs_generic_iops
        init_special_inode(inode, inode.i_mode, inode.i_rdev)
        return 0

    mapping_set_large_folios(inode.i_mapping)
    aops = erofs_get_aops(inode)
    if IS_ERR(aops):
        return PTR_ERR(aops)
    inode.i_mapping.a_ops = aops
    return 0


@port_of("fs/erofs/inode.c", "erofs_squash_ino")
def erofs_squash_ino(sb: SuperBlock, nid: int) -> int:
    """ino_t is 32-bits on 32-bit arch. We have to squash the 64-bit value down so that it will fit."""
    ino64 = erofs_nid_to_ino64(EROFS_SB(sb), nid)

    if arch.BITS_PER_LONG < 64:
        ino64 ^= ino64 >> (64 - arch.BITS_PER_LONG)
    return ulong(ino64)


@port_of("fs/erofs/inode.c", "erofs_iget5_eq")
def erofs_iget5_eq(inode: Inode, opaque: int) -> bool:
    return EROFS_I(inode).nid == opaque


@port_of("fs/erofs/inode.c", "erofs_iget5_set")
def erofs_iget5_set(inode: Inode, opaque: int) -> int:
    nid = opaque

    inode.i_ino = erofs_squash_ino(inode.i_sb, nid)
    EROFS_I(inode).nid = nid
    return 0


@port_of("fs/erofs/inode.c", "erofs_iget")
def erofs_iget(sb: SuperBlock, nid: int) -> Inode:
    """The inode with a reference, or ERR_PTR."""
    inode = iget5_locked(sb, erofs_squash_ino(sb, nid), erofs_iget5_eq, erofs_iget5_set, nid)
    if not inode:
        return ERR_PTR(-ENOMEM)

    if inode_state_read_once(inode) & I_NEW:
        err = erofs_fill_inode(inode)

        if err:
            iget_failed(inode)
            return ERR_PTR(err)
        unlock_new_inode(inode)
    return inode


@port_of("fs/erofs/inode.c", "erofs_getattr")
def erofs_getattr(idmap: mnt_idmap_t, path: Path, stat: Kstat, request_mask: int, query_flags: int) -> int:
    inode = path.dentry.d_inode
    bdev = inode.i_sb.s_bdev
    compressed = erofs_inode_is_data_compressed(EROFS_I(inode).datalayout)

    if compressed:
        stat.attributes |= STATX_ATTR_COMPRESSED
    stat.attributes |= STATX_ATTR_IMMUTABLE
    stat.attributes_mask |= STATX_ATTR_COMPRESSED | STATX_ATTR_IMMUTABLE

    # Return the DIO alignment restrictions if requested.
    #
    # In EROFS, STATX_DIOALIGN is only supported in bdev-based mode and uncompressed inodes, otherwise we report no DIO support.
    if request_mask & STATX_DIOALIGN and S_ISREG(inode.i_mode):
        stat.result_mask |= STATX_DIOALIGN
        if bdev and not compressed:
            stat.dio_mem_align = bdev_dma_alignment(bdev) + 1
            stat.dio_offset_align = bdev_logical_block_size(bdev)
    generic_fillattr(idmap, request_mask, inode, stat)
    return 0


FS_IOC_GETFSLABEL = 0x81009431      # _IOR(0x94, 49, char[FSLABEL_MAX]), include/uapi/linux/fs.h


@port_of("fs/erofs/inode.c", "erofs_ioctl_get_volume_label")
def erofs_ioctl_get_volume_label(inode: Inode, arg: Any) -> int:
    sbi = EROFS_I_SB(inode)

    if not sbi.volume_name:
        ret = clear_user(arg, 1)
    else:
        ret = copy_to_user(arg, sbi.volume_name, strlen(sbi.volume_name) + 1)
    return -EFAULT if ret else 0


@port_of("fs/erofs/inode.c", "erofs_ioctl")
def erofs_ioctl(filp: File, cmd: int, arg: int) -> int:
    inode = file_inode(filp)
    argp = arg

    if cmd == FS_IOC_GETFSLABEL:
        return erofs_ioctl_get_volume_label(inode, argp)
    return -ENOTTY


erofs_generic_iops = inode_operations(
    getattr=erofs_getattr,
    listxattr=erofs_listxattr,
    get_inode_acl=erofs_get_acl,
    fiemap=erofs_fiemap,
)

erofs_symlink_iops = inode_operations(
    get_link=page_get_link,
    getattr=erofs_getattr,
    listxattr=erofs_listxattr,
    get_inode_acl=erofs_get_acl,
)

erofs_fast_symlink_iops = inode_operations(
    get_link=simple_get_link,
    getattr=erofs_getattr,
    listxattr=erofs_listxattr,
    get_inode_acl=erofs_get_acl,
)

# extern tables, defined in files that need this one
from erofs_memback import data, dir, ishare, namei  # noqa: E402

data.erofs_file_fops.unlocked_ioctl = erofs_ioctl
