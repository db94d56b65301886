# SPDX-License-Identifier: GPL-2.0-only
"""A new regular file of a ramfs with its owner, mode, size, contents and times in one step.

An unpacker makes, owns, sizes and fills ten thousand files. Line by line, each of them takes some five hundred calls through
namei, the dcache, notify_change() and the write path, and nearly all of that is questions with one answer: the task may do
everything, no lock is held, no mount is on the way, the name is not there. These functions ask those questions once, and leave
what the calls would leave; where a single answer is another one they have changed nothing and say so. ramfs keeps everything in
memory and accounts for nothing: when the questions are answered, nothing can fail.
"""
from __future__ import annotations

from dataclasses import dataclass

from kemu.linux.fcntl import O_ACCMODE, O_CREAT, O_LARGEFILE, O_WRONLY
from kemu.linux.fs.dcache import g as dcache_g
from kemu.linux.fs.file_table import fput
from kemu.linux.fs.file_table import g as file_table_g
from kemu.linux.fs.inode import timestamp_truncate
from kemu.linux.fs.libfs import simple_lookup
from kemu.linux.fs.mount import Mount
from kemu.linux.fs.namei import vfs_prepare_mode
from kemu.linux.fs.ramfs.inode import ramfs_create
from kemu.linux.include.backing_dev import noop_backing_dev_info
from kemu.linux.include.cred import CAP_FULL_SET, Cred
from kemu.linux.include.cred import g as cred_g
from kemu.linux.include.dcache import (
    DCACHE_DIRECTORY_TYPE,
    DCACHE_DISCONNECTED,
    DCACHE_DONTCACHE,
    DCACHE_ENTRY_TYPE,
    DCACHE_MANAGED_DENTRY,
    DCACHE_OP_REVALIDATE,
    Dentry,
    Qstr,
)
from kemu.linux.include.fs.constants import (
    FMODE_ATOMIC_POS,
    FMODE_CAN_WRITE,
    FMODE_CREATED,
    FMODE_LSEEK,
    FMODE_NONOTIFY_PERM,
    FMODE_OPENED,
    FMODE_PREAD,
    FMODE_PWRITE,
    FMODE_WRITER,
    INVALID_ID,
    NAME_MAX,
    S_DEAD,
    S_IMMUTABLE,
)
from kemu.linux.include.fs.types import File
from kemu.linux.include.mount import MNT_READONLY
from kemu.linux.include.path import Path
from kemu.linux.include.sched import current_fs
from kemu.linux.short.ram_runs import fill_new
from kemu.linux.stat import S_IALLUGO, S_IFREG, S_ISGID, S_ISUID
from kemu.linux.super_types import SB_POSIXACL, SB_RDONLY
from kemu.linux.time64 import timespec64
from kemu.machine.current import arch, this

_NEW = O_WRONLY | O_CREAT | O_LARGEFILE

# OPEN_FMODE(O_WRONLY), and what lookup_open() and do_dentry_open() add for a new file that can be written at any place
_NEW_MODE = ((_NEW + 1) & O_ACCMODE | FMODE_NONOTIFY_PERM | FMODE_CREATED | FMODE_WRITER | FMODE_ATOMIC_POS | FMODE_LSEEK
             | FMODE_PREAD | FMODE_PWRITE
             | FMODE_OPENED | FMODE_CAN_WRITE)
_NOT_PLAIN = DCACHE_MANAGED_DENTRY | DCACHE_OP_REVALIDATE | DCACHE_ENTRY_TYPE


@dataclass(frozen=True, slots=True)
class Place:
    """Whose task makes files, by which mount, and in what directory."""

    cred: Cred
    mnt: Mount
    dir: Dentry


