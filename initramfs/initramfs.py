# SPDX-License-Identifier: GPL-2.0-only
"""Port of init/initramfs.c (Linux 7.2): the cpio unpacker, populate_rootfs(), and what becomes of the initrd's memory."""
from __future__ import annotations

from binascii import Error, unhexlify
from struct import Struct

from kemu.linux.async_ import ASYNC_DOMAIN_EXCLUSIVE, async_schedule_domain, async_synchronize_cookie_domain
from kemu.linux.decompress import decompress_method
from kemu.linux.err import IS_ERR
from kemu.linux.errno import EAGAIN, EINTR
from kemu.linux.fcntl import AT_SYMLINK_NOFOLLOW, O_CREAT, O_LARGEFILE, O_TRUNC, O_WRONLY
from kemu.linux.file import fput
from kemu.linux.fs import Kstat, filp_open, kernel_write, vfs_fchmod, vfs_fchown, vfs_truncate, vfs_utimes
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.honesty import port_of
from kemu.linux.init import EXPORT_SYMBOL_GPL, __setup, extern, only_if, panic, rootfs_initcall
from kemu.linux.init_syscalls import (
    init_chmod,
    init_chown,
    init_link,
    init_mkdir,
    init_mknod,
    init_rmdir,
    init_stat,
    init_symlink,
    init_unlink,
    init_utimes,
)
from kemu.linux.initrd import initrd
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kdev_t import MKDEV, new_encode_dev
from kemu.linux.kstrtox import kstrtobool
from kemu.linux.list import list_add, list_del, list_for_each_entry
from kemu.linux.math import round_down, round_up
from kemu.linux.memblock import __va, free_reserved_area, memblock_is_region_memory, memblock_is_region_reserved, memblock_reserve
from kemu.linux.page import arch
from kemu.linux.printk import KERN_EMERG, KERN_INFO, pr_debug, pr_err, pr_warn_once, printk
from kemu.linux.security import security_initramfs_populated
from kemu.linux.slab import kfree, kmalloc, kmalloc_obj
from kemu.linux.stat import S_IFMT, S_ISBLK, S_ISCHR, S_ISDIR, S_ISFIFO, S_ISLNK, S_ISREG, S_ISSOCK
from kemu.linux.statics import statics
from kemu.linux.string import c_path, get_char, leading_nuls, mem_read, memcpy, memset, put_char, sum_bytes
from kemu.linux.sysfs import bin_attribute, firmware_kobj, sysfs_bin_attr_simple_read, sysfs_create_bin_file
from kemu.linux.time64 import timespec64
from kemu.linux.types import Ref, list_head, s32, s64, u32, ulong
from kemu.linux.umh import usermodehelper_enable

from initramfs.do_mounts_h import init_flush_fput

CPIO_HDRLEN = 110
be32_header = Struct(">13I")        # __be32 header[13]
PATH_MAX = 4096
POISON_FREE_INITMEM = 0xCC


def N_ALIGN(len_: int) -> int:
    """``N_ALIGN(len)``"""
    return ((len_ + 1) & ~3) + 2


class hash_entry:
    """``struct hash``"""

    __slots__ = ("ino", "major", "minor", "mode", "name", "next")

    def __init__(self) -> None:
        self.ino = self.minor = self.major = 0
        self.mode = 0
        self.next: hash_entry | None = None
        self.name = ""


class dir_entry:
    """``struct dir_entry``"""

    __slots__ = ("list", "mtime", "name")

    def __init__(self) -> None:
        self.list = list_head(self)
        self.mtime = 0
        self.name = ""


# enum state
Start, Collect, GotHeader, SkipIt, GotName, CopyFile, GotSymlink, Reset = range(8)

# bufs of unpack_to_rootfs(): char header[CPIO_HDRLEN]; char symlink[PATH_MAX + N_ALIGN(PATH_MAX) + 1]; char name[N_ALIGN(PATH_MAX)];
SYMLINK_OFS = CPIO_HDRLEN
NAME_OFS = SYMLINK_OFS + PATH_MAX + N_ALIGN(PATH_MAX) + 1
SIZEOF_BUFS = NAME_OFS + N_ALIGN(PATH_MAX)

