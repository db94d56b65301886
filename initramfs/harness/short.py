# SPDX-License-Identifier: GPL-2.0-only
"""Short forms for a boot that nobody looks into: new regular files of an archive, member by member; and all the short forms there
are.

``forms()`` is what the commands give to a machine; ``--no-short`` gives it none.
"""
from __future__ import annotations

import hashlib
from binascii import Error, unhexlify
from struct import error as StructError
from typing import Any

from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kdev_t import MKDEV, new_encode_dev
from kemu.linux.path import Path
from kemu.linux.short.long_paths import short as long_paths
from kemu.linux.short.new_file import new_file, place_of
from kemu.linux.short.ram_runs import short as ranges
from kemu.linux.stat import S_IFREG
from kemu.linux.types import this
from kemu.machine.series import ShortForms
from kemu.report.walk import digest_of

from initramfs.unpack import CPIO_HDRLEN, N_ALIGN, Reset, Start, be32_header, g, write_buffer

__role__ = "harness"
WHOLE_NAME = 256                    # longer names are left to the unpacker

short = ShortForms("short: whole files", packages=("initramfs",), stands_for=("kemu.linux", "initramfs.unpack"),
                   title="new regular files of an archive in one step")
walking = ShortForms("short: empty files", packages=("kemu.report",), stands_for=("kemu.linux",),
                     title="files of no bytes are not opened to be read")


@short.replaces(write_buffer)
def write_buffer_of_whole_files(buf: int, len_: int) -> int:
    """write_buffer(): as many new regular files as are in the buffer as a whole, then its own loop."""
    if g.state != Start:
        return write_buffer(buf, len_)
    g.byte_count = len_
    g.victim = buf
    _whole_files()
    return len_ - g.byte_count + write_buffer(g.victim, g.byte_count)


def _whole_files() -> None:
    """Stands for do_start(), do_header(), do_name(), do_copy() and do_skip() of each member, for do_reset() and the callers' next
    ``state = Start`` between two of them, and for the calls of the VFS in them. ``g`` is as it would be before the last
    do_reset().

    A member that is unusual in any way, and the one behind it, is left to write_buffer()'s own loop: nothing of it has been done
    then.
    """
    mem = this.mem
    buf = mem.buf
    victim, left, this_header = g.victim, g.byte_count, g.this_header
    keep_mtime = IS_ENABLED("CONFIG_INITRAMFS_PRESERVE_MTIME")
    base = mem.flat(victim, CPIO_HDRLEN)        # where in buf victim is
    wfile = place = where = None
    while base >= 0 and left > CPIO_HDRLEN and not this_header & 3:
        raw = bytes(buf[base:base + min(left, CPIO_HDRLEN + WHOLE_NAME)])       # that it may be read is asked below
        if raw[:6] != b"070701":
            break
        try:
            header = be32_header.unpack(unhexlify(raw[6:CPIO_HDRLEN]))
        except (Error, StructError):
            break
        ino, mode, uid, gid, nlink, mtime, body_len, major, minor, rmajor, rminor, name_len, hdr_csum = header
        name_end = CPIO_HDRLEN + name_len
        body = CPIO_HDRLEN + N_ALIGN(name_len)
        size = body + body_len + 3 & ~3
        if (mode & 0xF000 != S_IFREG or nlink >= 2 or not 1 < name_len <= WHOLE_NAME or size > left
            or raw[name_end - 1:name_end] != b"\0"):
            break
        name = raw[CPIO_HDRLEN:raw.index(0, CPIO_HDRLEN)]
        last = name[name.rfind(b"/") + 1:]
        if name == b"TRAILER!!!" or mem.flat(victim, size) != base:
            break
        if place is None or where != name[:-len(last)]:
            where, place = name[:-len(last)], place_of(name)
            if place is None:
                break
        made = new_file(place, last, mode & 0xFFFF, uid, gid, mtime if keep_mtime else None, base + body, body_len)
        if made is None:
            break
        wfile, done = made, header
        name_at = victim + CPIO_HDRLEN
        next_header = this_header = this_header + size
        victim += size
        base += size
        left -= size
        if not left or buf[base] != 0x30:
            break
    if wfile is None:
        return
    g.victim, g.byte_count, g.this_header, g.next_header = victim, left, this_header, next_header
    g.ino, mode, g.uid, g.gid, g.nlink, g.mtime, g.body_len, g.major, g.minor, rmajor, rminor, g.name_len, g.hdr_csum = done
    g.mode = mode & 0xFFFF
    g.rdev = new_encode_dev(MKDEV(rmajor, rminor))
    g.csum_present = False
    g.io_csum = 0
    g.collected = name_at
    g.wfile = wfile
    g.wfile_pos.v = g.body_len
    g.state = g.next_state = Reset


_EMPTY = hashlib.sha256().hexdigest()


@walking.replaces(digest_of)
def digest_of_what_is_there(w: Any, path: Path, name: bytes) -> tuple[int, str | None]:
    """digest_of(): a file of no bytes in a file system that has nothing behind it need not be opened."""
    if (path.dentry.d_inode.i_size or path.mnt.mnt_sb.s_type.name not in ("rootfs", "ramfs", "tmpfs")
        or (w.limit is not None and w.limit.over)):
        return digest_of(w, path, name)
    return 0, _EMPTY


def forms() -> list[ShortForms]:
    """All of them."""
    return [ranges, long_paths, short, walking]
