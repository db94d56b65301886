# SPDX-License-Identifier: GPL-2.0-only
"""A new regular file with its owner, mode, size, contents and times at once, where nobody listens.

vfs/quick.py, attr.py and ram_runs.py have short ways for each call of an unpacker: open, chown, chmod, truncate, write, utimes, put. These two functions
stand for all of them together, and ask only once what each of them would ask again. They serve file systems that keep everything in
memory and account for nothing (ramfs): there, when the questions are answered, nothing can fail.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.fcntl import O_CREAT, O_LARGEFILE, O_TRUNC, O_WRONLY
from kemu.linux.honesty import custom
from kemu.linux.stat import S_IALLUGO, S_IFREG, S_ISGID, S_ISUID
from kemu.linux.super_types import SB_POSIXACL
from kemu.linux.time64 import timespec64
from kemu.linux.types import arch
from kemu.linux.vfs import ram_runs
from kemu.linux.vfs.attr import INVALID_ID
from kemu.linux.vfs.constants import NAME_MAX
from kemu.linux.vfs.file_table import fput
from kemu.linux.vfs.inode_attr import timestamp_truncate
from kemu.linux.vfs.quick import create_in, directory_of
from kemu.linux.vfs.types import File
from kemu.machine.current import this

_FLAGS = O_WRONLY | O_CREAT | O_LARGEFILE | O_TRUNC

# ->create of directories whose new files new_file() may make
never_fails: list[Any] = []


@custom("fs/namei.c", "new_files_in", "asks at once what filename_parentat() and the permission checks of ten calls would ask")
def new_files_in(path: bytes) -> tuple[Any, Any, Any] | None:
    """Where new_file() may make ``path`` and its siblings, as long as nothing else runs in between; None: make the ordinary calls.

    Stands for the walks of init_stat() and filp_open() to the last component, and for what the calls behind them ask of the mount and the superblock.
    """
    at = directory_of(path, path[path.rfind(b"/") + 1:])
    if at is None:
        return None
    sb = at[1].mnt_sb
    if (at[2].d_inode.i_op.create not in never_fails or sb.s_flags & SB_POSIXACL or sb.s_xattr is not None or sb.s_op.dirty_inode is not None
            or this.task.pending_signal):
        return None
    return at


@custom("fs/namei.c", "new_file", "filp_open(), vfs_fchown(), vfs_fchmod(), vfs_truncate(), kernel_write(), vfs_utimes() and fput() of a new file, where nobody listens")
def new_file(at: tuple[Any, Any, Any], last: bytes, mode: int, uid: int, gid: int, mtime: int | None, src: int, size: int) -> File | None:
    """A file ``last`` in ``at`` with the ``size`` bytes at the offset ``src`` of the arena; ``mtime`` None: times are now.

    Stands for init_stat() that finds nothing, filp_open(), vfs_fchown(), vfs_fchmod(), vfs_truncate(), kernel_write(), vfs_utimes() and fput().
    Return: the file, put; None: nothing was done.
    """
    cred, mnt, dir = at
    table = dir.d_subdirs
    mem, alloc = this.mem, this.machine.alloc
    if (table is not None and last in table or not 0 < len(last) <= NAME_MAX or last == b"." or last == b".." or mode & (S_ISUID | S_ISGID)
            or uid == INVALID_ID or gid == INVALID_ID or size > 0x7FFF_FFFF & arch.PAGE_MASK or size > mnt.mnt_sb.s_maxbytes
            or alloc.next_pfn + (size + mem.mask >> mem.shift) > alloc.top_pfn):
        return None
    f: File = create_in(cred, mnt, dir, last, mode, _FLAGS)
    inode = f.f_inode
    inode.i_mode = mode & S_IALLUGO | S_IFREG
    inode.i_uid = uid
    inode.i_gid = gid
    if size:
        inode.i_size = ram_runs.fill_new(inode.i_mapping, src, size)
    if mtime is not None:
        inode.i_atime_sec, inode.i_atime_nsec = inode.i_mtime_sec, inode.i_mtime_nsec = timestamp_truncate(timespec64(mtime, 0), inode)
    fput(f)
    return f


__all__ = ["never_fails", "new_file", "new_files_in"]
