# SPDX-License-Identifier: GPL-2.0-only
"""A task's root and working directory (include/linux/fs_struct.h, fs/fs_struct.c)."""
from __future__ import annotations

from kemu.linux.honesty import custom, dup
from kemu.linux.path import path_get, path_put
from kemu.linux.seqlock import read_seqlock_excl, read_sequnlock_excl, seqlock_t, write_seqlock, write_sequnlock
from kemu.linux.statics import statics
from kemu.linux.vfs.basic import Path
from kemu.machine.current import NULL, this
from kemu.machine.machine import should_fail


@dup("include/linux/fs_struct.h")
class FsStruct:
    """``struct fs_struct``: an object that tasks share; ``users`` of them."""

    __slots__ = ("in_exec", "pwd", "root", "seq", "umask", "users")

    def __init__(self) -> None:
        self.users = 1
        self.umask = 0o022
        self.in_exec = 0
        self.seq = seqlock_t("fs->seq")
        self.root = Path()
        self.pwd = Path()


g = statics(init_fs=FsStruct)


@custom("include/linux/sched.h", "current->fs", "tasks without their own share init's; the first use makes the mount tree")
def current_fs() -> FsStruct:
    """The current task's fs_struct."""
    fs = this.task.fs
    if fs is None:
        fs = g.init_fs
        if fs.root.mnt is None:
            from kemu.linux.vfs.mnt_init import mnt_init

            mnt_init()
    return fs                                           # type: ignore[no-any-return]


@dup("fs/fs_struct.c")
def set_fs_root(fs: FsStruct, path: Path) -> None:
    """``void set_fs_root(struct fs_struct *fs, const struct path *path)``"""
    path_get(path)
    write_seqlock(fs.seq)
    old = fs.root
    fs.root = path.copy()
    write_sequnlock(fs.seq)
    if old.dentry is not None:
        path_put(old)


@dup("fs/fs_struct.c")
def set_fs_pwd(fs: FsStruct, path: Path) -> None:
    """``void set_fs_pwd(struct fs_struct *fs, const struct path *path)``"""
    path_get(path)
    write_seqlock(fs.seq)
    old = fs.pwd
    fs.pwd = path.copy()
    write_sequnlock(fs.seq)
    if old.dentry is not None:
        path_put(old)


@dup("include/linux/fs_struct.h")
def get_fs_root(fs: FsStruct, root: Path) -> None:
    """``void get_fs_root(struct fs_struct *fs, struct path *root)``: a reference in ``root``."""
    read_seqlock_excl(fs.seq)
    root.set(fs.root)
    path_get(root)
    read_sequnlock_excl(fs.seq)


@dup("include/linux/fs_struct.h")
def get_fs_pwd(fs: FsStruct, pwd: Path) -> None:
    """``void get_fs_pwd(struct fs_struct *fs, struct path *pwd)``"""
    read_seqlock_excl(fs.seq)
    pwd.set(fs.pwd)
    path_get(pwd)
    read_sequnlock_excl(fs.seq)


@dup("fs/fs_struct.c")
def copy_fs_struct(old: FsStruct) -> FsStruct:
    """``struct fs_struct *copy_fs_struct(struct fs_struct *old)``: what a child without CLONE_FS gets. Return: None without memory."""
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


@dup("fs/fs_struct.c")
def free_fs_struct(fs: FsStruct) -> None:
    """``void free_fs_struct(struct fs_struct *fs)``"""
    path_put(fs.root)
    path_put(fs.pwd)


@custom("fs/fs_struct.c", "chroot_fs_refs", "tasks are listed by the scheduler: tasklist_lock and task_lock() are not taken")
def chroot_fs_refs(old_root: Path, new_root: Path) -> None:
    """``void chroot_fs_refs(const struct path *old_root, const struct path *new_root)``: of every task that is at the old root."""
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


__all__ = ["FsStruct", "chroot_fs_refs", "copy_fs_struct", "current_fs", "free_fs_struct", "get_fs_pwd", "get_fs_root",
           "set_fs_pwd", "set_fs_root"]