g = statics(csum_present=False, io_csum=0, message=None, head=lambda: [None] * 32, hardlink_seen=False, dir_list=list_head, mtime=0,
            ino=0, major=0, minor=0, nlink=0, mode=0, body_len=0, name_len=0, uid=0, gid=0, rdev=0, hdr_csum=0,
            state=Start, next_state=Start, victim=0, byte_count=0, this_header=0, next_header=0,
            collected=0, remains=0, collect=0, header_buf=0, symlink_buf=0, name_buf=0, wfile=None, wfile_pos=lambda: Ref(0),
            my_inptr=lambda: Ref(0), do_retain_initrd=0, initramfs_async=lambda: Ref(True),
            bin_attr_initrd=lambda: bin_attribute("initrd", 0o440, sysfs_bin_attr_simple_read),
            initramfs_domain=ASYNC_DOMAIN_EXCLUSIVE("initramfs_domain"), initramfs_cookie=0)


@port_of("init/initramfs.c", "xwrite")
def xwrite(file, p, count, pos):
    out = 0

    # sys_write only can write MAX_RW_COUNT aka 2G-4K bytes at most
    while count:
        rv = kernel_write(file, p, count, pos)

        if rv < 0:
            if rv == -EINTR or rv == -EAGAIN:
                continue
            return out if out else rv
        elif rv == 0:
            break

        if g.csum_present:
            g.io_csum = u32(g.io_csum + sum_bytes(p, rv))

        p += rv
        out += rv
        count -= rv

    return out


@port_of("init/initramfs.c", "error")
def error(x):
    if not g.message:
        g.message = x


def panic_show_mem(fmt, *args):
    """``panic_show_mem(fmt, ...)``: show_mem() has nothing to add here."""
    panic(fmt, *args)


# link hash

@port_of("init/initramfs.c", "hash")
def hash(major, minor, ino):
    tmp = ulong(s32(s32(ino) + s32(minor) + s32(s32(major) << 3)))
    tmp = ulong(tmp + (tmp >> 5))
    return tmp & 31


@port_of("init/initramfs.c", "find_link")
def find_link(major, minor, ino, mode, name):
    major, minor, ino = s32(major), s32(minor), s32(ino)
    h = hash(major, minor, ino)
    last = None
    p = g.head[h]
    while p is not None:
        if p.ino == ino and p.minor == minor and p.major == major and not (p.mode ^ mode) & S_IFMT:
            return p.name
        last = p
        p = p.next
    q = kmalloc_obj(hash_entry)
    if q is None:
        panic_show_mem("can't allocate link hash entry")
    q.major = major
    q.minor = minor
    q.ino = ino
    q.mode = mode
    q.name = name
    q.next = None
    if last is None:
        g.head[h] = q
    else:
        last.next = q
    g.hardlink_seen = True
    return None


@port_of("init/initramfs.c", "free_hash")
def free_hash():
    if g.hardlink_seen:
        for i in range(32):
            while g.head[i] is not None:
                q = g.head[i]
                g.head[i] = q.next
                kfree(q)
    g.hardlink_seen = False


# CONFIG_INITRAMFS_PRESERVE_MTIME

@port_of("init/initramfs.c", "do_utime")
def do_utime(filename, mtime):
    if not IS_ENABLED("CONFIG_INITRAMFS_PRESERVE_MTIME"):
        return
    t = (timespec64(mtime, 0),) * 2
    init_utimes(filename, t)


@port_of("init/initramfs.c", "do_utime_path")
def do_utime_path(path, mtime):
    if not IS_ENABLED("CONFIG_INITRAMFS_PRESERVE_MTIME"):
        return
    t = (timespec64(mtime, 0),) * 2
    vfs_utimes(path, t)


@port_of("init/initramfs.c", "dir_add")
def dir_add(name, nlen, mtime):
    if not IS_ENABLED("CONFIG_INITRAMFS_PRESERVE_MTIME"):
        return
    de = kmalloc_obj(dir_entry)
    if de is None:
        panic_show_mem("can't allocate dir_entry buffer")
    de.name = name          # strscpy(de->name, name, nlen): nlen counts the NUL
    de.mtime = mtime
    list_add(de.list, g.dir_list)


@port_of("init/initramfs.c", "dir_utime")
def dir_utime():
    for de in list_for_each_entry(g.dir_list):
        list_del(de.list)
        do_utime(de.name, de.mtime)
        kfree(de)


