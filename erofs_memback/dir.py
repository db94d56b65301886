# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/dir.c: readdir."""
from __future__ import annotations

from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EFSCORRUPTED, ERESTARTSYS
from kemu.linux.fs import (
    DirContext,
    File,
    Inode,
    dir_emit,
    dir_emit_dot,
    file_inode,
    file_operations,
    generic_file_llseek,
    generic_read_dir,
)
from kemu.linux.fs_dirent import fs_ftype_to_dtype
from kemu.linux.math import DIV_ROUND_UP_POW2, in_range32, min_t, roundup
from kemu.linux.page import arch
from kemu.linux.pagemap import page_cache_sync_readahead, ra_has_index
from kemu.linux.port.honesty import port_of
from kemu.linux.port.layout import View
from kemu.linux.sched import cond_resched, current, fatal_signal_pending
from kemu.linux.string import mem_read, strnlen
from kemu.linux.types import u32

from erofs_memback.data import erofs_bread, erofs_put_metabuf
from erofs_memback.inode import erofs_ioctl
from erofs_memback.internal import (
    DBG_BUGON,
    EROFS_I,
    EROFS_I_SB,
    EROFS_NAME_LEN,
    EROFS_SB,
    erofs_blknr,
    erofs_blkoff,
    erofs_buf,
    erofs_dirent,
    erofs_err,
    erofs_nid_to_ino64,
)

_SIZEOF_DIRENT = erofs_dirent.SIZE


@port_of("fs/erofs/dir.c", "erofs_fill_dentries")
def erofs_fill_dentries(dir: Inode, ctx: DirContext, dentry_blk: int, de: View, nameoff0: int, maxsize: int) -> int:
    end = dentry_blk + nameoff0

    while de.p < end:
        d_type = fs_ftype_to_dtype(de.file_type)
        nameoff = de.nameoff
        de_name = dentry_blk + nameoff

        # non-trailing dirent in the directory block?
        if de.p + _SIZEOF_DIRENT < end:
            de_namelen = u32(de[1].nameoff - nameoff)
        elif maxsize <= nameoff:
            break           # goto err_bogus
        else:
            de_namelen = strnlen(de_name, maxsize - nameoff)

        # a corrupted entry is found (including negative namelen)
        if not in_range32(de_namelen, 1, EROFS_NAME_LEN) or u32(nameoff + de_namelen) > maxsize:
            break           # goto err_bogus

        if not dir_emit(ctx, mem_read(de_name, de_namelen), de_namelen, erofs_nid_to_ino64(EROFS_SB(dir.i_sb), de.nid), d_type):
            return 1
        de = de[1]
        ctx.pos += _SIZEOF_DIRENT
    else:
        return 0
    # err_bogus:
    erofs_err(dir.i_sb, "bogus dirent @ nid %llu", EROFS_I(dir).nid)
    DBG_BUGON(1)
    return -EFSCORRUPTED


@port_of("fs/erofs/dir.c", "erofs_readdir")
def erofs_readdir(f: File, ctx: DirContext) -> int:
    dir = file_inode(f)
    buf = erofs_buf()
    sb = dir.i_sb
    ra = f.f_ra
    bsz = sb.s_blocksize
    ofs = erofs_blkoff(sb, ctx.pos)
    ra_pages = DIV_ROUND_UP_POW2(EROFS_I_SB(dir).dir_ra_bytes, arch.PAGE_SIZE)
    nr_pages = DIV_ROUND_UP_POW2(dir.i_size, arch.PAGE_SIZE)
    err = 0
    initial = True

    buf.mapping = dir.i_mapping
    while ctx.pos < dir.i_size:
        dbstart = ctx.pos - ofs

        if fatal_signal_pending(current()):
            err = -ERESTARTSYS
            break

        # readahead blocks to enhance performance for large directories
        if ra_pages:
            idx = DIV_ROUND_UP_POW2(ctx.pos, arch.PAGE_SIZE)
            pages = min((nr_pages - idx) & arch.ULONG_MAX, ra_pages)

            if pages > 1 and not ra_has_index(ra, idx):
                page_cache_sync_readahead(dir.i_mapping, ra, f, idx, pages)

        de = erofs_bread(buf, dbstart, True)
        if IS_ERR(de):
            erofs_err(sb, "failed to readdir of logical block %llu of nid %llu", erofs_blknr(sb, dbstart), EROFS_I(dir).nid)
            err = PTR_ERR(de)
            break

        de = erofs_dirent(de)
        nameoff = de.nameoff
        if not nameoff or nameoff >= bsz or nameoff % _SIZEOF_DIRENT:
            erofs_err(sb, "invalid de[0].nameoff %u @ nid %llu", nameoff, EROFS_I(dir).nid)
            err = -EFSCORRUPTED
            break

        maxsize = min_t(u32, dir.i_size - dbstart, bsz)
        # search dirents at the arbitrary position
        if initial:
            initial = False
            ofs = roundup(ofs, _SIZEOF_DIRENT)
            ctx.pos = dbstart + ofs

        err = erofs_fill_dentries(dir, ctx, de.p, erofs_dirent(de.p + ofs), nameoff, maxsize)
        if err:
            break
        ctx.pos = dbstart + maxsize
        ofs = 0
        cond_resched()
    erofs_put_metabuf(buf)
    if EROFS_I(dir).dot_omitted and ctx.pos == dir.i_size:
        if not dir_emit_dot(f, ctx):
            return 0
        ctx.pos += 1
    return err if err < 0 else 0


erofs_dir_fops = file_operations(
    llseek=generic_file_llseek,
    read=generic_read_dir,
    iterate_shared=erofs_readdir,
    unlocked_ioctl=erofs_ioctl,
)
