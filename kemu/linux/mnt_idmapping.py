# SPDX-License-Identifier: GPL-2.0-only
"""Id mappings of mounts (include/linux/mnt_idmapping.h): none but the identity."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import custom, dup, names

P = "include/linux/fs.h"


@custom("fs/mnt_idmapping.c", "struct mnt_idmap", "the identity")
class mnt_idmap_t:
    """``struct mnt_idmap``"""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<nop_mnt_idmap>"


nop_mnt_idmap = mnt_idmap_t()


@dup("include/linux/mount.h")
def mnt_idmap(mnt: Any) -> Any:
    """``struct mnt_idmap *mnt_idmap(const struct vfsmount *mnt)``"""
    return mnt.mnt_idmap


@custom(P, "i_uid_into_vfsuid", "the identity")
def i_uid_into_vfsuid(idmap: Any, inode: Any) -> int:
    """``vfsuid_t i_uid_into_vfsuid(struct mnt_idmap *idmap, const struct inode *inode)``"""
    return int(inode.i_uid)


@custom(P, "i_gid_into_vfsgid", "the identity")
def i_gid_into_vfsgid(idmap: Any, inode: Any) -> int:
    """``vfsgid_t i_gid_into_vfsgid(struct mnt_idmap *idmap, const struct inode *inode)``"""
    return int(inode.i_gid)


names("custom", "include/linux/mnt_idmapping.h", "mnt_idmap_t", how="the identity mapping only")
