# SPDX-License-Identifier: GPL-2.0-only
"""Port of init/do_mounts_rd.c (Linux 7.2): an initrd that is a file system image is copied to /dev/ram."""
from __future__ import annotations

from kemu.linux.byteorder import le32_to_cpup
from kemu.linux.decompress import decompress_fn, decompress_method
from kemu.linux.err import IS_ERR
from kemu.linux.errno import ENOMEM
from kemu.linux.fcntl import O_RDONLY, O_RDWR
from kemu.linux.file import fput
from kemu.linux.fs import File, filp_open, i_size_read, kernel_read, kernel_write
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.init import __setup, panic
from kemu.linux.init_syscalls import init_unlink
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kstrtox import kstrtoint
from kemu.linux.port.goto import Labels
from kemu.linux.port.honesty import port_of
from kemu.linux.port.statics import statics
from kemu.linux.printk import KERN_EMERG, KERN_ERR, KERN_NOTICE, pr_cont, pr_emerg, pr_notice, pr_warn, printk
from kemu.linux.slab import kfree, kmalloc
from kemu.linux.stat import S_ISBLK
from kemu.linux.string import mem_read, memset
from kemu.linux.types import NULL, Ref, u64
from kemu.linux.unaligned import get_unaligned_be32, get_unaligned_le16, get_unaligned_le32, get_unaligned_le64

BLOCK_SIZE, BLOCK_SIZE_BITS = 1024, 10
ROMSB = b"-rom1fs-"
CRAMFS_MAGIC, SQUASHFS_MAGIC = 0x28CD3D45, 0x73717368
MINIX_SUPER_MAGIC, MINIX_SUPER_MAGIC2, EXT2_SUPER_MAGIC = 0x137F, 0x138F, 0xEF53
EXT2_SB_MAGIC_OFFSET, EXT2_SB_BLOCKS_OFFSET, EXT2_SB_BSIZE_OFFSET = 0x38, 0x04, 0x18


@statics
class g:
    in_file: File = NULL
    out_file: File = NULL
    in_pos: Ref
    out_pos: Ref
    rd_image_start: Ref
    exit_code = 0
    decompress_error = 0


@__setup("ramdisk_start=", "CONFIG_BLK_DEV_RAM")
@port_of("init/do_mounts_rd.c", "ramdisk_start_setup")
def ramdisk_start_setup(str: str) -> int:
    pr_warn("ramdisk_start= option is deprecated and will be removed soon\n")
    return int(kstrtoint(str, 0, g.rd_image_start) == 0)


@port_of("include/linux/ext2_fs.h", "ext2_image_size")
def ext2_image_size(ext2_sb: int) -> int:
    p = ext2_sb
    if get_unaligned_le16(p + EXT2_SB_MAGIC_OFFSET) != EXT2_SUPER_MAGIC:
        return 0
    # a shift of 64 or more is undefined in C; x86 takes the count modulo 64
    return u64(le32_to_cpup(p + EXT2_SB_BLOCKS_OFFSET) << (le32_to_cpup(p + EXT2_SB_BSIZE_OFFSET) & 63))


@port_of("init/do_mounts_rd.c", "identify_ramdisk_image")
def identify_ramdisk_image(file: File, pos: Ref, decompressor: Ref) -> int:
    """Number of blocks to read, 0 if the image is compressed, -1 if no image was found."""
    size = 512
    nblocks = -1
    compress_name = Ref(None)
    start_block = g.rd_image_start.v

    buf = kmalloc(size, GFP_KERNEL)
    if not buf:
        return -ENOMEM
    try:
        memset(buf, 0xE5, size)

        # Read block 0 to test for compressed kernel
        pos.v = start_block * BLOCK_SIZE
        kernel_read(file, buf, size, pos)

        decompressor.v = decompress_method(buf, size, compress_name)
        if compress_name.v:
            printk(KERN_NOTICE + "RAMDISK: %s image found at block %d\n", compress_name.v, start_block)
            if not decompressor.v:
                printk(KERN_EMERG + "RAMDISK: %s decompressor not configured!\n", compress_name.v)
            nblocks = 0
            return nblocks

        # romfs is at block zero too
        if mem_read(buf, 8) == ROMSB:
            printk(KERN_NOTICE + "RAMDISK: romfs filesystem found at block %d\n", start_block)
            nblocks = (get_unaligned_be32(buf + 8) + BLOCK_SIZE - 1) >> BLOCK_SIZE_BITS
            return nblocks

        if get_unaligned_le32(buf) == CRAMFS_MAGIC:
            printk(KERN_NOTICE + "RAMDISK: cramfs filesystem found at block %d\n", start_block)
            nblocks = (get_unaligned_le32(buf + 4) + BLOCK_SIZE - 1) >> BLOCK_SIZE_BITS
            return nblocks

        # squashfs is at block zero too
        if get_unaligned_le32(buf) == SQUASHFS_MAGIC:
            printk(KERN_NOTICE + "RAMDISK: squashfs filesystem found at block %d\n", start_block)
            nblocks = (get_unaligned_le64(buf + 40) + BLOCK_SIZE - 1) >> BLOCK_SIZE_BITS
            return nblocks

        # Read 512 bytes further to check if cramfs is padded
        pos.v = start_block * BLOCK_SIZE + 0x200
        kernel_read(file, buf, size, pos)

        if get_unaligned_le32(buf) == CRAMFS_MAGIC:
            printk(KERN_NOTICE + "RAMDISK: cramfs filesystem found at block %d\n", start_block)
            nblocks = (get_unaligned_le32(buf + 4) + BLOCK_SIZE - 1) >> BLOCK_SIZE_BITS
            return nblocks

        # Read block 1 to test for minix and ext2 superblock
        pos.v = (start_block + 1) * BLOCK_SIZE
        kernel_read(file, buf, size, pos)

        # Try minix
        if get_unaligned_le16(buf + 16) in (MINIX_SUPER_MAGIC, MINIX_SUPER_MAGIC2):
            printk(KERN_NOTICE + "RAMDISK: Minix filesystem found at block %d\n", start_block)
            nblocks = get_unaligned_le16(buf + 2) << get_unaligned_le16(buf + 10)
            return nblocks

        # Try ext2
        n = ext2_image_size(buf)
        if n:
            printk(KERN_NOTICE + "RAMDISK: ext2 filesystem found at block %d\n", start_block)
            nblocks = n
            return nblocks

        printk(KERN_NOTICE + "RAMDISK: Couldn't find valid RAM disk image starting at %d.\n", start_block)
        return nblocks
    finally:
        # done:
        kfree(buf)


