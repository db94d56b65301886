# SPDX-License-Identifier: GPL-2.0-only
"""Hooks that come to the capabilities where no security module is built in (include/linux/security.h, CONFIG_SECURITY is n)."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import dup

P = "include/linux/security.h"


@dup(P)
def security_inode_need_killpriv(dentry: Any) -> int:
    """``int security_inode_need_killpriv(struct dentry *dentry)``: above 0 if the file has capabilities."""
    from kemu.linux.security.commoncap import cap_inode_need_killpriv  # noqa: PLC0415  (down into security/commoncap.c, which needs fs)

    return cap_inode_need_killpriv(dentry)


@dup(P)
def security_inode_killpriv(idmap: Any, dentry: Any) -> int:
    """``int security_inode_killpriv(struct mnt_idmap *idmap, struct dentry *dentry)``: takes them away. Return: 0, or why not."""
    from kemu.linux.security.commoncap import cap_inode_killpriv  # noqa: PLC0415  (down into security/commoncap.c, which needs fs)

    return cap_inode_killpriv(idmap, dentry)
