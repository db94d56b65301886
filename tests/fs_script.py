# SPDX-License-Identifier: GPL-2.0-only
"""A script of file system operations, one a line, words separated by a tab: run on the emulated kernel, and
(tests/uml/fs_script.c) on Linux.

Each line gives one line: ``ok``, an errno's number, or what was asked for. ``tree PATH`` gives one line for each name below PATH.
"""
from __future__ import annotations

import hashlib
import os
import stat
from typing import Any

from kemu.linux.fcntl import O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_TRUNC, O_WRONLY
from kemu.linux.include.cred import Cred
from kemu.linux.include.sched import current_fs
from kemu.linux.port import user as sys
from kemu.linux.port import user_change as change
from kemu.linux.port import user_mount as at_mounts
from kemu.linux.port.user_mount import mountinfo
from kemu.machine.current import this

FLAGS = {"c": O_CREAT, "x": O_EXCL, "t": O_TRUNC, "a": O_APPEND}


class Held:
    """What one machine's script holds open."""

    def __init__(self) -> None:
        self.fds: list[Any] = []


def _done(ret: Any) -> str:
    return "ok" if not isinstance(ret, int) or ret >= 0 else str(-ret)


def _read(path: str) -> bytes | int:
    fd = sys.sys_open(path, O_RDONLY)
    if isinstance(fd, int):
        return fd
    out = b""
    while True:
        buf = bytearray(65536)
        n = sys.sys_read(fd, buf, 65536)
        if n <= 0:
            break
        out += bytes(buf[:n])
    sys.sys_close(fd)
    return n if n < 0 else out


def _names(path: str) -> list[str] | int:
    fd = sys.sys_open(path, O_RDONLY | O_DIRECTORY)
    if isinstance(fd, int):
        return fd
    out: list[str] = []
    while True:
        n, entries = sys.sys_getdents64(fd)
        if n <= 0:
            break
        out += [os.fsdecode(name) for name, *_ in entries if name not in (b".", b"..")]
    sys.sys_close(fd)
    return n if n < 0 else sorted(out)


def _open(path: str, flags: str, data: bytes | None, mode: int) -> str:
    fl = O_WRONLY
    for f in flags:
        fl |= FLAGS.get(f, 0)
    fd = sys.sys_open(path, fl, mode)
    if isinstance(fd, int):
        return str(-fd)
    ret = sys.sys_write(fd, data) if data else 0
    sys.sys_close(fd)
    return _done(ret)


def _describe(path: str) -> str:
    st = sys.sys_lstat(path)
    if isinstance(st, int):
        return f"{path} {-st}"
    kind = stat.S_IFMT(st.mode)
    words = [path, f"{st.mode:o}", str(st.uid), str(st.gid), "-" if kind == stat.S_IFDIR else str(st.nlink)]
    if kind == stat.S_IFREG:
        data = _read(path)
        words += [str(st.size), str(-data) if isinstance(data, int) else hashlib.sha256(data).hexdigest()[:16]]
    elif kind == stat.S_IFLNK:
        target = sys.sys_readlink(path)
        words.append(str(-target) if isinstance(target, int) else os.fsdecode(target))
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        words.append(f"{st.rdev >> 20}:{st.rdev & 0xFFFFF}")
    names = sys.sys_llistxattr(path)
    if isinstance(names, int):
        words.append(f"x{-names}")
    else:
        for n in sorted(names):
            value = sys.sys_lgetxattr(path, n)
            words.append(f"{os.fsdecode(n)}={-value if isinstance(value, int) else value.hex()}")
    return " ".join(words)


def _tree(path: str) -> list[str]:
    out = [_describe(path)]
    st = sys.sys_lstat(path)
    if isinstance(st, int) or not stat.S_ISDIR(st.mode):
        return out
    names = _names(path)
    if isinstance(names, int):
        return [*out, f"{path} readdir {-names}"]
    for n in names:
        out += _tree(f"{path}/{n}")
    return out


