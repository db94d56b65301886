# SPDX-License-Identifier: GPL-2.0-only
"""Reading a whole tree through the emulated VFS, as ``tar`` would: readdir, lookup, stat, readlink, read. Not a port."""
from __future__ import annotations

from typing import Any

from kemu.linux.cred import current_cred
from kemu.linux.dcache import dput
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.fcntl import O_RDONLY
from kemu.linux.fs import DirContext, iterate_dir, vfs_read
from kemu.linux.fs.file_table import __fput_sync
from kemu.linux.fs.namei import lookup_slow
from kemu.linux.fs.open import dentry_open
from kemu.linux.include.dcache import Qstr
from kemu.linux.path import Path
from kemu.linux.stat import S_ISDIR, S_ISREG
from kemu.linux.types import Ref

CHUNK = 131072


def read_tree(root: Path, count: bool = False) -> int:
    """Read every regular file below ``root`` to its end; returns the bytes read, or the number of inodes. Raises OSError on the
    first error.
    """
    total, inodes = 0, 0
    buf = bytearray(CHUNK)
    stack = [root]
    while stack:
        path = stack.pop()
        inodes += 1
        inode = path.dentry.d_inode
        if S_ISREG(inode.i_mode):
            total += _read(path, buf)
        elif S_ISDIR(inode.i_mode):
            for name in _names(path):
                dentry = lookup_slow(Qstr(name), path.dentry, 0)
                if IS_ERR(dentry):
                    raise OSError(-PTR_ERR(dentry), "lookup", name)
                stack.append(Path(path.mnt, dentry))
        if path is not root:
            dput(path.dentry)
    return inodes if count else total


def _open(path: Path) -> Any:
    file = dentry_open(path, O_RDONLY, current_cred())
    if IS_ERR(file):
        raise OSError(-PTR_ERR(file), "open")
    return file


def _read(path: Path, buf: bytearray) -> int:
    file = _open(path)
    pos = Ref(0)
    while True:
        n = vfs_read(file, buf, CHUNK, pos)
        if n <= 0:
            break
    __fput_sync(file)
    if n < 0:
        raise OSError(-n, "read")
    return int(pos.v)


def _names(path: Path) -> list[bytes]:
    file = _open(path)
    out: list[bytes] = []

    def actor(ctx: Any, name: bytes, namelen: int, offset: int, ino: int, d_type: int) -> bool:
        if name not in (b".", b".."):
            out.append(bytes(name))
        return True

    ctx = DirContext(actor)
    last = -1
    err = 0
    while ctx.pos != last:
        last = ctx.pos
        err = iterate_dir(file, ctx)
        if err < 0:
            break
    __fput_sync(file)
    if err < 0:
        raise OSError(-err, "readdir")
    return out
