# SPDX-License-Identifier: GPL-2.0-only
"""The list of file system types (fs/filesystems.c)."""
from __future__ import annotations

from kemu.linux.bug import BUG_ON
from kemu.linux.errno import EBUSY, EINVAL
from kemu.linux.include.fs.constants import FS_HAS_SUBTYPE, FS_REQUIRES_DEV
from kemu.linux.include.fs.types import FileSystemType
from kemu.linux.include.rcupdate import rcu_read_lock, rcu_read_unlock
from kemu.linux.kernel.rcu.tree import synchronize_rcu
from kemu.linux.port.honesty import custom, dup
from kemu.linux.spinlock import spin_lock, spin_unlock, spinlock_t
from kemu.machine.current import NULL, this
from kemu.machine.machine import should_fail
from kemu.machine.statics import per_machine, statics

C = "fs/filesystems.c"

@statics
class g:
    file_systems: list[FileSystemType] = []
    module_refs: dict[FileSystemType, int] = {}
    file_systems_lock = per_machine(lambda: spinlock_t("file_systems_lock"))


@dup(C)
def get_filesystem(fs: FileSystemType) -> FileSystemType:
    """``struct file_system_type *get_filesystem(struct file_system_type *fs)``: pins the module."""
    g.module_refs[fs] = g.module_refs.get(fs, 0) + 1
    if this.watch is not None:
        this.watch.ref("module", fs, 1)
    return fs


@dup(C)
def put_filesystem(fs: FileSystemType) -> None:
    """``void put_filesystem(struct file_system_type *fs)``"""
    refs = g.module_refs.pop(fs) - 1
    if refs:
        g.module_refs[fs] = refs
    if this.watch is not None:
        this.watch.ref("module", fs, -1)


def find_filesystem(name: str) -> FileSystemType | None:
    for fs in g.file_systems:
        if fs.name == name:
            return fs                                   # type: ignore[no-any-return]
    return None


@dup(C)
def register_filesystem(fs: FileSystemType) -> int:
    """``int register_filesystem(struct file_system_type *fs)``. Return: 0, or -EBUSY if the name or the type is registered."""
    if this.chooser is not None and should_fail("fail_function", "register_filesystem"):
        return -EBUSY
    BUG_ON("." in fs.name)
    if fs in g.file_systems:
        return -EBUSY

    spin_lock(g.file_systems_lock)
    if find_filesystem(fs.name) is not None:
        spin_unlock(g.file_systems_lock)
        return -EBUSY
    g.file_systems.append(fs)
    spin_unlock(g.file_systems_lock)
    return 0


@dup(C)
def unregister_filesystem(fs: FileSystemType) -> int:
    """``int unregister_filesystem(struct file_system_type *fs)``. Return: 0, or -EINVAL if it was not registered."""
    spin_lock(g.file_systems_lock)
    if fs not in g.file_systems:
        spin_unlock(g.file_systems_lock)
        return -EINVAL
    g.file_systems.remove(fs)
    spin_unlock(g.file_systems_lock)
    synchronize_rcu()
    return 0


@custom(C, "get_fs_type", "modules are not loaded")
def get_fs_type(name: str) -> FileSystemType:
    """``struct file_system_type *get_fs_type(const char *name)``: pinned, None if there is none; ``type.subtype`` where the type
    has these.
    """
    base, dot, _ = name.partition(".")
    fs = find_filesystem(base)
    if fs is None and this.watch is not None:
        this.watch.event("no_fs_type", fs=base)
    if fs is None or (dot and not fs.fs_flags & FS_HAS_SUBTYPE):
        return NULL             # type: ignore[no-any-return]
    return get_filesystem(fs)


@custom(C, "list_bdev_fs_names", "a list of names instead of a buffer, which cannot be too small")
def list_bdev_fs_names() -> list[str]:
    """``int list_bdev_fs_names(char *buf, size_t size)``: types that need a device, in the order of registration."""
    rcu_read_lock()
    names = [fs.name for fs in g.file_systems if fs.fs_flags & FS_REQUIRES_DEV]
    rcu_read_unlock()
    return names