# cpio header parsing

@port_of("init/initramfs.c", "parse_header")
def parse_header(s):
    try:
        # hex2bin((u8 *)header, s + 6, sizeof(header))
        b = unhexlify(mem_read(s + 6, 104))
    except Error:
        error("damaged header")
        return -22
    header = be32_header.unpack(b)

    g.ino = header[0]
    g.mode = header[1] & 0xFFFF         # umode_t
    g.uid = header[2]
    g.gid = header[3]
    g.nlink = header[4]
    g.mtime = header[5]                 # breaks in y2106
    g.body_len = header[6]
    g.major = header[7]
    g.minor = header[8]
    g.rdev = new_encode_dev(MKDEV(header[9], header[10]))
    g.name_len = header[11]
    g.hdr_csum = header[12]
    return 0


# Finite-state machine

@port_of("init/initramfs.c", "eat")
def eat(n):
    n = u32(n)
    g.victim += n
    g.this_header += n
    g.byte_count -= n


@port_of("init/initramfs.c", "read_into")
def read_into(buf, size, next):
    if g.byte_count >= size:
        g.collected = g.victim
        eat(size)
        g.state = next
    else:
        g.collect = g.collected = buf
        g.remains = size
        g.next_state = next
        g.state = Collect


@port_of("init/initramfs.c", "do_start")
def do_start():
    read_into(g.header_buf, CPIO_HDRLEN, GotHeader)
    return 0


@port_of("init/initramfs.c", "do_collect")
def do_collect():
    n = g.remains
    if g.byte_count < n:
        n = g.byte_count
    memcpy(g.collect, g.victim, n)
    eat(n)
    g.collect += n
    g.remains -= n
    if g.remains != 0:
        return 1
    g.state = g.next_state
    return 0


@port_of("init/initramfs.c", "do_header")
def do_header():
    magic = mem_read(g.collected, 6)
    if magic == b"070701":
        g.csum_present = False
    elif magic == b"070702":
        g.csum_present = True
    else:
        if magic == b"070707":
            error("incorrect cpio method used: use -H newc option")
        else:
            error("no cpio magic")
        return 1
    if parse_header(g.collected):
        return 1
    g.next_header = s64(g.this_header + ulong(ulong(N_ALIGN(g.name_len)) + g.body_len))
    g.next_header = (g.next_header + 3) & ~3
    g.state = SkipIt
    if g.name_len <= 0 or g.name_len > PATH_MAX:
        return 0
    if S_ISLNK(g.mode):
        if g.body_len > PATH_MAX:
            return 0
        g.collect = g.collected = g.symlink_buf
        g.remains = N_ALIGN(g.name_len) + g.body_len
        g.next_state = GotSymlink
        g.state = Collect
        return 0
    if S_ISREG(g.mode) or not g.body_len:
        read_into(g.name_buf, N_ALIGN(g.name_len), GotName)
    return 0


@port_of("init/initramfs.c", "do_skip")
def do_skip():
    if g.this_header + g.byte_count < g.next_header:
        eat(g.byte_count)
        return 1
    else:
        eat(g.next_header - g.this_header)
        g.state = g.next_state
        return 0


@port_of("init/initramfs.c", "do_reset")
def do_reset():
    # while (byte_count && *victim == '\0') eat(1);
    while g.byte_count:
        n = leading_nuls(g.victim, min(g.byte_count, 1 << 20))
        if not n:
            break
        eat(n)
    if g.byte_count and g.this_header & 3:
        error("broken padding")
    return 1


@port_of("init/initramfs.c", "clean_path")
def clean_path(path, fmode):
    st = Kstat()

    if not init_stat(path, st, AT_SYMLINK_NOFOLLOW) and (st.mode ^ fmode) & S_IFMT:
        if S_ISDIR(st.mode):
            init_rmdir(path)
        else:
            init_unlink(path)


@port_of("init/initramfs.c", "maybe_link")
def maybe_link(collected):
    if g.nlink >= 2:
        old = find_link(g.major, g.minor, g.ino, g.mode, collected)
        if old is not None:
            clean_path(collected, 0)
            return -1 if init_link(old, collected) < 0 else 1
    return 0


