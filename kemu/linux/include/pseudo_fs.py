# SPDX-License-Identifier: GPL-2.0-only
"""struct pseudo_fs_context (include/linux/pseudo_fs.h)."""
from __future__ import annotations

from typing import Any

from kemu.linux.port.honesty import dup

P = "include/linux/pseudo_fs.h"


@dup(P)
class pseudo_fs_context:
    """``struct pseudo_fs_context``"""

    __slots__ = ("dops", "eops", "magic", "ops", "s_d_flags", "xattr")

    def __init__(self) -> None:
        self.ops: Any = None
        self.eops: Any = None
        self.xattr: Any = None
        self.dops: Any = None
        self.magic = 0
        self.s_d_flags = 0
