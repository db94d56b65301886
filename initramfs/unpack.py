# SPDX-License-Identifier: GPL-2.0-only
"""Port of init/initramfs.c (Linux 7.2), the first part: the cpio unpacker. Its callers import it from initramfs.initramfs."""
from __future__ import annotations

from binascii import Error, unhexlify
from struct import Struct
from typing import Any, NoReturn

from kemu.linux.async_ import ASYNC_DOMAIN_EXCLUSIVE
from kemu.linux.decompress import decompress_method
from kemu.linux.err import IS_ERR
from kemu.linux.errno import EAGAIN, EINTR
from kemu.linux.fcntl import AT_SYMLINK_NOFOLLOW, O_CREAT, O_LARGEFILE, O_TRUNC, O_WRONLY
from kemu.linux.file import fput
from kemu.linux.fs import PATH_MAX, File, Kstat, filp_open, kernel_write, vfs_fchmod, vfs_fchown, vfs_truncate, vfs_utimes
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.init import panic
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
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kdev_t import MKDEV, new_encode_dev
from kemu.linux.list import list_add, list_del, list_for_each_entry
from kemu.linux.path import Path
from kemu.linux.port.honesty import port_of
from kemu.linux.port.statics import per_machine, statics
from kemu.linux.printk import pr_debug, pr_err
from kemu.linux.slab import kfree, kmalloc, kmalloc_obj
from kemu.linux.stat import S_IFMT, S_ISBLK, S_ISCHR, S_ISDIR, S_ISFIFO, S_ISLNK, S_ISREG, S_ISSOCK
from kemu.linux.string import c_path, get_char, leading_nuls, mem_read, memcpy, put_char, sum_bytes
from kemu.linux.sysfs import bin_attribute, sysfs_bin_attr_simple_read
from kemu.linux.time64 import timespec64
from kemu.linux.types import NULL, Ref, list_head, ptr_to, s32, s64, u32, ulong

CPIO_HDRLEN = 110
be32_header = Struct(">13I")        # __be32 header[13]


def N_ALIGN(len_: int) -> int:
    """``N_ALIGN(len)``"""
    return ((len_ + 1) & ~3) + 2


class hash_entry:
    """``struct hash``"""

    __slots__ = ("ino", "major", "minor", "mode", "name", "next")

    def __init__(self) -> None:
        self.ino = self.minor = self.major = 0
        self.mode = 0
        self.next: hash_entry = NULL
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

# bufs of unpack_to_rootfs(): char header[CPIO_HDRLEN]; char symlink[PATH_MAX + N_ALIGN(PATH_MAX) + 1]; char
# name[N_ALIGN(PATH_MAX)];
SYMLINK_OFS = CPIO_HDRLEN
NAME_OFS = SYMLINK_OFS + PATH_MAX + N_ALIGN(PATH_MAX) + 1
SIZEOF_BUFS = NAME_OFS + N_ALIGN(PATH_MAX)


@statics
class g:
    csum_present = False
    io_csum = 0
    message: str = NULL
    head: list[Any] = per_machine(lambda: [Ref(NULL) for _ in range(32)])
    hardlink_seen = False
    dir_list: list_head
    mtime = 0

    ino = major = minor = nlink = 0
    mode = 0
    body_len = name_len = 0
    uid = gid = 0
    rdev = 0
    hdr_csum = 0

    state = Start
    next_state = Start
    victim = 0
    byte_count = 0
    this_header = next_header = 0
    collected = 0
    remains = 0
    collect = 0
    header_buf = symlink_buf = name_buf = 0
    wfile: File = NULL
    wfile_pos: Ref
    my_inptr: Ref
    do_retain_initrd = 0
    initramfs_async = per_machine(lambda: Ref(True))
    bin_attr_initrd = per_machine(lambda: bin_attribute("initrd", 0o440, sysfs_bin_attr_simple_read))
    initramfs_domain = per_machine(ASYNC_DOMAIN_EXCLUSIVE("initramfs_domain"))
    initramfs_cookie = 0


@port_of("init/initramfs.c", "xwrite")
def xwrite(file: File, p: int, count: int, pos: Ref) -> int:
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
def error(x: str) -> None:
    if not g.message:
        g.message = x


def panic_show_mem(fmt: str, *args: Any) -> NoReturn:
    """``panic_show_mem(fmt, ...)``: show_mem() has nothing to add here."""
    panic(fmt, *args)


# link hash

@port_of("init/initramfs.c", "hash")
def hash(major: int, minor: int, ino: int) -> int:
    tmp = ulong(s32(s32(ino) + s32(minor) + s32(s32(major) << 3)))
    tmp = ulong(tmp + (tmp >> 5))
    return tmp & 31