@port_of("init/initramfs.c", "do_name")
def do_name():
    g.state = SkipIt
    g.next_state = Reset

    # name_len > 0 && name_len <= PATH_MAX checked in do_header
    if get_char(g.collected + g.name_len - 1) != 0:
        pr_err("initramfs name without nulterm: %.*s\n", g.name_len, mem_read(g.collected, g.name_len))
        error("malformed archive")
        return 1

    collected = c_path(g.collected)
    if collected == "TRAILER!!!":
        free_hash()
        return 0
    mode = g.mode
    clean_path(collected, mode)
    if S_ISREG(mode):
        ml = maybe_link(collected)
        if ml >= 0:
            openflags = O_WRONLY | O_CREAT | O_LARGEFILE
            if ml != 1:
                openflags |= O_TRUNC
            wfile = g.wfile = filp_open(collected, openflags, mode)
            if IS_ERR(wfile):
                return 0
            g.wfile_pos.v = 0
            g.io_csum = 0

            vfs_fchown(wfile, g.uid, g.gid)
            vfs_fchmod(wfile, mode)
            if g.body_len:
                vfs_truncate(wfile.f_path, g.body_len)
            g.state = CopyFile
    elif S_ISDIR(mode):
        init_mkdir(collected, mode)
        init_chown(collected, g.uid, g.gid, 0)
        init_chmod(collected, mode)
        dir_add(collected, g.name_len, g.mtime)
    elif S_ISBLK(mode) or S_ISCHR(mode) or S_ISFIFO(mode) or S_ISSOCK(mode):
        if maybe_link(collected) == 0:
            init_mknod(collected, mode, g.rdev)
            init_chown(collected, g.uid, g.gid, 0)
            init_chmod(collected, mode)
            do_utime(collected, g.mtime)
    return 0


@port_of("init/initramfs.c", "do_copy")
def do_copy():
    if g.byte_count >= g.body_len:
        if xwrite(g.wfile, g.victim, g.body_len, g.wfile_pos) != g.body_len:
            error("write error")

        do_utime_path(g.wfile.f_path, g.mtime)
        fput(g.wfile)
        if g.csum_present and g.io_csum != g.hdr_csum:
            error("bad data checksum")
        eat(g.body_len)
        g.state = SkipIt
        return 0
    else:
        if xwrite(g.wfile, g.victim, g.byte_count, g.wfile_pos) != g.byte_count:
            error("write error")
        g.body_len -= g.byte_count
        eat(g.byte_count)
        return 1


@port_of("init/initramfs.c", "do_symlink")
def do_symlink():
    if get_char(g.collected + g.name_len - 1) != 0:
        pr_err("initramfs symlink without nulterm: %.*s\n", g.name_len, mem_read(g.collected, g.name_len))
        error("malformed archive")
        return 1
    put_char(g.collected + N_ALIGN(g.name_len) + g.body_len, 0)
    collected = c_path(g.collected)
    clean_path(collected, 0)
    init_symlink(c_path(g.collected + N_ALIGN(g.name_len)), collected)
    init_chown(collected, g.uid, g.gid, AT_SYMLINK_NOFOLLOW)
    do_utime(collected, g.mtime)
    g.state = SkipIt
    g.next_state = Reset
    return 0


actions = [do_start, do_collect, do_header, do_skip, do_name, do_copy, do_symlink, do_reset]


@port_of("init/initramfs.c", "write_buffer")
def write_buffer(buf, len_):
    g.byte_count = len_
    g.victim = buf

    while not actions[g.state]():
        pass
    return len_ - g.byte_count


@port_of("init/initramfs.c", "flush_buffer")
def flush_buffer(bufv, len_):
    buf = bufv
    origLen = len_
    if g.message:
        return -1
    while True:
        written = write_buffer(buf, len_)
        if not (written < len_ and not g.message):
            break
        c = get_char(buf + written)
        if c == 0x30:
            buf += written
            len_ -= written
            g.state = Start
        elif c == 0:
            buf += written
            len_ -= written
            g.state = Reset
        else:
            error("junk within compressed archive")
    return origLen


