# SPDX-License-Identifier: GPL-2.0-only
"""What else a mounted image is asked: its attributes in sysfs, file handles, direct reads, a remount, memory pressure."""
from __future__ import annotations

import os

from kemu.rung.c.kernel import Instance

_VALUES = (b"0", b"1", b"2", b"3", b"9", b"4294967296", b"x")
_REMOUNTS = (b"noacl,nouser_xattr", b"acl,user_xattr,cache_strategy=disabled", b"nonsense", b"domain_id=e", b"")
_REMOUNT = 32 | 1                      # MS_REMOUNT | MS_RDONLY
_NAMES = 12


def names(k: Instance, folder: bytes) -> list[bytes]:
    """What is in a folder; nothing if it cannot be read."""
    room = k.ffi.new("char[]", 1 << 16)
    n = k.check(k.lib.kemu_list(folder, room, 1 << 16))
    return bytes(k.ffi.buffer(room, max(n, 0))).split(b"\0")[:-1]


def attributes(k: Instance, folder: bytes) -> None:
    """Each attribute in a folder of sysfs: read, and written to."""
    for name in names(k, folder):
        path = folder + b"/" + name
        list(k.contents(os.fsdecode(path)))
        for value in _VALUES:
            fd = k.check(k.lib.kemu_open(path, os.O_WRONLY))
            if fd >= 0:
                k.check(k.lib.kemu_write(fd, value, len(value)))
                k.check(k.lib.kemu_close(fd))


def sysfs(k: Instance) -> None:
    """Mounted at /sys, if it is not yet."""
    if k.check(k.lib.kemu_mkdir(b"/sys", 0o755)) == 0:
        k.check(k.lib.kemu_mount(b"sysfs", b"/sys", b"sysfs", 0, b""))


def firmware(k: Instance) -> None:
    """What a boot has left in /sys/firmware: the initrd, if it was to be retained."""
    sysfs(k)
    for name in names(k, b"/sys/firmware"):
        list(k.contents(os.fsdecode(b"/sys/firmware/" + name)))


def nested(k: Instance, path: bytes) -> None:
    """A file of it, mounted as an image itself."""
    k.check(k.lib.kemu_mkdir(b"/inside", 0o755))
    if k.check(k.lib.kemu_mount(path, b"/inside", b"erofs", 1, b"")) == 0:
        names(k, b"/inside")
        k.check(k.lib.kemu_umount(b"/inside", 0))


def ask(k: Instance) -> None:
    """All of it, of what is mounted at /mnt; memory is short first, when the walk's caches are still there."""
    k.check(k.lib.kemu_shrink())
    sysfs(k)
    for folder in names(k, b"/sys/fs/erofs"):
        attributes(k, b"/sys/fs/erofs/" + folder)
    for path in [b"/mnt", *(b"/mnt/" + name for name in names(k, b"/mnt")[:_NAMES])]:
        k.check(k.lib.kemu_doors(path))
        nested(k, path)
    for options in _REMOUNTS:
        k.check(k.lib.kemu_mount(b"", b"/mnt", b"", _REMOUNT, options))
        k.check(k.lib.kemu_doors(b"/mnt"))
