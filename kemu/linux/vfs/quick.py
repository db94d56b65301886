# SPDX-License-Identifier: GPL-2.0-only
"""The commonest calls at once, where nobody listens.

An unpacker makes, owns, sizes and fills ten thousand files. Line by line, each of them takes some five hundred calls through namei, the dcache, notify_change() and
the write path, and nearly all of that is questions with one answer: the task may do everything, no lock is held, no mount is on the way, the name
is not there. Each function here asks those questions together and leaves exactly what the calls that it stands for would leave; where a
single answer is another one it has changed nothing and says so, and the ordinary calls are made.

With a Chooser (who could let a call fail, or another task run in between) or a watch (who is told of each step) attached, nothing here is used:
tests/property/test_quick.py runs the same archives both ways and compares all that is left.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.backing_dev import noop_backing_dev_info
from kemu.linux.cred import CAP_FULL_SET
from kemu.linux.cred import g as cred_g
from kemu.linux.dcache import (
    DCACHE_DIRECTORY_TYPE,
    DCACHE_DISCONNECTED,
    DCACHE_DONTCACHE,
    DCACHE_ENTRY_TYPE,
    DCACHE_MANAGED_DENTRY,
    DCACHE_OP_REVALIDATE,
    Dentry,
    dput,
)
from kemu.linux.err import ERR_PTR
from kemu.linux.fcntl import O_ACCMODE, O_CREAT, O_LARGEFILE, O_TRUNC, O_WRONLY
from kemu.linux.honesty import custom
from kemu.linux.stat import S_IFREG
from kemu.linux.super_types import SB_POSIXACL, SB_RDONLY
from kemu.linux.vfs.attr import INVALID_ID
from kemu.linux.vfs.basic import Path, Qstr
from kemu.linux.vfs.constants import (
    FMODE_ATOMIC_POS,
    FMODE_CAN_WRITE,
    FMODE_CREATED,
    FMODE_LSEEK,
    FMODE_NONOTIFY_PERM,
    FMODE_OPENED,
    FMODE_PREAD,
    FMODE_PWRITE,
    FMODE_WRITER,
    NAME_MAX,
    S_DEAD,
    S_IMMUTABLE,
)
from kemu.linux.vfs.dentry import g as dentry_g
from kemu.linux.vfs.dir_ops import vfs_prepare_mode
from kemu.linux.vfs.file_table import fput
from kemu.linux.vfs.file_table import g as file_g
from kemu.linux.vfs.fs_struct import current_fs
from kemu.linux.vfs.libfs import simple_lookup
from kemu.linux.vfs.mounts import MNT_READONLY
from kemu.linux.vfs.types import File
from kemu.machine.current import this

_NEW = O_WRONLY | O_CREAT | O_LARGEFILE
# OPEN_FMODE(O_WRONLY), and what lookup_open() and do_dentry_open() add for a new file that can be written at any place
_NEW_MODE = ((_NEW + 1) & O_ACCMODE | FMODE_NONOTIFY_PERM | FMODE_CREATED | FMODE_WRITER | FMODE_ATOMIC_POS | FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE
             | FMODE_OPENED | FMODE_CAN_WRITE)
_NOT_PLAIN = DCACHE_MANAGED_DENTRY | DCACHE_OP_REVALIDATE | DCACHE_ENTRY_TYPE


@custom("fs/open.c", "open_new", "filp_open() of a new file, where nobody listens")
def open_new(filename: str, flags: int, mode: int) -> Any:
    """filp_open() of a new regular file for writing, in a directory that lives in the dcache alone; a path without ``..``, symlinks and mounts.

    Return: the file, the ERR_PTR() of ->create, or None: nothing was done, call filp_open()'s own functions.
    """
    if flags & ~O_TRUNC != _NEW:
        return None
    raw = filename.encode("utf-8", "surrogateescape")
    last = raw[raw.rfind(b"/") + 1:]
    at = directory_of(raw, last)
    if at is None:
        return None
    cred, mnt, dir = at
    table = dir.d_subdirs
    if table is not None and last in table:
        return None
    return create_in(cred, mnt, dir, last, mode, flags)


def directory_of(raw: bytes, last: bytes) -> tuple[Any, Any, Dentry] | None:
    """Whose task makes a regular file ``last`` at the path ``raw``, by which mount, and in what directory; None: ask namei."""
    task = this.task
    cred = task.cred
    if cred is None:
        cred = cred_g.init_cred
    fs = task.fs
    if fs is None:
        fs = current_fs()
    if cred.caps != CAP_FULL_SET or not 0 < len(last) <= NAME_MAX or len(raw) > 1000 or b"\0" in raw or last == b"." or last == b"..":
        return None
    start = fs.root if raw[0] == 0x2F else fs.pwd
    mnt, dir = start.mnt, start.dentry
    sb = mnt.mnt_sb
    if (mnt.mnt_expiry_mark or mnt.mnt_flags & MNT_READONLY or sb.s_flags & SB_RDONLY or sb.s_readonly_remount or sb.s_d_op is not None
            or dentry_g.in_lookup):
        return None
    acls = sb.s_flags & SB_POSIXACL
    dirname = raw[:-len(last)].rstrip(b"/")

    # link_path_walk(): the place where it starts, and each directory on the way
    for part in (b"", *dirname.split(b"/")) if dirname else (b"",):
        if part and part != b".":
            table = dir.d_subdirs
            child = table.get(part) if table is not None else None
            if child is None or child.d_lockref < 0 or child.d_flags & _NOT_PLAIN != DCACHE_DIRECTORY_TYPE:
                return None
            dir = child
        inode = dir.d_inode
        op = inode.i_op
        if (op.lookup is not simple_lookup or op.permission is not None or inode.i_uid == INVALID_ID or inode.i_gid == INVALID_ID
                or acls and inode.i_acl is not None):
            return None

    # open_last_lookups(), lookup_open()
    sem = inode.i_rwsem
    if (inode.i_flags & (S_DEAD | S_IMMUTABLE) or op.create not in plain_create or sem is not None and (sem.writer is not None or sem.readers)
            or file_g.filp_cache is None or dentry_g.dentry_cache is None):
        return None
    return cred, mnt, dir


def create_in(cred: Any, mnt: Any, dir: Dentry, last: bytes, mode: int, flags: int) -> Any:
    """What is left of filp_open() after :func:`directory_of`, where there is no ``last`` in ``dir``. Return: the file, or the ERR_PTR() of ->create."""
    cache = file_g.filp_cache
    names = dentry_g.dentry_cache
    sb = mnt.mnt_sb
    table = dir.d_subdirs
    inode = dir.d_inode
    cache.live += 1
    file_g.nr_files += 1
    cred.usage += 1
    f = File()
    f.f_cred = cred
    mode = vfs_prepare_mode(None, inode, mode & 0o7777 | S_IFREG, 0o7777, S_IFREG)
    names.live += 1
    dentry = Dentry()
    dentry.d_name = Qstr(last)
    dentry.d_sb = sb
    dentry.d_flags = sb.s_d_flags | DCACHE_DONTCACHE | dir.d_flags & DCACHE_DISCONNECTED
    dentry.d_parent = dir
    dir.d_lockref += 1
    if table is None:
        table = dir.d_subdirs = {}
    if dir.d_children is None:
        dir.d_children = {}
    dir.d_children[dentry] = None
    table[last] = dentry
    dentry.d_hashed = True
    error = inode.i_op.create(mnt.mnt_idmap, inode, dentry, mode, False)
    if error:
        f.f_flags = flags
        f.f_mode = (flags + 1) & O_ACCMODE | FMODE_NONOTIFY_PERM | FMODE_CREATED
        dput(dentry)
        fput(f)
        return ERR_PTR(error)

    # do_open(), do_dentry_open()
    inode = dentry.d_inode
    mapping = inode.i_mapping
    fop = inode.i_fop
    f.f_flags = flags & ~(O_CREAT | O_TRUNC)
    f.f_mode = _NEW_MODE
    f.f_path = Path(mnt, dentry)
    mnt.mnt_count += 1
    f.f_inode = inode
    f.f_mapping = mapping
    f.f_wb_err = mapping.wb_err
    f.f_op = fop
    f.f_ra.ra_pages = (sb.s_bdi or noop_backing_dev_info).ra_pages
    f.f_ra.prev_pos = -1
    inode.i_writecount += 1
    mnt.mnt_writers += 1
    return f


# ->create of directories where it is enough to ask what open_new() asks: what they make can be written, and has no ->open
plain_create: list[Any] = []

__all__ = ["create_in", "directory_of", "open_new", "plain_create"]
