# SPDX-License-Identifier: GPL-2.0-only
"""struct super_block and its operations (include/linux/fs/super_types.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.bug import WARN_ON
from kemu.linux.include.string import mem_read
from kemu.linux.percpu_rwsem import percpu_down_read, percpu_down_read_trylock, percpu_rw_semaphore, percpu_up_read
from kemu.linux.port.honesty import custom, dup
from kemu.linux.spinlock import spinlock_t
from kemu.linux.time64 import TIME64_MAX, TIME64_MIN
from kemu.linux.uuid import UUID_SIZE, uuid_t
from kemu.machine.sched import WaitQueue

P = "include/linux/fs/super.h"

# sb->s_flags
SB_RDONLY, SB_NOSUID, SB_NODEV, SB_NOEXEC, SB_SYNCHRONOUS = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4
SB_MANDLOCK, SB_DIRSYNC, SB_NOATIME, SB_NODIRATIME = 1 << 6, 1 << 7, 1 << 10, 1 << 11
(SB_SILENT, SB_POSIXACL, SB_INLINECRYPT, SB_KERNMOUNT, SB_I_VERSION,
 SB_LAZYTIME) = 1 << 15, 1 << 16, 1 << 17, 1 << 22, 1 << 23, 1 << 25
(SB_DEAD, SB_DYING, SB_FORCE, SB_NOSEC, SB_BORN, SB_ACTIVE,
 SB_NOUSER) = 1 << 21, 1 << 24, 1 << 27, 1 << 28, 1 << 29, 1 << 30, 1 << 31

# sb->s_iflags
SB_I_CGROUPWB, SB_I_NOEXEC, SB_I_NODEV, SB_I_STABLE_WRITES = 0x1, 0x2, 0x4, 0x8
SB_I_RESTRICTED_VARIANT, SB_I_UNTRUSTED_MOUNTER = 0x10, 0x40
SB_I_SKIP_SYNC, SB_I_PERSB_BDI, SB_I_TS_EXPIRY_WARNED, SB_I_RETIRED = 0x100, 0x200, 0x400, 0x800
SB_I_NOUMASK, SB_I_NOIDMAP, SB_I_ALLOW_HSM, SB_I_NO_DATA_INTEGRITY = 0x1000, 0x2000, 0x4000, 0x8000


class _Ops:
    """A table of function pointers: keyword constructor, members not named are None (NULL)."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, **ops: Any):
        for name in self.__slots__:
            setattr(self, name, None)
        for name, value in ops.items():
            setattr(self, name, value)


@dup("include/linux/fs/super_types.h")
class super_operations(_Ops):
    """``struct super_operations``"""

    alloc_inode: Any
    destroy_inode: Any
    free_inode: Any
    dirty_inode: Any
    write_inode: Any
    drop_inode: Any
    evict_inode: Any
    put_super: Any
    sync_fs: Any
    freeze_super: Any
    freeze_fs: Any
    thaw_super: Any
    unfreeze_fs: Any
    statfs: Any
    umount_begin: Any
    show_options: Any
    show_devname: Any
    show_path: Any
    show_stats: Any
    nr_cached_objects: Any
    free_cached_objects: Any
    remove_bdev: Any
    shutdown: Any
    report_error: Any
    __slots__ = tuple(__annotations__)


_default_op = super_operations()


@custom("include/linux/fs/super_types.h", "struct super_block",
        "the inode hash is per superblock, lists are insertion-ordered dicts, counts are ints")
