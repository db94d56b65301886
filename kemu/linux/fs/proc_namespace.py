# SPDX-License-Identifier: GPL-2.0-only
"""What /proc/PID/mountinfo says (fs/proc_namespace.c, the paths of fs/d_path.c)."""
from __future__ import annotations

from kemu.linux.fs.d_path import __d_path, dentry_path
from kemu.linux.fs.mount import Mount
from kemu.linux.fs.pnode import IS_MNT_SHARED, IS_MNT_SLAVE, IS_MNT_UNBINDABLE, get_dominating_id
from kemu.linux.fs.seq_file import seq_printf, seq_putc, seq_puts
from kemu.linux.include.mount import (
    MNT_NOATIME,
    MNT_NODEV,
    MNT_NODIRATIME,
    MNT_NOEXEC,
    MNT_NOSUID,
    MNT_NOSYMFOLLOW,
    MNT_READONLY,
    MNT_RELATIME,
)
from kemu.linux.include.path import Path
from kemu.linux.include.seq_file import SeqFile, seq_escape
from kemu.linux.kdev_t import MAJOR, MINOR
from kemu.linux.port.honesty import dup, names, port_of
from kemu.linux.super_types import SB_DIRSYNC, SB_LAZYTIME, SB_MANDLOCK, SB_RDONLY, SB_SYNCHRONOUS, SuperBlock

C = "fs/proc_namespace.c"

fs_opts = ((SB_SYNCHRONOUS, ",sync"), (SB_DIRSYNC, ",dirsync"), (SB_MANDLOCK, ",mand"), (SB_LAZYTIME, ",lazytime"))
mnt_opts = ((MNT_NOSUID, ",nosuid"), (MNT_NODEV, ",nodev"), (MNT_NOEXEC, ",noexec"), (MNT_NOATIME, ",noatime"),
            (MNT_NODIRATIME, ",nodiratime"),
            (MNT_RELATIME, ",relatime"), (MNT_NOSYMFOLLOW, ",nosymfollow"))


@port_of(C, "show_sb_opts")
def show_sb_opts(m: SeqFile, sb: SuperBlock) -> int:
    """``int show_sb_opts(struct seq_file *m, struct super_block *sb)``: 0"""
    for flag, text in fs_opts:
        if sb.s_flags & flag:
            seq_puts(m, text)

    return 0


@port_of(C, "show_vfsmnt_opts")
def show_vfsmnt_opts(m: SeqFile, mnt: Mount) -> None:
    """``void show_vfsmnt_opts(struct seq_file *m, struct vfsmount *mnt)``"""
    for flag, text in mnt_opts:
        if mnt.mnt_flags & flag:
            seq_puts(m, text)


@dup(C, "show_mountinfo")
def show_mountinfo(m: SeqFile, mnt: Mount, root: Path) -> int:
    """``int show_mountinfo(struct seq_file *m, struct vfsmount *mnt)``: 0, or 1 (SEQ_SKIP) where ``root`` cannot see the mount"""
    r = mnt
    sb = mnt.mnt_sb

    seq_printf(m, "%i %i %u:%u ", r.mnt_id, r.mnt_parent.mnt_id, MAJOR(sb.s_dev), MINOR(sb.s_dev))
    seq_escape(m, dentry_path(mnt.mnt_root), " \t\n\\")         # show_path()
    seq_putc(m, " ")

    # mountpoints outside of chroot jail will give SEQ_SKIP on this
    where = __d_path(Path(mnt, mnt.mnt_root), root)
    if where is None:
        return 1
    seq_escape(m, where, " \t\n\\")

    seq_puts(m, " ro" if mnt.mnt_flags & MNT_READONLY else " rw")
    show_vfsmnt_opts(m, mnt)

    # Tagged fields ("foo:X" or "bar")
    if IS_MNT_SHARED(r):
        seq_printf(m, " shared:%i", r.mnt_group_id)
    if IS_MNT_SLAVE(r):
        assert r.mnt_master is not None
        master = r.mnt_master.mnt_group_id
        dom = get_dominating_id(r, root)
        seq_printf(m, " master:%i", master)
        if dom and dom != master:
            seq_printf(m, " propagate_from:%i", dom)
    if IS_MNT_UNBINDABLE(r):
        seq_puts(m, " unbindable")

    # Filesystem specific data
    seq_puts(m, " - ")
    seq_escape(m, sb.s_type.name, " \t\n\\#")                   # show_type()
    seq_putc(m, " ")
    seq_escape(m, r.mnt_devname, " \t\n\\#")
    seq_puts(m, " ro" if sb.s_flags & SB_RDONLY else " rw")
    err = show_sb_opts(m, sb)
    if err:
        return err
    if sb.s_op.show_options is not None:
        err = sb.s_op.show_options(m, mnt.mnt_root)
    seq_putc(m, "\n")
    return err


names("dup", C, "fs_opts", "mnt_opts")
