# SPDX-License-Identifier: GPL-2.0-only
"""The structures of include/linux/fs.h."""
from __future__ import annotations

from typing import Any

from kemu.linux.include.fs.constants import ACL_NOT_CACHED
from kemu.linux.include.gfp import GFP_HIGHUSER_MOVABLE
from kemu.linux.include.path import Path
from kemu.linux.include.rwsem import rw_semaphore
from kemu.linux.port.honesty import custom, dup
from kemu.linux.spinlock import spinlock_t
from kemu.linux.super_types import SuperBlock, _Ops
from kemu.machine.pages import Page

P = "include/linux/fs.h"


@custom(P, "address_space",
        "i_pages is a dict from index to folio, a large folio under each of its indices; the folio orders are fields")
class AddressSpace:
    """``struct address_space``: the page cache of ``host``."""

    __slots__ = ("a_ops", "flags", "gfp_mask", "host", "i_mmap_writable", "i_pages", "i_private_data", "i_private_list",
                 "i_private_lock", "invalidate_lock", "max_order", "min_order", "nrpages", "wb_err", "writeback_index", "xa_lock",
                 "__weakref__")

    def __init__(self, host: Any = None, a_ops: Any = None):
        self.host = host
        self.a_ops = a_ops
        self.i_pages: dict[int, Page] = {}
        self.nrpages = 0
        self.flags = 0
        self.gfp_mask = GFP_HIGHUSER_MOVABLE
        self.min_order = 0
        self.max_order = 0
        self.invalidate_lock: rw_semaphore | None = None        # made when it is first taken
        self.i_mmap_writable = 0
        self.i_private_data: Any = None
        self.i_private_list: Any = None
        self.i_private_lock = spinlock_t("i_private_lock")
        self.xa_lock = spinlock_t("i_pages.xa_lock")     # i_pages.xa_lock
        self.wb_err = 0
        self.writeback_index = 0


@custom(P, "file_ra_state", "plain fields")
class FileRaState:
    """``struct file_ra_state``: the last read-ahead attempt of an open file, in pages."""

    __slots__ = ("async_size", "mmap_miss", "order", "prev_pos", "ra_pages", "size", "start")

    def __init__(self) -> None:
        self.start = 0
        self.size = 0
        self.async_size = 0
        self.ra_pages = 0
        self.order = 0
        self.mmap_miss = 0
        self.prev_pos = 0


@dup(P)
class renamedata:
    """``struct renamedata``"""

    __slots__ = ("delegated_inode", "flags", "mnt_idmap", "new_dentry", "new_parent", "old_dentry", "old_parent")

    def __init__(self, mnt_idmap: Any = None, old_parent: Any = None, new_parent: Any = None, flags: int = 0):
        self.mnt_idmap = mnt_idmap
        self.old_parent = old_parent
        self.old_dentry: Any = None
        self.new_parent = new_parent
        self.new_dentry: Any = None
        self.delegated_inode: Any = None
        self.flags = flags


@dup(P)
class address_space_operations(_Ops):
    """``struct address_space_operations``"""

    read_folio: Any
    writepages: Any
    dirty_folio: Any
    readahead: Any
    write_begin: Any
    write_end: Any
    bmap: Any
    invalidate_folio: Any
    release_folio: Any
    free_folio: Any
    direct_IO: Any
    migrate_folio: Any
    launder_folio: Any
    is_partially_uptodate: Any
    is_dirty_writeback: Any
    error_remove_folio: Any
    swap_activate: Any
    swap_deactivate: Any
    swap_rw: Any
    __slots__ = tuple(__annotations__)


@dup(P)
class file_operations(_Ops):
    """``struct file_operations``"""

    owner: Any
    fop_flags: Any
    llseek: Any
    read: Any
    write: Any
    read_iter: Any
    write_iter: Any
    iopoll: Any
    iterate_shared: Any
    poll: Any
    unlocked_ioctl: Any
    compat_ioctl: Any
    mmap: Any
    open: Any
    flush: Any
    release: Any
    fsync: Any
    fasync: Any
    lock: Any
    get_unmapped_area: Any
    check_flags: Any
    flock: Any
    splice_write: Any
    splice_read: Any
    splice_eof: Any
    setlease: Any
    fallocate: Any
    show_fdinfo: Any
    copy_file_range: Any
    remap_file_range: Any
    fadvise: Any
    uring_cmd: Any
    uring_cmd_iopoll: Any
    mmap_prepare: Any
    __slots__ = tuple(__annotations__)

    def __init__(self, **ops: Any):
        super().__init__(**ops)
        if self.fop_flags is None:
            self.fop_flags = 0