@port_of("init/do_mounts_rd.c", "nr_blocks")
def nr_blocks(file: File) -> int:
    inode = file.f_mapping.host

    if not S_ISBLK(inode.i_mode):
        return 0
    return i_size_read(inode) >> 10


@port_of("init/do_mounts_rd.c", "rd_load_image")
def rd_load_image() -> int:
    res = 0
    buf = 0
    rotate = 0
    decompressor = Ref(None)
    labels = Labels()

    @labels.label
    def done() -> None:
        fput(g.in_file)

    @labels.label
    def noclose_input() -> None:
        fput(g.out_file)

    @labels.label
    def out() -> None:
        kfree(buf)
        init_unlink("/dev/ram")

    g.out_file = filp_open("/dev/ram", O_RDWR, 0)
    if IS_ERR(g.out_file):
        return labels.goto(out, res)

    g.in_file = filp_open("/initrd.image", O_RDONLY, 0)
    if IS_ERR(g.in_file):
        return labels.goto(noclose_input, res)

    g.in_pos.v = g.rd_image_start.v * BLOCK_SIZE
    nblocks = identify_ramdisk_image(g.in_file, Ref(g.in_pos.v), decompressor)
    if nblocks < 0:
        return labels.goto(done, res)

    if nblocks == 0:
        if crd_load(decompressor.v) == 0:
            res = 1             # successful_load
        return labels.goto(done, res)

    # NOTE NOTE: nblocks is not actually blocks but the number of kibibytes of data to load into a ramdisk.
    rd_blocks = nr_blocks(g.out_file)
    if nblocks > rd_blocks:
        printk("RAMDISK: image too big! (%dKiB/%ldKiB)\n", nblocks, rd_blocks)
        return labels.goto(done, res)

    # OK, time to copy in the data
    buf = kmalloc(BLOCK_SIZE, GFP_KERNEL)
    if not buf:
        printk(KERN_ERR + "RAMDISK: could not allocate buffer\n")
        return labels.goto(done, res)

    pr_notice("RAMDISK: Loading %dKiB [%ld disk%s] into ram disk... ", nblocks, 1, "")
    for i in range(nblocks):
        kernel_read(g.in_file, buf, BLOCK_SIZE, g.in_pos)
        kernel_write(g.out_file, buf, BLOCK_SIZE, g.out_pos)
        if not IS_ENABLED("CONFIG_S390") and not i % 16:
            pr_cont("%c\b", "|/-\\"[rotate & 0x3])
            rotate += 1
    pr_cont("done.\n")

    # successful_load:
    res = 1
    return labels.goto(done, res)


@port_of("init/do_mounts_rd.c", "compr_fill")
def compr_fill(buf: int, len_: int) -> int:
    r = kernel_read(g.in_file, buf, len_, g.in_pos)
    if r < 0:
        printk(KERN_ERR + "RAMDISK: error while reading compressed data")
    elif r == 0:
        printk(KERN_ERR + "RAMDISK: EOF while reading compressed data")
    return r


@port_of("init/do_mounts_rd.c", "compr_flush")
def compr_flush(window: int, outcnt: int) -> int:
    written = kernel_write(g.out_file, window, outcnt, g.out_pos)
    if written != outcnt:
        if g.decompress_error == 0:
            printk(KERN_ERR + "RAMDISK: incomplete write (%ld != %ld)\n", written, outcnt)
        g.decompress_error = 1
        return -1
    return outcnt


@port_of("init/do_mounts_rd.c", "error")
def error(x: str) -> None:
    printk(KERN_ERR + "%s\n", x)
    g.exit_code = 1
    g.decompress_error = 1


@port_of("init/do_mounts_rd.c", "crd_load")
def crd_load(deco: decompress_fn) -> int:
    if not deco:
        pr_emerg("Invalid ramdisk decompression routine.  Select appropriate config option.\n")
        panic("Could not decompress initial ramdisk image.")

    result = deco(0, 0, compr_fill, compr_flush, 0, Ref(0), error)
    if g.decompress_error:
        result = 1
    return result
