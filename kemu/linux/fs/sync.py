# SPDX-License-Identifier: GPL-2.0-only
"""Writing a file system back (fs/sync.c)."""
from __future__ import annotations

from kemu.linux.port.honesty import custom
from kemu.linux.super_types import SB_RDONLY, SuperBlock

C = "fs/sync.c"


@custom(C, "sync_filesystem", "there is no writeback: only ->sync_fs")
def sync_filesystem(sb: SuperBlock) -> int:
    """``int sync_filesystem(struct super_block *sb)``"""
    if sb.s_flags & SB_RDONLY or sb.s_op.sync_fs is None:
        return 0
    return int(sb.s_op.sync_fs(sb, 0) or sb.s_op.sync_fs(sb, 1))