@dup(P)
class inode_operations(_Ops):
    """``struct inode_operations``"""

    lookup: Any
    get_link: Any
    permission: Any
    get_inode_acl: Any
    readlink: Any
    create: Any
    link: Any
    unlink: Any
    symlink: Any
    mkdir: Any
    rmdir: Any
    mknod: Any
    rename: Any
    setattr: Any
    getattr: Any
    listxattr: Any
    fiemap: Any
    update_time: Any
    sync_lazytime: Any
    atomic_open: Any
    tmpfile: Any
    get_acl: Any
    set_acl: Any
    fileattr_set: Any
    fileattr_get: Any
    get_offset_ctx: Any
    __slots__ = tuple(__annotations__)


empty_aops = address_space_operations()
empty_iops = inode_operations()
empty_fops = file_operations()


@custom(P, "struct file_system_type", "the list of superblocks and the module count are in the machine")
class FileSystemType:
    """``struct file_system_type``: constant, so one object may serve many machines."""

    __slots__ = ("fs_flags", "init_fs_context", "kill_sb", "name", "owner", "parameters")

    def __init__(self, *, name: str, init_fs_context: Any = None, kill_sb: Any = None, fs_flags: int = 0, parameters: Any = None,
                 owner: Any = None):
        self.name = name
        self.init_fs_context = init_fs_context
        self.kill_sb = kill_sb
        self.fs_flags = fs_flags
        self.parameters = parameters
        self.owner = owner

    def __repr__(self) -> str:
        return f"<file_system_type {self.name}>"


@custom(P, "struct inode",
        "counts are ints; i_hash is the hash value, None if unhashed; i_rwsem and waiters are made on first use")
class Inode:
    """``struct inode``. A file system's own inode derives from it; the constructor without arguments gives the zeroed structure.

    ``i_count`` is changed by iget, ihold, igrab and iput only. ``i_state`` is an int of I_* bits. ``i_dentry`` lists the aliases,
    newest first.
    """

    __slots__ = ("i_mode", "i_opflags", "i_flags", "i_acl", "i_default_acl", "i_uid", "i_gid", "i_op", "i_sb", "i_mapping",
                 "i_ino", "i_nlink", "i_rdev", "i_size", "i_atime_sec", "i_mtime_sec", "i_ctime_sec", "i_atime_nsec",
                 "i_mtime_nsec", "i_ctime_nsec", "i_generation", "i_bytes", "i_blkbits", "i_write_hint", "i_blocks", "i_state",
                 "i_rwsem", "i_hash", "i_lru", "i_dentry", "i_version", "i_count", "i_dio_count", "i_writecount", "i_readcount",
                 "i_fop", "free_inode", "i_flctx", "i_data", "i_linklen", "i_pipe", "i_cdev", "i_link", "i_dir_seq", "i_private",
                 "i_lock", "waiters", "i_security", "__weakref__")

    def __init__(self) -> None:
        self.i_mode = 0
        self.i_opflags = 0
        self.i_flags = 0
        self.i_acl: Any = ACL_NOT_CACHED
        self.i_default_acl: Any = ACL_NOT_CACHED
        self.i_uid = 0
        self.i_gid = 0
        self.i_op = empty_iops
        self.i_sb: SuperBlock = None                # type: ignore[assignment]
        self.i_data: AddressSpace = None            # type: ignore[assignment]
        self.i_mapping: AddressSpace = None         # type: ignore[assignment]
        self.i_ino = 0
        self.i_nlink = 1
        self.i_rdev = 0
        self.i_size = 0
        self.i_atime_sec = 0
        self.i_mtime_sec = 0
        self.i_ctime_sec = 0
        self.i_atime_nsec = 0
        self.i_mtime_nsec = 0
        self.i_ctime_nsec = 0
        self.i_generation = 0
        self.i_bytes = 0
        self.i_blkbits = 0
        self.i_write_hint = 0
        self.i_blocks = 0
        self.i_state = 0
        self.i_rwsem: Any = None
        self.i_hash: int | None = None
        self.i_lru = False
        self.i_dentry: list[Any] = []
        self.i_version = 0
        self.i_count = 1
        self.i_dio_count = 0
        self.i_writecount = 0
        self.i_readcount = 0
        self.i_fop: Any = None
        self.free_inode: Any = None
        self.i_flctx: Any = None
        self.i_linklen = 0
        self.i_pipe: Any = None
        self.i_cdev: Any = None
        self.i_link: Any = None
        self.i_dir_seq = 0
        self.i_private: Any = None
        self.i_lock = spinlock_t("i_lock")
        self.waiters: Any = None
        self.i_security: Any = None

    def __repr__(self) -> str:
        sb = self.i_sb
        return (f"<inode {self.i_ino} of {sb.s_id if sb is not None else '?'} mode:{self.i_mode:o} count:{self.i_count} "
                f"state:{self.i_state:#x}>")


