# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/super.c: mounting, devices, options, and the module itself."""
from __future__ import annotations

import os
from typing import Any

from kemu.linux.bits import BIT_ULL
from kemu.linux.blkdev import BLK_OPEN_READ, bdev_file_open_by_path, file_bdev, sb_set_blocksize
from kemu.linux.crc32c import crc32c
from kemu.linux.dax import dax_break_layout_final, fs_dax_get_by_bdev, fs_put_dax
from kemu.linux.dcache import Dentry, d_inode, d_make_root, d_obtain_alias, dotdot_name
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EBADMSG, EFSCORRUPTED, EINVAL, ENOMEM, ENOTBLK, EOPNOTSUPP
from kemu.linux.exportfs import FILEID_INO64_GEN, FILEID_INO64_GEN_PARENT, FILEID_INVALID, export_operations, fid
from kemu.linux.fcntl import O_LARGEFILE, O_RDONLY
from kemu.linux.fs import (
    FS_ALLOW_IDMAP,
    FS_REQUIRES_DEV,
    IS_DAX,
    MAX_LFS_FILESIZE,
    SB_NOATIME,
    SB_POSIXACL,
    SB_RDONLY,
    FileSystemType,
    Inode,
    SuperBlock,
    alloc_inode_sb,
    clear_inode,
    file_inode,
    filp_open,
    fput,
    inode_init_once,
    inode_just_drop,
    iput,
    kill_anon_super,
    kill_block_super,
    register_filesystem,
    sb_rdonly,
    super_operations,
    super_set_sysfs_name_id,
    super_set_uuid,
    super_setup_bdi,
    truncate_inode_pages_final,
    unregister_filesystem,
)
from kemu.linux.fs_context import (
    GET_TREE_BDEV_QUIET_LOOKUP,
    FsContext,
    FsParameter,
    errorfc,
    fs_context_operations,
    get_tree_bdev_flags,
    get_tree_nodev,
    invalf,
    invalfc,
)
from kemu.linux.fs_parser import (
    constant_table,
    fs_parse,
    fs_parse_result,
    fsparam_enum,
    fsparam_flag,
    fsparam_flag_no,
    fsparam_string,
    fsparam_u64,
)
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.idr import idr_alloc, idr_destroy, idr_for_each, idr_for_each_entry, idr_init
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kdev_t import MAJOR, MINOR, huge_encode_dev
from kemu.linux.magic import EROFS_SUPER_MAGIC_V1
from kemu.linux.math import ilog2, min_t, round_up, roundup_pow_of_two
from kemu.linux.page import arch
from kemu.linux.port.goto import Labels
from kemu.linux.port.honesty import port_of
from kemu.linux.port.layout import View, offsetof
from kemu.linux.port.statics import statics
from kemu.linux.pseudo_fs import init_pseudo
from kemu.linux.rcupdate import rcu_barrier
from kemu.linux.rwsem import down_read, down_write, init_rwsem, up_read, up_write
from kemu.linux.seq_file import SeqFile, seq_printf, seq_puts
from kemu.linux.slab import (
    SLAB_ACCOUNT,
    SLAB_RECLAIM_ACCOUNT,
    KmemCache,
    kfree,
    kfree_sensitive,
    kmalloc,
    kmem_cache_create,
    kmem_cache_destroy,
    kmem_cache_free,
    kstrdup,
    kstrndup,
    kzalloc_obj,
)
from kemu.linux.stat import S_ISDIR, S_ISREG
from kemu.linux.statfs import kstatfs, u64_to_fsid, uuid_to_fsid
from kemu.linux.string import mem_read, memcpy
from kemu.linux.types import NULL, U16_MAX, ULLONG_MAX, Ref, ptr_to, s32, s64, u16, u32, u64
from kemu.linux.unaligned import get_unaligned_le16
from kemu.linux.uuid import uuid_is_null

from erofs_memback import ishare
from erofs_memback.data import erofs_bread, erofs_put_metabuf, erofs_read_metabuf
from erofs_memback.inode import erofs_fast_symlink_iops, erofs_iget
from erofs_memback.internal import *
from erofs_memback.namei import erofs_namei
from erofs_memback.sysfs import erofs_exit_sysfs, erofs_init_sysfs, erofs_register_sysfs, erofs_unregister_sysfs
from erofs_memback.xattr import erofs_xattr_handlers, erofs_xattr_prefixes_cleanup, erofs_xattr_prefixes_init


@statics
class g:
    erofs_inode_cachep: KmemCache = NULL


@port_of("fs/erofs/super.c", "erofs_superblock_csum_verify")
def erofs_superblock_csum_verify(sb: SuperBlock, sbdata: int) -> int:
    dsb = erofs_super_block(sbdata + EROFS_SUPER_OFFSET)
    len_ = 1 << EROFS_SB(sb).blkszbits

    if len_ > EROFS_SUPER_OFFSET:
        len_ -= EROFS_SUPER_OFFSET
    len_ -= offsetof(erofs_super_block, "checksum") + 4

    # skip .magic(pre-verified) and .checksum(0) fields
    crc = crc32c(0x5045B54A, dsb.p + offsetof(erofs_super_block, "checksum") + 4, len_)
    if crc == dsb.checksum:
        return 0
    erofs_err(sb, "invalid checksum 0x%08x, 0x%08x expected", crc, dsb.checksum)
    return -EBADMSG


@port_of("fs/erofs/super.c", "erofs_inode_init_once")
def erofs_inode_init_once(vi: erofs_inode) -> None:
    inode_init_once(vi)