@port_of("init/initramfs.c", "unpack_to_rootfs")
def unpack_to_rootfs(buf, len_):
    """Decompress and extract an initramfs archive: None for success or an error message."""
    bufs = kmalloc(SIZEOF_BUFS, GFP_KERNEL)
    if not bufs:
        panic_show_mem("can't allocate buffers")

    g.header_buf = bufs
    g.symlink_buf = bufs + SYMLINK_OFS
    g.name_buf = bufs + NAME_OFS

    compress_name = Ref(None)
    g.state = Start
    g.this_header = 0
    g.message = None
    while not g.message and len_:
        saved_offset = g.this_header
        first = get_char(buf)
        if first == 0x30 and not g.this_header & 3:
            g.state = Start
            written = write_buffer(buf, len_)
            buf += written
            len_ -= written
            continue
        if not first:
            # buf++, len--, this_header++ for each: no step in a run of NULs but the last can be a '0' at a multiple of 4
            n = leading_nuls(buf, min(len_, 1 << 20))
            buf += n
            len_ -= n
            g.this_header += n
            continue
        g.this_header = 0
        decompress = decompress_method(buf, len_, compress_name)
        pr_debug("Detected %s compressed data\n", compress_name.v)
        if decompress:
            res = decompress(buf, len_, None, flush_buffer, 0, g.my_inptr, error)
            if res:
                error("decompressor failed")
        elif compress_name.v:
            pr_err("compression method %s not configured\n", compress_name.v)
            error("decompressor failed")
        else:
            error("invalid magic at start of compressed archive")
        if g.state != Reset:
            error("junk at the end of compressed archive")
        g.this_header = saved_offset + g.my_inptr.v
        buf += g.my_inptr.v
        len_ -= g.my_inptr.v
    dir_utime()
    # free any hardlink state collected without optional TRAILER!!!
    free_hash()
    kfree(bufs)
    return g.message


@__setup("retain_initrd", "CONFIG_BLK_DEV_INITRD")
@port_of("init/initramfs.c", "retain_initrd_param")
def retain_initrd_param(str):
    if str:
        return 0
    g.do_retain_initrd = 1
    return 1


@__setup("keepinitrd", "CONFIG_ARCH_HAS_KEEPINITRD")
@port_of("init/initramfs.c", "keepinitrd_setup")
def keepinitrd_setup(__unused):
    if not IS_ENABLED("CONFIG_ARCH_HAS_KEEPINITRD"):
        return 0
    g.do_retain_initrd = 1
    return 1


@__setup("initramfs_async=", "CONFIG_BLK_DEV_INITRD")
@port_of("init/initramfs.c", "initramfs_async_setup")
def initramfs_async_setup(str):
    return int(kstrtobool(str, g.initramfs_async) == 0)


@extern
@port_of("init/initramfs.c", "reserve_initrd_mem")
def reserve_initrd_mem():
    # Ignore the virtual address computed during device tree parsing
    initrd.initrd_start = initrd.initrd_end = 0

    if not initrd.phys_initrd_size:
        return

    # Round the memory region to page boundaries as per free_initrd_mem(). This allows us to detect whether the pages overlapping the
    # initrd are in use, but more importantly, reserves the entire set of pages as we don't want these pages allocated for other purposes.
    start = round_down(initrd.phys_initrd_start, arch.PAGE_SIZE)
    size = initrd.phys_initrd_size + (initrd.phys_initrd_start - start)
    size = round_up(size, arch.PAGE_SIZE)

    disable = False
    if not memblock_is_region_memory(start, size):
        pr_err("INITRD: 0x%08llx+0x%08lx is not a memory region", start, size)
        disable = True
    elif memblock_is_region_reserved(start, size):
        pr_err("INITRD: 0x%08llx+0x%08lx overlaps in-use memory region\n", start, size)
        disable = True
    if disable:
        printk(" - disabling initrd\n")
        initrd.initrd_start = 0
        initrd.initrd_end = 0
        return

    memblock_reserve(start, size)
    # Now convert initrd to virtual addresses
    initrd.initrd_start = __va(initrd.phys_initrd_start)
    initrd.initrd_end = initrd.initrd_start + initrd.phys_initrd_size
    initrd.initrd_below_start_ok = 1


@port_of("init/initramfs.c", "free_initrd_mem")
def free_initrd_mem(start, end):
    free_reserved_area(start, end, POISON_FREE_INITMEM, "initrd")


