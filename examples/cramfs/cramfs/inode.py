# SPDX-License-Identifier: GPL-2.0-only
"""fs/cramfs/inode.c: these are the VFS interfaces to the compressed rom filesystem. The actual compression is based on zlib, see
the other files.

The block device half. Left out is what is there with CONFIG_CRAMFS_MTD only (an image that is read, and mapped, where it lies in
memory): cramfs_direct_read, cramfs_get_block_range, cramfs_last_page_is_shared, cramfs_physmem_mmap and its kin,
cramfs_mtd_fill_super; a comment stands where they were called.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.blkdev import bdev_fput, bdev_nr_bytes, sync_blockdev
from kemu.linux.dcache import Dentry, d_make_root, d_splice_alias
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EINVAL, EIO, ENOMEM, ENOPROTOOPT
from kemu.linux.fs import (
    FS_REQUIRES_DEV,
    I_NEW,
    SB_RDONLY,
    SB_SILENT,
    DirContext,
    File,
    FileSystemType,
    Inode,
    SuperBlock,
    address_space_operations,
    dir_emit,
    file_inode,
    file_operations,
    generic_file_llseek,
    generic_read_dir,
    generic_shutdown_super,
    i_gid_write,
    i_uid_write,
    iget_failed,
    iget_locked,
    init_special_inode,
    inode_nohighmem,
    inode_operations,
    inode_set_atime_to_ts,
    inode_set_ctime_to_ts,
    inode_set_mtime_to_ts,
    inode_state_read_once,
    page_symlink_inode_operations,
    register_filesystem,
    super_operations,
    sync_filesystem,
    unlock_new_inode,
    unregister_filesystem,
)
from kemu.linux.fs_context import FsContext, errorfc, fs_context_operations, get_tree_bdev, infofc
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.highmem import kmap_local_folio, kunmap_local, memcpy_from_page
from kemu.linux.init import module_init, only_if
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kdev_t import huge_encode_dev, old_decode_dev
from kemu.linux.mm import Page, flush_dcache_folio, offset_in_page, put_page
from kemu.linux.mutex import mutex, mutex_lock, mutex_unlock
from kemu.linux.page import arch
from kemu.linux.pagemap import FileRaState, file_ra_state_init, folio_end_read, page_cache_sync_readahead, read_mapping_page
from kemu.linux.port.honesty import port_of
from kemu.linux.port.layout import sizeof
from kemu.linux.port.statics import per_machine, statics
from kemu.linux.printk import KERN_DEBUG, pr_err, printk
from kemu.linux.slab import kfree, kmalloc, kzalloc_obj
from kemu.linux.stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK, S_ISDIR
from kemu.linux.statfs import kstatfs, u64_to_fsid
from kemu.linux.string import get_char, mem_read, memcpy, memset
from kemu.linux.time64 import timespec64
from kemu.linux.types import NULL, Ref, s32, u32, ulong
from kemu.linux.unaligned import get_unaligned_le16, get_unaligned_le32

from cramfs.cramfs_fs import (
    CRAMFS_BLK_DIRECT_PTR_SHIFT,
    CRAMFS_BLK_FLAG_DIRECT_PTR,
    CRAMFS_BLK_FLAG_UNCOMPRESSED,
    CRAMFS_BLK_FLAGS,
    CRAMFS_FLAG_FSID_VERSION_2,
    CRAMFS_FLAG_SHIFTED_ROOT_OFFSET,
    CRAMFS_FLAG_SORTED_DIRS,
    CRAMFS_MAXPATHLEN,
    CRAMFS_SUPPORTED_FLAGS,
    cramfs_inode,
    cramfs_root,
    cramfs_super,
)
from cramfs.linux.fs import generic_ro_fops, generic_setlease
from cramfs.linux.magic import CRAMFS_MAGIC, CRAMFS_MAGIC_WEND
from cramfs.linux.static import static_chars
from cramfs.uncompress import cramfs_uncompress_block, cramfs_uncompress_exit, cramfs_uncompress_init


class cramfs_sb_info:
    """cramfs super-block data in memory. (linear_virt_addr, linear_phys_addr, mtd_point_size: CONFIG_CRAMFS_MTD)"""

    __slots__ = ("magic", "size", "blocks", "files", "flags")

    def __init__(self) -> None:
        self.magic = 0
        self.size = 0
        self.blocks = 0
        self.files = 0
        self.flags = 0


@port_of("fs/cramfs/inode.c", "CRAMFS_SB")
def CRAMFS_SB(sb: SuperBlock) -> cramfs_sb_info:
    return sb.s_fs_info             # type: ignore[no-any-return]


# These macros may change in future, to provide better st_ino semantics.
@port_of("fs/cramfs/inode.c", "OFFSET")
def OFFSET(x: Inode) -> int:
    return x.i_ino


@port_of("fs/cramfs/inode.c", "cramino")
def cramino(cino: cramfs_inode | cramfs_root, offset: int) -> int:
    if not cino.offset:
        return u32(offset + 1)
    if not cino.size:
        return u32(offset + 1)

    # The file mode test fixes buggy mkcramfs implementations where cramfs_inode->offset is set to a non zero value for entries
    # which did not contain data, like devices node and fifos.
    if cino.mode & S_IFMT in (S_IFREG, S_IFDIR, S_IFLNK):
        return cino.offset << 2
    return u32(offset + 1)


@port_of("fs/cramfs/inode.c", "get_cramfs_inode")
def get_cramfs_inode(sb: SuperBlock, cramfs_inode: cramfs_inode | cramfs_root, offset: int) -> Any:
    zerotime = timespec64(0, 0)

    inode = iget_locked(sb, cramino(cramfs_inode, offset))
    if not inode:
        return ERR_PTR(-ENOMEM)
    if not inode_state_read_once(inode) & I_NEW:
        return inode

    fmt = cramfs_inode.mode & S_IFMT
    if fmt == S_IFREG:
        inode.i_fop = generic_ro_fops
        inode.i_data.a_ops = cramfs_aops
        # CONFIG_CRAMFS_MTD: with CRAMFS_FLAG_EXT_BLOCK_POINTERS and a linear_phys_addr, i_fop is cramfs_physmem_fops
    elif fmt == S_IFDIR:
        inode.i_op = cramfs_dir_inode_operations
        inode.i_fop = cramfs_directory_operations
    elif fmt == S_IFLNK:
        inode.i_op = page_symlink_inode_operations
        inode_nohighmem(inode)
        inode.i_data.a_ops = cramfs_aops
    elif fmt in (S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK):
        init_special_inode(inode, cramfs_inode.mode, old_decode_dev(cramfs_inode.size))
    else:
        printk(KERN_DEBUG + "CRAMFS: Invalid file type 0%04o for inode %llu.\n", inode.i_mode, inode.i_ino)
        iget_failed(inode)
        return ERR_PTR(-EIO)

    inode.i_mode = cramfs_inode.mode
    i_uid_write(inode, cramfs_inode.uid)
    i_gid_write(inode, cramfs_inode.gid)

    # if the lower 2 bits are zero, the inode contains data
    if not inode.i_ino & 3:
        inode.i_size = cramfs_inode.size
        inode.i_blocks = (cramfs_inode.size - 1) // 512 + 1

    # Struct copy intentional
    inode_set_mtime_to_ts(inode, inode_set_atime_to_ts(inode, inode_set_ctime_to_ts(inode, zerotime)))
    # inode->i_nlink is left 1 - arguably wrong for directories, but it's the best we can do without reading the directory
    # contents.  1 yields the right result in GNU find, even without -noleaf option.

    unlock_new_inode(inode)

    return inode


# We have our own block cache: don't fill up the buffer cache with the rom-image, because the way the filesystem is set up the
# accesses should be fairly regular and cached in the page cache and dentry tree anyway..
#
# This also acts as a way to guarantee contiguous areas of up to BLKS_PER_BUF*PAGE_SIZE, so that the caller doesn't need to worry
# about end-of-buffer issues even when decompressing a full page cache.
#
# Note: This is all optimized away at compile time when
#       CONFIG_CRAMFS_BLOCKDEV=n.
READ_BUFFERS = 2


# NEXT_BUFFER(): Loop over [0..(READ_BUFFERS-1)].
@port_of("fs/cramfs/inode.c", "NEXT_BUFFER")
def NEXT_BUFFER(_ix: int) -> int:
    return _ix ^ 1


# BLKS_PER_BUF_SHIFT should be at least 2 to allow for "compressed" data that takes up more space than the original and with
# unlucky alignment.
BLKS_PER_BUF_SHIFT = 2
BLKS_PER_BUF = 1 << BLKS_PER_BUF_SHIFT


@port_of("fs/cramfs/inode.c", "BUFFER_SIZE")
def BUFFER_SIZE() -> int:
    return BLKS_PER_BUF * arch.PAGE_SIZE


@statics
class g:
    read_mutex = per_machine(lambda: mutex("read_mutex"))
    read_buffers = per_machine(lambda: static_chars("read_buffers", READ_BUFFERS, BUFFER_SIZE))
    buffer_blocknr = [0] * READ_BUFFERS
    buffer_dev: list[SuperBlock | None] = [None] * READ_BUFFERS
    next_buffer = 0


@port_of("fs/cramfs/inode.c", "cramfs_blkdev_read")
def cramfs_blkdev_read(sb: SuperBlock, offset: int, len: int) -> int:
    """Populate our block cache and return a pointer to it."""
    mapping = sb.s_bdev.bd_mapping
    ra = FileRaState()
    pages: list[Page | None] = [None] * BLKS_PER_BUF

    if not len:
        return 0
    blocknr = offset >> arch.PAGE_SHIFT
    offset &= arch.PAGE_SIZE - 1

    # Check if an existing buffer already has the data..
    for i in range(READ_BUFFERS):
        if g.buffer_dev[i] is not sb:
            continue
        if blocknr < g.buffer_blocknr[i]:
            continue
        blk_offset = u32((blocknr - g.buffer_blocknr[i]) << arch.PAGE_SHIFT)
        blk_offset = u32(blk_offset + offset)
        if blk_offset > BUFFER_SIZE() or u32(blk_offset + len) > BUFFER_SIZE():
            continue
        return g.read_buffers[i] + blk_offset

    devsize = bdev_nr_bytes(sb.s_bdev) >> arch.PAGE_SHIFT

    # Ok, read in BLKS_PER_BUF pages completely first.
    file_ra_state_init(ra, mapping)
    page_cache_sync_readahead(mapping, ra, None, blocknr, BLKS_PER_BUF)

    for i in range(BLKS_PER_BUF):
        page = None

        if u32(blocknr + i) < devsize:
            page = read_mapping_page(mapping, u32(blocknr + i), None)
            # synchronous error?
            if IS_ERR(page):
                page = None
        pages[i] = page

    buffer = g.next_buffer
    g.next_buffer = NEXT_BUFFER(buffer)
    g.buffer_blocknr[buffer] = blocknr
    g.buffer_dev[buffer] = sb

    data = g.read_buffers[buffer]
    for i in range(BLKS_PER_BUF):
        page = pages[i]

        if page:
            memcpy_from_page(data, page, 0, arch.PAGE_SIZE)
            put_page(page)
        else:
            memset(data, 0, arch.PAGE_SIZE)
        data += arch.PAGE_SIZE
    return g.read_buffers[buffer] + offset


# CONFIG_CRAMFS_MTD: cramfs_direct_read


@port_of("fs/cramfs/inode.c", "cramfs_read")
def cramfs_read(sb: SuperBlock, offset: int, len: int) -> int:
    """Returns a pointer to a buffer containing at least LEN bytes of filesystem starting at byte offset OFFSET into the
    filesystem."""
    # CONFIG_CRAMFS_MTD: cramfs_direct_read(), if there is a linear_virt_addr
    if IS_ENABLED("CONFIG_CRAMFS_BLOCKDEV"):
        return cramfs_blkdev_read(sb, offset, len)
    else:
        return 0


# CONFIG_CRAMFS_MTD: cramfs_get_block_range to cramfs_physmem_fops


@port_of("fs/cramfs/inode.c", "cramfs_kill_sb")
def cramfs_kill_sb(sb: SuperBlock) -> None:
    sbi = CRAMFS_SB(sb)

    generic_shutdown_super(sb)

    # CONFIG_CRAMFS_MTD: the device of an s_mtd is put
    if IS_ENABLED("CONFIG_CRAMFS_BLOCKDEV") and sb.s_bdev:
        sync_blockdev(sb.s_bdev)
        bdev_fput(sb.s_bdev_file)
    kfree(sbi)


@port_of("fs/cramfs/inode.c", "cramfs_reconfigure")
def cramfs_reconfigure(fc: FsContext) -> int:
    assert fc.root is not None
    sync_filesystem(fc.root.d_sb)
    fc.sb_flags |= SB_RDONLY
    return 0


@port_of("fs/cramfs/inode.c", "cramfs_read_super")
def cramfs_read_super(sb: SuperBlock, fc: FsContext, super: Ref) -> int:
    sbi = CRAMFS_SB(sb)
    silent = fc.sb_flags & SB_SILENT

    # We don't know the real size yet
    sbi.size = arch.PAGE_SIZE

    # Read the first block and get the superblock from it
    mutex_lock(g.read_mutex)
    super.v = cramfs_super(cramfs_read(sb, 0, sizeof(cramfs_super)))
    mutex_unlock(g.read_mutex)

    # Do sanity checks on the superblock
    if super.v.magic != CRAMFS_MAGIC:
        # check for wrong endianness
        if super.v.magic == CRAMFS_MAGIC_WEND:
            if not silent:
                errorfc(fc, "wrong endianness")
            return -EINVAL

        # check at 512 byte offset
        mutex_lock(g.read_mutex)
        super.v = cramfs_super(cramfs_read(sb, 512, sizeof(cramfs_super)))
        mutex_unlock(g.read_mutex)
        if super.v.magic != CRAMFS_MAGIC:
            if super.v.magic == CRAMFS_MAGIC_WEND and not silent:
                errorfc(fc, "wrong endianness")
            elif not silent:
                errorfc(fc, "wrong magic")
            return -EINVAL

    # get feature flags first
    if super.v.flags & ~CRAMFS_SUPPORTED_FLAGS:
        errorfc(fc, "unsupported filesystem features")
        return -EINVAL

    # Check that the root inode is in a sane state
    if not S_ISDIR(super.v.root.mode):
        errorfc(fc, "root is not a directory")
        return -EINVAL
    # correct strange, hard-coded permissions of mkcramfs
    super.v.root.mode |= 0o555

    root_offset = ulong(super.v.root.offset << 2)
    if super.v.flags & CRAMFS_FLAG_FSID_VERSION_2:
        sbi.size = super.v.size
        sbi.blocks = super.v.fsid.blocks
        sbi.files = super.v.fsid.files
    else:
        sbi.size = 1 << 28
        sbi.blocks = 0
        sbi.files = 0
    sbi.magic = super.v.magic
    sbi.flags = super.v.flags
    if root_offset == 0:
        infofc(fc, "empty filesystem")
    elif (not super.v.flags & CRAMFS_FLAG_SHIFTED_ROOT_OFFSET and
          (root_offset != sizeof(cramfs_super) and
           root_offset != 512 + sizeof(cramfs_super))):
        errorfc(fc, "bad root offset %lu", root_offset)
        return -EINVAL

    return 0


@port_of("fs/cramfs/inode.c", "cramfs_finalize_super")
def cramfs_finalize_super(sb: SuperBlock, cramfs_root: cramfs_inode | cramfs_root) -> int:
    # Set it all up..
    sb.s_flags |= SB_RDONLY
    sb.s_time_min = 0
    sb.s_time_max = 0
    sb.s_op = cramfs_ops
    root = get_cramfs_inode(sb, cramfs_root, 0)
    if IS_ERR(root):
        return PTR_ERR(root)
    sb.s_root = d_make_root(root)
    if not sb.s_root:
        return -ENOMEM
    return 0


@port_of("fs/cramfs/inode.c", "cramfs_blkdev_fill_super")
def cramfs_blkdev_fill_super(sb: SuperBlock, fc: FsContext) -> int:
    super = Ref()

    sbi = kzalloc_obj(cramfs_sb_info)
    if not sbi:
        return -ENOMEM
    sb.s_fs_info = sbi

    # Invalidate the read buffers on mount: think disk change..
    for i in range(READ_BUFFERS):
        g.buffer_blocknr[i] = u32(-1)

    err = cramfs_read_super(sb, fc, super)
    if err:
        return err
    return cramfs_finalize_super(sb, super.v.root)


# CONFIG_CRAMFS_MTD: cramfs_mtd_fill_super


@port_of("fs/cramfs/inode.c", "cramfs_statfs")
def cramfs_statfs(dentry: Dentry, buf: kstatfs) -> int:
    sb = dentry.d_sb
    id = 0

    if sb.s_bdev:
        id = huge_encode_dev(sb.s_bdev.bd_dev)
    elif sb.s_dev:
        id = huge_encode_dev(sb.s_dev)

    buf.f_type = CRAMFS_MAGIC
    buf.f_bsize = arch.PAGE_SIZE
    buf.f_blocks = CRAMFS_SB(sb).blocks
    buf.f_bfree = 0
    buf.f_bavail = 0
    buf.f_files = CRAMFS_SB(sb).files
    buf.f_ffree = 0
    buf.f_fsid = u64_to_fsid(id)
    buf.f_namelen = CRAMFS_MAXPATHLEN
    return 0


@port_of("fs/cramfs/inode.c", "cramfs_readdir")
def cramfs_readdir(file: File, ctx: DirContext) -> int:
    """Read a cramfs directory entry."""
    inode = file_inode(file)
    sb = inode.i_sb

    # Offset within the thing.
    if ctx.pos >= inode.i_size:
        return 0
    offset = u32(ctx.pos)
    # Directory entries are always 4-byte aligned
    if offset & 3:
        return -EINVAL

    buf = kmalloc(CRAMFS_MAXPATHLEN, GFP_KERNEL)
    if not buf:
        return -ENOMEM

    while offset < inode.i_size:
        mutex_lock(g.read_mutex)
        de = cramfs_inode(cramfs_read(sb, u32(OFFSET(inode) + offset), sizeof(cramfs_inode) + CRAMFS_MAXPATHLEN))
        name = de[1].p

        # Namelengths on disk are shifted by two and the name padded out to 4-byte boundaries with zeroes.
        namelen = de.namelen << 2
        memcpy(buf, name, namelen)
        ino = cramino(de, u32(OFFSET(inode) + offset))
        mode = de.mode
        mutex_unlock(g.read_mutex)
        nextoffset = ulong(offset + sizeof(cramfs_inode) + namelen)
        while True:
            if not namelen:
                kfree(buf)
                return -EIO
            if get_char(buf + namelen - 1):
                break
            namelen -= 1
        if not dir_emit(ctx, buf, namelen, ino, mode >> 12):
            break

        ctx.pos = offset = u32(nextoffset)
    kfree(buf)
    return 0


@port_of("fs/cramfs/inode.c", "cramfs_lookup")
def cramfs_lookup(dir: Inode, dentry: Dentry, flags: int) -> Any:
    """Lookup and fill in the inode data.."""
    offset = 0
    inode: Inode = NULL

    try:    # out: mutex_unlock()
        mutex_lock(g.read_mutex)
        sorted = CRAMFS_SB(dir.i_sb).flags & CRAMFS_FLAG_SORTED_DIRS
        while offset < dir.i_size:
            dir_off = s32(OFFSET(dir) + offset)

            de = cramfs_inode(cramfs_read(dir.i_sb, u32(dir_off), sizeof(cramfs_inode) + CRAMFS_MAXPATHLEN))
            name = de[1].p

            # Try to take advantage of sorted directories
            if sorted and dentry.d_name.name[0] < get_char(name):
                break

            namelen = de.namelen << 2
            offset = u32(offset + sizeof(cramfs_inode) + namelen)

            # Quick check that the name is roughly the right length
            if (dentry.d_name.len + 3) & ~3 != namelen:
                continue

            while True:
                if not namelen:
                    inode = ERR_PTR(-EIO)
                    break
                if get_char(name + namelen - 1):
                    break
                namelen -= 1
            if not namelen:         # goto out
                break
            if namelen != dentry.d_name.len:
                continue
            found = mem_read(name, namelen)
            retval = (dentry.d_name.name > found) - (dentry.d_name.name < found)    # memcmp()
            if retval > 0:
                continue
            if not retval:
                inode = get_cramfs_inode(dir.i_sb, de, u32(dir_off))
                break
            # else (retval < 0)
            if sorted:
                break
    finally:
        mutex_unlock(g.read_mutex)
    return d_splice_alias(inode, dentry)


@port_of("fs/cramfs/inode.c", "cramfs_read_folio")
def cramfs_read_folio(file: File | None, folio: Page) -> int:
    inode = folio.mapping.host
    success = False

    maxblock = u32((inode.i_size + arch.PAGE_SIZE - 1) >> arch.PAGE_SHIFT)
    bytes_filled = 0
    pgdata = kmap_local_folio(folio, 0)

    try:    # err: kunmap_local(), folio_end_read()
        if folio.index < maxblock:
            sb = inode.i_sb
            blkptr_offset = u32(OFFSET(inode) + folio.index * 4)

            mutex_lock(g.read_mutex)
            block_ptr = get_unaligned_le32(cramfs_read(sb, blkptr_offset, 4))
            uncompressed = bool(block_ptr & CRAMFS_BLK_FLAG_UNCOMPRESSED)
            direct = bool(block_ptr & CRAMFS_BLK_FLAG_DIRECT_PTR)
            block_ptr &= ~CRAMFS_BLK_FLAGS

            if direct:
                # The block pointer is an absolute start pointer, shifted by 2 bits. The size is included in the first 2 bytes of
                # the data block when compressed, or PAGE_SIZE otherwise.
                block_start = u32(block_ptr << CRAMFS_BLK_DIRECT_PTR_SHIFT)
                if uncompressed:
                    block_len = arch.PAGE_SIZE
                    # if last block: cap to file length
                    if folio.index == maxblock - 1:
                        block_len = offset_in_page(inode.i_size)
                else:
                    block_len = get_unaligned_le16(cramfs_read(sb, block_start, 2))
                    block_start = u32(block_start + 2)
            else:
                # The block pointer indicates one past the end of the current block (start of next block). If this is the first
                # block then it starts where the block pointer table ends, otherwise its start comes from the previous block's
                # pointer.
                block_start = u32(OFFSET(inode) + maxblock * 4)
                if folio.index:
                    block_start = get_unaligned_le32(cramfs_read(sb, u32(blkptr_offset - 4), 4))
                # Beware... previous ptr might be a direct ptr
                if block_start & CRAMFS_BLK_FLAG_DIRECT_PTR:
                    # See comments on earlier code.
                    prev_start = block_start
                    block_start = prev_start & ~CRAMFS_BLK_FLAGS
                    block_start = u32(block_start << CRAMFS_BLK_DIRECT_PTR_SHIFT)
                    if prev_start & CRAMFS_BLK_FLAG_UNCOMPRESSED:
                        block_start = u32(block_start + arch.PAGE_SIZE)
                    else:
                        block_len = get_unaligned_le16(cramfs_read(sb, block_start, 2))
                        block_start = u32(block_start + 2 + block_len)
                block_start &= ~CRAMFS_BLK_FLAGS
                block_len = u32(block_ptr - block_start)

            if block_len == 0:
                pass                # hole
            elif block_len > 2 * arch.PAGE_SIZE or (uncompressed and block_len > arch.PAGE_SIZE):
                mutex_unlock(g.read_mutex)
                pr_err("cramfs: bad data blocksize %u\n", block_len)
                return 0            # goto err
            elif uncompressed:
                memcpy(pgdata, cramfs_read(sb, block_start, block_len), block_len)
                bytes_filled = block_len
            else:
                bytes_filled = cramfs_uncompress_block(pgdata, arch.PAGE_SIZE, cramfs_read(sb, block_start, block_len), block_len)
            mutex_unlock(g.read_mutex)
            if bytes_filled < 0:
                return 0            # goto err

        memset(pgdata + bytes_filled, 0, arch.PAGE_SIZE - bytes_filled)
        flush_dcache_folio(folio)

        success = True
    finally:
        kunmap_local(pgdata)
        folio_end_read(folio, success)
    return 0


cramfs_aops = address_space_operations(
    read_folio=cramfs_read_folio,
)

# Our operations:

# A directory can only readdir
cramfs_directory_operations = file_operations(
    llseek=generic_file_llseek,
    read=generic_read_dir,
    iterate_shared=cramfs_readdir,
    setlease=generic_setlease,
)

cramfs_dir_inode_operations = inode_operations(
    lookup=cramfs_lookup,
)

cramfs_ops = super_operations(
    statfs=cramfs_statfs,
)


@port_of("fs/cramfs/inode.c", "cramfs_get_tree")
def cramfs_get_tree(fc: FsContext) -> int:
    ret = -ENOPROTOOPT

    # CONFIG_CRAMFS_MTD: get_tree_mtd(fc, cramfs_mtd_fill_super) first
    if IS_ENABLED("CONFIG_CRAMFS_BLOCKDEV"):
        ret = get_tree_bdev(fc, cramfs_blkdev_fill_super)
    return ret


cramfs_context_ops = fs_context_operations(
    get_tree=cramfs_get_tree,
    reconfigure=cramfs_reconfigure,
)


@port_of("fs/cramfs/inode.c", "cramfs_init_fs_context")
def cramfs_init_fs_context(fc: FsContext) -> int:
    """Set up the filesystem mount context."""
    fc.ops = cramfs_context_ops
    return 0


cramfs_fs_type = FileSystemType(
    owner="cramfs",
    name="cramfs",
    init_fs_context=cramfs_init_fs_context,
    kill_sb=cramfs_kill_sb,
    fs_flags=FS_REQUIRES_DEV,
)


@only_if("CONFIG_CRAMFS")
@module_init
@port_of("fs/cramfs/inode.c", "init_cramfs_fs")
def init_cramfs_fs() -> int:
    rv = cramfs_uncompress_init()
    if rv < 0:
        return rv
    rv = register_filesystem(cramfs_fs_type)
    if rv < 0:
        cramfs_uncompress_exit()
    return rv


@port_of("fs/cramfs/inode.c", "exit_cramfs_fs")
def exit_cramfs_fs() -> None:
    cramfs_uncompress_exit()
    unregister_filesystem(cramfs_fs_type)