@port_of("fs/erofs/super.c", "erofs_alloc_inode")
def erofs_alloc_inode(sb: SuperBlock) -> Inode:
    vi: erofs_inode = alloc_inode_sb(sb, g.erofs_inode_cachep, GFP_KERNEL)

    if not vi:
        return NULL

    # zero out everything except vfs_inode
    vi.zero()
    return vi


@port_of("fs/erofs/super.c", "erofs_free_inode")
def erofs_free_inode(inode: Inode) -> None:
    vi = EROFS_I(inode)

    if inode.i_op is erofs_fast_symlink_iops:
        kfree(inode.i_link)
    kfree(vi.xattr_shared_xattrs)
    kmem_cache_free(g.erofs_inode_cachep, vi)


@port_of("fs/erofs/super.c", "erofs_read_metadata")
def erofs_read_metadata(sb: SuperBlock, buf: erofs_buf, offset: Ref, lengthp: Ref) -> int:
    """Read variable-sized metadata, offset will be aligned by 4-byte. A kmalloc'ed address, or ERR_PTR."""
    offset.v = u64(round_up(offset.v, 4))
    ptr = erofs_bread(buf, offset.v, True)
    if IS_ERR(ptr):
        return ptr

    len_ = get_unaligned_le16(ptr)
    if not len_:
        len_ = U16_MAX + 1
    buffer = kmalloc(len_, GFP_KERNEL)
    if not buffer:
        return ERR_PTR(-ENOMEM)
    offset.v = u64(offset.v + 2)
    lengthp.v = len_

    i = 0
    while i < len_:
        cnt = min_t(s32, sb.s_blocksize - erofs_blkoff(sb, offset.v), len_ - i)
        ptr = erofs_bread(buf, offset.v, True)
        if IS_ERR(ptr):
            kfree(buffer)
            return ptr
        memcpy(buffer + i, ptr, cnt)
        offset.v = u64(offset.v + cnt)
        i += cnt
    return buffer


@port_of("fs/erofs/super.c", "erofs_init_device")
def erofs_init_device(buf: erofs_buf, sb: SuperBlock, dif: erofs_device_info, pos: Ref) -> int:
    sbi = EROFS_SB(sb)

    dis = erofs_read_metabuf(buf, sb, pos.v, False)
    if IS_ERR(dis):
        return PTR_ERR(dis)
    dis = erofs_deviceslot(dis)

    if not sbi.devs.flatdev and not dif.path:
        tag = mem_read(dis.tag, 64)
        if not tag[0]:
            erofs_err(sb, "empty device tag @ pos %llu", pos.v)
            return -EINVAL
        # kmemdup_nul(): a path is text here
        dif.path = kstrdup(os.fsdecode(tag.split(b"\0", 1)[0]), GFP_KERNEL)
        if not dif.path:
            return -ENOMEM

    if not sbi.devs.flatdev:
        if erofs_is_fileio_mode(sbi):
            file = filp_open(dif.path, O_RDONLY | O_LARGEFILE, 0)
        else:
            file = bdev_file_open_by_path(dif.path, BLK_OPEN_READ, sb.s_type, None)
        if IS_ERR(file):
            if file == ERR_PTR(-ENOTBLK):
                return -EINVAL
            return PTR_ERR(file)

        if not erofs_is_fileio_mode(sbi):
            dif.dax_dev = fs_dax_get_by_bdev(file_bdev(file), ptr_to(dif, "dax_part_off"), None, None)
        elif not S_ISREG(file_inode(file).i_mode):
            fput(file)
            return -EINVAL
        if not dif.dax_dev and test_opt(sbi.opt, EROFS_MOUNT_DAX_ALWAYS):
            erofs_info(sb, "DAX unsupported by %s. Turning off DAX.", dif.path)
            clear_opt(sbi.opt, EROFS_MOUNT_DAX_ALWAYS)
        dif.file = file

    _48bit = erofs_sb_has_48bit(sbi)
    dif.blocks = dis.blocks_lo | (dis.blocks_hi << 32 if _48bit else 0)
    dif.uniaddr = dis.uniaddr_lo | (dis.uniaddr_hi << 32 if _48bit else 0)
    sbi.total_blocks = u64(sbi.total_blocks + dif.blocks)
    pos.v = u64(pos.v + EROFS_DEVT_SLOT_SIZE)
    return 0


@port_of("fs/erofs/super.c", "erofs_scan_devices")
def erofs_scan_devices(sb: SuperBlock, dsb: View) -> int:
    sbi = EROFS_SB(sb)
    buf = erofs_buf()
    err = 0

    sbi.total_blocks = sbi.dif0.blocks
    if not erofs_sb_has_device_table(sbi):
        ondisk_extradevs = 0
    else:
        ondisk_extradevs = dsb.extra_devices

    if sbi.devs.extra_devices and ondisk_extradevs != sbi.devs.extra_devices:
        erofs_err(sb, "extra devices don't match (ondisk %u, given %u)", ondisk_extradevs, sbi.devs.extra_devices)
        return -EINVAL

    if test_opt(sbi.opt, EROFS_MOUNT_DAX_ALWAYS) and not sbi.dif0.dax_dev:
        erofs_info(sb, "DAX unsupported by block device. Turning off DAX.")
        clear_opt(sbi.opt, EROFS_MOUNT_DAX_ALWAYS)
    if not ondisk_extradevs:
        return 0

    if not sbi.devs.extra_devices:
        sbi.devs.flatdev = True

    sbi.device_id_mask = u16(roundup_pow_of_two(ondisk_extradevs + 1) - 1)
    pos = Ref(dsb.devt_slotoff * EROFS_DEVT_SLOT_SIZE)
    down_read(sbi.devs.rwsem)
    if sbi.devs.extra_devices:
        for id, dif in idr_for_each_entry(sbi.devs.tree):
            err = erofs_init_device(buf, sb, dif, pos)
            if err:
                break
    else:
        for id in range(ondisk_extradevs):
            dif = kzalloc_obj(erofs_device_info)
            if not dif:
                err = -ENOMEM
                break

            err = idr_alloc(sbi.devs.tree, dif, 0, 0, GFP_KERNEL)
            if err < 0:
                kfree(dif)
                break
            sbi.devs.extra_devices += 1

            err = erofs_init_device(buf, sb, dif, pos)
            if err:
                break
    up_read(sbi.devs.rwsem)
    erofs_put_metabuf(buf)
    return err


