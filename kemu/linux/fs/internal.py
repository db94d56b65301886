# SPDX-License-Identifier: GPL-2.0-only
"""What the files of fs/ share (fs/internal.h)."""
from __future__ import annotations

from kemu.linux.include.path import Path
from kemu.linux.port.honesty import dup

C = "fs/internal.h"


@dup(C, "struct open_flags")
class open_flags:
    """``struct open_flags``"""

    __slots__ = ("acc_mode", "intent", "lookup_flags", "mode", "open_flag")

    def __init__(self) -> None:
        self.open_flag = self.mode = self.acc_mode = self.intent = self.lookup_flags = 0


def path_mounted(path: Path) -> bool:
    return path.mnt.mnt_root is path.dentry     # type: ignore[no-any-return]
