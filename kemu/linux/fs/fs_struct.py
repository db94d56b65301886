# SPDX-License-Identifier: GPL-2.0-only
"""A task's root and working directory (fs/fs_struct.c)."""
from __future__ import annotations

from kemu.linux.fs.namei import path_get, path_put
from kemu.linux.include.fs_struct import FsStruct
from kemu.linux.include.path import Path
from kemu.linux.port.honesty import custom, dup
from kemu.linux.seqlock import read_seqlock_excl, read_sequnlock_excl, write_seqlock, write_sequnlock
from kemu.machine.current import NULL, this
from kemu.machine.machine import should_fail
from kemu.machine.statics import statics

C = "fs/fs_struct.c"

@statics
class g:
    init_fs: FsStruct


@dup(C)
def set_fs_root(fs: FsStruct, path: Path) -> None:
    """``void set_fs_root(struct fs_struct *fs, const struct path *path)``"""
    path_get(path)
    write_seqlock(fs.seq)
    old = fs.root
    fs.root = path.copy()
    write_sequnlock(fs.seq)
    if old.dentry is not None:
        path_put(old)


@dup(C)
def set_fs_pwd(fs: FsStruct, path: Path) -> None:
    """``void set_fs_pwd(struct fs_struct *fs, const struct path *path)``"""
    path_get(path)
    write_seqlock(fs.seq)
    old = fs.pwd
    fs.pwd = path.copy()
    write_sequnlock(fs.seq)
    if old.dentry is not None:
        path_put(old)


@dup(C)
def copy_fs_struct(old: FsStruct) -> FsStruct:
    """``struct fs_struct *copy_fs_struct(struct fs_struct *old)``: what a child without CLONE_FS gets.

    Return: None without memory.
    """
    if this.chooser is not None and should_fail("failslab", "copy_fs_struct"):
        return NULL             # type: ignore[no-any-return]
    fs = FsStruct()
    fs.umask = old.umask
    read_seqlock_excl(old.seq)
    fs.root.set(old.root)
    path_get(fs.root)
    fs.pwd.set(old.pwd)
    path_get(fs.pwd)
    read_sequnlock_excl(old.seq)
    return fs


@dup(C)
def free_fs_struct(fs: FsStruct) -> None:
    """``void free_fs_struct(struct fs_struct *fs)``"""
    path_put(fs.root)
    path_put(fs.pwd)


@custom(C, "chroot_fs_refs", "tasks are listed by the scheduler: tasklist_lock and task_lock() are not taken")
def chroot_fs_refs(old_root: Path, new_root: Path) -> None:
    """``void chroot_fs_refs(const struct path *old_root, const struct path *new_root)``: of every task that is at the old root.
    """
    count = 0
    seen: list[FsStruct] = []
    for task in this.sched.tasks:
        fs = task.fs if task.fs is not None else g.init_fs
        if any(fs is s for s in seen):
            continue
        seen.append(fs)
        write_seqlock(fs.seq)
        for attr in ("root", "pwd"):
            p = getattr(fs, attr)
            if p.mnt is old_root.mnt and p.dentry is old_root.dentry:
                path_get(new_root)
                setattr(fs, attr, new_root.copy())
                count += 1
        write_sequnlock(fs.seq)
    for _ in range(count):
        path_put(old_root)
