# SPDX-License-Identifier: GPL-2.0-only
"""File handles (include/linux/exportfs.h): the types a file system needs to offer them."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import dup
from kemu.linux.super_types import _Ops

P = "include/linux/exportfs.h"

FILEID_ROOT, FILEID_INO32_GEN, FILEID_INO32_GEN_PARENT = 0, 1, 2
FILEID_INO64_GEN, FILEID_INO64_GEN_PARENT, FILEID_INVALID = 0x81, 0x82, 0xFF


@dup(P)
class fid:
    """``struct fid``: ``raw`` are its 32-bit words."""

    __slots__ = ("raw",)

    def __init__(self, raw: list[int] | None = None):
        self.raw = raw if raw is not None else []


@dup(P)
class export_operations(_Ops):
    """``struct export_operations``"""

    encode_fh: Any
    fh_to_dentry: Any
    fh_to_parent: Any
    get_name: Any
    get_parent: Any
    commit_metadata: Any
    permission: Any
    open: Any
    flags: Any
    __slots__ = tuple(__annotations__)