def _mountinfo() -> list[str]:
    """Without what differs from boot to boot or from build to build: ids and devices are numbered in the order in which the list
    has them.
    """
    ids: dict[str, int] = {}
    devices: dict[str, int] = {}
    out = []
    for line in mountinfo(current_fs().root).splitlines():
        words = line.split(" ")
        dash = words.index("-")
        head = [str(ids.setdefault(words[0], len(ids))), str(ids.get(words[1], -1)),
                str(devices.setdefault(words[2], len(devices)))]
        out.append(" ".join(head + words[3:dash + 3] + [",".join(o for o in words[-1].split(",")
                                                                 if o not in ("inode32", "inode64"))]))
    return out


def run_line(line: str) -> list[str]:
    op, *a = line.split("\t")
    if op == "mkdir":
        return [_done(sys.sys_mkdir(a[0], int(a[1], 8)))]
    if op == "open":
        return [_open(a[0], a[1], bytes.fromhex(a[2]), int(a[3], 8))]
    if op == "rep":                             # a file of N times one byte
        return [_open(a[0], a[1], bytes.fromhex(a[2]) * int(a[3]), 0o644)]
    if op == "unlink":
        return [_done(sys.sys_unlink(a[0]))]
    if op == "rmdir":
        return [_done(sys.sys_rmdir(a[0]))]
    if op == "rename":
        return [_done(change.sys_renameat2(a[0], a[1], int(a[2])))]
    if op == "link":
        return [_done(sys.sys_link(a[0], a[1]))]
    if op == "symlink":
        return [_done(sys.sys_symlink(a[0], a[1]))]
    if op == "mknod":
        return [_done(sys.sys_mknod(a[0], int(a[1], 8), int(a[2])))]
    if op == "chmod":
        return [_done(change.sys_chmod(a[0], int(a[1], 8)))]
    if op == "chown":
        return [_done(change.sys_lchown(a[0], int(a[1]), int(a[2])))]
    if op == "truncate":
        return [_done(change.sys_truncate(a[0], int(a[1])))]
    if op == "setx":
        return [_done(change.sys_lsetxattr(a[0], a[1], bytes.fromhex(a[2]), int(a[3])))]
    if op == "rmx":
        return [_done(change.sys_lremovexattr(a[0], a[1]))]
    if op == "ls":
        names = _names(a[0])
        return [str(-names) if isinstance(names, int) else "ls " + " ".join(names)]
    if op == "mount":
        return [_done(sys.sys_mount(a[0], a[1], a[2], int(a[3]), a[4] or None))]
    if op == "umount":
        return [_done(sys.sys_umount(a[0], int(a[1])))]
    if op == "pivot":
        return [_done(at_mounts.sys_pivot_root(a[0], a[1]))]
    if op == "chroot":
        return [_done(at_mounts.sys_chroot(a[0]))]
    if op == "chdir":
        return [_done(at_mounts.sys_chdir(a[0]))]
    if op == "hold":                            # open, and close at the end or by "drop"
        fd = sys.sys_open(a[0], O_WRONLY if a[1] == "w" else O_RDONLY)
        if not isinstance(fd, int):
            this.machine.part(Held).fds.append(fd)
        return [_done(fd)]
    if op == "as":                              # another user, in whose file systems' eyes there are no capabilities
        this.task.cred = Cred(int(a[0]), int(a[0]), 0, ()) if int(a[0]) else None
        return ["ok"]
    if op == "drop":
        held = this.machine.part(Held)
        held.fds, fds = [], held.fds
        for fd in fds:
            sys.sys_close(fd)
        return ["ok"]
    if op == "who":                             # what the first line of a file says
        data = _read(a[0])
        return [str(-data) if isinstance(data, int) else data.decode()]
    if op == "mi":
        return _mountinfo()
    if op == "tree":
        return _tree(a[0])
    raise ValueError(f"operation {op!r}")


def run(script: list[str]) -> list[str]:
    """The results, on the current machine."""
    return [f"{i} {text}" for i, line in enumerate(script) for text in run_line(line)]
