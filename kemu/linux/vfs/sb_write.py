# SPDX-License-Identifier: GPL-2.0-only
"""Who writes to a file system, so that it cannot be frozen meanwhile (include/linux/fs/super.h, include/linux/fs.h). Nothing freezes one here."""
from __future__ import annotations

from kemu.linux.honesty import custom, dup
from kemu.linux.percpu_rwsem import percpu_down_read, percpu_down_read_trylock, percpu_up_read
from kemu.linux.stat import S_ISREG
from kemu.linux.super_types import SuperBlock
from kemu.linux.vfs.types import File, Kiocb


@dup("include/linux/fs/super.h")
def sb_start_write(sb: SuperBlock) -> None:
    """``void sb_start_write(struct super_block *sb)``. Context: may sleep."""
    percpu_down_read(sb.s_writers)


@dup("include/linux/fs/super.h")
def sb_start_write_trylock(sb: SuperBlock) -> bool:
    """``bool sb_start_write_trylock(struct super_block *sb)``"""
    return percpu_down_read_trylock(sb.s_writers)


@dup("include/linux/fs/super.h")
def sb_end_write(sb: SuperBlock) -> None:
    """``void sb_end_write(struct super_block *sb)``"""
    percpu_up_read(sb.s_writers)


@dup("include/linux/fs.h")
def file_start_write(file: File) -> None:
    """``void file_start_write(struct file *file)``: for regular files."""
    if not S_ISREG(file.f_inode.i_mode):
        return
    sb_start_write(file.f_inode.i_sb)


@dup("include/linux/fs.h")
def file_end_write(file: File) -> None:
    """``void file_end_write(struct file *file)``"""
    if not S_ISREG(file.f_inode.i_mode):
        return
    sb_end_write(file.f_inode.i_sb)


@custom("include/linux/fs.h", "kiocb_start_write", "a lock that another task gives back is not hidden from the watch")
def kiocb_start_write(iocb: Kiocb) -> None:
    """``void kiocb_start_write(struct kiocb *iocb)``"""
    sb_start_write(iocb.ki_filp.f_inode.i_sb)


@custom("include/linux/fs.h", "kiocb_end_write", "a lock that another task gives back is not hidden from the watch")
def kiocb_end_write(iocb: Kiocb) -> None:
    """``void kiocb_end_write(struct kiocb *iocb)``"""
    sb_end_write(iocb.ki_filp.f_inode.i_sb)