@dup(P)
class File:
    """``struct file``; ``f_ref`` is its reference count."""

    __slots__ = ("f_mode", "f_op", "f_mapping", "private_data", "f_inode", "f_flags", "f_iocb_flags", "f_cred", "f_owner",
                 "f_path", "f_lock", "f_pos_lock", "f_pos", "f_wb_err", "f_sb_err", "f_ra", "f_ref", "user_path", "__weakref__")

    def __init__(self) -> None:
        self.f_mode = 0
        self.f_op: Any = None
        self.f_mapping: AddressSpace = None         # type: ignore[assignment]
        self.private_data: Any = None
        self.f_inode: Inode = None                  # type: ignore[assignment]
        self.f_flags = 0
        self.f_iocb_flags = 0
        self.f_cred: Any = None
        self.f_owner: Any = None
        self.f_path = Path()
        self.f_lock = spinlock_t("f_lock")
        self.f_pos_lock: Any = None
        self.f_pos = 0
        self.f_wb_err = 0
        self.f_sb_err = 0
        self.f_ra = FileRaState()
        self.f_ref = 1
        self.user_path: Path | None = None

    def __repr__(self) -> str:
        return f"<file {self.f_path.dentry!r} ref:{self.f_ref} mode:{self.f_mode:#x}>"


@dup(P)
class Kiocb:
    """``struct kiocb``"""

    __slots__ = ("ki_complete", "ki_filp", "ki_flags", "ki_ioprio", "ki_pos", "ki_waitq", "ki_write_stream", "private",
                 "container")

    def __init__(self, container: Any = None) -> None:
        self.ki_filp: File = None                   # type: ignore[assignment]
        self.ki_pos = 0
        self.ki_complete: Any = None
        self.private: Any = None
        self.ki_flags = 0
        self.ki_ioprio = 0
        self.ki_write_stream = 0
        self.ki_waitq: Any = None
        self.container = container


@dup(P)
class DirContext:
    """``struct dir_context``: ``actor(ctx, name, namelen, offset, ino, d_type)`` gives True to go on."""

    __slots__ = ("actor", "container", "count", "dt_flags_mask", "pos")

    def __init__(self, actor: Any, pos: int = 0, count: int = 0, dt_flags_mask: int = 0, container: Any = None):
        self.actor = actor
        self.pos = pos
        self.count = count
        self.dt_flags_mask = dt_flags_mask
        self.container = container


@dup(P)
class iattr:
    """``struct iattr``: what notify_change() shall change."""

    __slots__ = ("ia_atime", "ia_ctime", "ia_file", "ia_gid", "ia_mode", "ia_mtime", "ia_size", "ia_uid", "ia_valid")

    def __init__(self, **fields: Any):
        self.ia_valid = self.ia_mode = self.ia_uid = self.ia_gid = self.ia_size = 0
        self.ia_atime: Any = None
        self.ia_mtime: Any = None
        self.ia_ctime: Any = None
        self.ia_file: Any = None
        for name, value in fields.items():
            setattr(self, name, value)