@port_of("fs/erofs/super.c", "erofs_read_superblock")
def erofs_read_superblock(sb: SuperBlock) -> int:
    sbi = EROFS_SB(sb)
    buf = erofs_buf()

    data = erofs_read_metabuf(buf, sb, 0, False)
    if IS_ERR(data):
        erofs_err(sb, "cannot read erofs superblock")
        return PTR_ERR(data)

    try:    # out: erofs_put_metabuf()
        dsb = erofs_super_block(data + EROFS_SUPER_OFFSET)
        if dsb.magic != EROFS_SUPER_MAGIC_V1:
            erofs_err(sb, "cannot find valid erofs superblock")
            return -EINVAL

        sbi.blkszbits = dsb.blkszbits
        if sbi.blkszbits < 9 or sbi.blkszbits > arch.PAGE_SHIFT:
            erofs_err(sb, "blkszbits %u isn't supported", sbi.blkszbits)
            return -EINVAL
        if dsb.dirblkbits:
            erofs_err(sb, "dirblkbits %u isn't supported", dsb.dirblkbits)
            return -EINVAL

        sbi.feature_compat = dsb.feature_compat
        if erofs_sb_has_sb_chksum(sbi):
            ret = erofs_superblock_csum_verify(sb, data)
            if ret:
                return ret

        sbi.feature_incompat = dsb.feature_incompat
        if sbi.feature_incompat & ~EROFS_ALL_FEATURE_INCOMPAT:
            erofs_err(sb, "unidentified incompatible feature %x, please upgrade kernel",
                      sbi.feature_incompat & ~EROFS_ALL_FEATURE_INCOMPAT)
            return -EINVAL

        sbi.sb_size = 128 + dsb.sb_extslots * EROFS_SB_EXTSLOT_SIZE
        if sbi.sb_size > arch.PAGE_SIZE - EROFS_SUPER_OFFSET:
            erofs_err(sb, "invalid sb_extslots %u (more than a fs block)", sbi.sb_size)
            return -EINVAL
        sbi.dif0.blocks = dsb.blocks_lo
        sbi.meta_blkaddr = dsb.meta_blkaddr
        if IS_ENABLED("CONFIG_EROFS_FS_XATTR"):
            sbi.xattr_blkaddr = dsb.xattr_blkaddr
            sbi.xattr_prefix_start = dsb.xattr_prefix_start
            sbi.xattr_prefix_count = dsb.xattr_prefix_count
            sbi.xattr_filter_reserved = dsb.xattr_filter_reserved
            if erofs_sb_has_ishare_xattrs(sbi):
                if dsb.ishare_xattr_prefix_id >= sbi.xattr_prefix_count:
                    erofs_err(sb, "invalid ishare xattr prefix id %u", dsb.ishare_xattr_prefix_id)
                    return -EFSCORRUPTED
                sbi.ishare_xattr_prefix_id = dsb.ishare_xattr_prefix_id
        sbi.islotbits = ilog2(erofs_inode_compact.SIZE)
        if erofs_sb_has_48bit(sbi) and dsb.rootnid_8b:
            sbi.root_nid = dsb.rootnid_8b
            sbi.dif0.blocks = sbi.dif0.blocks | (dsb.rb.blocks_hi << 32)
        else:
            sbi.root_nid = dsb.rb.rootnid_2b
        sbi.packed_nid = dsb.packed_nid
        if erofs_sb_has_metabox(sbi):
            if sbi.sb_size <= offsetof(erofs_super_block, "metabox_nid"):
                return -EFSCORRUPTED
            sbi.metabox_nid = dsb.metabox_nid
            if sbi.metabox_nid & BIT_ULL(EROFS_DIRENT_NID_METABOX_BIT):
                return -EFSCORRUPTED    # self-loop detection
        sbi.inos = dsb.inos

        sbi.epoch = s64(dsb.epoch)
        sbi.fixed_nsec = dsb.fixed_nsec
        super_set_uuid(sb, dsb.uuid, 16)

        if mem_read(dsb.volume_name, 1) != b"\0":
            sbi.volume_name = kstrndup(dsb.volume_name, 16, GFP_KERNEL)
            if not sbi.volume_name:
                return -ENOMEM

        if IS_ENABLED("CONFIG_EROFS_FS_ZIP"):
            ret = decompressor.z_erofs_parse_cfgs(sb, dsb)
            if ret < 0:
                return ret
        elif dsb.u1.available_compr_algs or erofs_sb_has_lz4_0padding(sbi):
            erofs_err(sb, "compression disabled, unable to mount compressed EROFS")
            return -EOPNOTSUPP

        ret = erofs_scan_devices(sb, dsb)

        if erofs_sb_has_48bit(sbi):
            erofs_info(sb, "EXPERIMENTAL 48-bit layout support in use. Use at your own risk!")
        if erofs_sb_has_metabox(sbi):
            erofs_info(sb, "EXPERIMENTAL metadata compression support in use. Use at your own risk!")
        return ret
    finally:
        erofs_put_metabuf(buf)


