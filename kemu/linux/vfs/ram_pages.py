# SPDX-License-Identifier: GPL-2.0-only
"""Files that live in the page cache alone: ram_aops (fs/libfs.c) and the buffered write (mm/filemap.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EFAULT, EFBIG, EINTR
from kemu.linux.filemap import FGP_WRITEBEGIN, __filemap_get_folio
from kemu.linux.folio_wait import folio_unlock
from kemu.linux.highmem import folio_zero_range
from kemu.linux.honesty import custom, dup
from kemu.linux.mapping import AddressSpace, mapping_max_folio_size
from kemu.linux.mm import flush_dcache_folio, folio_address, folio_put, folio_size
from kemu.linux.page_flags import folio_mark_uptodate, folio_test_uptodate
from kemu.linux.types import Ref, arch
from kemu.linux.uio import IovIter, copy_from_iter, iov_iter_revert, iov_iter_truncate
from kemu.linux.vfs.constants import IOCB_APPEND
from kemu.linux.vfs.inode_attr import file_update_time, mark_inode_dirty
from kemu.linux.vfs.locking import inode_lock, inode_unlock
from kemu.linux.vfs.types import Inode, Kiocb, address_space_operations
from kemu.machine.current import this
from kemu.machine.pages import Page, PG_dirty


@dup("fs/libfs.c")
def simple_read_folio(file: Any, folio: Page) -> int:
    """``static int simple_read_folio(struct file *file, struct folio *folio)``: a hole."""
    folio_zero_range(folio, 0, folio_size(folio))
    flush_dcache_folio(folio)
    folio_mark_uptodate(folio)
    folio_unlock(folio)
    return 0


@dup("fs/libfs.c")
def simple_write_begin(iocb: Kiocb | None, mapping: AddressSpace, pos: int, length: int, foliop: Ref, fsdata: Ref) -> int:
    """``int simple_write_begin(iocb, mapping, pos, len, foliop, fsdata)``: a locked folio in ``foliop``. Return: 0, or -ENOMEM."""
    folio = __filemap_get_folio(mapping, pos >> arch.PAGE_SHIFT, FGP_WRITEBEGIN, mapping.gfp_mask)
    if IS_ERR(folio):
        return PTR_ERR(folio)
    foliop.v = folio
    size = folio_size(folio)
    if not folio_test_uptodate(folio) and length != size:
        start = pos & (size - 1)
        folio_zero_range(folio, 0, start)
        folio_zero_range(folio, start + length, size - start - length)
    return 0


@dup("fs/libfs.c")
def simple_write_end(iocb: Kiocb | None, mapping: AddressSpace, pos: int, length: int, copied: int, folio: Page, fsdata: Any) -> int:
    """``static int simple_write_end(iocb, mapping, pos, len, copied, folio, fsdata)``: ``copied``."""
    inode = mapping.host
    if not folio_test_uptodate(folio):
        if copied < length:
            folio_zero_range(folio, (pos & (folio_size(folio) - 1)) + copied, length - copied)
        folio_mark_uptodate(folio)
    if pos + copied > inode.i_size:
        inode.i_size = pos + copied
    noop_dirty_folio(mapping, folio)
    folio_unlock(folio)
    folio_put(folio)
    return copied


@dup("mm/page-writeback.c")
def noop_dirty_folio(mapping: AddressSpace, folio: Page) -> bool:
    """``bool noop_dirty_folio(struct address_space *mapping, struct folio *folio)``"""
    was = folio.flags & PG_dirty
    folio.flags |= PG_dirty
    return not was


ram_aops = address_space_operations(read_folio=simple_read_folio, write_begin=simple_write_begin, write_end=simple_write_end,
                                    dirty_folio=noop_dirty_folio)


@dup("mm/filemap.c")
def generic_perform_write(iocb: Kiocb, i: IovIter) -> int:
    """``ssize_t generic_perform_write(struct kiocb *iocb, struct iov_iter *i)``. Return: bytes written, or the first error."""
    mapping = iocb.ki_filp.f_mapping
    a_ops = mapping.a_ops
    pos = iocb.ki_pos
    chunk = mapping_max_folio_size(mapping)
    written = 0
    status = 0
    while i.count:
        if this.task.pending_signal:
            status = -EINTR
            break
        nbytes = min(chunk - (pos & (chunk - 1)), i.count)
        folio_ref, fsdata = Ref(None), Ref(None)
        status = a_ops.write_begin(iocb, mapping, pos, nbytes, folio_ref, fsdata)
        if status < 0:
            break
        folio = folio_ref.v
        offset = pos & (folio_size(folio) - 1)
        nbytes = min(nbytes, folio_size(folio) - offset)
        copied = copy_from_iter(folio_address(folio) + offset, nbytes, i)
        flush_dcache_folio(folio)
        status = a_ops.write_end(iocb, mapping, pos, nbytes, copied, folio, fsdata.v)
        if status != copied:
            iov_iter_revert(i, copied - max(status, 0))
            if status < 0:
                break
        if status == 0:
            status = -EFAULT
            break
        pos += status
        written += status
    if not written:
        return status
    iocb.ki_pos += written
    return written


@custom("mm/filemap.c", "generic_file_write_iter", "no direct writes, no O_SYNC, no removal of suid bits")
def generic_file_write_iter(iocb: Kiocb, from_: IovIter) -> int:
    """``ssize_t generic_file_write_iter(struct kiocb *iocb, struct iov_iter *from)``. Return: bytes written, -EFBIG, -ENOMEM, -EFAULT."""
    file = iocb.ki_filp
    inode = file.f_mapping.host
    inode_lock(inode)
    ret = 0
    if from_.count:
        if iocb.ki_flags & IOCB_APPEND:
            iocb.ki_pos = inode.i_size
        if iocb.ki_pos >= inode.i_sb.s_maxbytes:
            ret = -EFBIG
        else:
            iov_iter_truncate(from_, inode.i_sb.s_maxbytes - iocb.ki_pos)
            ret = file_update_time(file) or generic_perform_write(iocb, from_)
    inode_unlock(inode)
    return ret


@dup("fs/namei.c")
def page_symlink(inode: Inode, symname: bytes, length: int) -> int:
    """``int page_symlink(struct inode *inode, const char *symname, int len)``: the text into the first page; ``len`` counts its NUL."""
    mapping = inode.i_mapping
    aops = mapping.a_ops
    folio, fsdata = Ref(None), Ref(None)
    err: int = aops.write_begin(None, mapping, 0, length - 1, folio, fsdata)
    if err:
        return err
    this.mem.store(folio_address(folio.v), symname[:length - 1])
    err = aops.write_end(None, mapping, 0, length - 1, length - 1, folio.v, fsdata.v)
    if err < 0:
        return err
    mark_inode_dirty(inode)
    return 0