@port_of("init/initramfs.c", "kexec_free_initrd")
def kexec_free_initrd():
    if not IS_ENABLED("CONFIG_CRASH_RESERVE"):
        return False
    crashk_start = __va(initrd.crashk_start)
    crashk_end = __va(initrd.crashk_end)

    # If the initrd region is overlapped with crashkernel reserved region, free only memory that is not part of crashkernel region.
    if initrd.initrd_start >= crashk_end or initrd.initrd_end <= crashk_start:
        return False

    # Initialize initrd memory region since the kexec boot does not do.
    memset(initrd.initrd_start, 0, initrd.initrd_end - initrd.initrd_start)
    if initrd.initrd_start < crashk_start:
        free_initrd_mem(initrd.initrd_start, crashk_start)
    if initrd.initrd_end > crashk_end:
        free_initrd_mem(crashk_end, initrd.initrd_end)
    return True


@port_of("init/initramfs.c", "populate_initrd_image")
def populate_initrd_image(err):
    pos = Ref(0)

    printk(KERN_INFO + "rootfs image is not initramfs (%s); looks like an initrd\n", err)
    file = filp_open("/initrd.image", O_WRONLY | O_CREAT | O_LARGEFILE, 0o700)
    if IS_ERR(file):
        return

    written = xwrite(file, initrd.initrd_start, initrd.initrd_end - initrd.initrd_start, pos)
    if written != initrd.initrd_end - initrd.initrd_start:
        pr_err("/initrd.image: incomplete write (%zd != %ld)\n", written, initrd.initrd_end - initrd.initrd_start)
    fput(file)


@port_of("init/initramfs.c", "do_populate_rootfs")
def do_populate_rootfs(unused, cookie):
    # Load the built in initramfs
    err = unpack_to_rootfs(initrd.initramfs_start, initrd.initramfs_size)
    if err:
        panic_show_mem("%s", err)       # Failed to decompress INTERNAL initramfs

    if initrd.initrd_start and not IS_ENABLED("CONFIG_INITRAMFS_FORCE"):
        if IS_ENABLED("CONFIG_BLK_DEV_RAM"):
            printk(KERN_INFO + "Trying to unpack rootfs image as initramfs...\n")
        else:
            printk(KERN_INFO + "Unpacking initramfs...\n")

        err = unpack_to_rootfs(initrd.initrd_start, initrd.initrd_end - initrd.initrd_start)
        if err:
            if IS_ENABLED("CONFIG_BLK_DEV_RAM"):
                populate_initrd_image(err)
            else:
                printk(KERN_EMERG + "Initramfs unpacking failed: %s\n", err)

    # done:
    security_initramfs_populated()

    # If the initrd region is overlapped with crashkernel reserved region, free only memory that is not part of crashkernel region.
    if not g.do_retain_initrd and initrd.initrd_start and not kexec_free_initrd():
        free_initrd_mem(initrd.initrd_start, initrd.initrd_end)
    elif g.do_retain_initrd and initrd.initrd_start:
        g.bin_attr_initrd.size = initrd.initrd_end - initrd.initrd_start
        g.bin_attr_initrd.private = initrd.initrd_start
        if sysfs_create_bin_file(firmware_kobj(), g.bin_attr_initrd):
            pr_err("Failed to create initrd sysfs file")
    initrd.initrd_start = 0
    initrd.initrd_end = 0

    init_flush_fput()


@EXPORT_SYMBOL_GPL
@port_of("init/initramfs.c", "wait_for_initramfs")
def wait_for_initramfs():
    if not g.initramfs_cookie:
        # Something before rootfs_initcall wants to access the filesystem/initramfs. Probably a bug. Make a note, avoid deadlocking the
        # machine, and let the caller's access fail as it used to.
        pr_warn_once("wait_for_initramfs() called before rootfs_initcalls\n")
        return
    async_synchronize_cookie_domain(g.initramfs_cookie + 1, g.initramfs_domain)


@only_if("CONFIG_BLK_DEV_INITRD")
@rootfs_initcall
@port_of("init/initramfs.c", "populate_rootfs")
def populate_rootfs():
    g.initramfs_cookie = async_schedule_domain(do_populate_rootfs, None, g.initramfs_domain)
    usermodehelper_enable()
    if not g.initramfs_async.v:
        wait_for_initramfs()
    return 0