@port_of("fs/erofs/super.c", "erofs_default_options")
def erofs_default_options(sbi: erofs_sb_info) -> None:
    # CONFIG_EROFS_FS_ZIP
    sbi.opt.cache_strategy = EROFS_ZIP_CACHE_READAROUND
    sbi.sync_decompress = EROFS_SYNC_DECOMPRESS_AUTO
    if IS_ENABLED("CONFIG_EROFS_FS_XATTR"):
        set_opt(sbi.opt, EROFS_MOUNT_XATTR_USER)
    if IS_ENABLED("CONFIG_EROFS_FS_POSIX_ACL"):
        set_opt(sbi.opt, EROFS_MOUNT_POSIX_ACL)


(Opt_user_xattr, Opt_acl, Opt_cache_strategy, Opt_dax, Opt_dax_enum,
 Opt_device, Opt_domain_id, Opt_directio, Opt_fsoffset, Opt_inode_share) = range(10)

erofs_param_cache_strategy = [
    constant_table("disabled", EROFS_ZIP_CACHE_DISABLED),
    constant_table("readahead", EROFS_ZIP_CACHE_READAHEAD),
    constant_table("readaround", EROFS_ZIP_CACHE_READAROUND),
]

erofs_dax_param_enums = [
    constant_table("always", EROFS_MOUNT_DAX_ALWAYS),
    constant_table("never", EROFS_MOUNT_DAX_NEVER),
]

erofs_fs_parameters = [
    fsparam_flag_no("user_xattr", Opt_user_xattr),
    fsparam_flag_no("acl", Opt_acl),
    fsparam_enum("cache_strategy", Opt_cache_strategy, erofs_param_cache_strategy),
    fsparam_flag("dax", Opt_dax),
    fsparam_enum("dax", Opt_dax_enum, erofs_dax_param_enums),
    fsparam_string("device", Opt_device),
    fsparam_string("domain_id", Opt_domain_id),
    fsparam_flag_no("directio", Opt_directio),
    fsparam_u64("fsoffset", Opt_fsoffset),
    fsparam_flag("inode_share", Opt_inode_share),
]


@port_of("fs/erofs/super.c", "erofs_fc_set_dax_mode")
def erofs_fc_set_dax_mode(fc: FsContext, mode: int) -> bool:
    if IS_ENABLED("CONFIG_FS_DAX"):
        sbi = fc.s_fs_info

        if mode == EROFS_MOUNT_DAX_ALWAYS:
            set_opt(sbi.opt, EROFS_MOUNT_DAX_ALWAYS)
            clear_opt(sbi.opt, EROFS_MOUNT_DAX_NEVER)
            return True
        elif mode == EROFS_MOUNT_DAX_NEVER:
            set_opt(sbi.opt, EROFS_MOUNT_DAX_NEVER)
            clear_opt(sbi.opt, EROFS_MOUNT_DAX_ALWAYS)
            return True
        DBG_BUGON(1)
        return False
    errorfc(fc, "dax options not supported")
    return False


@port_of("fs/erofs/super.c", "erofs_fc_parse_param")
def erofs_fc_parse_param(fc: FsContext, param: FsParameter) -> int:
    sbi = fc.s_fs_info
    result = fs_parse_result()

    opt = fs_parse(fc, erofs_fs_parameters, param, result)
    if opt < 0:
        return opt

    if opt == Opt_user_xattr:
        if not IS_ENABLED("CONFIG_EROFS_FS_XATTR"):
            errorfc(fc, "{,no}user_xattr options not supported")
        elif result.boolean:
            set_opt(sbi.opt, EROFS_MOUNT_XATTR_USER)
        else:
            clear_opt(sbi.opt, EROFS_MOUNT_XATTR_USER)
    elif opt == Opt_acl:
        if not IS_ENABLED("CONFIG_EROFS_FS_POSIX_ACL"):
            errorfc(fc, "{,no}acl options not supported")
        elif result.boolean:
            set_opt(sbi.opt, EROFS_MOUNT_POSIX_ACL)
        else:
            clear_opt(sbi.opt, EROFS_MOUNT_POSIX_ACL)
    elif opt == Opt_cache_strategy:
        if not IS_ENABLED("CONFIG_EROFS_FS_ZIP"):
            errorfc(fc, "compression not supported, cache_strategy ignored")
        else:
            sbi.opt.cache_strategy = result.uint_32
    elif opt == Opt_dax:
        if not erofs_fc_set_dax_mode(fc, EROFS_MOUNT_DAX_ALWAYS):
            return -EINVAL
    elif opt == Opt_dax_enum:
        if not erofs_fc_set_dax_mode(fc, result.uint_32):
            return -EINVAL
    elif opt == Opt_device:
        dif = kzalloc_obj(erofs_device_info)
        if not dif:
            return -ENOMEM
        dif.path = kstrdup(param.string, GFP_KERNEL)
        if not dif.path:
            kfree(dif)
            return -ENOMEM
        down_write(sbi.devs.rwsem)
        ret = idr_alloc(sbi.devs.tree, dif, 0, 0, GFP_KERNEL)
        up_write(sbi.devs.rwsem)
        if ret < 0:
            kfree(dif.path)
            kfree(dif)
            return ret
        sbi.devs.extra_devices += 1
    elif opt == Opt_domain_id:
        if not IS_ENABLED("CONFIG_EROFS_FS_PAGE_CACHE_SHARE"):
            errorfc(fc, "%s option not supported", erofs_fs_parameters[opt].name)
        else:
            kfree_sensitive(sbi.domain_id)
            sbi.domain_id, param.string = param.string, NULL        # no_free_ptr()
    elif opt == Opt_directio:
        if not IS_ENABLED("CONFIG_EROFS_FS_BACKED_BY_FILE"):
            errorfc(fc, "%s option not supported", erofs_fs_parameters[opt].name)
        elif result.boolean:
            set_opt(sbi.opt, EROFS_MOUNT_DIRECT_IO)
        else:
            clear_opt(sbi.opt, EROFS_MOUNT_DIRECT_IO)
    elif opt == Opt_fsoffset:
        sbi.dif0.fsoff = result.uint_64
    elif opt == Opt_inode_share:
        if not IS_ENABLED("CONFIG_EROFS_FS_PAGE_CACHE_SHARE"):
            errorfc(fc, "%s option not supported", erofs_fs_parameters[opt].name)
        else:
            set_opt(sbi.opt, EROFS_MOUNT_INODE_SHARE)
    return 0


