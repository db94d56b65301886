# SPDX-License-Identifier: GPL-2.0-only
"""struct vfsmount and mount flags (include/linux/mount.h, include/uapi/linux/mount.h)."""
from __future__ import annotations

from kemu.linux.include.dcache import Dentry
from kemu.linux.mnt_idmapping import nop_mnt_idmap
from kemu.linux.port.honesty import dup
from kemu.linux.super_types import SB_I_VERSION, SB_LAZYTIME, SB_MANDLOCK, SB_RDONLY, SB_SYNCHRONOUS, SuperBlock

P = "include/linux/mount.h"

(MNT_NOSUID, MNT_NODEV, MNT_NOEXEC, MNT_NOATIME, MNT_NODIRATIME, MNT_RELATIME, MNT_READONLY,
 MNT_NOSYMFOLLOW) = (1 << i for i in range(8))
(MNT_SHRINKABLE, MNT_INTERNAL, MNT_LOCKED, MNT_DOOMED, MNT_SYNC_UMOUNT,
 MNT_UMOUNT) = 0x100, 0x4000, 0x800000, 0x1000000, 0x2000000, 0x8000000
MNT_ATIME_MASK = MNT_NOATIME | MNT_NODIRATIME | MNT_RELATIME
MNT_USER_SETTABLE_MASK = MNT_NOSUID | MNT_NODEV | MNT_NOEXEC | MNT_ATIME_MASK | MNT_READONLY | MNT_NOSYMFOLLOW
MNT_INTERNAL_FLAGS = MNT_INTERNAL | MNT_DOOMED | MNT_SYNC_UMOUNT | MNT_LOCKED | MNT_UMOUNT


@dup(P)
class VfsMount:
    """``struct vfsmount``: what file systems see of a mount."""

    __slots__ = ("mnt_flags", "mnt_idmap", "mnt_root", "mnt_sb")

    def __init__(self) -> None:
        self.mnt_root: Dentry = None            # type: ignore[assignment]
        self.mnt_sb: SuperBlock = None          # type: ignore[assignment]
        self.mnt_flags = 0
        self.mnt_idmap = nop_mnt_idmap


(MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_SYNCHRONOUS, MS_REMOUNT, MS_MANDLOCK, MS_DIRSYNC,
 MS_NOSYMFOLLOW) = (1 << i for i in range(9))
(MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_MOVE, MS_REC, MS_SILENT, MS_POSIXACL, MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED,
 MS_RELATIME) = (1 << i for i in range(10, 22))
MS_KERNMOUNT, MS_I_VERSION, MS_STRICTATIME, MS_LAZYTIME, MS_NOUSER = 1 << 22, 1 << 23, 1 << 24, 1 << 25, 1 << 31
MS_MGC_VAL, MS_MGC_MSK = 0xC0ED0000, 0xFFFF0000

MS_RMT_MASK = SB_RDONLY | SB_SYNCHRONOUS | SB_MANDLOCK | SB_I_VERSION | SB_LAZYTIME