@port_of("init/initramfs.c", "find_link")
def find_link(major: int, minor: int, ino: int, mode: int, name: str) -> str:
    major, minor, ino = s32(major), s32(minor), s32(ino)
    p = g.head[hash(major, minor, ino)]
    while p.v:
        if p.v.ino != ino:
            p = ptr_to(p.v, "next")
            continue
        if p.v.minor != minor:
            p = ptr_to(p.v, "next")
            continue
        if p.v.major != major:
            p = ptr_to(p.v, "next")
            continue
        if (p.v.mode ^ mode) & S_IFMT:
            p = ptr_to(p.v, "next")
            continue
        return p.v.name
    q = kmalloc_obj(hash_entry)
    if q is None:
        panic_show_mem("can't allocate link hash entry")
    q.major = major
    q.minor = minor
    q.ino = ino
    q.mode = mode
    q.name = name
    q.next = NULL
    p.v = q
    g.hardlink_seen = True
    return NULL


@port_of("init/initramfs.c", "free_hash")
def free_hash() -> None:
    if g.hardlink_seen:
        for p in g.head:
            while p.v:
                q = p.v
                p.v = q.next
                kfree(q)
    g.hardlink_seen = False


# CONFIG_INITRAMFS_PRESERVE_MTIME

@port_of("init/initramfs.c", "do_utime")
def do_utime(filename: str, mtime: int) -> None:
    if not IS_ENABLED("CONFIG_INITRAMFS_PRESERVE_MTIME"):
        return
    t = (timespec64(mtime, 0),) * 2
    init_utimes(filename, t)


@port_of("init/initramfs.c", "do_utime_path")
def do_utime_path(path: Path, mtime: int) -> None:
    if not IS_ENABLED("CONFIG_INITRAMFS_PRESERVE_MTIME"):
        return
    t = (timespec64(mtime, 0),) * 2
    vfs_utimes(path, t)


@port_of("init/initramfs.c", "dir_add")
def dir_add(name: str, nlen: int, mtime: int) -> None:
    if not IS_ENABLED("CONFIG_INITRAMFS_PRESERVE_MTIME"):
        return
    de = kmalloc_obj(dir_entry)
    if de is None:
        panic_show_mem("can't allocate dir_entry buffer")
    de.name = name          # strscpy(de->name, name, nlen): nlen counts the NUL
    de.mtime = mtime
    list_add(de.list, g.dir_list)


@port_of("init/initramfs.c", "dir_utime")
def dir_utime() -> None:
    for de in list_for_each_entry(g.dir_list):
        list_del(de.list)
        do_utime(de.name, de.mtime)
        kfree(de)


# cpio header parsing

@port_of("init/initramfs.c", "parse_header")
def parse_header(s: int) -> int:
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
def eat(n: int) -> None:
    n = u32(n)
    g.victim += n
    g.this_header += n
    g.byte_count -= n


@port_of("init/initramfs.c", "read_into")
def read_into(buf: int, size: int, next: int) -> None:
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
def do_start() -> int:
    read_into(g.header_buf, CPIO_HDRLEN, GotHeader)
    return 0


@port_of("init/initramfs.c", "do_collect")
def do_collect() -> int:
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
def do_header() -> int:
    if mem_read(g.collected, 6) == b"070701":
        g.csum_present = False
    elif mem_read(g.collected, 6) == b"070702":
        g.csum_present = True
    else:
        if mem_read(g.collected, 6) == b"070707":
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
def do_skip() -> int:
    if g.this_header + g.byte_count < g.next_header:
        eat(g.byte_count)
        return 1
    else:
        eat(g.next_header - g.this_header)
        g.state = g.next_state
        return 0


@port_of("init/initramfs.c", "do_reset")
def do_reset() -> int:
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
def clean_path(path: str, fmode: int) -> None:
    st = Kstat()

    if not init_stat(path, st, AT_SYMLINK_NOFOLLOW) and (st.mode ^ fmode) & S_IFMT:
        if S_ISDIR(st.mode):
            init_rmdir(path)
        else:
            init_unlink(path)


@port_of("init/initramfs.c", "maybe_link")
def maybe_link(collected: str) -> int:
    if g.nlink >= 2:
        old = find_link(g.major, g.minor, g.ino, g.mode, collected)
        if old is not None:
            clean_path(collected, 0)
            return -1 if init_link(old, collected) < 0 else 1
    return 0


@port_of("init/initramfs.c", "do_name")
def do_name() -> int:
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
def do_copy() -> int:
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
def do_symlink() -> int:
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
def write_buffer(buf: int, len_: int) -> int:
    g.byte_count = len_
    g.victim = buf

    while not actions[g.state]():
        pass
    return len_ - g.byte_count


@port_of("init/initramfs.c", "flush_buffer")
def flush_buffer(bufv: int, len_: int) -> int:
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
def unpack_to_rootfs(buf: int, len_: int) -> str:
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
    g.message = NULL
    while not g.message and len_:
        saved_offset = g.this_header
        if get_char(buf) == 0x30 and not g.this_header & 3:
            g.state = Start
            written = write_buffer(buf, len_)
            buf += written
            len_ -= written
            continue
        if not get_char(buf):
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