@port_of("fs/erofs/super.c", "erofs_encode_fh")
def erofs_encode_fh(inode: Inode, fh: list[int], max_len: Ref, parent: Inode) -> int:
    nid = EROFS_I(inode).nid
    len_ = 6 if parent else 3

    if max_len.v < len_:
        max_len.v = len_
        return FILEID_INVALID

    fh[0] = u32(nid >> 32)
    fh[1] = u32(nid & 0xffffffff)
    fh[2] = inode.i_generation

    if parent:
        nid = EROFS_I(parent).nid

        fh[3] = u32(nid >> 32)
        fh[4] = u32(nid & 0xffffffff)
        fh[5] = parent.i_generation

    max_len.v = len_
    return FILEID_INO64_GEN_PARENT if parent else FILEID_INO64_GEN


@port_of("fs/erofs/super.c", "erofs_fh_to_dentry")
def erofs_fh_to_dentry(sb: SuperBlock, fid: fid, fh_len: int, fh_type: int) -> Dentry:
    if (fh_type != FILEID_INO64_GEN and fh_type != FILEID_INO64_GEN_PARENT) or fh_len < 3:
        return NULL

    return d_obtain_alias(erofs_iget(sb, (fid.raw[0] << 32) | fid.raw[1]))


@port_of("fs/erofs/super.c", "erofs_fh_to_parent")
def erofs_fh_to_parent(sb: SuperBlock, fid: fid, fh_len: int, fh_type: int) -> Dentry:
    if fh_type != FILEID_INO64_GEN_PARENT or fh_len < 6:
        return NULL

    return d_obtain_alias(erofs_iget(sb, (fid.raw[3] << 32) | fid.raw[4]))


@port_of("fs/erofs/super.c", "erofs_get_parent")
def erofs_get_parent(child: Dentry) -> Dentry:
    nid, d_type = Ref(0), Ref(0)

    err = erofs_namei(d_inode(child), dotdot_name, nid, d_type)
    if err:
        return ERR_PTR(err)
    return d_obtain_alias(erofs_iget(child.d_sb, nid.v))


erofs_export_ops = export_operations(
    encode_fh=erofs_encode_fh,
    fh_to_dentry=erofs_fh_to_dentry,
    fh_to_parent=erofs_fh_to_parent,
    get_parent=erofs_get_parent,
)


