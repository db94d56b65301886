# SPDX-License-Identifier: GPL-2.0-only
"""struct fs_struct (include/linux/fs_struct.h)."""
from __future__ import annotations

from kemu.linux.include.path import Path
from kemu.linux.port.honesty import dup
from kemu.linux.seqlock import read_seqlock_excl, read_sequnlock_excl, seqlock_t

P = "include/linux/fs_struct.h"


@dup(P)
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


@dup(P)
def get_fs_root(fs: FsStruct, root: Path) -> None:
    """``void get_fs_root(struct fs_struct *fs, struct path *root)``: a reference in ``root``."""
    from kemu.linux.fs.namei import path_get  # noqa: PLC0415  (up into fs/namei.c)

    read_seqlock_excl(fs.seq)
    root.set(fs.root)
    path_get(root)
    read_sequnlock_excl(fs.seq)


@dup(P)
def get_fs_pwd(fs: FsStruct, pwd: Path) -> None:
    """``void get_fs_pwd(struct fs_struct *fs, struct path *pwd)``"""
    from kemu.linux.fs.namei import path_get  # noqa: PLC0415  (up into fs/namei.c)

    read_seqlock_excl(fs.seq)
    pwd.set(fs.pwd)
    path_get(pwd)
    read_sequnlock_excl(fs.seq)
