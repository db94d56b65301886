# SPDX-License-Identifier: GPL-2.0-only
"""What the programs of an initramfs do: read the files of the root, and leave it for another root as switch_root(8) does. No
ports.

PID 1 calls these as a program would; nothing of them is kernel code.
"""
from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from kemu.linux.fcntl import O_DIRECTORY, O_RDONLY
from kemu.linux.fs_dirent import DT_DIR, DT_REG
from kemu.linux.fs_struct import current_fs
from kemu.linux.include.fs.constants import MNT_DETACH
from kemu.linux.init_syscalls import init_chdir, init_chroot, init_pivot_root
from kemu.linux.mount import MS_MOVE
from kemu.linux.port import user as sys
from kemu.linux.stat import S_IFDIR, S_IFMT
from kemu.machine.current import this

__role__ = "harness"
NEW_ROOT = "/sysroot"


def names(path: str) -> list[tuple[bytes, int]]:
    """(name, d_type) of a directory, by name; empty if it cannot be read."""
    fd = sys.sys_open(path, O_RDONLY | O_DIRECTORY)
    if isinstance(fd, int):
        return []
    out: list[tuple[bytes, int]] = []
    while True:
        n, entries = sys.sys_getdents64(fd)
        if n <= 0:
            break
        out += [(name, kind) for name, _, _, kind in entries if name not in (b".", b"..")]
    sys.sys_close(fd)
    return sorted(out)


def regular_files(top: str = "") -> Iterator[str]:
    """Paths of the regular files below ``top``, by name; no file is opened."""
    for name, kind in names(top or "/"):
        path = f"{top}/{os.fsdecode(name)}"
        if kind == DT_REG:
            yield path
        elif kind == DT_DIR:
            yield from regular_files(path)


def read_file(path: str) -> int:
    """Read a file to its end, as cat does. Return: its bytes, or the errno of what failed, negative."""
    fd = sys.sys_open(path, O_RDONLY)
    if isinstance(fd, int):
        return fd
    total = 0
    while True:
        n = sys.sys_read(fd, bytearray(65536), 65536)
        if n <= 0:
            break
        total += n
    sys.sys_close(fd)
    return total if n == 0 else n


def _remove_all(top: str, dev: int) -> None:
    """``rm -rf`` of what is in ``top``, on one file system."""
    for name, kind in names(top or "/"):
        path = f"{top}/{os.fsdecode(name)}"
        st = sys.sys_lstat(path)
        if isinstance(st, int) or st.dev != dev:
            continue
        if kind == DT_DIR or st.mode & S_IFMT == S_IFDIR:
            _remove_all(path, dev)
            sys.sys_rmdir(path)
        else:
            sys.sys_unlink(path)


def _close_console() -> None:
    sys.close_console()
    sys.exit_to_user_mode()


def switch_root() -> dict[str, Any]:
    """Leave the root for a new one (a tmpfs stands for the disk's), as the programs of real initramfs do.

    Standard input and output are closed, for /dev/console lies on the old root. If that is ramfs or tmpfs, its files are
    deleted, so that their memory comes back even where the mount stays; then ``pivot_root(".", ".")`` and
    ``umount2(".", MNT_DETACH)``, and where the kernel refuses that, the new root is moved over the old one.
    Return: what was done, and the errno of the step that failed (0: none).
    """
    out: dict[str, Any] = {"deleted": False, "way": "", "error": 0}
    _close_console()
    sys.sys_mkdir(NEW_ROOT)
    err = sys.sys_mount("disk", NEW_ROOT, "tmpfs", 0, "mode=0755")
    if err:
        return {**out, "error": err}
    root, new = sys.sys_stat("/"), sys.sys_stat(NEW_ROOT)
    if isinstance(root, int) or isinstance(new, int):
        return {**out, "error": root if isinstance(root, int) else new}

    if current_fs().root.mnt.mnt_sb.s_type.name in ("rootfs", "ramfs", "tmpfs"):
        _remove_all("", root.dev)
        out["deleted"] = True
    err = init_chdir(NEW_ROOT)
    if err:
        return {**out, "error": err}
    err = init_pivot_root(".", ".")
    if not err:
        out["way"] = "pivot_root"
        err = sys.sys_umount(".", MNT_DETACH)
    else:
        out["way"] = "move"
        err = sys.sys_mount(".", "/", None, MS_MOVE) or init_chroot(".")
    sys.exit_to_user_mode()
    this.machine.idle()
    return {**out, "error": err}