@port_of("fs/erofs/super.c", "erofs_fc_fill_super")
def erofs_fc_fill_super(sb: SuperBlock, fc: FsContext) -> int:
    sbi = EROFS_SB(sb)

    sb.s_magic = EROFS_SUPER_MAGIC
    sb.s_flags |= SB_RDONLY | SB_NOATIME
    sb.s_maxbytes = MAX_LFS_FILESIZE
    sb.s_op = erofs_sops

    if not sbi.domain_id and test_opt(sbi.opt, EROFS_MOUNT_INODE_SHARE):
        errorfc(fc, "domain_id is needed when inode_ishare is on")
        return -EINVAL
    if test_opt(sbi.opt, EROFS_MOUNT_DAX_ALWAYS) and test_opt(sbi.opt, EROFS_MOUNT_INODE_SHARE):
        errorfc(fc, "FSDAX is not allowed when inode_ishare is on")
        return -EINVAL

    sbi.blkszbits = arch.PAGE_SHIFT
    if not sb.s_bdev:
        # (File-backed mounts) EROFS claims it's safe to nest other fs contexts (including its own) due to self-controlled RO
        # accesses/contexts and no side-effect changes that need to context save & restore so it can reuse the current thread
        # context. However, we still need to prevent kernel stack overflow due to filesystem nesting: just ensure that
        # s_stack_depth is 0 to disallow mounting EROFS on stacked filesystems. Note: s_stack_depth is not incremented here for
        # now, since EROFS is the only fs supporting file-backed mounts for now. It MUST change if another fs plans to support
        # them, which may also require adjusting FILESYSTEM_MAX_STACK_DEPTH.
        if erofs_is_fileio_mode(sbi):
            inode = file_inode(sbi.dif0.file)
            if (inode.i_sb.s_op is erofs_sops and not inode.i_sb.s_bdev) or inode.i_sb.s_stack_depth:
                erofs_err(sb, "file-backed mounts cannot be applied to stacked fses")
                return -ENOTBLK
        sb.s_blocksize = arch.PAGE_SIZE
        sb.s_blocksize_bits = arch.PAGE_SHIFT

        err = super_setup_bdi(sb)
        if err:
            return err

        sb.s_id = "%u:%u" % (MAJOR(sb.s_dev), MINOR(sb.s_dev))
    else:
        if not sb_set_blocksize(sb, arch.PAGE_SIZE):
            errorfc(fc, "failed to set initial blksize")
            return -EINVAL
        sbi.dif0.dax_dev = fs_dax_get_by_bdev(sb.s_bdev, ptr_to(sbi.dif0, "dax_part_off"), None, None)

    err = erofs_read_superblock(sb)
    if err:
        return err

    if sb.s_blocksize_bits != sbi.blkszbits:
        if erofs_is_fileio_mode(sbi):
            sb.s_blocksize = 1 << sbi.blkszbits
            sb.s_blocksize_bits = sbi.blkszbits
        elif not sb_set_blocksize(sb, 1 << sbi.blkszbits):
            errorfc(fc, "failed to set erofs blksize")
            return -EINVAL
    if sbi.dif0.fsoff & (sb.s_blocksize - 1):
        return invalfc(fc, "fsoffset %llu is not aligned to block size %lu", sbi.dif0.fsoff, sb.s_blocksize)

    if test_opt(sbi.opt, EROFS_MOUNT_DAX_ALWAYS) and sbi.blkszbits != arch.PAGE_SHIFT:
        erofs_info(sb, "unsupported blocksize for DAX")
        clear_opt(sbi.opt, EROFS_MOUNT_DAX_ALWAYS)
    if test_opt(sbi.opt, EROFS_MOUNT_INODE_SHARE) and not erofs_sb_has_ishare_xattrs(sbi):
        erofs_info(sb, "on-disk ishare xattrs not found. Turning off inode_share.")
        clear_opt(sbi.opt, EROFS_MOUNT_INODE_SHARE)
    if test_opt(sbi.opt, EROFS_MOUNT_INODE_SHARE):
        erofs_info(sb, "EXPERIMENTAL EROFS page cache share support in use. Use at your own risk!")

    sb.s_time_gran = 1
    sb.s_xattr = erofs_xattr_handlers()
    sb.s_export_op = erofs_export_ops

    if test_opt(sbi.opt, EROFS_MOUNT_POSIX_ACL):
        sb.s_flags |= SB_POSIXACL
    else:
        sb.s_flags &= ~SB_POSIXACL

    if IS_ENABLED("CONFIG_EROFS_FS_ZIP"):
        err = zdata.z_erofs_init_super(sb)
        if err:
            return err

    if erofs_sb_has_fragments(sbi) and sbi.packed_nid:
        inode = erofs_iget(sb, sbi.packed_nid)
        if IS_ERR(inode):
            return PTR_ERR(inode)
        sbi.packed_inode = inode
    if erofs_sb_has_metabox(sbi):
        inode = erofs_iget(sb, sbi.metabox_nid)
        if IS_ERR(inode):
            return PTR_ERR(inode)
        sbi.metabox_inode = inode

    inode = erofs_iget(sb, sbi.root_nid)
    if IS_ERR(inode):
        return PTR_ERR(inode)

    if not S_ISDIR(inode.i_mode):
        erofs_err(sb, "rootino(nid %llu) is not a directory(i_mode %o)", sbi.root_nid, inode.i_mode)
        iput(inode)
        return -EINVAL
    sb.s_root = d_make_root(inode)
    if not sb.s_root:
        return -ENOMEM

    if IS_ENABLED("CONFIG_EROFS_FS_ZIP"):
        zutil.erofs_shrinker_register(sb)
    err = erofs_xattr_prefixes_init(sb)
    if err:
        return err

    super_set_sysfs_name_id(sb)
    err = erofs_register_sysfs(sb)
    if err:
        return err

    sbi.dir_ra_bytes = EROFS_DIR_RA_BYTES
    erofs_info(sb, "mounted with root inode @ nid %llu.", sbi.root_nid)
    return 0


@port_of("fs/erofs/super.c", "erofs_fc_get_tree")
def erofs_fc_get_tree(fc: FsContext) -> int:
    ret = get_tree_bdev_flags(fc, erofs_fc_fill_super,
                              GET_TREE_BDEV_QUIET_LOOKUP if IS_ENABLED("CONFIG_EROFS_FS_BACKED_BY_FILE") else 0)
    if IS_ENABLED("CONFIG_EROFS_FS_BACKED_BY_FILE") and ret == -ENOTBLK:
        sbi = fc.s_fs_info

        if not fc.source:
            return invalf(fc, "No source specified")
        file = filp_open(fc.source, O_RDONLY | O_LARGEFILE, 0)
        if IS_ERR(file):
            return PTR_ERR(file)
        sbi.dif0.file = file

        if S_ISREG(file_inode(sbi.dif0.file).i_mode) and sbi.dif0.file.f_mapping.a_ops.read_folio:
            return get_tree_nodev(fc, erofs_fc_fill_super)
    return ret


