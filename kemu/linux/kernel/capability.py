# SPDX-License-Identifier: GPL-2.0-only
"""Capabilities with regard to an inode (kernel/capability.c)."""
from __future__ import annotations

from typing import Any

from kemu.linux.include.cred import current_cred
from kemu.linux.port.honesty import dup

C = "kernel/capability.c"


@dup(C)
def capable_wrt_inode_uidgid(idmap: Any, inode: Any, cap: int) -> bool:
    """``bool capable_wrt_inode_uidgid(idmap, inode, cap)``: and the inode's ids are mapped."""
    return inode.i_uid != 0xFFFF_FFFF and inode.i_gid != 0xFFFF_FFFF and bool(current_cred().caps >> cap & 1)