class SuperBlock:
    """``struct super_block``

    ``s_active`` and ``s_passive`` are the two reference counts; ``s_umount`` a rw_semaphore; ``waiters`` those who wait for
    SB_BORN, SB_DYING or SB_DEAD. ``s_inodes`` holds every inode, oldest first; ``s_inode_hash`` maps a hash value to the hashed
    ones, newest first.
    """

    __slots__ = ("s_dev", "s_blocksize_bits", "s_blocksize", "s_maxbytes", "s_type", "s_op", "s_export_op", "s_flags", "s_iflags",
                 "s_magic", "s_root", "s_umount", "s_passive", "s_active", "s_xattr", "s_roots", "s_mounts", "s_bdev",
                 "s_bdev_file", "s_bdi", "s_mtd", "s_fs_info", "s_time_gran", "s_time_min", "s_time_max", "s_id", "s_uuid",
                 "s_uuid_len", "s_sysfs_name", "s_max_links", "s_d_flags", "s_d_op", "s_vfs_rename_mutex", "s_subtype",
                 "s_shrink", "s_remove_count", "s_readonly_remount", "s_wb_err", "s_user_ns", "s_dentry_lru", "s_inode_lru",
                 "s_stack_depth", "s_inodes", "s_inode_hash", "s_inode_list_lock", "waiters", "s_security", "s_writers")

    def __init__(self) -> None:
        self.s_dev = 0
        self.s_blocksize_bits = 0
        self.s_blocksize = 0
        self.s_maxbytes = (1 << 31) - 1             # MAX_NON_LFS
        self.s_type: Any = None
        self.s_op: Any = _default_op
        self.s_export_op: Any = None
        self.s_flags = 0
        self.s_iflags = 0
        self.s_magic = 0
        self.s_root: Any = None
        self.s_umount: Any = None
        self.s_passive = 1
        self.s_active = 1
        self.s_xattr: Any = None                    # list of xattr_handler
        self.s_roots: dict[Any, None] = {}
        self.s_mounts: dict[Any, None] = {}
        self.s_bdev: Any = None
        self.s_bdev_file: Any = None
        self.s_bdi: Any = None
        self.s_mtd: Any = None
        self.s_fs_info: Any = None
        self.s_time_gran = 1_000_000_000
        self.s_time_min = TIME64_MIN
        self.s_time_max = TIME64_MAX
        self.s_id = ""
        self.s_uuid = uuid_t(bytes(UUID_SIZE))
        self.s_uuid_len = 0
        self.s_sysfs_name = ""
        self.s_max_links = 0
        self.s_d_flags = 0
        self.s_d_op: Any = None                     # __s_d_op
        self.s_vfs_rename_mutex: Any = None
        self.s_subtype: str | None = None
        self.s_shrink: Any = None
        self.s_remove_count = 0
        self.s_readonly_remount = 0
        self.s_wb_err = 0
        self.s_user_ns: Any = None
        self.s_dentry_lru: dict[Any, None] = {}
        self.s_inode_lru: dict[Any, None] = {}
        self.s_stack_depth = 0
        self.s_inodes: dict[Any, None] = {}
        self.s_inode_hash: dict[int, list[Any]] = {}
        self.s_inode_list_lock = spinlock_t("s_inode_list_lock")
        self.waiters = WaitQueue("superblock", self)
        self.s_security: Any = None
        self.s_writers = percpu_rw_semaphore("sb_writers")         # rw_sem[SB_FREEZE_WRITE - 1]

    def __repr__(self) -> str:
        return (f"<superblock {self.s_type.name if self.s_type else '?'} {self.s_id} active:{self.s_active} "
                f"passive:{self.s_passive}>")


@dup(P)
def sb_rdonly(sb: SuperBlock) -> bool:
    """``bool sb_rdonly(const struct super_block *sb)``"""
    return bool(sb.s_flags & SB_RDONLY)


@custom(P, "super_set_uuid", "takes an address in kernel memory or bytes")
def super_set_uuid(sb: SuperBlock, uuid: int | bytes, length: int) -> None:
    """``void super_set_uuid(struct super_block *sb, const u8 *uuid, unsigned len)``"""
    if isinstance(uuid, int):
        uuid = mem_read(uuid, length)
    length = min(length, UUID_SIZE)
    sb.s_uuid_len = length
    sb.s_uuid = uuid_t(uuid[:length].ljust(UUID_SIZE, b"\0"))


@dup("include/linux/fs.h")
def super_set_sysfs_name_bdev(sb: SuperBlock) -> None:
    """``void super_set_sysfs_name_bdev(struct super_block *sb)``"""
    sb.s_sysfs_name = f"{sb.s_bdev!s}"


@dup("include/linux/fs.h")
def super_set_sysfs_name_uuid(sb: SuperBlock) -> None:
    """``void super_set_sysfs_name_uuid(struct super_block *sb)``"""
    WARN_ON(sb.s_uuid_len != UUID_SIZE)
    sb.s_sysfs_name = str(sb.s_uuid)


@dup("include/linux/fs.h")
def super_set_sysfs_name_id(sb: SuperBlock) -> None:
    """``void super_set_sysfs_name_id(struct super_block *sb)``"""
    sb.s_sysfs_name = sb.s_id


@dup(P)
def sb_start_write(sb: SuperBlock) -> None:
    """``void sb_start_write(struct super_block *sb)``. Context: may sleep."""
    percpu_down_read(sb.s_writers)


@dup(P)
def sb_start_write_trylock(sb: SuperBlock) -> bool:
    """``bool sb_start_write_trylock(struct super_block *sb)``"""
    return percpu_down_read_trylock(sb.s_writers)


@dup(P)
def sb_end_write(sb: SuperBlock) -> None:
    """``void sb_end_write(struct super_block *sb)``"""
    percpu_up_read(sb.s_writers)