@port_of("fs/erofs/super.c", "erofs_fc_reconfigure")
def erofs_fc_reconfigure(fc: FsContext) -> int:
    sb = fc.root.d_sb
    sbi = EROFS_SB(sb)
    new_sbi = fc.s_fs_info

    DBG_BUGON(not sb_rdonly(sb))

    if new_sbi.domain_id:
        erofs_info(sb, "ignoring reconfiguration for domain_id.")

    if test_opt(new_sbi.opt, EROFS_MOUNT_POSIX_ACL):
        fc.sb_flags |= SB_POSIXACL
    else:
        fc.sb_flags &= ~SB_POSIXACL

    sbi.opt = new_sbi.opt.copy()

    fc.sb_flags |= SB_RDONLY
    return 0


@port_of("fs/erofs/super.c", "erofs_release_device_info")
def erofs_release_device_info(id: int, ptr: erofs_device_info, data: Any) -> int:
    dif = ptr

    fs_put_dax(dif.dax_dev, None)
    if dif.file:
        fput(dif.file)
    kfree(dif.path)
    kfree(dif)
    return 0


@port_of("fs/erofs/super.c", "erofs_free_dev_context")
def erofs_free_dev_context(devs: erofs_dev_context) -> None:
    if not devs:
        return
    idr_for_each(devs.tree, erofs_release_device_info, None)
    idr_destroy(devs.tree)
    kfree(devs)


@port_of("fs/erofs/super.c", "erofs_sb_free")
def erofs_sb_free(sbi: erofs_sb_info) -> None:
    erofs_free_dev_context(sbi.devs)
    kfree_sensitive(sbi.domain_id)
    if sbi.dif0.file:
        fput(sbi.dif0.file)
    kfree(sbi.volume_name)
    kfree(sbi)


@port_of("fs/erofs/super.c", "erofs_fc_free")
def erofs_fc_free(fc: FsContext) -> None:
    sbi = fc.s_fs_info

    if sbi:     # free here if an error occurs before transferring to sb
        erofs_sb_free(sbi)


erofs_context_ops = fs_context_operations(
    parse_param=erofs_fc_parse_param,
    get_tree=erofs_fc_get_tree,
    reconfigure=erofs_fc_reconfigure,
    free=erofs_fc_free,
)


@port_of("fs/erofs/super.c", "erofs_init_fs_context")
def erofs_init_fs_context(fc: FsContext) -> int:
    sbi = kzalloc_obj(erofs_sb_info)
    if not sbi:
        return -ENOMEM

    sbi.devs = kzalloc_obj(erofs_dev_context)
    if not sbi.devs:
        kfree(sbi)
        return -ENOMEM
    fc.s_fs_info = sbi

    idr_init(sbi.devs.tree)
    init_rwsem(sbi.devs.rwsem)
    erofs_default_options(sbi)
    fc.ops = erofs_context_ops
    return 0


@port_of("fs/erofs/super.c", "erofs_drop_internal_inodes")
def erofs_drop_internal_inodes(sbi: erofs_sb_info) -> None:
    iput(sbi.packed_inode)
    sbi.packed_inode = NULL
    iput(sbi.metabox_inode)
    sbi.metabox_inode = NULL
    # CONFIG_EROFS_FS_ZIP
    iput(sbi.managed_cache)
    sbi.managed_cache = NULL


@port_of("fs/erofs/super.c", "erofs_kill_sb")
def erofs_kill_sb(sb: SuperBlock) -> None:
    sbi = EROFS_SB(sb)

    if sbi.dif0.file:
        kill_anon_super(sb)
    else:
        kill_block_super(sb)
    erofs_drop_internal_inodes(sbi)
    fs_put_dax(sbi.dif0.dax_dev, None)
    erofs_sb_free(sbi)
    sb.s_fs_info = NULL


@port_of("fs/erofs/super.c", "erofs_put_super")
def erofs_put_super(sb: SuperBlock) -> None:
    sbi = EROFS_SB(sb)

    erofs_unregister_sysfs(sb)
    if IS_ENABLED("CONFIG_EROFS_FS_ZIP"):
        zutil.erofs_shrinker_unregister(sb)
    erofs_xattr_prefixes_cleanup(sb)
    erofs_drop_internal_inodes(sbi)
    erofs_free_dev_context(sbi.devs)
    sbi.devs = NULL


erofs_fs_type = FileSystemType(
    owner="erofs",
    name="erofs",
    init_fs_context=erofs_init_fs_context,
    kill_sb=erofs_kill_sb,
    fs_flags=FS_REQUIRES_DEV | FS_ALLOW_IDMAP,
)


@port_of("fs/erofs/super.c", "erofs_free_anon_inode")
def erofs_free_anon_inode(inode: Inode) -> None:
    vi = EROFS_I(inode)

    kfree(vi.fingerprint.opaque if vi.fingerprint else 0)
    kmem_cache_free(g.erofs_inode_cachep, vi)


erofs_anon_sops = super_operations(
    alloc_inode=erofs_alloc_inode,
    drop_inode=inode_just_drop,
    free_inode=erofs_free_anon_inode,
)


@port_of("fs/erofs/super.c", "erofs_anon_init_fs_context")
def erofs_anon_init_fs_context(fc: FsContext) -> int:
    ctx = init_pseudo(fc, EROFS_SUPER_MAGIC)
    if not ctx:
        return -ENOMEM
    ctx.ops = erofs_anon_sops
    return 0


erofs_anon_fs_type = FileSystemType(        # CONFIG_EROFS_FS_PAGE_CACHE_SHARE
    name="pseudo_erofs",
    init_fs_context=erofs_anon_init_fs_context,
    kill_sb=kill_anon_super,
)