def place_of(path: bytes) -> Place | None:
    """Where :func:`new_file` may make ``path`` and its siblings, as long as nothing else runs in between; None: make the ordinary
    calls.

    Stands for the walks of init_stat() and filp_open() to the last component, and for what the calls behind them ask of the mount
    and the superblock.
    """
    task = this.task
    cred = task.cred
    if cred is None:
        cred = cred_g.init_cred
    fs = task.fs
    if fs is None:
        fs = current_fs()
    last = path[path.rfind(b"/") + 1:]
    if cred.caps != CAP_FULL_SET or not 0 < len(last) <= NAME_MAX or len(path) > 1000 or b"\0" in path or task.pending_signal:
        return None
    start = fs.root if path[0] == 0x2F else fs.pwd
    mnt, dir = start.mnt, start.dentry
    sb = mnt.mnt_sb
    if (mnt.mnt_expiry_mark or mnt.mnt_flags & MNT_READONLY or sb.s_flags & (SB_RDONLY | SB_POSIXACL) or sb.s_readonly_remount
        or sb.s_d_op is not None
            or sb.s_xattr is not None or sb.s_op.dirty_inode is not None or dcache_g.in_lookup):
        return None
    dirname = path[:-len(last)].rstrip(b"/")

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
        if op.lookup is not simple_lookup or op.permission is not None or inode.i_uid == INVALID_ID or inode.i_gid == INVALID_ID:
            return None

    # open_last_lookups(), lookup_open()
    sem = inode.i_rwsem
    if (inode.i_flags & (S_DEAD | S_IMMUTABLE) or op.create is not ramfs_create
        or (sem is not None and (sem.writer is not None or sem.readers))
            or file_table_g.filp_cache is None or dcache_g.dentry_cache is None):
        return None
    return Place(cred, mnt, dir)


def _create(at: Place, last: bytes, mode: int) -> File:
    """What filp_open() does where there is no ``last`` in the directory: the file, empty and open for writing."""
    cred, mnt, dir = at.cred, at.mnt, at.dir
    sb = mnt.mnt_sb
    table = dir.d_subdirs
    inode = dir.d_inode
    file_table_g.filp_cache.live += 1
    file_table_g.nr_files += 1
    cred.usage += 1
    f = File()
    f.f_cred = cred
    mode = vfs_prepare_mode(None, inode, mode & 0o7777 | S_IFREG, 0o7777, S_IFREG)
    dcache_g.dentry_cache.live += 1
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
    assert not error, error         # no call of it can fail where nobody makes it fail

    # do_open(), do_dentry_open()
    inode = dentry.d_inode
    mapping = inode.i_mapping
    f.f_flags = O_WRONLY | O_LARGEFILE
    f.f_mode = _NEW_MODE
    f.f_path = Path(mnt, dentry)
    mnt.mnt_count += 1
    f.f_inode = inode
    f.f_mapping = mapping
    f.f_wb_err = mapping.wb_err
    f.f_op = inode.i_fop
    f.f_ra.ra_pages = (sb.s_bdi or noop_backing_dev_info).ra_pages
    f.f_ra.prev_pos = -1
    inode.i_writecount += 1
    mnt.mnt_writers += 1
    return f


def new_file(at: Place, last: bytes, mode: int, uid: int, gid: int, mtime: int | None, src: int, size: int) -> File | None:
    """A file ``last`` in ``at`` with the ``size`` bytes at the offset ``src`` of the arena; ``mtime`` None: times are now.

    Stands for init_stat() that finds nothing, filp_open(), vfs_fchown(), vfs_fchmod(), vfs_truncate(), kernel_write(),
    vfs_utimes() and fput(). Return: the file, put; None: nothing was done.
    """
    table = at.dir.d_subdirs
    mem, alloc = this.mem, this.machine.alloc
    if ((table is not None and last in table) or not 0 < len(last) <= NAME_MAX or last in _DOTS or mode & (S_ISUID | S_ISGID)
            or uid == INVALID_ID or gid == INVALID_ID or size > 0x7FFF_FFFF & arch.PAGE_MASK or size > at.mnt.mnt_sb.s_maxbytes
            or alloc.next_pfn + (size + mem.mask >> mem.shift) > alloc.top_pfn):
        return None
    f = _create(at, last, mode)
    inode = f.f_inode
    inode.i_mode = mode & S_IALLUGO | S_IFREG
    inode.i_uid = uid
    inode.i_gid = gid
    if size:
        fill_new(inode.i_mapping, src, size)
        inode.i_size = size
    if mtime is not None:
        inode.i_atime_sec, inode.i_atime_nsec = (
            inode.i_mtime_sec, inode.i_mtime_nsec) = timestamp_truncate(timespec64(mtime, 0), inode)
    fput(f)
    return f


_DOTS = (b".", b"..")
