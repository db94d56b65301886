# SPDX-License-Identifier: GPL-2.0-only
"""Files that stand for a file below them (include/linux/backing-file.h)."""
from __future__ import annotations

from collections.abc import Callable

from kemu.linux.include.cred import Cred
from kemu.linux.include.fs.types import File, Kiocb
from kemu.linux.port.honesty import names


class backing_file_ctx:
    """``struct backing_file_ctx``"""

    __slots__ = ("accessed", "cred", "end_write")

    def __init__(self, cred: Cred, accessed: Callable[[File], None] | None = None,
                 end_write: Callable[[Kiocb, int], None] | None = None):
        self.cred = cred
        self.accessed = accessed
        self.end_write = end_write


names("dup", "include/linux/backing-file.h", "backing_file_ctx")