@port_of("fs/erofs/super.c", "erofs_module_init")
def erofs_module_init() -> int:
    out = Labels()

    @out.label
    def fs_err() -> None:
        ishare.erofs_exit_ishare()

    @out.label
    def ishare_err() -> None:
        erofs_exit_sysfs()

    @out.label
    def sysfs_err() -> None:
        if IS_ENABLED("CONFIG_EROFS_FS_ZIP"):
            zdata.z_erofs_exit_subsystem()

    @out.label
    def zip_err() -> None:
        if IS_ENABLED("CONFIG_EROFS_FS_ZIP"):
            zutil.erofs_exit_shrinker()

    @out.label
    def shrinker_err() -> None:
        kmem_cache_destroy(g.erofs_inode_cachep)

    erofs_check_ondisk_layout_definitions()

    g.erofs_inode_cachep = kmem_cache_create("erofs_inode", erofs_inode, 0, SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT,
                                             erofs_inode_init_once)
    if not g.erofs_inode_cachep:
        return -ENOMEM

    if IS_ENABLED("CONFIG_EROFS_FS_ZIP"):
        err = zutil.erofs_init_shrinker()
        if err:
            return out.goto(shrinker_err, err)

        err = zdata.z_erofs_init_subsystem()
        if err:
            return out.goto(zip_err, err)

    err = erofs_init_sysfs()
    if err:
        return out.goto(sysfs_err, err)

    err = ishare.erofs_init_ishare()
    if err:
        return out.goto(ishare_err, err)

    err = register_filesystem(erofs_fs_type)
    if err:
        return out.goto(fs_err, err)

    return 0


@port_of("fs/erofs/super.c", "erofs_module_exit")
def erofs_module_exit() -> None:
    unregister_filesystem(erofs_fs_type)
    ishare.erofs_exit_ishare()

    # ensure all delayed rcu free inodes & pclusters are flushed
    rcu_barrier()

    erofs_exit_sysfs()
    if IS_ENABLED("CONFIG_EROFS_FS_ZIP"):
        zdata.z_erofs_exit_subsystem()
        zutil.erofs_exit_shrinker()
    kmem_cache_destroy(g.erofs_inode_cachep)


@port_of("fs/erofs/super.c", "erofs_statfs")
def erofs_statfs(dentry: Dentry, buf: kstatfs) -> int:
    sb = dentry.d_sb
    sbi = EROFS_SB(sb)

    buf.f_type = sb.s_magic
    buf.f_bsize = sb.s_blocksize
    buf.f_blocks = sbi.total_blocks
    buf.f_bfree = buf.f_bavail = 0
    buf.f_files = ULLONG_MAX
    buf.f_ffree = u64(ULLONG_MAX - sbi.inos)
    buf.f_namelen = EROFS_NAME_LEN

    if uuid_is_null(sb.s_uuid):
        buf.f_fsid = u64_to_fsid(0 if not sb.s_bdev else huge_encode_dev(sb.s_bdev.bd_dev))
    else:
        buf.f_fsid = uuid_to_fsid(sb.s_uuid.b)
    return 0


@port_of("fs/erofs/super.c", "erofs_show_options")
def erofs_show_options(seq: SeqFile, root: Dentry) -> int:
    sbi = EROFS_SB(root.d_sb)
    opt = sbi.opt

    if IS_ENABLED("CONFIG_EROFS_FS_XATTR"):
        seq_puts(seq, ",user_xattr" if test_opt(opt, EROFS_MOUNT_XATTR_USER) else ",nouser_xattr")
    if IS_ENABLED("CONFIG_EROFS_FS_POSIX_ACL"):
        seq_puts(seq, ",acl" if test_opt(opt, EROFS_MOUNT_POSIX_ACL) else ",noacl")
    if IS_ENABLED("CONFIG_EROFS_FS_ZIP") and sbi.available_compr_algs:
        seq_printf(seq, ",cache_strategy=%s", erofs_param_cache_strategy[opt.cache_strategy].name)
    if test_opt(opt, EROFS_MOUNT_DAX_ALWAYS):
        seq_puts(seq, ",dax=always")
    if test_opt(opt, EROFS_MOUNT_DAX_NEVER):
        seq_puts(seq, ",dax=never")
    if erofs_is_fileio_mode(sbi) and test_opt(opt, EROFS_MOUNT_DIRECT_IO):
        seq_puts(seq, ",directio")
    if sbi.dif0.fsoff:
        seq_printf(seq, ",fsoffset=%llu", sbi.dif0.fsoff)
    if test_opt(opt, EROFS_MOUNT_INODE_SHARE):
        seq_puts(seq, ",inode_share")
    return 0


@port_of("fs/erofs/super.c", "erofs_evict_inode")
def erofs_evict_inode(inode: Inode) -> None:
    if IS_DAX(inode):
        dax_break_layout_final(inode)
    ishare.erofs_ishare_free_inode(inode)
    truncate_inode_pages_final(inode.i_data)
    clear_inode(inode)


erofs_sops = super_operations(
    put_super=erofs_put_super,
    alloc_inode=erofs_alloc_inode,
    free_inode=erofs_free_inode,
    evict_inode=erofs_evict_inode,
    statfs=erofs_statfs,
    show_options=erofs_show_options,
)

# the compression code needs parts of this file
from erofs_memback import decompressor, zdata, zutil  # noqa: E402
